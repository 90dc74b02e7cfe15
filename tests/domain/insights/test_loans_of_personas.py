"""What the makers of the persona files say of loans, rejections and seizures is what is found in them."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from domain.categories.categorise import labels_of
from domain.insights.analysis import Analysis
from domain.insights.books import Account, Row
from domain.insights.figures import Window
from domain.insights.incidents import (
    heavy_failures_in,
    intervention_fees_in,
    overdraft_fees_in,
    rejections_in,
)
from domain.insights.loans import SECURED, SPLIT_PAYMENTS, Loan, drawdowns_in, loans_in, repayments_in
from domain.transactions import day_of
from projections.labels import label_root
from tests.domain.insights.books_of import account, books

LAST = day_of(date(2026, 8, 21))
YEAR = Window(LAST - 364, LAST)


class Told(NamedTuple):
    consumer_loans: dict[str, int]
    """By lender."""
    mortgages: int = 0
    split_payments: int = 0
    rejections: int = 0
    check_rejections: int = 0
    returned: int = 0
    """Repayments of a loan that came back."""
    seizures: int = 0
    drawdowns: int = 0


#: Of the table in the README of the files, and its own words behind.
PERSONAS = {
    # Six consumer credits from three lenders (3, 2, 1); three split payments; one payment rejection on a credit and one on
    # a subscription. A personal loan is paid out, too.
    "fr/harry_potter": Told(
        {"Advanzia": 3, "Credipar": 2, "Sogefinancement": 1},
        split_payments=3,
        rejections=2,
        returned=1,
        drawdowns=1,
    ),
    # A mortgage; four consumer credits from two lenders (2, 2); two split payments; no incident.
    "fr/lara_croft": Told({"Cofidis": 2, "Credipar": 2}, mortgages=1, split_payments=2),
    # A seizure; payment incidents, of a credit, a subscription and a cheque; two consumer loans.
    "fr/archibald_haddock": Told(
        {"Floa": 1, "Oney": 1}, rejections=2, check_rejections=1, returned=1, seizures=1
    ),
    # A mortgage and a consumer loan.
    "fr/ron_weasley": Told({"CA Consumer Finance": 1}, mortgages=1),
    # One consumer loan, one split payment, which comes three times; no incident.
    "fr/hermione_granger": Told({"Cofidis": 1}, split_payments=3),
    "es/raquel_murillo": Told({"Cofidis": 1}, split_payments=3),
    # As Lara Croft, in Dutch: two credits each of two lenders, of which those of one have one wording.
    "nl/sarah_connor": Told({"Alphabet": 2, "Defam": 2}, mortgages=1, split_payments=2),
    "be-nl/dana_scully_be-nl": Told({"Alphabet": 2, "Cofidis": 2}, mortgages=1, split_payments=2),
}


def analysis_of(path: Path) -> Analysis:
    told = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    made = [
        account(
            str(one["id"]),
            [row_of(found) for found in one["transactions"]],
            kind="CHECKING" if one["type"] == "checking" else "UNKNOWN",
            currency=one["currency"]["id"],
        )
        for connection in told["connections"]
        for one in connection["accounts"]
    ]
    return Analysis(books(*_without_empty(made), as_of=LAST))


def _without_empty(accounts: list[Account]) -> list[Account]:
    return [one for one in accounts if one.rows]


def row_of(told: dict[str, object]) -> Row:
    day = day_of(date.fromisoformat(str(told.get("date") or told["rdate"])[:10]))
    amount = int(Decimal(str(told["value"])).scaleb(2))
    wording = str(told["original_wording"])
    return Row(
        day=day,
        id=b"",
        account="",
        amount=amount,
        value_day=day,
        kind="unknown",
        wording=wording,
        root=label_root(wording),
        labels=labels_of(wording, "unknown", amount),
    )


def is_consumer_loan(loan: Loan) -> bool:
    return loan.is_repayment and loan.kind != SECURED


@pytest.mark.parametrize("name", PERSONAS)
def test_what_is_said_of_them_is_found(persona_files: Path, name: str):
    analysis, told = analysis_of(persona_files / f"{name}.json"), PERSONAS[name]
    loans = loans_in(analysis, "EUR", YEAR)
    assert Counter(loan.lender for loan in loans if is_consumer_loan(loan)) == told.consumer_loans
    assert sum(loan.kind == SECURED for loan in loans) == told.mortgages
    assert repayments_in(analysis, "EUR", YEAR, SPLIT_PAYMENTS).count == told.split_payments
    assert sum(len(loan.returned) for loan in loans) == told.returned
    assert drawdowns_in(analysis, "EUR", YEAR).count == told.drawdowns
    found = rejections_in(analysis, "EUR", YEAR)
    assert (found.payments.events.count, found.payments.fees.count) == (told.rejections, told.rejections)
    assert (found.checks.events.count, found.checks.fees.count) == (told.check_rejections,) * 2
    failures = heavy_failures_in(analysis, "EUR", YEAR)
    assert sum(one.events.count for one in failures.values()) == told.seizures
    assert failures["bank_account_seizure"].fees.count == told.seizures


def test_what_harry_potter_repays_leaves_out_what_came_back(persona_files: Path):
    # 399.89 and 343.45 of Credipar: three times each, that of 29 June came back and was presented again on 23 July.
    loans = loans_in(analysis_of(persona_files / "fr/harry_potter.json"), "EUR", YEAR)
    credipar = {loan.usual: loan for loan in loans if loan.lender == "Credipar"}
    assert {usual: (one.count, one.total) for usual, one in credipar.items()} == {
        -39989: (3, -119967),
        -34345: (3, -103035),
    }


def test_four_credits_are_found_in_english(persona_files: Path):
    # Their makers speak of two lenders; the file has four, one of whom paid a loan out.
    analysis = analysis_of(persona_files / "en/sherlock_holmes.json")
    loans = [loan for loan in loans_in(analysis, "GBP", YEAR) if is_consumer_loan(loan)]
    assert (len(loans), sum(loan.count for loan in loans)) == (4, 11)
    assert drawdowns_in(analysis, "GBP", YEAR).total == 80000
    assert rejections_in(analysis, "GBP", YEAR).payments.events.count == 0


def test_fees_are_found(persona_files: Path):
    harry = analysis_of(persona_files / "fr/harry_potter.json")
    assert overdraft_fees_in(harry, "EUR", YEAR).total == -8989
    haddock = analysis_of(persona_files / "fr/archibald_haddock.json")
    fees = [overdraft_fees_in(haddock, "EUR", YEAR), intervention_fees_in(haddock, "EUR", YEAR)]
    assert sum(one.total for one in fees) == -7500
