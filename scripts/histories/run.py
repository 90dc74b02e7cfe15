"""One seed, one history: from the first request to the day when nothing pends any more, with the laws looked at."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from domain import data_connection, streams
from scripts.histories import laws, loop
from scripts.histories.client import Client, described, register_pushes
from scripts.histories.lies import LIES
from scripts.histories.machine import KINDS as FAULTS
from scripts.histories.machine import Killed
from scripts.histories.seen import Broken, Seen
from scripts.histories.steps import History
from scripts.histories.world import TENANT, World

STEPS_MIN, STEPS_MAX = 50, 150
#: The last steps that a broken history shows.
TRACE_SHOWN = 30
#: How often the read models are compared with the log before the end.
COMPARED = 0.02
#: What the service logs of itself only where it has a fault.
DEFECTS = frozenset(
    {
        "sync failed",
        "job failed",
        "a push failed",
        "a round failed",
        "an announcement failed",
        "a consumer is stalled",
        "projections are stopped",
    }
)
HOUR, DAY = 3_600.0, 86_400.0


class Told(msgspec.Struct):
    """What came of one history."""

    seed: int
    hash: str
    facts: int
    days: float
    tried: dict[str, int]
    died: dict[str, int]
    broken: str | None = None
    trace: list[str] = []


def scratch() -> Path:
    """A folder in memory where there is one."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="passbook-histories-", dir=memory if memory.is_dir() else None))


def simulate(seed: int, folder: Path, *, over_http: bool = False) -> Told:
    """Tell the history of a seed, in a folder of its own below `folder`.

    Over HTTP it is no matter of the seed alone what comes first, so that it is told otherwise each time.
    """
    rng = random.Random(f"{seed}/schedule")
    shuffled = rng if rng.random() < 0.7 else None
    own = folder / f"seed-{seed}"
    own.mkdir(mode=0o700)
    random.seed(seed)
    try:
        history = _History(seed, own, over_http=over_http)
        with _undisturbed(history.world.broken):
            return loop.run(history.tell(), shuffled, sockets=over_http)
    finally:
        shutil.rmtree(own, ignore_errors=True)


