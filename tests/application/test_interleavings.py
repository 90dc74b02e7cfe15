"""Many clients at once, two workers, a storage that fails now and then, and a crash: nothing is lost or doubled,
and in the end what is held is what the bank shows."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from application import accounts, consumers, data_connections, providers, syncs
from application.authorisations import complete
from application.erasure import erase_consumer, finish_destructions
from application.execute import Outcome, credentials_of
from application.ports import Append, KeyDestroyed, LogUnavailable
from application.refusals import Unavailable
from application.synchronise import Synchroniser
from application.watch import Watch
from domain import consumer, consumer_account, data_connection, streams
from domain.consumer import BY_REQUEST, AccountUnlinked, ConsumerErased
from domain.data_connection import REFRESHES, SyncFailed, SyncSucceeded
from domain.fact import Erased
from domain.refusals import NotFound, Refused
from projections.accounts import key_of
from tests.application.bank import credentials
from tests.application.stories import TODAY
from tests.application.world import (
    BI,
    DAY,
    TENANT,
    Lasting,
    World,
    conflict,
    in_memory,
    outcome_of,
    unavailable,
)

ALL = ("BANK_ACCOUNT", "BANK_TRANSACTION", "CASHFLOW", "CREDIT_INSIGHTS")
KINDS = (
    *(
        "register",
        "rename",
        "group",
        "connect",
        "authorise",
        "disconnect",
        "types",
        "again",
        "delete",
        "erase",
    ),
    *("sync", "sync", "sync", "sync", "bank", "bank", "bank", "authorise", "wait", "wait", "wait"),
    *("refresh", "refresh", "second", "second", "round", "day", "unlink"),
)
TRIES_MAX = 200

commands = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 2)), max_size=12)


class Story:
    """What clients ask for, each thing until they know what came of it."""

    def __init__(self, lasting: Lasting, seed: int) -> None:
        self.lasting = lasting
        self.begin(World(lasting))
        self.chance = random.Random(seed)
        self.appended: list[Append] = []
        self.ended: dict[str, Outcome | Refused | KeyDestroyed | None] = {}
        self._targets: dict[str, tuple[str, str]] = {}
        self._consumers: list[str] = []
        self._rows = 0

    def begin(self, world: World) -> None:
        """A life of the service, and of a second process that has nothing of its memory."""
        self.world, self.other = world, world.restarted()
        self.synchroniser = Synchroniser(self.world.services)
        self.second = Synchroniser(self.other.services)
        self.watch = Watch(self.world.services)

    # Trouble, and a crash

    def trouble(self, share: float) -> None:
        """From now on this share of the appends goes wrong, in one of three ways."""
        chance = self.chance
        for log in (self.world.log, self.other.log):
            log.yields = lambda: chance.randrange(3)
            log.trouble = lambda: chance.choice((conflict, unavailable)) if chance.random() < share else None
            log.lost = lambda append: chance.random() < share / 2

    async def crash(self) -> None:
        """Everything in memory is gone; then the next life of the service begins."""
        for running in (self.watch, self.synchroniser, self.second):
            await running.stop()
        self.appended += self.world.log.appends + self.other.log.appends
        self.begin(self.world.restarted())
        await finish_destructions(self.world.services)
        await self.synchroniser.start()

    async def quiet(self) -> None:
        """No more trouble, and what was begun ends."""
        for _ in range(20_000):
            if not (self.synchroniser._tasks or self.second._tasks or self.watch._refreshing):
                return
            await asyncio.sleep(0)
        raise AssertionError("a run does not end")

    # Clients

    async def client(self, name: str, todo: list[tuple[str, int]]) -> None:
        """Ask one thing after the other. What is unknown is asked again with its key, what has ended is not."""
        for number, (kind, slot) in enumerate(todo):
            key = f"{name}-{number}"
            for _ in range(TRIES_MAX):
                if key in self.ended:
                    break
                try:
                    self.ended[key] = await self.ask(key, kind, slot)
                except (Unavailable, LogUnavailable):
                    await self.world.clock.sleep(1.0)
                except (Refused, KeyDestroyed) as refused:
                    self.ended[key] = refused
            else:
                raise AssertionError(f"{key}, {kind}: the outcome stays unknown")

    async def ask(self, key: str, kind: str, slot: int) -> Outcome | None:
        services, context = self.world.services, self.world.asks(key, kind)
        if kind == "register":
            outcome = await consumers.register(services, context, type=consumer.LEGAL, fields={"name": key})
            id = streams.parse(outcome.stream).id
            if id not in self._consumers:
                self._consumers.append(id)
            return outcome
        consumer_id, connection_id = await self.target(key, slot)
        match kind:
            case "rename":
                return await consumers.change(services, context, consumer_id, {"name": key})
            case "group":
                return await consumers.change(services, context, consumer_id, {"group": f"group {slot % 2}"})
            case "connect":
                return await data_connections.request(
                    services, context, consumer_id, provider_name=BI, data_types=ALL
                )
            case "disconnect" | "again":
                status = "DISCONNECTED" if kind == "disconnect" else "AUTH_REQUIRED"
                return await data_connections.change(
                    services, context, consumer_id, connection_id, status=status
                )
            case "types":
                return await data_connections.change(
                    services, context, consumer_id, connection_id, data_types=ALL[: 1 + slot]
                )
            case "sync":
                outcome, _ = await syncs.request(services, context, consumer_id, None)
                return outcome
            case "delete":
                return await data_connections.delete(services, context, consumer_id, connection_id)
            case "erase":
                return await erase_consumer(services, context, consumer_id)
            case "unlink":
                account_id = await self.account_of_many(key, consumer_id)
                outcome, _ = await accounts.unlink(services, context, consumer_id, account_id)
                return outcome
            case "authorise":
                await self.authorise(consumer_id, connection_id, anew=slot == 2)
            case "refresh":
                stream = streams.data_connection(TENANT, consumer_id, connection_id)
                await self.synchroniser.refresh(stream, sorted(REFRESHES)[slot % 2])
            case "second":
                for pending in await self.world.read_models.pending_syncs():
                    self.second.take(*pending)
                stream = streams.data_connection(TENANT, consumer_id, connection_id)
                await self.second.refresh(stream, sorted(REFRESHES)[slot % 2])
            case "round":
                await self.watch.round()
            case "day":
                self.world.clock.at += DAY
            case "bank":
                self.change_bank(slot)
            case "wait":
                for _ in range(60):
                    await asyncio.sleep(0)
        return None

    async def target(self, key: str, slot: int) -> tuple[str, str]:
        """The same consumer and connection whenever this key is used."""
        if key not in self._targets:
            if not self._consumers:
                raise NotFound
            consumer_id = self._consumers[slot % len(self._consumers)]
            prefix = streams.of_consumer(TENANT, consumer_id, streams.DATA_CONNECTION)
            known = await self.lasting.log.streams(prefix)
            connection_id = streams.parse(known[-1]).id if known else self.world.services.ids.uuid()
            self._targets[key] = consumer_id, connection_id
        return self._targets[key]

    async def account_of_many(self, key: str, consumer_id: str) -> str:
        """An account of several sources: the same whenever this key is used."""
        if f"unlink {key}" not in self._targets:
            known = await self.world.state(streams.consumer(TENANT, consumer_id))
            links = getattr(known, "links", ())
            many = [link.account_id for link in links if link.source != link.account_id]
            if not many:
                raise NotFound
            self._targets[f"unlink {key}"] = many[0], ""
        return self._targets[f"unlink {key}"][0]

    async def authorise(self, consumer_id: str, connection_id: str, *, anew: bool) -> None:
        """A person, who does not come back when something went wrong; `anew` they add the bank once more."""
        if await self.world.read_models.stream_of_connection(connection_id) is None:
            raise NotFound
        state = await self.world.opened(consumer_id, connection_id)
        bank = self.world.bank
        user, known, _ = bank.asked("authorisation_url")[-1]
        reference = bank.connect(user) if anew or not known else known
        if not bank.connections[reference].accounts:
            bank.account(reference, f"1{reference}", iban=f"FR76{consumer_id}")
            bank.row(f"1{reference}", "r0", booked_on=TODAY)
        await complete(self.world.services, {"state": state, "connection_id": reference})

    def change_bank(self, slot: int) -> None:
        bank = self.world.bank
        for reference, held in bank.connections.items():
            for account in held.accounts:
                self._rows += 1
                bank.row(
                    account,
                    f"r{self._rows % 5}",
                    amount=self._rows,
                    deleted=slot == 1,
                    booked_on=TODAY + self._rows % 3,
                )
                if slot == 2:
                    bank.change(reference, account, disabled=not held.accounts[account].disabled)

    # What must hold in the end

    async def check(self) -> None:
        self.appended += self.world.log.appends + self.other.log.appends
        written = Counter(append.context.command_id for append in self.appended)
        assert max(written.values(), default=0) <= 1
        for key, ended in self.ended.items():
            times = written[self.world.asks(key).command_id]
            if isinstance(ended, Outcome):
                assert times == 1, f"{key} was acknowledged and is not there"
            elif ended is not None and not isinstance(ended, NotFound):
                assert times == 0, f"{key} was refused and is there"
        await self.check_consumers()
        await self.check_runs()
        await self.check_truth()
        await self.check_rows()
        await self.check_keys()
        assert await self.world.read_models.pending_syncs() == []
        assert self.world.live() == self.world.rebuilt()

    async def check_consumers(self) -> None:
        """Every registration that was acknowledged is a consumer, until it was erased."""
        facts = [recorded.fact for recorded in self.world.everything()]
        erased = {
            recorded.stream
            for recorded in self.world.everything()
            if isinstance(recorded.fact, ConsumerErased)
        }
        assert facts.count(ConsumerErased()) == len(erased)
        registered = {row.id for row in self.world.live().get("consumers", ())}
        for consumer_id in self._consumers:
            stream = streams.consumer(TENANT, consumer_id)
            assert (consumer_id in registered) is (stream not in erased)
            if stream in erased:
                assert await self.world.read_models.consumer_gone(TENANT, consumer_id)
                left = streams.of_consumer(TENANT, consumer_id)
                assert all(
                    isinstance(recorded.fact, Erased | ConsumerErased)
                    for recorded in self.world.everything()
                    if recorded.stream.startswith(left)
                )

    async def check_runs(self) -> None:
        """Whatever ended a run was the one to end it."""
        for stream in {
            r.stream for r in self.world.everything() if isinstance(r.fact, SyncSucceeded | SyncFailed)
        }:
            state: data_connection.DataConnection = data_connection.initial
            for fact in await self.world.facts(stream):
                if isinstance(fact, SyncSucceeded | SyncFailed):
                    if fact.origin in REFRESHES:
                        assert data_connection.is_connected(state), "a refresh that was overtaken"
                    else:
                        pending = data_connection.pending_sync(state, fact.sync_id)
                        assert pending is not None, "a sync that had ended"
                state = data_connection.apply(state, fact)

    async def check_truth(self) -> None:
        """Once the bank is still for a day, what is held of each connection is what it shows."""
        self.world.clock.at += DAY
        for row in list(self.world.live().get("data_connections", ())):
            bank = self.world.bank.connections.get((await self.world.state(row.stream)).reference or "")
            if row.status != data_connection.CONNECTED or bank is None:
                continue
            requested = await self.world.request_sync(row.consumer)
            await self.quiet()
            assert await self.world.ending(*requested) == "SUCCESS"
            state = await self.world.state(row.stream)
            owner = await self.world.state(streams.consumer(TENANT, row.consumer))
            for reference, account in bank.accounts.items():
                link = consumer.link_of(
                    owner, row.id, reference, currency="EUR", provider_user=state.provider_user
                )
                if not account.disabled:
                    source = streams.consumer_account(TENANT, row.consumer, link.source)
                    said = self.world.bank.rows[reference].items()
                    truth = {name: held.digest() for name, (held, _) in said if not held.deleted}
                    held = await self.world.held(source)
                    assert {name: held.digest() for name, held in held.items()} == truth
                    assert isinstance(await self.world.state(source), consumer_account.Open)

    async def check_rows(self) -> None:
        """No row of a source was added twice, and of an account of one source the read models show what the log
        tells."""
        shown: dict[bytes, set[str]] = {}
        for row in self.world.live().get("transactions", ()):
            shown.setdefault(row.account, set()).add(row.reference)
        for consumer_id in self._consumers:
            owner = await self.world.state(streams.consumer(TENANT, consumer_id))
            for source_id, state in (await self.world.accounts(consumer_id)).items():
                held = await self.world.held(streams.consumer_account(TENANT, consumer_id, source_id))
                if not isinstance(owner, consumer.Registered) or isinstance(state, consumer_account.Gone):
                    assert key_of(source_id) not in shown and not held
                elif consumer.sources_of(owner, source_id) == [source_id]:
                    assert shown.get(key_of(source_id), set()) == set(held)

    async def check_keys(self) -> None:
        """What is left of a consumer's bank is what a connection of theirs feeds, or fed."""
        for consumer_id in self._consumers:
            stream = streams.consumer(TENANT, consumer_id)
            owner, facts = await self.world.state(stream), await self.world.facts(stream)
            if any(isinstance(fact, AccountUnlinked) and fact.reason == BY_REQUEST for fact in facts):
                continue
            fed = {link.account_id for link in getattr(owner, "links", ())}
            of_them = {source for id in fed for source in consumer.sources_of(owner, id)}
            for source_id, state in (await self.world.accounts(consumer_id)).items():
                assert isinstance(state, consumer_account.Gone) or source_id in of_them


