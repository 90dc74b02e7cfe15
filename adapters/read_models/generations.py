"""Making generations: rebuild beside the live one and switch, compare, audit in a scratch file.

Several may write at once - the projector, a rebuild - because every transaction moves the checkpoint of its
generation by compare-and-set. So the hand-over loses no fact: the new generation is caught up, the pointer
switched, and caught up once more; from the switch on the projector finds it and goes on from its checkpoint.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from adapters.read_models import pointer
from adapters.read_models.sqlite import SchemaDiffers, SqliteGeneration
from projections.catch_up import Progress, catch_up
from projections.digest import Difference, Digest, digest, first_difference
from projections.ports import Source

_LOCK = "rebuild.lock"
_SCRATCH = "audit.sqlite3"
#: How often a difference is looked at before it is believed.
COMPARISONS_MAX = 3


class RebuildRunning(Exception):
    """Another rebuild or audit is at work in this directory."""


class Comparison(NamedTuple):
    """Two generations at one position."""

    position: int
    first: Digest
    second: Digest
    difference: Difference | None

    @property
    def is_equal(self) -> bool:
        return self.difference is None


class Rebuilt(NamedTuple):
    number: int
    position: int
    comparison: Comparison | None
    """With the generation that was live (the first) before; None if there was none of this version."""


def open_live(directory: Path) -> SqliteGeneration | None:
    """The live generation, to be read and written; None if there is none of this version."""
    number = pointer.current(directory)
    if number is None or not pointer.path_of(directory, number).exists():
        return None
    try:
        return SqliteGeneration(pointer.path_of(directory, number))
    except SchemaDiffers:
        return None


def rebuild(source: Source, directory: Path, progress: Progress | None = None) -> Rebuilt:
    """Build a new generation beside the live one, compare the two, and switch to the new one.

    Raises:
        RebuildRunning: another one is at work.
        Stopped: a fact without a consumer could not be projected; nothing was switched.
    """
    with _alone(directory):
        _remove_leftovers(directory)
        number = max(pointer.numbers(directory), default=0) + 1
        path = pointer.path_of(directory, number)
        live = open_live(directory)
        try:
            upto = None if live is None else live.checkpoint()
            building = SqliteGeneration(path, building=True)
            try:
                catch_up(source, building, upto=upto, building=True, progress=progress)
                building.finish_building()
            finally:
                building.close()
            new = SqliteGeneration(path)
            try:
                comparison = None if live is None else compare(source, live, new, progress)
                catch_up(source, new, progress=progress)
                pointer.switch(directory, number)
                catch_up(source, new, progress=progress)
                position = new.checkpoint()
                if live is None or new.has_erased:
                    # Erased since the build began, or out of our sight: the old one may not have heard of it.
                    remove_predecessors(directory)
                    new.wipe()
            finally:
                new.close()
        except BaseException:
            if pointer.current(directory) != number:
                pointer.remove(directory, number)
            raise
        finally:
            if live is not None:
                live.close()
        keep_predecessor(directory)
        return Rebuilt(number, position, comparison)


def audit(source: Source, directory: Path, progress: Progress | None = None) -> Comparison | None:
    """Fold the log into a scratch generation and compare it (the second) with the live one (the first).

    None if there is no live generation of this version. The scratch file is removed.

    Raises:
        RebuildRunning: another one is at work.
        Stopped: a fact without a consumer could not be projected.
    """
    with _alone(directory):
        live = open_live(directory)
        if live is None:
            return None
        path = directory / _SCRATCH
        _remove_file(path)
        try:
            building = SqliteGeneration(path, building=True)
            try:
                catch_up(source, building, upto=live.checkpoint(), building=True, progress=progress)
                building.finish_building()
            finally:
                building.close()
            scratch = SqliteGeneration(path)
            try:
                return compare(source, live, scratch, progress)
            finally:
                scratch.close()
        finally:
            live.close()
            _remove_file(path)


def compare(
    source: Source, live: SqliteGeneration, new: SqliteGeneration, progress: Progress | None = None
) -> Comparison:
    """Compare a generation with one that is not past it, both caught up.

    A key that is destroyed meanwhile lets the new one find less than the live one, until both have seen the
    fact that tells of it: so what differs is looked at again while the log goes on.
    """
    for _ in range(COMPARISONS_MAX):
        catch_up(source, live)
        catch_up(source, new, upto=live.checkpoint(), progress=progress)
        comparison = _compare_at_a_moment(source, live, new)
        if comparison.is_equal or comparison.position >= source.head():
            break
    return comparison


def _compare_at_a_moment(source: Source, live: SqliteGeneration, new: SqliteGeneration) -> Comparison:
    # Held open only while the rows are read, so that the write-ahead log does not grow.
    first = live.snapshot()
    try:
        position = live.checkpoint()
        catch_up(source, new, upto=position)
        second = new.snapshot()
        try:
            one, other = digest(first), digest(second)
            difference = None if one == other else first_difference(first, second)
        finally:
            new.rollback()
    finally:
        live.rollback()
    return Comparison(position, one, other, difference)


def start_empty(directory: Path) -> None:
    """Make an empty generation the live one, to be caught up while it is read."""
    number = max(pointer.numbers(directory), default=0) + 1
    SqliteGeneration(pointer.path_of(directory, number)).close()
    pointer.switch(directory, number)


def keep_predecessor(directory: Path) -> None:
    """Remove all generations older than the predecessor of the live one."""
    live = pointer.current(directory)
    older = [number for number in pointer.numbers(directory) if live is not None and number < live]
    for number in older[:-1]:
        pointer.remove(directory, number)


def remove_predecessors(directory: Path) -> None:
    """Remove all generations before the live one: they hold what was just erased."""
    live = pointer.current(directory)
    for number in pointer.numbers(directory):
        if live is not None and number < live:
            pointer.remove(directory, number)


def make_directory(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    make_directory(directory)
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RebuildRunning from None
        yield
    finally:
        os.close(descriptor)


def remove_leftovers(directory: Path) -> None:
    """Remove what a rebuild or an audit left behind when it was cut off; not while one is at work."""
    try:
        with _alone(directory):
            _remove_leftovers(directory)
    except RebuildRunning:
        pass


def _remove_leftovers(directory: Path) -> None:
    _remove_file(directory / _SCRATCH)
    live = pointer.current(directory)
    for number in pointer.numbers(directory):
        if live is None or number > live:
            pointer.remove(directory, number)


def _remove_file(path: Path) -> None:
    for companion in pointer.COMPANIONS:
        path.with_name(path.name + companion).unlink(missing_ok=True)
