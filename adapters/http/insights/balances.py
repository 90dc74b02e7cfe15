"""The balances report: the latest balances of each account of a consumer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from adapters.http.doors import INSIGHTS
from adapters.http.insights.scope import (
    AccountsBody,
    brought_names,
    choose,
    consumer_of,
    refuse_both,
    refuse_lacking,
)
from adapters.http.routing import Answer, Asked, Route
from projections import answers
from projections.balances import BALANCES
from projections.ports import Rows

BALANCE_OR_AVAILABLE = "BALANCE_OR_AVAILABLE"

Held = tuple[str, bool, bytes]
"""An account, whether its balance or available is known, and its encoded report."""


class BalancesBody(AccountsBody):
    """Which accounts are reported: those named, or all but those excluded, or all. An empty list is none."""

    required_data_availability: Literal["NONE", "BALANCE_OR_AVAILABLE"] | None = None


class BalancesReports(msgspec.Struct):
    reports: list[answers.Balances]


class BalancesAnswer(msgspec.Struct):
    data: BalancesReports


async def create_balances_report(asked: Asked) -> Answer:
    body: BalancesBody = asked.body
    refuse_both(body)
    with asked.http.read_models.moment() as rows:
        consumer = consumer_of(asked, rows, body.insights_consumer_id)
        names = brought_names(asked, rows, consumer)
    held = asked.http.read_models.balances(asked.tenant, consumer)
    reports = _reports(body, consumer, names, held)
    return Answer(body=b'{"data":{"reports":[%s]}}' % b",".join(reports))


def balances_reports(asked: Asked, rows: Rows, body: BalancesBody) -> list[msgspec.Raw]:
    """The same from rows of one moment.

    Raises:
        Problem: 400 or 404.
    """
    refuse_both(body)
    consumer = consumer_of(asked, rows, body.insights_consumer_id)
    held = [
        (row.account, bool(row.available), row.body) for row in rows.scan(BALANCES, asked.tenant, consumer)
    ]
    return list(map(msgspec.Raw, _reports(body, consumer, brought_names(asked, rows, consumer), held)))


def _reports(
    body: BalancesBody, consumer: str, names: Mapping[str, str | None], held: Iterable[Held]
) -> list[bytes]:
    by_name = [
        (name, available, _under(body.insights_consumer_id, name, consumer, account, report))
        for account, available, report in held
        if (name := names.get(account, account)) is not None
    ]
    chosen = choose(body, [name for name, _, _ in by_name])
    reported = [row for row in by_name if row[0] in chosen]
    if body.required_data_availability != "NONE":
        refuse_lacking(
            BALANCE_OR_AVAILABLE,
            f"{BALANCE_OR_AVAILABLE}_MISSING",
            "neither balance nor available is known",
            [name for name, available, _ in reported if not available],
        )
    return [report for _, _, report in reported]


def _under(consumer_name: str, name: str, consumer: str, account: str, report: bytes) -> bytes:
    """A report under the ids that the client chose, where it did."""
    if (consumer_name, name) == (consumer, account):
        return report
    decoded = msgspec.json.decode(report, type=answers.Balances)
    return answers.encode(
        msgspec.structs.replace(decoded, insights_consumer_id=consumer_name, insights_account_ids=[name])
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
