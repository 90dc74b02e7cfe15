"""Facts to stored events and back: an envelope in clear in front of a sealed body.

The body is MessagePack of the fact by field names, compressed above 1 kB, sealed with AES-256-GCM under the
key of whom it is about. Its place (`layout.place`) is the associated data, so nothing can be moved or altered.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from eventsourcing.persistence import Mapper, StoredEvent

from adapters.event_log.layout import Malformed, join, place, split
from application.ports import Context, KeyMissing, LogError, Snapshot
from domain import registry, streams
from domain.fact import Erased, Recorded

PLAIN = 0
ZSTD = 1
COMPRESSED_ABOVE = 1_024
ZSTD_LEVEL = 1
COMMAND_ID_SIZE = 16
NONCE_SIZE = 12

#: Set in front of the place of a snapshot, so that no snapshot opens as a fact or the other way round.
SNAPSHOT = b"snapshot"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


#: Why a fact cannot be read, for machines.
UNKNOWN_NAME = "unknown_name"
MALFORMED = "malformed"
SEAL_BROKEN = "seal_broken"
KEY_MISSING = "key_missing"
GAP = "gap"


class Unreadable(LogError):
    """A stored fact cannot be read: it was altered or moved, or this version does not know it.

    Says which and why, never what is in it.
    """

    def __init__(self, stream: str, version: int, name: str, reason: str, why: str) -> None:
        super().__init__(f"{stream} version {version}, {name}: {why}")
        self.stream = stream
        self.version = version
        self.name = name
        self.reason = reason


class Unwritable(LogError):
    """A fact cannot be stored as it is: the fault of whoever made it. Nothing was written."""


class Keys(Protocol):
    """What sealing needs of a key ring. Scopes are `tenant`, `tenant/consumer`, `tenant/consumer/uuid`."""

    def for_writing(self, scope: str) -> tuple[bytes, AESGCM]:
        """The id and the key of a scope, made if there never was one.

        Raises:
            KeyDestroyed, LogUnavailable.
        """
        ...

    def for_reading(self, key_id: bytes) -> AESGCM | None:
        """The key, or None if it was destroyed.

        Raises:
            KeyMissing: there never was such a key.
        """
        ...

    def scope_of(self, key_id: bytes) -> str:
        """The scope that a key belongs to, or belonged to before it was destroyed."""
        ...


class Envelope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What stands in clear in front of a body. It is stored by order: add fields at the end, with defaults."""

    codec: int
    recorded_at: int
    """Microseconds since 1970-01-01 UTC."""
    actor: str
    command_id: bytes
    correlation_id: bytes
    causation_id: bytes
    key_id: bytes
    nonce: bytes


def scope_of(stream: str, name: str = "") -> str:
    """The scope whose key seals a fact of this name in this stream.

    Raises:
        ValueError: the text is no stream id, or names an aggregate that does not exist.
    """
    if name == registry.CONSUMER_ERASED:
        return streams.parse(stream).tenant
    return streams.scope_of(stream)


def to_microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


