"""Who asks: a client that repeats itself until it is answered, its people at the bank, and the bank's pushes.

A client says everything under an Idempotency-Key and repeats what it got no answer to, until it has one. Nobody
waits for anybody.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from adapters.budget_insight.simulator.webhooks import signature
from adapters.budget_insight.webhooks import AGE_MAX, AHEAD_MAX
from application import accounts, authorisations, consumers, data_connections, erasure, providers, syncs
from application.execute import Outcome, Services, load
from application.ports import Context, KeyDestroyed, LogUnavailable, PushForged, PushTooLarge
from application.refusals import IdempotencyKeyInFlight, Unavailable
from domain import consumer, data_connection, streams
from domain.data_types import ALL
from domain.refusals import Refused
from scripts.histories.machine import Killed
from scripts.histories.pushes import Push
from scripts.histories.world import BI, TENANT, Life, World

SECRET = "a-secret-for-pushes"
CREDENTIALS = {
    "domain": "acme-sandbox",
    "client_id": "84213",
    "client_secret": "a-secret-of-the-tenant",
    "webhook_secret": SECRET,
}

OPEN, DONE, REFUSED = "open", "done", "refused"

Call = Callable[[Services, Context], Awaitable[Outcome]]


class Intent(msgspec.Struct, eq=False):
    """Something a client wants once, however often it has to say so."""

    key: str
    what: str
    call: Call
    then: Callable[[Outcome], None]
    state: str = OPEN
    tries: int = 0
    unknown: bool = False
    """A try was given no answer, so that it may have been carried out."""
    under_way: int = 0
    outcome: Outcome | None = None

    @property
    def command_id(self) -> bytes:
        return sha256(self.key.encode()).digest()[:16]


class Connected(msgspec.Struct, eq=False):
    """A connection as the client and its person know it."""

    id: str
    login: str
    deleted: bool = False
    visiting: bool = False


class Customer(msgspec.Struct, eq=False):
    """A consumer as the client knows it."""

    id: str
    login: str
    connections: list[Connected] = []
    erased: bool = False

    def living(self) -> list[Connected]:
        return [connection for connection in self.connections if not connection.deleted]


class Client:
    """The tenant's own program."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = world.chance("client")
        self.customers: list[Customer] = []
        self.intents: list[Intent] = []
        self.people: set[asyncio.Task[None]] = set()

    # Saying it, until there is an answer

    def want(self, what: str, call: Call, then: Callable[[Outcome], None] = lambda outcome: None) -> Intent:
        intent = Intent(f"{self.world.seed}-{len(self.intents)}", what, call, then)
        self.intents.append(intent)
        self.say(intent)
        return intent

    def say(self, intent: Intent) -> None:
        """One try."""
        life = self.world.life
        if life.dead:
            return
        intent.tries += 1
        intent.under_way += 1
        worker = self.rng.choice(life.workers)
        context = Context(
            tenant=TENANT,
            actor="key:client",
            command_id=intent.command_id,
            input_digest=sha256(intent.what.encode()).digest(),
        )
        task = life.during(intent.what, lambda: _carried_out(intent, worker.services, context))
        task.add_done_callback(lambda ended: self._answered(intent, ended))

    def _answered(self, intent: Intent, ended: asyncio.Task[Outcome]) -> None:
        intent.under_way -= 1
        error = asyncio.CancelledError() if ended.cancelled() else ended.exception()
        match error:
            case None:
                self._acknowledged(intent, ended.result())
            case Refused() | KeyDestroyed() if not isinstance(error, IdempotencyKeyInFlight):
                if intent.state == OPEN:
                    intent.state = REFUSED
                self.world.tell(f"{intent.what}: refused, {type(error).__name__}")
            case (
                Unavailable()
                | LogUnavailable()
                | IdempotencyKeyInFlight()
                | asyncio.CancelledError()
                | Killed()
            ):
                intent.unknown = True
                self.world.tell(f"{intent.what}: no answer, {type(error).__name__} {error}")
            case _:
                self.world.broken.append(f"{intent.what} broke: {described(error)}")

    def _acknowledged(self, intent: Intent, outcome: Outcome) -> None:
        if intent.outcome is None:
            intent.outcome = outcome
        elif _said(intent.outcome) != _said(outcome):
            self.world.broken.append(f"{intent.what} was answered differently when it was repeated")
        if intent.state == OPEN and self.world.machine.happens("L08"):
            self.world.machine.tried["L08"] += 1
            intent.unknown = True
            self.world.tell(f"{intent.what}: the answer is lost")
            return
        # A refusal takes no key: said once more, it may be carried out.
        if intent.state in (OPEN, REFUSED):
            intent.state = DONE
            intent.then(outcome)
            self.world.tell(f"{intent.what}: done at {outcome.position}")

    def open(self) -> list[Intent]:
        return [intent for intent in self.intents if intent.state == OPEN]

    def unanswered(self) -> list[Intent]:
        return [intent for intent in self.open() if not intent.under_way]

    # What it wants

    def set_up(self) -> None:
        self.want("set credentials", lambda s, c: providers.update_credentials(s, c, BI, CREDENTIALS))

    def settings(self, **settings: Any) -> None:
        self.want(f"settings {settings}", lambda s, c: providers.update_settings(s, c, BI, settings))

    def register(self, login: str) -> None:
        def registered(outcome: Outcome) -> None:
            self.customers.append(Customer(streams.parse(outcome.stream).id, login))

        fields = {"first_name": "Camille", "last_name": f"Martin {len(self.intents)}"}
        self.want(
            "register",
            lambda s, c: consumers.register(s, c, type=consumer.NATURAL, fields=fields),
            registered,
        )

    def connect(self, customer: Customer) -> None:
        def requested(outcome: Outcome) -> None:
            id = streams.parse(outcome.stream).id
            if all(known.id != id for known in customer.connections):
                customer.connections.append(Connected(id, customer.login))

        self.want(
            "request a connection",
            lambda s, c: data_connections.request(s, c, customer.id, provider_name=BI, data_types=ALL),
            requested,
        )

    def sync(
        self, customer: Customer, data_types: tuple[str, ...] | None = None, *, attended: bool = False
    ) -> None:
        async def call(services: Services, context: Context) -> Outcome:
            outcome, _ = await syncs.request(services, context, customer.id, data_types, attended=attended)
            return outcome

        self.want(f"sync {' '.join(data_types or ())}".strip(), call)

    def change(self, customer: Customer, connection: Connected, status: str) -> None:
        self.want(
            f"change to {status}",
            lambda s, c: data_connections.change(s, c, customer.id, connection.id, status=status),
        )

    def change_types(self, customer: Customer, connection: Connected, data_types: tuple[str, ...]) -> None:
        self.want(
            f"change types to {' '.join(data_types)}",
            lambda s, c: data_connections.change(s, c, customer.id, connection.id, data_types=data_types),
        )

    def delete(self, customer: Customer, connection: Connected) -> None:
        def deleted(outcome: Outcome) -> None:
            connection.deleted = True

        self.want(
            "delete a connection",
            lambda s, c: data_connections.delete(s, c, customer.id, connection.id),
            deleted,
        )

    def erase(self, customer: Customer) -> None:
        def erased(outcome: Outcome) -> None:
            customer.erased = True

        self.want("erase", lambda s, c: erasure.erase_consumer(s, c, customer.id), erased)

    def unlink(self, customer: Customer, account_id: str) -> None:
        async def call(services: Services, context: Context) -> Outcome:
            outcome, _ = await accounts.unlink(services, context, customer.id, account_id)
            return outcome

        self.want("unlink an account", call)

    def undo_booking(self, customer: Customer, account_id: str, pending_id: str) -> None:
        self.want(
            "undo a booking",
            lambda s, c: accounts.undo_booking(s, c, customer.id, account_id, pending_id),
        )

    def rename(self, customer: Customer) -> None:
        fields = {"last_name": f"Durand {len(self.intents)}"}
        self.want("change details", lambda s, c: consumers.change(s, c, customer.id, fields))

    def switch(self, on: bool) -> None:
        self.want(f"switch the provider {on}", lambda s, c: providers.set_enabled(s, c, BI, on))

    # What its people do

    def send(self, customer: Customer, connection: Connected, *, wholeheartedly: bool = False) -> None:
        """Send the person to the bank and back."""
        if connection.visiting:
            return
        connection.visiting = True
        task = asyncio.create_task(self._visit(customer, connection, wholeheartedly), name="a person")
        self.people.add(task)

        def back(ended: asyncio.Task[None]) -> None:
            connection.visiting = False
            self.people.discard(ended)
            if not ended.cancelled() and ended.exception() is not None:
                self.world.broken.append(f"a person's way broke: {described(ended.exception())}")

        task.add_done_callback(back)

    async def _visit(self, customer: Customer, connection: Connected, wholeheartedly: bool) -> None:
        rng, wire = self.rng, self.world.wire
        address = await self._patiently("open the link", lambda life: _open(life, customer, connection))
        if address is None:
            return
        thinks = 5.0 if wholeheartedly else rng.choice((0.5, 5.0, 5.0, 60.0, 600.0, 2_400.0))
        await asyncio.sleep(thinks)
        gives_up = not wholeheartedly and rng.random() < 0.1
        shown = await wire.visit("GET", address)
        if shown.status != 200:
            self.world.tell(f"the bank's page says {shown.status}")
            return
        form = {"cancel": "1"} if gives_up else {"login": connection.login, "password": "1234"}
        left = await wire.visit("POST", address, form=form)
        if left.status not in (302, 303):
            self.world.tell(f"the bank's page keeps the person: {left.status}")
            return
        query = dict(parse_qsl(urlsplit(left.headers["Location"]).query))
        await self._patiently("come back", lambda life: authorisations.complete(_any(self, life), query))

    async def _patiently(self, what: str, step: Callable[[Life], Awaitable[Any]]) -> Any:
        """Try it a few times, as a person presses the button again. None if it does not work out."""
        for _ in range(4):
            life = self.world.life
            if not life.dead:
                task = life.during(what, lambda life=life: _awaited(step, life))
                await asyncio.wait({task})
                error = asyncio.CancelledError() if task.cancelled() else task.exception()
                match error:
                    case None:
                        self.world.tell(f"the person: {what}, done")
                        return task.result()
                    case Unavailable() | LogUnavailable() | asyncio.CancelledError() | Killed():
                        self.world.tell(f"the person: {what}, no answer: {error!r}")
                    case Refused() | KeyDestroyed():
                        self.world.tell(f"the person: {what}, refused: {type(error).__name__}")
                        return None
                    case _:
                        self.world.broken.append(f"{what} broke: {described(error)}")
                        return None
            await asyncio.sleep(self.rng.choice((1.0, 20.0, 120.0)))
        return None


