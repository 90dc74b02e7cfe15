"""Cash flow: see `METRICS`."""

from __future__ import annotations

from domain.insights.figures import Metric

METRICS: tuple[Metric, ...] = ()
