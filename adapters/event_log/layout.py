"""How a stored fact is laid out, byte by byte, and the leaf that stands for it in the proof.

Nothing here may ever change: a new layout takes a new format byte beside this one. Numbers are big-endian.

    state = format 0x01 | envelope length, 4 bytes | envelope | sealed body
    place = len4 stream id | version, 8 bytes | len4 name | len4 head        head = format byte, envelope
    leaf  = SHA-256(0x00 | place | SHA-256(sealed body))

`place` is also the associated data of the seal, so that a sealed body opens nowhere else. The position in the
log is in neither: a log moved to another store keeps its seals and its root.
"""

from __future__ import annotations

from hashlib import sha256
from struct import Struct

FORMAT = b"\x01"
LEAF_PREFIX = b"\x00"

_len4 = Struct(">I").pack
_version8 = Struct(">Q").pack
_ENVELOPE_STARTS = 5


class Malformed(ValueError):
    """The bytes are not laid out as a stored fact."""


def join(envelope: bytes, sealed: bytes) -> bytes:
    return b"".join((FORMAT, _len4(len(envelope)), envelope, sealed))


def split(state: bytes) -> tuple[bytes, bytes]:
    """The head, which is the format byte and the envelope, and the sealed body.

    Raises:
        Malformed: a format of the future, or too short for what it announces.
    """
    if state[:1] != FORMAT:
        raise Malformed("its format is unknown")
    end = _ENVELOPE_STARTS + int.from_bytes(state[1:_ENVELOPE_STARTS], "big")
    if len(state) < end:
        raise Malformed("it is cut short")
    return FORMAT + state[_ENVELOPE_STARTS:end], state[end:]


def place(stream: str, version: int, name: str, head: bytes) -> bytes:
    """Where and as what a fact is stored, in one unambiguous run of bytes."""
    stream_bytes, name_bytes = stream.encode(), name.encode()
    return b"".join(
        (
            _len4(len(stream_bytes)),
            stream_bytes,
            _version8(version),
            _len4(len(name_bytes)),
            name_bytes,
            _len4(len(head)),
            head,
        )
    )


def leaf(stream: str, version: int, name: str, state: bytes) -> bytes:
    """The 32 bytes that stand for a stored fact. It needs no key.

    Raises:
        Malformed: the state is not laid out as a stored fact.
    """
    head, sealed = split(state)
    return sha256(LEAF_PREFIX + place(stream, version, name, head) + sha256(sealed).digest()).digest()
