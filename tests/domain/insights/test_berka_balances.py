"""Real input: what a bank's own books say, the metrics say, to the hundredth.

The bank rounds rows and balances apart, so that a row may differ by 0.10 from what it did to the balance. Of a day on
which nothing was booked the expected figures hold that the balance stands as it was after the last row; B3 walks back
to it from the next reading, and there has that 0.10 before the row. Both agree on every day that is read, and wherever
there is no such row. Therefore the books are made twice:

- read on days with rows alone: flows, closing balances, negative days and the days of spells agree as they are. The
  days in between differ by exactly the drift that B4 tells of the reading before them, or not at all. What is the least,
  the most or the mean (B5, B6, B10, minima of B8) rests on those days too, and is compared as it is only in accounts
  without drift.
- read every day, as the expected figures have it: these agree as they are in all accounts.
"""

from __future__ import annotations

import csv
import gzip
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from domain.insights.analysis import Analysis
from domain.insights.balances import METRICS as BALANCES
from domain.insights.books import Books, Reading
from domain.insights.cashflow import METRICS as CASHFLOW
from domain.insights.figures import OK, Window
from domain.insights.months import first_day, last_day
from domain.money import write
from tests.domain.insights.books_of import account, books, day, reading, row

SEED = 20_261_120
METRIC = {metric.id: metric for metric in (*BALANCES, *CASHFLOW)}


def hundredths(text: str) -> int:
    return int(Decimal(text).scaleb(2))


def read(path: Path) -> list[dict[str, str]]:
    opened = gzip.open(path, "rt") if path.suffix == ".gz" else path.open()
    with opened as lines:
        return list(csv.DictReader(lines))


def lines_by_account(folder: Path) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for line in read(folder / "transactions.csv.gz"):
        found[line["account_id"]].append(line)
    for lines in found.values():
        lines.sort(key=lambda line: (line["date"], int(line["seq"])))
    return found


def read_on_days_with_rows(lines: Sequence[dict[str, str]]) -> list[Reading]:
    """The bank's balance after the last row of each day that has one."""
    last_of_day = {line["date"]: hundredths(line["balance"]) for line in lines}
    return [reading(on, balance) for on, balance in last_of_day.items()]


def read_every_day(lines: Sequence[dict[str, str]]) -> list[Reading]:
    """The same, standing until the next row."""
    after = read_on_days_with_rows(lines)
    return [
        *(
            reading(on, one.balance)
            for one, following in pairwise(after)
            for on in range(one.day, following.day)
        ),
        after[-1],
    ]


def books_with(id: str, lines: Sequence[dict[str, str]], readings: Sequence[Reading]) -> Books:
    rows = [row(line["date"], _signed(line), line["k_symbol"], id=line["trans_id"]) for line in lines]
    return books(account(id, rows, readings, currency="CZK"), as_of=lines[-1]["date"])


def _signed(line: dict[str, str]) -> int:
    amount = hundredths(line["amount"])
    return amount if line["type"] == "PRIJEM" else -amount


def value_of(id: str, analysis: Analysis, window: Window, account: str | None) -> Any:
    """The value of a metric's one figure of an account, or of the currency."""
    (figure,) = (one for one in METRIC[id].compute(analysis, window) if one.account == account)
    assert (figure.status, figure.currency) == (OK, "CZK")
    return figure.value


def by_day(values: Iterable[dict[str, Any]], name: str) -> dict[int, int]:
    return {day(one["day"]): one[name] for one in values}


def compare(folder: Path, accounts: Iterable[str]) -> Counter[str]:
    """Compare all that is expected of these accounts; counts what was compared."""
    lines = lines_by_account(folder)
    totals = {line["account_id"]: line for line in read(folder / "expected/account_totals.csv")}
    monthly: dict[str, list[dict[str, str]]] = defaultdict(list)
    for line in read(folder / "expected/account_monthly.csv.gz"):
        monthly[line["account_id"]].append(line)
    spells: dict[str, list[dict[str, str]]] = defaultdict(list)
    for line in read(folder / "expected/negative_spells.csv"):
        spells[line["account_id"]].append(line)
    assert set(lines) == set(totals)
    counts: Counter[str] = Counter()
    for id in accounts:
        window = Window(day(totals[id]["first_date"]), day(totals[id]["last_date"]))
        held = lines[id]
        some = Analysis(books_with(id, held, read_on_days_with_rows(held)))
        every = Analysis(books_with(id, held, read_every_day(held)))
        drifts = _compare_days(some, every, window, id)
        _compare_totals(some, window, id, totals[id])
        _compare_statistics(every, window, id, totals[id])
        if not any(drifts.values()):
            _compare_statistics(some, window, id, totals[id])
        _compare_months(some, every, window, id, monthly[id])
        _compare_spells(some, every, window, id, spells[id])
        counts += Counter(
            accounts=1, months=len(monthly[id]), spells=len(spells[id]), drifting=any(drifts.values())
        )
    return counts


