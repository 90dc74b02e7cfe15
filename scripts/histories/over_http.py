"""The lying bank behind a real socket: the same lies, as far as a server can tell them.

A connection that is refused, a name that is lost and a wrong certificate become connections that end without an
answer. Times are real here: `Lies.second` and `Lies.hang` must be set to fit the patience of the client.
"""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp import web

from scripts.histories.lies import Lies
from scripts.histories.wire import Exchange, Reply, Wire

API = "/2.0/"
#: Where people go: nobody lies to them.
WEBVIEW = "/2.0/auth/webview/"
#: By how much a body that is broken off falls short of what was announced. Bytes.
SHORT = 64


class LyingServer:
    """Serves a simulator's application from `start` to `close`, at `url`."""

    def __init__(self, app: web.Application, lies: Lies) -> None:
        self.url = ""
        self.wire = Wire(app, lies)
        self._lies = lies
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=0.1)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one."""
        await self.wire.start()
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.url = f"http://{host}:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        await self._runner.cleanup()
        await self.wire.close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        exchange = Exchange(request.method, request.url, dict(request.headers), body or None)
        if not request.path.startswith(API) or request.path.startswith(WEBVIEW):
            return await _send(request, await self.wire.ask(exchange))
        try:
            reply = await self._lies.exchange(self.wire.ask, exchange)
        except (aiohttp.ClientError, TimeoutError):
            return _end(request)
        return await _send(request, reply)


async def _send(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    whole = reply.times == 1 and not reply.pause and not reply.broken
    if whole:
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    if reply.broken:
        response.content_length = len(reply.body) + SHORT
    try:
        await response.prepare(request)
        for _ in range(reply.times):
            for start in range(0, len(reply.body), reply.piece):
                await asyncio.sleep(reply.pause)
                await response.write(reply.body[start : start + reply.piece])
        if reply.broken:
            return _end(request)
        await response.write_eof()
    except ConnectionError:
        # Whoever asked has had enough.
        pass
    return response


def _end(request: web.BaseRequest) -> web.Response:
    """End the connection in the middle of it."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
