"""What aiohttp does before a request reaches the application, without repeating what was sent."""

from __future__ import annotations

import logging
import resource
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from adapters.http.doors import OPEN
from adapters.http.edge import HEADERS, response_of
from adapters.http.problems import Problem, internal

#: Seconds that a connection may be idle, or at one head of a request.
IDLE_SECONDS_MAX = 30.0
#: Seconds for which the rest of a refused body is read and dropped, so that the client sees the answer.
LINGER_SECONDS_MAX = 2.0

CONNECTIONS_MAX = 2_000
DESCRIPTORS_KEPT = 192

log = logging.getLogger("passbook.http")


class Runner(web.AppRunner):
    """Serves the application: aiohttp's runner, with limits of time and with answers of our own."""

    def __init__(self, app: web.Application, **options: Any) -> None:
        options.setdefault("keepalive_timeout", IDLE_SECONDS_MAX)
        options.setdefault("lingering_time", LINGER_SECONDS_MAX)
        # Compressed bodies are refused, so nothing is to be unpacked before that.
        options.setdefault("auto_decompress", False)
        super().__init__(app, access_log=None, **options)

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            loop=made._loop,
            **made._kwargs,
        )


class _Server(web.Server):
    """Holds so many connections and no more: who says nothing longest goes first."""

    def __call__(self) -> RequestHandler:
        # Those that are being closed count no more: many may come before the loop has let go of them.
        held = [each for each in self.connections if not each._force_close]
        over = len(held) - connections_max() + 1
        if over > 0:
            silent = [each for each in held if not each._request_in_progress]
            for each in (silent or held)[:over]:
                each.force_close()
        return _Protocol(self, loop=self._loop, **self._kwargs)


def connections_max() -> int:
    """What the descriptors of this process allow, some being kept for files, for the bank, and for those that
    the loop accepts in one go before it asks here."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(CONNECTIONS_MAX, max(limit - DESCRIPTORS_KEPT, limit // 4))


class _Protocol(RequestHandler):
    """A connection. What cannot be parsed is neither echoed nor logged: it may hold somebody's key."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        log.info("a request could not be read", extra={"error": type(exc).__name__})
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        return _closing(status)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        # Raised beside the application: an Expect header that nobody knows.
        if isinstance(resp, web.HTTPException):
            resp = _closing(resp.status)
        return await super().finish_response(request, resp, start_time)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        log.error("a connection failed", extra={"error": type(kw.get("exc_info")).__name__})


def _closing(status: int) -> web.Response:
    if status >= 500:
        problem = internal()
    else:
        problem = Problem(status, "BAD_REQUEST", "The request could not be read.")
    answer = OPEN.render(problem)
    answer.status = problem.status
    answer.headers.update(HEADERS)
    response = response_of(answer)
    response.force_close()
    return response
