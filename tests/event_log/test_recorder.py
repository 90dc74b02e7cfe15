"""The library's own suites, run against our recorder."""

from __future__ import annotations

import tempfile
import threading
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from eventsourcing.persistence import StoredEvent
from eventsourcing.tests import persistence as suites

from adapters.event_log.database import DurableDatastore
from adapters.event_log.recorder import LogRecorder


class OurRecorder:
    def setUp(self) -> None:
        self.threads_before = set(threading.enumerate())
        self.folder = tempfile.TemporaryDirectory()
        self.datastore = DurableDatastore(Path(self.folder.name) / "log.sqlite3")

    def tearDown(self) -> None:
        # The suites let their readers go without waiting for them, and these would read what is closed.
        for thread in set(threading.enumerate()) - self.threads_before:
            thread.join(timeout=10)
        self.datastore.close()
        self.folder.cleanup()

    def new_originator_id(self) -> str:
        return str(uuid4())

    def create_recorder(self) -> LogRecorder:
        # The suites store bytes of their own, which have no layout to make a leaf of.
        recorder = LogRecorder(self.datastore, leaf_of=lambda event: sha256(event.state).digest())
        recorder.create_table()
        return recorder


class TestApplicationRecorder(OurRecorder, suites.ApplicationRecorderTestCase[LogRecorder]):
    pass


class TestPositionsDoNotInterleave(OurRecorder, suites.NonInterleavingNotificationIDsBaseCase):
    pass


def test_positions_are_never_given_out_again(tmp_path: Path):
    datastore = DurableDatastore(tmp_path / "log.sqlite3")
    recorder = LogRecorder(datastore, leaf_of=lambda event: event.state)
    recorder.create_table()
    assert recorder.insert_events([StoredEvent("a", 1, "t", b"1"), StoredEvent("a", 2, "t", b"2")]) == [1, 2]
    with datastore.transaction(commit=True) as cursor:
        for statement in (
            "DROP TRIGGER events_refuse_delete",
            "DROP TRIGGER leaves_refuse_delete",
            "DELETE FROM leaves WHERE position = 2",
            "DELETE FROM events WHERE position = 2",
        ):
            cursor.execute(statement)
    assert recorder.insert_events([StoredEvent("a", 2, "t", b"2")]) == [3]
    datastore.close()
