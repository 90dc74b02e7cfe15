"""The library's SQLite recorder with explicit positions, leaves, commands, and no way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eventsourcing.persistence import Notification, StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteCursor

from adapters.durable_file import CannotOpen
from adapters.event_log.database import DurableDatastore
from adapters.event_log.layout import leaf

#: The version of the tables. A log of a later one is refused.
SCHEMA = 1

TABLES = (
    """CREATE TABLE IF NOT EXISTS events (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        originator_id TEXT NOT NULL,
        originator_version INTEGER NOT NULL,
        topic TEXT NOT NULL,
        state BLOB NOT NULL,
        UNIQUE (originator_id, originator_version))""",
    """CREATE TABLE IF NOT EXISTS leaves (
        position INTEGER PRIMARY KEY REFERENCES events,
        leaf BLOB NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS commands (
        tenant TEXT NOT NULL,
        command_id BLOB NOT NULL,
        input_digest BLOB NOT NULL,
        subject TEXT NOT NULL,
        version INTEGER NOT NULL,
        first_position INTEGER NOT NULL,
        last_position INTEGER NOT NULL,
        recorded_at INTEGER NOT NULL,
        PRIMARY KEY (tenant, command_id)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS snapshots (
        stream TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        name TEXT NOT NULL,
        state BLOB NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    f"INSERT INTO meta VALUES ('schema', {SCHEMA}) ON CONFLICT DO NOTHING",
)
TRIGGERS = tuple(
    f"""CREATE TRIGGER IF NOT EXISTS {table}_refuse_{change} BEFORE {change} ON {table}
        BEGIN SELECT RAISE(ABORT, '{table} are never changed'); END"""
    for table in ("events", "leaves", "commands")
    for change in ("update", "delete")
)

INSERT_LEAF = "INSERT INTO leaves VALUES (?, ?)"


def leaf_of(event: StoredEvent) -> bytes:
    return leaf(str(event.originator_id), event.originator_version, event.topic, event.state)


class LogRecorder(SQLiteApplicationRecorder):
    """Stores events at positions of their own, each with its leaf in the same transaction."""

    def __init__(
        self, datastore: DurableDatastore, *, leaf_of: Callable[[StoredEvent], bytes] = leaf_of
    ) -> None:
        super().__init__(datastore, events_table_name="events")
        self._leaf_of = leaf_of
        self.insert_events_statement = (
            "INSERT INTO events (originator_id, originator_version, topic, state) VALUES (?, ?, ?, ?)"
        )
        self.select_max_notification_id_statement = "SELECT max(position) FROM events"

    def construct_create_table_statements(self) -> list[str]:
        return [*TABLES, *TRIGGERS]

    def _create_table(self, c: SQLiteCursor) -> None:
        c.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'")
        if c.fetchone()[0]:
            c.execute("SELECT value FROM meta WHERE name = 'schema'")
            check_schema(c.fetchone())
        super()._create_table(c)

    def _insert_events(
        self,
        c: SQLiteCursor,
        stored_events: Sequence[StoredEvent],
        *,
        leaves: Sequence[bytes] | None = None,
        **_: Any,
    ) -> Sequence[int]:
        """Insert events, with their leaves where the caller has computed them already."""
        if leaves is None:
            leaves = [self._leaf_of(event) for event in stored_events]
        positions = []
        for event, its_leaf in zip(stored_events, leaves, strict=True):
            c.execute(
                self.insert_events_statement,
                (str(event.originator_id), event.originator_version, event.topic, event.state),
            )
            position = c.lastrowid
            c.execute(INSERT_LEAF, (position, its_leaf))
            positions.append(position)
        return positions

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        conditions, values = [], []
        if start is not None:
            conditions.append("position >= ?" if inclusive_of_start else "position > ?")
            values.append(start)
        if stop is not None:
            conditions.append("position <= ?")
            values.append(stop)
        if topics:
            conditions.append(f"topic IN ({','.join('?' * len(topics))})")
            values.extend(topics)
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        with self.datastore.transaction(commit=False) as c:
            c.execute(
                "SELECT position, originator_id, originator_version, topic, state FROM events "
                f"{where} ORDER BY position LIMIT ?",
                (*values, limit),
            )
            return [
                Notification(
                    id=position, originator_id=stream, originator_version=version, topic=topic, state=state
                )
                for position, stream, version, topic, state in c.fetchall()
            ]


def check_schema(row: Any) -> None:
    """Refuse tables that this version does not know.

    Raises:
        CannotOpen
    """
    found = row[0] if row else None
    if found != SCHEMA:
        raise CannotOpen(f"the log's tables are of version {found}; this program knows {SCHEMA}")
