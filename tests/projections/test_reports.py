"""What the reports of the Insights door are made of: laws of periods, pages, sums, and days that recur."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.read_models.memory import MemoryRows
from domain.categories.tree import BY_ID, UNCATEGORISED, brand_of, category_of
from domain.consumer_account import AccountDetails
from domain.insights.books import Row
from domain.insights.figures import Window
from domain.insights.streams import MONTHLY, WEEKLY, Stream
from domain.row_details import NOTHING, RowDetails
from domain.transactions import date_of, day_of
from projections import models
from projections.accounts import Account, key_of
from projections.pending import PENDING
from projections.reports import grouping, listing, recurring, selection
from projections.reports.listing import Entry, Filters, Order
from projections.shown import TRANSACTIONS
from projections.uploads import Shown, accounts_of
from tests.projections import examples
from tests.projections.examples import ADA, CHECKING, NOON, SAVINGS, TENANT, History

MARCH_1 = day_of(date(2024, 3, 1))
ACCOUNT = Account(
    tenant=TENANT,
    consumer=ADA,
    id=CHECKING,
    position=1,
    source=CHECKING,
    provider="budget_insight",
    connection="c",
    currency="EUR",
    exponent=2,
    kind="CHECKING",
    details=msgspec.msgpack.encode(AccountDetails()),
    discovered_at=0,
    closed=None,
    as_of=None,
    balance=None,
    available=None,
    limit=None,
    reserved=None,
)
SHOWN = Shown(CHECKING, ACCOUNT, None)
LABELS = ("WAGE", "RENT", "GROCERIES", "FEES_PAYMENT_REJECTION", "PAYMENT_REJECTION")


def entry(
    number: int, amount: int | None, day: int = MARCH_1, labels: tuple[str, ...] = (), brand: str = ""
) -> Entry:
    return Entry(
        account=SHOWN,
        id=number.to_bytes(16, "big"),
        name=str(number),
        booked_on=day,
        value_on=day,
        amount=amount,
        kind="unknown",
        state="PROCESSED",
        categories=tuple(map(category_of, labels)) or (UNCATEGORISED,),
        brand=brand_of(brand) if brand else None,
        said=NOTHING,
        body=b"",
    )


_entries = st.lists(
    st.builds(
        entry,
        st.integers(0, 10**6),
        st.none() | st.integers(-(10**6), 10**6),
        st.integers(MARCH_1 - 100, MARCH_1 + 100),
        st.lists(st.sampled_from(LABELS), max_size=2, unique=True).map(tuple),
        st.sampled_from(["", "EDF", "Carrefour"]),
    ),
    unique_by=lambda one: one.id,
    max_size=30,
)
_orders = st.lists(
    st.builds(
        Order,
        st.sampled_from(["AMOUNT", "AMOUNT_WITH_TYPE", "DATE", "CATEGORY", "BRAND"]),
        descending=st.booleans(),
    ),
    max_size=3,
)
_windows = st.builds(
    lambda first, days: Window(first, first + days),
    st.integers(MARCH_1 - 800, MARCH_1 + 800),
    st.integers(0, 900),
)

# Periods


@given(_windows, st.none() | st.integers(1, 31))
def test_periods_are_the_window_cut_at_the_day_of_the_month(window: Window, starts_on: int | None) -> None:
    cut = grouping.periods(window, starts_on)
    assert (cut[0].first, cut[-1].last) == (window.first, window.last)
    assert all(period.days >= 1 for period in cut)
    for before, after in pairwise(cut):
        assert after.first == before.last + 1
        start = date_of(after.first)
        tomorrow = date_of(after.first + 1)
        assert start.day == starts_on or (start.day < starts_on and tomorrow.day == 1)
    if starts_on is None:
        assert cut == [window]
    # No period goes beyond the day on which the next one begins.
    assert all(period.days <= 31 for period in cut) or starts_on is None


@pytest.mark.parametrize("window", [(date.min, date(1, 3, 5)), (date(9999, 11, 5), date.max)])
def test_periods_at_the_ends_of_the_calendar(window: tuple[date, date]) -> None:
    whole = Window(day_of(window[0]), day_of(window[1]))
    for starts_on in (1, 15, 31):
        cut = grouping.periods(whole, starts_on)
        assert (cut[0].first, cut[-1].last) == (whole.first, whole.last)


# Groups


@given(_entries, _windows, st.integers(1, 31))
def test_groups_of_main_categories_add_up_to_the_rows(
    entries: list[Entry], window: Window, starts_on: int
) -> None:
    main = [one._replace(categories=one.categories[:1]) for one in entries]
    within = list(grouping.within(main, window))
    signed = sum(one.amount for one in within if one.amount is not None)
    for cut in ([window], grouping.periods(window, starts_on)):
        found = [
            group for period in cut for group in grouping.groups(grouping.within(main, period), Filters())
        ]
        assert sum(-group.sum if group.type == "DEBIT" else group.sum for group in found) == signed
        assert sum(len(group.amounts) for group in found) == sum(one.amount is not None for one in within)


@given(_entries)
def test_a_row_counts_once_in_each_of_its_categories(entries: list[Entry]) -> None:
    found = grouping.groups(entries, Filters())
    assert sum(len(group.amounts) for group in found) == sum(
        len(one.categories) for one in entries if one.amount is not None
    )
    for group in found:
        asked = Filters(categories=frozenset({group.category.id}))
        same = [one for one in grouping.groups(entries, asked) if one.type == group.type]
        assert same == [group]


@given(_entries, st.randoms())
def test_groups_do_not_depend_on_the_order_of_rows(entries: list[Entry], chance: Any) -> None:
    def sums(held: list[Entry]) -> list[tuple[str, str, int, list[int]]]:
        return [
            (group.category.id, group.type, group.sum, sorted(group.amounts))
            for group in grouping.groups(held, Filters())
        ]

    shuffled = list(entries)
    chance.shuffle(shuffled)
    assert sums(entries) == sums(shuffled)


def test_an_average_is_rounded_half_to_even() -> None:
    # (1 + 2) / 2 = 1.5 and (1 + 2 + 2 + 5) / 4 = 2.5
    for amounts, average in (((1, 2), 2), ((1, 2, 2, 5), 2)):
        held = [entry(number, amount) for number, amount in enumerate(amounts)]
        period = grouping.category_period(Window(0, 1), grouping.groups(held, Filters()), "EUR")
        assert period.categories[0].average.amount == average


# Listing


@given(_entries, _orders, st.integers(1, 7))
def test_pages_put_together_are_the_whole(entries: list[Entry], orders: list[Order], size: int) -> None:
    whole = listing.in_order(entries, orders)
    pages = [listing.page_of(whole, size, offset) for offset in range(0, len(whole) + size, size)]
    assert [one for page in pages for one in page] == whole
    assert sorted(whole) == sorted(entries)
    assert listing.page_of(whole, None, size) == whole[size:]


@given(_entries, st.sampled_from(["AMOUNT", "AMOUNT_WITH_TYPE", "BRAND"]), st.booleans())
def test_what_has_no_value_comes_last(entries: list[Entry], field: str, descending: bool) -> None:
    found = listing.in_order(entries, [Order(field, descending)])
    lacks = [(one.brand if field == "BRAND" else one.amount) is None for one in found]
    assert lacks == sorted(lacks)


@given(_entries, st.sampled_from(["DEBIT", "CREDIT"]), st.integers(0, 10**6))
def test_what_a_filter_lets_pass_and_what_it_does_not_is_all_that_has_an_amount(
    entries: list[Entry], type: str, amount: int
) -> None:
    def passing(filters: Filters) -> list[Entry]:
        return [one for one in entries if filters.let_pass(one)]

    known = {one.id for one in entries if one.amount is not None}
    small, large = passing(Filters(max_amount=amount)), passing(Filters(min_amount=amount + 1))
    assert {one.id for one in small} | {one.id for one in large} == known
    assert not {one.id for one in small} & {one.id for one in large}
    debits, credits = passing(Filters(type="DEBIT")), passing(Filters(type="CREDIT"))
    assert {one.id for one in debits} | {one.id for one in credits} == known
    assert not {one.id for one in debits} & {one.id for one in credits}
    zero = {one.id for one in entries if one.amount == 0}
    assert {one.id for one in passing(Filters(type="DEBIT_AND_ZERO"))} == {one.id for one in debits} | zero


def test_labels_of_one_key_are_alternatives_and_keys_are_not() -> None:
    row = entry(1, 1)._replace(said=RowDetails(labels={"a": "1", "b": "2"}))

    def wanted(**labels: str) -> Filters:
        return Filters(labels={key: frozenset(values.split()) for key, values in labels.items()})

    assert wanted(a="1").let_pass(row)
    assert wanted(a="0 1", b="2").let_pass(row)
    assert not wanted(a="1", b="0").let_pass(row)
    assert not wanted(c="1").let_pass(row)


def test_rows_are_found_by_their_brand() -> None:
    held = [entry(1, 1, brand="EDF"), entry(2, 1, brand="Carrefour"), entry(3, 1)]
    wanted = Filters(brands=frozenset({brand_of("edf").id}))
    assert [one.name for one in held if wanted.let_pass(one)] == ["1"]
    by_name = listing.in_order(held, [Order("BRAND")])
    assert [one.name for one in by_name] == ["2", "1", "3"]


@given(examples.histories(), _windows, st.booleans())
def test_rows_that_are_listed_are_those_that_the_account_shows(
    told: tuple[History, set[str]], window: Window, with_pending: bool
) -> None:
    """Whatever happened, an account's listed rows are its shown ones, and its pending ones where they are asked for."""
    history, destroyed = told
    rows = MemoryRows()
    models.fold(history.after_destroying(destroyed).recorded, rows)
    states = {"states": frozenset({"PROCESSED", "PENDING"})} if with_pending else {}
    for held in accounts_of(rows, TENANT, ADA, NOON):
        entries = listing.listed(rows, [held], window, Filters(**states))
        key = key_of(held.account.id)
        expected = [
            (row.id, row.amount) for row in rows.scan(TRANSACTIONS, key) if window.holds(row.booked_on)
        ]
        if with_pending:
            source = key_of(held.account.source)
            waiting = rows.scan(PENDING, source)
            expected += [(row.id, row.amount) for row in waiting if window.holds(row.booked_on)]
        assert sorted(map(repr, expected)) == sorted(repr((one.id, one.amount)) for one in entries)
        assert [-one.booked_on for one in entries] == sorted(-one.booked_on for one in entries)
        for one in entries:
            shaped = listing.shaped(one)
            assert shaped.categories and all(category.id in BY_ID for category in shaped.categories)
            assert isinstance(shaped.amount, msgspec.UnsetType) or shaped.amount.amount == abs(one.amount)


