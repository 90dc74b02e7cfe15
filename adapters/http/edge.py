"""Around every route: who asks, what they sent, how a problem looks, and one line in the log."""

from __future__ import annotations

import logging
import re
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import HttpVersion10, web
from aiohttp.typedefs import Handler

from adapters.http.bodies import parse_body, parse_query, read_body
from adapters.http.problems import (
    METHOD_NOT_ALLOWED,
    Problem,
    internal,
    invalid,
    not_found,
    of_refusal,
    unavailable,
)
from adapters.http.routing import Answer, Asked, Caller, Door, Route
from adapters.http.services import HttpServices
from application.execute import VISIBLE_TIMEOUT
from application.ports import Context, KeyDestroyed, LogUnavailable
from application.refusals import Unavailable
from domain import streams
from domain.refusals import Refused

IDEMPOTENCY_KEY = "Idempotency-Key"
IDEMPOTENCY_KEY_FORM = "[!-~]{1,255}"
LOG_POSITION = "Log-Position"

access = logging.getLogger("passbook.access")
log = logging.getLogger("passbook.http")

_KEY = re.compile(IDEMPOTENCY_KEY_FORM, re.ASCII)
_POSITION = re.compile(r"[0-9]{1,18}", re.ASCII)


class Edge(msgspec.Struct, kw_only=True):
    """What is known of all requests together."""

    http: HttpServices
    doors: tuple[Door, ...]
    """By prefix, the longest first; the last one takes the rest."""
    allowed: dict[str, list[str]]
    """The methods of each address without parameters."""
    document: bytes
    """The OpenAPI document."""
    requests: Counter[tuple[str, int]] = msgspec.field(default_factory=Counter)
    in_flight: Counter[str] = msgspec.field(default_factory=Counter)

    def door_at(self, path: str) -> Door:
        return next(door for door in self.doors if path.startswith(door.prefix))


EDGE = web.AppKey("edge", Edge)
REQUEST_ID = web.RequestKey("request_id", bytes)
CALLER = web.RequestKey("caller", Caller)
ROUTE = web.RequestKey("route", str)

Middleware = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]

