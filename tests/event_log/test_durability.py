"""What was acknowledged is there after kill -9, and was on the disk before it was acknowledged."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adapters.event_log.layout import leaf
from adapters.event_log.mapper import SealedMapper
from adapters.event_log.sqlite import SqliteLogSource
from adapters.keys.keyring import SqliteKeyRing
from adapters.keys.master import open_master_key
from domain.fact import Recorded

ROOT = Path(__file__).parent.parent.parent
WRITER = [sys.executable, "-m", "tests.event_log.append_until_killed"]
POINTS = ("begin", "insert", "commit", "committed", "reply")
LIVES = 10
LIVES_OF_A_CAMPAIGN = 100


def live(folder: Path, seed: int) -> list[str]:
    """One life of the writer, to its end; what it acknowledged in whole lines."""
    chance = random.Random(seed)
    environment = dict(os.environ)
    at_point = seed % 2 == 0
    if at_point:
        environment["PASSBOOK_CRASH_AT"] = f"{POINTS[seed // 2 % len(POINTS)]}:{chance.randint(1, 60)}"
    with subprocess.Popen(
        [*WRITER, str(folder)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if not at_point:
            time.sleep(chance.uniform(0, 0.2))
            process.kill()
        said, _ = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
    return said.split("\n")[:-1]


def check(folder: Path, acknowledged: list[str]) -> None:
    keys = SqliteKeyRing(folder / "keys.sqlite3", open_master_key(folder), read_only=True)
    source = SqliteLogSource(folder / "log.sqlite3", SealedMapper(keys))
    versions: dict[str, int] = {}
    position = 0
    while rows := source.raw(position, 1_000):
        assert all(row.leaf == leaf(row.stream, row.version, row.name, row.state) for row in rows)
        facts = source.read(position, len(rows))
        for recorded in facts:
            assert isinstance(recorded, Recorded)
            position += 1
            versions[recorded.stream] = versions.get(recorded.stream, 0) + 1
            assert (recorded.position, recorded.version) == (position, versions[recorded.stream])
    assert source.tally() == (position, position, position)
    for stream, version in versions.items():
        if "other" not in stream:
            assert versions[stream.replace("account/", "account/other-")] == version
    source.close()
    keys.close()
    connection = sqlite3.connect(folder / "log.sqlite3")
    stored = {command_id.hex() for (command_id,) in connection.execute("SELECT command_id FROM commands")}
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    for line in acknowledged:
        _, stream, version, command_id = line.split()
        assert versions[stream] >= int(version)
        assert command_id in stored


def lives(folder: Path, count: int) -> None:
    acknowledged: list[str] = []
    for seed in range(count):
        acknowledged += live(folder, seed)
        check(folder, acknowledged)
    assert len(acknowledged) > count, "too little was acknowledged to say anything"
    assert len(set(acknowledged)) == len(acknowledged)


def test_no_acknowledged_append_is_lost_to_kill_9(tmp_path: Path):
    lives(tmp_path / "data", LIVES)


@pytest.mark.campaign
def test_no_acknowledged_append_is_lost_to_kill_9_for_long(tmp_path: Path):
    lives(tmp_path / "data", LIVES_OF_A_CAMPAIGN)


def test_the_disk_has_it_before_the_caller_hears(tmp_path: Path):
    """Traced from outside: between two acknowledgements of a lone writer the log's WAL is synced."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    folder, trace = tmp_path / "data", tmp_path / "trace"
    # Fifty commits: the point comes after the last acknowledgement that is looked at.
    environment = os.environ | {"PASSBOOK_CRASH_AT": "begin:51"}
    tracing = [strace, "-f", "-y", "-s", "64", "-e", "trace=fsync,fdatasync,write", "-o", str(trace)]
    done = subprocess.run(
        [*tracing, *WRITER, str(folder), "1"], cwd=ROOT, env=environment, capture_output=True, timeout=60
    )
    calls = trace.read_text().splitlines() if trace.exists() else []
    if not calls or b"ready" not in done.stdout:
        pytest.skip("strace may not trace here")
    synced, acknowledged = 0, 0
    for call in calls:
        # A sync that takes long is in two parts, of which the second one says that it is done.
        if re.search(r"(fsync|fdatasync)\(\d+<[^>]*log\.sqlite3-wal>\)\s+= 0", call):
            synced += 1
        elif re.search(r"<\.\.\. (fsync|fdatasync) resumed>.*= 0", call):
            synced += 1
        elif re.search(r'write\(1<[^>]*>, "ack ', call):
            acknowledged += 1
            assert synced > 0, f"acknowledgement {acknowledged} came before a sync"
            synced = 0
    assert acknowledged == 50
