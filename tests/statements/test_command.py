"""`passbook import`: what it shows, what it asks, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient
from click.testing import Result
from typer.testing import CliRunner

from adapters.http import create_app
from scripts.cli import build
from tests.http.conftest import NOBODY, OURS, Caller, Served, registered
from tests.http.world import World
from tests.statements.files import IBAN, Row, camt, mt940

Command = Callable[..., Awaitable[Result]]
STATEMENT = camt(Row("2026-02-02", "-1.00"), opening="5.00", closing="4.00")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def client(world: World) -> AsyncIterator[TestClient]:
    async with TestClient(Served(create_app(world.http))) as client:
        yield client


@pytest.fixture
async def consumer(client: TestClient) -> str:
    return await registered(Caller(client, OURS))


@pytest.fixture
def command(client: TestClient, consumer: str, tmp_path: Path) -> Command:
    async def run(content: bytes, *options: str, key: str = "key-of-ours", whose: str = consumer) -> Result:
        (tmp_path / "file").write_bytes(content)
        said = ["import", str(tmp_path / "file"), "--consumer", whose, "--url", str(client.make_url("/"))]
        environment = {"PASSBOOK_API_KEY": key, "COLUMNS": "200"}
        return await asyncio.to_thread(CliRunner().invoke, build(), [*said, *options], env=environment)

    return run


async def test_a_file_is_shown_and_recorded(command: Command, world: World) -> None:
    result = await command(STATEMENT, "--yes")
    assert result.exit_code == 0, result.output
    assert "Recorded: 1 new rows, 0 changed." in result.output
    assert IBAN not in result.output
    assert IBAN[-4:] in result.output
    assert "Recorded: 0 new rows, 0 changed." in (await command(STATEMENT, "--yes")).output


async def test_a_dry_run_records_nothing(command: Command, world: World) -> None:
    before = len(world.log.recorded)
    assert (await command(STATEMENT, "--dry-run")).exit_code == 0
    assert len(world.log.recorded) == before


async def test_nothing_is_recorded_that_nobody_agreed_to(command: Command, world: World) -> None:
    before = len(world.log.recorded)
    result = await command(STATEMENT)
    assert (result.exit_code, len(world.log.recorded)) == (2, before)
    assert "--yes" in result.output


async def test_a_broken_file_says_line_and_code_and_ends_with_one(command: Command, world: World) -> None:
    before = len(world.log.recorded)
    broken = mt940(Row("2026-02-02", "-1.00")).replace(b":61:2602020202D", b":61:2602020202X")
    result = await command(broken, "--yes")
    assert (result.exit_code, len(world.log.recorded)) == (1, before)
    assert "file:5: error: entry_unreadable" in result.output
    nothing = await command(b"hello", "--dry-run")
    assert nothing.exit_code == 1
    assert "file:1: error: not_a_statement" in nothing.output


async def test_what_was_asked_wrongly_ends_with_two(command: Command) -> None:
    for result in (
        await command(STATEMENT, whose="me"),
        await command(STATEMENT, "--format", "PDF"),
        await command(STATEMENT, key=""),
        await command(STATEMENT, "--url", "passbook"),
    ):
        assert result.exit_code == 2, result.output


async def test_a_service_that_refuses_or_is_not_there_ends_with_one(command: Command) -> None:
    assert (await command(STATEMENT, "--yes", whose=NOBODY)).exit_code == 1
    assert (await command(STATEMENT, "--yes", key="nobodys")).exit_code == 1
    away = await command(STATEMENT, "--url", "http://127.0.0.1:9")
    assert away.exit_code == 1
    assert "passbook serve" in away.output
