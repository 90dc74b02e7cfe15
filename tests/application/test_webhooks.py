"""Pushes are hints: what they lead to, how often, and that nothing is lost or doubled by them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from application import data_connections, providers
from application.ports import Delivery, LogUnavailable, Push, PushForged, PushUnreadable
from application.synchronise import Synchroniser
from application.webhooks import Webhooks
from domain.data_connection import CLIENT, WEBHOOK, ConnectionDisconnected, SyncSucceeded
from domain.refusals import NotFound
from tests.application.bank import credentials
from tests.application.inbox import MemoryInbox
from tests.application.stories import ends, settled
from tests.application.world import BI, TENANT, World

HINTED = {**credentials(), "webhook_secret": "hush"}


class PlainReader:
    """Takes the body for the number of the push, and what it is about from the test."""

    events: Sequence[str] = ("SYNCED",)

    def __init__(self) -> None:
        self.about: dict[str, Any] = {}
        self.paths: list[str] = []

    def read(self, delivery: Delivery, secret: str) -> Push:
        self.paths.append(delivery.path)
        if secret != "hush" or delivery.body == b"forged":
            raise PushForged("signature")
        if delivery.body == b"garbled":
            raise PushUnreadable("not_json")
        return Push(mark=delivery.body.rjust(32), **self.about)


class Hooked:
    """A world with a connection that pushes are about."""

    def __init__(self, world: World, inbox: MemoryInbox | None = None) -> None:
        self.world = world
        self.inbox = inbox or MemoryInbox()
        self.reader = PlainReader()
        self.webhooks = Webhooks(world.services, self.inbox, {BI: self.reader})
        self.consumer = self.connection = self.reference = self.stream = ""

    async def prepare(self) -> Hooked:
        world = self.world
        await providers.update_credentials(world.services, world.asks(), BI, HINTED)
        await providers.set_enabled(world.services, world.asks(), BI, True)
        self.consumer = await world.consumer()
        self.connection = await world.connection(self.consumer)
        self.reference = await world.authorise(self.consumer, self.connection)
        self.stream = world.connection_stream(self.consumer, self.connection)
        world.bank.account(self.reference, "2318")
        world.bank.row("2318", "1")
        self.reader.about = {"connections": (self.reference,)}
        return self

    async def push(self, body: bytes, *, settle: bool = True) -> None:
        endpoint = (await self.webhooks.registration(TENANT, BI)).endpoint
        tenant = await self.webhooks.tenant_of(BI, endpoint)
        await self.webhooks.receive(tenant, BI, endpoint, "SYNCED", (), body)
        if settle:
            await self.settle()

    async def settle(self) -> None:
        while tasks := list(self.webhooks._looking.values()):
            await asyncio.gather(*tasks)

    def looked(self) -> list[str]:
        """Why the connection was looked at, each time."""
        return [end.origin for end in ends(self.world, self.stream)]

    async def rows(self) -> set[str]:
        return set(await self.world.held(await self.world.only_account(self.consumer)))


@pytest.fixture
async def hooked(world: World) -> Hooked:
    return await Hooked(world).prepare()


async def test_a_push_leads_to_one_look_at_all_there_is(hooked: Hooked) -> None:
    await hooked.push(b"1")
    assert hooked.looked() == [WEBHOOK]
    assert await hooked.rows() == {"1"}
    assert hooked.inbox.left == set()
    names = await hooked.world.names(hooked.stream)
    assert "SyncRequested" not in names and "SyncStarted" not in names
    assert "data_syncs" not in hooked.world.live()
    (actor,) = {r.actor for r in hooked.world.everything() if r.name == "SyncSucceeded.1"}
    assert actor == "webhook"


async def test_a_push_that_brings_nothing_new_leaves_one_fact(hooked: Hooked) -> None:
    await hooked.push(b"1")
    head = await hooked.world.log.head()
    await hooked.push(b"2")
    assert await hooked.world.log.head() == head + 1


async def test_what_a_push_leads_to_asks_the_bank_for_nothing_new(hooked: Hooked) -> None:
    """Else it would push again, for ever."""
    await hooked.push(b"1")
    assert hooked.world.bank.asked("refresh") == []
    await hooked.world.sync(hooked.consumer)
    assert len(hooked.world.bank.asked("refresh")) == 1


async def test_many_pushes_of_a_few_seconds_lead_to_one_look(hooked: Hooked) -> None:
    for number in range(20):
        await hooked.push(b"%d" % number, settle=False)
    await hooked.settle()
    assert hooked.looked() == [WEBHOOK]
    await hooked.push(b"more")
    assert hooked.looked() == [WEBHOOK, WEBHOOK]


async def test_a_push_that_comes_again_does_nothing(hooked: Hooked) -> None:
    await hooked.push(b"1")
    head, asked = await hooked.world.log.head(), len(hooked.world.bank.calls)
    for _ in range(3):
        await hooked.push(b"1")
    assert (await hooked.world.log.head(), len(hooked.world.bank.calls)) == (head, asked)


@pytest.mark.parametrize("origin", [CLIENT, WEBHOOK])
async def test_a_push_during_a_run_leads_to_one_more_look_after_it(hooked: Hooked, origin: str) -> None:
    """What it tells of may have come after the run had read it."""
    world = hooked.world
    synchroniser = Synchroniser(world.services)

    async def push_now() -> None:
        world.bank.row("2318", "late")
        await hooked.push(b"2", settle=False)
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(world.bank.asked("transactions")) == 1, "never two runs at once"

    # All was read by then.
    world.log.before(SyncSucceeded, push_now)
    if origin == CLIENT:
        await world.request_sync(hooked.consumer)
    else:
        await hooked.push(b"1")
    await settled(synchroniser)
    await hooked.settle()
    assert hooked.looked() == [origin, WEBHOOK]
    assert await hooked.rows() == {"1", "late"}


async def test_a_push_while_a_sync_is_queued_joins_it(hooked: Hooked) -> None:
    stream, sync_id = await hooked.world.request_sync(hooked.consumer)
    await hooked.push(b"1")
    assert hooked.looked() == [] and hooked.inbox.left == set()
    assert await hooked.world.names(stream) == [
        *("ConnectionRequested", "AuthorisationStarted", "ConnectionConnected", "SyncRequested")
    ]
    assert (await hooked.world.state(stream)).pending[0].sync_id == sync_id


async def test_a_client_is_never_refused_for_a_push_and_nothing_is_doubled(hooked: Hooked) -> None:
    world = hooked.world
    synchroniser = Synchroniser(world.services)

    async def a_client_comes() -> None:
        await world.request_sync(hooked.consumer)

    world.bank.during("transactions", a_client_comes)
    await hooked.push(b"1")
    await settled(synchroniser)
    assert hooked.looked() == [WEBHOOK, CLIENT]
    assert {row.status for row in world.live()["data_syncs"]} == {"SUCCESS"}
    assert await hooked.rows() == {"1"}
    assert world.live() == world.rebuilt()
    assert (await world.state(hooked.stream)).pending == ()


async def test_a_look_that_another_run_overtook_is_repeated(hooked: Hooked) -> None:
    """Another process does not see our lock."""
    world, other = hooked.world, hooked.world.restarted()

    async def overtaken() -> None:
        world.bank.row("2318", "late")
        assert await other.sync(hooked.consumer) == "SUCCESS"

    world.bank.during("accounts", overtaken)
    await hooked.push(b"1")
    assert hooked.looked() == [CLIENT, WEBHOOK]
    assert await hooked.rows() == {"1", "late"}
    assert hooked.inbox.left == set()


async def test_a_look_that_was_overtaken_for_good_is_not_repeated_for_ever(hooked: Hooked) -> None:
    world = hooked.world

    async def disconnected() -> None:
        args = (world.services, world.asks(), hooked.consumer, hooked.connection)
        await data_connections.change(*args, status="DISCONNECTED")

    world.bank.during("accounts", disconnected)
    await hooked.push(b"1")
    assert hooked.looked() == [] and hooked.inbox.left == set()
    assert isinstance((await world.facts(hooked.stream))[-1], ConnectionDisconnected)


async def test_the_synchroniser_runs_what_is_about_one_connection_one_after_the_other(hooked: Hooked) -> None:
    world = hooked.world
    synchroniser = Synchroniser(world.services)
    reading: list[str] = []

    async def first_reads() -> None:
        reading.append("begun")
        for _ in range(30):
            await asyncio.sleep(0)
        assert len(world.bank.asked("accounts")) == 1
        reading.append("ended")

    world.bank.during("accounts", first_reads)
    await world.request_sync(hooked.consumer)
    while not reading:
        await asyncio.sleep(0)
    await hooked.push(b"1")
    await settled(synchroniser)
    assert reading == ["begun", "ended"]
    assert len(world.bank.asked("accounts")) == 2
    assert await hooked.rows() == {"1"}


async def test_what_is_forged_garbled_or_of_strangers_changes_nothing(hooked: Hooked) -> None:
    head = await hooked.world.log.head()
    with pytest.raises(PushForged):
        await hooked.push(b"forged")
    await hooked.push(b"garbled")
    for about in (
        {"connections": ("999999",)},
        {"connections": (hooked.reference,), "user": "666"},
        {"user": "666", "whole_user": True},
        {"user": "7301"},
        {},
    ):
        hooked.reader.about = about
        await hooked.push(repr(about).encode())
    assert await hooked.world.log.head() == head and hooked.inbox.left == set()


async def test_a_push_about_a_user_is_about_their_connections(hooked: Hooked) -> None:
    state = await hooked.world.state(hooked.stream)
    hooked.reader.about = {"user": state.provider_user, "whole_user": True}
    await hooked.push(b"1")
    assert hooked.looked() == [WEBHOOK]


async def test_another_tenants_pushes_find_nothing_here(hooked: Hooked) -> None:
    other = hooked.world.of("other")
    await providers.update_credentials(other.services, other.asks(), BI, HINTED)
    endpoint = (await hooked.webhooks.registration("other", BI)).endpoint
    assert await hooked.webhooks.tenant_of(BI, endpoint) == "other"
    await hooked.webhooks.receive("other", BI, endpoint, "SYNCED", (), b"1")
    await hooked.settle()
    assert hooked.looked() == []


async def test_without_a_secret_every_push_is_refused(hooked: Hooked) -> None:
    assert (await hooked.webhooks.registration(TENANT, BI)).secret_set
    # What is sent replaces all that was set.
    await providers.update_credentials(hooked.world.services, hooked.world.asks(), BI, credentials())
    assert not (await hooked.webhooks.registration(TENANT, BI)).secret_set
    with pytest.raises(PushForged, match="no_secret"):
        await hooked.push(b"1")


async def test_a_new_webhook_secret_is_not_another_account(hooked: Hooked) -> None:
    """The consumers' users at the provider stay theirs."""
    changed = {**HINTED, "webhook_secret": "other"}
    await providers.update_credentials(hooked.world.services, hooked.world.asks(), BI, changed)
    assert await hooked.world.sync(hooked.consumer) == "SUCCESS"