def to_moment(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


_encode = msgspec.msgpack.Encoder().encode
_decode_plain = msgspec.msgpack.Decoder().decode
_decode_envelope = msgspec.msgpack.Decoder(Envelope).decode

#: What decoding a damaged or foreign body may raise. Their texts may quote it, so none is passed on.
_NOT_DECODED = (
    msgspec.MsgspecError,
    zstandard.ZstdError,
    UnicodeDecodeError,
    RecursionError,
    ValueError,
    TypeError,
)


class SealedMapper(Mapper[str]):
    """Seals and opens. Not for use by two threads at once: compression keeps its buffers."""

    def __init__(self, keys: Keys, *, random: Callable[[int], bytes] = os.urandom) -> None:
        self._keys = keys
        self._random = random
        self._decoders = {name: msgspec.msgpack.Decoder(type).decode for name, type in registry.TYPES.items()}
        self._compress = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress
        self._decompress = zstandard.ZstdDecompressor().decompress

    # The library's seam

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Seal a `Recorded`. Its name is the registry's, its position plays no part."""
        recorded: Recorded = domain_event
        context = Context(
            tenant="",
            actor=recorded.actor,
            command_id=recorded.command_id,
            correlation_id=recorded.correlation_id,
            causation_id=recorded.causation_id,
        )
        return self.seal(recorded.stream, recorded.version, recorded.fact, recorded.recorded_at, context)

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """Open a stored event as a `Recorded`, at its position if it is a `Notification`, else at 0."""
        return self.open(
            str(stored_event.originator_id),
            stored_event.originator_version,
            stored_event.topic,
            stored_event.state,
            getattr(stored_event, "id", 0),
        )

    # Facts

    def seal(
        self, stream: str, version: int, fact: Any, recorded_at: datetime, context: Context
    ) -> StoredEvent:
        """Seal a fact for its place.

        Raises:
            Unwritable: it is not in the registry, or its fields are not what its type says.
            KeyDestroyed, LogUnavailable.
        """
        name = registry.NAMES.get(type(fact))
        if name is None:
            raise Unwritable(f"{type(fact).__name__} is not a fact of the registry")
        if len(context.command_id) != COMMAND_ID_SIZE:
            raise Unwritable(f"a command id has {COMMAND_ID_SIZE} bytes")
        try:
            body = _encode(fact)
            # Structs don't check their fields when they are made. What is written is there for ever,
            # so it is read back before, while it can still be refused.
            self._decoders[name](body)
            scope = scope_of(stream, name)
            moment = to_microseconds(recorded_at)
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise Unwritable(f"{name} for {stream} cannot be stored: {type(error).__name__}") from None
        return StoredEvent(
            stream, version, name, self._seal(b"", stream, version, name, scope, moment, body, context)
        )

    def open(self, stream: str, version: int, name: str, state: bytes, position: int = 0) -> Recorded:
        """Open a stored fact. One whose key was destroyed is `Erased`.

        Raises:
            Unreadable: altered, moved, or unknown to this version.
            KeyMissing: its key is not among the keys.
        """
        if name not in self._decoders and name not in registry.UPCASTERS:
            raise Unreadable(stream, version, name, UNKNOWN_NAME, "its name is not in the registry")
        envelope, body = self._open(b"", stream, version, name, state)
        if body is None:
            fact: Any = Erased(name)
        else:
            try:
                fact = self._read(name, body)
            except _NOT_DECODED:
                raise Unreadable(
                    stream, version, name, MALFORMED, "its body is not what its name says"
                ) from None
        return Recorded(
            stream=stream,
            version=version,
            position=position,
            name=name,
            recorded_at=to_moment(envelope.recorded_at),
            actor=envelope.actor,
            fact=fact,
            command_id=envelope.command_id,
            correlation_id=envelope.correlation_id,
            causation_id=envelope.causation_id,
        )

    def _read(self, name: str, body: bytes) -> Any:
        decode = self._decoders.get(name)
        if decode is not None:
            return decode(body)
        fields = _decode_plain(body)
        while name in registry.UPCASTERS:
            name, upcast = registry.UPCASTERS[name]
            fields = upcast(fields)
        return msgspec.convert(fields, registry.TYPES[name])

    # Snapshots

    def seal_snapshot(self, snapshot: Snapshot) -> bytes:
        """Seal a snapshot under the key of its stream, so that it goes when the stream's facts go.

        Raises:
            KeyDestroyed, LogUnavailable.
        """
        return self._seal(
            SNAPSHOT,
            snapshot.stream,
            snapshot.version,
            snapshot.name,
            scope_of(snapshot.stream),
            to_microseconds(snapshot.recorded_at),
            snapshot.state,
            Context(tenant="", actor="", command_id=b""),
        )

    def open_snapshot(self, stream: str, version: int, name: str, state: bytes) -> Snapshot | None:
        """Open a snapshot; None if its key was destroyed or it is damaged, since the facts can do without it.

        Raises:
            KeyMissing: its key is not among the keys.
        """
        try:
            envelope, body = self._open(SNAPSHOT, stream, version, name, state)
        except Unreadable:
            return None
        return (
            None if body is None else Snapshot(stream, version, name, to_moment(envelope.recorded_at), body)
        )

    # What both have in common

    def _seal(
        self,
        kind: bytes,
        stream: str,
        version: int,
        name: str,
        scope: str,
        recorded_at: int,
        body: bytes,
        context: Context,
    ) -> bytes:
        codec = PLAIN
        if len(body) > COMPRESSED_ABOVE:
            codec, body = ZSTD, self._compress(body)
        key_id, key = self._keys.for_writing(scope)
        nonce = self._random(NONCE_SIZE)
        envelope = _encode(
            Envelope(
                codec,
                recorded_at,
                context.actor,
                context.command_id,
                context.correlation_id,
                context.causation_id,
                key_id,
                nonce,
            )
        )
        head, _ = split(join(envelope, b""))
        return join(envelope, key.encrypt(nonce, body, kind + place(stream, version, name, head)))

    def _open(
        self, kind: bytes, stream: str, version: int, name: str, state: bytes
    ) -> tuple[Envelope, bytes | None]:
        """The envelope and the body; no body if its key was destroyed."""
        try:
            head, sealed = split(state)
            envelope = _decode_envelope(head[1:])
        except Malformed as error:
            raise Unreadable(stream, version, name, MALFORMED, str(error)) from None
        except _NOT_DECODED:
            raise Unreadable(stream, version, name, MALFORMED, "its envelope cannot be read") from None
        try:
            key = self._keys.for_reading(envelope.key_id)
        except KeyMissing:
            raise KeyMissing(f"{stream} version {version}, {name}: its key is missing") from None
        if key is None:
            # Otherwise somebody else's erased fact, put in place of this one, would pass for an erasure.
            if not self._belongs(envelope.key_id, stream, name):
                raise Unreadable(stream, version, name, SEAL_BROKEN, "it names the key of another scope")
            return envelope, None
        try:
            body = key.decrypt(envelope.nonce, sealed, kind + place(stream, version, name, head))
            return envelope, self._unpack(envelope.codec, body)
        except (Malformed, zstandard.ZstdError):
            raise Unreadable(stream, version, name, MALFORMED, "its body cannot be unpacked") from None
        except (InvalidTag, ValueError):
            raise Unreadable(stream, version, name, SEAL_BROKEN, "its seal is broken") from None

    def _belongs(self, key_id: bytes, stream: str, name: str) -> bool:
        try:
            return self._keys.scope_of(key_id) == scope_of(stream, name)
        except ValueError:
            return False

    def _unpack(self, codec: int, body: bytes) -> bytes:
        if codec == PLAIN:
            return body
        if codec == ZSTD:
            return self._decompress(body)
        raise Malformed("its codec is unknown")
