"""What was ever stored can be read for ever: one stored sample per event name and version."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from adapters.event_log.layout import leaf
from domain import registry
from domain.fact import Fact
from tests.golden import samples

FILES = sorted(samples.FOLDER.glob("*.json"))


def _name(path: Path) -> str:
    """A fact that gained a field has one more file."""
    return path.stem.partition("~")[0]


def test_every_name_has_its_golden_file():
    names = {*registry.TYPES, *registry.UPCASTERS}
    missing = names - {_name(path) for path in FILES}
    assert not missing, f"run python -m tests.golden.write for {', '.join(sorted(missing))}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_was_stored_can_still_be_read(path: Path):
    golden = json.loads(path.read_text())
    stream, version, name = golden["stream"], golden["version"], golden["name"]
    state = bytes.fromhex(golden["state"])
    read = samples.mapper().open(stream, version, name, state)
    assert _name(path) == name
    assert json.loads(msgspec.json.encode(read.fact)) == golden["fact"]
    assert leaf(stream, version, name, state).hex() == golden["leaf"]
    assert read.recorded_at == samples.RECORDED_AT
    assert read.actor == samples.ACTOR
    assert (read.command_id, read.correlation_id, read.causation_id) == (
        samples.COMMAND_ID,
        samples.CORRELATION_ID,
        samples.CAUSATION_ID,
    )


@pytest.mark.parametrize("fact", samples.FACTS, ids=lambda fact: registry.NAMES[type(fact)])
def test_every_field_of_a_fact_is_in_a_golden_file(fact: Fact):
    said = json.loads(msgspec.json.encode(fact))
    name = registry.NAMES[type(fact)]
    stored = [json.loads(path.read_text())["fact"] for path in FILES if _name(path) == name]
    assert said in stored, "run python -m tests.golden.write"


@pytest.mark.parametrize("fact", samples.FACTS, ids=lambda fact: registry.NAMES[type(fact)])
def test_a_sample_sets_every_field_and_is_read_as_it_was_written(fact: Fact):
    assert set(msgspec.to_builtins(fact)) == set(type(fact).__struct_fields__)
    mapper = samples.mapper()
    assert mapper.to_domain_event(mapper.to_stored_event(samples.recorded(fact))) == samples.recorded(fact)
