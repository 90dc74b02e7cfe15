"""A fact, a fact at its place in a stream, and what is left of an erased one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened: past tense, frozen, small, without totals and without secrets.

    Its fields are stored under their names. A field may be added with a default; any other change is
    a new version of the name, with an upcaster in `domain.registry`.
    """


class Erased(msgspec.Struct, frozen=True):
    """A fact whose key was destroyed: its name, place and time are left, nothing else."""

    name: str


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A fact at its place: who said it, when we recorded it, and where it stands in stream and log."""

    stream: str
    version: int
    position: int
    name: str
    recorded_at: datetime
    actor: str
    fact: Any
    """A `Fact`, or `Erased`."""
    command_id: bytes = b""
    correlation_id: bytes = b""
    causation_id: bytes = b""
