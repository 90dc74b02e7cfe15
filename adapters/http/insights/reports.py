"""The reports beside the balances: each of them by itself, and several at once.

They are made when they are asked for, from the rows of one moment. `REPORTS` says how, by the type that names a report
in answers and in bulk requests.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, SkipValidation

from adapters.http.bodies import parse_body
from adapters.http.doors import INSIGHTS
from adapters.http.fields import Body
from adapters.http.insights import requests
from adapters.http.insights.balances import BalancesBody, balances_reports
from adapters.http.insights.requests import (
    AccountInfosBody,
    BalanceOverTimeBody,
    CategorizationBody,
    ExpenseCategoriesBody,
    GroupByCategoryBody,
    RecurringTransactionsBody,
    RowsBody,
    SplitBody,
    WindowBody,
    today,
    window_of,
)
from adapters.http.insights.scope import AccountsBody, accounts_of, refuse_lacking
from adapters.http.problems import Problem, invalid
from adapters.http.routing import Answer, Asked, Route, ok
from domain.categories.tree import category_of
from domain.insights.books import Books
from domain.insights.figures import Window
from projections import shown, uploads
from projections.accounts import key_of
from projections.answers import Amount
from projections.books import books_of
from projections.ports import Rows
from projections.reports import grouping, infos, listing, over_time, recurring, shapes
from projections.reports.listing import DEBIT, Entry, Filters, category_names
from projections.reports.selection import NONE, Selection, availability, days_of, is_met, selections
from projections.reports.shapes import answer_of

TAG = "Insights reports"
#: The most reports that are asked for at once.
BULK_MAX = 20


# One by one


def account_infos(asked: Asked, rows: Rows, body: AccountInfosBody) -> list[shapes.AccountInfos]:
    chosen = accounts_of(asked, rows, body)
    found = selections(body.insights_consumer_id, chosen, combine=False)
    return [infos.account_infos(rows, selection) for selection in found]


def balance_over_time(asked: Asked, rows: Rows, body: BalanceOverTimeBody) -> list[shapes.BalanceOverTime]:
    window = window_of(asked, body)
    found = _selections(asked, rows, body)
    books = _books(asked, rows, found, as_of=today(asked), since=window.first)
    return [
        shapes.BalanceOverTime(
            **selection.head, **days_of(window), balances=over_time.balances(books, selection, window)
        )
        for selection in found
    ]


def categorized_transactions(
    asked: Asked, rows: Rows, body: CategorizationBody
) -> list[shapes.CategorizedTransactions]:
    window = window_of(asked, body)
    filters, orders = requests.categorization_filters(body), requests.orders_of(body.order)
    found = _available(asked, rows, body, window)
    reports = []
    for selection, available in found:
        entries = listing.in_order(listing.listed(rows, selection.accounts, window, filters), orders)
        page = listing.page_of(entries, body.size, body.offset or 0)
        reports.append(
            shapes.CategorizedTransactions(
                **selection.head,
                **days_of(window),
                transactions=list(map(listing.shaped, page)),
                data_availability=available,
            )
        )
    return reports


def grouped_by_category(
    asked: Asked, rows: Rows, body: GroupByCategoryBody
) -> list[shapes.GroupedByCategory]:
    window = window_of(asked, body)
    filters = requests.split_filters(
        body, type=body.transaction_type, min_amount=body.min_amount, max_amount=body.max_amount
    )
    cut = grouping.periods(window, requests.month_start_of(body))
    return [
        shapes.GroupedByCategory(
            **selection.head,
            **days_of(window),
            periods=[
                grouping.category_period(period, _groups(entries, period, filters, body), selection.currency)
                for period in cut
            ],
            data_availability=available,
        )
        for selection, available, entries in _filtered(asked, rows, body, window, filters)
    ]


def expense_categories(
    asked: Asked, rows: Rows, body: ExpenseCategoriesBody
) -> list[shapes.ExpenseCategories]:
    window = window_of(asked, body)
    filters = requests.split_filters(body, type=DEBIT)
    starts_on = requests.month_start_of(body)
    return [
        shapes.ExpenseCategories(
            **selection.head,
            **days_of(window),
            categories=grouping.expense_categories(
                _groups(entries, window, filters, body), selection.currency
            ),
            periods=shapes.given(
                None
                if starts_on is None
                else [
                    grouping.expense_period(
                        period, _groups(entries, period, filters, body), selection.currency
                    )
                    for period in grouping.periods(window, starts_on)
                ]
            ),
            data_availability=available,
        )
        for selection, available, entries in _filtered(asked, rows, body, window, filters)
    ]


def recurring_transactions(
    asked: Asked, rows: Rows, body: RecurringTransactionsBody
) -> list[shapes.RecurringTransactions]:
    window = window_of(asked, body)
    found = _available(asked, rows, body, window)
    books = _books(
        asked,
        rows,
        [selection for selection, _ in found],
        as_of=min(today(asked), window.last),
        since=window.first - recurring.DAYS_BEFORE,
    )
    return [
        shapes.RecurringTransactions(
            **selection.head,
            **days_of(window),
            intervals=recurring.intervals(books, selection, window, _names(rows, selection, window)),
            data_availability=available,
        )
        for selection, available in found
    ]


# What they have in common


def _selections(asked: Asked, rows: Rows, body: WindowBody) -> list[Selection]:
    chosen = accounts_of(asked, rows, body)
    return selections(body.insights_consumer_id, chosen, combine=requests.is_combined(body))


def _available(asked: Asked, rows: Rows, body: RowsBody, window: Window) -> list[tuple[Selection, str]]:
    """What is reported, each with how much of it is known.

    Raises:
        Problem: 400; it is less than what is required.
    """
    day, required = today(asked), body.required_data_availability or NONE
    found = _selections(asked, rows, body)
    if required != NONE:
        lacking = [
            held.name
            for selection in found
            for held in selection.accounts
            if not is_met(availability(rows, [held], window, day), required)
        ]
        refuse_lacking(required, f"{required}_MISSING", f"less than {required} of the days is known", lacking)
    return [(selection, availability(rows, selection.accounts, window, day)) for selection in found]


def _filtered(
    asked: Asked, rows: Rows, body: SplitBody, window: Window, filters: Filters
) -> list[tuple[Selection, str, list[Entry]]]:
    return [
        (selection, available, listing.listed(rows, selection.accounts, window, filters))
        for selection, available in _available(asked, rows, body, window)
    ]


def _groups(entries: list[Entry], period: Window, filters: Filters, body: SplitBody) -> list[grouping.Group]:
    within = grouping.within(entries, period)
    return grouping.groups(within, filters, requests.orders_of(body.order))


def _books(asked: Asked, rows: Rows, found: list[Selection], *, as_of: int, since: int) -> Books:
    """The books of the consumer whose accounts these are; empty ones without any."""
    if not found:
        return Books(accounts=(), as_of=as_of, known_at=0, since=since)
    account = found[0].accounts[0].account
    books = books_of(rows, account.tenant, account.consumer, as_of=as_of, since=since)
    if books is None:
        raise RuntimeError("a consumer with accounts has books")
    return books


def _names(rows: Rows, selection: Selection, window: Window) -> dict[bytes, str]:
    """The ids that a client knows its own rows by."""
    return {
        row.id: row.reference
        for held in selection.accounts
        if held.account.provider == uploads.PROVIDER
        for row in shown.booked_between(rows, key_of(held.account.id), window.first, window.last)
    }


# Several at once


class Kind(NamedTuple):
    body: type[AccountsBody]
    make: Callable[[Asked, Rows, Any], list[Any]]


REPORTS: dict[str, Kind] = {
    "ACCOUNT_INFOS": Kind(AccountInfosBody, account_infos),
    "BALANCE_OVER_TIME": Kind(BalanceOverTimeBody, balance_over_time),
    "BALANCES": Kind(BalancesBody, balances_reports),
    "CATEGORIZED_TRANSACTIONS": Kind(CategorizationBody, categorized_transactions),
    "EXPENSE_CATEGORIES": Kind(ExpenseCategoriesBody, expense_categories),
    "GROUP_BY_CATEGORY": Kind(GroupByCategoryBody, grouped_by_category),
    "RECURRING_TRANSACTIONS": Kind(RecurringTransactionsBody, recurring_transactions),
}


class BulkAccountInfosBody(AccountInfosBody):
    type: Literal["ACCOUNT_INFOS"]


class BulkBalanceOverTimeBody(BalanceOverTimeBody):
    type: Literal["BALANCE_OVER_TIME"]


class BulkBalancesBody(BalancesBody):
    type: Literal["BALANCES"]


class BulkCategorizationBody(CategorizationBody):
    type: Literal["CATEGORIZED_TRANSACTIONS"]


class BulkExpenseCategoriesBody(ExpenseCategoriesBody):
    type: Literal["EXPENSE_CATEGORIES"]


class BulkGroupByCategoryBody(GroupByCategoryBody):
    type: Literal["GROUP_BY_CATEGORY"]


class BulkRecurringTransactionsBody(RecurringTransactionsBody):
    type: Literal["RECURRING_TRANSACTIONS"]


#: Each of them is read by itself, so that what is wrong with it is said of its place.
BulkReportBody = SkipValidation[
    Annotated[
        BulkAccountInfosBody
        | BulkBalanceOverTimeBody
        | BulkBalancesBody
        | BulkCategorizationBody
        | BulkExpenseCategoriesBody
        | BulkGroupByCategoryBody
        | BulkRecurringTransactionsBody,
        Field(discriminator="type"),
    ]
]


class BulkBody(Body):
    """Reports of any type, each as it would be asked for alone. All of them are answered, or none is."""

    reports: Annotated[list[BulkReportBody], Field(min_length=1, max_length=BULK_MAX)]


async def create_bulk_report(asked: Asked) -> Answer:
    """All at one moment. All are read before any is made; what is wrong is said of the first that is."""
    wanted = [_placed(place, lambda one=one: _read(one)) for place, one in enumerate(asked.body.reports)]
    with asked.http.read_models.moment() as rows:
        reports = [
            _placed(place, lambda kind=kind, body=body: kind.make(asked, rows, body))
            for place, (kind, body) in enumerate(wanted)
        ]
    return ok(shapes.BulkAnswer(shapes.BulkReports(reports)))


def _read(one: Any) -> tuple[Kind, AccountsBody]:
    if not isinstance(one, dict):
        raise invalid("The body is not valid.", body=["must be an object"])
    if "type" not in one:
        raise invalid("The body is not valid.", type=["is required"])
    type, rest = one["type"], {name: value for name, value in one.items() if name != "type"}
    if not isinstance(type, str) or type not in REPORTS:
        raise invalid("The body is not valid.", type=["is not one of the values allowed here"])
    return REPORTS[type], parse_body(json.dumps(rest).encode(), REPORTS[type].body, optional=False)


def _placed(place: int, work: Callable[[], Any]) -> Any:
    """Do something for one of several reports.

    Raises:
        Problem: what it raised, told of its place.
    """
    try:
        return work()
    except Problem as problem:
        here = f"reports[{place}]"
        told = problem.details or {"body": [problem.message]}
        problem.details = {
            here if location == "body" else f"{here}.{location}": messages
            for location, messages in told.items()
        }
        raise


# Routes


def _create(type: str) -> Callable[[Asked], Awaitable[Answer]]:
    async def create(asked: Asked) -> Answer:
        with asked.http.read_models.moment() as rows:
            return ok(answer_of(REPORTS[type].make(asked, rows, asked.body)))

    return create


def _route(path: str, type: str, answered: Any, operation: str, summary: str, example: Any) -> Route:
    return Route(
        method="POST",
        path=f"/insights/v1/reports/{path}/create",
        door=INSIGHTS,
        handler=_create(type),
        tag=TAG,
        summary=summary,
        body=REPORTS[type].body,
        answers={200: shapes.ReportsAnswer[answered]},
        problems=(403, 404),
        operation=operation,
        example=answer_of([example]),
    )


_HEAD = {
    "insights_consumer_id": "5f0c6a1e-0d3b-4f7e-9a53-6b1f3f0f7a10",
    "insights_account_ids": ["1c7e8f10-4b1e-4d0a-8a51-6b7f9f0f7a10"],
    "refreshed_at": "2026-03-02T05:12:31.000Z",
}
_DAYS = {"from_date": "2026-02-01", "to_date": "2026-02-28"}
_GROCERIES = {"id": category_of("GROCERIES").id, "name": category_of("GROCERIES").name}
_ROW = "b3a0a6a0-7c1b-4b57-9d43-2d1c3a0f7a10"
_GROUPED = shapes.GroupedByCategory(
    **_HEAD,
    **_DAYS,
    periods=[
        shapes.CategoryPeriod(
            **_DAYS,
            categories=[
                shapes.CategoryFigures(
                    **_GROCERIES,
                    transaction_type="DEBIT",
                    count=2,
                    sum=Amount(9_120, "EUR"),
                    average=Amount(4_560, "EUR"),
                    min=Amount(4_210, "EUR"),
                    max=Amount(4_910, "EUR"),
                )
            ],
        )
    ],
    data_availability="COMPLETE",
)

ROUTES = (
    _route(
        "balance-over-time",
        "BALANCE_OVER_TIME",
        shapes.BalanceOverTime,
        "create_balance_over_time_report",
        "Report what accounts had at the end of each day",
        shapes.BalanceOverTime(
            **_HEAD,
            **_DAYS,
            balances=[shapes.DayBalance(date="2026-02-27", balance=Amount(152_342, "EUR"))],
        ),
    ),
    _route(
        "account-info",
        "ACCOUNT_INFOS",
        shapes.AccountInfos,
        "create_account_info_report",
        "Report what is known of accounts",
        shapes.AccountInfos(
            **_HEAD,
            account_alias="Compte courant",
            currency="EUR",
            bank_name="Banque Test",
            account_type="DEFAULT",
        ),
    ),
    _route(
        "categorization",
        "CATEGORIZED_TRANSACTIONS",
        shapes.CategorizedTransactions,
        "create_categorization_report",
        "Report transactions with their categories and brands",
        shapes.CategorizedTransactions(
            **_HEAD,
            **_DAYS,
            transactions=[
                shapes.CategorizedTransaction(
                    insights_transaction_id=_ROW,
                    insights_account_id=_HEAD["insights_account_ids"][0],
                    value_date="2026-02-27",
                    booking_date="2026-02-27",
                    amount=Amount(4_210, "EUR"),
                    type="DEBIT",
                    state="PROCESSED",
                    method="UNKNOWN",
                    reference="CB CARREFOUR",
                    categories=category_names([category_of("GROCERIES")]),
                )
            ],
            data_availability="COMPLETE",
        ),
    ),
    _route(
        "groupy-by-category",
        "GROUP_BY_CATEGORY",
        shapes.GroupedByCategory,
        "create_groupy_by_category_report",
        "Report transactions grouped by category, under the name that the contract prints",
        _GROUPED,
    ),
    _route(
        "group-by-category",
        "GROUP_BY_CATEGORY",
        shapes.GroupedByCategory,
        "create_group_by_category_report",
        "Report transactions grouped by category",
        _GROUPED,
    ),
    _route(
        "recurring-transactions",
        "RECURRING_TRANSACTIONS",
        shapes.RecurringTransactions,
        "create_recurring_transactions_report",
        "Report transactions that recur",
        shapes.RecurringTransactions(
            **_HEAD,
            **_DAYS,
            intervals=[
                shapes.RecurringInterval(
                    interval="MONTHLY",
                    income_amount=Amount(0, "EUR"),
                    expense_amount=Amount(80_000, "EUR"),
                    transaction_groups=[
                        shapes.TransactionGroup(
                            type="DEBIT",
                            earliest_day=3,
                            latest_day=5,
                            average_amount=Amount(80_000, "EUR"),
                            transaction_ids=[_ROW],
                            categories=category_names([category_of("RENT")]),
                        )
                    ],
                )
            ],
            data_availability="COMPLETE",
        ),
    ),
    _route(
        "expense-category",
        "EXPENSE_CATEGORIES",
        shapes.ExpenseCategories,
        "create_expense_category_report",
        "Report expenses grouped by category; deprecated by the contract for the report by category",
        shapes.ExpenseCategories(
            **_HEAD,
            **_DAYS,
            categories=[shapes.ExpenseCategory(**_GROCERIES, count=2, sum=Amount(9_120, "EUR"))],
            data_availability="COMPLETE",
        ),
    ),
    Route(
        method="POST",
        path="/insights/v1/reports/bulk/create",
        door=INSIGHTS,
        handler=create_bulk_report,
        tag=TAG,
        summary="Make several reports at once",
        body=BulkBody,
        answers={200: shapes.BulkAnswer},
        problems=(403, 404),
    ),
)
