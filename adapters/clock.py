"""The machine's own time and chance."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime
from uuid import uuid4


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class RandomIds:
    def uuid(self) -> str:
        return str(uuid4())

    def token(self, size: int) -> bytes:
        return secrets.token_bytes(size)