# What is reported together


def test_currencies_are_never_put_together() -> None:
    yen = Shown(SAVINGS, ACCOUNT._replace(id=SAVINGS, currency="CHF", as_of=5), None)
    alone = selection.selections("me", [SHOWN, yen], combine=False)
    together = selection.selections("me", [SHOWN, yen, SHOWN], combine=True)
    assert [one.accounts for one in alone] == [[SHOWN], [yen]]
    assert [(one.currency, len(one.accounts)) for one in together] == [("CHF", 1), ("EUR", 2)]
    assert selection.selections("me", [], combine=True) == []


def test_a_report_is_as_fresh_as_the_account_that_waits_the_longest() -> None:
    older = Shown(SAVINGS, ACCOUNT._replace(as_of=1_000_000), None)
    newer = Shown(CHECKING, ACCOUNT._replace(as_of=2_000_000), None)
    head = selection.Selection("me", [newer, older]).head
    assert head["refreshed_at"] == "1970-01-01T00:00:01.000Z"


@pytest.mark.parametrize("found", ["COMPLETE", "PARTIAL", "NONE"])
def test_what_is_available_meets_what_is_less(found: str) -> None:
    met = [required for required in ("COMPLETE", "PARTIAL", "NONE") if selection.is_met(found, required)]
    assert (
        met
        == {"COMPLETE": ["COMPLETE", "PARTIAL", "NONE"], "PARTIAL": ["PARTIAL", "NONE"], "NONE": ["NONE"]}[
            found
        ]
    )


