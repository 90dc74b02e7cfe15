"""Reading files in processes of their own: bounded in time, in memory and in number, and never in the server's way."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence

import msgspec

from adapters.statements.worker import Read
from application import statement_files
from application.statement_files import FILE_SIZE_MAX, Remark, StatementFile, StatementUnreadable

COMMAND = (sys.executable, "-m", "adapters.statements.worker")
#: The largest statement of a bank takes a few seconds.
SECONDS_MAX = 30.0
AT_ONCE_MAX = 2


class ProcessReader:
    """An `application.statement_files.StatementReader`."""

    def __init__(self, command: Sequence[str] = COMMAND, *, seconds_max: float = SECONDS_MAX) -> None:
        self._command = command
        self._seconds_max = seconds_max
        self._at_once = asyncio.Semaphore(AT_ONCE_MAX)

    async def __call__(self, content: bytes, format: str | None = None) -> StatementFile:
        if len(content) > FILE_SIZE_MAX:
            raise StatementUnreadable(Remark(code=statement_files.TOO_LARGE))
        async with self._at_once:
            answer = await self._answer(content, format)
        read = await asyncio.to_thread(msgspec.msgpack.decode, answer, type=Read)
        if read.file is None:
            raise StatementUnreadable(read.problem or Remark(code=statement_files.TOO_COMPLEX))
        return read.file

    async def _answer(self, content: bytes, format: str | None) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *([format] if format else []),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # It needs nothing of what the service is told.
            env={"PYTHONPATH": _module_path()},
        )
        try:
            async with asyncio.timeout(self._seconds_max):
                answer, _ = await process.communicate(content)
        except TimeoutError:
            raise StatementUnreadable(Remark(code=statement_files.TOO_SLOW)) from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0:
            # It ran out of memory, or of what it may take of the processor.
            raise StatementUnreadable(Remark(code=statement_files.TOO_COMPLEX))
        return answer


def _module_path() -> str:
    """Where the process finds the modules that this one found."""
    return ":".join(path for path in sys.path if path)
