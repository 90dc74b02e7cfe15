"""What nobody asks for and time brings: refreshes by schedule, and announcements.

Nothing of it is kept here. What is due follows from the log, so that a restart forgets none and repeats none.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from application.execute import Plan, Services, execute, internal_context, load
from application.ports import KeyDestroyed, LogError, LogUnavailable
from application.refusals import Unavailable
from domain import data_connection, streams
from domain.data_connection import SCHEDULE
from domain.refusals import Refused

log = logging.getLogger("passbook.watch")

#: Seconds between two rounds.
ROUND = 60.0
#: Refreshes that may wait for their turn at once; those beyond come with a later round.
WAITING_MAX = 256
#: The least time between two looks at a connection.
REST = timedelta(minutes=30)
#: How long a round waits for the read models, in seconds.
BEHIND_MAX = 5.0


class Watch:
    """Goes round, and starts what is due."""

    def __init__(self, services: Services, *, pause: float = ROUND) -> None:
        self._services = services
        self._pause = pause
        self._refreshing: dict[str, asyncio.Task[None]] = {}
        self._looked: dict[str, datetime] = {}
        self._rounds: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._rounds = asyncio.create_task(self._go_round(), name="watch")

    async def stop(self) -> None:
        """Leave what is under way; the next start finds that it is due."""
        tasks = [*self._refreshing.values(), *([self._rounds] if self._rounds else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _go_round(self) -> None:
        while True:
            try:
                await self.round()
            except (LogError, Unavailable) as error:
                log.warning("a round was cut short", extra={"error": type(error).__name__})
            except Exception as error:
                # Whatever it is, the connections that it is not about must not be forgotten.
                log.error("a round failed", extra={"error": type(error).__name__}, exc_info=True)
            await self._services.clock.sleep(self._pause)

    async def round(self) -> None:
        """Start the refreshes that are due, and announce what is to be announced.

        Raises:
            Unavailable, LogError: the log or the read models are away.
        """
        services = self._services
        now = services.clock.now()
        if not await services.read_models.reach(await services.log.head(), BEHIND_MAX):
            # What was done since then would be done again.
            raise Unavailable("read_models_behind")
        self._looked = {stream: at for stream, at in self._looked.items() if abs(now - at) < REST}
        for stream, sync_id in await services.read_models.pending_syncs():
            # One whose acknowledgement was lost has nobody else who starts it.
            services.sync_requested(stream, sync_id)
        for stream in await services.read_models.refreshes_due(now):
            if len(self._refreshing) >= WAITING_MAX:
                break
            if stream not in self._refreshing and self._has_rested(stream, now):
                self._looked[stream] = now
                task = asyncio.create_task(self._refresh(stream), name="refreshing a connection")
                self._refreshing[stream] = task
                task.add_done_callback(lambda _, stream=stream: self._refreshing.pop(stream, None))
        for stream in await services.read_models.announcements_due(now):
            await self._announce(stream)

    def _has_rested(self, stream: str, now: datetime) -> bool:
        """Times in a stream never go back: where the clock does, what was just looked at seems due again."""
        looked = self._looked.get(stream)
        return looked is None or abs(now - looked) >= REST

    async def _announce(self, stream: str) -> None:
        try:
            await announce(self._services, stream)
        except (LogUnavailable, Unavailable):
            raise
        except Exception as error:
            # Those that come after it are others'.
            log.error("an announcement failed", extra={"error": type(error).__name__})

    async def _refresh(self, stream: str) -> None:
        try:
            await self._services.refresh(stream, SCHEDULE)
        except (Unavailable, LogError, Refused) as error:
            # It is due still, and the next round finds it so.
            log.warning("a refresh waits", extra={"error": type(error).__name__})


async def announce(services: Services, stream: str) -> None:
    """Announce the end of a connection's consent, where that is near. Silence is found where it is looked for, by
    a run."""

    async def decide() -> Plan:
        loaded = await load(services, stream)
        facts = data_connection.announce_consent(loaded.state, services.clock.now())
        return Plan(loaded, ((loaded, facts),))

    try:
        await execute(services, internal_context(services, streams.parse(stream).tenant, SCHEDULE), decide)
    except KeyDestroyed:
        log.info("an announcement came too late", extra={"reason": "deleted"})
