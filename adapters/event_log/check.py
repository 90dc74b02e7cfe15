"""Reading the whole log as an auditor does: is every fact there, in its place, unaltered, and as it was sealed?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from adapters.event_log.layout import Malformed, leaf
from adapters.event_log.sqlite import Row, SqliteLogSource
from domain.fact import Erased
from projections.ports import Unreadable

ROWS_PER_READ = 512


class Finding(NamedTuple):
    """Something that cannot have come about by appending. Says where, never what the fact says."""

    kind: str
    """`missing_event`, `leaf_missing`, `leaf_differs`, `version_gap`, or why a seal does not open."""
    where: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}"


class Tallied(NamedTuple):
    """What was read."""

    facts: int
    streams: int
    erased: int
    findings: list[Finding]


def check_log(
    source: SqliteLogSource,
    *,
    findings_max: int = 100,
    progress: Callable[[int], None] = lambda position: None,
) -> Tallied:
    """Check positions, versions, leaves and seals of every fact up to the head found at the start."""
    head = source.tally().last_position
    versions: dict[str, int] = {}
    findings: list[Finding] = []
    facts = erased = position = 0
    while len(findings) < findings_max and (rows := source.raw(position, ROWS_PER_READ)):
        for row in rows:
            if row.position > head:
                break
            findings.extend(_gaps(position, row.position))
            findings.extend(_faults(row, versions.get(row.stream, 0)))
            versions[row.stream] = row.version
            position = row.position
            facts += 1
            opened = source.open(row)
            if isinstance(opened, Unreadable):
                findings.append(Finding(opened.reason, _place(row)))
            elif isinstance(opened.fact, Erased):
                erased += 1
        progress(position)
        if rows[-1].position >= head:
            break
    if len(findings) < findings_max:
        findings.extend(_gaps(position, head + 1))
    return Tallied(facts, len(versions), erased, findings[:findings_max])


def _gaps(before: int, after: int) -> Iterator[Finding]:
    """Positions are given out without gaps, and never again: what is not there was taken away."""
    for position in range(before + 1, min(after, before + 101)):
        yield Finding("missing_event", f"position {position}")


def _faults(row: Row, version_before: int) -> Iterator[Finding]:
    if row.version != version_before + 1:
        yield Finding("version_gap", f"{_place(row)}: it follows version {version_before}")
    if row.leaf is None:
        yield Finding("leaf_missing", _place(row))
        return
    try:
        differs = leaf(row.stream, row.version, row.name, row.state) != row.leaf
    except Malformed:
        # Opening it says so too, by its own name.
        return
    if differs:
        yield Finding("leaf_differs", _place(row))


def _place(row: Row) -> str:
    return f"position {row.position}, {row.stream} version {row.version}, {row.name}"
