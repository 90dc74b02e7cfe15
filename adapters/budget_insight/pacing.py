"""How fast the requests of one tenant follow each other.

The provider counts the requests of a tenant, whoever of its users they are for, and refuses those beyond a quota. So
they wait here for their turn; and where it says how long it wants to be left alone, that holds for all of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from application.ports import ProviderUnreachable

#: The span that the provider counts requests in. Seconds.
SPAN = 60.0
REQUESTS_PER_MINUTE = 600
#: How long a request waits, at most, for the end of a hold. Seconds.
PATIENCE = 60.0

Sleep = Callable[[float], Awaitable[None]]
Time = Callable[[], float]


def loop_time() -> float:
    return asyncio.get_running_loop().time()


class Pace:
    """Lets at most `per_minute` requests through in any 60 seconds, first come first served."""

    def __init__(
        self,
        per_minute: int = REQUESTS_PER_MINUTE,
        *,
        patience: float = PATIENCE,
        sleep: Sleep = asyncio.sleep,
        time: Time = loop_time,
    ) -> None:
        self._starts: deque[float] = deque(maxlen=per_minute)
        self._held_until = float("-inf")
        self._patience = patience
        self._sleep = sleep
        self._time = time

    def hold(self, seconds: float) -> None:
        """Let nothing through for so long."""
        self._held_until = max(self._held_until, self._time() + seconds)

    async def turn(self) -> None:
        """Wait until a request may be sent, however long that takes within the budget.

        Raises:
            ProviderUnreachable: `rate_limited`, all requests are held for longer than the patience.
        """
        while True:
            now = self._time()
            held = self._held_until - now
            if held > self._patience:
                raise ProviderUnreachable("rate_limited", retry_after=held)
            start = self._book(now)
            # It is not asked afterwards whether it is time: to the clock it may be a rounding error too early, for ever.
            if start > now:
                await self._sleep(start - now)
            if self._held_until <= start:
                return

    def _book(self, now: float) -> float:
        """The next moment at which a request may start, taken."""
        starts = self._starts
        free = starts[0] + SPAN if len(starts) == starts.maxlen else now
        start = max(now, free, self._held_until)
        starts.append(start)
        return start
