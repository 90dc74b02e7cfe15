"""The parts of a simulated world: the writer without a thread, the machine, and what a death leaves on the disk."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.event_log.mapper import SealedMapper
from adapters.event_log.sqlite import SqliteEventLog
from adapters.event_log.writer import InlineWriter
from adapters.keys.keyring import SqliteKeyRing
from adapters.keys.master import MasterKey
from application.ports import Append, Change, Conflict, Context, LogUnavailable
from domain import streams
from domain.provider import ProviderEnabled
from scripts.histories import loop
from scripts.histories.machine import KINDS, POINTS, Killed, Machine
from scripts.histories.world import World

AT = datetime(2026, 3, 2, tzinfo=UTC)
STREAM = streams.provider("acme", "budget_insight")


def an_append(version: int, command: int) -> Append:
    return Append(
        context=Context(tenant="acme", actor="test", command_id=command.to_bytes(16, "big")),
        recorded_at=AT,
        changes=(Change(STREAM, version, (ProviderEnabled(),)),),
        subject=STREAM,
        subject_version=version + 1,
    )


def opened(folder: Path, **more: Any) -> SqliteEventLog:
    keys = SqliteKeyRing(folder / "keys.sqlite3", MasterKey(b"k" * 32))
    return SqliteEventLog(folder / "log.sqlite3", SealedMapper(keys), writer=InlineWriter, **more)


def test_the_writer_without_a_thread_commits_together_and_refuses_alone(tmp_path: Path) -> None:
    begun: list[str] = []
    told: list[int] = []

    async def write() -> list[Any]:
        log = opened(tmp_path, point=begun.append)
        log.on_commit.append(told.append)
        try:
            return await asyncio.gather(
                *(log.append(an_append(version, number)) for number, version in enumerate((0, 1, 1, 2))),
                return_exceptions=True,
            )
        finally:
            log.close()

    outcomes = loop.run(write())
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "Appended",
        "Appended",
        "Conflict",
        "Appended",
    ]
    assert isinstance(outcomes[2], Conflict)
    assert begun.count("begin") == begun.count("committed") == begun.count("reply") == 1
    assert begun.count("insert") == 3 and told == [3]


def test_the_writer_without_a_thread_takes_as_long_as_it_is_told(tmp_path: Path) -> None:
    async def write() -> float:
        keys = SqliteKeyRing(tmp_path / "keys.sqlite3", MasterKey(b"k" * 32))
        running = asyncio.get_running_loop()
        log = SqliteEventLog(
            tmp_path / "log.sqlite3",
            SealedMapper(keys),
            writer=lambda *args, **more: InlineWriter(
                *args, later=lambda call: running.call_later(45.0, call), **more
            ),
        )
        await log.append(an_append(0, 1))
        log.close()
        with pytest.raises(LogUnavailable):
            await log.append(an_append(1, 2))
        return running.time()

    assert loop.run(write()) == pytest.approx(45.0)


@pytest.mark.parametrize(("point", "kept"), [("begin", 0), ("insert", 0), ("commit", 0), ("committed", 1)])
def test_a_death_leaves_what_lay_on_the_disk(tmp_path: Path, point: str, kept: int) -> None:
    """What was committed is there, what was not is not, and both open again."""

    async def live() -> tuple[int, int]:
        world = World(1, tmp_path, lies={}, faults={})
        await world.open()
        before = await world.life.log.head()
        world.machine.arm(point, 1)
        task = world.life.during("an append", lambda: world.life.log.append(an_append(0, 7)))
        await asyncio.wait({task})
        assert world.life.dead and (task.cancelled() or isinstance(task.exception(), Killed))
        await world.restart()
        after = await world.life.log.head()
        await world.close()
        return before, after

    assert loop.run(live()) == (0, kept)
    assert not list(tmp_path.glob("life-0"))


def test_a_full_and_a_locked_disk_refuse_and_recover(tmp_path: Path) -> None:
    async def live() -> list[str]:
        world = World(1, tmp_path, lies={}, faults={})
        await world.open()
        said = []
        for number, fail in enumerate((world.life.fill_disk, world.life.lock_disk)):
            fail()
            try:
                for version in range(200):
                    await world.life.log.append(an_append(version, 1_000 * number + version))
            except (LogUnavailable, Conflict) as error:
                said.append(type(error).__name__)
            world.life.free_disk()
        head = await world.life.log.head()
        await world.life.log.append(an_append(head, 9_999))
        await world.close()
        return said

    assert loop.run(live()) == ["LogUnavailable", "LogUnavailable"]


def test_the_machine_counts_what_goes_wrong() -> None:
    machine = Machine(random.Random(1), dict.fromkeys(KINDS, 1.0), AT)
    assert machine.happens("L08") and machine.pause() > 0 and machine.tried["L06"] == 1
    for _ in range(200):
        machine.jump()
        assert abs(machine.clock.ahead) <= timedelta(hours=26)
    machine.arm("commit", 2)
    assert not machine.reached("begin")
    assert [machine.reached("commit") for _ in range(3)] == [False, True, False]
    machine.slow_down()
    assert machine.commit_seconds() >= 0 and machine.tried["L04"] == 1
    machine.stop()
    assert not machine.happens("L01") and not machine.clock.ahead and not machine.pause()
    assert machine.commit_seconds() == machine.lag_seconds() == 0.0
    assert len(set(POINTS)) == len(POINTS)


def test_sqlite_is_what_refuses() -> None:
    """A full disk is SQLite's own refusal, so that it comes where it really comes."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE t (x)")
    connection.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
