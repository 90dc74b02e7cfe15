"""Many histories, in as many processes as there are, and what was tried in all of them together."""

from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

import msgspec

from scripts.histories.lies import KINDS as LIES
from scripts.histories.machine import KINDS as FAULTS
from scripts.histories.machine import POINTS
from scripts.histories.run import Told, scratch, simulate

#: Seeds that one process is handed at a time.
CHUNK = 10
#: After so many of these a process gives way to another, so that what caches gather is let go.
CHUNKS_MAX = 50
#: One seed of so many is told twice.
TWICE_EVERY = 25
#: From so many histories on, everything must have been tried.
COMPLETE_FROM = 100

#: Called after each chunk: how many histories are told, and of how many.
Progress = Callable[[int, int], None]


class Campaign(msgspec.Struct):
    """What came of many histories."""

    histories: int = 0
    facts: int = 0
    days: float = 0.0
    tried: Counter[str] = msgspec.field(default_factory=Counter)
    """By kind of fault, the bank's and ours."""
    died: Counter[str] = msgspec.field(default_factory=Counter)
    """By the point where the process was killed."""
    broken: list[Told] = []

    def add(self, told: Told) -> None:
        self.histories += 1
        self.facts += told.facts
        self.days += told.days
        self.tried.update(told.tried)
        self.died.update(told.died)
        if told.broken is not None:
            self.broken.append(told)

    def never_tried(self) -> list[str]:
        """The kinds of fault and the points that did not come about once."""
        kinds = [kind for kind in (*LIES, *FAULTS) if not self.tried[kind]]
        return kinds + [point for point in POINTS if not self.died[point]]

    @property
    def failed(self) -> bool:
        return bool(self.broken) or (self.histories >= COMPLETE_FROM and bool(self.never_tried()))


def run(
    seeds: Sequence[int],
    *,
    jobs: int = 0,
    over_http: bool = False,
    progress: Progress = lambda done, of: None,
    broke: Callable[[Told], None] = lambda told: None,
) -> Campaign:
    """Tell the histories of these seeds, in `jobs` processes (0: one for each core). `broke` is told of each that
    breaks a law, as soon as that is known."""
    campaign = Campaign()
    for told in _told(seeds, jobs or os.cpu_count() or 1, over_http):
        campaign.add(told)
        if told.broken is not None:
            broke(told)
        progress(campaign.histories, len(seeds))
    campaign.broken.sort(key=lambda told: told.seed)
    return campaign


def _told(seeds: Sequence[int], jobs: int, over_http: bool) -> Iterator[Told]:
    chunks = iter([seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)])
    if jobs == 1 or len(seeds) == 1:
        for chunk in chunks:
            yield from tell_all(chunk, over_http=over_http)
        return
    processes = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, processes, max_tasks_per_child=CHUNKS_MAX) as pool:
        under_way: set[Future[list[Told]]] = set()
        while True:
            # No more than the processes have at hand, so that an end by hand comes soon.
            while len(under_way) < 2 * jobs and (chunk := next(chunks, None)) is not None:
                under_way.add(pool.submit(tell_all, chunk, over_http=over_http))
            if not under_way:
                return
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                yield from future.result()


def tell_all(seeds: Sequence[int], *, over_http: bool = False) -> list[Told]:
    folder = scratch()
    try:
        return [
            simulate(seed, folder, over_http=True) if over_http else _tell(seed, folder) for seed in seeds
        ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        gc.collect()


def _tell(seed: int, folder: Path) -> Told:
    """The history of a seed; of some seeds twice, which must be the same: that is the tenth law."""
    told = simulate(seed, folder)
    if seed % TWICE_EVERY == 0 and (again := simulate(seed, folder)) != told and told.broken is None:
        told.broken = (
            f"law 10: told twice it has {told.facts} facts and {again.facts}, or says them otherwise"
        )
    return told
