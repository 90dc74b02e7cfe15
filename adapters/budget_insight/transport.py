"""One exchange with the API over HTTP: bounded in time and size, without surprises.

No redirect is followed, no cookie is kept, no proxy is taken from the environment, and certificates are
checked. A reply is read in pieces and given up as soon as it exceeds the cap, counted after decompression.
Neither an error nor a log line holds an address, a token or a word of the reply.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import aiohttp
import msgspec
import stamina
from yarl import URL

from adapters.budget_insight import payloads
from adapters.budget_insight.failures import TryAgain, failure_of, seconds_to_wait
from adapters.budget_insight.pacing import PATIENCE, Pace, Sleep
from application.ports import ProviderError, ProviderUnreachable, UnexpectedAnswer

REPLY_SIZE_MAX = 8 * 2**20
PIECE_SIZE = 2**16
REPLY_SECONDS = 20.0
CONNECT_SECONDS = 5.0

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode


def open_session() -> aiohttp.ClientSession:
    """A session that keeps nothing between requests and takes nothing from the environment."""
    return aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar())


class Retries:
    """Tries again what is safe to repeat and may pass by itself: with growing, jittered pauses, or after the
    time that the provider asks for, if that is within `patience` seconds. `rng` draws the jitter,
    in place of the generator of the process."""

    def __init__(
        self,
        *,
        attempts: int = 4,
        pause_initial: float = 0.5,
        pause_max: float = 8.0,
        patience: float = PATIENCE,
        sleep: Sleep = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.patience = patience
        self.sleep = sleep
        self._attempts = attempts
        self._pause_initial = pause_initial
        self._pause_max = pause_max
        self._uniform = rng.uniform if rng else random.uniform

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        pause = 0.0
        # The pause itself is ours, so that a simulated clock can stand in for it.
        async for attempt in stamina.retry_context(
            on=lambda error: 0.0 if self._passes(error) else False,
            attempts=self._attempts,
            timeout=None,
            wait_initial=self._pause_initial,
            wait_max=self._pause_max,
        ):
            if pause:
                await self.sleep(pause)
            with attempt:
                try:
                    return await call()
                except TryAgain as error:
                    pause = error.retry_after or attempt.next_wait * self._uniform(0.5, 1.5)
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _passes(self, error: Exception) -> bool:
        return isinstance(error, TryAgain) and (error.retry_after or 0.0) <= self.patience


async def once(call: Callable[[], Awaitable[T]]) -> T:
    """In place of `Retries`: for what does a second thing when it is said twice."""
    return await call()


class Transport:
    """Sends requests to one tenant's API."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        pace: Pace | None = None,
        retries: Retries | None = None,
        reply_seconds: float = REPLY_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._session = session
        self._pace = pace or Pace()
        self._retries = retries or Retries()
        self._reply_seconds = reply_seconds
        self._now = now

    async def send(
        self,
        method: str,
        url: URL,
        *,
        token: str | None = None,
        body: Mapping[str, Any] | None = None,
        seconds: float | None = None,
        repeat: bool = True,
    ) -> Any:
        """The decoded answer; None if it has no content.

        Raises:
            ProviderError: in all other cases.
        """
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else _encode(body)
        total = self._reply_seconds if seconds is None else seconds

        async def call() -> Any:
            await self._pace.turn()
            try:
                return await self._exchange(method, url, headers, data, total)
            except ProviderError:
                raise
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                failure = _failure_to_talk(error)
            # Raised here and not above, so that it drags no error with an address along.
            raise failure

        return await (self._retries if repeat else once)(call)

    async def pause(self, seconds: float) -> None:
        await self._retries.sleep(seconds)

    async def _exchange(
        self, method: str, url: URL, headers: Mapping[str, str], data: bytes | None, seconds: float
    ) -> Any:
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        async with self._session.request(
            method,
            url,
            headers=headers,
            data=data,
            allow_redirects=False,
            auto_decompress=False,
            timeout=timeout,
        ) as response:
            try:
                if 300 <= response.status < 400:
                    raise UnexpectedAnswer("redirect")
                if response.status >= 400:
                    code = await _code_of(response)
                    retry_after = seconds_to_wait(response.headers.get("Retry-After"), self._now())
                    if response.status == 429 and retry_after:
                        self._pace.hold(retry_after)
                    raise failure_of(response.status, code, retry_after)
                return await _content_of(response)
            except BaseException:
                # What is left of the reply is not worth reading.
                response.close()
                raise


async def _content_of(response: aiohttp.ClientResponse) -> Any:
    body = await _body_of(response)
    if not body:
        return None
    if not _is_json(response):
        raise UnexpectedAnswer("not_json")
    return payloads.decode(body)


async def _code_of(response: aiohttp.ClientResponse) -> object:
    """The `code` of an error; None where the answer is a page of some machine on the way."""
    try:
        content = await _content_of(response)
    except UnexpectedAnswer:
        return None
    return content.get("code") if isinstance(content, dict) else None


def _is_json(response: aiohttp.ClientResponse) -> bool:
    return response.content_type == "application/json" or response.content_type.endswith("+json")


async def _body_of(response: aiohttp.ClientResponse) -> bytes:
    """The whole body, unpacked, or an error as soon as it proves too large."""
    if response.content_length is not None and response.content_length > REPLY_SIZE_MAX:
        raise UnexpectedAnswer("too_large")
    body = bytearray()
    async for piece in _unpacked(response):
        body += piece
        if len(body) > REPLY_SIZE_MAX:
            raise UnexpectedAnswer("too_large")
    return bytes(body)


async def _unpacked(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body in pieces of bounded size: a few bytes of gzip may stand for a gigabyte."""
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    pieces = response.content.iter_chunked(PIECE_SIZE)
    if coding == "identity":
        async for piece in pieces:
            yield piece
        return
    if coding not in {"gzip", "x-gzip"}:
        raise UnexpectedAnswer("unknown_encoding")
    gzip = zlib.decompressobj(wbits=31)
    try:
        async for piece in pieces:
            while piece:
                yield gzip.decompress(piece, PIECE_SIZE)
                piece = gzip.unconsumed_tail
        yield gzip.flush()
    except zlib.error:
        raise UnexpectedAnswer("malformed") from None
    if not gzip.eof:
        raise UnexpectedAnswer("malformed")


def _failure_to_talk(error: Exception) -> ProviderError:
    match error:
        case aiohttp.ConnectionTimeoutError():
            return TryAgain("network")
        case TimeoutError():
            # It took all the time there was: whoever asked may ask again later.
            return ProviderUnreachable("timeout")
        case aiohttp.ClientSSLError():
            return ProviderUnreachable("tls")
        case aiohttp.ClientConnectionError() | aiohttp.ClientPayloadError() | OSError():
            return TryAgain("network")
    return UnexpectedAnswer("malformed_http")
