"""Which rows a file says: the same ones however files overlap, and each once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.statements.reader import read
from application.statements import Brought, brought_by
from domain.transactions import Transaction
from tests.statements.files import IBAN, OTHER_IBAN, Row, camt, mt940, ofx

NOW = datetime(2026, 4, 1, 8, tzinfo=UTC)
FIRST_DAY = date(2026, 3, 1)


def brought(*files: bytes) -> list[Brought]:
    """What each of the accounts in each of the files is said to have."""
    return [account for content in files for account in brought_by(read(content), NOW)]


def rows(*files: bytes) -> dict[str, Transaction]:
    """All rows by reference, after one file after the other."""
    return {reference: row for account in brought(*files) for reference, row in account.rows.items()}


def test_the_same_file_twice_has_the_same_rows() -> None:
    content = camt(Row("2026-03-02", "-1.00"), Row("2026-03-02", "-1.00"), Row("2026-03-03", "-1.00"))
    assert len(rows(content)) == 3
    assert rows(content) == rows(content, content)


def test_twins_of_one_day_stay_two_with_and_without_a_name_of_the_banks() -> None:
    """Banks write one name for two payments of one order, too."""
    for reference in (None, "SAME"):
        twins = [Row("2026-03-02", "-1.00", reference=reference)] * 2
        for content in (camt(*twins), mt940(*twins), ofx(*twins)):
            assert len(rows(content)) == 2


def test_one_name_for_two_payments_is_no_reason_to_take_them_for_one() -> None:
    both = Row("2026-03-02", "-1.00", reference="B"), Row("2026-03-02", "-2.00", reference="B")
    assert len(rows(mt940(both[0]), mt940(both[1]), mt940(*both))) == 2


def test_a_row_that_the_bank_names_may_be_worded_anew() -> None:
    first, second = (
        rows(camt(Row("2026-03-02", "-1.00", wording, "R"))) for wording in ("CARD", "CARD SHOP")
    )
    assert first.keys() == second.keys()
    assert first != second


def test_a_pending_row_is_the_booked_one_that_the_bank_names_the_same() -> None:
    pending = rows(camt(Row("2026-03-02", "-1.00", reference="R", status="PDNG"), version="052"))
    booked = rows(camt(Row("2026-03-02", "-1.00", reference="R")))
    assert pending.keys() == booked.keys()
    assert [row.pending for row in (*pending.values(), *booked.values())] == [True, False]


def test_pages_of_one_statement_are_counted_as_one() -> None:
    """Two equal rows, parted by the end of a page, are two; the same statement twice in one file is one."""
    row = Row("2026-03-02", "-1.00")
    pages = mt940(row, opening="5.00", closing="4.00", closes="62M") + mt940(
        row, opening="4.00", closing="3.00", opens="60M"
    )
    assert len(rows(pages)) == 2
    whole = mt940(row, row, opening="5.00", closing="3.00")
    assert rows(whole + whole).keys() == rows(whole).keys() == rows(pages).keys()


def test_accounts_are_told_apart_by_number_and_currency() -> None:
    row = Row("2026-03-02", "-1.00")
    content = mt940(row) + mt940(row, account=OTHER_IBAN) + mt940(row).replace(b"EUR", b"USD")
    assert [(each.upload.reference, each.upload.currency) for each in brought(content)] == [
        (IBAN, "EUR"),
        (OTHER_IBAN, "EUR"),
        (IBAN, "USD"),
    ]


def test_the_newest_closing_balance_is_read_at_the_end_of_its_day() -> None:
    content = camt(opening="1.00", closing="7.00", closing_day="2026-03-31").decode()
    older = camt(opening="0.00", closing="1.00", closing_day="2026-03-01").decode()
    holder = content[content.index("<Stmt>") : content.index("</Stmt>") + len("</Stmt>")]
    both = older.replace("<Stmt>", f"{holder}<Stmt>", 1).encode()
    (account,) = brought(both)
    reading = account.upload.reading
    assert reading is not None
    assert (reading.balance, reading.as_of) == (700, datetime(2026, 3, 31, 23, 59, 59, 999_999, UTC))


def test_a_closing_balance_of_today_is_not_of_tonight() -> None:
    (account,) = brought(camt(opening="1.00", closing="7.00", closing_day="2026-04-01"))
    assert account.upload.reading is not None
    assert account.upload.reading.as_of == NOW


def test_a_report_within_the_day_has_no_closing_balance() -> None:
    (account,) = brought(camt(Row("2026-03-02", "-1.00"), opening="2.00", closing="1.00", version="052"))
    assert (account.upload.reading, account.final_until) == (None, None)


def test_an_amount_with_more_decimals_than_its_currency_keeps_them() -> None:
    (row,) = rows(ofx(Row("2026-03-02", "115.8331"))).values()
    assert (row.amount, row.amount_text) == (11583, "115.8331")


# Laws


class Day(NamedTuple):
    number: int
    rows: list[Row]


_WORDINGS = st.sampled_from(["BAKERY", "RENT", "SALARY"])
_AMOUNTS = st.sampled_from(["-1.00", "-2.00", "3.50"])
_REFERENCES = st.sampled_from([None, "A", "B"])


@st.composite
def histories(draw: st.DrawFn) -> list[Row]:
    """Rows of some days, with twins among them, in the order of their days."""
    found: list[Row] = []
    for number in range(draw(st.integers(1, 6))):
        day = (FIRST_DAY + timedelta(days=number)).isoformat()
        for _ in range(draw(st.integers(0, 4))):
            found.append(Row(day, draw(_AMOUNTS), draw(_WORDINGS), draw(_REFERENCES)))
    return found


@st.composite
def overlapping(draw: st.DrawFn, history: list[Row]) -> list[list[Row]]:
    """The history in pieces of whole days, which overlap and cover all of it, in any order."""
    days = sorted({row.day for row in history})
    pieces = []
    for _ in range(draw(st.integers(0, 3))):
        first = draw(st.integers(0, len(days)))
        last = draw(st.integers(first, len(days)))
        pieces.append(days[first:last])
    cut = draw(st.integers(0, len(days)))
    pieces += [days[:cut], days[cut:]]
    return [[row for row in history if row.day in piece] for piece in draw(st.permutations(pieces))]


@pytest.mark.parametrize("write", [camt, mt940])
@given(data=st.data())
def test_a_history_in_overlapping_pieces_has_the_same_rows(write: object, data: st.DataObject) -> None:
    history = data.draw(histories())
    pieces = data.draw(overlapping(history))
    whole = rows(write(*history))
    assert len(whole) == len(history)
    assert rows(*(write(*piece) for piece in pieces)) == whole


@given(data=st.data())
def test_the_order_of_rows_that_differ_changes_nothing(data: st.DataObject) -> None:
    history = data.draw(histories())
    turned = data.draw(st.permutations(history))
    assert rows(camt(*turned)) == rows(camt(*history))