async def _carried_out(intent: Intent, services: Services, context: Context) -> Outcome:
    return await intent.call(services, context)


async def _awaited(step: Callable[[Life], Awaitable[Any]], life: Life) -> Any:
    return await step(life)


def _any(client: Client, life: Life) -> Services:
    return client.rng.choice(life.workers).services


def described(error: BaseException | None) -> str:
    """An error with the place it comes from."""
    places = traceback.extract_tb(error.__traceback__ if error else None)[-3:]
    where = ", ".join(f"{Path(place.filename).name}:{place.lineno} {place.name}" for place in places)
    return f"{error!r} at {where}"


def _said(outcome: Outcome) -> tuple[str, int, int]:
    return outcome.stream, outcome.version, outcome.position


async def _open(life: Life, customer: Customer, connection: Connected) -> str:
    services = life.first.services
    state = (await load(services, streams.data_connection(TENANT, customer.id, connection.id))).state
    epoch = data_connection.existing(state).link_epoch
    link = authorisations.link(services, TENANT, connection.id, epoch, services.clock.now())
    return await authorisations.open_link(services, connection.id, link.partition("?token=")[2])


# Pushes


async def deliver(world: World) -> int:
    """Take what is pushed now to the service's door, and return how many that was."""
    pushes = world.acts.pushes(world.machine.clock.true())
    for push in pushes:
        life = world.life
        if life.dead:
            continue
        task = life.during("a push", lambda life=life, push=push: _received(life, push))

        def ended(task: asyncio.Task[bool], push: Push = push) -> None:
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            match error:
                case None if not task.result():
                    world.broken.append(f"a forged push was taken: {push.event}")
                case None | PushForged() | PushTooLarge() | asyncio.CancelledError() | Killed():
                    return
                case Unavailable() | LogUnavailable() | Refused():
                    return
                case _:
                    world.broken.append(f"a push broke: {described(error)}")

        task.add_done_callback(ended)
    return len(pushes)


