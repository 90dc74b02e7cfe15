"""A data folder as `passbook serve` keeps it, made and filled without the service."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from adapters.event_log.mapper import SealedMapper
from adapters.event_log.sqlite import SqliteEventLog, SqliteLogSource
from adapters.settings import Settings
from adapters.storage import LOG_FILE, READ_MODELS_FOLDER, open_source, open_vault
from application.ports import Append, Appended, Change, Context
from scripts.bench.statements import AS_OF, TENANT, Person, beginnings

COMMAND = b"sixteen bytes of"


class Folder:
    """Keys and log, open for writing, with the version that each stream is at."""

    def __init__(self, path: Path, *, point: Callable[[str], None] = lambda name: None) -> None:
        # Everything is given here, so that nothing in the environment leads elsewhere.
        self.settings = Settings(data=path, master_key_file=path.with_name(f"{path.name}.key"))
        self.vault = open_vault(self.settings)
        self.mapper = SealedMapper(self.vault.keys)
        self.log = SqliteEventLog(path / LOG_FILE, self.mapper, point=point)
        self.read_models = path / READ_MODELS_FOLDER
        self.versions: dict[str, int] = {}

    def close(self) -> None:
        self.log.close()
        self.vault.close()

    def source(self) -> SqliteLogSource:
        """The log as another process reads it."""
        return open_source(self.settings)

    def append_of(self, stream: str, facts: tuple[Any, ...]) -> Append:
        """An append at the version the stream is at, under a command of its own."""
        version = self.versions.get(stream, 0)
        self.versions[stream] = version + len(facts)
        context = Context(
            tenant=TENANT,
            actor="sync",
            command_id=os.urandom(16),
            input_digest=os.urandom(32),
            correlation_id=COMMAND,
            causation_id=COMMAND,
        )
        return Append(
            context=context,
            recorded_at=AS_OF + timedelta(seconds=1),
            changes=(Change(stream, version, facts),),
            subject=stream,
            subject_version=version + len(facts),
        )

    async def append(self, stream: str, facts: tuple[Any, ...]) -> Appended:
        return await self.log.append(self.append_of(stream, facts))

    async def begin(self, random: Random, people: Iterable[Person]) -> None:
        """Register people with their accounts."""
        for person in people:
            await asyncio.gather(
                *(self.append(stream, facts) for stream, facts in beginnings(random, person))
            )
