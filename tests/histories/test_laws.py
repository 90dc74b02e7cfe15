"""Each law is broken on purpose, and says so: a law that nothing can break proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from adapters.budget_insight import gateway
from application import consumers, execute, farewell, fetching, recording, sync_run
from domain import consumer_account, data_connection
from domain.data_connection import FETCH_ERROR, SyncFailed
from scripts.histories import campaign, machine, world
from scripts.histories.run import simulate

#: Seeds that are tried until the law is broken: not everything happens in each.
SEEDS_MAX = 25

Plant = Callable[[pytest.MonkeyPatch], None]


def forget_what_is_known(patch: pytest.MonkeyPatch) -> None:
    """Every row is taken for new."""
    real = consumer_account.record_transactions

    def record(transactions: Any, known: Any, *more: Any) -> Any:
        return real(transactions, {}, *more)

    patch.setattr(consumer_account, "record_transactions", record)


def lose_some_rows(patch: pytest.MonkeyPatch) -> None:
    """The watermark moves on, and they are never read again."""
    real = gateway.translate.transaction

    def read(row: Any, **more: Any) -> Any:
        return None if row["id"] % 5 == 0 else real(row, **more)

    patch.setattr(gateway.translate, "transaction", read)


def succeed_as_failure(patch: pytest.MonkeyPatch) -> None:
    def succeed(connection: Any, succeeded: Any) -> Any:
        return (SyncFailed(sync_id=succeeded.sync_id, status=FETCH_ERROR, reason="none"),)

    patch.setattr(data_connection, "succeed", succeed)


def keep_rows_of_a_failure(patch: pytest.MonkeyPatch) -> None:
    """Rows are written by themselves, and the end of the sync apart from them."""
    real = recording.data_connection.succeed

    def record_in_two(connection: Any, succeeded: Any) -> Any:
        real(connection, succeeded)
        return ()

    patch.setattr(data_connection, "succeed", record_in_two)


def ask_without_counting(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fetching, "UNATTENDED_ASKS_MAX", 1_000)


def forget_commands(patch: pytest.MonkeyPatch) -> None:
    """Whoever repeats a command is never told what came of it."""

    async def find_repeated(services: Any, context: Any) -> None:
        return None

    patch.setattr(execute, "find_repeated", find_repeated)


def touch_the_read_models(patch: pytest.MonkeyPatch) -> None:
    """What is live holds what the log never said."""
    real = world._Generation.commit

    def commit(generation: Any, expected: int, position: int) -> None:
        generation._rows.write()
        generation._connection.execute("UPDATE consumers SET name = 'somebody else'")
        real(generation, expected, position)

    patch.setattr(world._Generation, "commit", commit)


def misread_amounts(patch: pytest.MonkeyPatch) -> None:
    real = gateway.translate.transaction

    def read(row: Any, **more: Any) -> Any:
        found = real(row, **more)
        if found is None or found[1].amount is None:
            return found
        account, transaction = found
        return account, replace(transaction, amount=transaction.amount + 1)

    patch.setattr(gateway.translate, "transaction", read)


def ignore_deletions(patch: pytest.MonkeyPatch) -> None:
    real = gateway.translate.transaction

    def read(row: Any, **more: Any) -> Any:
        found = real(row, **more)
        return found if found is None else (found[0], replace(found[1], deleted=False))

    patch.setattr(gateway.translate, "transaction", read)


def never_connect(patch: pytest.MonkeyPatch) -> None:
    def connect(connection: Any, **more: Any) -> Any:
        return ()

    patch.setattr(data_connection, "connect", connect)


def never_leave(patch: pytest.MonkeyPatch) -> None:
    """What is deleted here stays at the provider."""

    async def begin(services: Any, subject: str) -> None:
        pass

    patch.setattr(farewell, "begin", begin)


def never_end_a_sync(patch: pytest.MonkeyPatch) -> None:
    async def fail(run: Any, failed: Any) -> None:
        pass

    patch.setattr(sync_run, "fail", fail)


def trip_over_a_defect(patch: pytest.MonkeyPatch) -> None:
    async def change(*_: Any, **__: Any) -> None:
        raise TypeError("a defect")

    patch.setattr(consumers, "register", change)


@pytest.mark.parametrize(
    ("law", "plant"),
    [
        (0, trip_over_a_defect),
        (1, forget_what_is_known),
        (2, lose_some_rows),
        (3, succeed_as_failure),
        (3, keep_rows_of_a_failure),
        (4, ask_without_counting),
        (5, forget_commands),
        (6, touch_the_read_models),
        (7, misread_amounts),
        (7, ignore_deletions),
        (8, never_connect),
        (9, never_leave),
        (9, never_end_a_sync),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_law_that_is_broken_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, law: int, plant: Plant
) -> None:
    plant(monkeypatch)
    said = []
    for seed in range(1, SEEDS_MAX + 1):
        told = simulate(seed, tmp_path)
        if told.broken is not None:
            said.append(told.broken)
            assert told.trace
            if told.broken.startswith(f"law {law}:"):
                return
    pytest.fail(f"law {law} was never broken; these were: {said}")


def test_two_runs_that_differ_have_two_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """10: of some seeds the campaign tells the history twice."""
    monkeypatch.setattr(machine.Ids, "uuid", lambda ids: str(uuid4()))
    assert simulate(3, tmp_path).hash != simulate(3, tmp_path).hash
    (told,) = campaign.tell_all([campaign.TWICE_EVERY])
    assert told.broken is not None and told.broken.startswith("law 10:")