@pytest.mark.parametrize("ending", ["disabled", "disconnected", "deleted"])
async def test_nothing_is_fetched_that_may_not_be_fetched_any_more(hooked: Hooked, ending: str) -> None:
    world = hooked.world
    await hooked.push(b"1", settle=False)
    if ending == "disabled":
        await providers.set_enabled(world.services, world.asks(), BI, False)
    elif ending == "disconnected":
        args = (world.services, world.asks(), hooked.consumer, hooked.connection)
        await data_connections.change(*args, status="DISCONNECTED")
    else:
        await data_connections.delete(world.services, world.asks(), hooked.consumer, hooked.connection)
    head = await world.log.head()
    await hooked.settle()
    await hooked.push(b"2")
    assert await world.log.head() == head and hooked.inbox.left == set()


async def test_a_crash_forgets_no_push_that_was_acknowledged(hooked: Hooked) -> None:
    await hooked.push(b"1", settle=False)
    await hooked.webhooks.stop()
    assert hooked.looked() == []
    next_life = Hooked(hooked.world.restarted(), hooked.inbox)
    next_life.stream = hooked.stream
    await next_life.webhooks.start()
    await next_life.settle()
    assert next_life.looked() == [WEBHOOK] and hooked.inbox.left == set()
    await next_life.webhooks.stop()


