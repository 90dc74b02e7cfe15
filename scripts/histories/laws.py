"""The laws of every history: what may never be so, and what must be so once the faults have stopped.

Those that the log alone can break (1, 3, half of 5) are looked at while it is read: see `seen`. The tenth, that two
runs of one seed give one log, is for whoever runs a seed twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import msgspec

from adapters.budget_insight.simulator.bank import Connection
from adapters.budget_insight.simulator.clock import paris_text
from adapters.read_models.memory import MemoryGeneration
from application.farewell import FAREWELL
from application.fetching import OVERLAP, UNATTENDED_ASKS_MAX, UNATTENDED_PERIOD
from domain import streams
from domain.data_connection import CONNECTED, DISCONNECTED
from domain.transactions import day_of
from projections.accounts import ACCOUNTS, Account, key_of
from projections.catch_up import catch_up
from projections.digest import digest, first_difference
from projections.directory import CONNECTIONS
from projections.linking import LINKS, SOURCES
from projections.pending import PENDING
from projections.ports import Rows
from projections.shown import TRANSACTIONS
from scripts.histories.acts import TrueAccount
from scripts.histories.client import DONE, OPEN, REFUSED, Client
from scripts.histories.seen import Broken, Seen
from scripts.histories.world import TENANT, World

PAGE = 1_000
#: Later than any day that is booked.
DAY_MAX = 10**9

_wording = msgspec.json.Decoder(dict[str, Any]).decode

# At any time


def nothing_broke(world: World) -> None:
    """0: nothing went wrong that no fault explains.

    Raises:
        Broken
    """
    if world.broken:
        raise Broken(0, world.broken[0])


def watermark_is_behind_rows(world: World, seen: Seen) -> None:
    """2: what the provider shows and touched before the watermark less the overlap is in the log.

    Not looked at where a clock lies, the provider's or ours: then "before" has no meaning.

    Raises:
        Broken
    """
    successes, seen.successes = seen.successes, []
    if world.lies.tried["P28"] or world.machine.tried["L05"]:
        return
    there = {str(connection.id): connection for connection in world.acts.simulation.bank.connections()}
    for stream, fact in successes:
        connection = there.get(seen.references.get(stream) or "")
        if connection is None or fact.watermark is None:
            continue
        until = paris_text(fact.watermark - OVERLAP)
        for account in connection.accounts.values():
            # An account that was shown in another currency for a while has one more source.
            sources = seen.links.get((streams.parse(stream).id, str(account.id)), ())
            if str(account.id) not in fact.accounts or not sources:
                continue
            known = {id for source in sources if source in seen.sources for id in seen.sources[source].ids}
            for row in account.transactions.values():
                if row.deleted is None and row.last_update <= until and str(row.id) not in known:
                    raise Broken(2, f"the watermark is at {fact.watermark}, and {row.id} is not in the log")


def bank_is_not_asked_too_often(world: World) -> None:
    """4: in any 24 hours the bank was asked 4 times at most while the person was away, by its own count.

    Not looked at where our clock was set: what is a day then?

    Raises:
        Broken
    """
    if world.machine.tried["L05"]:
        return
    asked: defaultdict[str, list[Any]] = defaultdict(list)
    for at, connection, query in world.asks:
        if "psu_requested=false" in query:
            asked[connection].append(at)
    for connection, moments in asked.items():
        for first, last in zip(moments, moments[UNATTENDED_ASKS_MAX:], strict=False):
            # The ask is noted before it is sent, and may be on its way for a while.
            if last - first < UNATTENDED_PERIOD - timedelta(minutes=5):
                raise Broken(4, f"{connection} was asked five times within {last - first}")


def acknowledged_once(client: Client, seen: Seen) -> None:
    """5: what was acknowledged is in the log once, where it was said to be; what was refused is not.

    Raises:
        Broken
    """
    for intent in client.intents:
        written = seen.appends.get(intent.command_id, [])
        if intent.state == REFUSED and written and not intent.unknown and not intent.under_way:
            raise Broken(5, f"{intent.what} was refused, and is in the log")
        outcome = intent.outcome
        if outcome is None or not written:
            continue
        if written[-1].position != outcome.position:
            raise Broken(5, f"{intent.what} ends at {written[-1].position}, not at {outcome.position}")
        of_subject = [recorded.version for recorded in written if recorded.stream == outcome.stream]
        if of_subject and of_subject[-1] != outcome.version:
            raise Broken(5, f"{intent.what} left {outcome.stream} at {of_subject[-1]}, not {outcome.version}")


def rebuilt_is_live(world: World) -> None:
    """6: the read models are what the log alone makes of them.

    Raises:
        Broken
    """
    source, generation = world.life.source, world.life.projector.generation
    if not world.life.projector.catch_up():
        return
    other = MemoryGeneration()
    catch_up(source, other, upto=generation.checkpoint())
    live = generation.snapshot()
    try:
        if digest(live).whole != digest(other.rows).whole:
            raise Broken(6, f"rebuilt and live differ: {first_difference(live, other.rows)}")
    finally:
        generation.rollback()


# At the end


async def acknowledged_is_stored(world: World, client: Client) -> None:
    """5, of the table of commands: each command has an answer, and is found under its id with that answer.

    Raises:
        Broken
    """
    for intent in client.intents:
        if intent.state == OPEN:
            raise Broken(5, f"{intent.what} has no answer after {intent.tries} tries")
        if intent.state == DONE and intent.outcome is not None:
            stored = await world.life.log.command(TENANT, intent.command_id)
            if stored is None:
                raise Broken(5, f"{intent.what} was acknowledged, and is not stored")
            said = (intent.outcome.stream, intent.outcome.version, intent.outcome.position)
            if said != (stored.subject, stored.version, stored.last_position):
                raise Broken(5, f"{intent.what} is stored otherwise than it was answered")


def read_model_is_truth(world: World, client: Client, seen: Seen) -> None:
    """7: each account that a connection shows is one open account of ours, with the rows and the balance that it has.

    Raises:
        Broken
    """
    live = world.life.projector.generation.snapshot()
    try:
        for customer in client.customers:
            if not customer.erased:
                _is_truth(world, live, seen, customer.id)
    finally:
        world.life.projector.generation.rollback()


def _is_truth(world: World, rows: Rows, seen: Seen, consumer_id: str) -> None:
    connected = dict(_provider_connections(world, rows, seen, consumer_id))
    wanted = dict(_wanted(world, connected))
    names = dict(_names(world, rows, connected, consumer_id))
    # What came through a connection that is not connected stays as it is.
    fed = set(_fed(rows, connected, consumer_id))
    open_accounts = [
        row for row in rows.scan(ACCOUNTS, TENANT, consumer_id) if row.closed is None and row.id in fed
    ]
    found = Counter(names.get(account.id) for account in open_accounts)
    if found != Counter(wanted.keys()):
        raise Broken(7, f"open are {_listed(found)}, and the bank shows {_listed(Counter(wanted.keys()))}")
    for account in open_accounts:
        _equals(world, rows, account, wanted[names[account.id]])


def _listed(accounts: Counter[Any]) -> str:
    return ", ".join(f"{count} x {name}" for name, count in sorted(accounts.items(), key=repr)) or "none"


def _provider_connections(
    world: World, rows: Rows, seen: Seen, consumer_id: str
) -> Iterator[tuple[str, Connection]]:
    """The provider's connections that ours stand for and that are connected, by our id."""
    there = {str(connection.id): connection for connection in world.acts.simulation.bank.connections()}
    for row in rows.scan(CONNECTIONS, TENANT, consumer_id):
        reference = seen.references.get(row.stream)
        if row.status == CONNECTED and reference is not None and reference in there:
            yield row.id, there[reference]


