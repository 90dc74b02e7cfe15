"""Pushes on their way from the simulated provider: signed, and lost, late, doubled, early, out of order or forged."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace

from adapters.budget_insight.simulator.bank import Connection, User
from adapters.budget_insight.simulator.options import DEFAULT_EVENTS
from adapters.budget_insight.simulator.render import encode
from adapters.budget_insight.simulator.webhooks import FIRST_ID, bodies, signature

#: By these it is known whether a push is theirs, and of now; older ones are refused, whoever sends them.
AGE_MAX = timedelta(hours=24)


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """A push as it arrives at `path`. One that is not true is forged: it must be refused, as one that is too old."""

    event: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    signed_at: datetime
    true: bool = True

    def is_acceptable(self, now: datetime) -> bool:
        return self.true and now - self.signed_at <= AGE_MAX


class Waiting(msgspec.Struct):
    """A push that was not handed over yet. `anew` says that it is signed when it goes out, not when it was made."""

    event: str
    body: bytes
    made_at: datetime
    due: datetime
    anew: bool = False


class Pushes:
    """`now` is the provider's time."""

    def __init__(self, rng: random.Random, now: Callable[[], datetime], tried: Counter[str]) -> None:
        self._rng = rng
        self._now = now
        self._tried = tried
        self._prefix: str | None = None
        self._secret = ""
        self._waiting: list[Waiting] = []
        self._forged: list[Push] = []
        self._next_id = FIRST_ID

    def register(self, prefix: str, secret: str) -> None:
        """Where they go: the path of an event is `{prefix}/{EVENT}`."""
        self._prefix = prefix
        self._secret = secret

    def told(self, event: str, user: User, connection: Connection | None) -> None:
        """Something happened."""
        if self._prefix is None or user.expires_at is not None:
            return
        now = self._now()
        for named, body in bodies(event, user, connection):
            if named in DEFAULT_EVENTS:
                sent = encode({"id_webhook_data": self._next_id, **body})
                self._waiting.append(Waiting(named, sent, now, now))
                self._next_id += 1

    def take(self, now: datetime) -> list[Push]:
        """Those that are due, in the order in which they arrive."""
        due = [waiting for waiting in self._waiting if waiting.due <= now]
        self._waiting = [waiting for waiting in self._waiting if waiting.due > now]
        arriving = [self._push(each, now if each.anew else each.made_at) for each in due]
        arriving += self._forged
        self._forged = []
        return arriving

    # P35, P36

    def lose(self) -> bool:
        if not self._waiting:
            return False
        self._waiting.pop(self._rng.randrange(len(self._waiting)))
        return self._mishap()

    def double(self) -> bool:
        if not self._waiting:
            return False
        self._waiting.append(replace(self._rng.choice(self._waiting)))
        return self._mishap()

    def delay(self) -> bool:
        """For minutes, or for more than a day; then it is too old, unless it is signed anew."""
        if not self._waiting:
            return False
        late = self._rng.choice(self._waiting)
        late.due += timedelta(minutes=self._rng.choice((1, 30, 300, 1_700)))
        late.anew = self._rng.random() < 0.5
        return self._mishap()

    def reorder(self) -> bool:
        if len(self._waiting) < 2:
            return False
        self._rng.shuffle(self._waiting)
        return self._mishap()

    def early(self, user: User, connection: Connection) -> bool:
        """It tells of a sync whose rows do not show yet."""
        before = len(self._waiting)
        self.told("CONNECTION_SYNCED", user, connection)
        return len(self._waiting) > before and self._mishap()

    def _mishap(self) -> bool:
        self._tried["P35"] += 1
        return True

    def forge(self, user: User, connection: Connection) -> bool:
        """One about a connection that there is, by somebody who does not know the secret or has an old push."""
        if self._prefix is None:
            return False
        rng, now = self._rng, self._now()
        body = encode(
            {
                "id_webhook_data": rng.randrange(1, 10**6),
                "user": {"id": user.id},
                "connection": {"id": connection.id, "id_user": user.id, "state": None, "accounts": []},
            }
        )
        forged = Waiting("CONNECTION_SYNCED", body, now, now)
        push = self._push(forged, now)
        match rng.randrange(6):
            case 0:
                push = self._push(forged, now, secret="a guess")
            case 1:
                push = replace(push, body=body.replace(b'"state":null', b'"state":"bug"'))
            case 2:
                push = self._push(forged, now - timedelta(hours=rng.randrange(25, 200)))
            case 3:
                push = self._push(forged, now + timedelta(hours=rng.randrange(1, 200)))
            case 4:
                push = replace(push, headers=push.headers[:-1])
            case 5:
                other = self._push(replace(forged, event="ACCOUNT_SYNCED"), now)
                push = replace(push, headers=other.headers)
        self._forged.append(replace(push, true=False))
        self._tried["P36"] += 1
        return True

    def _push(self, waiting: Waiting, at: datetime, *, secret: str | None = None) -> Push:
        date = at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        path = f"{self._prefix}/{waiting.event}"
        signed = signature(self._secret if secret is None else secret, path, date, waiting.body)
        headers = (
            ("Content-Type", "application/json"),
            ("BI-Signature-Date", date),
            ("BI-Signature", signed),
        )
        return Push(event=waiting.event, path=path, headers=headers, body=waiting.body, signed_at=at)
