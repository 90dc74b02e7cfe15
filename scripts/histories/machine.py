"""The machine of a history: its clock, its chance, its disk, and what goes wrong with each.

Eight kinds of fault are ours to bear. The machine may die at named points between any two effects; what it leaves
is what lay on the disk at that very moment.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

KINDS = {
    "L01": "the process is killed",
    "L02": "the disk is full",
    "L03": "the disk is read-only",
    "L04": "the disk is slow",
    "L05": "the clock jumps",
    "L06": "a worker is paused for hours between a reply and what it does with it",
    "L07": "a second worker works on the same log",
    "L08": "a reply to the client is lost",
}

#: Where the process may die: what was done last, or is about to be done.
POINTS = (
    # A commit of the log: begun, a write made, all made, on the disk, and before anybody is told.
    "begin", "insert", "commit", "committed", "reply",
    # The provider has answered; has given a page of many.
    "bank answered", "page read",
    # The read models: before and after their commit.
    "projecting", "projected",
    # Secrets, keys and the inbox.
    "secret kept", "destruction announced", "key destroyed", "push taken", "push done",
    # Anywhere else, where it happened to wait.
    "waiting",
)  # fmt: skip


class Killed(BaseException):
    """The process is gone: nothing of it happens any more."""


class Clock:
    """`application.ports.Clock` of the machine, which may be wrong, over the loop's time, which is not."""

    def __init__(self, start: datetime) -> None:
        self.start = start
        self.ahead = timedelta()
        """How far the machine's clock is ahead of the truth."""

    def true(self) -> datetime:
        return self.start + timedelta(seconds=asyncio.get_running_loop().time())

    def now(self) -> datetime:
        return self.true() + self.ahead

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Ids:
    """`application.ports.Ids` from a seeded generator."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def uuid(self) -> str:
        return str(UUID(int=self._rng.getrandbits(128), version=4))

    def token(self, size: int) -> bytes:
        return self._rng.randbytes(size)


class Machine:
    """What goes wrong on our side. `tried` counts each kind, `died` each point where the process was killed."""

    def __init__(self, rng: random.Random, rates: Mapping[str, float], start: datetime) -> None:
        """`rates` says how likely each kind is at a step; one that is left out never happens."""
        self.rng = rng
        self.rates = dict(rates)
        self.tried: Counter[str] = Counter()
        self.died: Counter[str] = Counter()
        self.clock = Clock(start)
        self._armed: tuple[str, int] | None = None
        self._commit_seconds = 0.0
        self._lag_seconds = 0.0

    def happens(self, kind: str) -> bool:
        return self.rng.random() < self.rates.get(kind, 0.0)

    def stop(self) -> None:
        """From now on nothing goes wrong any more."""
        self.rates.clear()
        self._armed = None
        self._commit_seconds = self._lag_seconds = 0.0
        self.clock.ahead = timedelta()

    # Dying

    def arm(self, point: str, times: int) -> None:
        """Let the process die where it comes to this point for the n-th time from now on."""
        self._armed = (point, times)

    def reached(self, point: str) -> bool:
        """Whether the process dies here."""
        if self._armed is None or self._armed[0] != point:
            return False
        times = self._armed[1] - 1
        self._armed = (point, times) if times > 0 else None
        return times <= 0

    # The disk, the clock, the pace

    def slow_down(self) -> None:
        """L04, until `speed_up`: commits and projections take their time."""
        self.tried["L04"] += 1
        self._commit_seconds = self.rng.choice((0.05, 0.5, 5.0, 45.0))
        self._lag_seconds = self.rng.choice((0.05, 0.5, 5.0, 90.0))

    def speed_up(self) -> None:
        self._commit_seconds = self._lag_seconds = 0.0

    def commit_seconds(self) -> float:
        return self.rng.uniform(0.0, 2.0) * self._commit_seconds if self._commit_seconds else 0.0

    def lag_seconds(self) -> float:
        """How long the projector takes to notice that the log has grown."""
        return self.rng.uniform(0.0, 2.0) * self._lag_seconds if self._lag_seconds else 0.0

    def jump(self) -> timedelta:
        """L05: the clock is set, forward or back."""
        self.tried["L05"] += 1
        hours = self.rng.choice((0.02, 1, 3, 25, 26)) * self.rng.choice((-1, 1))
        # Set again before it was put right, it is never further off than this.
        ahead = max(-26.0, min(26.0, self.clock.ahead.total_seconds() / 3_600 + hours))
        moved = timedelta(hours=ahead) - self.clock.ahead
        self.clock.ahead += moved
        return moved

    def pause(self) -> float:
        """L06: for how many seconds a worker stands still now; nearly always none."""
        if not self.happens("L06"):
            return 0.0
        self.tried["L06"] += 1
        return self.rng.choice((90.0, 1_800.0, 7_200.0, 6 * 3_600.0, 30 * 3_600.0))


def a_monday(rng: random.Random) -> datetime:
    """Where a history begins: any hour of about two years, so that clocks change in some."""
    return datetime(2026, 1, 5, tzinfo=UTC) + timedelta(seconds=rng.randrange(700 * 86_400))