class _History:
    def __init__(self, seed: int, folder: Path, *, over_http: bool) -> None:
        swarm = random.Random(f"{seed}/swarm")
        lies, faults = _swarm(swarm, LIES, 0.25), _faults(swarm)
        self.world = World(seed, folder, lies=lies, faults=faults, over_http=over_http)
        self.client = Client(self.world)
        self.seen = Seen()
        self.rng = random.Random(f"{seed}/run")

    async def tell(self) -> Told:
        world, broken = self.world, None
        await world.open()
        try:
            await self._go_on()
        except Broken as error:
            broken = str(error)
        except Exception as error:
            broken = f"law 0: the history itself broke: {described(error)}"
        finally:
            days = asyncio.get_running_loop().time() / DAY
            await world.close()
        return Told(
            seed=world.seed,
            hash=self.seen.hash(),
            facts=self.seen.position,
            days=days,
            tried=dict(world.machine.tried + world.lies.tried),
            died=dict(world.machine.died),
            broken=broken,
            trace=world.trace[-TRACE_SHOWN:] if broken else [],
        )

    async def _go_on(self) -> None:
        await self._begin()
        history = History(self.world, self.client)
        # One lie each in turn, so that rare ones are told as well.
        kinds = sorted(LIES)
        self.world.lies.plan(kinds[self.world.seed % len(kinds)])
        for _ in range(self.rng.randint(STEPS_MIN, STEPS_MAX)):
            await history.step()
            await asyncio.sleep(self.rng.choice((0.0, 0.0, 0.01, 1.0, 5.0, 60.0)))
            await self.world.restart()
            self._look()
        await self._heal()
        await self._look_last()

    async def _begin(self) -> None:
        """Set the provider up before anything can go wrong."""
        client, world = self.client, self.world
        rates, world.machine.rates = world.machine.rates, {}
        client.set_up()
        await asyncio.sleep(1.0)
        client.switch(True)
        # A day's interval makes most of a history's work; where it is longer, clients' syncs do what it would do.
        client.settings(refresh_interval_hours=self.rng.choice((0, 0, 24, 72, 168, 168)))
        await asyncio.sleep(1.0)
        await world.life.during("registering pushes", lambda: register_pushes(world))
        client.register(world.acts.add_login())
        await asyncio.sleep(1.0)
        self._look()
        if self.rng.random() < 0.8:
            (customer,) = client.customers
            client.connect(customer)
            await asyncio.sleep(1.0)
            client.send(customer, customer.connections[0], wholeheartedly=True)
            await asyncio.sleep(60.0)
        world.machine.rates = rates
        self._look()

    def _look(self) -> None:
        world = self.world
        laws.nothing_broke(world)
        if self.seen.read(world.life.source):
            laws.acknowledged_once(self.client, self.seen)
            laws.watermark_is_behind_rows(world, self.seen)
        if self.rng.random() < COMPARED:
            laws.rebuilt_is_live(world)

    async def _heal(self) -> None:
        """The faults stop, people and clients do what is left to be done, and time goes by."""
        world, client = self.world, self.client
        world.tell("the faults stop")
        world.machine.stop()
        world.lies.stop()
        if not world.life.dead:
            world.life.free_disk()
        world.acts.heal()
        await world.restart()
        await self._answer_all()
        client.switch(True)
        await self._take_up_again()
        # At once; once a window is due again; once whole histories are.
        for wait in (HOUR, 25 * HOUR, 31 * DAY, HOUR):
            await self._answer_all()
            self._look()
            await self._authorise_all()
            for customer in client.customers:
                if not customer.erased and customer.living():
                    client.sync(customer)
            await asyncio.sleep(wait)
            await self._answer_all()
            self._look()

    async def _take_up_again(self) -> None:
        """Most of what was given up, or never begun, is wanted after all."""
        self._look()
        for customer in self.client.customers:
            if customer.erased or self.rng.random() < 0.25:
                continue
            if not customer.living():
                self.client.connect(customer)
            for connection in customer.living():
                if streams.data_connection(TENANT, customer.id, connection.id) in self.seen.given_up:
                    self.client.change(customer, connection, data_connection.AUTH_REQUIRED)
        await asyncio.sleep(5.0)

    async def _answer_all(self) -> None:
        """Wait for what is under way as well: of two wishes at once either may come last."""
        for _ in range(20):
            if not self.client.open():
                return
            for intent in self.client.unanswered():
                self.client.say(intent)
            await asyncio.sleep(10.0)

    async def _authorise_all(self) -> None:
        client = self.client
        for customer in client.customers:
            for connection in [] if customer.erased else customer.living():
                stream = streams.data_connection(TENANT, customer.id, connection.id)
                if stream not in self.seen.given_up:
                    client.send(customer, connection, wholeheartedly=True)
        while client.people:
            await asyncio.wait(client.people)

    async def _look_last(self) -> None:
        world, client = self.world, self.client
        self._look()
        laws.bank_is_not_asked_too_often(world)
        await laws.acknowledged_is_stored(world, client)
        laws.rebuilt_is_live(world)
        await laws.nothing_pends(world)
        laws.statuses_are_right(world, client, self.seen)
        laws.read_model_is_truth(world, client, self.seen)


def _swarm(rng: random.Random, kinds: Iterable[str], share: float) -> dict[str, float]:
    """Which kinds are on this time, and how often: a history in which everything happens shows less."""
    return {kind: rng.choice((0.01, 0.03, 0.08)) for kind in sorted(kinds) if rng.random() < share}


def _faults(rng: random.Random) -> dict[str, float]:
    rates = {kind: 1.0 for kind in sorted(FAULTS) if rng.random() < 0.5}
    # These two are drawn for each answer, the others come as steps.
    if "L06" in rates:
        rates["L06"] = rng.choice((0.003, 0.01, 0.03))
    if "L08" in rates:
        rates["L08"] = rng.choice((0.05, 0.2))
    return rates


class _Defects(logging.Handler):
    """Takes what the service logs of faults that are its own: nothing that may go wrong explains them."""

    def __init__(self, broken: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._broken = broken

    def emit(self, record: logging.LogRecord) -> None:
        # A process that dies says no more, but its callbacks are still called here.
        if record.msg in DEFECTS and getattr(record, "error", None) != Killed.__name__:
            more = {
                name: getattr(record, name) for name in ("error", "reason", "job") if hasattr(record, name)
            }
            place = "" if record.exc_info is None else f" {described(record.exc_info[1])}"
            self._broken.append(f"it logs: {record.msg} {more}{place}")


@contextmanager
def _undisturbed(broken: list[str]) -> Iterator[None]:
    """Nothing is logged but what is a defect; and when cycles are collected must be no matter of chance."""
    before, root = logging.root.manager.disable, logging.getLogger()
    others, root.handlers = root.handlers, [_Defects(broken)]
    logging.disable(logging.WARNING)
    gc.disable()
    try:
        with warnings.catch_warnings():
            # What a process had begun as it died is not awaited any more.
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            yield
    finally:
        gc.enable()
        root.handlers = others
        logging.disable(before)