def _is_acceptable(push: Push, now: datetime) -> bool:
    """Whether it is signed with the secret, and for about now. One that was forged ahead of its time may be by then."""
    headers = dict(push.headers)
    date = headers.get("BI-Signature-Date", "")
    if headers.get("BI-Signature") != signature(SECRET, push.path, date, push.body):
        return False
    age = now - datetime.fromisoformat(date)
    return -AHEAD_MAX <= age <= AGE_MAX


async def _received(life: Life, push: Push) -> bool:
    """Have the service take a push, and say whether it was right to do so, at some moment of the taking."""
    webhooks, clock = life.first.webhooks, life.world.machine.clock
    assert webhooks is not None
    *_, endpoint, event = push.path.split("/")
    tenant = await webhooks.tenant_of(BI, endpoint)
    before = clock.now()
    await webhooks.receive(tenant, BI, endpoint, event, push.headers, push.body)
    return _is_acceptable(push, before) or _is_acceptable(push, clock.now())


async def register_pushes(world: World) -> None:
    """Tell the bank where to push, as the operator does once."""
    webhooks = world.life.first.webhooks
    assert webhooks is not None
    registration = await webhooks.registration(TENANT, BI)
    event, address = next(iter(registration.addresses.items()))
    world.acts.push_to(urlsplit(address).path.removesuffix(f"/{event}"), SECRET)
