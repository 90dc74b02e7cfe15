"""What a request may be refused for before any decision is taken, and what is no refusal at all."""

from __future__ import annotations

from domain.refusals import Refused


class IdempotencyKeyReused(Refused):
    """This Idempotency-Key was used for another request."""


class IdempotencyKeyInFlight(Refused):
    """The first request with this Idempotency-Key is still being worked on."""


class Unavailable(Exception):
    """Neither done nor refused: the outcome is unknown, and the same request with the same key settles it."""

    def __init__(self, reason: str, retry_after: float = 1.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
