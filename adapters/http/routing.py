"""One declaration per route: the router and the OpenAPI document are both made from it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import web
from pydantic import BaseModel

from adapters.http.bodies import BODY_SIZE_MAX
from adapters.http.problems import NOT_FOUND, Problem
from adapters.http.services import HttpServices
from application.execute import Services
from application.ports import Context
from domain.refusals import NotFound
from projections import answers

JSON = "application/json"
TEXT = "text/plain"
HTML = "text/html"


class Caller(msgspec.Struct, frozen=True):
    """Whose key came with the request."""

    tenant: str
    key_id: str


class Answer(msgspec.Struct, kw_only=True):
    """What is sent."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = {}
    content_type: str = JSON


class Asked(msgspec.Struct, kw_only=True):
    """A request that was understood."""

    http: HttpServices
    request: web.Request
    request_id: str
    ids: Mapping[str, str]
    body: Any = None
    query: Any = None
    caller: Caller | None = None
    command: Context | None = None

    @property
    def services(self) -> Services:
        return self.http.services

    @property
    def tenant(self) -> str:
        if self.caller is None:
            raise RuntimeError("this route asks for no key")
        return self.caller.tenant

    @property
    def context(self) -> Context:
        if self.command is None:
            raise RuntimeError("this route writes nothing")
        return self.command

    def now(self) -> datetime:
        return self.services.clock.now()


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """A way in: how a caller shows who they are, and how a problem looks."""

    prefix: str
    authenticate: Callable[[web.Request, HttpServices], Caller] | None = None
    """The caller; raises a `Problem`. None where everybody may ask."""
    security: tuple[str, ...] = ()
    """Names of security schemes, any one of which will do."""
    render: Callable[[Problem], Answer]
    error: Any
    """The shape of its problems; None for a page."""
    echo: Callable[[web.Request, str], dict[str, str]] = lambda request, request_id: {}
    """Headers that every answer of this door has."""
    not_found: tuple[str, str] = (NOT_FOUND, NotFound().message)
    """The code and message of an address that leads nowhere: as those of a thing that is not there."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """A header that changes what a request asks for: said under one Idempotency-Key, it is part of the input."""

    name: str
    description: str
    values: tuple[str, ...]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A method and a path, who may ask, what they send and what they may get."""

    method: str
    path: str
    door: Door
    handler: Callable[[Asked], Awaitable[Answer]]
    tag: str
    summary: str
    answers: Mapping[int, Any]
    """By status: the type of the answer; None where there is no body, a media type where it is no JSON."""
    problems: tuple[int, ...] = ()
    """Further statuses, in the shape of the door."""
    body: type[BaseModel] | None = None
    body_optional: bool = False
    query: type[BaseModel] | None = None
    lenient_query: bool = False
    """Unknown parameters are let pass: somebody else makes this address."""
    body_max: int = BODY_SIZE_MAX
    """The most bytes of a body."""
    reads_body: bool = False
    """The handler reads the body, which is anything."""
    accepts: str = ""
    """The media type that such a body is described with; empty where only those send it who know."""
    writes: bool = False
    headers: tuple[Header, ...] = ()
    example: Any = None
    """Of the first status in `answers`: what is answered, as the handler would give it."""
    body_example: Any = None
    operation: str = ""
    """The name in the document, where one handler serves two routes."""
    head: bool = True
    """HEAD is answered like GET; not where a GET changes something."""

    @property
    def name(self) -> str:
        return self.operation or self.handler.__name__

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def reads_log(self) -> bool:
        """Answers from the read models, and so can be asked to wait for them."""
        return self.door.authenticate is not None and not self.writes


def ok(value: object, status: int = 200, **headers: str) -> Answer:
    return Answer(status=status, body=answers.encode(value), headers=headers)
