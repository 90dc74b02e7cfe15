"""The simulated bank without sockets: the real client's requests go straight into the real application.

What sits between the two may lie. Nothing else is missing: every request is written and read, routed and
answered as over HTTP, times out on the loop's clock, and is bounded by what the client is ready to read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

import aiohttp
import msgspec
from aiohttp import streams, web
from aiohttp.helpers import HeadersMixin
from aiohttp.http import HttpVersion11
from aiohttp.http_parser import RawRequestMessage

# aiohttp's own names for what it takes and gives.
from aiohttp.typedefs import URL, CIMultiDict, CIMultiDictProxy

ORIGIN = "http://bank.test"
REQUEST_SIZE_MAX = 2**20


class Exchange(msgspec.Struct):
    """What our client sends."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | None


class Reply(msgspec.Struct):
    """What it gets. The body arrives `times` times over, with `pause` seconds of the loop before each piece, and
    is `broken` off before its end: bodies too large to be kept, too slow and too short are made of these."""

    status: int
    headers: dict[str, str]
    body: bytes
    times: int = 1
    pause: float = 0.0
    piece: int = 2**16
    broken: bool = False


Ask = Callable[[Exchange], Awaitable[Reply]]


class Between(Protocol):
    """Who hears an exchange and may ask the bank, and says what came of it, or raises what aiohttp would."""

    async def exchange(self, ask: Ask, exchange: Exchange) -> Reply: ...


class Wire:
    """The simulator's application, for clients in the same process."""

    def __init__(self, app: web.Application, lies: Between) -> None:
        self._app = app
        self._lies = lies
        self._server = _Server()

    async def start(self) -> None:
        self._app.freeze()
        await self._app.startup()

    async def close(self) -> None:
        await self._app.shutdown()
        await self._app.cleanup()

    def session(self) -> Any:
        """In place of an `aiohttp.ClientSession`."""
        return _Session(lambda exchange: self._lies.exchange(self.ask, exchange))

    async def visit(
        self,
        method: str,
        path: str | URL,
        *,
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """A person's browser at the bank, or the test's own door: nobody lies to them. `path` may hold a query,
        and may be the whole of an address."""
        sent = dict(headers or {})
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form).encode()
        return await self.ask(Exchange(method, URL(ORIGIN).join(URL(path)), sent, body))

    async def ask(self, exchange: Exchange) -> Reply:
        """The truth."""
        request = self._request(exchange)
        try:
            response = await self._app._handle(request)
        except web.HTTPException as raised:
            response = raised
        assert isinstance(response, web.Response), "the simulator streams nothing"
        body = response.body
        assert body is None or isinstance(body, bytes | bytearray)
        return Reply(response.status, dict(response.headers), bytes(body or b""))

    def _request(self, exchange: Exchange) -> web.Request:
        url = exchange.url
        headers = CIMultiDict(exchange.headers)
        headers.setdefault("Host", url.host_port_subcomponent or "")
        loop = asyncio.get_running_loop()
        content: Any = streams.EMPTY_PAYLOAD
        if exchange.body:
            headers.setdefault("Content-Length", str(len(exchange.body)))
            content = streams.StreamReader(self._server, REQUEST_SIZE_MAX, loop=loop)  # type: ignore[arg-type]
            content.feed_data(exchange.body)
            content.feed_eof()
        target = url.relative()
        message = RawRequestMessage(
            exchange.method,
            target.raw_path_qs,
            HttpVersion11,
            CIMultiDictProxy(headers),
            (),
            False,
            None,
            False,
            False,
            target,
        )
        return web.Request(
            message,
            content,
            self._server,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            loop,
            client_max_size=REQUEST_SIZE_MAX,
            scheme=url.scheme,
        )


class _Server:
    """What a request asks of the connection it came by."""

    ssl_context = None
    peername = ("127.0.0.1", 0)
    sockname = ("127.0.0.1", 0)
    transport = None
    _reading_paused = False

    def resume_reading(self, resume_parser: bool = True) -> None:
        pass


class _Session:
    """As much of an `aiohttp.ClientSession` as our transport uses."""

    def __init__(self, exchange: Callable[[Exchange], Awaitable[Reply]]) -> None:
        self._exchange = exchange
        self.closed = False

    async def close(self) -> None:
        self.closed = True

    def request(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str],
        data: bytes | None,
        allow_redirects: bool,
        auto_decompress: bool,
        timeout: aiohttp.ClientTimeout,
    ) -> _Asking:
        assert not allow_redirects and not auto_decompress, "the wire does neither"
        if self.closed:
            raise RuntimeError("Session is closed")
        return _Asking(self._exchange, Exchange(method, url, headers, data), timeout.total)


class _Asking:
    """An exchange under way. All of it, to the last byte that is read, has `seconds`."""

    def __init__(
        self,
        exchange: Callable[[Exchange], Awaitable[Reply]],
        asked: Exchange,
        seconds: float | None,
    ) -> None:
        self._exchange = exchange
        self._asked = asked
        self._seconds = seconds

    async def __aenter__(self) -> _Response:
        now = asyncio.get_running_loop().time()
        deadline = None if self._seconds is None else now + self._seconds
        async with asyncio.timeout_at(deadline):
            reply = await self._exchange(self._asked)
        return _Response(reply, deadline)

    async def __aexit__(self, *_: object) -> None:
        pass


class _Response(HeadersMixin):
    """As much of an `aiohttp.ClientResponse` as our transport uses."""

    def __init__(self, reply: Reply, deadline: float | None) -> None:
        self._headers = self.headers = CIMultiDictProxy(CIMultiDict(reply.headers))
        self.status = reply.status
        self.content = _Content(reply, deadline)

    def close(self) -> None:
        self.content.closed = True


class _Content:
    def __init__(self, reply: Reply, deadline: float | None) -> None:
        self._reply = reply
        self._deadline = deadline
        self.closed = False
        self.sent = 0
        """Bytes that were read."""

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """
        Raises:
            TimeoutError, aiohttp.ClientPayloadError: as aiohttp does.
        """
        reply = self._reply
        step = min(size, reply.piece)
        for _ in range(reply.times):
            for start in range(0, len(reply.body), step):
                assert not self.closed, "it goes on reading what it gave up"
                if reply.pause:
                    await self._wait(reply.pause)
                piece = reply.body[start : start + step]
                self.sent += len(piece)
                yield piece
        if reply.broken:
            raise aiohttp.ClientPayloadError("Response payload is not completed")

    async def _wait(self, seconds: float) -> None:
        if self._deadline is not None:
            left = self._deadline - asyncio.get_running_loop().time()
            if left < seconds:
                await asyncio.sleep(max(0.0, left))
                raise TimeoutError
        await asyncio.sleep(seconds)
