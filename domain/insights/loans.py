"""Loans: which debits repay one, of which lender, and which loans there are of one lender.

A lender's debits are one loan where they repay the same amount, or where their wordings are alike and they never come
close to each other in time: a revolving credit that varies is one loan, two that are paid side by side are two.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from domain.categories.vocabulary import FEE, INCIDENT, LABELS, LOAN_REPAYMENTS
from domain.insights.books import Group, Row
from domain.insights.figures import Window, median, rounded
from domain.insights.history import Part, complete_months
from domain.insights.streams import MATURE, root_of

if TYPE_CHECKING:
    from domain.insights.analysis import Analysis

# Kinds of loans, as K9 names them. Source: Moneyhub.
BNPL, HCSTC, DCA_DMP = "bnpl", "hcstc", "dca_dmp"
SECURED, UNSECURED, UNKNOWN = "secured", "unsecured", "unknown"
KINDS = (BNPL, HCSTC, DCA_DMP, SECURED, UNSECURED, UNKNOWN)

SPLIT_PAYMENTS = frozenset({"SPLIT_PAYMENT"})
KIND_OF_LABEL = {
    "SPLIT_PAYMENT": BNPL,
    "LOAN_REPAYMENT_FAST": HCSTC,
    "DEBT_COLLECTION": DCA_DMP,
    "BAILIFF": DCA_DMP,
    "LOAN_REPAYMENT_REAL_ESTATE": SECURED,
    "LOAN_REPAYMENT_PERSONAL": UNSECURED,
    "LOAN_REPAYMENT_REVOLVING": UNSECURED,
    "LOAN_REPAYMENT": UNKNOWN,
}
#: The insurance of a loan comes from the same bank on the same day, and repays nothing.
_INSURANCE = "INSURANCE_LOAN"
_NO_REPAYMENTS = frozenset(name for name, kind in LABELS.items() if kind.group in (FEE, INCIDENT))

#: Two different amounts so many days apart at most are instalments of two loans.
DAYS_BETWEEN_MIN = 20
#: Two wordings that share so many hundredths of their words may be of one loan.
LIKENESS_MIN = 60
#: A lender has no more loans with one person; what is left joins the nearest amount.
LOANS_MAX = 64


class Loan(Group, frozen=True, kw_only=True):
    """A loan as its repayments in a window show it. Amounts are negative: they leave the account."""

    lender: str
    """The brand that its rows name; else the root of their wordings."""
    label: str
    """The label that most of its rows have: one of `KIND_OF_LABEL`."""
    kind: str
    """One of `KINDS`."""
    account: str
    currency: str
    returned: tuple[Row, ...]
    """Those that were."""
    first_day: int
    """Of its first row in the books, in the window or before, returned or not."""
    last_day: int
    usual: int
    """The amount that it is repaid with most often; where all differ their median."""
    monthly: Fraction | None
    """Its repayments per complete covered month of the window; None without any such month."""

    @property
    def is_repayment(self) -> bool:
        """Whether it is a loan proper: neither a payment in instalments nor a collected debt."""
        return self.label in LOAN_REPAYMENTS


class Found(msgspec.Struct, frozen=True):
    """A loan over all the books up to the reference day."""

    lender: str
    label: str
    account: str
    currency: str
    rows: tuple[Row, ...]
    """Oldest first, those that were returned too."""

    @property
    def kind(self) -> str:
        return KIND_OF_LABEL[self.label]


class Repayments(Group, frozen=True, kw_only=True):
    """What was repaid in a window, all loans together."""

    loans: tuple[Loan, ...]
    monthly: Fraction | None


class Drawdowns(Group, frozen=True, kw_only=True):
    """The loans that were paid out in a window."""

    kinds: tuple[str, ...]
    """Of each row: that of the loans which the same lender is repaid, where these are of one kind."""
    monthly: Fraction | None


def loans_in(analysis: Analysis, currency: str, window: Window) -> tuple[Loan, ...]:
    """The loans of a currency that have a row in a window, by lender, then by their first day."""
    months = complete_months(analysis, currency, window)
    loans = []
    for found in analysis.loans:
        held = [row for row in found.rows if _is_in(analysis, row, window)]
        if found.currency == currency and held:
            rows = tuple(row for row in held if row.id not in analysis.returned)
            loans.append(
                Loan(
                    lender=found.lender,
                    label=found.label,
                    kind=found.kind,
                    account=found.account,
                    currency=currency,
                    rows=rows,
                    returned=tuple(row for row in held if row.id in analysis.returned),
                    first_day=found.rows[0].day,
                    last_day=found.rows[-1].day,
                    usual=_usual(found.rows),
                    monthly=per_month(analysis, rows, months),
                )
            )
    return tuple(loans)


def repayments_in(
    analysis: Analysis, currency: str, window: Window, labels: frozenset[str] = LOAN_REPAYMENTS
) -> Repayments:
    """What was repaid of the loans with one of some labels."""
    what = ("repayments", currency, *window[:2], labels)
    return analysis.once(what, lambda: _repayments_in(analysis, currency, window, labels))


def _repayments_in(analysis: Analysis, currency: str, window: Window, labels: frozenset[str]) -> Repayments:
    loans = tuple(loan for loan in loans_in(analysis, currency, window) if loan.label in labels)
    rows = analysis.ordered(row for loan in loans for row in loan.rows)
    months = complete_months(analysis, currency, window)
    return Repayments(loans=loans, rows=rows, monthly=per_month(analysis, rows, months))


def drawdowns_in(analysis: Analysis, currency: str, window: Window) -> Drawdowns:
    """Credits labelled LOAN_DRAWDOWN, without those between own accounts."""
    kinds: defaultdict[str, set[str]] = defaultdict(set)
    for found in analysis.loans:
        kinds[found.lender].add(found.kind)
    rows = analysis.ordered(
        (
            row
            for row in analysis.rows(currency, window)
            if row.amount > 0 and row.has("LOAN_DRAWDOWN") and not analysis.is_between_own(row)
        ),
    )
    return Drawdowns(
        rows=rows,
        kinds=tuple(_only(kinds.get(row.brand, set())) for row in rows),
        monthly=per_month(analysis, rows, complete_months(analysis, currency, window)),
    )


def per_month(analysis: Analysis, rows: Iterable[Row], months: Sequence[Part]) -> Fraction | None:
    """The mean of what rows come to in each of some months; None without a month."""
    if not months:
        return None
    return Fraction(sum(row.amount for row in rows_of_months(analysis, rows, months)), len(months))


def rows_of_months(analysis: Analysis, rows: Iterable[Row], months: Sequence[Part]) -> list[Row]:
    """Those of some rows that lie in one of some months."""
    return [row for row in rows if any(month.first <= analysis.day(row) <= month.last for month in months)]


# Which loans there are


def loans_of(analysis: Analysis) -> tuple[Found, ...]:
    """All loans of the accounts that are looked at, by lender, then by their first day."""
    by_lender: defaultdict[tuple[str, str, str], list[tuple[Row, str]]] = defaultdict(list)
    for row, label, brand in _repayments(analysis):
        by_lender[row.account, brand or root_of(row), KIND_OF_LABEL[label]].append((row, label))
    currencies = {account.id: account.currency for account in analysis.accounts}
    found = [
        Found(lender, _commonest(label for _, label in part), account, currencies[account], _rows(part))
        for (account, lender, _), held in by_lender.items()
        for part in _apart(held)
    ]
    return tuple(
        sorted(found, key=lambda loan: (loan.lender, loan.rows[0].day, loan.account, loan.rows[0].id))
    )


def _repayments(analysis: Analysis) -> Iterator[tuple[Row, str, str]]:
    """Debits with the label of a loan and the brand; of a stream with such a label its other rows too."""
    streams = {
        row.id: stream
        for stream in analysis.streams
        if stream.is_debit and stream.status == MATURE
        for row in stream.rows
    }
    for account in analysis.accounts:
        for row in account.rows:
            if row.amount >= 0 or row.day > analysis.as_of or row.has_any(_NO_REPAYMENTS):
                continue
            told = [label for label in row.labels if label.name in KIND_OF_LABEL or label.name == _INSURANCE]
            if told:
                if told[0].name != _INSURANCE:
                    yield row, told[0].name, told[0].brand or row.brand
            elif not row.labels and row.id in streams:
                stream = streams[row.id]
                name = next((name for name in stream.labels if name in KIND_OF_LABEL), "")
                if name and _INSURANCE not in stream.labels:
                    yield row, name, stream.brand


class _Part:
    """Some of a lender's rows, taken for one loan."""

    def __init__(self, held: list[tuple[Row, str]]) -> None:
        self.held = held
        self.amount = -held[0][0].amount
        self.words = _words(_commonest(root_of(row) for row, _ in held))

    def may_hold(self, other: _Part) -> bool:
        shared, of_all = len(self.words & other.words), len(self.words | other.words)
        if shared * 100 < of_all * LIKENESS_MIN:
            return False
        days = sorted([(row.day, True) for row, _ in self.held] + [(row.day, False) for row, _ in other.held])
        return all(
            second[0] - first[0] >= DAYS_BETWEEN_MIN
            for first, second in zip(days, days[1:], strict=False)
            if first[1] != second[1]
        )