def _compare_days(some: Analysis, every: Analysis, window: Window, id: str) -> dict[int, int]:
    """What is walked back to differs by the drift of the reading before, on the days after it; returns the drifts."""
    (figure,) = METRIC["B4"].compute(some, window)
    drifts = by_day(figure.value or [], "drift")
    walked = by_day(value_of("B3", some, window, id), "balance")
    stood = by_day(value_of("B3", every, window, id), "balance")
    assert sorted(walked) == sorted(stood) == list(range(window.first, window.last + 1))
    read_on = {one.day for one in some.books.accounts[0].readings}
    drift = 0
    for on, balance in stood.items():
        drift = drifts.get(on, 0) if on in read_on else drift
        assert balance - walked[on] == (0 if on in read_on else drift), (id, on)
    return drifts


def _compare_totals(analysis: Analysis, window: Window, id: str, line: dict[str, str]) -> None:
    flows = value_of("C1", analysis, window, None)
    found = {
        "inflow": write(flows["inflow"], 2),
        "outflow": write(-flows["outflow"], 2),
        "net": write(flows["net"], 2),
        "final_balance": write(value_of("B3", analysis, window, id)[-1]["balance"], 2),
        "negative_days": str(value_of("B7", analysis, window, id)),
    }
    assert found == {name: line[name] for name in found}, id


def _compare_statistics(analysis: Analysis, window: Window, id: str, line: dict[str, str]) -> None:
    statistics = value_of("B5", analysis, window, id)
    found = {"min_balance_eod": statistics["minimum"], "max_balance_eod": statistics["maximum"]}
    assert {name: write(found[name], 2) for name in found} == {name: line[name] for name in found}, id
    # What is expected has four decimals, and may have been rounded into the middle of two hundredths.
    assert abs(statistics["mean"] * 100 - Decimal(line["mean_balance_eod"]) * 10_000) <= 50, id
    assert value_of("B6", analysis, window, id) == statistics["mean"]
    assert value_of("B10", analysis, window, id) == statistics["minimum"]


def _compare_months(
    some: Analysis, every: Analysis, window: Window, id: str, expected: list[dict[str, str]]
) -> None:
    months = {month["month"]: month for month in value_of("C1", some, window, None)["months"]}
    # Only months with rows are expected.
    assert {line["month"] for line in expected} <= set(months)
    for line in expected:
        year, number = line["month"].split("-")
        month = int(year) * 12 + int(number) - 1
        within = Window(max(first_day(month), window.first), min(last_day(month), window.last))
        flows = months[line["month"]]
        (counted,) = METRIC["C1"].compute(some, within)
        found = {
            "n": str(counted.n),
            "inflow": write(flows["inflow"], 2),
            "outflow": write(-flows["outflow"], 2),
            "closing_balance": write(value_of("B3", some, within, id)[-1]["balance"], 2),
            "min_eod_balance": write(value_of("B10", every, within, id), 2),
            "negative_days": str(value_of("B7", some, within, id)),
        }
        assert found == {name: line[name] for name in found}, (id, line["month"])


def _compare_spells(
    some: Analysis, every: Analysis, window: Window, id: str, expected: list[dict[str, str]]
) -> None:
    found = [
        (spell["start"], spell["end"], str(spell["days"]), write(spell["minimum"], 2))
        for spell in value_of("B8", every, window, id)
    ]
    assert found == [tuple(line.values())[1:] for line in expected], id
    days = [(spell["start"], spell["end"]) for spell in value_of("B8", some, window, id)]
    assert days == [(line["first_day"], line["last_day"]) for line in expected], id


def accounts_in(folder: Path) -> list[str]:
    return sorted(line["account_id"] for line in read(folder / "expected/account_totals.csv"))


def test_a_tenth_of_the_accounts_to_the_hundredth(berka: Path) -> None:
    accounts = accounts_in(berka)
    counts = compare(berka, random.Random(SEED).sample(accounts, len(accounts) // 10))
    assert counts["accounts"] == 126
    assert 0 < counts["drifting"] < 126, "both kinds of account are among them"


@pytest.mark.campaign
def test_all_accounts_to_the_hundredth(berka: Path) -> None:
    counts = compare(berka, accounts_in(berka))
    assert counts == {"accounts": 1_267, "months": 12_848, "spells": 37, "drifting": 896}