async def test_a_lost_inbox_is_filled_from_log_and_secrets(hooked: Hooked) -> None:
    endpoint = (await hooked.webhooks.registration(TENANT, BI)).endpoint
    next_life = Hooked(hooked.world.restarted())
    next_life.reader.about, next_life.stream = hooked.reader.about, hooked.stream
    with pytest.raises(NotFound):
        await next_life.webhooks.tenant_of(BI, endpoint)
    await next_life.webhooks.start()
    await next_life.webhooks._indexing
    assert await next_life.webhooks.tenant_of(BI, endpoint) == TENANT
    assert (await next_life.webhooks.registration(TENANT, BI)).endpoint == endpoint
    await next_life.push(b"1")
    assert next_life.looked() == [WEBHOOK] and next_life.inbox.indexed


async def test_an_inbox_that_is_away_keeps_nobody_from_connecting(world: World) -> None:
    inbox = MemoryInbox()
    inbox.broken = True
    hooked = await Hooked(world, inbox).prepare()
    assert (await world.state(hooked.stream)).status == "CONNECTED"


async def test_a_push_waits_for_a_log_that_is_away(hooked: Hooked) -> None:
    await hooked.push(b"1", settle=False)
    hooked.world.log.fail_read(hooked.stream)
    await hooked.settle()
    assert hooked.looked() == [WEBHOOK]
    hooked.world.log.fail_read("provider")
    with pytest.raises(LogUnavailable):
        await hooked.push(b"2")


async def test_endpoints(hooked: Hooked) -> None:
    found = await asyncio.gather(*(hooked.webhooks.registration(TENANT, BI) for _ in range(5)))
    (endpoint,) = {each.endpoint for each in found}
    assert len(endpoint) == 48
    assert found[0].addresses == {"SYNCED": f"https://passbook.test/webhooks/{BI}/{endpoint}/SYNCED"}
    with pytest.raises(NotFound):
        await hooked.webhooks.registration(TENANT, "other")
    for unknown in (
        "",
        "x",
        "0" * 48,
        endpoint.upper(),
        endpoint[:-1],
        endpoint + "0",
        "é" * 48,
        endpoint + "\n",
    ):
        with pytest.raises(NotFound):
            await hooked.webhooks.tenant_of(BI, unknown)
    with pytest.raises(NotFound):
        await hooked.webhooks.tenant_of("other", endpoint)


async def test_what_a_proxy_took_away_is_signed_all_the_same(hooked: Hooked) -> None:
    hooked.world.services.public_url = "https://api.example/passbook"
    await hooked.push(b"1")
    assert hooked.reader.paths[-1].startswith(f"/passbook/webhooks/{BI}/")
