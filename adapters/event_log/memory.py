"""The log in memory, over the library's plain-objects recorder: for tests, sealed like any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from eventsourcing.popo import POPOApplicationRecorder

from adapters.event_log.mapper import SealedMapper
from adapters.event_log.prepare import prepare
from adapters.event_log.rows import Row, opened
from application.ports import Append, Appended, Command, Conflict, KeyDestroyed, LogError, Snapshot
from domain.fact import Recorded
from projections import ports as projections


class MemoryEventLog:
    """`EventLog` without a file."""

    def __init__(self, mapper: SealedMapper) -> None:
        self.on_commit: list[Callable[[int], None]] = []
        self._mapper = mapper
        self._recorder = POPOApplicationRecorder()
        self._leaves: list[bytes] = []
        self._positions: dict[str, list[int]] = {}
        self._commands: dict[tuple[str, bytes], Command] = {}
        self._snapshots: dict[str, tuple[int, str, bytes]] = {}

    def close(self) -> None:
        """For the sake of those who close whatever log they opened."""

    async def facts(self, stream: str, *, after: int = 0, upto: int | None = None) -> Sequence[Recorded]:
        positions = self._positions.get(stream, ())
        return [
            self._mapper.open(
                stream,
                event.originator_version,
                event.topic,
                event.state,
                positions[event.originator_version - 1],
            )
            for event in self._recorder.select_events(stream, gt=after, lte=upto)
        ]

    async def streams(self, prefix: str) -> Sequence[str]:
        return sorted(stream for stream in self._positions if stream.startswith(prefix))

    async def head(self) -> int:
        return self._recorder.max_notification_id() or 0

    async def position_of(self, stream: str, version: int) -> int:
        if version == 0:
            return 0
        positions = self._positions.get(stream, ())
        if not 0 < version <= len(positions):
            raise LogError(f"{stream} has no version {version}")
        return positions[version - 1]

    async def append(self, append: Append) -> Appended:
        prepared = prepare(append, self._mapper)
        context = append.context
        if (context.tenant, context.command_id) in self._commands:
            raise Conflict("the command was stored meanwhile")
        if append.unchanged_since is not None:
            prefix, since = append.unchanged_since
            if any(self._positions[stream][-1] > since for stream in await self.streams(prefix)):
                raise Conflict(f"something below {prefix} came after {since}")
        reached: dict[str, int] = {}
        for change in append.changes:
            version = reached.get(change.stream, len(self._positions.get(change.stream, ())))
            if version != change.expected_version:
                raise Conflict(f"{change.stream} is at {version}, not at {change.expected_version}")
            reached[change.stream] = version + len(change.facts)
        head = await self.head()
        appended = Appended(head + 1, head + len(prepared.events))
        self._recorder.insert_events(prepared.events)
        self._leaves += prepared.leaves
        for position, event in enumerate(prepared.events, appended.first_position):
            self._positions.setdefault(str(event.originator_id), []).append(position)
        if context.input_digest:
            self._commands[context.tenant, context.command_id] = Command(
                input_digest=context.input_digest,
                subject=append.subject,
                version=append.subject_version,
                first_position=appended.first_position,
                last_position=appended.last_position,
            )
        if prepared.events:
            for told in self.on_commit:
                told(appended.last_position)
        return appended

    async def command(self, tenant: str, command_id: bytes) -> Command | None:
        return self._commands.get((tenant, command_id))

    async def snapshot(self, stream: str) -> Snapshot | None:
        kept = self._snapshots.get(stream)
        return self._mapper.open_snapshot(stream, *kept) if kept else None

    async def keep_snapshot(self, snapshot: Snapshot) -> None:
        kept = self._snapshots.get(snapshot.stream)
        if kept is not None and kept[0] > snapshot.version:
            return
        try:
            state = self._mapper.seal_snapshot(snapshot)
        except KeyDestroyed:
            return
        self._snapshots[snapshot.stream] = snapshot.version, snapshot.name, state


class MemoryLogSource:
    """`Source` over a log in memory."""

    def __init__(self, log: MemoryEventLog) -> None:
        self._log = log

    def head(self) -> int:
        return self._log._recorder.max_notification_id() or 0

    def read(self, after: int, limit: int) -> Sequence[Recorded | projections.Unreadable]:
        return [opened(self._log._mapper, row) for row in self.raw(after, limit)]

    def raw(self, after: int, limit: int) -> Sequence[Row]:
        return [
            Row(event.id, str(event.originator_id), event.originator_version, event.topic, event.state, leaf)
            for event, leaf in zip(
                self._log._recorder.select_notifications(after, limit, inclusive_of_start=False),
                self._log._leaves[after : after + limit],
                strict=True,
            )
        ]
