"""What a lie is told about, and what it may use: the request, the list it belongs to, chance, and what lasts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from decimal import Decimal
from enum import Enum, auto
from typing import Any, Protocol

import aiohttp
import msgspec
from msgspec.structs import replace

from scripts.histories.acts import Acts
from scripts.histories.wire import Ask, Exchange, Reply

#: What a link of ours bears that leads to where another link led already.
MARK = "again"
#: What makes a page of a list, and not the list.
PAGING = frozenset({"limit", "offset", "cursor", MARK})

_decode = msgspec.json.Decoder(Any, float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Asked(Enum):
    """What a request is about."""

    INIT = auto()
    ACCESS = auto()
    RENEW = auto()
    CODE = auto()
    CONNECTION = auto()
    REFRESH = auto()
    ACCOUNTS = auto()
    TRANSACTIONS = auto()
    DELETION = auto()
    OTHER = auto()


#: Where a token is in the answer.
TOKENS = frozenset({Asked.INIT, Asked.ACCESS, Asked.RENEW})
#: What is read of a user's data.
DATA = frozenset({Asked.CONNECTION, Asked.ACCOUNTS, Asked.TRANSACTIONS})

_LAST = {"accounts": Asked.ACCOUNTS, "transactions": Asked.TRANSACTIONS, "code": Asked.CODE}
_AUTH = {"init": Asked.INIT, "access": Asked.ACCESS, "renew": Asked.RENEW}


def asked(exchange: Exchange) -> Asked:
    parts = exchange.url.raw_path.rsplit("/", 2)
    match exchange.method:
        case "DELETE":
            return Asked.DELETION
        case "POST":
            return _AUTH.get(parts[-1], Asked.OTHER)
        case "PUT" if parts[-2] == "connections":
            return Asked.REFRESH
        case "GET" if parts[-2] == "connections":
            return Asked.CONNECTION
        case "GET":
            return _LAST.get(parts[-1], Asked.OTHER)
    return Asked.OTHER


class OfList(msgspec.Struct, frozen=True):
    """Which list a page is of, as far as its query tells, and whether it is where the list begins."""

    filters: tuple[tuple[str, str], ...]
    is_first: bool


def of_list(exchange: Exchange) -> OfList:
    query = exchange.url.query
    filters = tuple(sorted((name, value) for name, value in query.items() if name not in PAGING))
    begins = "cursor" not in query and MARK not in query and query.get("offset", "0") == "0"
    return OfList(filters, begins)


class Walk(msgspec.Struct):
    """A list on the way from its first page to its last, in pages of `limit` rows."""

    limit: int | None
    linked: bool
    is_first: bool = True
    pages: list[bytes] = []
    """The bodies that were said so far."""
    around: Callable[[Ask], Ask] | None = None
    """What is said from now on, in place of the truth."""

    def cut(self, exchange: Exchange) -> Exchange:
        """The request for a page as small as those of this list."""
        given = exchange.url.query.get("limit", "")
        if self.limit is None or not given.isdigit() or int(given) <= self.limit:
            return exchange
        return replace(exchange, url=exchange.url.update_query(limit=str(self.limit)))

    def seen(self, exchange: Exchange, reply: Reply) -> Reply:
        """A page as this list shows it: one that was reached by a link has links in any case."""
        if reply.status != 200:
            return reply
        if not self.linked and "cursor" not in exchange.url.query:
            parts = _parts(reply.body)
            parts.pop("_links", None)
            reply = replace(reply, body=_encode(parts))
        self.pages.append(reply.body)
        return reply


class Spell(msgspec.Struct, frozen=True):
    """A lie that lasts `until` a time of the loop."""

    kind: str
    until: float
    around: Callable[[Ask, Asked], Ask]


class Liar(Protocol):
    """Who tells: `scripts.histories.lies.Lies`."""

    rng: random.Random
    acts: Acts | None
    second: float
    hang: float

    def told(self, kind: str) -> None: ...

    def cast(self, kind: str, seconds: float, around: Callable[[Ask, Asked], Ask]) -> None: ...


class Telling:
    """One exchange, of which `kind` may be told. It was told once `told` is called; else the truth stands."""

    def __init__(
        self, liar: Liar, kind: str, ask: Ask, exchange: Exchange, of: Asked, walk: Walk | None
    ) -> None:
        self.liar = liar
        self.rng = liar.rng
        self.acts = liar.acts
        self.kind = kind
        self.exchange = exchange
        self.of = of
        self.walk = walk
        self._ask = ask

    async def answer(self, exchange: Exchange | None = None) -> Reply:
        """The truth, of this exchange or another."""
        return await self._ask(exchange or self.exchange)

    def told(self) -> None:
        self.liar.told(self.kind)

    def lasts(self, seconds: float, around: Callable[[Ask, Asked], Ask]) -> None:
        self.liar.cast(self.kind, seconds, around)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self.liar.second)

    async def say_nothing(self) -> Reply:
        """Until whoever asked gives up, or the connection ends."""
        await asyncio.sleep(self.liar.hang)
        raise aiohttp.ServerDisconnectedError


class Lie(msgspec.Struct, frozen=True):
    """`applies` says whether it can be told of a request; `tell` tells it, if it finds what it needs."""

    tell: Callable[[Telling], Awaitable[Reply]]
    applies: Callable[[Asked, Walk | None], bool] = lambda of, walk: True


def token_of(exchange: Exchange) -> str:
    return exchange.headers.get("Authorization", "").removeprefix("Bearer ")


def rows_of(page: bytes) -> list[dict[str, Any]]:
    return _decode(page)["transactions"]


def content_of(reply: Reply) -> dict[str, Any] | None:
    """The object that an answer of success holds, with exact numbers."""
    if reply.status != 200 or not reply.body:
        return None
    content = _decode(reply.body)
    return content if isinstance(content, dict) else None


def with_content(reply: Reply, content: object) -> Reply:
    return replace(reply, body=_encode(content))


def said(status: int, body: bytes, content_type: str, **headers: str) -> Reply:
    return Reply(status, {"Content-Type": content_type, **headers}, body)


def refusal(status: int, code: str, **headers: str) -> Reply:
    """An error in the protocol's envelope."""
    body = _encode({"code": code, "description": "It cannot be done.", "request_id": "00000000"})
    return said(status, body, "application/json; charset=utf-8", **headers)


def page_of_a_machine(status: int, **headers: str) -> Reply:
    """What some machine on the way says in place of the bank."""
    body = f"<html><head><title>{status}</title></head><body><h1>Sorry</h1></body></html>".encode()
    return said(status, body, "text/html; charset=utf-8", **headers)
