"""How it is measured: every case once per round, side by side, so that what disturbs one disturbs its neighbour.

A ratio is made within a round; what is shown is the median of the rounds, with the least and the largest.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

Sample = dict[str, float]
"""What one turn of a case gave, by the name of the figure."""


class Case(NamedTuple):
    name: str
    run: Callable[[], Sample]


class Figure(NamedTuple):
    """A figure of a case."""

    case: str
    name: str


class Line(NamedTuple):
    """A line of the table: a figure, and what it is divided by."""

    what: str
    unit: str
    ours: Figure
    against: Figure | None = None


class Benchmark(NamedTuple):
    name: str
    cases: Sequence[Case]
    lines: Sequence[Line]


class Spread(NamedTuple):
    median: float
    least: float
    largest: float


class Result(NamedTuple):
    line: Line
    ours: Spread
    against: Spread | None
    ratio: Spread | None


class Run(NamedTuple):
    rounds: int
    """Those that count; fewer than asked for where the time was up."""
    results: list[Result]


def run(
    benchmarks: Sequence[Benchmark],
    *,
    rounds: int,
    seconds_max: float,
    step: Callable[[str], None],
) -> Run:
    """Measure `rounds` rounds after one that is discarded; `step` is told of each case before it runs.

    No round is begun that is not expected to end within `seconds_max`, except for the first that counts.
    """
    # What was prepared is not looked at again by every collection of garbage.
    gc.collect()
    gc.freeze()
    began = longest = time.monotonic()
    longest = 0.0
    counted: list[dict[Figure, float]] = []
    for number in range(rounds + 1):
        started = time.monotonic()
        if len(counted) > 0 and started - began + longest > seconds_max:
            break
        label = f"round {number} of {rounds}" if number else "warming up"
        # There and back again: who comes first changes from round to round.
        seen = _round(
            benchmarks, backwards=number % 2 == 1, step=lambda name, label=label: step(f"{label}: {name}")
        )
        longest = max(longest, time.monotonic() - started)
        if number:
            counted.append(seen)
    gc.unfreeze()
    lines = [line for benchmark in benchmarks for line in benchmark.lines]
    results = [_result(line, counted) for line in lines if line.ours in counted[0]]
    return Run(len(counted), results)


def _round(
    benchmarks: Sequence[Benchmark], *, backwards: bool, step: Callable[[str], None]
) -> dict[Figure, float]:
    seen: dict[Figure, float] = {}
    for benchmark in benchmarks:
        for case in reversed(benchmark.cases) if backwards else benchmark.cases:
            step(f"{benchmark.name}, {case.name}")
            gc.collect()
            seen.update({Figure(case.name, name): value for name, value in case.run().items()})
    return seen


def _result(line: Line, rounds: Sequence[dict[Figure, float]]) -> Result:
    ours = [seen[line.ours] for seen in rounds]
    if line.against is None:
        return Result(line, _spread(ours), None, None)
    against = [seen[line.against] for seen in rounds]
    ratios = [one / other for one, other in zip(ours, against, strict=True)]
    return Result(line, _spread(ours), _spread(against), _spread(ratios))


def _spread(values: Sequence[float]) -> Spread:
    return Spread(median(values), min(values), max(values))
