"""The catalogue: every metric that there is, by id."""

from __future__ import annotations

from domain.insights import balances, cashflow, income, obligations, quality, recurring
from domain.insights.figures import Metric

METRICS: dict[str, Metric] = {
    metric.id: metric
    for module in (balances, cashflow, recurring, income, obligations, quality)
    for metric in module.METRICS
}
