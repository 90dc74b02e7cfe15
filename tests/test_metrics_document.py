"""The document of the metrics is the one that the catalogue makes."""

from __future__ import annotations

import re

from domain.insights.catalogue import METRICS
from scripts.metrics_document import FAMILIES, PATH, document


def test_the_document_is_what_the_command_writes() -> None:
    assert PATH.read_text(encoding="utf-8") == document(), "run: python -m scripts.metrics_document"


def test_every_metric_is_in_it_once_with_all_that_it_is() -> None:
    text = document()
    assert re.findall(r"^### (\w+) ", text, re.MULTILINE) == list(METRICS)
    assert {id[0] for id in METRICS} == set(FAMILIES)
    for metric in METRICS.values():
        assert f"`{metric.name}@{metric.version}`" in text
        assert " ".join(metric.definition.split()) in text
        assert all(f"`{name}` ({default})" in text for name, default in metric.parameters.items())
    # A table of contents leads to each.
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) == {
        f"{id}-{metric.name}".lower() for id, metric in METRICS.items()
    }
