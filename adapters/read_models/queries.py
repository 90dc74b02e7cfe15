"""What is asked of the read models, over SQLite.

Reads run inline on one read-only connection: a thread would cost a third of the throughput. Every question
finds the live generation anew, which costs one `stat`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from adapters.read_models import pointer
from adapters.read_models.schema import CHECKPOINT, START, create_index, create_table, fingerprint
from adapters.read_models.sqlite import SqliteRows
from application.ports import Booking
from domain.consumer_account import Known
from domain.data_connection import CONNECTED
from domain.health import CONSENT_NEAR
from domain.insights.months import first_day, last_day, month_of
from domain.pending import Pendings
from projections import health, transactions, uploads
from projections.accounts import Account, key_of
from projections.bodies import expand
from projections.directory import Consumer, DataConnection, DataSync, Provider
from projections.health import ConnectionCounts
from projections.kinds import BANK, kinds_of
from projections.models import ALL_TABLES
from projections.ports import Rows, Table
from projections.shown import ALL_TYPES
from projections.stalled import Stalled
from projections.times import MICROSECOND, micros

T = TypeVar("T")

#: How often a wait looks by itself: before it is ever notified, and once it is.
POLL_SECONDS = 0.002
POLL_SECONDS_NOTIFIED = 0.05
#: How many long looks there are at once: each holds the rows that it looks at.
ASIDE_MAX = 2
#: Tables that name the consumer first: one without a row in any of them is gone.
_OF_CONSUMER: tuple[Table, ...] = tuple(
    table for table in ALL_TABLES if table.row._fields[:2] in (("tenant", "consumer"), ("tenant", "id"))
)


class SqliteReadModels:
    """The read models as the live generation has them; before there is one, they are empty."""

    def __init__(self, directory: Path, sleep: Callable[[float], Awaitable[None]] | None = None) -> None:
        """`sleep` replaces the wait between two looks, where time is simulated."""
        self._pointer = pointer.Pointer(directory)
        self._directory = directory
        self._number: int | None = None
        self._nothing = _nothing()
        self._connection = self._nothing
        self._sleep = sleep
        self._moved = asyncio.Event()
        self._notified = False
        self._aside = asyncio.Semaphore(ASIDE_MAX)

    # How far

    def position(self) -> int:
        """The position of the log that the rows show."""
        return self._one("SELECT position FROM checkpoint")[0]

    def notify(self, position: int) -> None:
        """The projector has said that it got somewhere: whoever waits looks again."""
        self._notified = True
        self._moved.set()
        self._moved = asyncio.Event()

    async def reach(self, position: int, timeout: float) -> bool:
        """Wait until the read models hold the log up to `position`. False if that took too long."""
        waited = 0.0
        while self.position() < position:
            if waited >= timeout:
                return False
            pause = min(POLL_SECONDS_NOTIFIED if self._notified else POLL_SECONDS, timeout - waited)
            waited += await self._wait(pause)
        return True

    async def _wait(self, seconds: float) -> float:
        if self._sleep is not None:
            await self._sleep(seconds)
            return seconds
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(seconds):
                await self._moved.wait()
        except TimeoutError:
            pass
        return loop.time() - started

    def stalled(self) -> list[Stalled]:
        """Consumers whose facts could not be projected, and since when."""
        return self._rows(Stalled, "SELECT * FROM stalled ORDER BY position")

    # The directory

    def provider(self, tenant: str, name: str) -> Provider | None:
        return self._row(Provider, "SELECT * FROM providers WHERE tenant = ? AND name = ?", tenant, name)

    def consumer(self, tenant: str, consumer: str) -> Consumer | None:
        return self._row(Consumer, "SELECT * FROM consumers WHERE tenant = ? AND id = ?", tenant, consumer)

    def consumers(
        self, tenant: str, page: int, per_page: int, siren: str | None = None
    ) -> tuple[int, list[Consumer]]:
        """How many there are, of all or of one company number, and a page of them, oldest first."""
        where, values = "FROM consumers WHERE tenant = ?", (tenant,)
        if siren is not None:
            where, values = f"{where} AND siren = ?", (tenant, siren)
        return self._page(Consumer, where, "position", values, page, per_page)

    def connection(self, tenant: str, consumer: str, connection: str) -> DataConnection | None:
        return self._row(
            DataConnection,
            "SELECT * FROM data_connections WHERE tenant = ? AND consumer = ? AND id = ?",
            tenant,
            consumer,
            connection,
        )

    def connections(
        self, tenant: str, consumer: str, page: int, per_page: int
    ) -> tuple[int, list[DataConnection]]:
        """How many there are, and a page of them, oldest first."""
        return self._page(
            DataConnection,
            "FROM data_connections WHERE tenant = ? AND consumer = ?",
            "position",
            (tenant, consumer),
            page,
            per_page,
        )

    def data_syncs(self, tenant: str, consumer: str, page: int, per_page: int) -> tuple[int, list[DataSync]]:
        """How many there are, and a page of them: the newest request first, its types in their order."""
        return self._page(
            DataSync,
            "FROM data_syncs WHERE tenant = ? AND consumer = ?",
            "position DESC, ordinal",
            (tenant, consumer),
            page,
            per_page,
        )

    def latest_data_syncs(self, tenant: str, consumer: str) -> list[DataSync]:
        """The newest of each data type and connection, in the order in which they were requested."""
        return self._rows(
            DataSync,
            "SELECT data_syncs.* FROM latest_data_syncs AS latest JOIN data_syncs"
            " ON data_syncs.tenant = latest.tenant AND data_syncs.consumer = latest.consumer"
            " AND data_syncs.id = latest.id"
            " WHERE latest.tenant = ? AND latest.consumer = ?"
            " ORDER BY data_syncs.position, data_syncs.ordinal",
            tenant,
            consumer,
        )

    # Banking

    def banking_accounts(
        self, tenant: str, consumer: str, page: int, per_page: int
    ) -> tuple[int, list[bytes]]:
        """How many there are, and a page of them as `answers.BankAccount` in JSON, oldest first."""
        where = "FROM banking_accounts WHERE tenant = ? AND consumer = ?"
        with self._moment() as connection:
            ((total,),) = connection.execute(f"SELECT count(*) {where}", (tenant, consumer))
            found = connection.execute(
                f"SELECT body {where} ORDER BY position LIMIT ? OFFSET ?",
                (tenant, consumer, per_page, (page - 1) * per_page),
            )
            return total, [body for (body,) in found]

    def account(self, tenant: str, consumer: str, account: str) -> Account | None:
        return self._row(
            Account,
            "SELECT * FROM accounts WHERE tenant = ? AND consumer = ? AND id = ?",
            tenant,
            consumer,
            account,
        )

    def transactions(
        self,
        tenant: str,
        consumer: str,
        account: str,
        page: int,
        per_page: int,
        from_day: int | None = None,
        to_day: int | None = None,
        type: str | None = None,
    ) -> tuple[int, list[bytes]] | None:
        """How many there are, and a page of them as `answers.BankTransaction` in JSON; None without the account.

        Booked rows, newest value day first, then by id. Days are value days since 1970-01-01, inclusive.
        """
        with self._moment() as connection:
            held = self.account(tenant, consumer, account)
            if held is None:
                return None
            pages = TransactionPages(connection, key_of(account), from_day, to_day, type)
            total, bodies = pages.page(page, per_page)
            return total, expand(held, bodies)

    def cashflow(self, tenant: str, consumer: str) -> bytes | None:
        """`answers.Cashflow` in JSON; None without the consumer."""
        return self._body("SELECT body FROM cashflows WHERE tenant = ? AND consumer = ?", tenant, consumer)

    def balances(self, tenant: str, consumer: str) -> list[tuple[str, bool, bytes]]:
        """Of each account its id, whether balance or available is known, and `answers.Balances` in JSON."""
        found = self._live().execute(
            "SELECT account, available, body FROM balances WHERE tenant = ? AND consumer = ? ORDER BY position",
            (tenant, consumer),
        )
        return [(account, bool(available), body) for account, available, body in found]

    # Health

    @contextmanager
    def moment(self) -> Iterator[Rows]:
        """The rows as they are at one moment, for an answer that is made of several tables."""
        with self._moment() as connection:
            yield SqliteRows(connection)

    async def aside(self, look: Callable[[Rows], T]) -> T:
        """What is looked at for long, at one moment: others are answered meanwhile, since it has a connection and a
        thread of its own. Whatever `look` raises is raised."""
        async with self._aside:
            return await asyncio.to_thread(self._look_aside, look)

    def _look_aside(self, look: Callable[[Rows], T]) -> T:
        with closing(SqliteReadModels(self._directory)) as models, models.moment() as rows:
            return look(rows)

    def connection_counts(self, now: datetime) -> ConnectionCounts:
        """How many connections there are, of all tenants, and how they are. None of it goes through all of them."""
        at, count = micros(now), "SELECT count(*) FROM connection_health WHERE status = ? AND"
        near = at + CONSENT_NEAR // MICROSECOND
        with self._moment() as connection:
            of_status = connection.execute("SELECT status, count FROM connection_tallies")

            def counted(condition: str, *values: int) -> int:
                return connection.execute(f"{count} {condition}", (CONNECTED, *values)).fetchone()[0]

            return ConnectionCounts(
                by_status=dict(of_status.fetchall()),
                failing=counted("failures > 0"),
                silent=counted("fetched_at <= ?", at - health.SILENCE),
                expiring=counted("consent_expires_at BETWEEN ? AND ?", at, near),
            )

    # What the use cases ask

    async def known(self, tenant: str, source_id: str, references: Sequence[str]) -> Mapping[str, Known]:
        """What is held of these rows of a source; rows never recorded are left out."""
        with self._moment() as connection:
            return transactions.known(SqliteRows(connection), tenant, source_id, references)

    async def holds_booked(self, tenant: str, source_id: str, since: int | None) -> bool:
        """Whether a source holds any row that was booked on `since` or later; None for ever."""
        with self._moment() as connection:
            return transactions.holds_booked(SqliteRows(connection), tenant, source_id, since)

    async def pendings(self, tenant: str, source_id: str) -> Pendings:
        """What is held of the pending rows of a source, and what they must not be paired with."""
        with self._moment() as connection:
            return transactions.pendings(SqliteRows(connection), tenant, source_id)

    async def booking(self, tenant: str, source_id: str, pending_id: bytes) -> Booking | None:
        """The booked row that a pending one is said to have become."""
        with self._moment() as connection:
            held = transactions.booking(SqliteRows(connection), tenant, source_id, pending_id)
        return None if held is None else Booking(held.pending_id, held.pending_reference, held.booked_id)

    async def is_stalled(self, tenant: str, consumer_id: str) -> bool:
        """The rows of this consumer are not kept up to date: what is known of them is not all there is."""
        found = self._live().execute(
            "SELECT 1 FROM stalled WHERE tenant = ? AND consumer = ?", (tenant, consumer_id)
        )
        return found.fetchone() is not None

    async def pending_syncs(self) -> Sequence[tuple[str, str]]:
        """Stream and sync id of every sync that has not ended, oldest first."""
        return self._live().execute("SELECT stream, sync FROM pending_syncs ORDER BY position").fetchall()

    async def refreshes_due(self, now: datetime) -> Sequence[str]:
        """The streams of the connections that are to be looked at by schedule, the longest waiting first."""
        with self.moment() as rows:
            return health.refreshes_due(rows, now)

    async def announcements_due(self, now: datetime) -> Sequence[str]:
        """The streams of the connected connections of whose consent something is to be announced."""
        with self.moment() as rows:
            return health.announcements_due(rows, now)

    async def expiries_due(self, now: datetime) -> Sequence[tuple[str, str]]:
        """Tenant and consumer of the accounts whose retention has ended, the longest waiting first."""
        with self.moment() as rows:
            return uploads.expiries_due(rows, now)

    async def stream_of_connection(self, connection_id: str) -> str | None:
        """The stream of a connection, whose tenant and consumer a browser does not know."""
        row = (
            self._live()
            .execute("SELECT stream FROM data_connections WHERE id = ?", (connection_id,))
            .fetchone()
        )
        return None if row is None else row[0]

    async def consumer_gone(self, tenant: str, consumer_id: str) -> bool:
        """No row of this consumer is left."""
        connection = self._live()
        return not any(
            connection.execute(
                f'SELECT 1 FROM "{table.name}" WHERE tenant = ? AND "{table.row._fields[1]}" = ? LIMIT 1',
                (tenant, consumer_id),
            ).fetchone()
            for table in _OF_CONSUMER
        )

    def close(self) -> None:
        self._connection.close()
        self._nothing.close()

    # Reading

    def _live(self) -> sqlite3.Connection:
        number = self._pointer.number()
        if number != self._number:
            opened = None if number is None else _open(pointer.path_of(self._directory, number))
            if self._connection is not self._nothing:
                self._connection.close()
            self._connection = opened or self._nothing
            # One that could not be opened is tried again with the next question.
            self._number = None if opened is None else number
        return self._connection

    @contextmanager
    def _moment(self) -> Iterator[sqlite3.Connection]:
        """Several statements that see the same rows."""
        connection = self._live()
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")

    def _one(self, sql: str, *values: Any) -> Any:
        return self._live().execute(sql, values).fetchone()

    def _body(self, sql: str, *values: Any) -> bytes | None:
        row = self._live().execute(sql, values).fetchone()
        return None if row is None else row[0]

    def _row(self, shape: Any, sql: str, *values: Any) -> Any | None:
        row = self._live().execute(sql, values).fetchone()
        return None if row is None else shape._make(row)

    def _rows(self, shape: Any, sql: str, *values: Any) -> list[Any]:
        return list(map(shape._make, self._live().execute(sql, values)))

    def _page(
        self, shape: Any, where: str, order: str, values: tuple[Any, ...], page: int, per_page: int
    ) -> tuple[int, list[Any]]:
        with self._moment() as connection:
            ((total,),) = connection.execute(f"SELECT count(*) {where}", values)
            found = connection.execute(
                f"SELECT * {where} ORDER BY {order} LIMIT ? OFFSET ?",
                (*values, per_page, (page - 1) * per_page),
            )
            return total, list(map(shape._make, found))


class TransactionPages:
    """Numbered pages of an account's transactions, found by the counts of its months.

    A page costs what its rows cost, wherever it lies: whole months are skipped by their counts, so that
    never more than the rows of one month are stepped over.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        key: bytes,
        from_day: int | None,
        to_day: int | None,
        type: str | None,
    ) -> None:
        self._connection = connection
        self._key = key
        self._from_day = from_day
        self._to_day = to_day
        self._type = type
        self._condition, self._kinds = _condition(type)

    def page(self, page: int, per_page: int) -> tuple[int, list[bytes]]:
        """How many rows there are on all pages, and the bodies of one page."""
        months = self._months()
        total = sum(count for _, count in months)
        skipped, bodies = (page - 1) * per_page, []
        for month, count in months:
            if skipped >= count:
                skipped -= count
                continue
            # Of a type that is rare only the months that have it are read.
            oldest = months[-1][0] if self._type is None else month
            bodies += self._bodies(month, oldest, per_page - len(bodies), skipped)
            skipped = 0
            if len(bodies) == per_page or self._type is None:
                break
        return total, bodies

    def _months(self) -> list[tuple[int, int]]:
        """The months in question with how many rows each has, newest first."""
        first = None if self._from_day is None else month_of(self._from_day)
        last = None if self._to_day is None else month_of(self._to_day)
        conditions = ["account = ?", "type = ?"]
        values: list[Any] = [self._key, self._type or ALL_TYPES]
        if first is not None:
            conditions.append("month >= ?")
            values.append(first)
        if last is not None:
            conditions.append("month <= ?")
            values.append(last)
        months = self._connection.execute(
            f"SELECT month, count FROM transaction_counts WHERE {' AND '.join(conditions)} ORDER BY month DESC",
            values,
        ).fetchall()
        return [(month, self._counted(month) if month in (first, last) else count) for month, count in months]

    def _counted(self, month: int) -> int:
        """The rows of a month that the days may cut through."""
        sql = f"SELECT count(*) FROM transactions WHERE {self._where}"
        ((count,),) = self._connection.execute(sql, self._values(month, month))
        return count

    def _bodies(self, newest: int, oldest: int, limit: int, offset: int) -> list[bytes]:
        """The bodies of the rows from one month down to another."""
        sql = f"SELECT body FROM transactions WHERE {self._where} ORDER BY newest, id LIMIT ? OFFSET ?"
        found = self._connection.execute(sql, (*self._values(newest, oldest), limit, offset))
        return [body for (body,) in found]

    @property
    def _where(self) -> str:
        return f"account = ? AND newest BETWEEN ? AND ?{self._condition}"

    def _values(self, newest: int, oldest: int) -> tuple[Any, ...]:
        high, low = last_day(newest), first_day(oldest)
        if self._to_day is not None:
            high = min(high, self._to_day)
        if self._from_day is not None:
            low = max(low, self._from_day)
        return self._key, -high, -low, *self._kinds


def _condition(type: str | None) -> tuple[str, tuple[str, ...]]:
    if type is None:
        return "", ()
    kinds = kinds_of(type)
    marks = ", ".join("?" * len(kinds))
    return f" AND kind {'NOT ' if type == BANK else ''}IN ({marks})", kinds


def _open(path: Path) -> sqlite3.Connection | None:
    """A connection that cannot write; None if there is no such file, or another version made it."""
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            cached_statements=512,
            check_same_thread=False,
        )
    except sqlite3.OperationalError:
        return None
    try:
        # Not `mode=ro`: the files beside a database in WAL mode may have to be made.
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA mmap_size = 1073741824")
        (schema,) = connection.execute("SELECT schema FROM checkpoint").fetchone()
    except sqlite3.OperationalError:
        schema = None
    if schema != fingerprint():
        connection.close()
        return None
    return connection


def _nothing() -> sqlite3.Connection:
    """The read models of an empty log."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.execute(CHECKPOINT)
    for table in ALL_TABLES:
        connection.execute(create_table(table))
        for index in table.indices:
            connection.execute(create_index(table, index))
    connection.execute(START, (fingerprint(),))
    connection.execute("PRAGMA query_only = ON")
    return connection
