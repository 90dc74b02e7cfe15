"""The projector as a process: woken by a pipe, gone with its parent, following the pointer."""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.read_models import pointer
from adapters.read_models.generations import open_live, rebuild
from adapters.read_models.projector import POSITION
from adapters.read_models.queries import SqliteReadModels
from domain import streams
from domain.consumer import ConsumerErased
from projections.catch_up import catch_up
from tests.projections.examples import (
    ADA,
    BOB,
    MARCH_1,
    TENANT,
    History,
    ListSource,
    a_row,
    discovered,
    fetched,
    of_account,
    of_consumer,
    registered,
)

ROOT = Path(__file__).parent.parent.parent
TIMEOUT_SECONDS = 20.0


class Running:
    """A projector that runs, the log it reads, and the pipes to it."""

    def __init__(self, directory: Path, history: History | None = None) -> None:
        self.log = directory / "log"
        self.directory = directory / "read_models"
        self.history = history or History()
        self.write()
        wake, self.wake = os.pipe()
        self.reports, report = os.pipe()
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.read_models.projected",
                *map(str, (self.log, self.directory, wake, report)),
            ],
            cwd=ROOT,
            pass_fds=(wake, report),
        )
        os.close(wake)
        os.close(report)
        self.ask = SqliteReadModels(self.directory)

    def write(self) -> None:
        new = self.log.with_suffix(".new")
        new.write_bytes(pickle.dumps(self.history.recorded))
        new.replace(self.log)

    def wake_up(self) -> None:
        os.write(self.wake, b"!")

    def reported(self, position: int) -> None:
        """Wait until the projector has said that it is there."""
        ends = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < ends:
            if select.select([self.reports], [], [], 0.1)[0]:
                said = os.read(self.reports, POSITION.size)
                assert said, "the projector is gone"
                if POSITION.unpack(said)[0] >= position:
                    return
        pytest.fail(f"position {position} was never reported")

    def end(self) -> None:
        self.ask.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    running.end()


def test_it_projects_when_it_is_woken_and_ends_when_the_pipe_closes(running: Running) -> None:
    running.reported(0)
    running.history.add(of_consumer(), registered())
    running.write()
    running.wake_up()
    running.reported(1)
    assert running.ask.position() == 1
    assert running.ask.consumer(TENANT, ADA) is not None
    os.close(running.wake)
    assert running.process.wait(timeout=5) == 0


def test_it_looks_by_itself(running: Running) -> None:
    running.reported(0)
    running.history.add(of_consumer(), registered())
    running.write()
    running.reported(1)


def test_it_goes_on_with_the_generation_that_a_rebuild_switched_to(running: Running) -> None:
    running.history.add(of_consumer(), registered()).add(
        of_account(), discovered(), fetched(a_row(1, MARCH_1, 5))
    )
    running.write()
    running.reported(3)
    built = rebuild(ListSource(running.history.recorded), running.directory)
    assert (built.number, built.comparison.is_equal) == (2, True)
    running.history.add(of_consumer(BOB), registered())
    running.write()
    running.wake_up()
    running.reported(4)
    assert pointer.current(running.directory) == 2
    assert (running.ask.position(), running.ask.consumers(TENANT, 1, 20)[0]) == (4, 2)


def test_an_erasure_reaches_the_generation_kept_for_a_rollback(running: Running) -> None:
    secret = "Zanzibar Import-Export"
    running.history.add(of_consumer(), registered(secret))
    running.write()
    running.reported(1)
    rebuild(ListSource(running.history.recorded), running.directory)
    running.history.add(of_consumer(), ConsumerErased())
    running.write()
    running.wake_up()
    running.reported(2)
    running.reported(2)
    files = [path for path in running.directory.iterdir() if secret.encode() in path.read_bytes()]
    assert files == [] and pointer.numbers(running.directory) == [2]


def test_what_comes_before_a_fact_that_stops_everything_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    history = (
        History().add(of_consumer(), registered()).unreadable(streams.provider(TENANT, "budget_insight"))
    )
    running = Running(tmp_path, history.add(of_consumer(BOB), registered()))
    running.reported(1)
    assert running.ask.position() == 1 and running.ask.consumers(TENANT, 1, 20)[0] == 1
    assert running.process.poll() is None
    running.end()


def test_an_erasure_that_was_cut_short_is_finished_at_the_next_start(tmp_path: Path) -> None:
    secret = "Zanzibar Import-Export"
    directory = tmp_path / "read_models"
    history = History().add(of_consumer(), registered(secret))
    rebuild(ListSource(history.recorded), directory)
    rebuild(ListSource(history.recorded), directory)
    history.add(of_consumer(), ConsumerErased())
    killed = open_live(directory)
    catch_up(ListSource(history.recorded), killed)
    assert pointer.numbers(directory) == [1, 2]
    running = Running(tmp_path, history)
    running.reported(2)
    running.reported(2)
    assert pointer.numbers(directory) == [2]
    assert [path for path in directory.iterdir() if secret.encode() in path.read_bytes()] == []
    killed.close()
    running.end()


def test_it_starts_again_where_it_was(running: Running, tmp_path: Path) -> None:
    running.history.add(of_consumer(), registered())
    running.write()
    running.reported(1)
    running.process.kill()
    running.process.wait()
    (tmp_path / "again").mkdir()
    (tmp_path / "read_models").rename(tmp_path / "again" / "read_models")
    again = Running(tmp_path / "again")
    again.history.add(of_consumer(), registered()).add(of_consumer(BOB), registered())
    again.write()
    again.reported(2)
    assert again.ask.consumers(TENANT, 1, 20)[0] == 2
    assert pointer.numbers(again.directory) == [1]
    again.end()
