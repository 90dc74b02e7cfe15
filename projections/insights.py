"""Figures: what the metrics of the catalogue come to for a consumer.

Those that nobody asked anything special of are kept, metric by metric, and made anew for whoever changed. All others,
and those of somebody with very many rows, are made when they are asked for, by the same functions. No clock: the reference day and the moment come from the facts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from domain.fact import Recorded
from domain.insights.analysis import NOT_COUNTED, VALUE, Analysis
from domain.insights.books import Books
from domain.insights.catalogue import METRICS, figures_of, windows_of
from domain.insights.figures import NOT_APPLICABLE, Figure, Metric, Window
from domain.insights.months import MONTH_MIN, first_day, month_of
from projections import own_transfers
from projections.accounts import ACCOUNTS, Account, cash_accounts, key_of
from projections.books import booked_count, books_of, default_since, reference_day
from projections.cashflow import MONTHS
from projections.envelope import DEFAULT, Frame, Question, Stored, Teller, frame_of, stored_of
from projections.ports import Rows, Table
from projections.quality import LAST_DAY
from projections.shown import STRAY_DAYS
from projections.stalled import POISON

logger = logging.getLogger(__name__)

#: Why there is no value where a formula broke.
COMPUTATION_FAILED = "computation_failed"
#: The row of what all figures of a consumer have in common, and that of what they were made of.
COMMON = ""
BOOKS = "-"

#: Of more rows no figures are kept: one new row must not cost what a hundred thousand do. A person has some 3,000 in the
#: months of the books.
KEPT_ROWS_MAX = 5_000

_pack = msgspec.msgpack.Encoder().encode


class Kept(NamedTuple):
    tenant: str
    consumer: str
    metric: str
    """Its id; `COMMON` for what all figures have in common, `BOOKS` for what they were made of."""
    body: bytes
    """A list of `envelope.Stored` in JSON; of `COMMON` an `envelope.Frame`, of `BOOKS` a digest."""


FIGURES = Table("figures", Kept, key=3)
TABLES = (FIGURES,)

_encode = msgspec.json.Encoder().encode
_decode_stored = msgspec.json.Decoder(list[Stored]).decode
_decode_frame = msgspec.json.Decoder(Frame).decode


# Questions


class View(msgspec.Struct, kw_only=True):
    """A consumer's books, looked at as a question has it."""

    consumer: str
    question: Question
    analysis: Analysis

    def windows(self, metric: Metric) -> Sequence[Window]:
        as_of = self.analysis.as_of
        return self.question.days(as_of) or windows_of(metric, as_of)

    def teller(self) -> Teller:
        return Teller(self.consumer, self.question, frame_of(self.analysis))


def begins_on(question: Question, as_of: int) -> int:
    """The first day of the books that a question needs."""
    # A row may be booked so many days before its value day.
    before = STRAY_DAYS if question.date_basis == VALUE else 0
    needed = (max(window.first - before, first_day(MONTH_MIN)) for window in question.days(as_of))
    return min([default_since(as_of), *(first_day(month_of(day)) for day in needed)])


def look(rows: Rows, tenant: str, consumer: str, question: Question = DEFAULT) -> View | None:
    """What there is to answer a question with; None without the consumer."""
    as_of = reference_day(rows, tenant, consumer) if question.as_of is None else question.as_of
    if as_of is None:
        return None
    books = books_of(rows, tenant, consumer, as_of=as_of, since=begins_on(question, as_of))
    if books is None:
        return None
    analysis = Analysis(
        books,
        accounts=None if question.accounts is None else frozenset(question.accounts),
        date_basis=question.date_basis,
        include_pending=question.include_pending,
        parameters=question.parameters,
    )
    return View(consumer=consumer, question=question, analysis=analysis)


def figures(metric: Metric, view: View) -> list[tuple[Figure, Stored]]:
    """What a metric comes to, window by window, and as it is kept."""
    windows = view.windows(metric)
    try:
        return [_with_stored(one, metric, view) for one in figures_of(metric, view.analysis, windows)]
    except POISON as error:
        # One formula must not keep the others from being answered.
        reason = f"metric_failed:{metric.id}:{type(error).__name__}"
        logger.error("a metric failed", extra={"reason": reason})
        failed = (
            Figure(window=window, status=NOT_APPLICABLE, reason=COMPUTATION_FAILED) for window in windows
        )
        return [_with_stored(figure, metric, view) for figure in failed]


