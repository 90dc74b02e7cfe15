"""What an account shows, as it is defined: made of all facts anew, slowly, and of nothing that is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from domain import data_connection, streams
from domain.consumer import AccountLinked, AccountUnlinked
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
    link_of,
)
from domain.data_connection import CONNECTED
from domain.fact import Recorded
from domain.pending import Held, Pendings
from domain.transactions import Transaction
from projections.erasure import forgotten
from projections.pending import TAKEN_DAYS
from tests.projections.examples import TENANT, History

Row = tuple[bytes, Transaction]


@dataclass
class Pair:
    pending: Row
    booked_id: bytes
    booked_reference: str
    rule: str
    score: int


@dataclass
class Source:
    """A source's own facts, folded."""

    id: str
    position: int
    discovered: AccountDiscovered
    details: AccountDetails
    reading: BalanceRefreshed | None = None
    closed: str | None = None
    rows: dict[str, Row] = field(default_factory=dict)
    """Booked and pending, by reference."""
    removed: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    """Id and digest of the rows that are gone, by reference."""
    pairs: dict[bytes, Pair] = field(default_factory=dict)
    """By the id of the pending row."""
    apart: set[tuple[bytes, bytes]] = field(default_factory=set)

    def apply(self, fact: Any) -> None:
        match fact:
            case AccountDetailsChanged(details=details):
                self.details = details
            case BalanceRefreshed():
                self.reading = fact
            case AccountClosed(reason=reason):
                self.closed = reason
            case AccountReopened():
                self.closed = None
            case TransactionsFetched():
                self._fetch(fact)
            case BookingUndone():
                self.apart.add((fact.pending_id, fact.booked_id))
                pair = self.pairs.get(fact.pending_id)
                if pair is not None and pair.booked_id == fact.booked_id:
                    del self.pairs[fact.pending_id]
                    self._keep(pair.pending)

    def _fetch(self, fact: TransactionsFetched) -> None:
        for batch in (fact.added, fact.restored, fact.modified):
            for row in batch.rows():
                self._keep(row)
        for gone in (fact.removed, fact.expired):
            for index, reference in enumerate(gone.references):
                self._drop(reference, gone.ids[index * 16 : index * 16 + 16])
        for index, (id, reference, booked_id, booked_reference) in enumerate(fact.booked.pairs()):
            if reference in self.rows and self.rows[reference][1].pending:
                self.pairs[id] = Pair(
                    self.rows[reference],
                    booked_id,
                    booked_reference,
                    fact.booked.rules[index],
                    fact.booked.scores[index],
                )
                self._drop(reference, id)

    def _keep(self, row: Row) -> None:
        reference = row[1].reference
        self.rows[reference] = row
        if reference in self.removed:
            self.pairs.pop(self.removed.pop(reference)[0], None)

    def _drop(self, reference: str, id: bytes) -> None:
        _, row = self.rows.pop(reference, (id, None))
        self.removed[reference] = (id, b"" if row is None else row.digest())

    @property
    def booked(self) -> list[Row]:
        return [row for row in self.rows.values() if not row[1].pending]

    @property
    def pending(self) -> list[Row]:
        return [row for row in self.rows.values() if row[1].pending]

    @property
    def first_day(self) -> int | None:
        return min((row.booked_on for _, row in self.booked), default=None)

    def known(self) -> dict[str, Known]:
        held = {reference: Known(id, row.digest()) for reference, (id, row) in self.rows.items()}
        gone = {
            reference: Known(id, digest, removed=True) for reference, (id, digest) in self.removed.items()
        }
        return held | gone

    def pendings(self) -> Pendings:
        if not self.pending:
            return Pendings()
        days = [row.booked_on for _, row in self.pending]
        first, last = min(days) - TAKEN_DAYS, max(days) + TAKEN_DAYS
        rows = [
            Held(
                id=id,
                reference=row.reference,
                booked_on=row.booked_on,
                amount=row.amount,
                wording=row.wording,
                link=link_of(row.fields),
                seen_at=row.seen_at,
                touched_at=row.touched_at,
                digest=row.digest(),
            )
            for id, row in sorted(self.pending, key=lambda row: row[1].reference)
        ]
        return Pendings(
            rows=tuple(rows),
            taken=frozenset(
                pair.booked_id for pair in self.pairs.values() if first <= pair.pending[1].booked_on <= last
            ),
            apart=frozenset(self.apart),
        )


@dataclass
class Link:
    source: str
    account: str
    position: int
    connection: str
    reference: str
    ended: bool = False


