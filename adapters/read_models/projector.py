"""The projector: a process of its own that keeps the live generation at the head of the log.

It is woken by a pipe and looks by itself every quarter of a second. When the other end of the pipe is closed its
parent is gone, and it ends.
"""

from __future__ import annotations

import ctypes
import logging
import os
import select
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path

from adapters.read_models import pointer
from adapters.read_models.generations import (
    RebuildRunning,
    make_directory,
    open_live,
    rebuild,
    remove_leftovers,
    remove_predecessors,
    start_empty,
)
from adapters.read_models.sqlite import SqliteGeneration
from projections.catch_up import Stopped, catch_up
from projections.ports import Source

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.25
#: Wiping a large file after each erasure would leave no time for anything else: it rests this many times as long.
WIPE_PAUSE = 10
#: A position, as it is written to the pipe to the parent.
POSITION = struct.Struct(">q")

_PR_SET_PDEATHSIG = 1
_WAKE_BYTES_MAX = 65_536


class ParentGone(Exception):
    """The other end of a pipe was closed."""


def run_projector(open_source: Callable[[], Source], directory: Path, wake_fd: int, report_fd: int) -> None:
    """Project until the parent is gone.

    `open_source` is called in this process. `wake_fd` is the read end of a pipe: any byte means that the log
    has grown. To `report_fd` goes the position, 8 bytes big-endian, after each commit.
    """
    die_with_parent()
    os.set_blocking(report_fd, False)
    try:
        Projector(open_source(), directory, wake_fd, report_fd).run()
    except ParentGone:
        return


def die_with_parent() -> None:
    """Ask the kernel to end this process with its parent, where it can do that."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (AttributeError, OSError):
        return


class Projector:
    def __init__(self, source: Source, directory: Path, wake_fd: int, report_fd: int) -> None:
        self._source = source
        self._directory = directory
        self._wake_fd = wake_fd
        self._report_fd = report_fd
        self._pointer = pointer.Pointer(directory)
        self._number: int | None = None
        self._generation: SqliteGeneration | None = None
        self._stopped_at: int | None = None
        self._wipe_after = 0.0

    def run(self) -> None:
        make_directory(self._directory)
        remove_leftovers(self._directory)
        while True:
            self.step()
            self._wait(POLL_SECONDS)

    def step(self) -> None:
        """Catch up once with whatever generation is live now."""
        generation = self._live()
        if generation is None:
            return
        try:
            position = catch_up(self._source, generation, progress=self._tell)
        except Stopped as stopped:
            self._note(stopped)
            return
        if generation.has_erased and time.monotonic() >= self._wipe_after:
            began = time.monotonic()
            remove_predecessors(self._directory)
            generation.wipe()
            now = time.monotonic()
            self._wipe_after = now + (now - began) * WIPE_PAUSE
        self._report(position)

    def _note(self, stopped: Stopped) -> None:
        if stopped.position != self._stopped_at:
            logger.error(
                "projections are stopped", extra={"position": stopped.position, "reason": stopped.reason}
            )
        self._stopped_at = stopped.position

    def _live(self) -> SqliteGeneration | None:
        if self._generation is not None and self._pointer.number() == self._number:
            return self._generation
        self._close()
        self._generation = open_live(self._directory)
        if self._generation is None:
            # None at all, or one of another version of the read models.
            try:
                rebuild(self._source, self._directory, lambda *_: self._wait(0.0))
            except RebuildRunning:
                return None
            except Stopped as stopped:
                # What can be read up to there is worth reading.
                self._note(stopped)
                start_empty(self._directory)
            self._generation = open_live(self._directory)
        self._number = self._pointer.number()
        return self._generation

    def _close(self) -> None:
        if self._generation is not None:
            self._generation.close()
            self._generation = None

    def _tell(self, position: int, head: int, transactions: int) -> None:
        self._report(position)
        self._wait(0.0)

    def _report(self, position: int) -> None:
        try:
            os.write(self._report_fd, POSITION.pack(position))
        except BlockingIOError:
            # The parent has not read the last ones yet, and looks for itself.
            return
        except BrokenPipeError:
            raise ParentGone from None

    def _wait(self, seconds: float) -> None:
        readable, _, _ = select.select([self._wake_fd], [], [], seconds)
        if readable and not os.read(self._wake_fd, _WAKE_BYTES_MAX):
            raise ParentGone
