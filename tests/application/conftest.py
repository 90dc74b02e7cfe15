"""The service over a log in memory, and over the files that a service has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.application.world import World, in_memory, on_disk


@pytest.fixture
def world() -> World:
    return World(in_memory())


@pytest.fixture
def world_on_disk(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(on_disk(tmp_path, stack))


@pytest.fixture(params=["memory", "disk"])
def any_world(request: pytest.FixtureRequest) -> World:
    """Both: for what depends on how the log and the keys do their work."""
    return request.getfixturevalue("world" if request.param == "memory" else "world_on_disk")
