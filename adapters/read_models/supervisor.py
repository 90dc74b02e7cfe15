"""The projector's process, seen from the service: started, woken, heard, and started again if it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Sequence

from adapters.read_models.projector import POSITION

log = logging.getLogger("passbook.projector")

#: Seconds until a projector that ended is started again: doubled each time, up to the longest.
BACKOFF_FIRST = 0.1
BACKOFF_LONGEST = 10.0
#: A projector that lived this long has not failed at once: the backoff starts anew.
LIVED = 30.0
NOT_HANDED_ON = frozenset({"PASSBOOK_API_KEY"})


class ProjectorProcess:
    """Owns two pipes: one wakes the projector, and tells it by closing that its parent is gone; on the
    other it reports every position it has reached."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        on_position: Callable[[int], None],
    ) -> None:
        self._command = command
        self._on_position = on_position
        self._process: asyncio.subprocess.Process | None = None
        self._wake: int | None = None
        self._report: int | None = None
        self._pending = b""
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        await self._spawn()
        self._supervisor = asyncio.create_task(self._supervise(), name="projector supervisor")

    def wake(self) -> None:
        """Say that the log has grown."""
        if self._wake is not None:
            # A full pipe is a projector that has been woken already; a broken one is being replaced.
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                os.write(self._wake, b"\x01")

    async def stop(self, timeout: float = 5.0) -> None:
        """Close the pipe, which ends the projector after the batch it is at."""
        if self._supervisor:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
        self._close_pipes()
        if self._process:
            try:
                async with asyncio.timeout(timeout):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    async def _spawn(self) -> None:
        wake_read, self._wake = os.pipe()
        self._report, report_write = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._report, False)
        self._process = await asyncio.create_subprocess_exec(
            *(*self._command, "--wake-fd", str(wake_read), "--report-fd", str(report_write)),
            pass_fds=(wake_read, report_write),
            stdin=asyncio.subprocess.DEVNULL,
            # It opens no door: what it need not know it is not told.
            env={name: value for name, value in os.environ.items() if name not in NOT_HANDED_ON},
        )
        os.close(wake_read)
        os.close(report_write)
        self._pending = b""
        asyncio.get_running_loop().add_reader(self._report, self._read_report)
        log.info("projector started", extra={"pid": self._process.pid})

    def _read_report(self) -> None:
        assert self._report is not None
        try:
            received = os.read(self._report, 65_536)
        except BlockingIOError:
            return
        if not received:
            asyncio.get_running_loop().remove_reader(self._report)
            return
        self._pending += received
        whole = len(self._pending) // POSITION.size * POSITION.size
        if whole:
            (position,) = POSITION.unpack_from(self._pending, whole - POSITION.size)
            self._pending = self._pending[whole:]
            self._on_position(position)

    def _close_pipes(self) -> None:
        if self._report is not None:
            asyncio.get_running_loop().remove_reader(self._report)
            os.close(self._report)
            self._report = None
        if self._wake is not None:
            os.close(self._wake)
            self._wake = None

    async def _supervise(self) -> None:
        backoff = BACKOFF_FIRST
        loop = asyncio.get_running_loop()
        while True:
            assert self._process is not None
            started = loop.time()
            code = await self._process.wait()
            log.warning("projector ended", extra={"code": code})
            self._close_pipes()
            if loop.time() - started > LIVED:
                backoff = BACKOFF_FIRST
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, BACKOFF_LONGEST)
            await self._spawn()
