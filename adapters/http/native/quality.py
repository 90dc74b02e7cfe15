"""How good a consumer's data is: how old, how complete, and whether balances and rows agree."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Literal

import msgspec
from pydantic import BeforeValidator, Field

from adapters.http.doors import NATIVE
from adapters.http.fields import Query, whole
from adapters.http.native.connections import SyncFailure, failure_of
from adapters.http.native.consumers import age_seconds, of_consumer, time_text
from adapters.http.routing import Answer, Asked, Route, ok
from projections import quality
from projections.accounts import ACCOUNTS, Account, key_of
from projections.answers import insights_time
from projections.health import HEALTH, Health
from projections.pending import PENDING
from projections.ports import Rows
from projections.quality import Range
from projections.times import day_text, micros, utc_day

WINDOW_DAYS = 365
WINDOW_DAYS_MAX = 3_660
_RATIO = Decimal("0.0001")


class QualityQuery(Query):
    """The days that are looked at: so many up to today, in UTC."""

    window_days: Annotated[int, Field(ge=1, le=WINDOW_DAYS_MAX), BeforeValidator(whole)] = WINDOW_DAYS


class Window(msgspec.Struct, kw_only=True):
    """Days, both included."""

    first: str = msgspec.field(name="from")
    last: str = msgspec.field(name="to")
    days: int


class UncoveredDays(msgspec.Struct, kw_only=True):
    first: str = msgspec.field(name="from")
    last: str = msgspec.field(name="to")
    days: int
    reason: Literal[quality.REASONS]


class Coverage(msgspec.Struct, kw_only=True):
    """The days of the window of which everything was read that the bank showed."""

    covered_days: int
    ratio: str
    """Of the window, as a decimal with four digits."""
    uncovered: list[UncoveredDays]


class Drift(msgspec.Struct, kw_only=True):
    """What the balances of the window moved and no booked row explains: observed minus reconstructed, in minor units."""

    status: Literal[quality.DRIFT_STATUSES]
    """Why the rest is null, unless it is `ok`."""
    currency: str
    readings: int
    """The readings with a balance, one a day at most."""
    net: int | None
    """Of all of them together."""
    largest: int | None
    """The largest one, by size, between two neighbouring readings."""
    largest_on: str | None
    """The day of the older one of these."""


class AccountQuality(msgspec.Struct, kw_only=True):
    """Of one account. Times are RFC 3339, in UTC; days are the bank's civil days."""

    account_id: str
    source_id: str
    """The source that leads: balance, pending rows, failures and drift are its own."""
    data_connection_id: str | None
    """Null where its data was brought and not fetched."""
    closed: str | None
    balance_as_of: str | None
    balance_age_seconds: int | None
    transactions_as_of: str | None
    """When the rows were as they are here: the provider's last fetch that was read, else our last success."""
    transactions_age_seconds: int | None
    oldest_booked_on: str | None
    history_days: int | None
    """From the oldest booked row to today."""
    newest_booked_on: str | None
    gap_days: int | None
    """From the newest booked row to today; 0 where it lies ahead."""
    booked_count: int
    pending_count: int
    last_failure: SyncFailure | None
    """Only if nothing has succeeded since."""
    coverage: Coverage
    drift: Drift


class ConsumerQuality(msgspec.Struct, kw_only=True):
    """The accounts of a consumer, in the order of their discovery."""

    as_of: str
    window: Window
    accounts: list[AccountQuality]


async def read_quality(asked: Asked) -> Answer:
    today = utc_day(micros(asked.now()))
    window = Range(today - asked.query.window_days + 1, today)
    with of_consumer(asked) as (rows, key):
        accounts = sorted(rows.scan(ACCOUNTS, *key), key=lambda account: account.position)
        found = [_quality(asked, account, window, rows) for account in accounts]
    days = Window(first=day_text(window.first), last=day_text(today), days=asked.query.window_days)
    return ok(ConsumerQuality(as_of=insights_time(asked.now()), window=days, accounts=found))


