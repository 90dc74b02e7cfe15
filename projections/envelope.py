"""Figures in the words of an answer: each with all that it takes to check it.

What is kept of a figure is what it says. What all figures of a consumer have in common - the reference day, how fresh
the data is - is kept once, and both are put together when they are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from domain.insights import catalogue
from domain.insights.analysis import BOOKING, Analysis
from domain.insights.catalogue import formula_of
from domain.insights.figures import Figure, Metric, Window
from domain.insights.months import window_of
from projections.answers import insights_time
from projections.times import day_text, moment

#: The name of a window that has no other.
CUSTOM = Window(0, 0).name


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """How figures are asked for. Without anything they are those that are kept."""

    windows: tuple[str | Window, ...] = ()
    """Names, or days; those of each metric if there are none."""
    as_of: int | None = None
    accounts: tuple[str, ...] | None = None
    date_basis: str = BOOKING
    include_pending: bool = False
    parameters: Mapping[str, int] = {}

    def days(self, as_of: int) -> list[Window]:
        return [window_of(window, as_of) if isinstance(window, str) else window for window in self.windows]

    def query(self) -> dict[str, str]:
        """As it is asked over HTTP, the reference day and the windows left out."""
        asked: dict[str, str] = {}
        if self.accounts is not None:
            asked["accounts"] = ",".join(self.accounts)
        if self.date_basis != BOOKING:
            asked["date_basis"] = self.date_basis
        if self.include_pending:
            asked["include_pending"] = "true"
        return asked | {name: str(value) for name, value in sorted(self.parameters.items())}


DEFAULT = Question()


# What is kept


class Stored(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A figure as it is kept."""

    first: int
    last: int
    window: str
    value: msgspec.Raw
    """JSON, as it is answered: a number may need more than 64 bits."""
    currency: str | None
    account: str | None
    n: int
    covered_days: int
    status: str
    reason: str | None
    notes: msgspec.Raw
    digest: str


