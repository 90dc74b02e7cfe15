"""Rebuilding beside the live generation, switching, comparing, and what happens when it is cut off."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.read_models import pointer
from adapters.read_models.generations import RebuildRunning, audit, open_live, rebuild, remove_predecessors
from adapters.read_models.queries import SqliteReadModels
from domain import provider, streams
from domain.consumer import ConsumerErased
from domain.fact import Recorded
from projections.catch_up import Stopped, catch_up
from projections.ports import Unreadable
from tests.projections.examples import (
    ADA,
    BOB,
    MARCH_1,
    SAVINGS,
    TENANT,
    History,
    ListSource,
    a_row,
    discovered,
    fetched,
    modified,
    of_account,
    of_consumer,
    reading,
    registered,
    removed,
)


def a_history() -> History:
    rows = (a_row(number, MARCH_1 - number, 100 * number - 999, kind="card") for number in range(300))
    history = History().add(of_consumer(), registered()).add(of_account(), discovered(), fetched(*rows))
    history.add(
        of_account(), modified(a_row(3, MARCH_1, -1), a_row(4, MARCH_1, 5, pending=True)), removed(5, 6)
    )
    history.add(of_consumer(BOB), registered()).add(
        of_account(SAVINGS, BOB), discovered("SAVINGS"), reading(9_00)
    )
    return history


def test_the_first_generation_is_built_from_the_log_alone(tmp_path: Path) -> None:
    directory = tmp_path / "read_models"
    told: list[tuple[int, int, int]] = []
    built = rebuild(ListSource(a_history().recorded), directory, lambda *seen: told.append(seen))
    assert (built.number, built.position, built.comparison) == (1, 8, None)
    assert told == [(8, 8, 304)]
    assert pointer.current(directory) == 1
    assert os.stat(directory).st_mode & 0o777 == 0o700
    assert sorted(path.name for path in directory.iterdir()) == [
        "current",
        "generation-1.sqlite3",
        "rebuild.lock",
    ]


def test_a_rebuild_is_equal_to_what_was_live(tmp_path: Path) -> None:
    source = ListSource(a_history().recorded)
    rebuild(ListSource(source.recorded[:3]), tmp_path)
    live = open_live(tmp_path)
    for facts_max in (1, 2):
        catch_up(source, live, facts_max=facts_max, upto=5)
    live.close()
    built = rebuild(source, tmp_path)
    assert (built.number, built.position, built.comparison.is_equal) == (2, 8, True)
    assert built.comparison.position == 8
    assert built.comparison.first == built.comparison.second
    third = rebuild(source, tmp_path)
    assert third.comparison.position == 8
    assert pointer.numbers(tmp_path) == [2, 3]


def test_one_cent_changed_in_a_live_row_is_named(tmp_path: Path) -> None:
    source = ListSource(a_history().recorded)
    rebuild(source, tmp_path)
    live = open_live(tmp_path)
    live._connection.execute("UPDATE transactions SET amount = amount + 1 WHERE reference = '17'")
    live.close()
    comparison = audit(source, tmp_path)
    assert not comparison.is_equal
    assert (comparison.difference.table, comparison.difference.columns) == ("transactions", ("amount",))
    assert not (tmp_path / "audit.sqlite3").exists()
    assert not rebuild(source, tmp_path).comparison.is_equal
    assert audit(source, tmp_path).is_equal


def test_an_audit_catches_up_a_live_generation_that_is_behind(tmp_path: Path) -> None:
    assert audit(ListSource(()), tmp_path) is None
    source = ListSource(a_history().recorded)
    rebuild(ListSource(source.recorded[:4]), tmp_path)
    comparison = audit(source, tmp_path)
    assert (comparison.position, comparison.is_equal) == (8, True)


def test_an_erasure_in_the_middle_of_a_comparison_is_no_difference(tmp_path: Path) -> None:
    history = a_history()
    rebuild(ListSource(history.recorded), tmp_path)

    class Erasing(ListSource):
        """The key is gone already, and the fact that tells of it comes when the head is looked at."""

        def head(self) -> int:
            if len(self.recorded) == 8:
                history.add(of_consumer(), ConsumerErased())
                self.recorded = history.after_destroying([f"{TENANT}/{ADA}/"]).recorded
            return super().head()

    source = Erasing(history.after_destroying([f"{TENANT}/{ADA}/"]).recorded)
    comparison = audit(source, tmp_path)
    assert (comparison.position, comparison.is_equal) == (9, True)


def test_facts_that_come_while_it_is_built_are_not_lost(tmp_path: Path) -> None:
    history = a_history()
    rebuild(ListSource(history.recorded), tmp_path)
    live = open_live(tmp_path)

    class Growing(ListSource):
        """The log grows, and the projector keeps the old generation at its head, with every look."""

        left = 20

        def read(self, after: int, limit: int) -> Sequence[Recorded | Unreadable]:
            if self.left:
                self.left -= 1
                history.add(of_account(), fetched(a_row(1_000 + self.left, MARCH_1, 5)))
                catch_up(ListSource(history.recorded), live)
            return super().read(after, limit)

    built = rebuild(Growing(history.recorded), tmp_path)
    assert built.comparison.is_equal
    assert built.position == len(history.recorded)
    ask = SqliteReadModels(tmp_path)
    assert ask.position() == built.position
    ask.close()
    live.close()


def test_one_that_fails_leaves_the_live_one_alone(tmp_path: Path) -> None:
    history = a_history()
    rebuild(ListSource(history.recorded), tmp_path)
    history.unreadable(streams.provider(TENANT, "budget_insight"))
    history.add(streams.provider(TENANT, "budget_insight"), provider.ProviderEnabled())
    with pytest.raises(Stopped):
        rebuild(ListSource(history.recorded), tmp_path)
    assert (pointer.current(tmp_path), pointer.numbers(tmp_path)) == (1, [1])


def test_two_do_not_run_at_once(tmp_path: Path) -> None:
    history = a_history()

    def again(*_: Any) -> None:
        with pytest.raises(RebuildRunning):
            rebuild(ListSource(history.recorded), tmp_path)

    rebuild(ListSource(history.recorded), tmp_path, again)


def test_what_was_cut_off_is_swept_away(tmp_path: Path) -> None:
    source = ListSource(a_history().recorded)
    rebuild(source, tmp_path)
    pointer.path_of(tmp_path, 2).write_bytes(b"half a generation")
    (tmp_path / "audit.sqlite3").write_bytes(b"half an audit")
    assert rebuild(source, tmp_path).number == 2
    assert not (tmp_path / "audit.sqlite3").exists()


def test_one_can_be_rolled_back_to_its_predecessor(tmp_path: Path) -> None:
    source = ListSource(a_history().recorded)
    rebuild(source, tmp_path)
    rebuild(source, tmp_path)
    pointer.switch(tmp_path, 1)
    assert open_live(tmp_path).checkpoint() == 8
    remove_predecessors(tmp_path)
    assert 1 in pointer.numbers(tmp_path)


def test_a_consumer_erased_while_it_is_built_is_in_no_generation(tmp_path: Path) -> None:
    history = a_history()
    rebuild(ListSource(history.recorded), tmp_path)
    history.add(of_consumer(), ConsumerErased())
    source = ListSource(history.after_destroying([f"{TENANT}/{ADA}/"]).recorded)
    assert rebuild(source, tmp_path).comparison.is_equal
    # The old one is not kept: it may not have heard of it.
    assert pointer.numbers(tmp_path) == [2]


def test_after_an_erasure_a_rebuild_is_equal_all_the_same(tmp_path: Path) -> None:
    history = a_history()
    rebuild(ListSource(history.recorded), tmp_path)
    history.add(of_consumer(), ConsumerErased())
    source = ListSource(history.after_destroying([f"{TENANT}/{ADA}/"]).recorded)
    live = open_live(tmp_path)
    catch_up(source, live)
    live.close()
    assert rebuild(source, tmp_path).comparison.is_equal
