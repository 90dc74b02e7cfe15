"""What a seal holds together, and what it says when it is broken."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime

import msgspec
import pytest
from eventsourcing.persistence import StoredEvent

from adapters.event_log.layout import join, split
from adapters.event_log.mapper import PLAIN, ZSTD, Envelope, SealedMapper, Unreadable, Unwritable, scope_of
from application.ports import KeyMissing, Snapshot
from domain import consumer, registry, streams
from domain.fact import Fact
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
    context,
    transactions,
)

SECRET = "Amélie"
NAMED = consumer.ConsumerDetailsChanged(details=consumer.Details(name=SECRET, birthdate=date(1984, 2, 29)))


@pytest.fixture
def mapper(keys: MemoryKeys) -> SealedMapper:
    return SealedMapper(keys)


def sealed(mapper: SealedMapper, fact: Fact = NAMED, stream: str = ADA, version: int = 2) -> StoredEvent:
    return mapper.seal(stream, version, fact, MONDAY, context())


def envelope_of(event: StoredEvent) -> Envelope:
    head, _ = split(event.state)
    return msgspec.msgpack.decode(head[1:], type=Envelope)


def test_nothing_of_a_fact_is_in_clear(mapper: SealedMapper):
    assert SECRET.encode() not in sealed(mapper).state


def test_an_envelope_is_an_array_in_clear(mapper: SealedMapper, keys: MemoryKeys):
    head, _ = split(sealed(mapper).state)
    codec, recorded_at, actor, command_id, correlation_id, causation_id, key_id, nonce = (
        msgspec.msgpack.decode(head[1:])
    )
    assert (codec, actor, correlation_id, causation_id) == (PLAIN, "key:1", b"correlation", b"causation")
    assert recorded_at == 1_772_442_000_123_456
    assert (len(command_id), len(nonce)) == (16, 12)
    assert keys.scope_of(key_id) == "acme/ada"


def test_an_envelope_may_grow_at_its_end(mapper: SealedMapper):
    envelope = envelope_of(sealed(mapper))
    grown = msgspec.msgpack.encode([*msgspec.structs.astuple(envelope), "a field of the future"])
    assert msgspec.msgpack.decode(grown, type=Envelope) == envelope


def test_large_bodies_are_compressed(mapper: SealedMapper):
    fact = transactions(1_000)
    event = sealed(mapper, fact, ADAS_ACCOUNT)
    assert envelope_of(event).codec == ZSTD
    assert len(event.state) < len(msgspec.msgpack.encode(fact)) / 2
    assert mapper.to_domain_event(event).fact == fact


def test_no_nonce_is_used_twice(mapper: SealedMapper):
    assert len({envelope_of(sealed(mapper)).nonce for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize(
    "place",
    [
        (BOB, 2, "ConsumerDetailsChanged.1"),
        (ADA, 3, "ConsumerDetailsChanged.1"),
        (ADA, 2, "ConsumerRegistered.1"),
    ],
    ids=["stream", "version", "name"],
)
def test_a_body_opens_only_in_its_place(mapper: SealedMapper, place: tuple[str, int, str]):
    stream, version, name = place
    with pytest.raises(Unreadable) as refused:
        mapper.open(stream, version, name, sealed(mapper).state)
    assert refused.value.reason == "seal_broken"
    assert all(said in str(refused.value) for said in (stream, str(version), name))
    assert SECRET not in str(refused.value)


def test_a_body_does_not_open_under_another_envelope(mapper: SealedMapper):
    event = sealed(mapper)
    _, body = split(event.state)
    backdated = msgspec.structs.replace(envelope_of(event), recorded_at=0)
    with pytest.raises(Unreadable, match="seal"):
        mapper.open(ADA, 2, event.topic, join(msgspec.msgpack.encode(backdated), body))


def test_no_byte_can_be_flipped(mapper: SealedMapper):
    event = sealed(mapper)
    for index in range(len(event.state)):
        state = bytearray(event.state)
        state[index] ^= 1
        # A flip within the key id names a key that never was: missing, which is no erasure either.
        with pytest.raises((Unreadable, KeyMissing)):
            mapper.open(ADA, 2, event.topic, bytes(state))
    for length in range(len(event.state)):
        with pytest.raises(Unreadable):
            mapper.open(ADA, 2, event.topic, event.state[:length])


def test_an_unknown_name_imports_nothing(mapper: SealedMapper):
    before = set(sys.modules)
    for name in ("this:d", "ConsumerRegistered.2", ""):
        with pytest.raises(Unreadable) as refused:
            mapper.open(ADA, 1, name, sealed(mapper).state)
        assert refused.value.reason == "unknown_name"
    assert set(sys.modules) == before


def test_a_format_of_the_future_is_refused(mapper: SealedMapper):
    event = sealed(mapper)
    with pytest.raises(Unreadable, match="format"):
        mapper.open(ADA, 2, event.topic, b"\x02" + event.state[1:])


def test_somebody_elses_erased_fact_is_no_erasure(mapper: SealedMapper, keys: MemoryKeys):
    bobs = sealed(mapper, stream=BOB)
    sealed(mapper)
    keys.destroy("acme/bob")
    with pytest.raises(Unreadable) as refused:
        mapper.open(ADA, 2, bobs.topic, bobs.state)
    assert refused.value.reason == "seal_broken"


def test_a_snapshot_is_no_fact_and_a_fact_no_snapshot(mapper: SealedMapper):
    event = sealed(mapper)
    state = mapper.seal_snapshot(Snapshot(ADA, 2, event.topic, MONDAY, msgspec.msgpack.encode(NAMED)))
    with pytest.raises(Unreadable, match="seal"):
        mapper.open(ADA, 2, event.topic, state)
    assert mapper.open_snapshot(ADA, 2, event.topic, event.state) is None
    assert mapper.open_snapshot(ADA, 3, event.topic, state) is None


def test_each_fact_is_sealed_for_whom_it_is_about():
    assert scope_of(streams.provider("acme", "budget_insight")) == "acme"
    assert scope_of(ADA, "ConsumerRegistered.1") == "acme/ada"
    assert scope_of(ADA, "ConsumerErased.1") == "acme"
    assert scope_of(ADAS_ACCOUNT) == "acme/ada/checking"
    assert scope_of(streams.data_connection("acme", "ada", "c")) == "acme/ada/c"
    for stream in ("acme/ada", "acme/ada/house/1", ""):
        with pytest.raises(ValueError):
            scope_of(stream)


def test_that_a_consumer_was_erased_is_read_without_their_key(mapper: SealedMapper, keys: MemoryKeys):
    event = sealed(mapper, ERASED)
    sealed(mapper)
    keys.destroy("acme/ada")
    assert mapper.to_domain_event(event).fact == ERASED


@pytest.mark.parametrize(
    "recorded_at", [MONDAY, datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), datetime.max.replace(tzinfo=UTC)]
)
def test_times_are_exact_to_the_microsecond(mapper: SealedMapper, recorded_at: datetime):
    event = mapper.seal(ADA, 1, CHANGED, recorded_at, context())
    assert mapper.to_domain_event(event).recorded_at == recorded_at


def test_a_time_without_a_zone_is_refused(mapper: SealedMapper):
    with pytest.raises(Unwritable):
        mapper.seal(ADA, 1, CHANGED, datetime(2026, 1, 1), context())


def test_a_command_id_has_sixteen_bytes(mapper: SealedMapper):
    with pytest.raises(Unwritable):
        mapper.seal(ADA, 1, CHANGED, MONDAY, context(command_id=b"the client's own key"))


def test_a_refusal_repeats_nothing_of_the_fact(mapper: SealedMapper):
    for fact in (type(CLOSED)(reason=SECRET + "\ud800"), type(CLOSED)(reason=[SECRET])):  # type: ignore[arg-type]
        with pytest.raises(Unwritable) as refused:
            mapper.seal(ADAS_ACCOUNT, 1, fact, MONDAY, context())
        assert SECRET not in str(refused.value)
        assert refused.value.__cause__ is None and refused.value.__suppress_context__


def test_earlier_names_are_raised_step_by_step(mapper: SealedMapper, monkeypatch: pytest.MonkeyPatch):
    """As if `ConsumerRegistered.1` were old: `.2` renamed `type`, `.3` is today's."""
    stored = sealed(mapper, REGISTERED)
    renamed: list[str] = []

    def to_second(fields: dict) -> dict:
        renamed.append("1 to 2")
        return {"kind": fields["type"], "details": fields["details"]}

    def to_third(fields: dict) -> dict:
        renamed.append("2 to 3")
        return {"type": fields["kind"].lower(), "details": fields["details"] | {"birthdate": "1984-02-29"}}

    current = {"ConsumerRegistered.3": consumer.ConsumerRegistered}
    monkeypatch.setattr(registry, "TYPES", current)
    monkeypatch.setattr(
        registry,
        "UPCASTERS",
        {
            "ConsumerRegistered.1": ("ConsumerRegistered.2", to_second),
            "ConsumerRegistered.2": ("ConsumerRegistered.3", to_third),
        },
    )
    later = SealedMapper(mapper._keys)
    read = later.to_domain_event(stored)
    assert renamed == ["1 to 2", "2 to 3"]
    assert read.name == "ConsumerRegistered.1"
    assert read.fact == consumer.ConsumerRegistered(
        type="legal", details=consumer.Details(name="Ada", birthdate=date(1984, 2, 29))
    )


def test_a_body_of_another_shape_is_named_and_not_quoted(
    mapper: SealedMapper, monkeypatch: pytest.MonkeyPatch
):
    stored = sealed(mapper)
    monkeypatch.setattr(registry, "TYPES", {"ConsumerDetailsChanged.1": type(CLOSED)})
    with pytest.raises(Unreadable) as refused:
        SealedMapper(mapper._keys).to_domain_event(stored)
    assert refused.value.reason == "malformed"
    assert SECRET not in str(refused.value)
