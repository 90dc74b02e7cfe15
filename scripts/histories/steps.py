"""What happens in a history, step by step: what a client asks, what people do, what the bank and the machine do.

A step begins something, and the next one comes, perhaps, before that ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Set
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain import data_connection
from domain.data_types import ALL
from projections import directory, linking, pending
from projections.accounts import key_of
from projections.ports import Rows, Table
from scripts.histories.client import DONE, Client, Connected, Customer, deliver
from scripts.histories.machine import POINTS
from scripts.histories.world import TENANT, World

CONSUMERS_MAX = 3
#: How often a step is drawn anew that did not come about.
TRIES_MAX = 6


class History:
    """The steps of one history, drawn by weights of its own."""

    def __init__(self, world: World, client: Client) -> None:
        self.world = world
        self.client = client
        self.rng = world.rng
        self._names = sorted(STEPS)
        swarm = world.chance("swarm of steps")
        self._weights = [
            STEPS[name][0] * swarm.choice((0.3 if name in ALWAYS else 0.0, 0.3, 1.0, 1.0, 3.0))
            for name in self._names
        ]

    async def step(self) -> None:
        for _ in range(TRIES_MAX):
            (name,) = self.rng.choices(self._names, self._weights)
            said = await STEPS[name][1](self)
            if said is not None:
                self.world.tell(f"{name} {said}".strip())
                return

    # Whom it happens to

    def customer(self) -> Customer | None:
        there = [customer for customer in self.client.customers if not customer.erased]
        return self.rng.choice(there) if there else None

    def connection(self) -> tuple[Customer, Connected] | None:
        pairs = [
            (customer, connection)
            for customer in self.client.customers
            if not customer.erased
            for connection in customer.living()
        ]
        return self.rng.choice(pairs) if pairs else None

    @contextmanager
    def rows(self) -> Iterator[Rows]:
        """What a client would read now."""
        generation = self.world.life.projector.generation
        rows = generation.snapshot()
        try:
            yield rows
        finally:
            generation.rollback()

    def row_of(self, table: Table, which: Callable[[Any], bool]) -> tuple[Customer, Any] | None:
        """A row of a table that names the consumer first, and whose it is."""
        if self.world.life.dead:
            return None
        customers = [customer for customer in self.client.customers if not customer.erased]
        with self.rows() as rows:
            found = [
                (customer, row)
                for customer in customers
                for row in rows.scan(table, TENANT, customer.id)
                if which(row)
            ]
        return self.rng.choice(found) if found else None

    def connection_in(self, statuses: Set[str]) -> tuple[Customer, Connected] | None:
        """A connection that the service says is in one of these statuses."""
        found = self.row_of(directory.CONNECTIONS, lambda row: row.status in statuses)
        if found is None:
            return None
        customer, row = found
        known = [connection for connection in customer.living() if connection.id == row.id]
        return (customer, known[0]) if known else None

    def login(self) -> str | None:
        customer = self.customer()
        return customer.login if customer else None

    def at_the_bank(self) -> int | None:
        there = self.world.acts.connections()
        return self.rng.choice(there) if there else None


Step = Callable[[History], Awaitable[str | None]]


async def _registers(history: History) -> str | None:
    if len(history.client.customers) >= CONSUMERS_MAX:
        return None
    history.client.register(history.world.acts.add_login())
    return ""


async def _connects(history: History) -> str | None:
    customer = history.customer()
    if customer is None:
        return None
    history.client.connect(customer)
    return ""


async def _authorises(history: History) -> str | None:
    """Mostly where the service says that it is needed."""
    found = history.connection_in(data_connection.OPENABLE) or history.connection()
    if found is None:
        return None
    history.client.send(*found)
    return ""


async def _syncs(history: History) -> str | None:
    """Mostly where there is something to be synchronised."""
    found = history.connection_in({data_connection.CONNECTED}) if history.rng.random() < 0.8 else None
    customer = found[0] if found else history.customer()
    if customer is None:
        return None
    data_types = history.rng.choice((None, None, None, ALL[:1], ALL[:2]))
    history.client.sync(customer, data_types, attended=history.rng.random() < 0.3)
    return ""


async def _goes_by(history: History) -> str | None:
    """What happens on most days: rows come and change, and are looked at."""
    found = history.connection_in({data_connection.CONNECTED})
    if found is None:
        return None
    customer, _ = found
    acts = history.world.acts
    done = [
        name
        for name in history.rng.choices(
            list(ROW_ACTS), list(ROW_ACTS.values()), k=history.rng.choice((1, 2, 3))
        )
        if getattr(acts, name)(customer.login)
    ]
    if history.rng.random() < 0.6:
        history.client.sync(customer, attended=history.rng.random() < 0.3)
    else:
        for connection in acts.connections(customer.login):
            acts.sync(connection)
        await deliver(history.world)
    await asyncio.sleep(history.rng.choice((30.0, 300.0, 3_600.0, 30_000.0)))
    return f"at {customer.login}: {', '.join(done)}"


async def _keeps_asking(history: History) -> str | None:
    """A client that wants the newest, again and again: the bank is not asked as often."""
    customer = history.customer()
    if customer is None:
        return None
    for _ in range(7):
        history.client.sync(customer)
        await asyncio.sleep(history.rng.choice((60.0, 900.0, 3_600.0)))
        await history.world.restart()
    return ""


async def _repeats(history: History) -> str | None:
    """What was not answered; now and then what is being worked on still, or was answered long ago."""
    client = history.client
    left = client.unanswered()
    if not left or history.rng.random() < 0.2:
        left = [intent for intent in client.intents if intent.under_way or intent.state == DONE][-5:]
    if not left:
        return None
    intent = history.rng.choice(left)
    client.say(intent)
    return intent.what


async def _disconnects(history: History) -> str | None:
    found = history.connection()
    if found is None:
        return None
    history.client.change(*found, data_connection.DISCONNECTED)
    return ""


async def _reconnects(history: History) -> str | None:
    found = history.connection()
    if found is None:
        return None
    history.client.change(*found, data_connection.AUTH_REQUIRED)
    history.client.send(*found)
    return ""


async def _changes_types(history: History) -> str | None:
    found = history.connection()
    if found is None:
        return None
    history.client.change_types(*found, history.rng.choice((ALL, ALL[:1], ALL[:2], ALL[:3])))
    return ""


async def _deletes(history: History) -> str | None:
    found = history.connection()
    if found is None:
        return None
    history.client.delete(*found)
    return ""


async def _erases(history: History) -> str | None:
    customer = history.customer()
    if customer is None:
        return None
    history.client.erase(customer)
    return ""


async def _unlinks(history: History) -> str | None:
    found = history.row_of(linking.SOURCES, lambda row: row.id != row.account)
    if found is None:
        return None
    customer, source = found
    history.client.unlink(customer, source.account)
    return ""


async def _undoes_a_booking(history: History) -> str | None:
    found = history.row_of(linking.SOURCES, lambda row: True)
    if found is None:
        return None
    customer, source = found
    with history.rows() as rows:
        bookings = list(rows.scan(pending.BOOKINGS, key_of(source.id)))
    if not bookings:
        return None
    booking = history.rng.choice(bookings)
    history.client.undo_booking(customer, source.account, str(UUID(bytes=booking.pending_id)))
    return ""


async def _renames(history: History) -> str | None:
    customer = history.customer()
    if customer is None:
        return None
    history.client.rename(customer)
    return ""


async def _switches_the_provider(history: History) -> str | None:
    """Off, and on again after a while."""
    history.client.switch(False)
    await asyncio.sleep(history.rng.choice((1.0, 600.0, 90_000.0)))
    await history.world.restart()
    history.client.switch(True)
    return "off and on"


async def _settles(history: History) -> str | None:
    history.client.settings(**history.rng.choice(({"auto_connect": True}, {"auto_connect": False})))
    return ""


async def _time_passes(history: History) -> str | None:
    seconds = history.rng.choice((1, 30, 600, 3_600, 6 * 3_600, 30 * 3_600, 4 * 86_400))
    await asyncio.sleep(seconds * history.rng.uniform(0.5, 1.5))
    return f"{timedelta(seconds=seconds)}"


async def _pushes(history: History) -> str | None:
    history.world.acts.catch_up()
    return "delivered" if await deliver(history.world) else None


async def _mishap(history: History) -> str | None:
    return "" if history.world.acts.push_mishap() else None


async def _forgery(history: History) -> str | None:
    return "" if history.world.acts.forge_push() else None


async def _user_goes(history: History) -> str | None:
    there = history.world.acts.users()
    if not there:
        return None
    user = history.rng.choice(there)
    return f"{user}" if history.world.acts.delete_user(user) else None


def _of_login(name: str) -> Step:
    async def act(history: History) -> str | None:
        login = history.login()
        return f"at {login}" if login is not None and getattr(history.world.acts, name)(login) else None

    return act


def _of_connection(name: str) -> Step:
    async def act(history: History) -> str | None:
        connection = history.at_the_bank()
        if connection is None or not getattr(history.world.acts, name)(connection):
            return None
        return f"of {connection}"

    return act


async def _dies(history: History) -> str | None:
    machine = history.world.machine
    if not machine.happens("L01"):
        return None
    point = history.rng.choice(POINTS)
    if point in RARE and history.rng.random() < 0.6:
        # What leads there takes away what the history is about.
        point = "commit"
    if point == "waiting":
        history.world.life.die(point)
        return "at once"
    lure = LURES.get(point)
    machine.arm(point, 1 if lure else history.rng.choice((1, 1, 2, 3, 8)))
    if lure is not None:
        await lure(history)
    return f"will, at {point}"


async def _syncs_and_pushes(history: History) -> str | None:
    connection = history.at_the_bank()
    if connection is not None:
        history.world.acts.sync(connection)
    return await _pushes(history)


#: Points that only a deletion leads to.
RARE = frozenset({"destruction announced", "key destroyed"})
#: Points that few things come to, and what leads there.
LURES: dict[str, Step] = {
    "secret kept": _authorises,
    "destruction announced": _deletes,
    "key destroyed": _deletes,
    "push taken": _syncs_and_pushes,
    "push done": _syncs_and_pushes,
}


async def _disk_fails(history: History) -> str | None:
    machine, life = history.world.machine, history.world.life
    if life.dead:
        return None
    fails = [kind for kind in ("L02", "L03", "L04") if machine.happens(kind)]
    if not fails:
        return None
    kind = history.rng.choice(fails)
    match kind:
        case "L02":
            life.fill_disk()
        case "L03":
            life.lock_disk()
        case "L04":
            machine.slow_down()
            return kind
    seconds = history.rng.choice((0.5, 5.0, 60.0))
    asyncio.get_running_loop().call_later(seconds, life.alive(life.free_disk))
    return f"{kind} for {seconds:g} s"


async def _disk_recovers(history: History) -> str | None:
    history.world.machine.speed_up()
    if not history.world.life.dead:
        history.world.life.free_disk()
    return None


async def _clock_jumps(history: History) -> str | None:
    machine = history.world.machine
    return f"by {machine.jump()}" if machine.happens("L05") else None


async def _second_worker(history: History) -> str | None:
    life = history.world.life
    if life.dead or len(life.workers) > 1 or not history.world.machine.happens("L07"):
        return None
    life.during("a second worker", life.second_worker)
    return ""


#: Without these nothing would come of a history. Of the others each has some in which it never happens.
ALWAYS = frozenset(
    {
        "registers",
        "requests a connection",
        "authorises",
        "syncs",
        "repeats",
        "time passes",
        "disk recovers",
        "a day goes by",
    }
)

#: What happens to rows, and how often each.
ROW_ACTS = {
    "new_rows": 8,
    "twin": 2,
    "pending_row": 8,
    "book_pending": 4,
    "book_under_new_id": 5,
    "drop_pending": 4,
    "improve_wording": 2,
    "correct_amount": 2,
    "redate": 2,
    "delete_row": 3,
    "undelete_row": 4,
}

#: How often each, against the others, and what it is. A step that says None did not come about.
STEPS: dict[str, tuple[float, Step]] = {
    "registers": (4, _registers),
    "requests a connection": (5, _connects),
    "authorises": (8, _authorises),
    "syncs": (16, _syncs),
    "a day goes by": (16, _goes_by),
    "keeps asking": (0.7, _keeps_asking),
    "repeats": (10, _repeats),
    "disconnects": (0.5, _disconnects),
    "reconnects": (3, _reconnects),
    "changes types": (1, _changes_types),
    "deletes a connection": (0.4, _deletes),
    "erases": (0.25, _erases),
    "unlinks": (0.8, _unlinks),
    "undoes a booking": (0.8, _undoes_a_booking),
    "renames": (0.4, _renames),
    "switches the provider": (0.3, _switches_the_provider),
    "changes settings": (0.2, _settles),
    "time passes": (14, _time_passes),
    "pushes": (8, _pushes),
    "a push has a mishap": (3, _mishap),
    "a push is forged": (1.5, _forgery),
    "the provider's user goes": (0.3, _user_goes),
    "dies": (6, _dies),
    "disk fails": (5, _disk_fails),
    "disk recovers": (5, _disk_recovers),
    "clock jumps": (3, _clock_jumps),
    "second worker": (3, _second_worker),
    **{
        name.replace("_", " "): (weight, _of_login(name))
        for name, weight in {
            **{name: weight / 2 for name, weight in ROW_ACTS.items()},
            "close_account": 0.7,
            "reopen_account": 0.7,
        }.items()
    },
    **{
        name.replace("_", " "): (weight, _of_connection(name))
        for name, weight in {
            "recreate_accounts": 0.8,
            "account_vanishes": 0.6,
            "account_returns": 0.8,
            "disable_account": 0.6,
            "enable_account": 0.8,
            "needs_sca": 0.8,
            "needs_webauth": 0.6,
            "decoupled": 0.6,
            "wrong_password": 0.6,
            "website_down": 0.8,
            "unknown_state": 0.5,
            "other_state": 0.5,
            "failing_source": 0.6,
            "source_recovers": 0.6,
            "freeze": 0.3,
            "shorten_consent": 0.4,
            "person_returns": 2,
            "sync": 3,
            "delete_connection": 0.3,
            "second_connection": 0.5,
        }.items()
    },
}