class Looked(NamedTuple):
    """When an account was looked at last."""

    account: str
    currency: str
    balance_as_of: int | None
    transactions_as_of: int | None


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What all figures of an answer have in common."""

    as_of: int
    known_at: int
    looked: tuple[Looked, ...]
    """Of the accounts that they are of."""


_encode = msgspec.json.Encoder().encode
#: JSON without spaces, members in the order of their names.
_canonical = msgspec.json.Encoder(order="sorted").encode


def frame_of(analysis: Analysis) -> Frame:
    return Frame(
        as_of=analysis.as_of,
        known_at=analysis.books.known_at,
        looked=tuple(
            Looked(account.id, account.currency, account.balance_as_of, account.transactions_as_of)
            for account in analysis.accounts
        ),
    )


def stored_of(figure: Figure, metric: Metric, analysis: Analysis) -> Stored:
    return Stored(
        first=figure.window.first,
        last=figure.window.last,
        window=figure.window.name,
        value=msgspec.Raw(_encode(figure.value)),
        currency=figure.currency,
        account=figure.account,
        n=figure.n,
        covered_days=figure.covered_days,
        status=figure.status,
        reason=figure.reason,
        notes=msgspec.Raw(_encode(dict(figure.notes))),
        digest=digest_of(figure, metric, analysis),
    )


def digest_of(figure: Figure, metric: Metric, analysis: Analysis) -> str:
    """Two figures have one digest if they say the same of the same rows."""
    # Many figures are of the same rows, and to put these in order is most of the work.
    ids = analysis.once(("ids in order", figure.rows), lambda: b"".join(sorted(figure.rows)))
    said = (
        formula_of(metric),
        [day_text(figure.window.first), day_text(figure.window.last)],
        day_text(analysis.as_of),
        figure.value,
        figure.currency,
        figure.account,
        ids.hex(),
    )
    return sha256(_canonical(said)).hexdigest()


# What is answered


class Days(msgspec.Struct, kw_only=True):
    """Civil days, both included."""

    first: str = msgspec.field(name="from")
    last: str = msgspec.field(name="to")
    name: str
    """As it was asked for: `90d`, `6m`, `current_month`, or `custom`."""
    days: int


class Freshness(msgspec.Struct, kw_only=True):
    """Of the account that was looked at longest ago; null where that of one is not known."""

    balance_as_of: str | None
    transactions_as_of: str | None


class Envelope(msgspec.Struct, kw_only=True):
    """One figure. Money is minor units of the currency, a ratio a text with four digits after the point."""

    metric: str
    name: str
    account_id: str | None
    """Null where it is of all accounts of the currency together."""
    value: Any
    """Null where there is no telling, which is never a zero."""
    unit: str
    currency: str | None
    window: Days
    as_of: str
    """The reference day: nothing that was booked later counts."""
    known_at: str
    """When the newest fact was recorded that it may rest on."""
    n: int
    """How many transactions it counts."""
    covered_days: int
    freshness: Freshness
    status: str
    """`ok`, `insufficient_history` or `not_applicable`."""
    reason: str | None
    """Machine-readable: why it has no value, or what was assumed."""
    notes: Any
    """What goes with the value, by name."""
    formula: str
    """`name@version`."""
    evidence: str
    """Where its transactions are told."""
    digest: str
    """SHA-256 of formula, days, reference day, value, currency, account and the ids of the transactions it counts."""


class Common(msgspec.Struct, kw_only=True):
    as_of: str
    known_at: str
    catalogue_version: str
    """Another one as soon as a formula changes, or a rule that labels transactions."""


class Teller:
    """Puts the figures of one answer into its words."""

    def __init__(self, consumer: str, question: Question, frame: Frame) -> None:
        self._path = f"/v1/consumers/{consumer}/metrics"
        self._asked = question.query()
        self._frame = frame
        self._freshness: dict[tuple[str | None, str | None], Freshness] = {}
        self.common = Common(
            as_of=day_text(frame.as_of),
            known_at=insights_time(moment(frame.known_at)),
            catalogue_version=catalogue.VERSION,
        )

    def answer(self, told: Iterable[tuple[Metric, Iterable[Stored]]]) -> bytes:
        """`Common` with `figures`, a list of `Envelope`, in JSON."""
        figures = [self.envelope(figure, metric) for metric, its in told for figure in its]
        return _encode(self.common)[:-1] + b',"figures":' + _encode(figures) + b"}"

    def envelope(self, figure: Stored, metric: Metric) -> Envelope:
        return Envelope(
            metric=metric.id,
            name=metric.name,
            account_id=figure.account,
            value=figure.value,
            unit=metric.unit,
            currency=figure.currency,
            window=Days(
                first=day_text(figure.first),
                last=day_text(figure.last),
                name=figure.window,
                days=figure.last - figure.first + 1,
            ),
            as_of=self.common.as_of,
            known_at=self.common.known_at,
            n=figure.n,
            covered_days=figure.covered_days,
            freshness=self._freshness_of(figure.account, figure.currency),
            status=figure.status,
            reason=figure.reason,
            notes=figure.notes,
            formula=formula_of(metric),
            evidence=self._evidence_path(figure, metric),
            digest=figure.digest,
        )

    def _freshness_of(self, account: str | None, currency: str | None) -> Freshness:
        found = self._freshness.get((account, currency))
        if found is None:
            looked = [
                one
                for one in self._frame.looked
                if account in (None, one.account) and currency in (None, one.currency)
            ]
            found = self._freshness[account, currency] = Freshness(
                balance_as_of=_oldest([one.balance_as_of for one in looked]),
                transactions_as_of=_oldest([one.transactions_as_of for one in looked]),
            )
        return found

    def _evidence_path(self, figure: Stored, metric: Metric) -> str:
        asked = {"as_of": self.common.as_of}
        if figure.window == CUSTOM:
            asked |= {"from": day_text(figure.first), "to": day_text(figure.last)}
        else:
            asked["window"] = figure.window
        return f"{self._path}/{metric.id}/evidence?{urlencode(asked | self._asked, safe=',')}"


def _oldest(moments: Sequence[int | None]) -> str | None:
    known = [at for at in moments if at is not None]
    return insights_time(moment(min(known))) if known and len(known) == len(moments) else None