# The days that recur


@pytest.mark.parametrize(
    ("cadence", "days", "found"),
    [
        (MONTHLY, ["2024-01-05", "2024-02-05", "2024-03-05"], (5, 5)),
        (MONTHLY, ["2024-01-05", "2024-02-07", "2024-03-06"], (5, 7)),
        # Around the end of the month: from the 30th to the 2nd of the next.
        (MONTHLY, ["2024-01-30", "2024-03-02", "2024-04-01"], (30, 2)),
        # Mondays; Sundays and Mondays.
        (WEEKLY, ["2024-01-01", "2024-01-08", "2024-01-15"], (1, 1)),
        (WEEKLY, ["2024-01-01", "2024-01-07", "2024-01-15"], (7, 1)),
    ],
)
def test_the_days_that_a_stream_comes_on(cadence: str, days: list[str], found: tuple[int, int]) -> None:
    rows = tuple(Row(day_of(date.fromisoformat(day)), b"", "a", 1, 0, "unknown", "", "") for day in days)
    stream = Stream(
        id="s",
        account="a",
        currency="EUR",
        is_debit=False,
        key="k",
        root="k",
        label="k",
        labels=(),
        brand="",
        rows=rows,
        cadence=cadence,
        status="MATURE",
        next_expected=None,
        tolerance=3,
        regularity=100,
        due_days=(),
        gap_min=None,
        gap_max=None,
        gap_mean=None,
        repartition="NONE",
        calendar=(),
        total=3,
        average=1,
    )
    assert recurring.due_days_of(stream) == found
