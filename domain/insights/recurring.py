"""Recurring streams (R): what comes back, how often, and when it is due next. See `METRICS`.

Streams are found over all the books up to the reference day, by the day a row was booked on. The window chooses which
of them are listed: those that have a row in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from domain.insights.analysis import Analysis
from domain.insights.balances import text_of
from domain.insights.books import Row
from domain.insights.cashflow import Flow, Told, each_currency
from domain.insights.figures import INSUFFICIENT_HISTORY, MONEY, STREAMS, Metric, Window
from domain.insights.history import HISTORY_TOO_SHORT, covers_recurrence
from domain.insights.months import month_text
from domain.insights.streams import MATURE, Stream

#: How many rows a stream has at least, to be listed.
OCCURRENCES = {"occurrences_min": 3}


def listed(analysis: Analysis, currency: str, window: Window) -> list[Stream]:
    """The streams of a currency that are long enough and have a row in a window, in the order of the analysis."""
    at_least = analysis.parameters.get("occurrences_min", OCCURRENCES["occurrences_min"])
    return [
        stream
        for stream in analysis.streams
        if stream.currency == currency
        and stream.n >= at_least
        and any(window.holds(row.day) for row in stream.rows)
    ]


def as_value(stream: Stream) -> dict[str, Any]:
    """A stream with all its parts, as R1 gives it."""
    return {
        "id": stream.id,
        "account": stream.account,
        "direction": "debit" if stream.is_debit else "credit",
        "label_root": stream.root,
        "label": stream.label,
        "labels": list(stream.labels),
        "brand": stream.brand or None,
        "cadence": stream.cadence,
        "status": stream.status,
        **expected_of(stream),
        **regularity_of(stream),
        "repartition": stream.repartition,
        "calendar": calendar_of(stream),
        "total": stream.total,
        "average": stream.average,
        "count": stream.n,
        "transactions": [text_of_id(row) for row in stream.rows],
    }


def expected_of(stream: Stream) -> dict[str, Any]:
    """R4: `next_expected`, a day or null, and `tolerance` in days."""
    expected = stream.next_expected
    return {"next_expected": None if expected is None else text_of(expected), "tolerance": stream.tolerance}


def regularity_of(stream: Stream) -> dict[str, Any]:
    """R5: `regularity` of 100, `due_days`, and the gaps in days."""
    return {
        "regularity": stream.regularity,
        "due_days": list(stream.due_days),
        "interval": {"min": stream.gap_min, "max": stream.gap_max},
        "mean_days": stream.gap_mean,
    }


def calendar_of(stream: Stream) -> list[dict[str, Any]]:
    """R7."""
    return [{"month": month_text(month), "amount": amount} for month, amount in stream.calendar]


def text_of_id(row: Row) -> str:
    """The id of a row as it is shown: a UUID, which is what 16 bytes are."""
    text = row.id.hex()
    if len(row.id) != 16:
        return text
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def knows_no_recurrence(analysis: Analysis, currency: str) -> bool:
    """Whether nothing was seen to recur, and too little is known to say that nothing does."""
    is_seen = any(stream.status == MATURE and stream.currency == currency for stream in analysis.streams)
    return not is_seen and not covers_recurrence(analysis, currency)


def _each_stream(part: Callable[[Stream], dict[str, Any]], flow: Flow) -> Told:
    what = ("listed", flow.currency, *flow.window[:2])
    streams = flow.analysis.once(what, lambda: listed(flow.analysis, flow.currency, flow.window))
    if not streams and not covers_recurrence(flow.analysis, flow.currency):
        return Told(None, (), INSUFFICIENT_HISTORY, HISTORY_TOO_SHORT)
    return Told([part(stream) for stream in streams], [row for stream in streams for row in stream.rows])


def recurrent_rows(analysis: Analysis, currency: str, window: Window) -> dict[str, list[Row]]:
    """R8's rows by direction, `income` and `outcome`: those of MATURE streams, without own transfers."""
    found: dict[str, list[Row]] = {"income": [], "outcome": []}
    for stream in analysis.streams:
        if stream.currency == currency and stream.status == MATURE:
            found["outcome" if stream.is_debit else "income"] += [
                row
                for row in stream.rows
                if window.holds(analysis.day(row)) and not analysis.is_between_own(row)
            ]
    return found


def _recurrent(flow: Flow) -> Told:
    analysis = flow.analysis
    if knows_no_recurrence(analysis, flow.currency):
        return Told(None, (), INSUFFICIENT_HISTORY, HISTORY_TOO_SHORT)
    found = recurrent_rows(analysis, flow.currency, flow.window)
    value = {
        name: {"total": sum(row.amount for row in rows), "count": len(rows)} for name, rows in found.items()
    }
    return Told(value, [row for rows in found.values() for row in rows])


_STREAMS = (
    "Per currency, over the streams of the accounts looked at that have at least `occurrences_min` rows, one of them "
    "in the window; streams are found over all the books up to the reference day, by booking day. "
)
_NONE = (
    "No value: `no_history` where no day of the window is covered, `history_too_short` where there is no such stream "
    "and fewer than 90 of the last 365 days are covered. "
)


