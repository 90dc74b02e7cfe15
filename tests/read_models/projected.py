"""A projector as a process, over a log that lies pickled in a file. Started by its tests."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Sequence
from pathlib import Path

from adapters.read_models.projector import run_projector
from domain.fact import Recorded
from projections.ports import Unreadable


class PickledSource:
    def __init__(self, path: Path) -> None:
        self._path = path

    def _all(self) -> list[Recorded | Unreadable]:
        return pickle.loads(self._path.read_bytes())

    def read(self, after: int, limit: int) -> Sequence[Recorded | Unreadable]:
        return [recorded for recorded in self._all() if recorded.position > after][:limit]

    def head(self) -> int:
        return len(self._all())


if __name__ == "__main__":
    log, directory, wake_fd, report_fd = sys.argv[1:]
    run_projector(lambda: PickledSource(Path(log)), Path(directory), int(wake_fd), int(report_fd))
