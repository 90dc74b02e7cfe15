"""Which rows a file says: the same ones however files overlap, and each once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
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
MT942 = (
    f":20:X\n:25:{IBAN}\n:28C:1/1\n:34F:EURD0,\n:13D:2603021200+0100\n:61:2603020302D1,00NTRFNONREF//R\n-"
).encode()


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


def joined(*files: bytes) -> bytes:
    """The statements of several CAMT files as those of one."""
    first, *others = (content.decode() for content in files)
    end = "</Stmt>\n"
    more = "".join(other[other.index("<Stmt>") : other.index(end) + len(end)] for other in others)
    return first.replace(end, end + more, 1).encode()


def a_statement(
    *rows: Row, opens: str, closes: str, days: tuple[str, str], kind: str = "F", number: str = "5/1"
) -> bytes:
    """An MT940 message whose balances are of these days, written YYMMDD."""
    content = mt940(*rows, opening=opens, closing=closes, opens=f"60{kind}").decode()
    content = content.replace("260301EUR", f"{days[0]}EUR").replace("260331EUR", f"{days[1]}EUR")
    return content.replace(":28C:1/1", f":28C:{number}").encode()


SALE, SWEEP = Row("2026-03-10", "50.00", "SALE"), Row("2026-03-10", "-50.00", "SWEEP")


def test_the_same_statement_twice_in_a_file_is_one_where_the_balance_stands_still() -> None:
    """An account that is swept to zero each night ends each day where it began it."""
    whole = camt(SALE, SWEEP, opening="0.00", closing="0.00", closing_day="2026-03-10")
    assert rows(joined(whole, whole)).keys() == rows(whole).keys()
    swept = a_statement(SALE, SWEEP, opens="0.00", closes="0.00", days=("260309", "260310"))
    assert rows(swept + swept).keys() == rows(swept).keys()
    # Nor does the number that a bank gives the copy make its rows others, on whichever day it says it begins.
    for days in (("260309", "260310"), ("260310", "260310")):
        other = a_statement(SALE, SWEEP, opens="0.00", closes="0.00", days=days, number="6/1")
        assert rows(swept + other).keys() == rows(swept).keys()


def test_what_two_statements_expect_is_expected_once() -> None:
    """It moves no balance, so that none tells whether it is the same."""
    first, second = (
        a_statement(SALE, opens="5.00", closes="5.00", days=("260310", "260310"), number=number)
        for number in ("5/1", "6/1")
    )
    both = (first + second).replace(b"0310C50", b"0310EC50")
    assert [row.pending for row in rows(both).values()] == [True]


def test_two_statements_that_come_twice_are_no_longer_chain() -> None:
    """The second one ends where the first began, so that its copy seems to go on."""
    up = a_statement(SALE, opens="0.00", closes="50.00", days=("260310", "260310"))
    down = a_statement(SWEEP, opens="50.00", closes="0.00", days=("260310", "260310"))
    assert rows(up + down + up + down).keys() == rows(up + down).keys()
    assert len(rows(up + down)) == 2


def test_statements_that_overlap_in_one_file_do_not_double_what_both_show() -> None:
    """Zero at the end of each day: the days 9 and 10 are in both of these."""
    nights = [
        (Row(f"2026-03-{day:02}", "50.00", "SALE"), Row(f"2026-03-{day:02}", "-50.00", "SWEEP"))
        for day in (8, 9, 10, 11)
    ]
    first = a_statement(
        *nights[0], *nights[1], *nights[2], opens="0.00", closes="0.00", days=("260307", "260310")
    )
    second = a_statement(
        *nights[1], *nights[2], *nights[3], opens="0.00", closes="0.00", days=("260308", "260311")
    )
    assert len(rows(first + second)) == 8
    assert rows(first + second).keys() == rows(first, second).keys()


def test_a_part_of_what_was_there_before_is_not_what_follows_it() -> None:
    """Up to 50 and back to 0; then the first day again, in a statement that says more of it, from 0."""
    up = a_statement(SALE, opens="0.00", closes="50.00", days=("260309", "260310"))
    down = a_statement(Row("2026-03-12", "-50.00"), opens="50.00", closes="0.00", days=("260310", "260312"))
    again = a_statement(
        SALE, Row("2026-03-11", "7.00"), opens="0.00", closes="57.00", days=("260309", "260311")
    )
    assert len(rows(up + down + again)) == 3


def test_statements_of_one_day_are_counted_as_one_where_the_balance_goes_on() -> None:
    """Two coffees of one day, each in a statement of its own, which is no page: 10.00, 9.00, 8.00. The second begins
    where the first ended, and not where it would if it showed the same coffee."""
    coffee = Row("2026-03-10", "-1.00", "COFFEE")
    days = ("260310", "260310")
    first = a_statement(coffee, opens="10.00", closes="9.00", days=days, number="1/1")
    second = a_statement(coffee, opens="9.00", closes="8.00", days=days, number="2/1")
    assert len(rows(first + second)) == 2
    assert rows(first + second + second).keys() == rows(first + second).keys()


def test_pages_are_counted_as_one_where_the_balance_stands_still() -> None:
    first = a_statement(SALE, SWEEP, opens="0.00", closes="0.00", days=("260310", "260310"))
    second = a_statement(
        SALE, SWEEP, opens="0.00", closes="0.00", days=("260310", "260310"), kind="M", number="5/2"
    )
    assert len(rows(first + second)) == 4
    assert rows(first + second + first + second).keys() == rows(first + second).keys()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<Acct>", "<StmtPgntn><PgNb>2</PgNb><LastPgInd>true</LastPgInd></StmtPgntn>\n<Acct>"),
        ("<Cd>OPBD</Cd></CdOrPrtry>", "<Cd>OPBD</Cd></CdOrPrtry><SubTp><Cd>INTM</Cd></SubTp>"),
    ],
)
def test_pages_of_camt_are_counted_as_one(before: str, after: str) -> None:
    first = camt(SALE, SWEEP, opening="0.00", closing="0.00", closing_day="2026-03-10")
    second = first.decode().replace(before, after).encode()
    assert second != first
    assert len(rows(joined(first, second))) == 4


def test_what_is_booked_in_a_file_is_not_pending_further_down_in_it() -> None:
    """An MT942 of the morning behind the MT940 of its evening."""
    booked = mt940(Row("2026-03-02", "-1.00", reference="R"), closing="-1.00")
    for both in (booked + MT942, MT942 + b"\n" + booked):
        assert [row.pending for row in rows(both).values()] == [False]


def test_of_equal_rows_the_booked_ones_are_counted_first() -> None:
    """So that the one that was booked by noon is the one that the statement of the evening has."""
    booked, pending = Row("2026-03-02", "-1.00"), Row("2026-03-02", "-1.00", status="PDNG")
    (evening,) = rows(camt(booked))
    for report in (camt(booked, pending, version="052"), camt(pending, booked, version="052")):
        said = rows(report)
        assert len(said) == 2
        assert not said[evening].pending


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


def test_of_one_day_the_last_closing_balance_is_read() -> None:
    """Pages of one statement, and two statements of one day."""
    of_page_one = a_statement(opens="10.00", closes="9.00", days=("260301", "260302")).replace(
        b":62F:", b":62M:"
    )
    of_page_two = a_statement(opens="9.00", closes="5.00", days=("260302", "260302"), kind="M")
    noon = camt(opening="10.00", closing="9.00", closing_day="2026-03-02")
    night = camt(opening="9.00", closing="5.00", closing_day="2026-03-02")
    for content in (of_page_one + of_page_two, joined(noon, night)):
        (account,) = brought(content)
        assert account.upload.reading is not None
        assert account.upload.reading.balance == 500


def test_a_balance_that_is_carried_over_to_the_next_page_is_none_of_the_evening() -> None:
    """Brought alone, the first page says neither how the day ended nor what became of all that was pending."""
    page = a_statement(opens="10.00", closes="9.00", days=("260301", "260302")).replace(b":62F:", b":62M:")
    of_camt = camt(opening="10.00", closing="9.00").replace(
        b"<Cd>CLBD</Cd></CdOrPrtry>", b"<Cd>CLBD</Cd></CdOrPrtry><SubTp><Cd>INTM</Cd></SubTp>"
    )
    for content in (page, of_camt):
        (account,) = brought(content)
        assert (account.upload.reading, account.final_until) == (None, None)


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
#: Of an account that often stands where it stood before.
_STANDING = st.sampled_from(["-1.00", "1.00"])
_REFERENCES = st.sampled_from([None, "A", "B"])


@st.composite
def histories(draw: st.DrawFn, amounts: st.SearchStrategy[str] = _AMOUNTS) -> list[Row]:
    """Rows of some days, with twins among them, in the order of their days."""
    found: list[Row] = []
    for number in range(draw(st.integers(1, 6))):
        day = (FIRST_DAY + timedelta(days=number)).isoformat()
        for _ in range(draw(st.integers(0, 4))):
            found.append(Row(day, draw(amounts), draw(_WORDINGS), draw(_REFERENCES)))
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


def _balance(rows: list[Row]) -> str:
    return f"{sum((Decimal(row.amount) for row in rows), Decimal(0)):.2f}"


@given(data=st.data(), opens_on_the_day_before=st.booleans())
def test_a_history_in_overlapping_statements_of_one_file_has_the_same_rows(
    data: st.DataObject, opens_on_the_day_before: bool
) -> None:
    """However often the account stands at the same balance. Banks date an opening balance on either day."""
    history = data.draw(histories(_STANDING).filter(len))
    statements = []
    for piece in data.draw(overlapping(history)):
        if piece:
            first, last = date.fromisoformat(piece[0].day), date.fromisoformat(piece[-1].day)
            before = [row for row in history if row.day < piece[0].day]
            opened = first - timedelta(days=opens_on_the_day_before)
            days = f"{opened:%y%m%d}", f"{last:%y%m%d}"
            opens, closes = _balance(before), _balance(before + piece)
            statements.append(a_statement(*piece, opens=opens, closes=closes, days=days))
    assert rows(b"".join(statements)) == rows(mt940(*history))


@given(data=st.data(), again=st.booleans())
def test_a_history_in_pages_that_part_it_anywhere_has_the_same_rows(data: st.DataObject, again: bool) -> None:
    history = data.draw(histories(_STANDING).filter(len))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(history)), max_size=4)))
    pages = []
    for number, (begin, end) in enumerate(pairwise([0, *cuts, len(history)]), 1):
        page = a_statement(
            *history[begin:end],
            opens=_balance(history[:begin]),
            closes=_balance(history[:end]),
            days=("260301", "260310"),
            kind="F" if number == 1 else "M",
            number=f"5/{number}",
        )
        pages.append(page if end == len(history) else page.replace(b":62F:", b":62M:"))
    whole = b"".join(pages)
    assert rows(whole * 2 if again else whole) == rows(mt940(*history))


@given(data=st.data())
def test_the_order_of_rows_that_differ_changes_nothing(data: st.DataObject) -> None:
    history = data.draw(histories())
    turned = data.draw(st.permutations(history))
    assert rows(camt(*turned)) == rows(camt(*history))
