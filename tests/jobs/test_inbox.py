"""The inbox as a file: what it remembers, for how long, and across restarts; the ledger of asks that is in it."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.durable_file import CannotOpen
from adapters.jobs.inbox import KEPT, SqliteInbox
from application.ports import AskLedger, LogUnavailable
from tests.application.inbox import MemoryInbox

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
ONE, OTHER = b"e" * 32, b"f" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inbox.sqlite3"


@pytest.fixture
def inbox(path: Path) -> Iterator[SqliteInbox]:
    inbox = SqliteInbox(path)
    yield inbox
    inbox.close()


@pytest.fixture(params=["in memory", "as a file"])
def ledger(request: pytest.FixtureRequest) -> AskLedger:
    return MemoryInbox() if request.param == "in memory" else request.getfixturevalue("inbox")


async def test_a_push_is_taken_once_at_each_endpoint(inbox: SqliteInbox) -> None:
    assert await inbox.take(ONE, b"1", ["s"], AT)
    assert not await inbox.take(ONE, b"1", ["t"], AT)
    assert await inbox.take(OTHER, b"1", ["s"], AT) and await inbox.take(ONE, b"2", [], AT)
    assert await inbox.waiting() == ["s"]
    taken = await asyncio.gather(*(inbox.take(ONE, b"3", ["u"], AT) for _ in range(20)))
    assert sorted(taken) == [False] * 19 + [True]
    await inbox.done("s")
    assert await inbox.waiting() == ["u"]


async def test_all_of_it_outlives_the_process(inbox: SqliteInbox, path: Path) -> None:
    await inbox.take(ONE, b"1", ["s"], AT)
    await inbox.open_endpoint(ONE, "acme", "budget_insight")
    await inbox.index("s", [b"n", b"m"])
    await inbox.index("t", [b"n"])
    assert not await inbox.is_indexed()
    await inbox.set_indexed()
    inbox.close()
    again = SqliteInbox(path)
    assert not await again.take(ONE, b"1", ["s"], AT)
    assert await again.waiting() == ["s"]
    assert await again.tenant_of(ONE, "budget_insight") == "acme"
    assert await again.tenant_of(ONE, "other") is await again.tenant_of(OTHER, "budget_insight") is None
    assert (await again.streams_of(b"n"), await again.streams_of(b"x")) == (["s", "t"], [])
    assert await again.is_indexed()
    again.close()


async def test_pushes_are_forgotten_when_they_would_be_refused_for_their_age(inbox: SqliteInbox) -> None:
    assert KEPT >= timedelta(days=2)
    await inbox.take(ONE, b"1", [], AT)
    assert not await inbox.take(ONE, b"1", [], AT + KEPT)
    assert await inbox.take(ONE, b"2", [], AT + KEPT + timedelta(seconds=1))
    assert await inbox.take(ONE, b"1", [], AT + KEPT + timedelta(seconds=1))


async def test_each_ask_for_a_connection_counts(ledger: AskLedger) -> None:
    later = AT + timedelta(microseconds=1)
    for stream, at in (("s", later), ("s", AT), ("t", AT), ("s", AT)):
        await ledger.note_ask(stream, at)
    before = AT - timedelta(microseconds=1)
    assert await ledger.asks_since("s", before) == [AT, AT, later]
    assert await ledger.asks_since("s", AT) == [later]
    assert await ledger.asks_since("s", later) == []
    assert await ledger.asks_since("t", before) == [AT]
    assert await ledger.asks_since("u", before) == []


async def test_asks_are_forgotten_when_no_rule_looks_back_so_far(ledger: AskLedger) -> None:
    always = datetime(1970, 1, 1, tzinfo=UTC)
    await ledger.note_ask("s", AT)
    await ledger.note_ask("t", AT + KEPT)
    assert await ledger.asks_since("s", always) == [AT]
    await ledger.note_ask("t", AT + KEPT + timedelta(microseconds=1))
    assert await ledger.asks_since("s", always) == []
    assert len(await ledger.asks_since("t", always)) == 2


async def test_an_ask_noted_under_a_clock_that_ran_ahead_still_counts(ledger: AskLedger) -> None:
    ahead = AT + timedelta(hours=26)
    await ledger.note_ask("s", ahead)
    await ledger.note_ask("s", AT)
    assert await ledger.asks_since("s", AT - timedelta(hours=24)) == [AT, ahead]


async def test_asks_outlive_the_process(inbox: SqliteInbox, path: Path) -> None:
    await asyncio.gather(*(inbox.note_ask("s", AT) for _ in range(4)))
    inbox.close()
    with pytest.raises(LogUnavailable):
        await inbox.asks_since("s", AT)
    with pytest.raises(LogUnavailable):
        await inbox.note_ask("s", AT)
    again = SqliteInbox(path)
    assert await again.asks_since("s", AT - timedelta(hours=24)) == [AT] * 4
    again.close()


async def test_it_is_private_and_for_one_service(inbox: SqliteInbox, path: Path) -> None:
    await inbox.take(ONE, b"1", [], AT)
    assert {stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()} == {0o600}
    with pytest.raises(CannotOpen):
        SqliteInbox(path)
    inbox.close()
    with pytest.raises(LogUnavailable):
        await inbox.waiting()


def test_a_damaged_file_says_what_to_do(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(CannotOpen, match="removed"):
        SqliteInbox(path)
    path.unlink()
    SqliteInbox(path).close()
