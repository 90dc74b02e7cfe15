"""What writes: it takes all that waits, commits it with one fsync, and answers only then.

`Writer` is a thread of its own; `InlineWriter` does the same commits in its caller's loop, for simulated time.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

from eventsourcing.persistence import PersistenceError
from eventsourcing.sqlite import SQLiteCursor

from adapters.event_log.database import DurableDatastore
from application.ports import Conflict, LogUnavailable

#: How many writes share a commit at most, and how many may wait in all.
GROUP_MAX = 256
WAITING_MAX = 8_192

#: What SQLite says where a row with this key is there already.
TAKEN = frozenset({"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"})

Write = Callable[[SQLiteCursor], Any]


class Job(NamedTuple):
    write: Write
    future: asyncio.Future[Any]


def no_point(name: str) -> None:
    """Where a test may stop the process: begin, insert, commit, committed, reply."""


def next_turn(call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(call)


class Writer:
    """Runs writes one after the other, each within a savepoint of a shared transaction.

    What a write raises undoes that write alone, and is raised where it was asked for. What breaks the
    transaction is a `LogUnavailable` to all in it, and the next ones are tried afresh.
    """

    def __init__(
        self,
        datastore: DurableDatastore,
        *,
        answered: Callable[[list[Any]], None],
        point: Callable[[str], None] = no_point,
    ) -> None:
        """`answered` gets the outcomes of a commit, in the event loop's thread, after they were handed out."""
        self._datastore = datastore
        self._answered = answered
        self._point = point
        self._waiting: SimpleQueue[Job | None] = SimpleQueue()
        self._closed = False
        self._start()

    def _start(self) -> None:
        self._thread = Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    async def write(self, write: Write) -> Any:
        """Run a write and return what it returned, once that is on the disk.

        A caller that is cancelled meanwhile takes nothing back.

        Raises:
            LogUnavailable: it could not be written, or too much is waiting.
        """
        if self._closed:
            raise LogUnavailable("the log is closed")
        if self._waiting.qsize() >= WAITING_MAX:
            raise LogUnavailable("too many writes are waiting")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.put(Job(write, future))
        self._wake()
        return await future

    def _wake(self) -> None:
        """The thread waits for the queue itself."""

    def close(self) -> None:
        """Write what is waiting, and end."""
        self._closed = True
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        with self._datastore.get_connection(commit=True) as connection:
            while (first := self._waiting.get()) is not None:
                jobs = [first, *self._also_waiting()]
                outcomes = self._commit(connection, jobs)
                self._point("reply")
                loop = first.future.get_loop()
                try:
                    loop.call_soon_threadsafe(self._answer, jobs, outcomes)
                except RuntimeError:
                    # The loop is closed: nobody is left to be answered.
                    continue

    def _also_waiting(self) -> list[Job]:
        jobs: list[Job] = []
        while len(jobs) < GROUP_MAX - 1:
            try:
                job = self._waiting.get_nowait()
            except Empty:
                break
            if job is None:
                self._waiting.put(None)
                break
            jobs.append(job)
        return jobs

    def _commit(self, connection: Any, jobs: list[Job]) -> list[Any]:
        try:
            with connection.transaction(commit=True) as cursor:
                self._point("begin")
                outcomes = [self._attempt(cursor, job.write) for job in jobs]
                self._point("commit")
            self._point("committed")
        except (sqlite3.Error, PersistenceError) as error:
            return [LogUnavailable(f"the log cannot be written: {error}") for _ in jobs]
        return outcomes

    def _attempt(self, cursor: SQLiteCursor, write: Write) -> Any:
        cursor.execute("SAVEPOINT one")
        try:
            outcome = write(cursor)
            self._point("insert")
        except sqlite3.Error as error:
            if error.sqlite_errorname not in TAKEN:
                raise
            outcome = Conflict("the stream or the command was written meanwhile")
        except Exception as error:
            outcome = error
        if isinstance(outcome, Exception):
            cursor.execute("ROLLBACK TO one")
        cursor.execute("RELEASE one")
        return outcome

    def _answer(self, jobs: list[Job], outcomes: list[Any]) -> None:
        for job, outcome in zip(jobs, outcomes, strict=True):
            if job.future.done():
                continue
            if isinstance(outcome, Exception):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)
        self._answered(outcomes)


class InlineWriter(Writer):
    """The same commits in a later turn of the caller's loop, so that a simulated history has one thread only.

    `later` has something called after as long as a commit takes; by default in the next turn.
    """

    def __init__(
        self,
        datastore: DurableDatastore,
        *,
        later: Callable[[Callable[[], None]], None] = next_turn,
        **more: Any,
    ) -> None:
        self._later = later
        self._is_awake = False
        self._held = ExitStack()
        super().__init__(datastore, **more)

    def _start(self) -> None:
        self._connection = self._held.enter_context(self._datastore.get_connection(commit=True))

    def close(self) -> None:
        """Write what is waiting, and end."""
        self._closed = True
        self._commit_all()
        self._held.close()

    def _wake(self) -> None:
        if not self._is_awake:
            self._is_awake = True
            self._later(self._commit_all)

    def _commit_all(self) -> None:
        self._is_awake = False
        while jobs := self._also_waiting():
            outcomes = self._commit(self._connection, jobs)
            self._point("reply")
            self._answer(jobs, outcomes)
