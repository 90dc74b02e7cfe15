"""The balances report: the latest balances of each account of a consumer."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from pydantic import Field

from adapters.http.doors import INSIGHTS
from adapters.http.fields import Body, text
from adapters.http.problems import Problem
from adapters.http.routing import Answer, Asked, Route
from projections import answers

BALANCE_OR_AVAILABLE = "BALANCE_OR_AVAILABLE"

#: Any string of at most 128 characters; one that nobody has is unknown, not invalid.
Id = Annotated[str, text(128)]
Ids = Annotated[list[Id], Field(max_length=1_000)]


class BalancesBody(Body):
    """Which accounts are reported: those named, or all but those excluded, or all. An empty list is none."""

    insights_consumer_id: Id
    insights_account_ids: Ids | None = None
    excluded_insights_account_ids: Ids | None = None
    required_data_availability: Literal["NONE", "BALANCE_OR_AVAILABLE"] | None = None


class BalancesReports(msgspec.Struct):
    reports: list[answers.Balances]


class BalancesAnswer(msgspec.Struct):
    data: BalancesReports


async def create_balances_report(asked: Asked) -> Answer:
    body: BalancesBody = asked.body
    named = set(body.insights_account_ids or ())
    excluded = set(body.excluded_insights_account_ids or ())
    if named and excluded:
        raise Problem(
            400,
            "VALIDATION_ERROR",
            "Name the accounts to report or those to exclude, not both.",
            details={"excluded_insights_account_ids": ["must be empty if insights_account_ids is set"]},
        )
    if asked.http.read_models.consumer(asked.tenant, body.insights_consumer_id) is None:
        raise _unknown("CONSUMER_NOT_FOUND", "There is no such consumer.", "insights_consumer_id")
    held = asked.http.read_models.balances(asked.tenant, body.insights_consumer_id)
    known = {account_id for account_id, _, _ in held}
    for location, ids in (("insights_account_ids", named), ("excluded_insights_account_ids", excluded)):
        if ids - known:
            raise _unknown("ACCOUNT_NOT_FOUND", "The consumer has no such account.", location)
    reported = [row for row in held if (row[0] in named if named else row[0] not in excluded)]
    if body.required_data_availability != "NONE":
        _require_data([account_id for account_id, available, _ in reported if not available])
    return Answer(body=b'{"data":{"reports":[%s]}}' % b",".join(report for _, _, report in reported))


def _unknown(code: str, message: str, location: str) -> Problem:
    return Problem(404, code, message, details={location: [message]})


def _require_data(lacking: list[str]) -> None:
    if lacking:
        messages = [f"neither balance nor available is known for account {id}" for id in lacking]
        raise Problem(
            400,
            "DATA_NOT_AVAILABLE",
            f"required_data_availability {BALANCE_OR_AVAILABLE} is not met",
            details={"insights_account_ids": messages},
            detail_code=f"{BALANCE_OR_AVAILABLE}_MISSING",
        )


ROUTES = (
    Route(
        method="POST",
        path="/insights/v1/reports/balances/create",
        door=INSIGHTS,
        handler=create_balances_report,
        tag="Insights reports",
        summary="Report the latest balances of a consumer's accounts",
        body=BalancesBody,
        answers={200: BalancesAnswer},
        problems=(403, 404),
    ),
)