def _wanted(
    world: World, connected: Mapping[str, Connection]
) -> Iterator[tuple[tuple[str, str], TrueAccount]]:
    """What the bank shows: by login and the bank's own name of the account."""
    for connection in connected.values():
        login = connection.statement.login
        truth = {account.key: account for account in world.acts.truth(login)}
        for account in world.acts.shown(connection.id).values():
            if account.enabled and not account.deleted:
                yield (login, account.key), truth[account.key]


def _fed(rows: Rows, connected: Mapping[str, Connection], consumer_id: str) -> Iterator[str]:
    """The accounts that a connected connection feeds, or none at all."""
    accounts = {source.id: source.account for source in rows.scan(SOURCES, TENANT, consumer_id)}
    feeding: defaultdict[str, set[str]] = defaultdict(set)
    for link in rows.scan(LINKS, TENANT, consumer_id):
        if not link.ended and link.source in accounts:
            feeding[accounts[link.source]].add(link.connection)
    for account in accounts.values():
        if not feeding[account] or feeding[account] & connected.keys():
            yield account


def _names(
    world: World, rows: Rows, connected: Mapping[str, Connection], consumer_id: str
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Which account of the bank each of ours is, by the links of its sources."""
    keys = {}
    for id, connection in connected.items():
        for reference, account in world.acts.shown(connection.id).items():
            keys[id, reference] = (connection.statement.login, account.key)
    accounts = {source.id: source.account for source in rows.scan(SOURCES, TENANT, consumer_id)}
    for link in rows.scan(LINKS, TENANT, consumer_id):
        if (link.connection, link.reference) in keys and link.source in accounts:
            yield accounts[link.source], keys[link.connection, link.reference]


def _equals(world: World, rows: Rows, account: Account, truth: TrueAccount) -> None:
    """
    Raises:
        Broken: 1, where a row of the bank's is shown twice; else 7.
    """
    what = f"{truth.key} of {truth.number}"
    if account.currency != truth.currency:
        raise Broken(7, f"{what} is in {account.currency}, not in {truth.currency}")
    if account.balance != truth.balance:
        raise Broken(7, f"{what} has {account.balance}, and the bank {truth.balance}")
    booked = Counter(_booked(world, rows, account))
    # Before its first row a source says nothing: there an account shows what an older source of it had.
    since = (
        min((day_of(row.date) for row in truth.booked), default=DAY_MAX)
        if _is_merged(rows, account)
        else None
    )
    shown = Counter({row: count for row, count in booked.items() if since is None or row[0] >= since})
    _same(what, shown, Counter(map(_told, truth.booked)))
    pending = Counter(
        (row.booked_on, row.value_day, row.amount, row.wording)
        for row in rows.scan(PENDING, key_of(account.source))
    )
    _same(f"pending of {what}", pending, Counter(map(_told, truth.pending)))


def _is_merged(rows: Rows, account: Account) -> bool:
    sources = [row for row in rows.scan(SOURCES, *account[:2]) if row.account == account.id]
    return len(sources) > 1


def _told(row: Any) -> tuple[Any, ...]:
    return day_of(row.date), day_of(row.vdate or row.date), row.value, row.wording


def _booked(world: World, rows: Rows, account: Account) -> Iterator[tuple[Any, ...]]:
    """The booked rows as a client reads them, with the day that only the table tells."""
    told = {row.id.hex(): row for row in rows.scan(TRANSACTIONS, key_of(account.id))}
    page = world.life.read_models.transactions(account.tenant, account.consumer, account.id, 1, PAGE)
    assert page is not None and page[0] <= PAGE, "a history's accounts are small"
    shown = [_wording(body) for body in page[1]]
    ids = [row["id"].replace("-", "") for row in shown]
    if len(set(ids)) < len(ids) or set(ids) != set(told):
        raise Broken(1, f"{account.id} shows {len(ids)} rows with {len(set(ids))} ids, of {len(told)}")
    for id, row in zip(ids, shown, strict=True):
        yield told[id].booked_on, -told[id].newest, told[id].amount, row["description"]


def _same(what: str, ours: Counter[Any], theirs: Counter[Any]) -> None:
    if ours == theirs:
        return
    more, less = sorted((ours - theirs).items(), key=repr), sorted((theirs - ours).items(), key=repr)
    raise Broken(7, f"rows of {what}: ours alone {more[:4]}, the bank's alone {less[:4]}")


def statuses_are_right(world: World, client: Client, seen: Seen) -> None:
    """8: a connection is connected, unless the client gave it up.

    Raises:
        Broken
    """
    for customer in client.customers:
        for connection in [] if customer.erased else customer.living():
            row = world.life.read_models.connection(TENANT, customer.id, connection.id)
            status = None if row is None else row.status
            given_up = streams.data_connection(TENANT, customer.id, connection.id) in seen.given_up
            if status != (DISCONNECTED if given_up else CONNECTED):
                reason = row.reason if row else None
                raise Broken(8, f"a connection is {status} ({reason}), given up: {given_up}")


async def nothing_pends(world: World) -> None:
    """9: no sync, no push, no deletion is left to be done.

    Raises:
        Broken
    """
    life = world.life
    if pending := await life.read_models.pending_syncs():
        raise Broken(9, f"{len(pending)} syncs are still pending")
    if waiting := await life.inbox.waiting():
        raise Broken(9, f"{len(waiting)} pushes are still to be looked at")
    if announced := await life.keys.announced():
        raise Broken(9, f"the destruction of {announced[0]} was announced, and is not done")
    if left := await life.secrets.references(FAREWELL):
        raise Broken(9, f"{len(left)} deletions at the provider are not done")