async def the_story(
    clients: list[list[tuple[str, int]]], seed: int, share: float, crash_after: int | None
) -> Story:
    story = Story(in_memory(seed=seed), seed)
    await story.world.provider()
    begin = ("register", "connect", "authorise", "sync")
    await story.client("first", [(kind, slot) for slot in range(2) for kind in begin])
    story.trouble(share)
    tasks = [asyncio.create_task(story.client(str(number), todo)) for number, todo in enumerate(clients)]
    if crash_after is not None:
        for _ in range(crash_after):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await story.crash()
        story.trouble(share)
        tasks = [asyncio.create_task(story.client(str(number), todo)) for number, todo in enumerate(clients)]
    await asyncio.gather(*tasks)
    story.trouble(0.0)
    await story.quiet()
    return story


@given(
    clients=st.lists(commands, min_size=1, max_size=4),
    seed=st.integers(0, 2**32),
    share=st.sampled_from([0.0, 0.1, 0.4]),
    crash_after=st.none() | st.integers(0, 200),
)
async def test_no_acknowledged_command_is_lost_or_doubled(
    clients: list[list[tuple[str, int]]], seed: int, share: float, crash_after: int | None
) -> None:
    story = await the_story(clients, seed, share, crash_after)
    await story.check()


@given(
    clients=st.lists(commands, min_size=1, max_size=2),
    seed=st.integers(0, 2**32),
    share=st.sampled_from([0.0, 0.3]),
)
async def test_said_twice_adds_nothing(clients: list[list[tuple[str, int]]], seed: int, share: float) -> None:
    story = await the_story(clients, seed, share, None)
    position = story.lasting.source.head()
    kinds = {
        f"{name}-{number}": said for name, todo in enumerate(clients) for number, said in enumerate(todo)
    }
    for world in (story.world, story.world.restarted()):
        story.world = world
        for key, (kind, slot) in kinds.items():
            ended = story.ended[key]
            if not isinstance(ended, Outcome):
                continue
            try:
                again = await story.ask(key, kind, slot)
            except NotFound:
                # Of somebody who was erased since there is nothing to repeat.
                assert kind in ("sync", "unlink")
                continue
            assert again is not None
            assert again.repeated
            assert outcome_of(again) == outcome_of(ended)
    assert story.lasting.source.head() == position


@given(seed=st.integers(0, 2**32), secrets=st.lists(st.sampled_from("abc"), min_size=1, max_size=6))
async def test_credentials_given_in_turn_end_with_the_last_whatever_the_storage_does(
    seed: int, secrets: list[str]
) -> None:
    story = Story(in_memory(seed=seed), seed)
    story.trouble(0.4)
    for number, secret in enumerate(secrets):
        for _ in range(TRIES_MAX):
            try:
                await providers.update_credentials(
                    story.world.services,
                    story.world.asks(str(number), secret),
                    BI,
                    credentials(secret=secret),
                )
                break
            except Unavailable:
                continue
        held = await credentials_of(story.world.services, TENANT, BI)
        assert held == credentials(secret=secret)
        assert len(story.lasting.secrets.held) == 1
