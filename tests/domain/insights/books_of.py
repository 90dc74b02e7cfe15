"""Books for tests, written as one would tell them: days are texts, labels are names.

books(
    account("a", rows=[("2024-01-05", -1000, "LOYER", "RENT")], readings=[("2024-01-31", 5000)]),
    as_of="2024-01-31",
)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from domain.categories.categorise import Label
from domain.insights.analysis import Analysis
from domain.insights.books import Account, Books, Reading, Row
from domain.insights.figures import Figure, Metric, Window
from domain.transactions import day_of

DAY_MICROS = 86_400_000_000
#: The hour of a day at which a reading is recorded, and at which books are known, where none is given.
EVENING = 20 * 3_600_000_000


def day(text: str | int) -> int:
    """`2024-01-05` as a day; a day stays what it is."""
    return text if isinstance(text, int) else day_of(date.fromisoformat(text))


def moment(text: str | int) -> int:
    """`2024-01-05 21:30` in UTC as microseconds; a moment stays what it is."""
    if isinstance(text, int):
        return text
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def window(first: str | int, last: str | int, name: str = "custom") -> Window:
    return Window(day(first), day(last), name)


def row(
    booked: str | int,
    amount: int,
    wording: str = "",
    *labels: str,
    value: str | int | None = None,
    kind: str = "unknown",
    id: str | None = None,
    root: str | None = None,
    brand: str = "",
    other: str = "",
    other_name: str = "",
    end_to_end: str = "",
    seen: str | int = 0,
) -> Row:
    """A row that belongs to no account yet: `account` fills that in, and its id where none is given."""
    return Row(
        day=day(booked),
        id=(id or "").encode(),
        account="",
        amount=amount,
        value_day=day(booked if value is None else value),
        kind=kind,
        wording=wording,
        root=" ".join(re.findall(r"[^\W\d_]+", wording.upper())) if root is None else root,
        labels=tuple(Label(name, "test", brand) for name in labels),
        other=other,
        other_name=other_name,
        end_to_end=end_to_end,
        seen_at=moment(seen),
    )


def reading(on: str | int, balance: int, recorded: str | int | None = None) -> Reading:
    """A reading, recorded in the evening of its day where nothing else is said."""
    at = day(on) * DAY_MICROS + EVENING if recorded is None else moment(recorded)
    return Reading(day(on), at, balance)


def account(
    id: str,
    rows: Iterable[Row | Sequence[Any]] = (),
    readings: Iterable[Reading | Sequence[Any]] = (),
    covered: Sequence[Any] | None = None,
    *,
    kind: str = "CHECKING",
    currency: str = "EUR",
    exponent: int = 2,
    pending: Iterable[Row | Sequence[Any]] = (),
    unknown_days: Iterable[str | int] = (),
    **more: Any,
) -> Account:
    """An account. Rows are `row(...)` or the positional arguments of it, readings likewise, in any order.

    `covered` is one range of days or a list of them; without it, all days from the first to the last that is told of.
    Rows without an id get one by their place: `a-0001`, pending ones `a-p0001`.
    """
    told = sorted((_made(reading, one) for one in readings), key=lambda one: (one.day, one.recorded_at))
    booked = _owned(id, rows, f"{id}-")
    days = [*(one.day for one in booked), *(one.day for one in told)]
    if covered is None:
        ranges = ((min(days), max(days)),) if days else ()
    elif covered and isinstance(covered[0], (str, int)):
        ranges = ((day(covered[0]), day(covered[1])),)
    else:
        ranges = tuple((day(first), day(last)) for first, last in covered)
    latest = told[-1] if told else None
    given = {
        "balance": latest.balance if latest else None,
        "balance_as_of": latest.recorded_at if latest else None,
        "transactions_as_of": latest.recorded_at if latest else None,
        "first_booked": booked[0].day if booked else None,
        **more,
    }
    return Account(
        id=id,
        kind=kind,
        currency=currency,
        exponent=exponent,
        readings=tuple(told),
        covered=ranges,
        rows=booked,
        pending=_owned(id, pending, f"{id}-p"),
        unknown_days=tuple(sorted(day(one) for one in unknown_days)),
        **given,
    )


def books(
    *accounts: Account,
    as_of: str | int,
    known_at: str | int | None = None,
    since: str | int = "1990-01-01",
) -> Books:
    """The accounts of one consumer, in any order; known in the evening of the reference day where nothing is said."""
    return Books(
        accounts=tuple(sorted(accounts, key=lambda account: account.id)),
        as_of=day(as_of),
        known_at=day(as_of) * DAY_MICROS + EVENING if known_at is None else moment(known_at),
        since=day(since),
    )


def _made(make: Any, one: Any) -> Any:
    return one if isinstance(one, (Row, Reading)) else make(*one)


def _owned(account: str, rows: Iterable[Row | Sequence[Any]], prefix: str) -> tuple[Row, ...]:
    made = [_made(row, one) for one in rows]
    owned = [
        one._replace(account=account, id=one.id or f"{prefix}{place:04d}".encode())
        for place, one in enumerate(made, 1)
    ]
    return tuple(sorted(owned))


def figures(metrics: Iterable[Metric], id: str, analysis: Analysis, within: Window) -> dict[str, Figure]:
    """What a metric comes to, by account, or by currency where a figure names no account."""
    (metric,) = (one for one in metrics if one.id == id)
    found = list(metric.compute(analysis, within))
    named = {one.account or one.currency or "": one for one in found}
    assert len(named) == len(found), "two figures of one account or currency"
    return named
