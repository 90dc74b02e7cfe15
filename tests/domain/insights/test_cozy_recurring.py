"""Recurring streams against the labelled series of a real French account, recorded through Budget Insight.

A series of `expected/recurring_series.csv` is found where one stream holds at least 90 % of its rows and at most one
row that is none of it, in ten; a monthly one by inspection must come at the cadence MONTHLY. Rows without an amount
and rows that are still to come are in no books.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from domain.categories.categorise import labels_of
from domain.insights.analysis import Analysis
from domain.insights.books import Account, Books, Row
from domain.insights.income import COUNTERPARTY, salaries_in
from domain.insights.streams import EARLY, MONTHLY, YEARLY, Stream, streams_in
from domain.transactions import day_of
from projections.labels import label_root

SERIES = (
    "salary",
    "rent",
    "loan_repayment",
    "loan_insurance",
    "mobile_phone",
    "internet",
    "transport_pass",
    "electricity_edf",
    "electricity_total",
    "standing_order_savings",
    "home_insurance",
    "payment_protection_insurance",
    "income_tax_local",
    "sandbox_salary",
    "sandbox_mobile",
)


class Found(NamedTuple):
    stream: Stream
    members: int
    """Rows of the series that are in the stream, of so many."""
    of: int
    others: int


def accounts_of(folder: Path) -> list[Account]:
    rows: dict[str, list[Row]] = defaultdict(list)
    with (folder / "operations.csv").open(newline="", encoding="utf-8") as lines:
        for record in csv.DictReader(lines):
            if not record["value"] or record["coming"] == "1":
                continue
            amount = int(Decimal(record["value"]) * 100)
            wording, booked = record["original_wording"], day_of(date.fromisoformat(record["date"]))
            rows[record["account"]].append(
                Row(
                    day=booked,
                    id=f"{record['account']}/{record['id']}".encode(),
                    account=record["account"],
                    amount=amount,
                    value_day=booked,
                    kind="unknown",
                    wording=wording,
                    root=label_root(wording),
                    labels=labels_of(wording, "unknown", amount),
                )
            )
    return [
        Account(
            id=id,
            kind="CHECKING",
            currency="EUR",
            exponent=2,
            rows=tuple(sorted(held)),
            covered=((min(held).day, max(held).day),),
        )
        for id, held in sorted(rows.items())
    ]


@cache
def found_in(folder: Path) -> dict[str, Found]:
    """By series the stream that holds most of it."""
    members: dict[str, set[bytes]] = defaultdict(set)
    with (folder / "expected/recurring_members.csv").open(newline="", encoding="utf-8") as lines:
        for record in csv.DictReader(lines):
            members[record["series"]].add(f"{record['account']}/{record['id']}".encode())
    streams = [stream for one in accounts_of(folder) for stream in streams_in(one, one.rows[-1].day)]
    found: dict[str, Found] = {}
    for series, ids in members.items():
        inside = {stream.id: sum(1 for row in stream.rows if row.id in ids) for stream in streams}
        stream = max(streams, key=lambda one: inside[one.id])
        found[series] = Found(stream, inside[stream.id], len(ids), stream.n - inside[stream.id])
    return found


@pytest.mark.parametrize("series", SERIES)
def test_a_labelled_series_is_one_stream(cozy, series):
    found = found_in(cozy)[series]
    stream = found.stream
    print(
        f"{series}: {found.members} of {found.of} rows and {found.others} others in {stream.label!r},"
        f" {stream.cadence}, {stream.status}, {', '.join(stream.labels) or 'unlabelled'}"
    )
    assert found.members * 10 >= found.of * 9
    assert found.others * 10 <= found.members


def test_every_series_is_asked_for(cozy):
    assert set(found_in(cozy)) == set(SERIES)


def test_monthly_series_are_monthly(cozy):
    with (cozy / "expected/recurring_series.csv").open(newline="", encoding="utf-8") as lines:
        monthly = {
            record["series"]: int(record["n"])
            for record in csv.DictReader(lines)
            if record["monthly_by_inspection"] == "1"
        }
    found = {series: found_in(cozy)[series].stream for series in monthly}
    assert {series for series, stream in found.items() if stream.cadence != MONTHLY} == set()
    # The insurance of the loan came twice in what is recorded: it is monthly so far, and early.
    assert {series for series, stream in found.items() if stream.status == EARLY} == {"loan_insurance"}


def test_a_yearly_insurance_is_yearly(cozy):
    assert found_in(cozy)["home_insurance"].stream.cadence == YEARLY


def test_due_days(cozy):
    """The salary comes on the last working day of the month, the rent and the pass on the third, the order on the
    second, the loan on the fifth."""
    due = {series: found_in(cozy)[series].stream.due_days for series in SERIES}
    assert due["rent"] == due["transport_pass"] == (3,)
    assert due["standing_order_savings"] == (2,)
    assert due["loan_repayment"] == (5,)
    (salary,) = due["salary"]
    assert salary >= 28 or salary == 1


def test_the_salary_is_one_on_the_evidence_of_its_counterparty(cozy):
    """Its wording names the employer, a firm, and the month; the rest of what the firm pays are expenses."""
    (account,) = (one for one in accounts_of(cozy) if one.id == "bnp-current")
    end = account.rows[-1].day
    analysis = Analysis(Books(accounts=(account,), as_of=end, known_at=0, since=0))
    assert [(one.stream.id, one.evidence) for one in salaries_in(analysis, "EUR")] == [
        (found_in(cozy)["salary"].stream.id, COUNTERPARTY)
    ]


@pytest.mark.parametrize(
    ("series", "names"),
    [
        ("rent", {"RENT"}),
        ("loan_repayment", {"LOAN_REPAYMENT", "LOAN_REPAYMENT_REAL_ESTATE", "LOAN_REPAYMENT_PERSONAL"}),
        ("mobile_phone", {"TELECOM"}),
        ("internet", {"TELECOM"}),
        ("electricity_edf", {"POWER"}),
        ("transport_pass", {"TRANSPORT"}),
        ("sandbox_salary", {"WAGE"}),
    ],
)
def test_a_series_is_named(cozy, series, names):
    labels = found_in(cozy)[series].stream.labels
    assert names.intersection(labels)
