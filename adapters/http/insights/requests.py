"""What is asked of a report: the bodies, and what they mean. Whatever is null is as if it had not been sent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from adapters.http.fields import PAGE_MAX, Body, Day, text
from adapters.http.insights.scope import AccountsBody, Id, Ids
from adapters.http.problems import invalid
from adapters.http.routing import Asked
from domain.categories.tree import BY_ID, with_descendants
from domain.insights.figures import Window
from domain.money import MINOR_MAX
from domain.row_details import PROCESSED
from domain.transactions import day_of
from projections.reports.listing import Filters, Order
from projections.times import micros, utc_day

#: The days up to today that are reported where none are asked for.
REPORT_DAYS = 62
REPORT_DAYS_MAX = 3_660
LABELS_MAX = 100

_FIRST_DAY = day_of(date.min)

State = Literal["PROCESSED", "PENDING", "CANCELED", "FAILED", "UNKNOWN"]
Availability = Literal["COMPLETE", "PARTIAL", "NONE"]
Minor = Annotated[int, Field(ge=0, le=MINOR_MAX)]


class AccountInfosBody(AccountsBody):
    """Which accounts are told of."""


class WindowBody(AccountsBody):
    """Which days are reported: `report_days` up to today, in UTC, or those from `from_date` to `to_date`, both
    included. The last 62 days if none of these is sent; without `to_date` up to today, and without `from_date` the
    62 days up to `to_date`."""

    report_days: Annotated[int, Field(ge=1, le=REPORT_DAYS_MAX)] | None = None
    from_date: Day | None = None
    to_date: Day | None = None
    combine_accounts: Literal["NONE", "ALL"] | None = None
    """ALL for one report of all accounts in a currency; NONE, as without it, for one of each account."""


class BalanceOverTimeBody(WindowBody):
    """Which accounts and days are reported."""


class RowsBody(WindowBody):
    """A report that is made of transactions."""

    required_data_availability: Availability | None = None
    """How much of the days must be known, NONE without it: 400 if it is less."""


class RecurringTransactionsBody(RowsBody):
    """Which accounts and days are reported."""


class LabelBody(Body):
    """What a client has called a transaction."""

    key: Annotated[str, text(128, 1)]
    value: Annotated[str, text(1024)]


Labels = Annotated[list[LabelBody], Field(max_length=LABELS_MAX)]


class CategoriesBody(RowsBody):
    """Which transactions are reported."""

    only_main_category: bool | None = None
    """Of each transaction its first category counts alone, and is shown alone."""
    states: Annotated[list[State], Field(max_length=10)] | None = None
    """PROCESSED alone, where none is named."""
    category_ids: Ids | None = None
    """Those with one of these categories, or of one that belongs to them."""
    labels: Labels | None = None
    """Those that have, of every key named here, one of its values."""
    excluded_labels: Labels | None = None
    """Those that have none of these."""


class TransactionOrder(Body):
    """Transactions without a value come last."""

    field: Literal["AMOUNT", "AMOUNT_WITH_TYPE", "DATE", "CATEGORY", "BRAND"]
    order: Literal["ASC", "DESC"] | None = None
    """ASC without it."""


class CategorizationBody(CategoriesBody):
    """Which transactions are listed; the newest first, if no order is asked for."""

    size: Annotated[int, Field(ge=1, le=PAGE_MAX)] | None = None
    offset: Annotated[int, Field(ge=0, le=PAGE_MAX)] | None = None
    min_amount: Minor | None = None
    max_amount: Minor | None = None
    transaction_type: Literal["DEBIT", "CREDIT", "DEBIT_AND_ZERO"] | None = None
    insights_transaction_ids: Ids | None = None
    brand_ids: Ids | None = None
    order: Annotated[list[TransactionOrder], Field(max_length=5)] | None = None


class CategoryOrder(Body):
    """By the sum without sign, by the sum with the sign of its direction, or by name."""

    field: Literal["AMOUNT", "AMOUNT_WITH_TYPE", "CATEGORY"]
    order: Literal["ASC", "DESC"] | None = None
    """ASC without it."""


class SplitBody(CategoriesBody):
    """Which transactions are counted; the largest sum first, if no order is asked for."""

    split_by: Literal["MONTH"] | None = None
    split_by_month_adjusted_day: Annotated[int, Field(ge=1, le=31)] | None = None
    """The day of the month that months begin on; their last day where they have no such day."""
    excluded_categories: Ids | None = None
    """Not those with one of these categories, nor of one that belongs to them."""
    order: Annotated[list[CategoryOrder], Field(max_length=3)] | None = None


class GroupByCategoryBody(SplitBody):
    """Which transactions are grouped; the largest sum first, if no order is asked for."""

    min_amount: Minor | None = None
    max_amount: Minor | None = None
    transaction_type: Literal["CREDIT", "DEBIT"] | None = None


class ExpenseCategoriesBody(SplitBody):
    """Which expenses are grouped; the largest sum first, if no order is asked for."""


# What they mean


def today(asked: Asked) -> int:
    return utc_day(micros(asked.now()))


def window_of(asked: Asked, body: WindowBody) -> Window:
    """The days that are reported.

    Raises:
        Problem: 400.
    """
    first, last = _day(body.from_date), _day(body.to_date)
    if body.report_days is not None:
        if first is not None or last is not None:
            message = "must not be sent together with from_date or to_date"
            raise invalid("The days are given twice.", report_days=[message])
        return Window(today(asked) - body.report_days + 1, today(asked))
    if last is None:
        last = today(asked)
    if first is None:
        first = max(last - REPORT_DAYS + 1, _FIRST_DAY)
    if first > last:
        said = "must not be after to_date" if body.to_date else "must not be after today"
        raise invalid("The days end before they begin.", from_date=[said])
    if last - first >= REPORT_DAYS_MAX:
        message = f"must be less than {REPORT_DAYS_MAX} days before the last day"
        raise invalid("The days are too many.", from_date=[message])
    return Window(first, last)


def _day(value: date | None) -> int | None:
    return None if value is None else day_of(value)


def is_combined(body: WindowBody) -> bool:
    return body.combine_accounts == "ALL"


def month_start_of(body: SplitBody) -> int | None:
    """The day of the month that the days are split on; None where they are not.

    Raises:
        Problem: 400.
    """
    if body.split_by is None:
        if body.split_by_month_adjusted_day is not None:
            raise invalid("Nothing is split.", split_by_month_adjusted_day=["needs split_by to be MONTH"])
        return None
    return body.split_by_month_adjusted_day or 1


def categorization_filters(body: CategorizationBody) -> Filters:
    """
    Raises:
        Problem: 400.
    """
    _check_amounts(body.min_amount, body.max_amount)
    return Filters(
        states=_states(body),
        only_main_category=bool(body.only_main_category),
        type=body.transaction_type,
        min_amount=body.min_amount,
        max_amount=body.max_amount,
        ids=_ids(body.insights_transaction_ids),
        categories=_categories("category_ids", body.category_ids),
        brands=_ids(body.brand_ids),
        labels=_by_key(body.labels),
        excluded_labels=_by_key(body.excluded_labels),
    )


def split_filters(
    body: SplitBody, *, type: str | None, min_amount: int | None = None, max_amount: int | None = None
) -> Filters:
    """
    Raises:
        Problem: 400.
    """
    _check_amounts(min_amount, max_amount)
    return Filters(
        states=_states(body),
        only_main_category=bool(body.only_main_category),
        type=type,
        min_amount=min_amount,
        max_amount=max_amount,
        categories=_categories("category_ids", body.category_ids),
        excluded_categories=_categories("excluded_categories", body.excluded_categories),
        labels=_by_key(body.labels),
        excluded_labels=_by_key(body.excluded_labels),
    )


def orders_of(asked: Iterable[TransactionOrder | CategoryOrder] | None) -> list[Order]:
    return [Order(one.field, descending=one.order == "DESC") for one in asked or ()]


def _check_amounts(smallest: int | None, largest: int | None) -> None:
    if smallest is not None and largest is not None and smallest > largest:
        raise invalid("No amount is between them.", min_amount=["must not be larger than max_amount"])


def _states(body: CategoriesBody) -> frozenset[str]:
    return frozenset(body.states or (PROCESSED,))


def _ids(ids: Iterable[Id] | None) -> frozenset[str]:
    return frozenset(ids or ())


def _categories(location: str, ids: Iterable[Id] | None) -> frozenset[str]:
    """Categories with all that belong to them."""
    named = [id.lower() for id in ids or ()]
    if not BY_ID.keys() >= set(named):
        said = "must name categories of the category list"
        raise invalid("There is no such category.", **{location: [said]})
    return with_descendants(named)


def _by_key(labels: Iterable[LabelBody] | None) -> dict[str, frozenset[str]]:
    """By key its values."""
    found: dict[str, set[str]] = {}
    for label in labels or ():
        found.setdefault(label.key, set()).add(label.value)
    return {key: frozenset(values) for key, values in found.items()}
