"""The table of a run, in Markdown, and the page it is kept in."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from scripts.bench.measure import Result, Run, Spread

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
LIBRARIES = ("eventsourcing", "msgspec", "aiohttp", "pydantic", "cryptography", "zstandard")
GIB = 1024**3


class NoMarkers(Exception):
    """The page has no place for the table."""


def table(run: Run, command: str, scratch: Path, load: float) -> str:
    """The figures, and what they were measured with. `load` is what the machine was at before."""
    return "\n".join(
        [
            "| what | unit | ours | against | ratio | min | max |",
            "| --- | --- | --: | --: | --: | --: | --: |",
            *(_row(result) for result in run.results),
            "",
            f"`{command}`: {run.rounds} rounds after a discarded one, interleaved; medians; ratios made by round.",
            f"Load of the machine before: {load:.1f}.",
            "",
            *_machine(scratch),
        ]
    )


def write(text: str, page: Path = PAGE) -> None:
    """Put a table in place of the one on the page.

    Raises:
        NoMarkers
    """
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise NoMarkers(f"{page.name} has no {BEGIN} … {END}")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def _row(result: Result) -> str:
    line = result.line
    figures = [_figure(result.ours.median), "" if result.against is None else _figure(result.against.median)]
    return f"| {' | '.join([line.what, line.unit, *figures, *_ratio(result.ratio)])} |"


def _ratio(ratio: Spread | None) -> list[str]:
    return ["", "", ""] if ratio is None else [f"{value:.2f}" for value in ratio]


def _figure(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _machine(scratch: Path) -> Iterator[str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    yield (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {platform.system()}, "
        f"scratch files on {_file_system(scratch)}."
    )
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    yield f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {libraries}."


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.machine()


def _file_system(path: Path) -> str:
    """The kind of file system: on one in memory, making things durable costs nothing."""
    found = ("", "an unknown file system")
    try:
        mounts = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return found[1]
    for mount in mounts:
        _, point, kind, *_ = mount.split()
        if path.resolve().is_relative_to(point) and len(point) > len(found[0]):
            found = (point, kind)
    return found[1]
