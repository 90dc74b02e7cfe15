"""Every file of the shared part of the statement data: its counts and totals, or what is wrong with it and where.

The expectation counts as a statement of MT940 what has an opening balance, and names for OFX the first closing balance;
where it names no currency, it looked at no more than balances.
"""

from __future__ import annotations

import csv
import re
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from adapters.statements.reader import read
from application.statement_files import Remark, StatementFile, StatementUnreadable
from application.statements import sums_of
from tests.conftest import SHARED_DATA

FOLDER = SHARED_DATA / "statements"
TABLE = FOLDER / "expected" / "statements.csv"

pytestmark = pytest.mark.skipif(
    not TABLE.is_file(),
    reason="the statement files are not there: set PASSBOOK_SHARED_DATA to the folder that holds them",
)


class Figures(NamedTuple):
    statements: int
    transactions: int
    signed_sum: Decimal
    opening: Decimal | None
    closing: Decimal | None
    currency: str | None


def _rows() -> list[dict[str, str]]:
    if not TABLE.is_file():
        return []
    with TABLE.open(newline="") as opened:
        return [row for row in csv.DictReader(opened) if row["held_out"] == "0"]


def _expected(row: dict[str, str]) -> Figures:
    return Figures(
        statements=int(row["statements"]),
        transactions=int(row["transactions"]),
        signed_sum=Decimal(row["signed_sum"]),
        opening=Decimal(row["opening"]) if row["opening"] else None,
        closing=Decimal(row["closing"]) if row["closing"] else None,
        currency=row["currency"] or None,
    )


def _figures(file: StatementFile, format: str) -> Figures:
    counted = [each for each in file.statements if each.opening is not None or format != "MT940"]
    entries = [entry for each in file.statements for entry in each.entries]
    openings = [each.opening.amount for each in file.statements if each.opening is not None]
    closings = [each.closing.amount for each in file.statements if each.closing is not None]
    return Figures(
        statements=len(counted),
        transactions=len(entries),
        signed_sum=sum((entry.amount or Decimal(0) for entry in entries), Decimal(0)),
        opening=openings[0] if openings else None,
        closing=(closings[0] if format == "OFX" else closings[-1]) if closings else None,
        currency=next((each.currency for each in counted), None),
    )


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row["file"])
def test_counts_and_totals_agree(row: dict[str, str]) -> None:
    content = (FOLDER / row["file"]).read_bytes()
    expected = _expected(row)
    try:
        file = read(content)
    except StatementUnreadable:
        # It is nothing at all, and the expectation has nothing either.
        assert expected == Figures(0, 0, Decimal(0), None, None, None)
        return
    assert _figures(file, row["format"]) == expected
    if row["reconciles"]:
        assert sums_of(file.statements[0]).reconciles is (row["reconciles"] == "1")


#: Files that cannot be recorded: what is wrong, and in which lines. All others have no problem.
BROKEN = {
    "mt940/betterplace/amount_formats.sta": ("account_missing", [1, 2, 3, 4, 5, 6]),
    "mt940/betterplace/currency_in_25.sta": ("no_statement", [1]),
    "mt940/betterplace/empty_86.sta": ("no_statement", [1]),
    "mt940/betterplace/empty_line.sta": ("no_statement", [2]),
    "mt940/betterplace/missing_crlf_at_end.sta": ("account_missing", [1]),
    "mt940/betterplace/sepa_snippet_broken.sta": ("field_misplaced", [6]),
    "mt940/cmxl/account_balance_credit.sta": ("account_missing", [1]),
    "mt940/cmxl/account_balance_debit.sta": ("account_missing", [1]),
    "mt940/cmxl/account_identification_iban.sta": ("no_statement", [1]),
    "mt940/cmxl/account_identification_legacy.sta": ("no_statement", [1]),
    "mt940/cmxl/available_balance.sta": ("no_statement", [1]),
    "mt940/cmxl/reference.sta": ("no_statement", [1]),
    "mt940/cmxl/statement_number.sta": ("no_statement", [1]),
    "mt940/self-provided/account_identification.sta": ("no_statement", [1]),
    "mt940/self-provided/empty_non_swift.sta": ("no_statement", [1]),
    "ofx/account_listing_aggregation.ofx": ("no_statement", [11]),
    "ofx/bank_small.ofx": ("no_statement", [11]),
    "ofx/error_message.ofx": ("source_reports_error", [22]),
    "ofx/investment_medium.ofx": ("currency_mismatch", [43, 57, 71]),
    "ofx/signon_fail.ofx": ("source_reports_error", [11]),
    "ofx/signon_success.ofx": ("no_statement", [11]),
    "ofx/signon_success_no_message.ofx": ("no_statement", [11]),
    "camt/camt052.v2.with-account-name.xml": ("date_missing", [17]),
    "camt/camt053.v2.wrong.xml": ("no_statement", [3]),
    "camt/camt054.v2.with-account-name.xml": ("date_missing", [17]),
    "camt/camt054.v8-with-UETR.xml": ("date_missing", [16]),
    "camt/camt054.v8-with-financial-institution.xml": ("date_missing", [16]),
}
#: Rows alone, of no account and in no currency.
LOOSE = ["account_missing", "currency_missing"]
SEVERAL = {
    "mt940/betterplace/empty_entry_date.sta": [*((code, 1) for code in LOOSE)],
    "mt940/cmxl/statement_details.sta": [*((code, 1) for code in LOOSE)],
    "mt940/cmxl/statement_line.sta": [*((code, 1) for code in LOOSE)],
    "mt940/self-provided/sparkassen.sta": [*((code, 1) for code in LOOSE)],
    "ofx/fail_nice/date_missing.ofx": [("date_missing", 33), ("date_missing", 42), ("date_unreadable", 50)],
}
UNREADABLE = {"mt940/self-provided/invalid_statement.sta": Remark(code="not_a_statement", line=1)}


def _problems(path: Path) -> list[tuple[str, int | None]]:
    return [(problem.code, problem.line) for problem in read(path.read_bytes()).problems]


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row["file"])
def test_what_is_broken_says_what_and_where(row: dict[str, str]) -> None:
    name, path = row["file"], FOLDER / row["file"]
    if name in UNREADABLE:
        with pytest.raises(StatementUnreadable) as refused:
            read(path.read_bytes())
        assert refused.value.problem == UNREADABLE[name]
    elif name in SEVERAL:
        assert _problems(path) == SEVERAL[name]
    else:
        code, lines = BROKEN.get(name, ("", []))
        assert _problems(path) == [(code, line) for line in lines]


def test_the_two_reversals_of_credits_are_debits() -> None:
    """SWIFT's RC takes money away again: with the sign that the library gives it by default, the sum is 819.52 more,
    twice the two lines of 204.88, and the two statements that hold them do not add up."""
    file = read((FOLDER / "mt940/betterplace/sepa_mt9401.sta").read_bytes())
    both = [each for each in file.statements if each.opening and each.closing]
    assert len(both) == 26
    assert all(sums_of(each).reconciles for each in both)


def test_a_refusal_says_codes_and_places_and_nothing_of_the_file() -> None:
    for name in (*BROKEN, *SEVERAL):
        refused = StatementUnreadable(*read((FOLDER / name).read_bytes()).problems)
        assert {key for problem in refused.details["problems"] for key in problem} == {
            "code",
            "line",
            "column",
        }
        assert re.fullmatch(r"The file cannot be recorded: [a-z_]+ in line [0-9]+\.", str(refused))
