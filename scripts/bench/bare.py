"""A bare aiohttp server, in a process of its own: two handlers that return bytes they were given, and nothing else.

Reads the bodies from standard input, writes the port it listens on, and ends when standard input is closed.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

import msgspec
from aiohttp import web


class Bodies(msgspec.Struct, kw_only=True):
    get: bytes
    post: bytes


def create_app(bodies: Bodies) -> web.Application:
    async def get(request: web.Request) -> web.Response:
        return web.Response(body=bodies.get, content_type="application/json")

    async def post(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=bodies.post, content_type="application/json")

    app = web.Application()
    app.add_routes([web.get("/", get), web.post("/", post)])
    return app


async def serve(bodies: Bodies) -> None:
    runner = web.AppRunner(create_app(bodies), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)
    await runner.cleanup()


def main() -> None:
    bodies = msgspec.json.decode(sys.stdin.buffer.readline(), type=Bodies)
    # Ctrl-C ends all at once, and only the first of us has something to say.
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(bodies))


if __name__ == "__main__":
    main()
