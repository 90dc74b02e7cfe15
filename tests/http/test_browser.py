"""The way to the bank and back takes only its own, once, in time, and from the same browser."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient

from adapters.http import create_app
from application.ports import ProviderUnreachable
from tests.http.conftest import CONNECTION, NOBODY, OURS, Caller, Served, enable, registered
from tests.http.world import World

HTTP = "http://passbook.example"
HTTPS = "https://passbook.example"


async def link_of(call: Caller, **fields: str) -> tuple[str, str]:
    await enable(call)
    user = await registered(call, **fields)
    _, connection, _ = await call("POST", f"/api/v6/users/{user}/data-connections", CONNECTION)
    path = f"/api/v6/users/{user}/data-connections/{connection['id']}"
    return "/connect/" + connection["redirect_url"].partition("/connect/")[2], path


@pytest.fixture
async def secure() -> AsyncIterator[tuple[World, TestClient]]:
    world = World(HTTPS)
    async with TestClient(Served(create_app(world.http))) as client:
        yield world, client


def is_plain_page(response: object) -> bool:
    headers = response.headers  # type: ignore[attr-defined]
    return (
        headers["Content-Type"] == "text/html; charset=utf-8"
        and "script" not in headers["Content-Security-Policy"]
    )


async def test_a_wrong_link_is_a_plain_page(call: Caller, anybody: Caller, world: World) -> None:
    link, path = await link_of(call)
    before = len(world.log.recorded)
    base, _, token = link.partition("?token=")
    for wrong in (
        base,
        f"{base}?token=",
        f"{base}?token={token}x",
        f"{base}?token={token[:-2]}AA",
        f"{base}?token=x.y",
        f"{base}?token=%00",
        f"{base}?token=%C3%A9.%C3%A9",
        f"{base}?token={token}&token={token}",
        f"{base}?token={'x' * 3_000}",
        f"/connect/{NOBODY}?token={token}",
        f"/connect/x?token={token}",
    ):
        status, page, response = await anybody("GET", wrong)
        assert status == 400, wrong
        assert is_plain_page(response)
        assert token.encode() not in page
    world.clock.move(hours=25)
    assert (await anybody("GET", link))[0] == 400
    assert len(world.log.recorded) == before
    assert (await call("GET", path))[1]["status"] == "AUTH_REQUIRED"


async def test_looking_does_not_open(call: Caller, anybody: Caller, world: World) -> None:
    link, _ = await link_of(call)
    before = len(world.log.recorded)
    for method in ("HEAD", "OPTIONS", "POST"):
        assert (await anybody(method, link))[0] == 405
    assert len(world.log.recorded) == before
    assert (await anybody("GET", link + "&utm_source=mail"))[0] == 302


async def test_the_language_of_the_browser_is_the_banks(call: Caller, anybody: Caller, world: World) -> None:
    link, _ = await link_of(call)
    for given, taken in (("en-GB,en;q=0.9", ["en", "en"]), ("sv, de;q=0.5", ["sv", "de"]), ("\u00e9", ["é"])):
        await anybody("GET", link, Accept_Language=given)
        assert world.bank.languages == taken


async def test_a_state_is_taken_once_in_time_and_with_its_own_connection(
    call: Caller, anybody: Caller, world: World
) -> None:
    link, path = await link_of(call)
    await anybody("GET", link)
    state = world.bank.states[0]
    before = len(world.log.recorded)
    forged = urlsafe_b64encode(bytes(48)).decode()
    for wrong in (
        "",
        "connection_id=7",
        "state=&connection_id=7",
        "state=x&connection_id=7",
        "state=%C3%A9&connection_id=7",
        f"state={forged}&connection_id=7",
        f"state={state[:-2]}AA&connection_id=7",
        f"state={state}&state={state}&connection_id=7",
        f"state={state}&connection_id=7&connection_id=8",
        f"state={state}&connection_id=8",
        f"state={state}&connection_id=x",
        f"state={state}&connection_id={'7' * 64}",
        f"state={state}&connection_id=7%0d%0aX",
        f"state={state}&connection_id={'7' * 7_000}",
    ):
        status, page, response = await anybody("GET", f"/callback/budgea?{wrong}")
        assert status == 400, wrong
        assert is_plain_page(response)
        assert state.encode() not in page
    assert len(world.log.recorded) == before
    good = f"/callback/budgea?state={state}&connection_id=7&error_description=a%0ab&x=1&x=2"
    assert (await anybody("HEAD", good))[0] == 405
    status, page, response = await anybody("GET", good)
    assert (status, is_plain_page(response)) == (200, True)
    assert b"Your bank is connected" in page
    assert (await anybody("GET", good))[0] == 400
    assert (await anybody("GET", link))[0] == 400
    assert (await call("GET", path))[1]["status"] == "CONNECTED"


async def test_a_late_state_is_not_taken(call: Caller, anybody: Caller, world: World) -> None:
    link, _ = await link_of(call)
    await anybody("GET", link)
    world.clock.move(minutes=31)
    assert (await anybody("GET", f"/callback/budgea?state={world.bank.states[0]}&connection_id=7"))[0] == 400


async def test_a_person_who_declines_returns_with_the_error(
    call: Caller, anybody: Caller, world: World
) -> None:
    link, path = await link_of(call, return_url="https://app.example")
    await anybody("GET", link)
    status, _, response = await anybody(
        "GET", f"/callback/budgea?state={world.bank.states[0]}&error=access_denied&error_description=Canary"
    )
    id = path.rpartition("/")[2]
    assert status == 303
    assert response.headers["Location"] == f"https://app.example?data_connection_id={id}&status=AUTH_ERROR"
    shown = (await call("GET", path))[1]
    assert (shown["status"], shown["status_reason"]) == ("AUTH_ERROR", "access_denied")
    assert (await anybody("GET", link))[0] == 302


async def test_a_bank_that_cannot_be_reached(call: Caller, anybody: Caller, world: World) -> None:
    link, _ = await link_of(call)
    world.bank.failing = ProviderUnreachable("down", retry_after=9)
    status, page, response = await anybody("GET", link)
    assert (status, response.headers["Retry-After"]) == (503, "9")
    assert is_plain_page(response)
    world.bank.failing = None
    assert (await anybody("GET", link))[0] == 302


async def test_pages_load_nothing(anybody: Caller) -> None:
    _, page, _ = await anybody("GET", "/connect/x")
    for sign in (b"http:", b"https:", b"src=", b"href=", b"<script", b"@import", b"url("):
        assert sign not in page


async def test_under_https_the_browser_must_be_the_same(secure: tuple[World, TestClient]) -> None:
    world, client = secure
    call, anybody = Caller(client, OURS), Caller(client, {})
    link, path = await link_of(call)

    async def opened() -> tuple[str, str]:
        client.session.cookie_jar.clear()
        _, _, response = await anybody("GET", link)
        cookie = response.headers["Set-Cookie"]
        assert cookie.startswith("__Host-opening-")
        for attribute in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=1800"):
            assert attribute in cookie.split("; ")
        assert "Domain" not in cookie
        client.session.cookie_jar.clear()
        return world.bank.states[-1], cookie.partition(";")[0]

    one, cookie_of_one = await opened()
    two, cookie_of_two = await opened()
    before = len(world.log.recorded)
    for cookie in ("", cookie_of_two, cookie_of_one[:-1], "__Host-opening-x=y"):
        headers = {"Cookie": cookie} if cookie else {}
        status, _, _ = await anybody("GET", f"/callback/budgea?state={one}&connection_id=7", **headers)
        assert status == 400
    assert len(world.log.recorded) == before
    status, _, response = await anybody(
        "GET", f"/callback/budgea?state={one}&connection_id=7", Cookie=f"{cookie_of_two}; {cookie_of_one}"
    )
    assert status == 200
    assert "Max-Age=0" in response.headers["Set-Cookie"]
    assert (await call("GET", path))[1]["status"] == "CONNECTED"