@dataclass
class Account:
    """An account with its sources, the leading one first."""

    id: str
    sources: list[Source]
    connections: dict[str, str]
    """Of each source, the connection that feeds it."""
    linked: dict[str, int]

    @property
    def leading(self) -> Source:
        return self.sources[0]

    @property
    def position(self) -> int:
        return min(source.position for source in self.sources)

    def shows(self, source: Source, day: int) -> bool:
        """Whether a source's rows of a day are shown: whether nothing that is before it reaches back so far."""
        before = self.sources[: self.sources.index(source)]
        return all(other.first_day is None or day < other.first_day for other in before)

    @property
    def shown(self) -> list[Row]:
        return [
            (self.id_of(source, row), row[1])
            for source in self.sources
            for row in source.booked
            if self.shows(source, row[1].booked_on)
        ]

    def id_of(self, source: Source, row: Row) -> bytes:
        """The id of the row's like, of the earliest source that has one."""
        place = likes_of(source, row[1]).index(row)
        earlier = [other for other in self.sources if self.linked[other.id] < self.linked[source.id]]
        for other in sorted(earlier, key=lambda other: self.linked[other.id]):
            likes = likes_of(other, row[1])
            if place < len(likes):
                return likes[place][0]
        return row[0]

    def shown_id(self, source: Source, row: Row) -> bytes | None:
        """The id under which a source's row is shown, whichever source shows it."""
        place = likes_of(source, row[1]).index(row)
        for other in self.sources:
            if self.shows(other, row[1].booked_on):
                likes = likes_of(other, row[1])
                if place < len(likes):
                    return self.id_of(other, likes[place])
        return None


def likes_of(source: Source, row: Transaction) -> list[Row]:
    """The booked rows of a source that say the same as this one, in order."""

    def said(row: Transaction) -> tuple[Any, ...]:
        value_on = row.booked_on if row.value_on is None else row.value_on
        return row.booked_on, value_on, row.amount, row.wording

    def order(row: Row) -> tuple[bool, int, str]:
        is_number = row[1].reference.isascii() and row[1].reference.isdecimal()
        return not is_number, int(row[1].reference) if is_number else 0, row[1].reference

    return sorted((other for other in source.booked if said(other[1]) == said(row)), key=order)


def accounts_of(history: History, consumer: str) -> dict[str, Account]:
    """A consumer's accounts, by id, as all facts together say."""
    sources: dict[str, Source] = {}
    links: list[Link] = []
    states: dict[str, Any] = {}
    for recorded in history.recorded:
        stream = streams.parse(recorded.stream)
        if not isinstance(recorded, Recorded) or (stream.tenant, stream.consumer) != (TENANT, consumer):
            continue
        fact = recorded.fact
        is_gone = forgotten(recorded) is not None
        match stream.aggregate:
            case streams.CONSUMER if is_gone:
                sources.clear()
                links.clear()
            case streams.CONSUMER:
                links = _linked(links, fact, recorded.position)
            case streams.DATA_CONNECTION:
                state = states.get(stream.id, data_connection.initial)
                states[stream.id] = data_connection.initial if is_gone else data_connection.apply(state, fact)
            case streams.CONSUMER_ACCOUNT if is_gone:
                sources.pop(stream.id, None)
                links = [link for link in links if link.source != stream.id]
            case streams.CONSUMER_ACCOUNT if isinstance(fact, AccountDiscovered):
                sources.setdefault(
                    stream.id, Source(stream.id, recorded.position, fact, details=fact.details)
                )
            case streams.CONSUMER_ACCOUNT if stream.id in sources:
                sources[stream.id].apply(fact)
    connected = {id for id, state in states.items() if getattr(state, "status", "") == CONNECTED}
    return _accounts(sources, links, connected)


def _linked(links: list[Link], fact: Any, position: int) -> list[Link]:
    match fact:
        case AccountLinked():
            kept = [link for link in links if link.source != fact.source or link.account == fact.account_id]
            new = Link(fact.source, fact.account_id, position, fact.connection_id, fact.reference)
            return [*kept, new]
        case AccountUnlinked(reason="by_request"):
            gone = (fact.source, fact.account_id)
            links = [link for link in links if (link.source, link.account) != gone]
    if isinstance(fact, AccountUnlinked):
        for link in links:
            same = (link.source, link.connection, link.reference)
            link.ended |= same == (fact.source, fact.connection_id, fact.reference)
    return links


def _accounts(sources: dict[str, Source], links: list[Link], connected: set[str]) -> dict[str, Account]:
    accounts: dict[str, Account] = {}
    for source in sources.values():
        its = [link for link in links if link.source == source.id]
        feeding = [link.connection for link in its if not link.ended]
        account_id = its[0].account if its else source.id
        account = accounts.setdefault(account_id, Account(account_id, [], {}, {}))
        account.sources.append(source)
        account.connections[source.id] = feeding[-1] if feeding else source.discovered.connection_id
        account.linked[source.id] = 0 if account_id == source.id else its[0].position
    for account in accounts.values():
        # Sorting keeps what an earlier one did: the last counts most.
        account.sources.sort(key=lambda source: account.linked[source.id], reverse=True)
        account.sources.sort(key=lambda source: account.connections[source.id] not in connected)
        closed = [source for source in account.sources if source.closed is not None]
        closed.sort(key=lambda source: account.linked[source.id], reverse=True)
        account.sources = [source for source in account.sources if source.closed is None] + closed
    return accounts
