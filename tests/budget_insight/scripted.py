"""Servers that answer what a test tells them to, and remember what they were asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

Step = web.StreamResponse | Callable[[web.Request], Awaitable[web.StreamResponse]]


class Asked(msgspec.Struct, frozen=True):
    method: str
    target: str
    """Path and query, as they came over the wire."""
    token: str | None
    body: Any


class Bank:
    """Answers one step after the other, whatever it is asked; the last one for ever."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self._steps: list[Step] = []

    def answers(self, *steps: Step) -> None:
        self._steps = list(steps)

    def answers_then(self, *steps: Step) -> None:
        """These, after what it was told before."""
        self._steps += steps

    @property
    def targets(self) -> list[str]:
        return [f"{asked.method} {asked.target}" for asked in self.asked]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        token = request.headers.get("Authorization")
        self.asked.append(Asked(request.method, request.raw_path, token, json.loads(body) if body else None))
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        if isinstance(step, web.StreamResponse):
            if isinstance(step, web.Response) and not self._steps[1:]:
                # The last answer is given again and again: a response of aiohttp's can be sent once.
                return web.Response(status=step.status, body=step.body, headers=step.headers.copy())
            return step
        return await step(request)


@asynccontextmanager
async def bank() -> AsyncIterator[Bank]:
    scripted = Bank()
    app = web.Application(client_max_size=2**20)
    app.router.add_route("*", "/{tail:.*}", scripted.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    scripted.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield scripted
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_server(*pieces: bytes, pause: float = 0.0, linger: bool = False) -> AsyncIterator[str]:
    """Sends these bytes to whoever asks, then hangs up or, to `linger`, waits."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
            if linger:
                await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def as_json(content: Any, status: int = 200, **headers: str) -> web.Response:
    return as_bytes(json.dumps(content).encode(), status, **headers)


def as_bytes(body: bytes, status: int = 200, **headers: str) -> web.Response:
    """A body as it is; numbers in it keep their digits."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(
        body=body, status=status, headers={"Content-Type": "application/json; charset=utf-8"} | named
    )


def error(code: str, status: int, **headers: str) -> web.Response:
    content = {"code": code, "description": "SECRET-WORDS", "message": None, "request_id": "5e0c91aa"}
    return as_json(content, status, **headers)


def html(status: int) -> web.Response:
    return web.Response(text="<html>SECRET-WORDS</html>", content_type="text/html", status=status)


def page(rows: Sequence[Any], *, next: Any = None, **more: Any) -> web.Response:
    links = {"self": None, "prev": None, "next": None if next is None else {"href": next}}
    return as_json({"transactions": list(rows), "_links": links, **more})


def row(id: Any, account: int = 2318, **more: Any) -> dict[str, Any]:
    return {
        "id": id,
        "id_account": account,
        "date": "2026-02-27",
        "rdate": "2026-02-26",
        "vdate": "2026-02-27",
        "value": -42,
        "type": "card",
        "original_wording": "CARTE 26/02 EPICERIE DU COIN",
        "coming": False,
        "deleted": None,
        "last_update": "2026-02-28 05:48:12",
        **more,
    }
