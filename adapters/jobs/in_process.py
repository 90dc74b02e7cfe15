"""Jobs as tasks of the running event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger("passbook.jobs")


class InProcessJobs:
    """Runs work as tasks, and waits a while for them at the end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._run(name, work), name=name)
        # A task that nobody holds may be collected before it ends.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            log.error("job failed", extra={"job": name, "error": type(error).__name__})

    async def close(self, timeout: float) -> None:
        """Let what is running end, for `timeout` seconds at most."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout)
            for task in late:
                task.cancel()
