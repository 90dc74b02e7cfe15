"""What was fetched, sent as it was encoded when it was written, and what follows from it."""

from __future__ import annotations

from adapters.http.doors import QARD
from adapters.http.fields import Day, Paging
from adapters.http.problems import invalid, not_found
from adapters.http.qard.pages import Page, encoded_page
from adapters.http.qard.users import existing_user
from adapters.http.routing import Answer, Asked, Route
from domain.transactions import day_of
from projections import answers, cashflow, credit_insights, insights
from projections.answers import encode

TAG = "Banking"


class TransactionsQuery(Paging):
    """Both days are included, and are those of `value_date`."""

    from_date: Day | None = None
    to_date: Day | None = None
    transaction_type: answers.TransactionType | None = None


async def list_accounts(asked: Asked) -> Answer:
    user = existing_user(asked)
    paging: Paging = asked.query
    total, rows = asked.http.read_models.banking_accounts(asked.tenant, user.id, paging.page, paging.size)
    return encoded_page(paging, total, rows)


async def list_transactions(asked: Asked) -> Answer:
    user = existing_user(asked)
    query: TransactionsQuery = asked.query
    if query.from_date and query.to_date and query.from_date > query.to_date:
        raise invalid("The query is not valid.", from_date=["must not be after to_date"])
    found = asked.http.read_models.transactions(
        asked.tenant,
        user.id,
        asked.ids["account_id"],
        query.page,
        query.size,
        day_of(query.from_date) if query.from_date else None,
        day_of(query.to_date) if query.to_date else None,
        query.transaction_type,
    )
    if found is None:
        raise not_found()
    return encoded_page(query, *found)


# A user of whom nothing was fetched gets the same shapes, without figures.


async def read_cashflow(asked: Asked) -> Answer:
    found = asked.http.read_models.cashflow(asked.tenant, existing_user(asked).id)
    return Answer(body=found or encode(cashflow.answer([], asked.http.scratch(), None)))


async def read_credit_insights(asked: Asked) -> Answer:
    key, models = (asked.tenant, existing_user(asked).id), asked.http.read_models
    with models.moment() as rows:
        is_long = insights.is_long(rows, *key)
        found = None if is_long else credit_insights.document(rows, *key)
    if is_long:
        found = await models.aside(lambda rows: credit_insights.document(rows, *key))
    return Answer(body=found or credit_insights.nothing())


ROUTES = (
    Route(
        method="GET",
        path="/api/v6/users/{user_id}/banking-accounts",
        door=QARD,
        handler=list_accounts,
        tag=TAG,
        summary="List a user's bank accounts",
        query=Paging,
        answers={200: Page[answers.BankAccount]},
        problems=(404,),
    ),
    Route(
        method="GET",
        path="/api/v6/users/{user_id}/banking-accounts/{account_id}/transactions",
        door=QARD,
        handler=list_transactions,
        tag=TAG,
        summary="List an account's booked transactions, newest value date first",
        query=TransactionsQuery,
        answers={200: Page[answers.BankTransaction]},
        problems=(404,),
    ),
    Route(
        method="GET",
        path="/api/v6/users/{user_id}/banking-cashflow",
        door=QARD,
        handler=read_cashflow,
        tag=TAG,
        summary="Read a user's cash flow by month",
        answers={200: answers.Cashflow},
        problems=(404,),
    ),
    Route(
        method="GET",
        path="/api/v6/users/{user_id}/banking-credit-insights",
        door=QARD,
        handler=read_credit_insights,
        tag=TAG,
        summary="Read a user's credit insights",
        answers={200: answers.CreditInsights},
        problems=(404,),
    ),
)
