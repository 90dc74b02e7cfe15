"""What the log says, read as it grows, by somebody who trusts nobody: facts alone, no state of the service's."""

from __future__ import annotations

from collections import defaultdict
from hashlib import sha256

import msgspec

from domain import streams
from domain.consumer import AccountLinked, ConsumerErased
from domain.consumer_account import BookingUndone, TransactionsFetched
from domain.data_connection import (
    INTERNAL_ERROR,
    ConnectionConnected,
    ConnectionDeleted,
    ConnectionDisconnected,
    ReauthorisationRequested,
    SyncFailed,
    SyncSucceeded,
)
from domain.fact import Erased, Recorded
from domain.transactions import Transaction
from projections.ports import Source, Unreadable

READ_MAX = 10_000

_encode = msgspec.msgpack.Encoder().encode


class Broken(Exception):
    """A law was broken: its number, and how."""

    def __init__(self, law: int, how: str) -> None:
        super().__init__(f"law {law}: {how}")
        self.law = law


class Rows:
    """The rows of one source, as its facts tell them."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.ids: dict[str, bytes] = {}
        """By the provider's reference, for ever."""
        self.there: dict[str, Transaction] = {}
        self.became: dict[str, Transaction] = {}
        """Pending rows that were booked under another id, as they were."""

    def take(self, fact: TransactionsFetched) -> None:
        """
        Raises:
            Broken: 1.
        """
        for id, row in fact.added.rows():
            if row.reference in self.ids:
                raise Broken(1, f"{row.reference} was added twice to {self.stream}")
            self.ids[row.reference] = id
            self.there[row.reference] = row
        for id, row in fact.restored.rows():
            self._known(row.reference, id, there=False)
            self.there[row.reference] = row
            self.became.pop(row.reference, None)
        for id, row in fact.modified.rows():
            self._known(row.reference, id, there=True)
            self.there[row.reference] = row
        for gone in (fact.removed, fact.expired):
            for reference in gone.references:
                self._known(reference, None, there=True)
                del self.there[reference]
        for reference in fact.booked.pending_references:
            self._known(reference, None, there=True)
            self.became[reference] = self.there.pop(reference)

    def undo(self, fact: BookingUndone) -> None:
        if fact.pending_reference in self.became:
            self.there[fact.pending_reference] = self.became.pop(fact.pending_reference)

    def _known(self, reference: str, id: bytes | None, *, there: bool) -> None:
        if reference not in self.ids or (reference in self.there) is not there:
            raise Broken(
                1, f"{reference} of {self.stream} is {'not ' if there else ''}there, and was told otherwise"
            )
        if id is not None and self.ids[reference] != id:
            raise Broken(1, f"{reference} of {self.stream} has another id than it had")


