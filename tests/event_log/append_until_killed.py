"""Appends and prints each acknowledgement, until killed: `python -m tests.event_log.append_until_killed DIR`.

With `PASSBOOK_CRASH_AT=commit:7` the process kills itself the seventh time it comes to that point of a commit.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from adapters.event_log.mapper import SealedMapper
from adapters.event_log.sqlite import SqliteEventLog
from adapters.keys.keyring import SqliteKeyRing
from adapters.keys.master import open_master_key
from domain import streams
from tests.event_log.examples import append_of, context, transactions

WRITERS = 4


def crash_point():
    at, _, count = os.environ.get("PASSBOOK_CRASH_AT", "").partition(":")
    left = int(count or 0)

    def point(name: str) -> None:
        nonlocal left
        if name == at:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return point


async def append_for_ever(log: SqliteEventLog, index: int) -> None:
    """Each append goes to two streams, so that a half of one would be seen."""
    account = streams.consumer_account("acme", "ada", str(index))
    other = streams.consumer_account("acme", "ada", f"other-{index}")
    version = len(await log.facts(account))
    while True:
        said = context(input_digest=b"i")
        fact = transactions(version % 40)
        await log.append(
            append_of((account, version, [fact]), (other, version, [fact]), said=said, subject=account)
        )
        version += 1
        os.write(1, f"ack {account} {version} {said.command_id.hex()}\n".encode())


async def main(folder: Path, writers: int) -> None:
    master = open_master_key(folder)
    folder.mkdir(exist_ok=True)
    keys = SqliteKeyRing(folder / "keys.sqlite3", master)
    log = SqliteEventLog(folder / "log.sqlite3", SealedMapper(keys), point=crash_point())
    os.write(1, b"ready\n")
    await asyncio.gather(*(append_for_ever(log, index) for index in range(writers)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else WRITERS))
