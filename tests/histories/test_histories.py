"""Three hundred histories: no law is broken, every fault is tried, and a seed tells the same twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from scripts import cli
from scripts.histories import campaign
from scripts.histories.campaign import Campaign
from scripts.histories.lies import KINDS as LIES
from scripts.histories.machine import KINDS as FAULTS
from scripts.histories.machine import POINTS
from scripts.histories.run import Told, scratch, simulate

SEEDS = range(1, 301)
CHUNK = 10
#: Seeds of the campaign; the first ones are those of the suite.
CAMPAIGN = range(1, 2_001)
OVER_HTTP = range(1, 201)


@pytest.fixture
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of one run of the tests share."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "histories"
    shared.mkdir(exist_ok=True)
    return shared


@pytest.mark.parametrize("first", SEEDS[::CHUNK])
def test_no_law_is_broken(first: int, together: Path) -> None:
    told = campaign.tell_all(range(first, first + CHUNK))
    counts = [(one.tried, one.died) for one in told]
    (together / f"{first}.writing").write_bytes(msgspec.json.encode(counts))
    (together / f"{first}.writing").rename(together / f"{first}.json")
    broken = [f"seed {one.seed}: {one.broken}\n" + "\n".join(one.trace) for one in told if one.broken]
    assert not broken, "\n\n".join(broken)
    # Whoever is the last to come sees what was tried in all of them.
    written = list(together.glob("*.json"))
    if len(written) == len(SEEDS[::CHUNK]):
        whole = Campaign(histories=len(SEEDS))
        for path in written:
            for tried, died in msgspec.json.decode(path.read_bytes()):
                whole.tried.update(tried)
                whole.died.update(died)
        assert not whole.never_tried()


@pytest.mark.parametrize("seed", (3, 11, 104, 233))
def test_a_seed_tells_the_same_twice(tmp_path: Path, seed: int) -> None:
    first, second = simulate(seed, tmp_path), simulate(seed, tmp_path)
    assert first.facts > 5
    assert first == second


def test_a_seed_tells_the_same_in_another_process() -> None:
    """Nothing hangs on the order of a set, or on where a thing lies in memory."""
    told = [told_elsewhere(hash_seed) for hash_seed in ("1", "2")]
    assert told[0] == told[1] != ""


def told_elsewhere(hash_seed: str) -> str:
    program = (
        "from scripts.histories.campaign import tell_all\n"
        "print(*[told.hash for told in tell_all(range(40, 46))])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.campaign
def test_two_thousand_histories() -> None:
    told = campaign.run(CAMPAIGN)
    assert not told.failed, [f"seed {one.seed}: {one.broken}" for one in told.broken] + told.never_tried()


@pytest.mark.parametrize("seed", (1, 4, 10))
def test_no_law_is_broken_over_http(seed: int) -> None:
    (told,) = campaign.tell_all([seed], over_http=True)
    assert told.broken is None, "\n".join([told.broken, *told.trace])
    assert told.facts > 5


@pytest.mark.campaign
def test_two_hundred_histories_over_http() -> None:
    told = campaign.run(OVER_HTTP, over_http=True)
    assert not told.broken, [f"seed {one.seed}: {one.broken}" for one in told.broken]


def test_what_was_never_tried_fails_a_campaign() -> None:
    complete = Campaign(histories=100)
    complete.tried.update(dict.fromkeys((*LIES, *FAULTS), 1))
    complete.died.update(dict.fromkeys(POINTS, 1))
    assert not complete.failed
    complete.tried["P17"] = 0
    complete.died["projected"] = 0
    assert complete.never_tried() == ["P17", "projected"]
    assert complete.failed
    complete.histories = 99
    assert not complete.failed


def test_the_command_says_what_was_tried_and_ends_well(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = CliRunner().invoke(cli.build(), ["simulate-histories", "--seeds", "2", "--jobs", "1"])
    assert ran.exit_code == 0, ran.output
    assert "2 histories" in ran.output and "0 violations" in ran.output
    assert "P38" in ran.output and "L08" in ran.output and "the bank's certificate" in ran.output


def test_a_broken_history_says_how_to_tell_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(seed: int, folder: Path, **_: Any) -> Told:
        return Told(seed, "", 1, 1.0, {}, {}, broken="law 7: not so", trace=["first this", "then that"])

    monkeypatch.setattr(campaign, "simulate", told)
    ran = CliRunner().invoke(
        cli.build(), ["simulate-histories", "--seeds", "1", "--first", "17", "--jobs", "1"]
    )
    assert ran.exit_code == 1
    assert "law 7: not so" in ran.output and "then that" in ran.output
    assert "passbook simulate-histories --seeds 1 --first 17" in ran.output


def test_nothing_is_left_in_memory(tmp_path: Path) -> None:
    simulate(5, tmp_path)
    assert not list(tmp_path.iterdir())
    folder = scratch()
    folder.rmdir()