#: On every answer that does not say otherwise.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "passbook",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@web.middleware
async def journal(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, count it, and log it by its route: an address may hold ids and tokens."""
    edge = request.app[EDGE]
    request[REQUEST_ID] = edge.http.services.ids.token(16)
    request_id = request[REQUEST_ID].hex()
    resource = request.match_info.route.resource
    request[ROUTE] = f"{_method(request)} {resource.canonical if resource else 'unknown'}"
    began = time.perf_counter()
    status = 500
    try:
        response = await handler(request)
        status = response.status
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["X-Request-Id"] = request_id
        return response
    finally:
        edge.requests[request[ROUTE], status] += 1
        line = {
            "route": request[ROUTE],
            "status": status,
            "milliseconds": round((time.perf_counter() - began) * 1000, 1),
            "request_id": request_id,
        }
        if CALLER in request:
            line["tenant"] = request[CALLER].tenant
        access.info("answered", extra=line)


def _method(request: web.Request) -> str:
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
    return request.method if request.method in known else "OTHER"


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Write everything that went wrong in the shape of the door it went wrong at."""
    edge = request.app[EDGE]
    door = edge.door_at(request.path)
    try:
        if request.version < HttpVersion10:
            raise Problem(400, "BAD_REQUEST", "HTTP/0.9 is not spoken here.", headers={"Connection": "close"})
        return await handler(request)
    except Exception as error:
        problem = _problem(error, door, request)
    answer = door.render(problem)
    headers = {**answer.headers, **problem.headers, **door.echo(request, request[REQUEST_ID].hex())}
    response = response_of(msgspec.structs.replace(answer, status=problem.status, headers=headers))
    if problem.headers.get("Connection") == "close":
        response.force_close()
    return response


def _problem(error: Exception, door: Door, request: web.Request) -> Problem:
    match error:
        case Problem():
            return error
        case Refused():
            return of_refusal(error)
        case Unavailable():
            return unavailable(error.retry_after)
        case LogUnavailable():
            return unavailable()
        case KeyDestroyed():
            return not_found()
        case web.HTTPNotFound():
            return Problem(404, *door.not_found)
        case web.HTTPMethodNotAllowed():
            allowed = request.app[EDGE].allowed
            return method_not_allowed(allowed.get(request.path, error.allowed_methods))
        case web.HTTPException() if error.status in (400, 413, 414, 417):
            return Problem(error.status, "BAD_REQUEST", "The request could not be read.")
    # The text of an error may hold what was sent; its type and its place do not.
    place = traceback.extract_tb(error.__traceback__)[-1]
    log.error(
        "a request failed in %s:%s",
        place.name,
        place.lineno,
        extra={
            "route": request[ROUTE],
            "request_id": request[REQUEST_ID].hex(),
            "error": type(error).__name__,
        },
    )
    return internal()


def method_not_allowed(methods: object) -> Problem:
    allowed = ", ".join(sorted(set(methods)))  # type: ignore[call-overload]
    return Problem(405, METHOD_NOT_ALLOWED, "This method is not allowed here.", headers={"Allow": allowed})


def endpoint(route: Route) -> Handler:
    """The aiohttp handler of a route."""

    async def handle(request: web.Request) -> web.StreamResponse:
        edge = request.app[EDGE]
        if route.parameters and request.path in edge.allowed:
            raise method_not_allowed(edge.allowed[request.path])
        if route.door.authenticate is None:
            return await _handled(edge, route, request, None)
        caller = route.door.authenticate(request, edge.http)
        request[CALLER] = caller
        if edge.in_flight[caller.tenant] >= edge.http.in_flight_max:
            raise Problem(429, "RATE_LIMITED", "Too many requests at once.", headers={"Retry-After": "1"})
        edge.in_flight[caller.tenant] += 1
        try:
            return await _handled(edge, route, request, caller)
        finally:
            edge.in_flight[caller.tenant] -= 1
            if not edge.in_flight[caller.tenant]:
                del edge.in_flight[caller.tenant]

    return handle


async def _handled(
    edge: Edge, route: Route, request: web.Request, caller: Caller | None
) -> web.StreamResponse:
    request_id = request[REQUEST_ID].hex()
    asked = Asked(http=edge.http, request=request, request_id=request_id, ids=_ids(request), caller=caller)
    asked.query = parse_query(request.query.items(), route.query, lenient=route.lenient_query)
    key = _idempotency_key(request) if route.writes else None
    raw = b""
    if request.method not in ("GET", "HEAD") and not route.reads_body:
        raw = await read_body(request, route.body_max)
    if route.body is not None:
        asked.body = parse_body(raw, route.body, optional=route.body_optional)
    elif raw.strip() not in (b"", b"{}"):
        raise invalid("This request takes no body.", body=["must be empty"])
    if route.writes and caller is not None:
        asked.command = _context(edge.http, route, request, caller, key, raw)
    if route.reads_log:
        await _reach(edge.http, request)
    answer = await route.handler(asked)
    answer.headers.update(route.door.echo(request, request_id))
    return response_of(answer)


def response_of(answer: Answer) -> web.Response:
    headers = {name: value for name, value in answer.headers.items() if name != "Connection"}
    if answer.status == 204:
        return web.Response(status=204, headers=headers)
    if answer.content_type == "application/json":
        charset = "utf-8"
    else:
        charset = "utf-8" if answer.content_type.startswith("text/") else None
    return web.Response(
        status=answer.status,
        body=answer.body,
        headers=headers,
        content_type=answer.content_type,
        charset=charset,
    )


def _ids(request: web.Request) -> dict[str, str]:
    """The parts of the path. What cannot be an id of ours is as unknown as an id that nobody has."""
    ids = {}
    for name, value in request.match_info.items():
        if name.endswith("_id"):
            value = value.lower()
            if not streams.UUID.fullmatch(value):
                raise not_found()
        ids[name] = value
    return ids


def _idempotency_key(request: web.Request) -> str | None:
    values = request.headers.getall(IDEMPOTENCY_KEY, [])
    if not values:
        return None
    if len(values) > 1 or not _KEY.fullmatch(values[0]):
        raise invalid(
            "The Idempotency-Key is not valid.", **{IDEMPOTENCY_KEY: ["must be 1 to 255 visible characters"]}
        )
    return values[0]


def _context(
    http: HttpServices, route: Route, request: web.Request, caller: Caller, key: str | None, raw: bytes
) -> Context:
    keyed_hash = http.services.keys.keyed_hash
    if key is None:
        command_id, digest = http.services.ids.token(16), b""
    else:
        command_id = keyed_hash(caller.tenant, "idempotency-key", key.encode())[:16]
        said = f"{request.method} {request.rel_url.raw_path}\n".encode() + _headers(route, request) + raw
        digest = keyed_hash(caller.tenant, "idempotency-input", said)
    return Context(
        tenant=caller.tenant,
        actor=f"key:{caller.key_id}",
        command_id=command_id,
        input_digest=digest,
        correlation_id=request[REQUEST_ID],
    )


def _headers(route: Route, request: web.Request) -> bytes:
    """What was said in the headers that the route takes; nothing where none of them was sent."""
    return b"".join(
        f"{header.name}: {value}\n".encode("utf-8", "surrogateescape")
        for header in route.headers
        for value in request.headers.getall(header.name, [])
    )


async def _reach(http: HttpServices, request: web.Request) -> None:
    """Wait for the position that the request names."""
    values = request.headers.getall(LOG_POSITION, [])
    if not values:
        return
    if len(values) > 1 or not _POSITION.fullmatch(values[0]):
        raise invalid(
            "The Log-Position is not valid.", **{LOG_POSITION: ["must be a whole number, at least 0"]}
        )
    if not await http.services.read_models.reach(int(values[0]), VISIBLE_TIMEOUT):
        raise unavailable()
