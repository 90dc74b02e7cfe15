"""The service as it really is, in one process and in virtual time, over files that outlive it.

A `Life` is one process: it opens the files as the service does at its start, and ends without a word wherever the
machine has it die. A `World` is what outlives it: the machine, the bank, the folder, and whoever asks.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from adapters.budget_insight.gateway import BudgetInsightGateway
from adapters.budget_insight.simulator import SimulatorOptions, create_app
from adapters.budget_insight.simulator.edge import SIMULATION
from adapters.budget_insight.transport import Retries, open_session
from adapters.budget_insight.webhooks import BudgetInsightPushes
from adapters.event_log.mapper import SealedMapper
from adapters.event_log.sqlite import SqliteEventLog, SqliteLogSource
from adapters.event_log.writer import InlineWriter, no_point
from adapters.jobs.in_process import InProcessJobs
from adapters.jobs.inbox import SqliteInbox
from adapters.keys.keyring import SqliteKeyRing
from adapters.keys.master import KEY_SIZE, KEYS_FILE, MasterKey
from adapters.keys.secrets import SqliteSecretStore
from adapters.read_models import pointer
from adapters.read_models.generations import make_directory, start_empty
from adapters.read_models.queries import SqliteReadModels
from adapters.read_models.sqlite import SqliteGeneration
from adapters.storage import INBOX_FILE, LOG_FILE, READ_MODELS_FOLDER, SECRETS_FILE
from application import farewell
from application.erasure import finish_destructions
from application.execute import Services
from application.ports import LogError
from application.synchronise import Synchroniser
from application.watch import Watch
from application.webhooks import Webhooks
from domain.provider import BUDGET_INSIGHT
from projections.catch_up import catch_up
from scripts.histories.acts import Acts
from scripts.histories.lies import Lies
from scripts.histories.loop import SocketLoop, VirtualLoop
from scripts.histories.machine import Ids, Killed, Machine, a_monday
from scripts.histories.over_http import LyingServer
from scripts.histories.wire import ORIGIN, Exchange, Reply, Wire

BI = BUDGET_INSIGHT.name
TENANT = "acme"
#: Where the service is, for the person's browser and for whoever pushes. The bank takes a loopback address only.
PUBLIC_URL = "http://127.0.0.1:8080"

#: How long a push waits for those that come along with it. A sync that is under way is looked at as often, and
#: in a history one may be under way for hours. Seconds.
PUSH_PAUSE = 60.0
#: Between two rounds of the watch. What it is about takes hours and days. Seconds.
WATCH_PAUSE = 8 * 3_600.0
#: How long the projector rests after a failure, and the start of the service after one. Seconds.
REST = 1.0
#: How often it may die, or fail, in a row while it starts.
STARTS_MAX = 50

#: Whose task it is: the life in which it was made, or nobody's who could die.
_OWNER: contextvars.ContextVar[Life | None] = contextvars.ContextVar("owner", default=None)


class Worker:
    """What one process of the service holds in memory: caches, locks, and the syncs under way."""

    def __init__(self, life: Life, *, takes_pushes: bool) -> None:
        self.jobs = InProcessJobs()
        self.services = Services(
            log=life.log,
            keys=life.keys,
            secrets=life.secrets,
            gateways={BI: _Gateway(life)},
            read_models=life.read_models,
            jobs=self.jobs,
            clock=life.world.machine.clock,
            ids=life.world.ids,
            asks=life.inbox,
            public_url=PUBLIC_URL,
        )
        self.synchroniser = Synchroniser(self.services)
        self.watch = Watch(self.services, pause=WATCH_PAUSE)
        self.webhooks = None
        if takes_pushes:
            self.webhooks = Webhooks(self.services, life.inbox, {BI: BudgetInsightPushes()}, pause=PUSH_PAUSE)


class Life:
    """The service from a start to the moment it dies. All its tasks are made within `during`."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.dead = False
        self.disk_fails = False
        self.tasks: dict[asyncio.Task[Any], None] = {}
        machine, ids = world.machine, world.ids
        self.keys = SqliteKeyRing(folder / KEYS_FILE, world.master, random=ids.token)
        self.secrets = SqliteSecretStore(folder / SECRETS_FILE, self.keys, random=ids.token)
        mapper = SealedMapper(self.keys, random=ids.token)
        self.log = SqliteEventLog(
            folder / LOG_FILE,
            mapper,
            point=self.point,
            writer=lambda *a, **b: InlineWriter(*a, later=self._after_a_commit, **b),
        )
        self.source = SqliteLogSource(folder / LOG_FILE, mapper)
        self.inbox = SqliteInbox(folder / INBOX_FILE)
        self.projector = Projector(self)
        self.read_models = SqliteReadModels(folder / READ_MODELS_FOLDER, sleep=machine.clock.sleep)
        self.gateway = BudgetInsightGateway(
            base_url=world.bank,
            webview_url=ORIGIN,
            session=world.session,
            retries=Retries(),
            now=machine.clock.now,
        )
        self.log.on_commit.append(lambda position: self.projector.wake())
        for port, method, point in (
            (self.secrets, "put", "secret kept"),
            (self.keys, "announce_destruction", "destruction announced"),
            (self.keys, "destroy", "key destroyed"),
            (self.inbox, "take", "push taken"),
            (self.inbox, "done", "push done"),
        ):
            setattr(port, method, self._pointed(getattr(port, method), point))
        self.workers = [Worker(self, takes_pushes=True)]

    def _after_a_commit(self, call: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(self.world.machine.commit_seconds(), self.alive(call))

    def _pointed(self, call: Callable[..., Awaitable[Any]], point: str) -> Callable[..., Awaitable[Any]]:
        async def pointed(*args: Any, **more: Any) -> Any:
            answer = await call(*args, **more)
            self.point(point)
            return answer

        return pointed

    def alive(self, call: Callable[[], None]) -> Callable[[], None]:
        """The same, unless the process is gone by then."""
        return lambda: None if self.dead else call()

    # From the start to the end

    async def start(self) -> None:
        """As the composition starts the service.

        Raises:
            LogError: it does not start as things are.
        """
        services = self.first.services
        await finish_destructions(services)
        await farewell.resume(services)
        self.projector.wake()
        asyncio.create_task(self._become_ready(), name="becoming ready")

    @property
    def first(self) -> Worker:
        return self.workers[0]

    async def _become_ready(self) -> None:
        head = await _until_it_works(self.log.head)
        while not await _until_it_works(lambda: self.read_models.reach(head, timeout=1.0)):
            pass
        await _until_it_works(self.first.synchroniser.start)
        if self.first.webhooks is not None:
            await _until_it_works(self.first.webhooks.start)
        await self.first.watch.start()

    async def second_worker(self) -> None:
        """L07: another process takes the same syncs and the same commands."""
        self.world.machine.tried["L07"] += 1
        worker = Worker(self, takes_pushes=False)
        self.workers.append(worker)
        await _until_it_works(worker.synchroniser.start)
        await worker.watch.start()

    def during(self, name: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
        """A task of this process, which dies with it."""
        context = contextvars.copy_context()
        context.run(_OWNER.set, self)
        return context.run(lambda: asyncio.get_running_loop().create_task(work(), name=name))

    def point(self, name: str) -> None:
        """Die here, if the machine has it so."""
        if self.dead:
            raise Killed(name)
        if self.world.machine.reached(name):
            self.die(name)
            raise Killed(name)

    def die(self, point: str) -> None:
        """End without a word. What lies on the disk at this moment is what the next life finds."""
        self.world.machine.died[point] += 1
        self.world.machine.tried["L01"] += 1
        self.world.tell(f"dies: {point}")
        self.end()

    def end(self) -> None:
        self.world.folder = _as_it_lies(self.folder)
        self.dead = True
        for task in self.tasks:
            task.cancel()

    async def bury(self) -> None:
        """Wait for what is left of a process that is gone, and remove its files."""
        # What ends may begin something in its place.
        while running := [task for task in self.tasks if not task.done()]:
            await asyncio.wait(running)
        await self.gateway.close()
        for task in self.tasks:
            if not task.cancelled():
                task.exception()
        self.close()
        if self.folder != self.world.folder:
            shutil.rmtree(self.folder)

    def close(self) -> None:
        self.dead = True
        # What was not on its way to the disk yet is lost with the process.
        self.log._writer._waiting = SimpleQueue()
        for opened in (
            self.read_models,
            self.source,
            self.inbox,
            self.secrets,
            self.projector,
            self.log,
            self.keys,
        ):
            with suppress(sqlite3.Error):
                opened.close()

    # The disk

    def connections(self) -> list[sqlite3.Connection]:
        """All that write."""
        return [
            self.log._writer._connection._sqlite_conn,  # type: ignore[attr-defined]
            self.keys._database.connection,
            self.secrets.database.connection,
            self.inbox._connection,
            self.projector.generation._connection,
        ]

    def fill_disk(self) -> None:
        """L02: no file grows any more."""
        self.world.machine.tried["L02"] += 1
        self.disk_fails = True
        for connection in self.connections():
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")

    def lock_disk(self) -> None:
        """L03: nothing is written any more."""
        self.world.machine.tried["L03"] += 1
        self.disk_fails = True
        for connection in self.connections():
            connection.execute("PRAGMA query_only = ON")

    def free_disk(self) -> None:
        self.disk_fails = False
        for connection in self.connections():
            connection.execute("PRAGMA max_page_count = 1073741823")
            connection.execute("PRAGMA query_only = OFF")


class Projector:
    """The read models, kept at the head of the log as the projector process does, after as long as it takes."""

    def __init__(self, life: Life) -> None:
        self._life = life
        directory = life.folder / READ_MODELS_FOLDER
        make_directory(directory)
        number = pointer.current(directory)
        if number is None:
            start_empty(directory)
            number = pointer.current(directory)
        assert number is not None
        self.generation = _Generation(pointer.path_of(directory, number))
        self.generation.point = life.point
        self._awake = False

    def close(self) -> None:
        self.generation.close()

    def catch_up(self) -> bool:
        """Bring the read models to the head now, without dying on the way. False while the disk fails."""
        if self._life.disk_fails:
            return False
        self.generation.point = no_point
        try:
            catch_up(self._life.source, self.generation)
        finally:
            self.generation.point = self._life.point
        return True

    def wake(self) -> None:
        self._soon(self._life.world.machine.lag_seconds())

    def _soon(self, seconds: float) -> None:
        if not self._awake:
            self._awake = True
            asyncio.get_running_loop().call_later(seconds, self._life.alive(self._step))

    def _step(self) -> None:
        self._awake = False
        try:
            position = catch_up(self._life.source, self.generation)
        except (sqlite3.Error, LogError):
            self._soon(REST)
            return
        self._life.read_models.notify(position)


class _Generation(SqliteGeneration):
    point: Callable[[str], None]

    def commit(self, expected: int, position: int) -> None:
        self.point("projecting")
        super().commit(expected, position)
        self.point("projected")


class _Gateway:
    """The real gateway, with the points behind its answers where a worker may die or stand still."""

    def __init__(self, life: Life) -> None:
        self._life = life

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._life.gateway, name)
        if not asyncio.iscoroutinefunction(call):
            return call

        async def asked(*args: Any, **more: Any) -> Any:
            answer = await call(*args, **more)
            await self._answered("bank answered")
            return answer

        return asked

    async def transactions(self, *args: Any, **more: Any) -> AsyncIterator[Any]:
        async for page in self._life.gateway.transactions(*args, **more):
            await self._answered("page read")
            yield page

    async def _answered(self, point: str) -> None:
        self._life.point(point)
        if pause := self._life.world.machine.pause():
            await asyncio.sleep(pause)


class _Heard:
    """Between the wire and the lies: what the bank really was asked, and when."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def exchange(self, ask: Callable[[Exchange], Awaitable[Reply]], exchange: Exchange) -> Reply:
        async def heard(said: Exchange) -> Reply:
            if said.method == "PUT" and "/connections/" in said.url.path:
                self._world.asks.append(
                    (self._world.machine.clock.true(), said.url.name, said.url.query_string)
                )
            return await ask(said)

        return await self._world.lies.exchange(heard, exchange)


class World:
    """One history: everything that outlives a process, and everything that is drawn by lot."""

    def __init__(
        self,
        seed: int,
        folder: Path,
        *,
        lies: Mapping[str, float],
        faults: Mapping[str, float],
        over_http: bool = False,
    ) -> None:
        """`lies` and `faults` say how likely each kind is; one that is left out never happens. `over_http` puts the
        bank behind a real socket, which takes a loop that has them."""
        self.seed = seed
        self.rng = self.chance("steps")
        start = a_monday(self.chance("start"))
        self.machine = Machine(self.chance("machine"), faults, start)
        self.ids = Ids(self.chance("ids"))
        self.master = MasterKey(self.chance("master key").randbytes(KEY_SIZE))
        self.trace: list[str] = []
        self.asks: list[tuple[datetime, str, str]] = []
        """When the bank was asked to fetch now, for which connection, and the query."""
        app = create_app(SimulatorOptions(seed=seed, now=start, scheduled_syncs=True))
        self.lies = Lies(self.chance("lies"), lies)
        self.acts = Acts(app[SIMULATION], self.chance("acts"), self.lies.tried)
        self.lies.acts = self.acts
        self.acts.follow(self.machine.clock.true)
        self.wire = Wire(app, _Heard(self))
        self._app = app
        self._over_http = over_http
        self._server: LyingServer | None = None
        self.broken: list[str] = []
        """What went wrong that nothing may make go wrong: the text of each."""
        self.folder = folder / "life-0"
        self.life: Life

    def chance(self, name: str) -> random.Random:
        """A generator of its own for each matter, so that one more draw in one moves nothing in the others."""
        return random.Random(f"{self.seed}/{name}")

    def tell(self, what: str) -> None:
        now = asyncio.get_running_loop().time()
        self.trace.append(f"{now / 86_400:8.3f} d  {what}")

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop | SocketLoop)
        loop.created = _owned
        loop.set_exception_handler(self._unhandled)
        self.folder.mkdir(mode=0o700)
        if self._over_http:
            self._server = LyingServer(self._app, _Heard(self))
            self.wire = self._server.wire
        await (self._server or self.wire).start()
        self.life = Life(self, self.folder)
        await self.life.during("start", self.life.start)

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, Killed):
            self.broken.append(f"{context.get('message')}: {error!r}")

    async def close(self) -> None:
        self.life.dead = True
        for task in self.life.tasks:
            task.cancel()
        await self.life.bury()
        await (self._server or self.wire).close()

    @property
    def bank(self) -> str:
        """Where the provider's API is."""
        return self._server.url if self._server else ORIGIN

    def session(self) -> Any:
        """How the service talks to it."""
        return open_session() if self._server else self.wire.session()

    async def restart(self) -> None:
        """The next life, over what the last one left on the disk, if that is dead.

        Raises:
            RuntimeError: it does not start, however often that is tried.
        """
        for _ in range(STARTS_MAX):
            if not self.life.dead:
                return
            await self.life.bury()
            self.life = Life(self, self.folder)
            started = self.life.during("start", self.life.start)
            await asyncio.wait({started})
            if not started.cancelled() and started.exception() is None:
                return
            if not self.life.dead:
                # It does not start as things are: whoever watches over it tries again.
                self.tell(f"does not start: {started.exception()!r}")
                self.life.end()
            await asyncio.sleep(REST)
        raise RuntimeError("the service does not start")


def _owned(task: asyncio.Task[Any]) -> None:
    life = _OWNER.get()
    if life is not None:
        life.tasks[task] = None
        task.add_done_callback(lambda _: life.tasks.pop(task, None))
        if life.dead:
            task.cancel()


def _as_it_lies(folder: Path) -> Path:
    """A copy of the files as they are now: what a process that is killed leaves, with commits half made."""
    name, _, number = folder.name.rpartition("-")
    copy = folder.with_name(f"{name}-{int(number) + 1}")
    for directory, _, files in os.walk(folder):
        into = copy / Path(directory).relative_to(folder)
        into.mkdir(mode=0o700)
        for file in files:
            # Locks and the shared memory beside a database end with the process.
            if not file.endswith((".lock", "-shm")):
                shutil.copyfile(f"{directory}/{file}", into / file)
    return copy


async def _until_it_works(step: Callable[[], Awaitable[Any]]) -> Any:
    while True:
        try:
            return await step()
        except (LogError, sqlite3.Error):
            await asyncio.sleep(REST)