class Seen:
    """
    Attributes:
        appends: by command id, and so by append.
        sources: by stream of an account, the rows that are there.
        links: by our connection and the provider's account, the streams of its sources: it has one for each currency,
            and for each time it was renamed.
        references: by stream of a connection, the provider's id of it; None once it is deleted.
        given_up: streams of connections that a client disconnected, and that nobody was asked to connect since.
        successes: syncs that succeeded since they were last looked at.
    """

    def __init__(self) -> None:
        self.position = 0
        self.appends: dict[bytes, list[Recorded]] = {}
        self.sources: dict[str, Rows] = {}
        self.links: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self.references: dict[str, str | None] = {}
        self.given_up: set[str] = set()
        self._last: dict[str, Recorded] = {}
        self._ended: set[str] = set()
        self.successes: list[tuple[str, SyncSucceeded]] = []
        self._hash = sha256()

    def hash(self) -> str:
        """SHA-256 over all facts in order: stream, version, name, time, actor, command id and body."""
        return self._hash.hexdigest()

    def read(self, source: Source) -> int:
        """Read what is new, and return how many facts that was.

        Raises:
            Broken: 1, 3 or 5; or 0, where a fact cannot be read, or is out of its order.
        """
        new: dict[bytes, None] = {}
        before = self.position
        while found := source.read(self.position, READ_MAX):
            for recorded in found:
                if isinstance(recorded, Unreadable):
                    raise Broken(0, f"the fact at {recorded.position} cannot be read: {recorded.reason}")
                self._take(recorded)
                new[recorded.command_id] = None
        for command_id in new:
            _check_append(self.appends[command_id])
        return self.position - before

    def _take(self, recorded: Recorded) -> None:
        if recorded.position != self.position + 1:
            raise Broken(5, f"after position {self.position} comes {recorded.position}")
        self.position = recorded.position
        self._check_order(recorded)
        said = (recorded.stream, recorded.version, recorded.name, recorded.recorded_at, recorded.actor)
        self._hash.update(_encode((*said, recorded.command_id, recorded.fact)))
        self.appends.setdefault(recorded.command_id, []).append(recorded)
        match recorded.fact:
            case TransactionsFetched() as fact:
                self._rows(recorded.stream).take(fact)
            case BookingUndone() as fact:
                self._rows(recorded.stream).undo(fact)
            case SyncSucceeded() as fact:
                self._end(fact.sync_id)
                self.successes.append((recorded.stream, fact))
            case SyncFailed() as fact:
                self._end(fact.sync_id)
                # A process may die of it too often; nothing else is a fault of ours.
                if fact.status == INTERNAL_ERROR and fact.reason != "too_many_attempts":
                    raise Broken(0, f"a sync failed by {fact.reason}")
            case AccountLinked() as fact:
                tenant, consumer_id, *_ = streams.parse(recorded.stream)
                source = streams.consumer_account(tenant, consumer_id, fact.source)
                self.links[fact.connection_id, fact.reference].append(source)
            case ConnectionConnected() as fact:
                self.references[recorded.stream] = fact.reference
                self.given_up.discard(recorded.stream)
            case ConnectionDisconnected():
                self.given_up.add(recorded.stream)
            case ReauthorisationRequested():
                self.given_up.discard(recorded.stream)
            case ConnectionDeleted():
                self.references[recorded.stream] = None
            case ConsumerErased():
                prefix = streams.of_consumer(*streams.parse(recorded.stream)[:2])
                for stream in [stream for stream in self.references if stream.startswith(prefix)]:
                    self.references[stream] = None

    def _check_order(self, recorded: Recorded) -> None:
        last = self._last.get(recorded.stream)
        if recorded.version != (last.version if last else 0) + 1:
            raise Broken(5, f"{recorded.stream} goes on with version {recorded.version}")
        if last is not None and recorded.recorded_at < last.recorded_at:
            raise Broken(0, f"in {recorded.stream} time goes back at version {recorded.version}")
        self._last[recorded.stream] = recorded

    def _end(self, sync_id: str) -> None:
        if sync_id in self._ended:
            raise Broken(3, f"sync {sync_id} ended twice")
        self._ended.add(sync_id)

    def _rows(self, stream: str) -> Rows:
        return self.sources.setdefault(stream, Rows(stream))


def _check_append(append: list[Recorded]) -> None:
    positions = [recorded.position for recorded in append]
    if positions != list(range(positions[0], positions[0] + len(positions))):
        raise Broken(5, f"one command wrote at {positions}")
    facts = [recorded.fact for recorded in append]
    if any(isinstance(fact, SyncFailed) for fact in facts):
        more = [recorded.name for recorded in append if not _is_of_connection(recorded)]
        if more:
            raise Broken(3, f"a sync that failed says {', '.join(more)}")
    with_rows = any(isinstance(fact, TransactionsFetched) for fact in facts)
    # What was erased before it was read says nothing.
    ended = any(isinstance(fact, SyncSucceeded | Erased) for fact in facts)
    if with_rows and not ended:
        raise Broken(3, "rows were recorded without the success that brought them")


def _is_of_connection(recorded: Recorded) -> bool:
    """About the connection alone, and not that a sync succeeded."""
    if isinstance(recorded.fact, SyncSucceeded):
        return False
    return streams.parse(recorded.stream).aggregate == streams.DATA_CONNECTION