def _apart(held: list[tuple[Row, str]]) -> list[list[tuple[Row, str]]]:
    """A lender's rows, loan by loan: equal amounts are of one, others where they may be."""
    by_amount: defaultdict[int, list[tuple[Row, str]]] = defaultdict(list)
    for row, label in held:
        by_amount[row.amount].append((row, label))
    parts: list[_Part] = []
    ordered = sorted(
        by_amount.values(), key=lambda rows: (-len(rows), min((row.day, row.id) for row, _ in rows))
    )
    for part in map(_Part, ordered):
        near = parts if len(parts) >= LOANS_MAX else [other for other in parts if other.may_hold(part)]
        if near:
            min(near, key=lambda other: abs(other.amount - part.amount)).held.extend(part.held)
        else:
            parts.append(part)
    return [part.held for part in parts]


def _rows(held: Iterable[tuple[Row, str]]) -> tuple[Row, ...]:
    return tuple(sorted((row for row, _ in held), key=lambda row: (row.day, row.id)))


def _usual(rows: Sequence[Row]) -> int:
    amount, times = max(Counter(row.amount for row in rows).items(), key=lambda item: (item[1], item[0]))
    return amount if times > 1 else rounded(median(row.amount for row in rows))


def _commonest(texts: Iterable[str]) -> str:
    """The one that comes most often; of several the first in alphabetical order."""
    return min(Counter(texts).items(), key=lambda item: (-item[1], item[0]))[0]


def _words(root: str) -> frozenset[str]:
    return frozenset(root.split())


def _only(kinds: set[str]) -> str:
    return next(iter(kinds)) if len(kinds) == 1 else UNKNOWN


def _is_in(analysis: Analysis, row: Row, window: Window) -> bool:
    return window.first <= analysis.day(row) <= min(window.last, analysis.as_of)
