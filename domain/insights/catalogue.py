"""The catalogue: every metric that there is, by id, and what each of them comes to in some books."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256

from domain.categories import categorise
from domain.insights import balances, cashflow, income, obligations, quality, recurring
from domain.insights.analysis import Analysis
from domain.insights.figures import NOT_APPLICABLE, Figure, Metric, Window
from domain.insights.months import window_of

METRICS: dict[str, Metric] = {
    metric.id: metric
    for module in (balances, cashflow, recurring, income, obligations, quality)
    for metric in module.METRICS
}

#: Why a metric has no value for a consumer who has no account that it would look at.
NO_ACCOUNT = "no_checking_or_savings_account"


def version_of(metrics: Iterable[Metric], rules: str) -> str:
    """Names the formulas: another one as soon as a metric comes, goes, or has another version, and with every change
    of the rules that label rows."""
    formulas = sorted(f"{metric.id} {formula_of(metric)}" for metric in metrics)
    return sha256("\n".join([rules, *formulas]).encode()).hexdigest()[:12]


def formula_of(metric: Metric) -> str:
    return f"{metric.name}@{metric.version}"


#: Of the catalogue as it is.
VERSION = version_of(METRICS.values(), categorise.VERSION)


def parameters_of(metrics: Iterable[Metric]) -> dict[str, tuple[Metric, ...]]:
    """By name of a parameter the metrics that have it."""
    found: dict[str, tuple[Metric, ...]] = {}
    for metric in metrics:
        for name in metric.parameters:
            found[name] = (*found.get(name, ()), metric)
    return found


def chosen(names: Iterable[str], metrics: Mapping[str, Metric]) -> tuple[dict[str, Metric], list[str]]:
    """The metrics that are meant by these, in the order of the catalogue, and what names none: an id, such as `B5`, or
    letters that ids begin with, such as `B`."""
    meant: set[str] = set()
    unknown: list[str] = []
    for name in names:
        ids = {id for id in metrics if name == id or (name.isalpha() and id.startswith(name))}
        meant |= ids
        if not ids:
            unknown.append(name)
    return {id: metric for id, metric in metrics.items() if id in meant}, unknown


def windows_of(metric: Metric, as_of: int) -> tuple[Window, ...]:
    """The windows that a metric is made for where none is asked for."""
    return tuple(window_of(name, as_of) for name in metric.windows)


def figures_of(metric: Metric, analysis: Analysis, windows: Iterable[Window]) -> Iterator[Figure]:
    """What a metric comes to in each of these windows; never nothing, so that nobody takes silence for a zero."""
    for window in windows:
        found = list(metric.compute(analysis, window))
        if not found and not analysis.accounts:
            found = [Figure(window=window, status=NOT_APPLICABLE, reason=NO_ACCOUNT)]
        yield from found
