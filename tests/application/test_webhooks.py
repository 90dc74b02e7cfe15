"""Pushes are hints: what they lead to, how often, and that nothing is lost or doubled by them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from application import data_connections, providers, syncs
from application.ports import Delivery, LogUnavailable, Push, PushForged, PushUnreadable
from application.synchronise import Synchroniser, run_sync
from application.webhooks import Webhooks
from domain.data_connection import INTERNAL, SyncSucceeded
from domain.refusals import NotFound
from tests.application.bank import credentials
from tests.application.inbox import MemoryInbox
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

    async def requested(self) -> list[str]:
        """The origins of the syncs that were requested."""
        return [
            fact.origin
            for fact in await self.world.facts(self.stream)
            if type(fact).__name__ == "SyncRequested"
        ]

    async def run(self) -> None:
        for stream, sync_id in await self.world.read_models.pending_syncs():
            await run_sync(self.world.services, stream, sync_id)


@pytest.fixture
async def hooked(world: World) -> Hooked:
    return await Hooked(world).prepare()


async def test_a_push_leads_to_a_sync_of_all_that_was_requested(hooked: Hooked) -> None:
    await hooked.push(b"1")
    assert await hooked.requested() == [INTERNAL]
    ((stream, sync_id),) = hooked.world.requested
    assert stream == hooked.stream
    (fact,) = [f for f in await hooked.world.facts(stream) if type(f).__name__ == "SyncRequested"]
    assert [sync.data_type for sync in fact.data_syncs] == list(syncs.ALL)
    await run_sync(hooked.world.services, stream, sync_id)
    assert await hooked.world.ending(stream, sync_id) == "SUCCESS"
    assert list(await hooked.world.held(await hooked.world.only_account(hooked.consumer))) == ["1"]
    assert hooked.inbox.left == set()
    actors = {r.actor for r in await hooked.world.lasting.log.facts(stream) if r.name == "SyncRequested.1"}
    assert actors == {"webhook"}


async def test_what_a_push_leads_to_asks_the_bank_for_nothing_new(hooked: Hooked) -> None:
    """Else it would push again, for ever."""
    await hooked.push(b"1")
    await hooked.run()
    assert hooked.world.bank.asked("refresh") == []
    await hooked.world.sync(hooked.consumer)
    assert len(hooked.world.bank.asked("refresh")) == 1


async def test_many_pushes_of_a_few_seconds_lead_to_one_sync(hooked: Hooked) -> None:
    for number in range(20):
        await hooked.push(b"%d" % number, settle=False)
    await hooked.settle()
    assert await hooked.requested() == [INTERNAL]
    await hooked.push(b"more")
    assert await hooked.requested() == [INTERNAL], "one that is queued will see it too"


async def test_a_push_that_comes_again_does_nothing(hooked: Hooked) -> None:
    await hooked.push(b"1")
    await hooked.run()
    head = await hooked.world.log.head()
    for _ in range(3):
        await hooked.push(b"1")
    assert await hooked.world.log.head() == head


@pytest.mark.parametrize("origin", ["client", "internal"])
async def test_a_push_during_a_sync_leads_to_one_more_after_it(hooked: Hooked, origin: str) -> None:
    """What it tells of may have come after the sync had read it."""
    world = hooked.world

    async def push_now() -> None:
        world.bank.row("2318", "late")
        await hooked.push(b"2", settle=False)
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(await hooked.requested()) == 1, "never two that nobody asked for"

    if origin == "client":
        stream, sync_id = await world.request_sync(hooked.consumer)
    else:
        await hooked.push(b"1")
        ((stream, sync_id),) = world.requested
    # All was read by then.
    world.log.before(SyncSucceeded, push_now)
    await run_sync(world.services, stream, sync_id)
    await hooked.settle()
    assert await hooked.requested() == [origin, INTERNAL]
    await hooked.run()
    assert set(await world.held(await world.only_account(hooked.consumer))) == {"1", "late"}


async def test_a_client_is_never_refused_for_it_and_nothing_is_doubled(hooked: Hooked) -> None:
    world = hooked.world
    await hooked.push(b"1")
    stream, sync_id = await world.request_sync(hooked.consumer)
    assert await hooked.requested() == [INTERNAL, "client"]
    pending = list(await world.read_models.pending_syncs())
    await asyncio.gather(*(run_sync(world.services, *each) for each in pending))
    assert {await world.ending(*each) for each in pending} == {"SUCCESS"}
    account = await world.only_account(hooked.consumer)
    assert list(await world.held(account)) == ["1"]
    assert world.live() == world.rebuilt()
    assert (await world.state(stream)).pending == ()


async def test_the_synchroniser_runs_the_syncs_of_a_connection_one_after_the_other(hooked: Hooked) -> None:
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
    await hooked.push(b"1")
    await world.request_sync(hooked.consumer)
    await asyncio.gather(*synchroniser._tasks.values())
    assert reading == ["begun", "ended"]
    assert len(world.bank.asked("accounts")) == 2
    assert list(await world.held(await world.only_account(hooked.consumer))) == ["1"]


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
    assert await hooked.requested() == [INTERNAL]


async def test_another_tenants_pushes_find_nothing_here(hooked: Hooked) -> None:
    other = hooked.world.of("other")
    await providers.update_credentials(other.services, other.asks(), BI, HINTED)
    endpoint = (await hooked.webhooks.registration("other", BI)).endpoint
    assert await hooked.webhooks.tenant_of(BI, endpoint) == "other"
    await hooked.webhooks.receive("other", BI, endpoint, "SYNCED", (), b"1")
    await hooked.settle()
    assert await hooked.requested() == []


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
    assert await hooked.requested() == []
    next_life = Hooked(hooked.world.restarted(), hooked.inbox)
    next_life.stream = hooked.stream
    await next_life.webhooks.start()
    await next_life.settle()
    assert await next_life.requested() == [INTERNAL] and hooked.inbox.left == set()
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
    assert await next_life.requested() == [INTERNAL] and next_life.inbox.indexed


async def test_an_inbox_that_is_away_keeps_nobody_from_connecting(world: World) -> None:
    inbox = MemoryInbox()
    inbox.broken = True
    hooked = await Hooked(world, inbox).prepare()
    assert (await world.state(hooked.stream)).status == "CONNECTED"


async def test_a_push_waits_for_a_log_that_is_away(hooked: Hooked) -> None:
    await hooked.push(b"1", settle=False)
    hooked.world.log.fail_read(hooked.stream)
    await hooked.settle()
    assert await hooked.requested() == [INTERNAL]
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
