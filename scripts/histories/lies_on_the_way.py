"""Lies about the way: connections that do not come about, answers that are lost, cut, blown up or slowed down."""

from __future__ import annotations

import gzip
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from functools import cache

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from msgspec.structs import replace

from scripts.histories.telling import DATA, Asked, Lie, Telling, Walk, page_of_a_machine, refusal, said
from scripts.histories.wire import Ask, Exchange, Reply

#: After this long our client takes a connection for not coming about.
CONNECT_SECONDS = 5.0
HUGE = 50 * 2**20
BLOCK = b" " * 2**16
#: How long a page trickles, at most: longer than any time that our client gives an answer. Seconds.
DRIP_SECONDS = 120.0
DRIP_PIECES = 100
HOUR = 3_600.0


def key_of(telling: Telling) -> ConnectionKey:
    url = telling.exchange.url
    return ConnectionKey(url.host or "", url.port, url.scheme == "https", True, None, None, None)


async def refuse_connection(telling: Telling) -> Reply:
    telling.told()
    raise aiohttp.ClientConnectorError(key_of(telling), ConnectionRefusedError(111, "Connect call failed"))


async def lose_name(telling: Telling) -> Reply:
    telling.told()
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    raise aiohttp.ClientConnectorDNSError(key_of(telling), error)


async def show_a_wrong_certificate(telling: Telling) -> Reply:
    telling.told()
    error = ssl.SSLCertVerificationError(1, "certificate verify failed: Hostname mismatch")
    raise aiohttp.ClientConnectorCertificateError(key_of(telling), error)


async def never_hear(telling: Telling) -> Reply:
    telling.told()
    if telling.rng.random() < 0.5:
        await telling.wait(CONNECT_SECONDS)
        raise aiohttp.ConnectionTimeoutError("Connection timeout to host")
    return await telling.say_nothing()


async def act_and_say_nothing(telling: Telling) -> Reply:
    await telling.answer()
    telling.told()
    match telling.rng.randrange(3):
        case 0:
            raise aiohttp.ServerDisconnectedError
        case 1:
            raise aiohttp.ClientOSError(104, "Connection reset by peer")
    return await telling.say_nothing()


async def ask_for_patience(telling: Telling) -> Reply:
    rng, liar = telling.rng, telling.liar
    seconds = rng.choice((1, 3, 20, 90, 3_600))
    waiting = max(1, round(seconds * liar.second))
    headers: dict[str, str] = {}
    match rng.randrange(4):
        case 0:
            pass
        case 1 if telling.acts is not None:
            until = telling.acts.simulation.clock.now() + timedelta(seconds=waiting)
            headers["Retry-After"] = format_datetime(until, usegmt=True)
        case 2 if rng.random() < 0.2:
            headers["Retry-After"] = "later"
        case _:
            headers["Retry-After"] = str(waiting)
    refused = page_of_a_machine(429, **headers)
    if rng.random() < 0.7:
        refused = refusal(429, "tooManyRequests", **headers)
    if rng.random() < 0.5:
        telling.lasts(seconds, always(refused))
    telling.told()
    return refused


async def break_down(telling: Telling) -> Reply:
    rng = telling.rng
    status = rng.choice((500, 502, 503, 504))
    broken = page_of_a_machine(status)
    if status == 500:
        broken = refusal(500, rng.choice(("bug", "keymanager", "dataError", "internalServerError")))
    elif rng.random() < 0.2:
        broken = said(status, b"", "text/plain")
    elif status == 503 and rng.random() < 0.3:
        broken = page_of_a_machine(503, **{"Retry-After": str(rng.choice((5, 120)))})
    if rng.random() < 0.3:
        telling.lasts(rng.uniform(0.1, 6) * HOUR, always(broken))
    elif status in (500, 504) and rng.random() < 0.5:
        # It broke while it answered: what was asked is done.
        await telling.answer()
    telling.told()
    return broken


async def end_early(telling: Telling) -> Reply:
    reply = await telling.answer()
    if len(reply.body) < 2:
        return reply
    telling.told()
    part = reply.body[: telling.rng.randrange(1, len(reply.body))]
    # Cut by whoever wrote it, or on the way: then the transfer itself is not complete.
    return replace(reply, body=part, broken=telling.rng.random() < 0.4)


async def answer_in_html(telling: Telling) -> Reply:
    if telling.rng.random() < 0.5:
        await telling.answer()
    telling.told()
    return page_of_a_machine(200)


async def call_it_something_else(telling: Telling) -> Reply:
    reply = await telling.answer()
    if not reply.body:
        return reply
    telling.told()
    called = telling.rng.choice(("text/plain", "text/html; charset=utf-8", "application/octet-stream", ""))
    others = {name: value for name, value in reply.headers.items() if name != "Content-Type"}
    return replace(reply, headers=others | ({"Content-Type": called} if called else {}))


async def blow_up(telling: Telling) -> Reply:
    """Nothing of 50 MB is built: it is announced, or grows on the way."""
    reply = await telling.answer()
    telling.told()
    match telling.rng.randrange(3):
        case 0:
            announced = reply.headers | {"Content-Length": str(HUGE)}
            return replace(reply, headers=announced, body=BLOCK, times=HUGE // len(BLOCK))
        case 1:
            return replace(reply, headers=reply.headers | {"Content-Encoding": "gzip"}, body=packed())
    return replace(reply, body=BLOCK, times=HUGE // len(BLOCK))


async def drip(telling: Telling) -> Reply:
    reply = await telling.answer()
    if not reply.body:
        return reply
    telling.told()
    piece = -(-len(reply.body) // DRIP_PIECES)
    pieces = -(-len(reply.body) // piece)
    return replace(reply, piece=piece, pause=min(DRIP_SECONDS, telling.liar.hang) / pieces)


async def send_elsewhere(telling: Telling) -> Reply:
    telling.told()
    path = telling.exchange.url.raw_path_qs
    to = telling.rng.choice((f"http://elsewhere.test{path}", path, "/maintenance", "//elsewhere.test/"))
    return said(telling.rng.choice((301, 302, 303, 307, 308)), b"", "text/plain", Location=to)


def always(reply: Reply) -> Callable[[Ask, Asked], Ask]:
    """Whatever is asked, for as long as it lasts."""

    def around(ask: Ask, of: Asked) -> Ask:
        async def answer(exchange: Exchange) -> Reply:
            return reply

        return answer

    return around


@cache
def packed() -> bytes:
    """50 MB in 50 kB."""
    return gzip.compress(BLOCK * (HUGE // len(BLOCK)), 6, mtime=0)


def holds_json(of: Asked, walk: Walk | None) -> bool:
    return of in DATA or of is Asked.CODE


LIES = {
    "P01": Lie(refuse_connection),
    "P02": Lie(lose_name),
    "P03": Lie(show_a_wrong_certificate),
    "P04": Lie(never_hear),
    "P05": Lie(act_and_say_nothing),
    "P06": Lie(ask_for_patience),
    "P07": Lie(break_down),
    "P29": Lie(end_early, holds_json),
    "P30": Lie(answer_in_html),
    "P31": Lie(call_it_something_else),
    "P32": Lie(blow_up, holds_json),
    "P33": Lie(drip),
    "P34": Lie(send_elsewhere),
}
