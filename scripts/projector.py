"""The projector's process. `passbook serve` starts it; it ends with its parent.

A module of its own, so that starting it loads nothing that only the commands or the doors need.
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from adapters.logs import set_up_logging
from adapters.read_models.projector import run_projector
from adapters.settings import Settings
from adapters.storage import READ_MODELS_FOLDER, open_source


def main() -> None:
    parser = argparse.ArgumentParser(description="Keeps the read models at the head of the log.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--wake-fd", type=int, required=True)
    parser.add_argument("--report-fd", type=int, required=True)
    given = parser.parse_args()
    settings = Settings(data=given.data)
    set_up_logging(settings.log_level)
    # The terminal sends Ctrl-C to both: the parent ends this process in order, by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run_projector(
        lambda: open_source(settings), settings.data / READ_MODELS_FOLDER, given.wake_fd, given.report_fd
    )


if __name__ == "__main__":
    main()
