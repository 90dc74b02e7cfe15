"""Event loops in virtual time: one thread, and no waiting.

Time jumps to the next timer when nothing is ready, so that a month passes in the time it takes to do what
happens in it. What is ready at one moment runs in an order drawn from a seeded generator, so that a seed is a
schedule, and can be told again. That is `VirtualLoop`, which has no sockets. `SocketLoop` has them, for both ends
of a connection within one process: what was sent is there at once, and time passes only when nothing comes.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

#: Turns without any time passing after which a history is taken to run in a circle.
TURNS_MAX = 200_000
#: Timers nearer to each other than this ring together. Seconds.
RESOLUTION = 1e-6
#: How long what was sent may take to get to the other end of a connection within this machine. Real seconds.
LOOPBACK_SECONDS = 0.0003


class Hung(Exception):
    """Nothing is ready and nothing will be: the tasks named here wait for ever."""


class _Virtual(asyncio.BaseEventLoop):
    """`time` is in seconds since the loop was made. Threads do not exist: what is sent to one runs in a later turn."""

    _now = 0.0
    _turns = 0
    _rng: random.Random | None = None
    created: Callable[[asyncio.Task[Any]], None] = staticmethod(lambda task: None)
    """Told of every task, in the context of whoever made it."""

    def time(self) -> float:
        return self._now

    def _pass(self, timeout: float | None) -> None:
        if timeout is None:
            raise Hung(f"these wait for ever: {', '.join(self.pending()) or 'nobody'}")
        if timeout > 0:
            self._now += timeout
            self._turns = 0
        elif (turns := self._turns + 1) > TURNS_MAX:
            raise Hung(f"these go round in a circle: {', '.join(self.pending())}")
        else:
            self._turns = turns

    def pending(self) -> list[str]:
        """The names of the tasks that have not ended, sorted."""
        return sorted(task.get_name() for task in asyncio.all_tasks(self) if not task.done())

    def _run_once(self) -> None:
        if self._rng is not None and len(self._ready) > 1:
            ready = list(self._ready)
            self._rng.shuffle(ready)
            self._ready.clear()
            self._ready.extend(ready)
        super()._run_once()

    def create_task(self, coro: Coroutine[Any, Any, Result], **more: Any) -> asyncio.Task[Result]:
        task = super().create_task(coro, **more)
        self.created(task)
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Result], *args: Any
    ) -> asyncio.Future[Result]:
        """Run it in a later turn, as a thread would: others come in between."""
        future: asyncio.Future[Result] = self.create_future()

        def work() -> None:
            if future.done():
                return
            try:
                result = func(*args)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self.call_soon(work, context=contextvars.copy_context())
        return future


class _NoSelector:
    """In place of the sockets of a real loop: to wait for them is to let time pass."""

    def __init__(self, loop: _Virtual) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        self._loop._pass(timeout)
        return []


class VirtualLoop(_Virtual):
    def __init__(self, rng: random.Random | None = None) -> None:
        """`rng` shuffles what is ready at one moment; without one it runs in the order it became so."""
        super().__init__()
        self._selector = _NoSelector(self)
        self._clock_resolution = RESOLUTION
        self._rng = rng

    # What a real loop does for its sockets and for other threads

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        return self.call_soon(callback, *args, context=context)

    def _process_events(self, events: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class _Impatient(selectors.DefaultSelector):
    """Takes what is there, and lets time pass where nothing is."""

    loop: _Virtual

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > 0:
            # What was sent to a socket of this machine is nearly always there at once.
            events = super().select(0) or super().select(LOOPBACK_SECONDS)
        else:
            events = super().select(0)
        if not events:
            self.loop._pass(timeout)
        return events


class SocketLoop(_Virtual, asyncio.SelectorEventLoop):
    """Nothing is shuffled here: of a connection, one thing comes after the other."""

    def __init__(self) -> None:
        selector = _Impatient()
        selector.loop = self
        super().__init__(selector)
        self._clock_resolution = RESOLUTION


def run(
    main: Coroutine[Any, Any, Result], rng: random.Random | None = None, *, sockets: bool = False
) -> Result:
    """Run a coroutine to its end in virtual time; what it left running is cancelled.

    Raises:
        Hung: it waits for what cannot come.
    """
    loop: VirtualLoop | SocketLoop = SocketLoop() if sockets else VirtualLoop(rng)
    asyncio.set_event_loop(loop)
    try:
        task = loop.create_task(main, name="main")
        loop.run_until_complete(task)
        return task.result()
    finally:
        _end(loop)
        asyncio.set_event_loop(None)


def _end(loop: _Virtual) -> None:
    try:
        left = [task for task in asyncio.all_tasks(loop) if not task.done()]
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    except Hung:
        # What cannot even be cancelled is left to the collector.
        pass
    finally:
        loop.close()
