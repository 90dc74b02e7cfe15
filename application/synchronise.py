"""The sync process: from a requested sync, or a refresh, to facts, or to the reason why there are none.

A sync is pending until the log says otherwise, so a crash forgets none. Two workers cannot both end one,
because both would extend the same stream.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from application import sync_run
from application.execute import Services
from application.fetching import fetch
from application.ports import (
    AuthorisationNeeded,
    KeyDestroyed,
    LogUnavailable,
    ProviderError,
    UnexpectedAnswer,
)
from application.recording import record
from application.refusals import Unavailable
from application.sync_run import Failed, Overtaken, Run
from domain.data_connection import AUTH_ERROR, FETCH_ERROR, INTERNAL_ERROR
from domain.refusals import NotFound

log = logging.getLogger("passbook.sync")

#: Syncs that may run at once. Nearly all their time is spent waiting for a bank.
CONCURRENCY = 32
#: The longest pause between two tries to write, in seconds.
WAIT_MAX = 60.0
#: A sync that a process died of this often is not tried again.
ATTEMPTS_MAX = 5


class Synchroniser:
    """Runs the pending syncs, a few at a time."""

    def __init__(self, services: Services, *, concurrency: int = CONCURRENCY) -> None:
        self._services = services
        self._slots = asyncio.Semaphore(concurrency)
        # A client must not wait for banks that nobody asked about.
        self._refresh_slots = asyncio.Semaphore(concurrency)
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        services.sync_requested = self.take
        services.refresh = self.refresh

    async def start(self) -> None:
        """Take every sync that the log says is pending."""
        for stream, sync_id in await self._services.read_models.pending_syncs():
            self.take(stream, sync_id)

    def take(self, stream: str, sync_id: str) -> None:
        mark = (stream, sync_id)
        if mark not in self._tasks:
            task = asyncio.create_task(self._run(stream, sync_id), name=f"sync {sync_id}")
            self._tasks[mark] = task
            task.add_done_callback(lambda _: self._tasks.pop(mark, None))

    async def refresh(self, stream: str, origin: str) -> bool:
        """Look at a connection that no client asked about. False if another run came in between."""
        async with self._of_connection(stream), self._refresh_slots:
            return await run_refresh(self._services, stream, origin)

    async def stop(self) -> None:
        """Leave what is running; the log keeps it pending, and the next start takes it up."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, stream: str, sync_id: str) -> None:
        async with self._of_connection(stream), self._slots:
            await _patiently(self._services, sync_id, lambda: run_sync(self._services, stream, sync_id))

    def _of_connection(self, stream: str) -> asyncio.Lock:
        """One at a time of each connection: of two that read at once, the one that read first could write last."""
        return self._services.one_at_a_time.setdefault(f"sync {stream}", asyncio.Lock())


async def run_sync(services: Services, stream: str, sync_id: str) -> None:
    """Carry out one sync to its end. One that has ended already is left as it is.

    Raises:
        Unavailable: the log or the read models are away.
    """
    try:
        while (run := await sync_run.start(services, stream, sync_id)) is not None:
            try:
                return await _carry_out(run)
            except Overtaken:
                # Connected anew meanwhile, it is this sync's still to read the connection as it is now.
                if not await run.is_latest():
                    raise
    except (KeyDestroyed, NotFound, Overtaken):
        # The consumer or the connection was deleted meanwhile, or another attempt is at it.
        log.info("sync abandoned", extra={"sync_id": sync_id})
    except LogUnavailable as error:
        raise Unavailable("storage_unavailable") from error


async def run_refresh(services: Services, stream: str, origin: str) -> bool:
    """Carry out one refresh to its end. False if it was overtaken, so that its look counts no more.

    Raises:
        Unavailable: the log is away.
    """
    try:
        run = await sync_run.start_refresh(services, stream, origin)
        if run is not None:
            await _carry_out(run)
    except Overtaken:
        return False
    except (KeyDestroyed, NotFound):
        log.info("refresh abandoned", extra={"reason": "deleted"})
    except LogUnavailable as error:
        raise Unavailable("storage_unavailable") from error
    return True


async def _carry_out(run: Run) -> None:
    try:
        if run.attempt > ATTEMPTS_MAX:
            raise Failed(INTERNAL_ERROR, "too_many_attempts")
        fetched = await fetch(run)
        await _patiently(run.services, run.sync_id, lambda: record(run, fetched))
    except Failed as failed:
        await sync_run.fail(run, failed)
    except ProviderError as error:
        status = AUTH_ERROR if isinstance(error, AuthorisationNeeded) else FETCH_ERROR
        unreadable = isinstance(error, UnexpectedAnswer)
        await sync_run.fail(run, Failed(status, error.reason, unreadable=unreadable))
    except (KeyDestroyed, NotFound, Overtaken, Unavailable, LogUnavailable):
        raise
    except Exception as error:
        log.error("sync failed", extra={"sync_id": run.sync_id, "error": type(error).__name__}, exc_info=True)
        await sync_run.fail(run, Failed(INTERNAL_ERROR, "internal_error"))


async def _patiently(services: Services, sync_id: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do it until the log and the read models are there: the sync stays pending, and waiting is no new attempt."""
    pause = 0.0
    while True:
        try:
            return await work()
        except Unavailable as error:
            log.warning("sync waits", extra={"sync_id": sync_id, "reason": error.reason})
            # A disk that is full for a day is not asked a hundred thousand times to take the same rows.
            pause = min(max(error.retry_after, pause * 2), WAIT_MAX)
            await services.clock.sleep(pause)
