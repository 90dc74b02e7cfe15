"""What providers send by themselves: hints to look, never data.

A push says at most "there may be something new about this connection". It leads to a sync that reads the provider
over our own session; lost, doubled, reordered or replayed pushes change when that happens, and never what comes of
it. Pushes of a few seconds lead to one sync, and none of them is forgotten by a crash once it was acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from urllib.parse import urlsplit

import msgspec

from application.execute import Services, credentials_of, load
from application.ports import (
    Delivery,
    Inbox,
    KeyDestroyed,
    LogError,
    LogUnavailable,
    Push,
    PushForged,
    PushReader,
    PushUnreadable,
)
from application.refusals import Unavailable
from domain import data_connection, streams
from domain.refusals import NotFound, Refused

log = logging.getLogger("passbook.webhooks")

PATH = "/webhooks/{provider}/{endpoint}/{event}"
SECRET = "webhook_secret"
ENDPOINT_SIZE = 24
#: How long to wait for the pushes that come along with one, and for a sync that is under way. Seconds.
PAUSE = 3.0
#: A body beyond this is verified and read in a thread, so that the loop stays free.
INLINE_MAX = 65_536

_ENDPOINT = re.compile(rf"[0-9a-f]{{{2 * ENDPOINT_SIZE}}}", re.ASCII)


class Registration(msgspec.Struct, frozen=True):
    """What a tenant registers at the provider: an address for each event."""

    endpoint: str
    addresses: Mapping[str, str]
    secret_set: bool


class Webhooks:
    """The pushes of all tenants, and the syncs that they lead to."""

    def __init__(
        self, services: Services, inbox: Inbox, readers: Mapping[str, PushReader], *, pause: float = PAUSE
    ) -> None:
        self._services = services
        self._inbox = inbox
        self._readers = readers
        self._pause = pause
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._indexing: asyncio.Task[None] | None = None
        services.connecting = self.index

    async def start(self) -> None:
        """Look at what is still to be looked at. An inbox that is new learns what the log holds."""
        if not await self._inbox.is_indexed():
            self._indexing = asyncio.create_task(self._index_all(), name="indexing connections")
        for stream in await self._inbox.waiting():
            self._look(stream)

    async def stop(self) -> None:
        """Leave what is under way; the inbox keeps it."""
        tasks = [*self._looking.values(), *([self._indexing] if self._indexing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # The address

    async def registration(self, tenant: str, provider: str) -> Registration:
        """The tenant's endpoint, made now if there is none yet.

        Raises:
            NotFound: this provider sends nothing.
        """
        if provider not in self._readers:
            raise NotFound
        endpoint = await self._endpoint(tenant, provider)
        credentials = await credentials_of(self._services, tenant, provider) or {}
        root = self._services.public_url
        addresses = {
            event: root + PATH.format(provider=provider, endpoint=endpoint, event=event)
            for event in self._readers[provider].events
        }
        return Registration(endpoint, addresses, SECRET in credentials)

    async def _endpoint(self, tenant: str, provider: str) -> str:
        name = _endpoint_name(provider)
        # Two who ask at once must be told the same.
        async with self._services.one_at_a_time.setdefault(f"{tenant}/{name}", asyncio.Lock()):
            kept = await self._services.secrets.find(tenant, name)
            if kept is None:
                kept = self._services.ids.token(ENDPOINT_SIZE).hex().encode()
                await self._services.secrets.put(tenant, name, kept)
            await self._inbox.open_endpoint(sha256(kept).digest(), tenant, provider)
            return kept.decode()

    async def tenant_of(self, provider: str, endpoint: str) -> str:
        """Whose endpoint this is. It is found by a digest, so that no comparison tells how near a guess came.

        Raises:
            NotFound: nobody's.
        """
        if provider not in self._readers or not _ENDPOINT.fullmatch(endpoint):
            raise NotFound
        tenant = await self._inbox.tenant_of(sha256(endpoint.encode()).digest(), provider)
        if tenant is None:
            raise NotFound
        return tenant

    # A push

    async def receive(
        self,
        tenant: str,
        provider: str,
        endpoint: str,
        event: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
    ) -> None:
        """Verify a push, note what is to be looked at, and be done. What cannot be read is let pass, by reason.

        Raises:
            PushForged: also where the tenant has set no secret, so that nothing can be verified.
            PushTooLarge.
        """
        try:
            push = await self._read(tenant, provider, endpoint, event, headers, body)
        except (PushForged, PushUnreadable) as refused:
            log.warning("a push was refused", extra={"tenant": tenant, "reason": refused.reason})
            if isinstance(refused, PushForged):
                raise
            return
        found = await self._found(tenant, provider, push)
        digest = sha256(endpoint.encode()).digest()
        if await self._inbox.take(digest, push.mark, found, self._services.clock.now()):
            for stream in found:
                self._look(stream)

    async def _read(
        self,
        tenant: str,
        provider: str,
        endpoint: str,
        event: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
    ) -> Push:
        secret = (await credentials_of(self._services, tenant, provider) or {}).get(SECRET)
        if secret is None:
            raise PushForged("no_secret")
        delivery = Delivery(
            # A proxy may have taken the first part of the path away, which was signed all the same.
            path=urlsplit(self._services.public_url).path.rstrip("/")
            + PATH.format(provider=provider, endpoint=endpoint, event=event),
            event=event,
            headers=headers,
            body=body,
            received_at=self._services.clock.now(),
        )
        read = self._readers[provider].read
        if len(body) <= INLINE_MAX and not any(name.lower() == "content-encoding" for name, _ in headers):
            return read(delivery, secret)
        return await asyncio.to_thread(read, delivery, secret)

    async def _found(self, tenant: str, provider: str, push: Push) -> list[str]:
        """The connections of the tenant that a push is about; those it does not know are nobody's."""
        names = [self._connection_name(tenant, provider, reference) for reference in push.connections]
        if push.whole_user and push.user is not None:
            names.append(self._user_name(tenant, provider, push.user))
        candidates = {stream for name in names for stream in await self._inbox.streams_of(name)}
        return [stream for stream in sorted(candidates) if await self._is_about(stream, push)]

    async def _is_about(self, stream: str, push: Push) -> bool:
        """The index keeps what a connection was called before, too."""
        state = (await load(self._services, stream)).state
        return (
            isinstance(state, data_connection.Requested)
            and state.status == data_connection.CONNECTED
            and push.user in (None, state.provider_user)
            and (push.whole_user or state.reference in push.connections)
        )

    # What comes of it

    def _look(self, stream: str) -> None:
        self._again.add(stream)
        # One that has ended, and has not been taken out yet, looks no more.
        if stream not in self._looking or self._looking[stream].done():
            self._looking[stream] = asyncio.create_task(self._follow(stream), name="looking at a connection")
            self._looking[stream].add_done_callback(lambda task: self._looked(stream, task))

    def _looked(self, stream: str, task: asyncio.Task[None]) -> None:
        if self._looking.get(stream) is task:
            del self._looking[stream]
        if not task.cancelled() and (error := task.exception()) is not None:
            # It stays in the inbox until the next start.
            log.error("a push failed", extra={"error": type(error).__name__})

    async def _follow(self, stream: str) -> None:
        """Look once the pushes have calmed down; once more if another came meanwhile."""
        while stream in self._again:
            await self._services.clock.sleep(self._pause)
            self._again.discard(stream)
            try:
                if not await self._services.refresh(stream, data_connection.WEBHOOK):
                    self._again.add(stream)
                elif stream not in self._again:
                    await self._inbox.done(stream)
            except (KeyDestroyed, Refused):
                # Deleted, disconnected or erased meanwhile: there is nothing to look at.
                with suppress(LogUnavailable):
                    await self._inbox.done(stream)
            except (Unavailable, LogUnavailable) as error:
                log.warning("a push waits", extra={"error": type(error).__name__})
                self._again.add(stream)

    # The index

    async def index(self, stream: str, provider: str, reference: str, user: str) -> None:
        """Let pushes about this connection find it."""
        tenant = streams.parse(stream).tenant
        names = (
            self._connection_name(tenant, provider, reference),
            self._user_name(tenant, provider, user),
        )
        try:
            await self._inbox.index(stream, names)
        except LogUnavailable:
            # A person is on the way back from the bank: they must not be held up by what is only for hints.
            log.error("a connection could not be indexed", extra={"reason": "inbox_unavailable"})

    async def _index_all(self) -> None:
        """Once for each inbox: all connections and endpoints there are."""
        try:
            await self._index_log()
        except (LogError, Unavailable) as error:
            # The next start tries again; those that connect meanwhile are indexed all the same.
            log.error("connections could not be indexed", extra={"error": type(error).__name__})

    async def _index_log(self) -> None:
        tenants = set()
        for stream in await self._services.log.streams(""):
            tenant, _, aggregate, _ = streams.parse(stream)
            tenants.add(tenant)
            if aggregate == streams.DATA_CONNECTION:
                state = (await load(self._services, stream)).state
                if isinstance(state, data_connection.Requested) and state.reference and state.provider_user:
                    await self.index(stream, state.provider, state.reference, state.provider_user)
        for tenant in sorted(tenants):
            for provider in self._readers:
                if await self._services.secrets.find(tenant, _endpoint_name(provider)) is not None:
                    await self._endpoint(tenant, provider)
        await self._inbox.set_indexed()

    def _connection_name(self, tenant: str, provider: str, reference: str) -> bytes:
        said = f"{provider}|connection|{reference}".encode()
        return self._services.keys.keyed_hash(tenant, "webhooks", said)

    def _user_name(self, tenant: str, provider: str, user: str) -> bytes:
        return self._services.keys.keyed_hash(tenant, "webhooks", f"{provider}|user|{user}".encode())


def _endpoint_name(provider: str) -> str:
    return f"{provider}/webhook-endpoint"
