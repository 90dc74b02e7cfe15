"""Where everything with a plug meets: the one place that knows every concrete class.

`Service` is the running whole. The data folder is opened by `storage`, which commands need without the doors.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from aiohttp import web

from adapters.budget_insight.gateway import BudgetInsightGateway
from adapters.budget_insight.webhooks import BudgetInsightPushes
from adapters.clock import RandomIds, SystemClock
from adapters.event_log.mapper import SealedMapper
from adapters.event_log.sqlite import SqliteEventLog
from adapters.http.app import create_app
from adapters.http.server import Runner
from adapters.http.services import HttpServices, Readiness, StalledConsumer
from adapters.jobs.in_process import InProcessJobs
from adapters.jobs.inbox import SqliteInbox
from adapters.keys.authenticator import Authenticator
from adapters.read_models.memory import MemoryRows
from adapters.read_models.queries import SqliteReadModels
from adapters.read_models.supervisor import ProjectorProcess
from adapters.settings import Settings
from adapters.statements.process import ProcessReader
from adapters.storage import INBOX_FILE, LOG_FILE, READ_MODELS_FOLDER, Vault, open_vault
from application import farewell
from application.erasure import finish_destructions
from application.execute import Services
from application.ports import LogError
from application.retention import Retention
from application.synchronise import Synchroniser
from application.watch import Watch
from application.webhooks import Webhooks
from domain.provider import BUDGET_INSIGHT

log = logging.getLogger("passbook.service")

#: Projections that have not moved for this long, although the log has, are not ready any more. Seconds.
STANDSTILL = 15.0
STALLED_SHOWN_MAX = 20
#: How long the work beside the requests may take at the end; the next start goes on with it. Seconds.
JOBS_TIMEOUT = 0.5


class Service:
    """The service, running: what the doors reach, and whether they may be reached."""

    def __init__(
        self,
        settings: Settings,
        vault: Vault,
        events: SqliteEventLog,
        inbox: SqliteInbox,
        public_url: str,
    ) -> None:
        self.vault = vault
        self.events = events
        self.read_models = SqliteReadModels(settings.data / READ_MODELS_FOLDER)
        self.jobs = InProcessJobs()
        self.gateway = BudgetInsightGateway(
            base_url=str(settings.budget_insight_url) if settings.budget_insight_url else None,
            webview_url=str(settings.webview_url) if settings.webview_url else None,
            requests_per_minute=settings.budget_insight_requests_per_minute,
        )
        self.services = Services(
            log=events,
            keys=vault.keys,
            secrets=vault.secrets,
            gateways={BUDGET_INSIGHT.name: self.gateway},
            read_models=self.read_models,
            jobs=self.jobs,
            clock=SystemClock(),
            ids=RandomIds(),
            asks=inbox,
            public_url=public_url,
        )
        self.webhooks = Webhooks(
            self.services,
            inbox,
            {BUDGET_INSIGHT.name: BudgetInsightPushes()},
            pause=settings.webhook_pause,
        )
        self.authenticate = Authenticator(
            vault.api_keys, settings.api_key.get_secret_value() if settings.api_key else None
        )
        self._ready = False
        self._seen = (0, asyncio.get_running_loop().time())

    def build_app(self) -> web.Application:
        return create_app(
            HttpServices(
                services=self.services,
                read_models=self.read_models,
                authenticate=self.authenticate,
                create_api_key=self.vault.api_keys.create,
                readiness=self.readiness,
                webhooks=self.webhooks,
                read_statements=ProcessReader(),
                scratch=MemoryRows,
            )
        )

    async def readiness(self) -> Readiness:
        """Ready once the projections held what the log held at the start, until they stand still for long."""
        position, now = self.read_models.position(), asyncio.get_running_loop().time()
        if position != self._seen[0] or position >= await self.events.head():
            self._seen = position, now
        missing = []
        if not self._ready:
            missing.append("projections are behind")
        elif now - self._seen[1] > STANDSTILL:
            missing.append(f"projections stand still at position {position}")
        stalled = [
            StalledConsumer(consumer=row.consumer, position=row.position, reason=row.reason)
            for row in self.read_models.stalled()[:STALLED_SHOWN_MAX]
        ]
        return Readiness(ready=not missing, missing=missing, stalled_consumers=stalled)

    async def become_ready(self, synchroniser: Synchroniser, watch: Watch, retention: Retention) -> None:
        """Wait until the read models hold what the log held at the start, then take up what is pending."""
        await _until_it_works(self._catch_up)
        self._ready = True
        # Otherwise what is pending would wait, unseen, for the next start.
        await _until_it_works(synchroniser.start)
        await _until_it_works(self.webhooks.start)
        await watch.start()
        await retention.start()

    async def _catch_up(self) -> None:
        head = await self.events.head()
        while not await self.read_models.reach(head, timeout=1.0):
            log.info("projections are behind", extra={"position": self.read_models.position(), "head": head})
        log.info("ready", extra={"head": head})


@asynccontextmanager
async def running(
    settings: Settings, projector_command: Sequence[str], *, listen: tuple[str, int]
) -> AsyncIterator[tuple[Service, str]]:
    """Run the service until the block ends. Yields it with the address it listens on.

    Raises:
        CannotListen, MasterKeyRefused, LogError, OSError: it cannot start; the text says why.
    """
    async with AsyncExitStack() as stack:
        # First of all, so that a taken port is noticed before anything is made.
        listening = _listening(*listen)
        stack.callback(listening.close)
        address = f"http://{listen[0]}:{listening.getsockname()[1]}"

        vault = open_vault(settings)
        stack.callback(vault.close)
        events = SqliteEventLog(settings.data / LOG_FILE, SealedMapper(vault.keys))
        stack.callback(events.close)
        inbox = SqliteInbox(settings.data / INBOX_FILE)
        stack.callback(inbox.close)
        service = Service(settings, vault, events, inbox, str(settings.public_url or address))
        stack.callback(service.read_models.close)
        stack.push_async_callback(service.gateway.close)
        await finish_destructions(service.services)
        await farewell.resume(service.services)

        projector = ProjectorProcess(projector_command, on_position=service.read_models.notify)
        events.on_commit.append(lambda position: projector.wake())
        await projector.start()
        stack.push_async_callback(projector.stop)
        stack.push_async_callback(service.jobs.close, JOBS_TIMEOUT)
        synchroniser = Synchroniser(service.services)
        stack.push_async_callback(synchroniser.stop)
        stack.push_async_callback(service.webhooks.stop)
        watch = Watch(service.services)
        stack.push_async_callback(watch.stop)
        retention = Retention(service.services)
        stack.push_async_callback(retention.stop)

        runner = Runner(service.build_app(), shutdown_timeout=10.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.SockSite(runner, listening).start()
        getting_ready = asyncio.create_task(
            service.become_ready(synchroniser, watch, retention), name="becoming ready"
        )
        stack.push_async_callback(_cancelled, getting_ready)
        yield service, address


class CannotListen(Exception):
    """The address is taken, or is none of this machine's."""


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=1_024)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    listening.setblocking(False)
    return listening


async def _until_it_works(step: Callable[[], Awaitable[None]]) -> None:
    """Repeat a step of the start whose storage is away for a moment, saying so each time."""
    while True:
        try:
            return await step()
        except (LogError, sqlite3.Error) as error:
            log.error("the start waits", extra={"error": type(error).__name__})
            await asyncio.sleep(1.0)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
