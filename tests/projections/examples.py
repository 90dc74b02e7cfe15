"""Histories for the tests of projections: facts at their places, a log to read them from, and random ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import strategies as st

from domain import consumer, consumer_account, data_connection, registry, streams
from domain.consumer import AccountLinked, AccountUnlinked, ConsumerRegistered, Details, Evidence
from domain.consumer_account import (
    AccountClosed,
    AccountDetails,
    AccountDetailsChanged,
    AccountDiscovered,
    AccountReopened,
    BalanceRefreshed,
    BookingUndone,
    Known,
    TransactionsFetched,
)
from domain.data_connection import DataSync
from domain.fact import Erased, Recorded
from domain.transactions import Bookings, Transaction, batch_of, day_of
from projections.ports import Unreadable

TENANT = "acme"
NOON = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
MARCH_1 = day_of(date(2024, 3, 1))
ALL = ("BANK_ACCOUNT", "BANK_TRANSACTION", "CASHFLOW", "CREDIT_INSIGHTS")


def uuid(kind: int, number: int) -> str:
    return str(UUID(int=kind << 96 | number))


ADA, BOB = uuid(1, 1), uuid(1, 2)
CONNECTION = uuid(2, 1)
CHECKING, SAVINGS = uuid(3, 1), uuid(3, 2)


def row_id(number: int) -> bytes:
    return UUID(int=9 << 96 | number).bytes


class History:
    """A log in the making. Every fact is recorded one second after the one before."""

    def __init__(self) -> None:
        self.recorded: list[Recorded | Unreadable] = []
        self._versions: dict[str, int] = {}

    def add(self, stream: str, *facts: Any) -> History:
        for fact in facts:
            version = self._versions[stream] = self._versions.get(stream, 0) + 1
            position = len(self.recorded) + 1
            self.recorded.append(
                Recorded(
                    stream=stream,
                    version=version,
                    position=position,
                    name=registry.NAMES[type(fact)],
                    recorded_at=NOON + timedelta(seconds=position),
                    actor="sync",
                    fact=fact,
                )
            )
        return self

    def unreadable(self, stream: str, reason: str = "key_missing") -> History:
        self._versions[stream] = self._versions.get(stream, 0) + 1
        self.recorded.append(
            Unreadable(
                stream=stream,
                version=self._versions[stream],
                position=len(self.recorded) + 1,
                name="TransactionsFetched.1",
                reason=reason,
            )
        )
        return self

    def after_destroying(self, scopes: Iterable[str]) -> History:
        """The same log, read after the keys of these streams (or prefixes of streams) were destroyed."""
        destroyed = tuple(scopes)
        later = History()
        later.recorded = [
            msgspec.structs.replace(recorded, fact=Erased(recorded.name))
            if destroyed
            and recorded.stream.startswith(destroyed)
            and recorded.name != registry.CONSUMER_ERASED
            and isinstance(recorded, Recorded)
            else recorded
            for recorded in self.recorded
        ]
        return later

    def facts_of(self, stream: str) -> list[Any]:
        return [recorded.fact for recorded in self.recorded if recorded.stream == stream]


class ListSource:
    """`projections.ports.Source` over a list, which may grow while it is read."""

    def __init__(self, recorded: Sequence[Recorded | Unreadable]) -> None:
        self.recorded = recorded

    def read(self, after: int, limit: int) -> Sequence[Recorded | Unreadable]:
        return [recorded for recorded in self.recorded if recorded.position > after][:limit]

    def head(self) -> int:
        return self.recorded[-1].position if self.recorded else 0


# Facts by name


def of_consumer(consumer_id: str = ADA) -> str:
    return streams.consumer(TENANT, consumer_id)


def of_account(account_id: str = CHECKING, consumer_id: str = ADA) -> str:
    return streams.consumer_account(TENANT, consumer_id, account_id)


def of_connection(connection_id: str = CONNECTION, consumer_id: str = ADA) -> str:
    return streams.data_connection(TENANT, consumer_id, connection_id)


def registered(name: str = "Boulangerie Test") -> ConsumerRegistered:
    return ConsumerRegistered(type=consumer.LEGAL, details=Details(name=name, siren="552100554"))


def discovered(
    kind: str = "CHECKING", currency: str = "EUR", exponent: int = 2, **more: Any
) -> AccountDiscovered:
    return AccountDiscovered(
        connection_id=more.pop("connection_id", CONNECTION),
        provider="budget_insight",
        reference="2318",
        currency=currency,
        exponent=exponent,
        details=AccountDetails(kind=kind, **more),
    )


def reading(balance: int | None, day: int = 0, **more: Any) -> BalanceRefreshed:
    return BalanceRefreshed(as_of=NOON + day * DAY, balance=balance, **more)


def a_row(number: int, booked_on: date | int, amount: int | None, **more: Any) -> tuple[bytes, Transaction]:
    day = booked_on if isinstance(booked_on, int) else day_of(booked_on)
    transaction = Transaction(reference=str(number), booked_on=day, amount=amount, **more)
    return row_id(number), transaction


def fetched(*rows: tuple[bytes, Transaction]) -> TransactionsFetched:
    return TransactionsFetched(added=batch_of(rows))


def modified(*rows: tuple[bytes, Transaction]) -> TransactionsFetched:
    return TransactionsFetched(modified=batch_of(rows))


def restored(*rows: tuple[bytes, Transaction]) -> TransactionsFetched:
    return TransactionsFetched(restored=batch_of(rows))


def removed(*numbers: int) -> TransactionsFetched:
    return TransactionsFetched(removed=gone(*numbers))


def expired(*numbers: int) -> TransactionsFetched:
    return TransactionsFetched(expired=gone(*numbers))


def gone(*numbers: int) -> consumer_account.Removed:
    return consumer_account.Removed(
        ids=b"".join(map(row_id, numbers)), references=[str(number) for number in numbers]
    )


def booked(*pairs: tuple[int, int], rule: str = "exact", score: int = 95) -> TransactionsFetched:
    """Pairs of a pending row's number and a booked one's."""
    return TransactionsFetched(
        booked=Bookings(
            pending_ids=b"".join(row_id(pending) for pending, _ in pairs),
            pending_references=[str(pending) for pending, _ in pairs],
            booked_ids=b"".join(row_id(number) for _, number in pairs),
            booked_references=[str(number) for _, number in pairs],
            rules=[rule] * len(pairs),
            scores=[score] * len(pairs),
        )
    )


def undone(pending: int, number: int) -> BookingUndone:
    return BookingUndone(pending_id=row_id(pending), pending_reference=str(pending), booked_id=row_id(number))


# Random histories

_KINDS = ("card", "order", "transfer", "check", "withdrawal", "unknown", "loan_payment", "summary_card")
_WORDINGS = (
    "CB CARREFOUR 12/03 4974XXXXXXXX1234",
    "PRLV EDF 2024-01",
    "Loyer",
    "",
    'Ünïcode "q" \\ \n é',
    None,
)
_rows = st.builds(
    Transaction,
    reference=st.integers(0, 30).map(str),
    booked_on=st.integers(MARCH_1 - 200, MARCH_1 + 40) | st.integers(MARCH_1 - 900, MARCH_1),
    initiated_on=st.none() | st.integers(MARCH_1 - 210, MARCH_1),
    value_on=st.none() | st.integers(MARCH_1 - 420, MARCH_1 + 60),
    amount=st.none() | st.integers(-9_999_99, 9_999_99) | st.sampled_from([0, 2**62, -(2**62)]),
    kind=st.sampled_from(_KINDS),
    wording=st.sampled_from(_WORDINGS) | st.text(max_size=20),
    pending=st.booleans() | st.just(False),
    deleted=st.sampled_from([False, False, False, True]),
    fields=st.sampled_from([{}, {}, {"webid": "w1"}, {"webid": ""}, {"webid": 7, "country": None}]),
    seen_at=st.none() | st.just(NOON),
    touched_at=st.none() | st.just(NOON + DAY),
)
#: So few, that two sources often say the same.
_like_rows = st.builds(
    Transaction,
    reference=st.sampled_from(["1", "2", "9", "10", "11", "x", "y"]),
    booked_on=st.integers(MARCH_1 - 3, MARCH_1 + 3),
    value_on=st.none() | st.sampled_from([MARCH_1, MARCH_1 + 40]),
    amount=st.sampled_from([-5, None]),
    wording=st.sampled_from(["CB", None]),
    kind=st.sampled_from(["card", "bank"]),
    pending=st.sampled_from([False, False, False, True]),
    deleted=st.sampled_from([False, False, False, True]),
)
_minor = st.none() | st.integers(-500_00, 9_000_00)


@st.composite
def histories(draw: Any, *, steps: int = 25) -> tuple[History, set[str]]:
    """A history that the aggregates could have made, and the scopes whose keys were destroyed in it."""
    return _told(Teller(draw), draw, steps)


@st.composite
def families(draw: Any, *, steps: int = 40) -> tuple[History, set[str]]:
    """The same, of one consumer whose sources are mostly one account, and often say the same."""
    return _told(Family(draw), draw, steps)


def _told(teller: Teller, draw: Callable[..., Any], steps: int) -> tuple[History, set[str]]:
    for _ in teller.CONSUMERS:
        teller.move_connection()
        teller.discover()
        teller.discover()
    for step in draw(st.lists(st.sampled_from(teller.STEPS), min_size=steps // 2, max_size=steps)):
        step(teller)
    return teller.history, teller.destroyed


class Teller:
    """Tells a history step by step. A step that is not possible yet, or not any more, tells nothing."""

    CONSUMERS = (ADA, BOB)
    CONNECTIONS = (1, 2)
    SOURCES = (1, 1, 1, 2, 2, 3, 4)
    ROWS = st.lists(_rows, min_size=1, max_size=12) | st.lists(_like_rows, min_size=1, max_size=12)
    #: Sources in one currency: any of them may be linked to the account of another.
    EUROPEAN = {
        ADA: tuple(uuid(3, number) for number in (1, 2, 4)),
        BOB: tuple(uuid(3, number) for number in (11, 12, 14)),
    }

    def __init__(self, draw: Callable[..., Any]) -> None:
        self.draw = draw
        self.history = History()
        self.destroyed: set[str] = set()
        self.known: dict[str, dict[str, Known]] = {}
        self.pending: dict[str, dict[str, tuple[bytes, Transaction]]] = {}
        self.pairs: dict[str, list[tuple[bytes, Transaction, bytes]]] = {}
        """Of each stream the pending rows that were ever booked under another id: id, row, and that other id."""
        self.paired: dict[bytes, tuple[bytes, Transaction, bytes]] = {}
        """Those of them that still are, by id."""
        self.ids = 0
        for consumer_id in self.CONSUMERS:
            self.history.add(of_consumer(consumer_id), registered())

    def consumer(self) -> str:
        return self.draw(st.sampled_from(self.CONSUMERS))

    def state(self, aggregate: Any, stream: str) -> Any:
        state = aggregate.initial
        for fact in self.history.facts_of(stream):
            state = aggregate.apply(state, fact)
        return state

    def tell(self, stream: str, *facts: Any) -> None:
        if not any(stream.startswith(scope) for scope in self.destroyed):
            self.history.add(stream, *facts)

    def account(self, consumer_id: str) -> str:
        number = self.draw(st.sampled_from(self.SOURCES))
        return of_account(uuid(3, number + 10 * self.CONSUMERS.index(consumer_id)), consumer_id)

    def connection(self, consumer_id: str) -> str:
        number = self.draw(st.sampled_from(self.CONNECTIONS))
        return of_connection(uuid(2, number + 10 * self.CONSUMERS.index(consumer_id)), consumer_id)

    # Steps

    def change_details(self) -> None:
        self.tell(of_consumer(self.consumer()), consumer.ConsumerDetailsChanged(details=Details(name="New")))

    def move_connection(self) -> None:
        stream = self.connection(self.consumer())
        if isinstance(self.state(data_connection, stream), data_connection.Unknown):
            self.tell(stream, data_connection.ConnectionRequested(provider="budget_insight", data_types=ALL))
        fact = self.draw(
            st.sampled_from(
                [
                    data_connection.AuthorisationStarted(state_digest=b"d" * 32, expires_at=NOON + DAY),
                    data_connection.ConnectionConnected(reference="512", provider_user="7301"),
                    data_connection.AuthorisationFailed(reason="wrong_password"),
                    data_connection.ReauthorisationRequested(),
                    data_connection.ConnectionConnected(reference="513", provider_user="7301"),
                    data_connection.ConsentExpiring(expires_at=NOON + DAY, days_left=1),
                    data_connection.ConnectionSilent(last_seen_at=NOON),
                    data_connection.ConnectionDisconnected(),
                    data_connection.RequestedDataTypesChanged(data_types=ALL[:2]),
                ]
            )
        )
        self.tell(stream, fact)

    def request_sync(self) -> None:
        stream = self.connection(self.consumer())
        state = self.state(data_connection, stream)
        if not isinstance(state, data_connection.Requested):
            return
        self.ids += 1
        data_syncs = tuple(
            DataSync(id=uuid(5, self.ids * 10 + index), data_type=type) for index, type in enumerate(ALL[:2])
        )
        self.tell(stream, data_connection.SyncRequested(sync_id=uuid(4, self.ids), data_syncs=data_syncs))

    def go_on_with_sync(self) -> None:
        stream = self.connection(self.consumer())
        state = self.state(data_connection, stream)
        if isinstance(state, data_connection.Requested) and state.pending:
            id = state.pending[0].sync_id
            fact = self.draw(
                st.sampled_from(
                    [
                        data_connection.SyncStarted(sync_id=id, attempt=1),
                        data_connection.SyncSucceeded(sync_id=id),
                        data_connection.SyncFailed(sync_id=id, status="FETCH_ERROR", reason="timeout"),
                    ]
                )
            )
            self.tell(stream, fact)

    def discover(self) -> None:
        """Link a source, to an account of its own or to another's, and bring it if it is new."""
        consumer_id = self.consumer()
        stream = self.account(consumer_id)
        source_id = account_id = streams.parse(stream).id
        others = self.EUROPEAN[consumer_id]
        if source_id in others:
            account_id = self.account_for(source_id, others)
        connection_id = streams.parse(self.connection(consumer_id)).id
        link = AccountLinked(
            account_id=account_id,
            connection_id=connection_id,
            reference="1",
            evidence=Evidence(kind="none"),
            source_id=source_id if source_id != account_id or self.draw(st.booleans()) else "",
        )
        brought: list[Any] = []
        if isinstance(self.state(consumer_account, stream), consumer_account.Undiscovered):
            kind = self.draw(st.sampled_from(["CHECKING", "SAVINGS", "CREDIT_CARD"]))
            currency, exponent = ("EUR", 2)
            if source_id not in others:
                currency, exponent = self.draw(st.sampled_from([("JPY", 0), ("KWD", 3)]))
            brought.append(discovered(kind, currency, exponent, connection_id=connection_id))
        # The link comes before what it brings, or after it.
        if self.draw(st.booleans()):
            self.tell(of_consumer(consumer_id), link)
            self.tell(stream, *brought)
        else:
            self.tell(stream, *brought)
            self.tell(of_consumer(consumer_id), link)

    def account_for(self, source_id: str, others: Sequence[str]) -> str:
        return self.draw(st.sampled_from([source_id, source_id, *others]))

    def unlink(self) -> None:
        """Undo a link that was made at some time; by request the source is an account of its own at once."""
        consumer_id = self.consumer()
        facts = self.history.facts_of(of_consumer(consumer_id))
        links = [fact for fact in facts if isinstance(fact, AccountLinked)]
        if not links:
            return
        link = self.draw(st.sampled_from(links))
        by_request = link.source != link.account_id and self.draw(st.booleans())
        unlinked = AccountUnlinked(
            account_id=link.account_id,
            connection_id=link.connection_id,
            reference=link.reference,
            reason=consumer.BY_REQUEST if by_request else "connection_deleted",
            source_id=link.source_id,
        )
        self.tell(of_consumer(consumer_id), unlinked)
        if by_request:
            self.tell(of_consumer(consumer_id), msgspec.structs.replace(link, account_id=link.source))

    def change_account(self) -> None:
        stream = self.account(self.consumer())
        if isinstance(self.state(consumer_account, stream), consumer_account.Open):
            kind = self.draw(st.sampled_from(["CHECKING", "CREDIT_CARD"]))
            fact = self.draw(
                st.sampled_from(
                    [
                        AccountDetailsChanged(details=AccountDetails(kind=kind, name="Renamed")),
                        AccountClosed(reason="disabled"),
                    ]
                )
            )
            self.tell(stream, fact)
        elif isinstance(self.state(consumer_account, stream), consumer_account.Closed):
            self.tell(stream, AccountReopened())

    def read_balance(self) -> None:
        stream = self.account(self.consumer())
        if isinstance(self.state(consumer_account, stream), consumer_account.Open):
            self.tell(
                stream,
                reading(
                    self.draw(_minor),
                    day=self.draw(st.integers(-30, 30)),
                    available=self.draw(_minor),
                    limit=self.draw(st.none() | st.integers(0, 300_00)),
                ),
            )

    def fetch(self) -> None:
        stream = self.account(self.consumer())
        if not isinstance(self.state(consumer_account, stream), consumer_account.Open):
            return
        known = self.known.setdefault(stream, {})
        for fact in consumer_account.record_transactions(self.draw(self.ROWS), known, self.next_id):
            if fact.restored and self.draw(st.booleans()):
                # As it was said earlier.
                fact = TransactionsFetched(added=fact.restored)
            self.tell(stream, fact)
            self.note(stream, fact)

    def note(self, stream: str, fact: TransactionsFetched) -> None:
        """Keep what the next fact must fit to."""
        known, pending = self.known[stream], self.pending.setdefault(stream, {})
        for batch in (fact.added, fact.restored, fact.modified):
            for id, row in batch.rows():
                known[row.reference] = Known(id, row.digest())
                self.paired.pop(id, None)
                pending.pop(row.reference, None)
                if row.pending:
                    pending[row.reference] = id, row
        booked = [reference for _, reference, _, _ in fact.booked.pairs()]
        for reference in (*fact.removed.references, *fact.expired.references, *booked):
            known[reference] = msgspec.structs.replace(known[reference], removed=True)
            pending.pop(reference, None)

    def end_pending(self) -> None:
        """A pending row is booked as one that is held, or never."""
        stream = self.account(self.consumer())
        pending = self.pending.get(stream)
        if not pending or not isinstance(self.state(consumer_account, stream), consumer_account.Open):
            return
        id, row = pending[self.draw(st.sampled_from(sorted(pending)))]
        others = [
            (other.id, reference)
            for reference, other in self.known[stream].items()
            if not other.removed and reference not in pending
        ]
        if others and self.draw(st.booleans()):
            booked_id, booked_reference = self.draw(st.sampled_from(others))
            fact = TransactionsFetched(
                booked=Bookings(
                    pending_ids=id,
                    pending_references=[row.reference],
                    booked_ids=booked_id,
                    booked_references=[booked_reference],
                    rules=[self.draw(st.sampled_from(["link", "exact", "scored"]))],
                    scores=[self.draw(st.integers(0, 100))],
                )
            )
            self.paired[id] = id, row, booked_id
            self.pairs.setdefault(stream, []).append(self.paired[id])
        else:
            fact = TransactionsFetched(expired=consumer_account.Removed(ids=id, references=[row.reference]))
        self.tell(stream, fact)
        self.note(stream, fact)

    def undo_booking(self) -> None:
        """Undo a pair that was made at some time. Where it is over, the two are kept apart and nothing else."""
        stream = self.account(self.consumer())
        if stream in self.destroyed or not self.pairs.get(stream):
            return
        id, row, booked_id = pair = self.draw(st.sampled_from(self.pairs[stream]))
        self.tell(stream, BookingUndone(pending_id=id, pending_reference=row.reference, booked_id=booked_id))
        if self.paired.get(id) == pair:
            del self.paired[id]
            self.known[stream][row.reference] = Known(id, row.digest())
            self.pending[stream][row.reference] = id, row

    def next_id(self) -> bytes:
        self.ids += 1
        # In no order, as random ids are.
        return row_id(self.ids * 7919 % 100_003)

    def delete_account(self) -> None:
        stream = self.account(self.consumer())
        if isinstance(self.state(consumer_account, stream), consumer_account.Open):
            self.tell(stream, AccountClosed(reason=consumer_account.CONNECTION_DELETED))
            self.destroyed.add(stream)

    def delete_connection(self) -> None:
        stream = self.connection(self.consumer())
        if isinstance(self.state(data_connection, stream), data_connection.Requested):
            self.tell(stream, data_connection.ConnectionDeleted())
            self.destroyed.add(stream)

    def erase_consumer(self) -> None:
        # Mostly Bob, so that there is something to compare of Ada.
        consumer_id = self.draw(st.sampled_from([BOB, BOB, BOB, ADA]))
        self.tell(of_consumer(consumer_id), consumer.ConsumerErased())
        self.destroyed.add(streams.of_consumer(TENANT, consumer_id))

    STEPS = (
        *(discover, discover, fetch, fetch, fetch, fetch, read_balance, read_balance),
        *(end_pending, undo_booking),
        *(move_connection, move_connection, request_sync, go_on_with_sync, go_on_with_sync),
        *(change_details, unlink, change_account, delete_account, delete_connection, erase_consumer),
    )


class Family(Teller):
    """Tells of one consumer whose sources are mostly one account."""

    CONSUMERS = (ADA,)
    CONNECTIONS = (1, 2, 3)
    SOURCES = (1, 2, 4)
    ROWS = st.lists(_like_rows, min_size=1, max_size=8)

    def account_for(self, source_id: str, others: Sequence[str]) -> str:
        return self.draw(st.sampled_from([*[others[0]] * 4, others[1], source_id]))

    STEPS = (
        *(Teller.discover, Teller.discover, *[Teller.fetch] * 9, Teller.read_balance),
        *(Teller.end_pending, Teller.undo_booking, *[Teller.move_connection] * 4, Teller.change_account),
        *(Teller.unlink, Teller.delete_account),
    )
