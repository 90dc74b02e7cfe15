"""What every log does, in memory or in a file."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.event_log.layout import leaf
from adapters.event_log.mapper import SealedMapper, Unwritable
from adapters.event_log.memory import MemoryEventLog
from adapters.event_log.sqlite import SqliteEventLog
from application.ports import (
    Append,
    Appended,
    Command,
    Conflict,
    KeyDestroyed,
    KeyMissing,
    LogError,
    Snapshot,
)
from domain import streams
from domain.fact import Erased
from projections.ports import Unreadable
from tests.event_log.conftest import Log, Source
from tests.event_log.examples import (
    ADA,
    ADAS_ACCOUNT,
    BOB,
    CHANGED,
    CLOSED,
    ERASED,
    MONDAY,
    REGISTERED,
    MemoryKeys,
    append_of,
    context,
    transactions,
)


async def test_what_was_appended_is_read_as_it_was_said(log: Log):
    said = context()
    appended = await log.append(append_of((ADA, 0, [REGISTERED, CHANGED]), said=said))
    first, second = await log.facts(ADA)
    assert appended == Appended(1, 2)
    assert (first.fact, second.fact) == (REGISTERED, CHANGED)
    assert (first.stream, first.version, first.position, first.name) == (ADA, 1, 1, "ConsumerRegistered.1")
    assert (second.version, second.position) == (2, 2)
    assert first.recorded_at == MONDAY
    assert first.actor == said.actor
    assert first.command_id == said.command_id
    assert (first.correlation_id, first.causation_id) == (said.correlation_id, said.causation_id)


async def test_a_thousand_transactions_are_one_fact(log: Log):
    fact = transactions(1_000)
    await log.append(append_of((ADAS_ACCOUNT, 0, [fact])))
    (recorded,) = await log.facts(ADAS_ACCOUNT)
    assert recorded.fact == fact


async def test_a_stream_is_read_between_two_versions(log: Log):
    await log.append(append_of((ADA, 0, [REGISTERED, CHANGED, ERASED])))
    assert [recorded.version for recorded in await log.facts(ADA, after=1)] == [2, 3]
    assert [recorded.version for recorded in await log.facts(ADA, upto=2)] == [1, 2]
    assert [recorded.version for recorded in await log.facts(ADA, after=1, upto=2)] == [2]
    assert list(await log.facts(ADA, after=3)) == []
    assert list(await log.facts(BOB)) == []


async def test_one_append_may_take_several_streams(log: Log):
    appended = await log.append(
        append_of((ADA, 0, [REGISTERED]), (ADAS_ACCOUNT, 0, [CLOSED]), (ADA, 1, [CHANGED]))
    )
    assert appended == Appended(1, 3)
    assert [recorded.position for recorded in await log.facts(ADA)] == [1, 3]
    assert [recorded.position for recorded in await log.facts(ADAS_ACCOUNT)] == [2]


async def test_a_conflict_on_one_stream_writes_to_none(log: Log):
    await log.append(append_of((ADA, 0, [REGISTERED])))
    with pytest.raises(Conflict):
        await log.append(
            append_of((BOB, 0, [REGISTERED]), (ADA, 0, [REGISTERED]), said=context(input_digest=b"i"))
        )
    assert list(await log.facts(BOB)) == []
    assert await log.head() == 1


@pytest.mark.parametrize("expected", [0, 2, 7], ids=["behind", "ahead", "far ahead"])
async def test_a_stream_must_be_at_the_expected_version(log: Log, expected: int):
    await log.append(append_of((ADA, 0, [REGISTERED])))
    with pytest.raises(Conflict):
        await log.append(append_of((ADA, expected, [CHANGED])))
    assert len(await log.facts(ADA)) == 1


async def test_a_change_without_facts_still_asks_for_the_version(log: Log):
    with pytest.raises(Conflict):
        await log.append(append_of((ADA, 1, [])))


async def test_positions_have_no_gaps_after_conflicts(log: Log):
    await log.append(append_of((ADA, 0, [REGISTERED])))
    with pytest.raises(Conflict):
        await log.append(append_of((BOB, 0, [REGISTERED]), (ADA, 0, [REGISTERED])))
    assert await log.append(append_of((BOB, 0, [REGISTERED]))) == Appended(2, 2)


async def test_a_command_is_stored_with_its_facts(log: Log):
    said = context(input_digest=b"what was asked")
    await log.append(append_of((BOB, 0, [REGISTERED])))
    await log.append(append_of((ADA, 0, [REGISTERED, CHANGED]), said=said, subject=ADA, subject_version=2))
    assert await log.command("acme", said.command_id) == Command(
        input_digest=b"what was asked", subject=ADA, version=2, first_position=2, last_position=3
    )
    assert await log.command("other", said.command_id) is None


async def test_a_command_that_changed_nothing_is_stored_too(log: Log):
    await log.append(append_of((ADA, 0, [REGISTERED])))
    said = context(input_digest=b"i")
    assert await log.append(append_of(said=said)) == Appended(2, 1)
    command = await log.command("acme", said.command_id)
    assert command is not None
    assert (command.first_position, command.last_position) == (2, 1)


async def test_a_command_without_digest_is_not_stored(log: Log):
    said = context()
    await log.append(append_of((ADA, 0, [REGISTERED]), said=said))
    assert await log.command("acme", said.command_id) is None


async def test_a_command_is_stored_once(log: Log):
    said = context(input_digest=b"i")
    await log.append(append_of((ADA, 0, [REGISTERED]), said=said))
    with pytest.raises(Conflict):
        await log.append(append_of((BOB, 0, [REGISTERED]), said=said))
    with pytest.raises(Conflict):
        await log.append(append_of(said=said))
    assert await log.head() == 1


async def test_an_append_may_ask_that_nothing_came_below_a_prefix(log: Log):
    await log.append(append_of((ADA, 0, [REGISTERED])))
    seen = await log.head()
    below_ada = streams.of_consumer("acme", "ada")
    await log.append(append_of((BOB, 0, [REGISTERED]), unchanged_since=(below_ada, seen)))
    await log.append(append_of((ADAS_ACCOUNT, 0, [CLOSED]), unchanged_since=(below_ada, seen)))
    with pytest.raises(Conflict):
        await log.append(append_of((BOB, 1, [CHANGED]), unchanged_since=(below_ada, seen)))
    assert len(await log.facts(BOB)) == 1


async def test_streams_are_found_by_their_beginning(log: Log):
    others = [streams.consumer_account("acme", "ada", id) for id in ("a", "b", "z")]
    neighbours = [
        streams.consumer("acme", "adam"),
        streams.consumer("acme", "ad"),
        streams.provider("acme", "x"),
    ]
    for stream in [*others[::-1], ADA, *neighbours]:
        await log.append(append_of((stream, 0, [CLOSED, CLOSED])))
    assert list(await log.streams("acme/ada/")) == sorted([ADA, *others])
    assert list(await log.streams(streams.of_consumer("acme", "ada", "consumer_account"))) == others
    assert list(await log.streams("")) == sorted([ADA, *others, *neighbours])
    assert list(await log.streams("none/")) == []


async def test_a_fact_has_a_position(log: Log):
    await log.append(append_of((BOB, 0, [REGISTERED]), (ADA, 0, [REGISTERED, CHANGED])))
    assert await log.position_of(ADA, 2) == 3
    assert await log.position_of(ADA, 0) == 0
    with pytest.raises(LogError):
        await log.position_of(ADA, 3)


async def test_the_head_of_an_wipe_is_zero(log: Log):
    assert await log.head() == 0
    assert await log.append(append_of()) == Appended(1, 0)


async def test_the_newest_snapshot_is_kept(log: Log):
    assert await log.snapshot(ADA) is None
    for version in (3, 5, 4):
        await log.keep_snapshot(Snapshot(ADA, version, "Consumer.1", MONDAY, b"state %d" % version * 500))
    assert await log.snapshot(ADA) == Snapshot(ADA, 5, "Consumer.1", MONDAY, b"state 5" * 500)
    assert await log.snapshot(BOB) is None


async def test_a_fact_whose_key_was_destroyed_is_erased(log: Log, keys: MemoryKeys, source: Source):
    await log.append(append_of((ADA, 0, [REGISTERED]), (ADAS_ACCOUNT, 0, [CLOSED]), (BOB, 0, [REGISTERED])))
    await log.keep_snapshot(Snapshot(ADA, 1, "Consumer.1", MONDAY, b"state"))
    await log.append(append_of((ADA, 1, [ERASED])))
    keys.destroy("acme/ada")
    first, second = await log.facts(ADA)
    assert first.fact == Erased("ConsumerRegistered.1")
    assert (first.version, first.position, first.recorded_at) == (1, 1, MONDAY)
    assert second.fact == ERASED
    assert [recorded.fact for recorded in await log.facts(ADAS_ACCOUNT)] == [Erased("AccountClosed.1")]
    assert [recorded.fact for recorded in await log.facts(BOB)] == [REGISTERED]
    assert await log.snapshot(ADA) is None
    assert [type(recorded.fact) for recorded in source.read(0, 10)] == [
        Erased,
        Erased,
        type(REGISTERED),
        type(ERASED),
    ]


async def test_nothing_is_written_under_a_destroyed_key(log: Log, keys: MemoryKeys):
    await log.append(append_of((ADA, 0, [REGISTERED])))
    keys.destroy("acme/ada")
    with pytest.raises(KeyDestroyed):
        await log.append(append_of((BOB, 0, [REGISTERED]), (ADA, 1, [CHANGED])))
    await log.keep_snapshot(Snapshot(ADA, 1, "Consumer.1", MONDAY, b"state"))
    assert await log.snapshot(ADA) is None
    assert await log.head() == 1


async def test_a_missing_key_is_no_erasure(log: Log, keys: MemoryKeys, source: Source):
    await log.append(append_of((ADA, 0, [REGISTERED]), (BOB, 0, [REGISTERED])))
    keys.lose("acme/ada")
    with pytest.raises(KeyMissing):
        await log.facts(ADA)
    unreadable, readable = source.read(0, 10)
    assert unreadable == Unreadable(
        stream=ADA, version=1, position=1, name="ConsumerRegistered.1", reason="key_missing"
    )
    assert readable.fact == REGISTERED


async def test_a_fact_that_could_not_be_read_again_is_not_written(log: Log):
    wrong = type(CLOSED)(reason=7)  # type: ignore[arg-type]
    for fact in (wrong, Erased("AccountClosed.1"), object()):
        with pytest.raises(Unwritable):
            await log.append(append_of((ADAS_ACCOUNT, 0, [CLOSED, fact])))
    with pytest.raises(Unwritable):
        await log.append(append_of(("no stream", 0, [CLOSED])))
    assert await log.head() == 0


async def test_a_source_reads_in_order_from_anywhere(log: Log, source: Source):
    await log.append(append_of((ADA, 0, [REGISTERED])))
    await log.append(append_of((BOB, 0, [REGISTERED]), (ADA, 1, [CHANGED])))
    assert source.head() == 3
    assert [recorded.position for recorded in source.read(0, 10)] == [1, 2, 3]
    assert [recorded.position for recorded in source.read(1, 1)] == [2]
    assert list(source.read(3, 10)) == []
    assert [recorded.stream for recorded in source.read(0, 10)] == [ADA, BOB, ADA]


async def test_every_fact_has_its_leaf(log: Log, source: Source):
    await log.append(append_of((ADA, 0, [REGISTERED, CHANGED]), (BOB, 0, [REGISTERED])))
    rows = source.raw(0, 10)
    assert [row.position for row in rows] == [1, 2, 3]
    assert all(row.leaf == leaf(row.stream, row.version, row.name, row.state) for row in rows)


async def test_the_new_head_is_told_after_each_commit(log: Log):
    heads: list[int] = []
    log.on_commit.append(heads.append)
    await log.append(append_of((ADA, 0, [REGISTERED, CHANGED])))
    await log.append(append_of(said=context(input_digest=b"i")))
    with pytest.raises(Conflict):
        await log.append(append_of((ADA, 0, [REGISTERED])))
    await log.append(append_of((BOB, 0, [REGISTERED])))
    await asyncio.sleep(0)
    assert heads == [2, 3]


NAMES = ("a", "b", "c")
CHANGES = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 4), st.integers(0, 3)),
    min_size=1,
    max_size=3,
    unique_by=lambda change: change[0],
)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@given(plans=st.lists(st.tuples(CHANGES, st.integers(0, 4), st.none() | st.integers(0, 6)), max_size=12))
def test_concurrent_appends_are_as_if_one_came_after_the_other(kind: str, plans: list):
    """Each either conflicts and leaves nothing, or is written whole at the versions it expected."""

    async def run(log: Log) -> None:
        appends = [
            append_of(
                *(
                    (streams.consumer("acme", name), version, [CHANGED] * count)
                    for name, version, count in changes
                ),
                said=context(command_id=bytes([command]) * 16, input_digest=b"i"),
                unchanged_since=None if since is None else ("acme/a/", since),
            )
            for changes, command, since in plans
        ]
        answers = await asyncio.gather(*(log.append(append) for append in appends), return_exceptions=True)
        assert all(isinstance(answer, Appended | Conflict) for answer in answers)
        written = [pair for pair in zip(appends, answers, strict=True) if isinstance(pair[1], Appended)]
        written.sort(key=lambda pair: (pair[1].last_position, pair[1].first_position))
        await same_as_a_model(log, written)

    with tempfile.TemporaryDirectory() as folder:
        mapper = SealedMapper(MemoryKeys())
        log = (
            MemoryEventLog(mapper)
            if kind == "memory"
            else SqliteEventLog(Path(folder) / "log.sqlite3", mapper)
        )
        try:
            asyncio.run(run(log))
        finally:
            log.close()


async def same_as_a_model(log: Log, written: list[tuple[Append, Appended]]) -> None:
    versions: dict[str, int] = {}
    commands: set[bytes] = set()
    head = 0
    for append, appended in written:
        for change in append.changes:
            assert versions.get(change.stream, 0) == change.expected_version
            versions[change.stream] = change.expected_version + len(change.facts)
        assert appended.first_position == head + 1
        head = appended.last_position
        commands.add(append.context.command_id)
    assert len(commands) == len(written)
    assert await log.head() == head == sum(versions.values())
    for stream, version in versions.items():
        assert [recorded.version for recorded in await log.facts(stream)] == list(range(1, version + 1))
