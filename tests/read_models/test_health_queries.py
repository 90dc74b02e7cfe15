"""What SQLite says is due, and how many connections are how: the same as from memory, and without reading them all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.read_models import pointer
from adapters.read_models.queries import SqliteReadModels
from adapters.read_models.sqlite import SqliteGeneration
from projections.catch_up import catch_up
from projections.directory import CONNECTIONS, CONSUMERS
from projections.health import announcements_due, refreshes_due
from tests.http.world import counted
from tests.projections.examples import ADA, CONNECTION, NOON, TENANT, ListSource
from tests.projections.told import HOUR, Told, steps, tell


@contextmanager
def asked(directory: Path, told: Told) -> Iterator[SqliteReadModels]:
    generation = SqliteGeneration(pointer.path_of(directory, 1))
    catch_up(ListSource(told.recorded), generation)
    pointer.switch(directory, 1)
    models = SqliteReadModels(directory)
    try:
        yield models
    finally:
        models.close()
        generation.close()


@settings(max_examples=60)
@given(steps, st.sampled_from([0, 1, 24]), st.integers(-48, 400))
async def test_sqlite_says_the_same_as_memory(
    tmp_path_factory: pytest.TempPathFactory, told_steps: Any, hours: int, later: int
) -> None:
    told, last = tell(told_steps, hours)
    now = last + later * HOUR
    with asked(tmp_path_factory.mktemp("health"), told) as models:
        assert await models.refreshes_due(now) == refreshes_due(told.rows, now)
        assert await models.announcements_due(now) == announcements_due(told.rows, now)
        assert models.connection_counts(now) == counted(told.rows, now)


async def test_counts_are_made_in_indices(tmp_path: Path) -> None:
    told = Told().enabled().connected()
    with asked(tmp_path, told) as models:
        said: list[str] = []
        models._live().set_trace_callback(said.append)
        models.connection_counts(NOON)
        asked_for = [sql for sql in said if sql.startswith("SELECT") and "connection_health" in sql]
        models._live().set_trace_callback(None)
        assert len(asked_for) == 3
        for sql in asked_for:
            plan = [row[3] for row in models._live().execute(f"EXPLAIN QUERY PLAN {sql}")]
            assert all("SEARCH" in step and "USING COVERING INDEX" in step for step in plan), plan


async def test_a_moment_is_one_moment(tmp_path: Path) -> None:
    with asked(tmp_path, Told().connected()) as models, models.moment() as rows:
        assert rows.get(CONSUMERS, TENANT, ADA) is not None
        assert [row.id for row in rows.scan(CONNECTIONS, TENANT, ADA)] == [CONNECTION]
        assert models._live().in_transaction
