"""Rebuilt equals live, from the log alone; and what was altered is found, and named."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.read_models.generations import open_live
from adapters.read_models.sqlite import SqliteGeneration
from adapters.settings import Settings
from adapters.storage import LOG_FILE, READ_MODELS_FOLDER, open_source
from projections.catch_up import catch_up
from projections.digest import digest
from tests.acceptance.berka import expected_totals
from tests.acceptance.harness import Client, PassbookProcess, digest_of_an_audit, product

LOGINS = ("salaried", "freelancer", "loans", "two_currencies", "twins", "pending")


async def live_a_little(client: Client, logins: tuple[str, ...]) -> list[str]:
    """Users of every kind, one of them erased, one with a deleted connection."""
    await client.set_up()
    users = []
    for login in logins:
        user = await client.a_user()
        connection = await client.connect(user, login)
        await client.sync(user)
        users.append((user, connection))
    (erased, _), (left, connection) = users[0], users[1]
    await client.qard("DELETE", f"/users/{erased}", expect=204)
    await client.qard("DELETE", f"/users/{left}/data-connections/{connection}", expect=204)
    return [user for user, _ in users[1:]]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> PassbookProcess:
    """A service that lived a little and was stopped; tests work on copies of its data."""
    folder = tmp_path_factory.mktemp("lived")

    async def live() -> PassbookProcess:
        async with product(folder) as (client, process, _):
            await live_a_little(client, LOGINS)
        return process

    return asyncio.run(live())


@pytest.fixture
def copy(stopped: PassbookProcess, tmp_path: Path) -> PassbookProcess:
    shutil.copytree(stopped.data, tmp_path / "data")
    shutil.copy(stopped.data.with_name("data.master-key"), tmp_path / "data.master-key")
    return PassbookProcess(tmp_path / "data", "http://127.0.0.1:1")


def audited(process: PassbookProcess) -> subprocess.CompletedProcess[str]:
    return process.command("replay-audit")


@contextlib.contextmanager
def tampered(path: Path) -> Iterator[sqlite3.Connection]:
    """The file as somebody with the disk in hand may change it: past the service and its triggers."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        yield database
        database.commit()


def test_what_nobody_touched_passes(copy: PassbookProcess) -> None:
    done = audited(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no findings" in done.stdout and "They are equal." in done.stdout


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati"}, {"PYTHONHASHSEED": "77", "TZ": "America/Adak"}],
)
def test_a_rebuild_from_the_log_alone_equals_live(copy: PassbookProcess, environment: dict[str, str]) -> None:
    live = digest_of_an_audit(copy)
    shutil.rmtree(copy.data / READ_MODELS_FOLDER)
    elsewhere = PassbookProcess(copy.data, "http://127.0.0.1:1", **environment)
    rebuilt = elsewhere.command("rebuild")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert digest_of_an_audit(elsewhere) == live


@pytest.mark.parametrize("facts_max", [1, 7, 10_000])
def test_the_size_of_a_batch_changes_nothing(copy: PassbookProcess, tmp_path: Path, facts_max: int) -> None:
    source = open_source(Settings(data=copy.data))
    generation = SqliteGeneration(tmp_path / "other.sqlite3")
    catch_up(source, generation, facts_max=facts_max)
    live = open_live(copy.data / READ_MODELS_FOLDER)
    assert live is not None
    assert digest(generation.snapshot()) == digest(live.snapshot())


def live_file(process: PassbookProcess) -> Path:
    folder = process.data / READ_MODELS_FOLDER
    return folder / (folder / "current").read_text().strip()


def test_one_cent_in_a_live_row_is_named(copy: PassbookProcess) -> None:
    with contextlib.closing(sqlite3.connect(live_file(copy))) as database:
        one = database.execute("SELECT id FROM transactions LIMIT 1 OFFSET 7").fetchone()
        changed = database.execute("UPDATE transactions SET amount = amount + 1 WHERE id = ?", one)
        assert changed.rowcount == 1
        database.commit()
    done = audited(copy)
    assert done.returncode == 1
    assert re.search(r"they differ, first in transactions .*amount", done.stderr)


def test_a_rebuild_over_a_changed_row_says_so_and_heals_it(copy: PassbookProcess) -> None:
    with contextlib.closing(sqlite3.connect(live_file(copy))) as database:
        database.execute("UPDATE balances SET body = replace(body, '1', '2')")
        database.commit()
    rebuilt = copy.command("rebuild")
    assert rebuilt.returncode == 1 and "balances" in rebuilt.stderr
    assert audited(copy).returncode == 0


