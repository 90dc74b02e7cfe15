"""The loop: what it does with facts it can't read or fold, with another worker, and with a stop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.read_models.memory import MemoryGeneration
from adapters.read_models.sqlite import SqliteGeneration
from domain import provider, streams
from domain.consumer import ConsumerErased
from domain.data_connection import ConnectionDeleted, ConnectionRequested
from domain.fact import Recorded
from projections.catch_up import Stopped, catch_up
from projections.directory import CONSUMERS, PROVIDERS
from projections.ports import Unreadable
from projections.shown import TRANSACTIONS
from projections.stalled import STALLED, Stalled
from tests.projections.examples import (
    ADA,
    ALL,
    BOB,
    MARCH_1,
    SAVINGS,
    TENANT,
    History,
    ListSource,
    a_row,
    discovered,
    fetched,
    of_account,
    of_connection,
    of_consumer,
    reading,
    registered,
)

PROVIDER = streams.provider(TENANT, "budget_insight")
#: A day that no calendar has: folding it fails.
NO_DAY = 10**9


def two_consumers() -> History:
    history = History().add(of_consumer(), registered()).add(of_account(), discovered())
    return history.add(of_consumer(BOB), registered()).add(of_account(SAVINGS, BOB), discovered())


def references(generation: MemoryGeneration) -> list[str]:
    return sorted(row.reference for row in generation.rows.scan(TRANSACTIONS))


@pytest.mark.parametrize("facts_max", [1, 2, 100])
@pytest.mark.parametrize("building", [False, True])
def test_a_fact_that_cannot_be_read_stalls_its_consumer_and_nobody_else(
    facts_max: int, building: bool
) -> None:
    history = two_consumers().add(of_account(), fetched(a_row(1, MARCH_1, 5))).unreadable(of_account())
    history.add(of_account(), fetched(a_row(2, MARCH_1, 5)))
    history.add(of_account(SAVINGS, BOB), fetched(a_row(3, MARCH_1, 5)))
    generation = MemoryGeneration()
    position = catch_up(ListSource(history.recorded), generation, facts_max=facts_max, building=building)
    assert position == 8
    assert references(generation) == ["1", "3"]
    assert list(generation.rows.scan(STALLED)) == [Stalled(TENANT, ADA, 6, "key_missing")]


@pytest.mark.parametrize("facts_max", [1, 2, 100])
@pytest.mark.parametrize("building", [False, True])
def test_a_fact_that_cannot_be_folded_leaves_nothing_half_done(facts_max: int, building: bool) -> None:
    history = two_consumers().add(of_account(), fetched(a_row(1, MARCH_1, 5)))
    history.add(of_account(), fetched(a_row(2, MARCH_1, 5), a_row(4, NO_DAY, 5)))
    history.add(of_account(SAVINGS, BOB), fetched(a_row(3, MARCH_1, 5)))
    generation = MemoryGeneration()
    catch_up(ListSource(history.recorded), generation, facts_max=facts_max, building=building)
    assert references(generation) == ["1", "3"]
    (stalled,) = generation.rows.scan(STALLED)
    assert (stalled.consumer, stalled.position) == (ADA, 6)
    assert stalled.reason == "fold_failed:ValueError"


@pytest.mark.parametrize(
    "fact",
    [reading(2**63), fetched(a_row(1, MARCH_1, 2**63)), fetched(a_row(1, MARCH_1, 2**63, pending=True))],
)
def test_a_number_that_no_store_holds_stalls_its_consumer_too(fact: Any, tmp_path: Path) -> None:
    history = two_consumers().add(of_account(), fact).add(of_account(SAVINGS, BOB), reading(5))
    for building in (False, True):
        generation = SqliteGeneration(tmp_path / f"{building}.sqlite3", building=building)
        assert catch_up(ListSource(history.recorded), generation, building=building) == 6
        stalled = list(generation.snapshot().scan(STALLED))
        assert [(row.consumer, row.position) for row in stalled] == [(ADA, 5)]
        generation.close()


def test_a_stalled_consumer_who_is_erased_is_not_stalled_any_more() -> None:
    history = two_consumers().unreadable(of_account()).add(of_consumer(), ConsumerErased())
    generation = MemoryGeneration()
    catch_up(ListSource(history.recorded), generation)
    assert list(generation.rows.scan(STALLED)) == []
    assert generation.rows.get(CONSUMERS, TENANT, ADA) is None
    assert generation.rows.get(CONSUMERS, TENANT, BOB) is not None


def test_a_connection_that_is_deleted_ends_no_stall() -> None:
    history = History().unreadable(of_consumer())
    history.add(of_connection(), ConnectionRequested(provider="budget_insight", data_types=ALL))
    history.add(of_connection(), ConnectionDeleted())
    generation = MemoryGeneration()
    catch_up(ListSource(history.recorded), generation)
    assert [row.consumer for row in generation.rows.scan(STALLED)] == [ADA]


@pytest.mark.parametrize("facts_max", [1, 100])
def test_a_fact_without_a_consumer_that_cannot_be_read_stops_the_generation_right_before_it(
    facts_max: int,
) -> None:
    history = two_consumers().unreadable(PROVIDER).add(PROVIDER, provider.ProviderEnabled())
    generation = MemoryGeneration()
    with pytest.raises(Stopped) as stopped:
        catch_up(ListSource(history.recorded), generation, facts_max=facts_max)
    assert stopped.value.position == 5
    assert generation.checkpoint() == 4
    assert len(list(generation.rows.scan(CONSUMERS))) == 2
    assert list(generation.rows.scan(PROVIDERS)) == []


def test_another_worker_makes_it_read_again() -> None:
    history = two_consumers()
    generation = MemoryGeneration()

    class Rival(ListSource):
        """While the first page is read, another worker projects it."""

        was_here = False

        def read(self, after: int, limit: int) -> Sequence[Recorded | Unreadable]:
            page = super().read(after, limit)
            if not self.was_here:
                self.was_here = True
                catch_up(ListSource(history.recorded[:3]), generation)
            return page

    assert catch_up(Rival(history.recorded), generation) == 4
    assert len(list(generation.rows.scan(CONSUMERS))) == 2


def test_it_stops_where_it_is_told_to() -> None:
    history = two_consumers()
    generation = MemoryGeneration()
    assert catch_up(ListSource(history.recorded), generation, upto=2) == 2
    assert catch_up(ListSource(history.recorded), generation, upto=1) == 2
    assert generation.rows.get(CONSUMERS, TENANT, BOB) is None


def test_progress_tells_position_head_and_transactions() -> None:
    history = two_consumers().add(of_account(), fetched(a_row(1, MARCH_1, 5), a_row(2, MARCH_1, 6)))
    told: list[tuple[int, int, int]] = []
    catch_up(
        ListSource(history.recorded),
        MemoryGeneration(),
        facts_max=2,
        progress=lambda *seen: told.append(seen),
    )
    assert told == [(2, 5, 0), (4, 5, 0), (5, 5, 2)]


def test_a_failure_of_the_store_ends_the_loop_and_undoes_the_transaction() -> None:
    class Full(MemoryGeneration):
        def commit(self, expected: int, position: int) -> None:
            raise OSError("no space left")

    generation = Full()
    with pytest.raises(OSError, match="no space"):
        catch_up(ListSource(two_consumers().recorded), generation)
    assert list(generation.rows.scan(CONSUMERS)) == []


def test_a_document_that_cannot_be_made_stalls_its_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    from projections import models

    def fail(rows: Any, tenant: str, consumer: str) -> None:
        if consumer == ADA:
            raise ValueError("secret")

    monkeypatch.setattr(models, "_finish", (fail,))
    generation = MemoryGeneration()
    catch_up(ListSource(two_consumers().recorded), generation)
    assert list(generation.rows.scan(STALLED)) == [Stalled(TENANT, ADA, 4, "document_failed:ValueError")]