def _part(
    id: str, name: str, title: str, definition: str, source: str, part: Callable[[Stream], dict[str, Any]]
) -> Metric:
    return Metric(
        id=id,
        name=name,
        title=title,
        unit=STREAMS,
        definition=_STREAMS + definition + _NONE,
        source=source,
        parameters=OCCURRENCES,
        compute=partial(each_currency, partial(_each_stream, part)),
    )


METRICS: tuple[Metric, ...] = (
    _part(
        "R1",
        "streams",
        "Recurring streams",
        (
            "Rows of an account that go the same way and name the same other side: its account number, or else the "
            "words of the wording that stay the same (without references, dates, names of months, what stands in "
            "brackets, and legal forms). Where the rows have no steady rhythm together (75 of 100 gaps within one "
            "cadence's bounds): a group whose coefficient of variation exceeds 0.35 is split by amount in the two parts "
            "that vary least around their own means, if both have at least 3 rows and that halves it, and so on in "
            "each part; then each amount that comes at least 3 times and is steady by itself is a stream of its own, "
            "together with another amount that goes on where it ends. Rows that come twice a month are two streams "
            "where each is of one of two fixed amounts, both monthly. Each row that is not 0 is in exactly one stream. "
            "Each with R2 to R7, its `total`, its `average` (rounded half to even), `count`, and `transactions`; "
            "`labels` are those that more than half of its rows have. "
        ),
        "shape: Qard, Algoan; thresholds ours",
        as_value,
    ),
    _part(
        "R2",
        "stream_cadence",
        "Cadence of streams",
        (
            "`cadence` by the median gap in days between the days that it came on: WEEKLY 6-8, BIWEEKLY 13-16, MONTHLY "
            "26-35, BIMONTHLY 56-66, QUARTERLY 84-98, SEMI_ANNUAL 175-190, YEARLY 350-380, all bounds included; "
            "SEMI_MONTHLY before these where the median is 10-21, it came on at least 4 days, these take turns around "
            "two days of the month that are at least 9 days apart, each at most 4 days off, and not more than half of "
            "the gaps are 14 days; else OTHER. "
        ),
        "enums: Algoan, Plaid; bounds ours",
        lambda stream: {"id": stream.id, "cadence": stream.cadence},
    ),
    _part(
        "R3",
        "stream_status",
        "Status of streams",
        (
            "`status` at the reference day D: EARLY where it came on fewer than 3 days (2 if yearly), has the cadence "
            "OTHER, or a regularity below 50; else MISSED where the next expected day + tolerance < D, ENDED where "
            "that holds for the one after it too, and MATURE otherwise. "
        ),
        "Plaid",
        lambda stream: {"id": stream.id, "status": stream.status},
    ),
    _part(
        "R4",
        "stream_next_expected",
        "Next expected day of streams",
        (
            "`next_expected`: the last day + the median gap (rounded half to even), moved to the nearest due day; null "
            "of the cadence OTHER. `tolerance` in days: 20 % of the median gap (rounded half to even), at least 3. "
        ),
        "Plaid, MX, Indicina; tolerance ours",
        lambda stream: {"id": stream.id, **expected_of(stream)},
    ),
    _part(
        "R5",
        "stream_regularity",
        "Regularity of streams",
        (
            "`regularity`: the share of gaps within the cadence's bounds (SEMI_MONTHLY 10-21), 0 to 100, rounded half "
            "to even, 0 of OTHER; `due_days`: of a monthly or rarer cadence the day of the month that all are nearest "
            "to, the last of a month being beside the first, of SEMI_MONTHLY two, else none; `interval`: the shortest "
            "and the longest gap; `mean_days`: the mean gap with two decimals. "
        ),
        "shape: Algoan `accuracy`; formula ours",
        lambda stream: {"id": stream.id, **regularity_of(stream)},
    ),
    _part(
        "R6",
        "stream_repartition",
        "Begin and end of streams",
        (
            "`repartition`: BEGUN where the first day lies after the account's first covered day, or the first day of "
            "the books if that is later, + the median gap, STOPPED where the last day + the median gap < the reference "
            "day, BOTH, or NONE. "
        ),
        "Algoan",
        lambda stream: {"id": stream.id, "repartition": stream.repartition},
    ),
    _part(
        "R7",
        "stream_calendar",
        "Calendar of streams",
        "`calendar`: per calendar month with a row, oldest first, the sum of its rows. ",
        "Qard, Algoan",
        lambda stream: {"id": stream.id, "calendar": calendar_of(stream)},
    ),
    Metric(
        id="R8",
        name="recurrent_flows",
        title="Recurrent income and outcome",
        unit=MONEY,
        definition=(
            "Per currency, `income` and `outcome` (it is not positive): sum and count of the rows of the window that "
            "are in streams (R1) which are MATURE at the reference day, without own transfers on evidence. No value: "
            "`no_history` where no day of the window is covered, `history_too_short` where no stream is MATURE and "
            "fewer than 90 of the last 365 days are covered. "
        ),
        source="Powens `recurrent_income`, `recurrent_outcome`",
        compute=partial(each_currency, _recurrent),
    ),
)
