"""Recurring streams against the recurring transfers of a real Czech bank (PKDD'99), of which permanent orders are the
ground truth.

A series of `expected/recurring_transfers.csv` is all rows of one account, one direction, one partner account and one
symbol; a stream matches it where it is of the same account and holds exactly the same rows. Compared are the streams
of at least three rows whose rows name the other side's account (only those can be in the file), that are MONTHLY
and regular (`is_regular`), whether they still come or have ended. A row's wording and counterparty are what the
simulated bank makes of it.
"""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from adapters.budget_insight.simulator.berka import row as bank_row
from domain.insights.books import Account, Row
from domain.insights.streams import MONTHLY, is_regular, streams_in
from domain.transactions import day_of
from projections.labels import label_root

LEAST = 0.98
ROWS_MIN = 3


def accounts_of(folder: Path) -> list[Account]:
    """The books of every account, without its counterparties' names, which the bank had taken out."""
    rows: dict[str, list[Row]] = defaultdict(list)
    with gzip.open(folder / "transactions.csv.gz", "rt", encoding="utf-8") as lines:
        for record in csv.DictReader(lines):
            made = bank_row(record)
            rows[record["account_id"]].append(
                Row(
                    day=day_of(made.date),
                    id=made.webid.encode(),
                    account=record["account_id"],
                    amount=made.value,
                    value_day=day_of(made.date),
                    kind=made.type,
                    wording=made.original_wording,
                    root=label_root(made.original_wording),
                    other=made.counterparty.account_identification if made.counterparty else "",
                )
            )
    return [
        Account(
            id=id,
            kind="CHECKING",
            currency="CZK",
            exponent=2,
            rows=tuple(sorted(held)),
            covered=((min(held).day, max(held).day),),
        )
        for id, held in sorted(rows.items())
    ]


@cache
def series_found(folder: Path, with_counterparties: bool = True) -> dict[str, set[frozenset[bytes]]]:
    """By direction the sets of rows of monthly streams. Ids of rows are unique over all accounts."""
    found: dict[str, set[frozenset[bytes]]] = {"debit": set(), "credit": set()}
    for account in accounts_of(folder):
        names_account = {row.id for row in account.rows if row.other}
        if not with_counterparties:
            rows = tuple(row._replace(other="") for row in account.rows)
            account = Account(id=account.id, kind="CHECKING", currency="CZK", exponent=2, rows=rows)
        for stream in streams_in(account, account.rows[-1].day):
            days = len({row.day for row in stream.rows})
            if (
                stream.n >= ROWS_MIN
                and stream.cadence == MONTHLY
                and is_regular(stream.cadence, stream.regularity, days)
                and stream.rows[0].id in names_account
            ):
                found["debit" if stream.is_debit else "credit"].add(frozenset(row.id for row in stream.rows))
    return found


@cache
def series_expected(folder: Path) -> dict[str, set[frozenset[bytes]]]:
    members: dict[tuple[str, ...], list[bytes]] = defaultdict(list)
    with gzip.open(folder / "transactions.csv.gz", "rt", encoding="utf-8") as lines:
        for record in csv.DictReader(lines):
            direction = "credit" if record["type"] == "PRIJEM" else "debit"
            series = (
                record["account_id"],
                direction,
                record["bank"],
                record["partner_account"],
                record["k_symbol"],
            )
            members[series].append(record["trans_id"].encode())
    expected: dict[str, set[frozenset[bytes]]] = {"debit": set(), "credit": set()}
    with (folder / "expected/recurring_transfers.csv").open(newline="", encoding="utf-8") as lines:
        for record in csv.DictReader(lines):
            assert record["kind"].startswith("monthly_")
            names = ("account_id", "direction", "bank", "partner_account", "k_symbol")
            expected[record["direction"]].add(frozenset(members[tuple(record[name] for name in names)]))
    return expected


def compared(
    direction: str, found: set[frozenset[bytes]], expected: set[frozenset[bytes]]
) -> tuple[float, float]:
    same = len(found & expected)
    precision, recall = same / len(found), same / len(expected)
    print(
        f"Berka, monthly {direction}s: {len(expected)} series, {len(found)} streams, {same} the same:"
        f" precision {precision:.4f}, recall {recall:.4f}"
    )
    return precision, recall


@pytest.mark.parametrize("direction", ["debit", "credit"])
def test_monthly_series_are_found_with_exactly_their_rows(berka, direction):
    precision, recall = compared(direction, series_found(berka)[direction], series_expected(berka)[direction])
    assert precision >= LEAST
    assert recall >= LEAST


@pytest.mark.parametrize("direction", ["debit", "credit"])
def test_wordings_alone_find_them_too(berka, direction):
    """As a bank would give them that names no counterparty: a partner's bank and symbol are in the wording, its
    account is digits. Two orders of one symbol to one bank are then told apart by their amounts."""
    found = series_found(berka, with_counterparties=False)[direction]
    precision, recall = compared(direction, found, series_expected(berka)[direction])
    assert precision >= LEAST
    assert recall >= LEAST
