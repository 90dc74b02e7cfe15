"""`python -m adapters.statements.worker [FORMAT]`: read one file in a process of its own.

The file comes on standard input, and what it says goes to standard output. Whatever a file does to those who read it,
it does it to a process that holds nothing, and that ends.
"""

from __future__ import annotations

import gc
import logging
import resource
import sys

import msgspec

from adapters.statements.reader import read
from application.statement_files import Remark, StatementFile, StatementUnreadable

MEMORY_MAX = 2 * 1024**3
#: Of the processor. The one who waits gives up by the clock.
SECONDS_MAX = 60


class Read(msgspec.Struct, frozen=True):
    """What is answered: what the file says, or why it says nothing."""

    file: StatementFile | None = None
    problem: Remark | None = None


def main() -> None:
    _set_limits()
    # What libraries log may quote the file.
    logging.disable(logging.CRITICAL)
    # It ends before there is anything worth collecting.
    gc.disable()
    format = sys.argv[1] if len(sys.argv) > 1 else None
    try:
        answer = Read(file=read(sys.stdin.buffer.read(), format))
    except StatementUnreadable as error:
        answer = Read(problem=error.problem)
    sys.stdout.buffer.write(msgspec.msgpack.encode(answer))


def _set_limits() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_MAX, SECONDS_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))


if __name__ == "__main__":
    main()
