"""`python -m scripts.metrics_document` writes `docs/metrics.md` from the catalogue that the service answers with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from domain.insights.catalogue import METRICS, formula_of
from domain.insights.figures import Metric

PATH = Path(__file__).parent.parent / "docs" / "metrics.md"

#: By the letter of the ids what a family is of.
FAMILIES = {
    "B": "Balances",
    "C": "Cash flow",
    "R": "Recurring streams",
    "I": "Income",
    "K": "Risk and obligations",
    "Q": "Data quality",
}

CONVENTIONS = """\
# Metrics

Written by `python -m scripts.metrics_document` from the catalogue that `GET /v1/metrics` answers with: change the
catalogue, not this file.

`GET /v1/consumers/{consumer_id}/metrics` tells what they come to: without parameters the figures that are kept, else
those that are made for the question. `ids=B5,K` chooses metrics and families, `window=90d,6m,current_month` or `from`
and `to` the days, `as_of` the reference day, `accounts` the accounts, `date_basis=value` the other day of a
transaction. Each figure names, under `evidence`, where the transactions are told that it counts, each with the rules
that labelled it; `not_counted=true` adds those that it leaves out, and why.

## What holds for all of them

- **Money** is whole minor units of the figure's currency. Sums are exact; whatever is divided is rounded once, at the
  end, half to even. A **ratio** is text with four digits after the point.
- **Signs** are the holder's: what comes in is positive, what goes out and what is owed is negative.
- **Days** are the bank's civil days. The day of booking decides where a transaction belongs, with `date_basis=value` its
  value day.
- **The reference day** is the day of the last reading of a balance, or the last day that something was booked on where
  no balance was ever read. Nothing that was booked later counts.
- **Windows** hold both their ends. `90d` are the last 90 days up to the reference day, `6m` the six whole months before
  its month, `current_month` its month up to it.
- **Accounts** are all checking and savings accounts that are not disabled, or those that are named.
- **Currencies** never meet: there is one figure for each.
- **Pending** transactions are in no figure. With `include_pending=true` they are told of apart.
- **Own transfers** count as such on evidence: the other side is another account of the same person, by its number or by
  the IBAN in the wording, or both sides carry one reference from end to end, or both say so. A row says so by its label,
  or by naming a holder in full; a transfer of a savings account does unless it is known to be something else. Amount
  and date alone make a suggestion, which is left out of nothing. `GET /v1/consumers/{consumer_id}/transfers` has both.
- **Refunds** are credits that give back an earlier debit of the same counterparty, within 90 days and not greater than
  it. They lower what was spent, and are no income.
- **No value** is `null`, and never a zero: `status` and `reason` say why. `insufficient_history`: the days are not
  covered, or too few. `not_applicable`: there is nothing that it could be of.
- **Covered days** are those whose transactions are known to be complete, since a reading followed them.
- **A digest** is the SHA-256 of formula, days, reference day, value, currency, account and the ids of the transactions:
  equal digests say the same of the same.
"""


def document(metrics: Iterable[Metric] = METRICS.values()) -> str:
    """The whole file."""
    families = groupby(metrics, lambda metric: metric.id[0])
    parts = [CONVENTIONS, *(_family(letter, list(its)) for letter, its in families)]
    return "\n".join(parts)


def _family(letter: str, metrics: list[Metric]) -> str:
    rows = [f"| [{metric.id}](#{_anchor(metric)}) | {metric.title} | {metric.unit} |" for metric in metrics]
    table = ["| id | metric | unit |", "| --- | --- | --- |", *rows]
    return "\n".join(
        [f"## {FAMILIES[letter]}", "", *table, "", *(line for metric in metrics for line in _metric(metric))]
    )


def _anchor(metric: Metric) -> str:
    return f"{metric.id}-{metric.name}".lower()


def _metric(metric: Metric) -> Iterator[str]:
    yield f"### {metric.id} {metric.name}"
    yield ""
    yield f"{metric.title}. {' '.join(metric.definition.split())}"
    yield ""
    yield f"- Formula: `{formula_of(metric)}`; unit: {metric.unit}; source: {metric.source}"
    yield f"- Windows, where none is asked for: {', '.join(f'`{name}`' for name in metric.windows)}"
    if metric.parameters:
        defaults = (f"`{name}` ({default})" for name, default in metric.parameters.items())
        yield f"- Parameters, with what they are by default: {', '.join(defaults)}"
    yield ""


def main() -> None:
    PATH.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main()
