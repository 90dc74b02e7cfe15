"""The wire carries what a socket would: the same answers, the same limits of time and size."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import pytest

from adapters.budget_insight.gateway import BudgetInsightGateway
from adapters.budget_insight.simulator import SimulatorOptions, create_app, serve
from adapters.budget_insight.transport import REPLY_SECONDS
from application.ports import ProviderError, ProviderUnreachable, UnexpectedAnswer
from scripts.histories.loop import run
from scripts.histories.wire import ORIGIN, Exchange, Reply, Wire
from tests.histories.bank import CREDENTIALS, NOW, LyingBank

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Between:
    """Answers by what a test says."""

    def __init__(self, say: Callable[[Exchange], Awaitable[Reply]]) -> None:
        self._say = say

    async def exchange(self, ask: Any, exchange: Exchange) -> Reply:
        return await self._say(exchange)


def test_the_real_client_reads_the_real_simulator() -> None:
    async def story() -> None:
        bank = await LyingBank().connected()
        await bank.check_clean()
        await bank.gateway.delete_user(CREDENTIALS, bank.user)
        assert bank.acts.users() == []
        await bank.gateway.close()
        await bank.wire.close()

    run(story())


#: Requests of every kind: with and without a body, well and badly made, known and unknown.
REQUESTS: tuple[tuple[str, str, Mapping[str, str], bytes | None], ...] = (
    ("GET", "/", {}, None),
    ("POST", "/2.0/auth/init", JSON, b'{"client_id":"1","client_secret":"2"}'),
    ("POST", "/2.0/auth/init", JSON, b"{"),
    ("POST", "/2.0/auth/init", FORM, b"client_id=1&client_secret=2"),
    ("GET", "/2.0/users/me", {}, None),
    ("GET", "/2.0/nothing/here?a=%C3%A9+b", {}, None),
    ("PATCH", "/2.0/users/me", {}, None),
    ("DELETE", "/2.0/users/me", {"Authorization": "Bearer nobody"}, None),
    ("GET", "/fr/connect?redirect_uri=http%3A%2F%2F127.0.0.1%2Fback", {}, None),
    ("POST", "/fr/connect?redirect_uri=http%3A%2F%2F127.0.0.1%2Fback&state=%C3%A9t%26t", FORM, b"cancel=1"),
    ("POST", "/fr/connect?redirect_uri=http%3A%2F%2F127.0.0.1%2Fback", FORM, b"login=twins&password=1234"),
    ("GET", "/simulator/clock", {}, None),
    ("POST", "/simulator/clock", JSON, b'{"advance_seconds": 60}'),
    ("POST", "/2.0/auth/init", JSON, b" " * 2**21),
)
#: What a server adds to every answer.
ADDED = {"content-length", "date", "server"}


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items() if name.lower() not in ADDED}


async def test_a_socket_would_carry_the_same() -> None:
    options = SimulatorOptions(seed=3, now=NOW)
    runner, url = await serve(options)
    wire = Wire(create_app(options), Between(None))  # type: ignore[arg-type]
    await wire.start()
    try:
        async with aiohttp.ClientSession() as session:
            for method, path, headers, body in REQUESTS:
                said = await wire.visit(method, path, headers=headers, body=body)
                async with session.request(
                    method, url + path, headers=headers, data=body, allow_redirects=False
                ) as response:
                    assert (said.status, said.body) == (response.status, await response.read()), path
                    assert lowered(said.headers) == lowered(response.headers), path
    finally:
        await wire.close()
        await runner.cleanup()


def test_links_lead_back_to_where_they_were_asked() -> None:
    async def story() -> None:
        bank = await LyingBank(small_pages=1.0).connected()
        await bank.check_clean()

    run(story())


@pytest.mark.parametrize("seed", range(5))
def test_the_same_seed_says_the_same(seed: int) -> None:
    async def story() -> list[Any]:
        bank = await LyingBank(seed, {"P05": 0.2, "P25": 0.2, "P29": 0.2}).connected_in_the_end()
        said: list[Any] = [bank.user, bank.connection]
        for _ in range(5):
            try:
                said.append(await bank.read())
            except (ProviderUnreachable, UnexpectedAnswer) as error:
                said.append(error.reason)
            said.append(asyncio.get_running_loop().time())
        return said

    def told() -> list[Any]:
        # The pauses between two attempts are drawn by the client.
        random.seed(seed)
        return run(story(), random.Random(seed))

    assert told() == told()


def told_to(reply: Reply, *, after: float = 0.0) -> tuple[Exception, float, Exchange]:
    """What comes of asking a bank that says `reply`, in how many seconds, and what it heard."""
    heard: list[Exchange] = []

    async def say(exchange: Exchange) -> Reply:
        heard.append(exchange)
        await asyncio.sleep(after)
        return reply

    async def ask() -> float:
        wire = Wire(create_app(SimulatorOptions()), Between(say))
        gateway = BudgetInsightGateway(base_url=ORIGIN, session=wire.session)
        with pytest.raises(ProviderError) as caught:
            await gateway.create_user(CREDENTIALS)
        errors.append(caught.value)
        return asyncio.get_running_loop().time()

    errors: list[Exception] = []
    seconds = run(ask())
    return errors[0], seconds, heard[0]


def test_what_our_client_sends_arrives() -> None:
    _, _, heard = told_to(Reply(500, {}, b""))
    assert (heard.method, str(heard.url)) == ("POST", f"{ORIGIN}/2.0/auth/init")
    assert heard.body == b'{"client_id":"12345","client_secret":"SECRET-CLIENT"}'
    assert heard.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("reply", "after"),
    [
        (Reply(200, dict(JSON), b"{}"), 10 * REPLY_SECONDS),
        (Reply(200, dict(JSON), b"{" * 100, pause=1.0, piece=1), 0.0),
        (Reply(200, dict(JSON), b"{" * 30, pause=1.0, piece=1), REPLY_SECONDS / 2),
    ],
    ids=["silence", "drip", "both"],
)
def test_time_is_up_when_it_is_up(reply: Reply, after: float) -> None:
    error, seconds, _ = told_to(reply, after=after)
    assert isinstance(error, ProviderUnreachable) and error.reason == "timeout"
    assert seconds == pytest.approx(REPLY_SECONDS)


def test_a_transfer_that_breaks_off_is_an_error() -> None:
    error, _, _ = told_to(Reply(200, dict(JSON), b'{"auth_token":"x","id_user":1}', broken=True))
    assert isinstance(error, ProviderUnreachable) and error.reason == "network"


def test_a_body_without_an_end_is_given_up() -> None:
    error, _, _ = told_to(Reply(200, dict(JSON), b" " * 2**16, times=10**9))
    assert isinstance(error, UnexpectedAnswer) and error.reason == "too_large"


def test_a_closed_session_asks_nothing() -> None:
    async def story() -> None:
        session = Wire(create_app(SimulatorOptions()), Between(None)).session()  # type: ignore[arg-type]
        await session.close()
        assert session.closed
        with pytest.raises(RuntimeError):
            session.request(
                "GET", ORIGIN, headers={}, data=None, allow_redirects=False, auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=1),
            )  # fmt: skip

    run(story())