def _quality(asked: Asked, account: Account, window: Range, rows: Rows) -> AccountQuality:
    key = key_of(account.id)
    held: Health | None = rows.get(HEALTH, account.tenant, account.consumer, account.connection)
    balance_as_of = quality.last_read_at(rows, (account.tenant, account.consumer, account.source))
    transactions_as_of = None if held is None else held.fetched_at or held.succeeded_at
    oldest, newest = quality.booked_days(rows, key) or (None, None)
    return AccountQuality(
        account_id=account.id,
        source_id=account.source,
        data_connection_id=account.connection or None,
        closed=account.closed,
        balance_as_of=time_text(balance_as_of),
        balance_age_seconds=age_seconds(asked, balance_as_of),
        transactions_as_of=time_text(transactions_as_of),
        transactions_age_seconds=age_seconds(asked, transactions_as_of),
        oldest_booked_on=None if oldest is None else day_text(oldest),
        history_days=None if oldest is None else max(0, window.last - oldest),
        newest_booked_on=None if newest is None else day_text(newest),
        gap_days=None if newest is None else max(0, window.last - newest),
        booked_count=quality.booked_count(rows, key),
        pending_count=sum(1 for _ in rows.scan(PENDING, key_of(account.source))),
        last_failure=failure_of(held) if held is not None and held.failures else None,
        coverage=_coverage(account, window, rows),
        drift=_drift(account, window, rows),
    )


def _coverage(account: Account, window: Range, rows: Rows) -> Coverage:
    ranges, span = quality.coverage_of(rows, account, window)
    covered = quality.count_days(ranges)
    ratio = Decimal(covered) / (window.last - window.first + 1)
    return Coverage(
        covered_days=covered,
        ratio=str(ratio.quantize(_RATIO, ROUND_HALF_EVEN)),
        uncovered=[
            UncoveredDays(
                first=day_text(days.first),
                last=day_text(days.last),
                days=days.last - days.first + 1,
                reason=days.reason,
            )
            for days in quality.uncovered(ranges, window, span)
        ],
    )


def _drift(account: Account, window: Range, rows: Rows) -> Drift:
    source = (account.tenant, account.consumer, account.source)
    found = quality.drift(quality.balances_between(rows, source, window))
    return Drift(
        status=found.status,
        currency=account.currency,
        readings=found.readings,
        net=found.net,
        largest=found.largest,
        largest_on=None if found.day is None else day_text(found.day),
    )


_EXAMPLE = ConsumerQuality(
    as_of="2026-03-02T12:00:00.000Z",
    window=Window(first="2025-03-03", last="2026-03-02", days=365),
    accounts=[
        AccountQuality(
            account_id="1c7e8f10-4b1e-4d0a-8a51-6b7f9f0f7a10",
            source_id="1c7e8f10-4b1e-4d0a-8a51-6b7f9f0f7a10",
            data_connection_id="0b8f3c52-8a3f-4e0d-93a1-3f6f0c1b9d11",
            closed=None,
            balance_as_of="2026-03-02T05:12:31.000Z",
            balance_age_seconds=24449,
            transactions_as_of="2026-03-02T05:12:31.000Z",
            transactions_age_seconds=24449,
            oldest_booked_on="2025-04-02",
            history_days=334,
            newest_booked_on="2026-02-27",
            gap_days=3,
            booked_count=412,
            pending_count=2,
            last_failure=None,
            coverage=Coverage(
                covered_days=335,
                ratio="0.9178",
                uncovered=[
                    UncoveredDays(
                        first="2025-03-03", last="2025-04-01", days=30, reason=quality.BEFORE_HISTORY
                    )
                ],
            ),
            drift=Drift(
                status=quality.OK, currency="EUR", readings=120, net=0, largest=0, largest_on="2026-03-01"
            ),
        )
    ],
)

ROUTES = (
    Route(
        method="GET",
        path="/v1/consumers/{consumer_id}/quality",
        door=NATIVE,
        handler=read_quality,
        tag="Health",
        summary="Read how old, complete and consistent the data of a consumer's accounts are",
        query=QualityQuery,
        answers={200: ConsumerQuality},
        problems=(404,),
        example=_EXAMPLE,
    ),
)
