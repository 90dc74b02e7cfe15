"""Requests that no client library would send."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from aiohttp.test_utils import TestClient

from adapters.http import bodies
from tests.http.world import World

CANARY = b"Canary7f3a"
KEY = b"X-API-KEY: key-of-ours\r\n"
POST = b"POST /api/v6/users/legal HTTP/1.1\r\nHost: x\r\n" + KEY


async def exchange(client: TestClient, sent: bytes, *, timeout: float = 5.0) -> bytes:
    """What comes back until the server closes the connection, or has nothing more to say."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    received = b""
    try:
        writer.write(sent)
        await writer.drain()
        while chunk := await asyncio.wait_for(reader.read(65_536), timeout):
            received += chunk
            if b"\r\n\r\n" in received and _complete(received):
                break
    except (ConnectionError, TimeoutError):
        pass
    finally:
        writer.close()
    return received


def _complete(received: bytes) -> bool:
    head, _, body = received.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return False


def status_of(received: bytes) -> int:
    return int(received.split(b" ", 2)[1]) if received else 0


REQUESTS = {
    "garbage": b"\x16\x03\x01" + CANARY + b"\r\n\r\n",
    "no method": b" / HTTP/1.1\r\n\r\n",
    "bad version": b"GET / HTTP/9.9" + CANARY + b"\r\nHost: x\r\n\r\n",
    "bad header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-API-KEY " + CANARY + b": 1\r\n\r\n",
    "NUL in a header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-API-KEY: " + CANARY + b"\x00\r\n\r\n",
    "folded header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\r\n " + CANARY + b"\r\n\r\n",
    "long header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: " + CANARY * 4_000 + b"\r\n\r\n",
    "many headers": b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"A: Canary7f3a\r\n" * 10_000 + b"\r\n",
    "long address": b"GET /" + CANARY * 4_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    "negative length": POST + b"Content-Length: -2\r\n\r\n{}",
    "length of words": POST + b"Content-Length: " + CANARY + b"\r\n\r\n{}",
    "bad chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n" + CANARY + b"\r\n{}\r\n0\r\n\r\n",
    "other transfer": POST + b"Transfer-Encoding: " + CANARY + b"\r\n\r\n{}",
    "unknown expectation": POST + b"Expect: " + CANARY + b"\r\nContent-Length: 2\r\n\r\n{}",
    "expectation nowhere": b"POST /x HTTP/1.1\r\nHost: x\r\nExpect: "
    + CANARY
    + b"\r\nContent-Length: 2\r\n\r\n{}",
    "broken gzip": POST + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8bzz",
    "broken deflate": POST + b"Content-Encoding: deflate\r\nContent-Length: 4\r\n\r\nzzzz",
    "absolute elsewhere": b"GET http://evil.example/" + CANARY + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "authority": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "trace": b"TRACE /api/v6/users HTTP/1.1\r\nHost: x\r\nX-API-KEY: " + CANARY + b"\r\n\r\n",
    "dots": b"GET /api/v6/../../etc/" + CANARY + b" HTTP/1.1\r\nHost: x\r\n" + KEY + b"\r\n",
    "encoded dots": b"GET /api/v6/users/%2e%2e/" + CANARY + b" HTTP/1.1\r\nHost: x\r\n" + KEY + b"\r\n",
    "fragment": b"GET /api/v6/users/#" + CANARY + b" HTTP/1.1\r\nHost: x\r\n" + KEY + b"\r\n",
    "raw bytes": b"GET /api/v6/users/\xff\xfe" + CANARY + b" HTTP/1.1\r\nHost: x\r\n" + KEY + b"\r\n",
    "raw query": b"GET /api/v6/users?\xff\xfe=" + CANARY + b" HTTP/1.1\r\nHost: x\r\n" + KEY + b"\r\n",
    "key of bytes": b"GET /api/v6/users HTTP/1.1\r\nHost: x\r\nX-API-KEY: \xff\xfe" + CANARY + b"\r\n\r\n",
    "upgrade": b"GET /api/v6/"
    + CANARY
    + b" HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
}


@pytest.mark.parametrize("sent", REQUESTS.values(), ids=REQUESTS)
async def test_a_hostile_request_gets_a_4xx_that_repeats_nothing(
    sent: bytes, client: TestClient, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    received = await exchange(client, sent)
    assert 400 <= status_of(received) < 500
    assert CANARY not in received
    assert CANARY.decode() not in caplog.text
    assert world.log.recorded == []
    assert status_of(await exchange(client, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")) == 200


async def test_a_bomb_is_refused_before_it_is_unpacked(client: TestClient) -> None:
    bomb = gzip.compress(b" " * 20_000_000)
    sent = POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
    assert status_of(await exchange(client, sent)) == 415


async def test_a_body_without_a_length_is_capped(client: TestClient) -> None:
    sent = (
        POST
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + (b"1000\r\n" + b" " * 4_096 + b"\r\n") * 20
        + b"0\r\n\r\n"
    )
    assert status_of(await exchange(client, sent)) == 413
    small = POST + b'Transfer-Encoding: chunked\r\n\r\ne\r\n{"name":"abc"}\r\n0\r\n\r\n'
    assert status_of(await exchange(client, small)) == 201


async def test_a_body_that_does_not_come_is_given_up(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS_MAX", 0.05)
    received = await exchange(client, POST + b'Content-Length: 20\r\n\r\n{"na')
    assert status_of(received) == 408
    assert b'"error_code":"REQUEST_TIMEOUT"' in received


async def test_a_body_that_breaks_off_is_no_command(client: TestClient, world: World) -> None:
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(POST + b'Content-Length: 200\r\n\r\n{"name":"abc"}')
    await writer.drain()
    writer.close()
    await asyncio.sleep(0.05)
    assert world.log.recorded == []
    assert status_of(await exchange(client, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")) == 200


async def test_requests_in_one_go_are_answered_in_order(client: TestClient) -> None:
    one = b"GET /api/v6/profile HTTP/1.1\r\nHost: x\r\n" + KEY + b"\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(one * 5 + last)
    received = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert received.count(b'{"name":"ours"') == 5
    assert received.endswith(b'{"status":"ok"}')