Tamper = Callable[[sqlite3.Connection], None]


def flip_a_byte(database: sqlite3.Connection) -> None:
    position, state = database.execute(
        "SELECT position, state FROM events WHERE topic = 'TransactionsFetched.1' ORDER BY position LIMIT 1"
    ).fetchone()
    flipped = bytearray(state)
    flipped[-40] ^= 1
    database.execute("UPDATE events SET state = ? WHERE position = ?", (bytes(flipped), position))


def flip_a_byte_of_the_envelope(database: sqlite3.Connection) -> None:
    position, state = database.execute(
        "SELECT position, state FROM events WHERE topic = 'BalanceRefreshed.1' ORDER BY position LIMIT 1"
    ).fetchone()
    flipped = bytearray(state)
    flipped[8] ^= 1
    database.execute("UPDATE events SET state = ? WHERE position = ?", (bytes(flipped), position))


def take_one_away(database: sqlite3.Connection) -> None:
    database.execute(
        "DELETE FROM events WHERE position = (SELECT position FROM events ORDER BY position LIMIT 1 OFFSET 20)"
    )


def take_the_last_away(database: sqlite3.Connection) -> None:
    for table in ("leaves", "events"):
        database.execute(f"DELETE FROM {table} WHERE position = (SELECT max(position) FROM {table})")


def swap_two(database: sqlite3.Connection) -> None:
    rows = database.execute(
        "SELECT position, state FROM events WHERE topic = 'BalanceRefreshed.1' LIMIT 2"
    ).fetchall()
    (one, state), (other, other_state) = rows
    database.execute("UPDATE events SET state = ? WHERE position = ?", (other_state, one))
    database.execute("UPDATE events SET state = ? WHERE position = ?", (state, other))


def alter_a_leaf(database: sqlite3.Connection) -> None:
    database.execute("UPDATE leaves SET leaf = zeroblob(32) WHERE position = 5")


def rename_one(database: sqlite3.Connection) -> None:
    database.execute("UPDATE events SET topic = 'os:system' WHERE position = 6")


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (flip_a_byte, "TransactionsFetched.1"),
        (flip_a_byte_of_the_envelope, "BalanceRefreshed.1"),
        (take_one_away, "missing_event: position 21"),
        (take_the_last_away, "missing_event: position"),
        (swap_two, "BalanceRefreshed.1"),
        (alter_a_leaf, "leaf_differs: position 5"),
        (rename_one, "position 6"),
    ],
)
def test_a_changed_log_is_found_and_named(copy: PassbookProcess, tamper: Tamper, named: str) -> None:
    with tampered(copy.data / LOG_FILE) as database:
        tamper(database)
    done = audited(copy)
    assert done.returncode == 1
    assert named in done.stdout, done.stdout + done.stderr


def test_a_whole_command_fails_without_its_key_or_its_log(copy: PassbookProcess) -> None:
    key = copy.data.with_name("data.master-key")
    key.rename(key.with_suffix(".away"))
    done = audited(copy)
    assert done.returncode == 1 and "master key" in done.stderr
    nothing = PassbookProcess(copy.data.with_name("nothing"), "http://127.0.0.1:1")
    assert audited(nothing).returncode == 1 and not nothing.data.exists()


async def test_a_rebuild_beside_a_running_service_loses_no_write(tmp_path: Path, berka: Path) -> None:
    """Rebuilt equals live on real data, and while it runs."""
    async with product(tmp_path, data_set=berka) as (client, process, _):
        await client.set_up()
        accounts = random.Random(1).sample(sorted(expected_totals(berka)), 12)
        for account in accounts[:6]:
            user = await client.a_user()
            await client.connect(user, account)
            await client.sync(user)
        before = (process.data / READ_MODELS_FOLDER / "current").read_text()

        async def go_on() -> list[str]:
            users = []
            for account in accounts[6:]:
                user = await client.a_user()
                await client.connect(user, account)
                await client.sync(user)
                users.append(user)
            return users

        rebuilding = asyncio.create_task(asyncio.to_thread(process.command, "rebuild"))
        users = await go_on()
        done = await rebuilding
        assert done.returncode == 0, done.stderr
        assert (process.data / READ_MODELS_FOLDER / "current").read_text() != before
        late = await client.a_user()
        for user in [*users, late]:
            await client.qard("GET", f"/users/{user}")
        assert (await client.qard("GET", "/users"))["total"] == len(accounts) + 1
        audit = await asyncio.to_thread(audited, process)
        assert audit.returncode == 0, audit.stdout + audit.stderr
