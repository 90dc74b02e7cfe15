"""A tenant's domain leads to the provider, or nowhere."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from adapters.budget_insight import addresses
from application.ports import ProviderRefused, ProviderUnreachable
from tests.budget_insight.conftest import CREDENTIALS, USER, GatewayTo

HOSTILE = [
    # Ways out of the suffix
    *("evil.com#.biapi.pro", "evil.com/.biapi.pro", "127.0.0.1?.biapi.pro", "../../x.biapi.pro"),
    *("evil.com\\.biapi.pro", "evil.com;.biapi.pro", "evil.com%23.biapi.pro", "evil.com%2f.biapi.pro"),
    *("user@evil.com", "user:pass@evil", "demo@evil.com/.biapi.pro", "@evil", "demo:443", "demo:80.biapi.pro"),
    *("demo.biapi.pro@evil.com", "demo.biapi.pro:444", "demo.biapi.pro/x"),
    *("demo.biapi.pro?x", "demo.biapi.pro#x"),
    *("https://demo", "http://evil.com", "//evil.com", "/demo", "demo/", "file:///etc/passwd"),
    # More labels than one, or other ones
    *("evil.com", "a.demo", "a.demo.biapi.pro", "demo.biapi.pro.evil.com"),
    *("demo.biapi.pro.", "demo.biapi.pr\u043e"),
    *(".biapi.pro", "..biapi.pro", ".", "..", "", "demo..biapi.pro", "biapi.pro.biapi.pro", "demo.biapi.pr0"),
    # Addresses
    *("127.0.0.1", "127.1", "0x7f.0.0.1", "0177.0.0.1", "[::1]", "::1"),
    *("[::ffff:127.0.0.1]", "169.254.169.254", "2130706433.", "localhost.", "1.1"),
    # White space and control characters
    *("demo\n", "demo.biapi.pro\n", "x.biapi.pro\r\n", "\ndemo", "demo\r\nHost: evil.com", "de mo", " demo"),
    *("demo\t", "demo\0", "demo\x0b", "demo\u2028", "demo\u00a0", "demo\u200b", "demo\x7f"),
    # What looks like a letter, a digit or a dot
    *("demo\u3002biapi\u3002pro", "demo\uff0ebiapi.pro", "demo\uff61biapi.pro", "\uff44\uff45\uff4d\uff4f"),
    *("d\u00e9mo", "d\u0435mo", "demo\uff11", "demo\u00b2", "\u0663", "\u017f", "\u212a"),
    *("demo%2ebiapi", "%64emo", "demo%00", "demo%0a.biapi.pro"),
    # What is no label
    *("-demo", "demo-", "-", "a" * 64, "a" * 64 + ".biapi.pro", "a" * 10_000, "demo*", "*"),
    *("demo,evil", "demo+x"),
    *("$(id)", "`id`", "${x}", "{domain}", "demo'", 'demo"', "<demo>", "demo|x", "demo&x=1", "demo=x", "~demo"),
]  # fmt: skip
GOOD = {
    "demo": "demo.biapi.pro",
    "Demo-Sandbox": "demo-sandbox.biapi.pro",
    "demo.biapi.pro": "demo.biapi.pro",
    "DEMO.BIAPI.PRO": "demo.biapi.pro",
    "a": "a.biapi.pro",
    "127": "127.biapi.pro",
    "a" * 63: "a" * 63 + ".biapi.pro",
}


class Looked:
    """Records every name that is looked up and every address that is connected to, and lets none through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: list[Any] = []

        def record(*where: Any, **more: Any) -> Any:
            self.at.append(where)
            raise OSError("the test lets nobody out")

        async def record_later(_: Any, *where: Any, **more: Any) -> Any:
            record(*where)

        monkeypatch.setattr(socket, "getaddrinfo", record)
        monkeypatch.setattr(socket.socket, "connect", lambda _, where: record(where))
        monkeypatch.setattr(socket.socket, "connect_ex", lambda _, where: record(where))
        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", record_later)
        monkeypatch.setattr("asyncio.selector_events.BaseSelectorEventLoop.sock_connect", record_later)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Looked:
    return Looked(monkeypatch)


def test_there_are_enough_hostile_ones() -> None:
    assert len(set(HOSTILE)) > 80


@pytest.mark.parametrize("domain", HOSTILE, ids=ascii)
async def test_a_hostile_domain_leads_nowhere(gateway_to: GatewayTo, looked: Looked, domain: str) -> None:
    credentials = {**CREDENTIALS, "domain": domain}
    for gateway in (gateway_to(None), gateway_to("http://127.0.0.1:9")):
        for asking in (
            gateway.create_user(credentials),
            gateway.connection(credentials, USER, "512"),
            gateway.authorisation_url(credentials, USER, redirect_uri="https://us.example/cb", state="s"),
        ):
            with pytest.raises(ProviderRefused) as refused:
                await asking
            assert refused.value.reason == "domain_refused"
    assert looked.at == []


@pytest.mark.parametrize(("domain", "host"), GOOD.items())
async def test_a_domain_leads_to_the_provider_over_tls(
    gateway_to: GatewayTo, looked: Looked, domain: str, host: str
) -> None:
    assert addresses.root_of(domain).scheme == "https"
    assert addresses.root_of(domain).port == 443
    with pytest.raises(ProviderUnreachable):
        await gateway_to(None).connection({**CREDENTIALS, "domain": domain}, USER, "512")
    assert {where[0] for where in looked.at} == {host}
    assert all(443 in where for where in looked.at)


async def test_a_proxy_of_the_environment_is_not_used(
    gateway_to: GatewayTo, looked: Looked, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(ProviderUnreachable):
        await gateway_to(None).connection(CREDENTIALS, USER, "512")
    assert {where[0] for where in looked.at} == {"demo-sandbox.biapi.pro"}
