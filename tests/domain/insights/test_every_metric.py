"""No metric without a vector that was worked out by hand: the tests name the metric that they are of."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from domain.insights.catalogue import METRICS


def vectors() -> str:
    """What the tests of this folder say of which metric: their names, and the ids that they ask figures of."""
    found: list[str] = []
    for path in Path(__file__).parent.glob("test_*.py"):
        if path == Path(__file__):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                asked = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
                found += [node.name.upper(), *(f"_{one}_" for one in asked if one in METRICS)]
    return " ".join(found)


VECTORS = vectors()


@pytest.mark.parametrize("id", METRICS)
def test_a_metric_has_a_vector(id: str) -> None:
    assert f"_{id}_" in VECTORS


def test_the_catalogue_has_every_id_that_was_promised() -> None:
    families = {"B": 15, "C": 12, "R": 8, "I": 8, "K": 18, "Q": 8}
    assert list(METRICS) == [f"{family}{n}" for family, last in families.items() for n in range(1, last + 1)]


def test_names_are_unique_and_definitions_say_something() -> None:
    assert len({metric.name for metric in METRICS.values()}) == len(METRICS)
    assert all(len(metric.definition) > 40 and metric.source for metric in METRICS.values())