def _with_stored(figure: Figure, metric: Metric, view: View) -> tuple[Figure, Stored]:
    return figure, stored_of(figure, metric, view.analysis)


def _stored(metric: Metric, view: View) -> list[Stored]:
    return [stored for _, stored in figures(metric, view)]


def document(
    rows: Rows, tenant: str, consumer: str, metrics: Iterable[Metric], question: Question = DEFAULT
) -> bytes | None:
    """The answer to a question, as `Teller.answer`; None without the consumer."""
    metrics = list(metrics)
    if question == DEFAULT:
        frame = rows.get(FIGURES, tenant, consumer, COMMON)
        kept = [rows.get(FIGURES, tenant, consumer, metric.id) for metric in metrics]
        if frame is not None and None not in kept:
            lists = [_decode_stored(row.body) for row in kept]
            teller = Teller(consumer, question, _decode_frame(frame.body))
            return teller.answer(zip(metrics, lists, strict=True))
    view = look(rows, tenant, consumer, question)
    if view is None:
        return None
    return view.teller().answer((metric, _stored(metric, view)) for metric in metrics)


# What is kept


def project(recorded: Recorded, rows: Rows) -> None:
    """Nothing: figures are made of what is known of accounts and transactions, in `finish`."""


def finish(rows: Rows, tenant: str, consumer: str) -> None:
    """Write down what is answered about a consumer, as far as there is something to count, and not too much.

    Where the books say what they said, only what tells how fresh they are is made anew.
    """
    booked = [account for account in cash_accounts(rows, tenant, consumer) if _has_rows(rows, account)]
    view = None
    # What there is nothing to say of is quickly said when it is asked for.
    if any(account.closed not in NOT_COUNTED for account in booked) and not is_long(rows, tenant, consumer):
        view = look(rows, tenant, consumer)
    if view is None:
        own_transfers.keep(rows, tenant, consumer, _of_transfers(rows, tenant, consumer) if booked else None)
        rows.delete(FIGURES, tenant, consumer)
        return
    said = Kept(tenant, consumer, BOOKS, _digest(view.analysis.books))
    is_new = rows.get(FIGURES, *said[: FIGURES.key]) != said
    if is_new:
        own_transfers.keep(rows, tenant, consumer, view.analysis)
    wanted = [said, Kept(tenant, consumer, COMMON, _encode(frame_of(view.analysis)))]
    wanted += [
        Kept(tenant, consumer, metric.id, _encode(_stored(metric, view)))
        for metric in METRICS.values()
        if is_new or metric.tells_freshness
    ]
    for row in wanted:
        if rows.get(FIGURES, *row[: FIGURES.key]) != row:
            rows.put(FIGURES, row)


def is_long(rows: Rows, tenant: str, consumer: str, question: Question = DEFAULT) -> bool:
    """Whether a question takes so many rows that it is answered aside: see `KEPT_ROWS_MAX`."""
    as_of = reference_day(rows, tenant, consumer) if question.as_of is None else question.as_of
    if as_of is None:
        return False
    return booked_count(rows, tenant, consumer, begins_on(question, as_of)) > KEPT_ROWS_MAX


def _of_transfers(rows: Rows, tenant: str, consumer: str) -> Analysis | None:
    """What own transfers are found in. Those of one account alone are none: its rows are not read for that."""
    as_of = reference_day(rows, tenant, consumer)
    with_rows = [account for account in rows.scan(ACCOUNTS, tenant, consumer) if _has_rows(rows, account)]
    if as_of is None or len(with_rows) > 1:
        view = look(rows, tenant, consumer)
        return None if view is None else view.analysis
    books = books_of(rows, tenant, consumer, as_of=as_of, since=LAST_DAY)
    return None if books is None else Analysis(msgspec.structs.replace(books, since=default_since(as_of)))


def _digest(books: Books) -> bytes:
    """Of all that figures are made of, but for when it was looked at."""
    accounts = [
        msgspec.structs.replace(account, balance_as_of=None, transactions_as_of=None)
        for account in books.accounts
    ]
    return blake2b(_pack((books.as_of, books.since, accounts)), digest_size=16).digest()


def _has_rows(rows: Rows, account: Account) -> bool:
    return next(iter(rows.scan(MONTHS, key_of(account.id))), None) is not None
