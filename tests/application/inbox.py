"""An inbox without a file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from adapters.jobs.inbox import KEPT
from application.ports import LogUnavailable


class MemoryInbox:
    """Implements `application.ports.Inbox` and `AskLedger`. `broken` makes every use of it fail."""

    def __init__(self) -> None:
        self.endpoints: dict[tuple[bytes, str], str] = {}
        self.names: set[tuple[bytes, str]] = set()
        self.pushes: dict[tuple[bytes, bytes], datetime] = {}
        self.left: set[str] = set()
        self.asks: list[tuple[str, datetime]] = []
        self.indexed = False
        self.broken = False

    def _check(self) -> None:
        if self.broken:
            raise LogUnavailable("the disk is away")

    async def open_endpoint(self, endpoint: bytes, tenant: str, provider: str) -> None:
        self._check()
        self.endpoints[endpoint, provider] = tenant

    async def tenant_of(self, endpoint: bytes, provider: str) -> str | None:
        self._check()
        return self.endpoints.get((endpoint, provider))

    async def index(self, stream: str, names: Sequence[bytes]) -> None:
        self._check()
        self.names.update((name, stream) for name in names)

    async def streams_of(self, name: bytes) -> Sequence[str]:
        self._check()
        return sorted(stream for named, stream in self.names if named == name)

    async def take(self, endpoint: bytes, mark: bytes, streams: Sequence[str], at: datetime) -> bool:
        self._check()
        if (endpoint, mark) in self.pushes:
            return False
        self.pushes[endpoint, mark] = at
        self.left.update(streams)
        return True

    async def waiting(self) -> Sequence[str]:
        return sorted(self.left)

    async def done(self, stream: str) -> None:
        self._check()
        self.left.discard(stream)

    async def asks_since(self, stream: str, since: datetime) -> Sequence[datetime]:
        self._check()
        return sorted(at for asked, at in self.asks if asked == stream and at > since)

    async def note_ask(self, stream: str, at: datetime) -> None:
        self._check()
        self.asks = [(asked, then) for asked, then in self.asks if then >= at - KEPT] + [(stream, at)]

    async def is_indexed(self) -> bool:
        return self.indexed

    async def set_indexed(self) -> None:
        self.indexed = True
