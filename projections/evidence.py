"""Evidence: the rows that a figure rests on, those that it leaves out and why, and the transfers between own accounts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

import msgspec

from domain.insights.analysis import Analysis
from domain.insights.books import Books, Row
from domain.insights.figures import Figure, Metric
from domain.insights.transfers import Pair
from projections.envelope import Common, Envelope
from projections.insights import View, figures
from projections.times import day_text

# Why a row is not counted.
AFTER_AS_OF = "after_as_of"
PENDING = "pending"
OWN_TRANSFER = "own_transfer"
REFUND = "refund"
OTHER_KIND = "not_of_this_kind"

#: The most rows of a figure that are told: those that are counted, and those that are not.
ROWS_MAX = 1_000


class EvidenceLabel(msgspec.Struct, kw_only=True):
    name: str
    rule: str
    """The rule that gave it; `stated` where whoever brought the transaction said so."""
    brand: str | None


class EvidenceRow(msgspec.Struct, kw_only=True):
    """A transaction as the figures see it."""

    transaction_id: str
    account_id: str
    booked_on: str
    value_date: str
    amount: int
    currency: str
    transaction_type: str
    """As the provider has it."""
    description: str
    labels: list[EvidenceLabel]


class NotCounted(EvidenceRow, kw_only=True):
    reason: str
    """`after_as_of`, `pending`, `own_transfer`, `refund` or `not_of_this_kind`."""


class FigureEvidence(msgspec.Struct, kw_only=True):
    figure: Envelope
    counted: list[EvidenceRow]
    """By day, then by id."""
    counted_total: int
    not_counted: list[NotCounted] | None
    """The other transactions of its days, its accounts and its currency; null where they were not asked for."""
    not_counted_total: int | None
    truncated: bool
    """There are more than are told."""


class Evidence(Common, kw_only=True):
    figures: list[FigureEvidence]


class OwnTransfer(msgspec.Struct, kw_only=True):
    """A transfer between two accounts of the consumer."""

    evidence: str
    """`iban`, `end_to_end` or `wordings`; of a suggestion `amount_and_date`, which is none."""
    outgoing: EvidenceRow
    incoming: EvidenceRow


class OwnTransfers(Common, kw_only=True):
    """By the day on which they left. What is merely suggested is left out of no figure."""

    transfers: list[OwnTransfer]
    transfers_total: int
    suggestions: list[OwnTransfer]
    suggestions_total: int
    truncated: bool
    """There are more than are told."""


class _Rows:
    """The rows of books, by id."""

    def __init__(self, books: Books) -> None:
        self._currencies = {account.id: account.currency for account in books.accounts}
        self._by_id = {row.id: row for account in books.accounts for row in (*account.pending, *account.rows)}

    def of(self, ids: Iterable[bytes]) -> list[Row]:
        """By day, then by id."""
        found = (self._by_id.get(id) for id in dict.fromkeys(ids))
        return sorted((row for row in found if row is not None), key=_order)

    def told(self, row: Row) -> dict[str, Any]:
        return {
            "transaction_id": str(UUID(bytes=row.id)),
            "account_id": row.account,
            "booked_on": day_text(row.day),
            "value_date": day_text(row.value_day),
            "amount": row.amount,
            "currency": self._currencies[row.account],
            "transaction_type": row.kind,
            "description": row.wording,
            "labels": [
                EvidenceLabel(name=label.name, rule=label.rule, brand=label.brand or None)
                for label in row.labels
            ],
        }


def _order(row: Row) -> tuple[int, bytes]:
    return row.day, row.id


def evidence_of(metric: Metric, view: View, *, not_counted: bool) -> Evidence:
    """The rows that each figure of a metric rests on, and those that it leaves out."""
    rows, teller = _Rows(view.analysis.books), view.teller()
    return Evidence(
        **msgspec.structs.asdict(teller.common),
        figures=[
            _evidence(figure, teller.envelope(stored, metric), view.analysis, rows, not_counted)
            for figure, stored in figures(metric, view)
        ],
    )


def _evidence(
    figure: Figure, envelope: Envelope, analysis: Analysis, rows: _Rows, not_counted: bool
) -> FigureEvidence:
    counted = rows.of(figure.rows)
    others = list(_left_out(figure, analysis)) if not_counted else []
    told = [NotCounted(**rows.told(row), reason=reason) for row, reason in others[:ROWS_MAX]]
    return FigureEvidence(
        figure=envelope,
        counted=[EvidenceRow(**rows.told(row)) for row in counted[:ROWS_MAX]],
        counted_total=len(counted),
        not_counted=told if not_counted else None,
        not_counted_total=len(others) if not_counted else None,
        truncated=max(len(counted), len(others)) > ROWS_MAX,
    )


def _left_out(figure: Figure, analysis: Analysis) -> Iterator[tuple[Row, str]]:
    """The rows of the days, accounts and currency of a figure that it does not count, each with the reason."""
    counted = frozenset(figure.rows)
    accounts = [
        account
        for account in analysis.accounts
        if figure.account in (None, account.id) and figure.currency in (None, account.currency)
    ]
    booked = [(row, False) for account in accounts for row in account.rows]
    pending = [(row, True) for account in accounts for row in account.pending]
    for row, is_pending in sorted((*booked, *pending), key=lambda held: _order(held[0])):
        if row.id not in counted and figure.window.holds(analysis.day(row)):
            yield row, PENDING if is_pending else _reason(row, analysis)


def _reason(row: Row, analysis: Analysis) -> str:
    if max(row.day, analysis.day(row)) > analysis.as_of:
        return AFTER_AS_OF
    if analysis.is_between_own(row):
        return OWN_TRANSFER
    return REFUND if row.id in analysis.refunds.debits else OTHER_KIND


def own_transfers(view: View) -> OwnTransfers:
    rows, found = _Rows(view.analysis.books), view.analysis.transfers
    return OwnTransfers(
        **msgspec.structs.asdict(view.teller().common),
        transfers=_pairs(found.pairs, rows),
        transfers_total=len(found.pairs),
        suggestions=_pairs(found.suggestions, rows),
        suggestions_total=len(found.suggestions),
        truncated=max(len(found.pairs), len(found.suggestions)) > ROWS_MAX,
    )


def _pairs(pairs: Iterable[Pair], rows: _Rows) -> list[OwnTransfer]:
    told = [(*rows.of([pair.out]), *rows.of([pair.into]), pair.evidence) for pair in pairs]
    told.sort(key=lambda pair: (_order(pair[0]), _order(pair[1])))
    return [
        OwnTransfer(
            evidence=evidence,
            outgoing=EvidenceRow(**rows.told(out)),
            incoming=EvidenceRow(**rows.told(into)),
        )
        for out, into, evidence in told[:ROWS_MAX]
    ]
