"""Incidents: returned payments and cheques, their fees, overdraft fees, seizures: K1 to K6 and K16.

Amounts are from the holder's view: fees and seizures are negative. What was returned is summed by size, because it
may stand as a credit (an own payment came back) or as a debit (one to the holder did).
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import msgspec

from domain.categories.vocabulary import FEE, LABELS
from domain.insights.balances import AMOUNT_MISSING, NO_HISTORY
from domain.insights.books import Group, Row
from domain.insights.figures import (
    COUNT,
    DAYS,
    INSUFFICIENT_HISTORY,
    MONEY,
    NOT_APPLICABLE,
    RATIO,
    Figure,
    Metric,
    Window,
    ratio,
)
from domain.insights.recurring import text_of_id

if TYPE_CHECKING:
    from domain.insights.analysis import Analysis

FEES = frozenset(name for name, kind in LABELS.items() if kind.group == FEE)
PAYMENT_REJECTION = frozenset({"PAYMENT_REJECTION"})
CHECK_REJECTION = frozenset({"CHECK_REJECTION"})
REJECTIONS = PAYMENT_REJECTION | CHECK_REJECTION
#: What a bank charges when there was not enough to pay from.
NSF_FEES = frozenset({"FEES_PAYMENT_REJECTION", "FEES_CHECK_REJECTION"})
#: The days of the rolling windows that K3 looks at beside the one that is asked for.
HORIZONS = (30, 60, 90)

#: Heavy failures by their name in the contract: the labels of what was taken, and of what that cost.
HEAVY_FAILURES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "bank_account_seizure": (frozenset({"ACCOUNT_SEIZURE"}), frozenset({"FEES_ACCOUNT_SEIZURE"})),
    "direct_recovery_of_debt": (
        frozenset({"DIRECT_DEBT_RECOVERY", "PROVISION_DIRECT_DEBT_RECOVERY"}),
        frozenset({"FEES_DIRECT_DEBT_RECOVERY"}),
    ),
    "preventive_seizure": (
        frozenset({"PROVISION_PREVENTIVE_SEIZURE"}),
        frozenset({"FEES_PREVENTIVE_SEIZURE"}),
    ),
}

#: The provider's types of a debit that its payee collects.
DIRECT_DEBIT_KINDS = frozenset({"order"})
#: What says so in the root of a wording, where there is no type: in French, English, Spanish, Dutch and German.
_DIRECT_DEBIT = re.compile(
    r"\b(?:PRLV|PREL|PRELVT|PR[EÉ]L[EÈ]VEMENTS?|DOMICILIATION|DIRECT DEBIT|DD|D D|RECIBO|RBO|ADEUDO"
    r"|DOMICILIERING|INCASSO|LASTSCHRIFT)\b"
)


class Incidents(msgspec.Struct, frozen=True):
    """What happened, and what the bank charged for it."""

    events: Group
    fees: Group


class Rejections(msgspec.Struct, frozen=True):
    payments: Incidents
    checks: Incidents


# What is found


def labelled(analysis: Analysis, currency: str, window: Window, names: frozenset[str]) -> Group:
    """The rows of a window that have one of some labels."""
    what = ("labelled", currency, *window[:2])
    by_label = analysis.once(what, lambda: _by_label(analysis.rows(currency, window)))
    found = {row.id: row for name in names for row in by_label.get(name, ())}
    return group(analysis, found.values())


def _by_label(rows: Iterable[Row]) -> Mapping[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        for label in row.labels:
            found[label.name].append(row)
    return found


def group(analysis: Analysis, rows: Iterable[Row]) -> Group:
    return Group(analysis.ordered(rows))


def rejections_in(analysis: Analysis, currency: str, window: Window) -> Rejections:
    """Returned payments and cheques, with the fees of each. The fee of a return is no return."""
    return Rejections(
        payments=Incidents(
            _returns(analysis, currency, window, PAYMENT_REJECTION),
            _debits(analysis, currency, window, frozenset({"FEES_PAYMENT_REJECTION"})),
        ),
        checks=Incidents(
            _returns(analysis, currency, window, CHECK_REJECTION),
            _debits(analysis, currency, window, frozenset({"FEES_CHECK_REJECTION"})),
        ),
    )


def heavy_failures_in(analysis: Analysis, currency: str, window: Window) -> dict[str, Incidents]:
    """By each name of `HEAVY_FAILURES` what was taken, and its fees."""
    return {
        name: Incidents(_debits(analysis, currency, window, taken), _debits(analysis, currency, window, fees))
        for name, (taken, fees) in HEAVY_FAILURES.items()
    }


def overdraft_fees_in(analysis: Analysis, currency: str, window: Window) -> Group:
    return _debits(analysis, currency, window, frozenset({"FEES_OVERDRAFT"}))


def intervention_fees_in(analysis: Analysis, currency: str, window: Window) -> Group:
    return _debits(analysis, currency, window, frozenset({"FEES_INTERVENTION"}))


def nsf_fees_in(analysis: Analysis, currency: str, window: Window) -> tuple[Group, Group]:
    """The fees of returned payments and cheques, and those of them that were paid back in the same window.

    A fee was paid back by a later credit labelled so, on its account and of its amount.
    """
    fees = _debits(analysis, currency, window, NSF_FEES)
    reversals: defaultdict[tuple[str, int], deque[Row]] = defaultdict(deque)
    for credit in labelled(analysis, currency, window, frozenset({"FEE_REVERSAL"})).rows:
        reversals[credit.account, credit.amount].append(credit)
    reversed_ = []
    for fee in fees.rows:
        left = reversals[fee.account, -fee.amount]
        # What came before this fee came before all that follow.
        while left and analysis.day(left[0]) < analysis.day(fee):
            left.popleft()
        if left:
            left.popleft()
            reversed_.append(fee)
    return fees, Group(tuple(reversed_))


def is_direct_debit(row: Row) -> bool:
    """Whether a payee collected it: by the provider's type, else by the words of its wording."""
    if row.amount >= 0:
        return False
    if row.kind != "unknown":
        return row.kind in DIRECT_DEBIT_KINDS
    return _DIRECT_DEBIT.search(row.root) is not None


def _returns(analysis: Analysis, currency: str, window: Window, names: frozenset[str]) -> Group:
    found = labelled(analysis, currency, window, names)
    return Group(tuple(row for row in found.rows if not row.has_any(FEES)))


def _debits(analysis: Analysis, currency: str, window: Window, names: frozenset[str]) -> Group:
    found = labelled(analysis, currency, window, names)
    return Group(tuple(row for row in found.rows if row.amount < 0))


# Figures


def per_currency(
    analysis: Analysis, window: Window, figure_of: Callable[[Analysis, str, Window], Figure]
) -> Iterator[Figure]:
    """One figure per currency; without a covered day in the window it has no value.

    The reason of one that has a value says where a row of the window has no amount, and is in no sum.
    """
    last = min(window.last, analysis.as_of)
    for currency in analysis.currencies:
        covered = analysis.covered_in(currency, window)
        if covered:
            found = figure_of(analysis, currency, window)
            days = (day for account in analysis.of_currency(currency) for day in account.unknown_days)
            missing = AMOUNT_MISSING if any(window.first <= day <= last for day in days) else None
            yield msgspec.structs.replace(found, covered_days=covered, reason=found.reason or missing)
        else:
            yield unknown(currency, window, INSUFFICIENT_HISTORY, NO_HISTORY)


def unknown(currency: str, window: Window, status: str, reason: str) -> Figure:
    return Figure(window=window, currency=currency, status=status, reason=reason)


def figure(currency: str, window: Window, value: Any, rows: Iterable[Row], **more: Any) -> Figure:
    ids = tuple(row.id for row in rows)
    return Figure(value=value, window=window, currency=currency, n=len(ids), rows=ids, **more)


def sums(held: Group) -> dict[str, int]:
    """`total` and `count` of a group, as most values show them."""
    return {"total": held.total, "count": held.count}


def listed(held: Group) -> dict[str, Any]:
    """The same, with the ids of its rows."""
    return {**sums(held), "transactions": [text_of_id(row) for row in held.rows]}


def horizon(window: Window, as_of: int, days: int) -> Window:
    """The last days of a window, none of them after the reference day."""
    last = min(window.last, as_of)
    return Window(last - days + 1, last, f"{days}d")


def _payment_rejections(analysis: Analysis, currency: str, window: Window) -> Figure:
    return _rejected(currency, window, rejections_in(analysis, currency, window).payments)


def _check_rejections(analysis: Analysis, currency: str, window: Window) -> Figure:
    return _rejected(currency, window, rejections_in(analysis, currency, window).checks)


def _rejected(currency: str, window: Window, found: Incidents) -> Figure:
    value = {**listed(found.events), "total": found.events.size, "fees": listed(found.fees)}
    return figure(currency, window, value, (*found.events.rows, *found.fees.rows))


def _nsf_fees(analysis: Analysis, currency: str, window: Window) -> Figure:
    fees, reversed_ = nsf_fees_in(analysis, currency, window)
    rolling = []
    for days in HORIZONS:
        near = horizon(window, analysis.as_of, days)
        covered = analysis.covered_in(currency, near)
        charged, given_back = nsf_fees_in(analysis, currency, near)
        net = charged.count - given_back.count if covered else None
        rolling.append({"days": days, "covered_days": covered, "count": net})
    value = {
        "count": fees.count - reversed_.count,
        "total": fees.total - reversed_.total,
        "charged": fees.count,
        "reversed": reversed_.count,
        "rolling": rolling,
    }
    return figure(currency, window, value, fees.rows)


def _nsf_days(analysis: Analysis, currency: str, window: Window) -> Figure:
    # An own payment comes back as a credit; a debit is one to the holder, whose payer lacked the funds.
    returned = [row for row in _returns(analysis, currency, window, REJECTIONS).rows if row.amount > 0]
    fees, reversed_ = nsf_fees_in(analysis, currency, window)
    given_back = set(reversed_.ids)
    events = group(analysis, (*returned, *(row for row in fees.rows if row.id not in given_back)))
    days = {analysis.day(row) for row in events.rows}
    return figure(currency, window, len(days), events.rows)


def _overdraft_fees(analysis: Analysis, currency: str, window: Window) -> Figure:
    overdraft = overdraft_fees_in(analysis, currency, window)
    intervention = intervention_fees_in(analysis, currency, window)
    both = group(analysis, {*overdraft.rows, *intervention.rows})
    value = {**sums(both), "overdraft": listed(overdraft), "intervention": listed(intervention)}
    return figure(currency, window, value, both.rows)


def _heavy_failures(analysis: Analysis, currency: str, window: Window) -> Figure:
    found = heavy_failures_in(analysis, currency, window)
    taken = group(analysis, {row for incidents in found.values() for row in incidents.events.rows})
    fees = group(analysis, {row for incidents in found.values() for row in incidents.fees.rows})
    parts = {
        name: {**listed(incidents.events), "fees": listed(incidents.fees)}
        for name, incidents in found.items()
    }
    return figure(currency, window, {**sums(taken), "fees": sums(fees), **parts}, (*taken.rows, *fees.rows))


def _return_rate(analysis: Analysis, currency: str, window: Window) -> Figure:
    returned = rejections_in(analysis, currency, window).payments.events
    executed = group(
        analysis,
        (
            row
            for row in analysis.rows(currency, window)
            if is_direct_debit(row) and not row.has_any(FEES | REJECTIONS) and row.id not in analysis.returned
        ),
    )
    attempts = returned.count + executed.count
    if not attempts:
        return unknown(currency, window, NOT_APPLICABLE, "no_direct_debit")
    notes = {"returned": returned.count, "executed": executed.count}
    share = ratio(Fraction(returned.count, attempts))
    return figure(currency, window, share, (*returned.rows, *executed.rows), notes=notes)


def metric_of(
    id: str,
    name: str,
    title: str,
    unit: str,
    definition: str,
    source: str,
    figure_of: Callable[[Analysis, str, Window], Figure],
    **more: Any,
) -> Metric:
    """A metric with one figure per currency."""

    def compute(analysis: Analysis, window: Window) -> Iterator[Figure]:
        return per_currency(analysis, window, figure_of)

    return Metric(
        id=id,
        name=name,
        title=title,
        unit=unit,
        definition=definition,
        source=source,
        compute=compute,
        **more,
    )


METRICS: tuple[Metric, ...] = (
    metric_of(
        "K1",
        "payment_rejections",
        "Payment rejections",
        MONEY,
        "Rows labelled PAYMENT_REJECTION and with no label of a fee: direct debits and transfers that came "
        "back. `count`; `total`, the sum of their amounts by size; `transactions`, their ids; and apart, in "
        "`fees`, all three of debits labelled FEES_PAYMENT_REJECTION. Its rows are the returned ones, then "
        "the fees. No value without a covered day.",
        "Qard, Algoan, Powens `return_debit`, Moneyhub",
        _payment_rejections,
    ),
    metric_of(
        "K2",
        "check_rejections",
        "Cheque rejections",
        MONEY,
        "As K1, of rows labelled CHECK_REJECTION and fees labelled FEES_CHECK_REJECTION.",
        "Qard, Algoan",
        _check_rejections,
    ),
    metric_of(
        "K3",
        "nsf_fees",
        "Fees for want of funds, net",
        COUNT,
        "Debits labelled FEES_PAYMENT_REJECTION or FEES_CHECK_REJECTION, less those paid back inside the "
        "same window: by a credit labelled FEE_REVERSAL on the same account, of the same amount, on the day "
        "or later, each used once. `count` and `total` are net, `charged` and `reversed` tell both counts; "
        "`rolling` has the net count of the last 30, 60 and 90 days, null where none of these is covered. "
        "No value without a covered day.",
        "Plaid",
        _nsf_fees,
    ),
    metric_of(
        "K4",
        "nsf_days",
        "Days with a want of funds",
        DAYS,
        "Distinct days with an own payment or cheque that came back (a credit of K1 or K2) or a fee of K3 "
        "that was not paid back inside the window. What is paid back is no such event. No value without a "
        "covered day.",
        "Inscribe",
        _nsf_days,
    ),
    metric_of(
        "K5",
        "overdraft_fees",
        "Overdraft and intervention fees",
        MONEY,
        "Debits labelled FEES_OVERDRAFT (`overdraft`: interest on a negative balance included) and "
        "FEES_INTERVENTION (`intervention`): `total`, negative, `count` and `transactions` of each, the "
        "first two of both. No value without a covered day.",
        "Qard (overdraft fees), Algoan (intervention fees)",
        _overdraft_fees,
    ),
    metric_of(
        "K6",
        "heavy_failures",
        "Seizures and direct recovery of debt",
        MONEY,
        "Debits labelled ACCOUNT_SEIZURE (`bank_account_seizure`); DIRECT_DEBT_RECOVERY or "
        "PROVISION_DIRECT_DEBT_RECOVERY (`direct_recovery_of_debt`); PROVISION_PREVENTIVE_SEIZURE "
        "(`preventive_seizure`): `total`, negative, and `count` of each and of all, and apart, in `fees`, "
        "those of the FEES_ labels of the same name. Its rows are what was taken, then the fees. No value "
        "without a covered day.",
        "Qard",
        _heavy_failures,
    ),
    metric_of(
        "K16",
        "return_rate",
        "Return rate",
        RATIO,
        "K1 count / (K1 count + executed direct debits). A direct debit is a debit of the provider's type "
        "`order`, or, where the type is unknown, one whose wording says so (PRLV, DIRECT DEBIT, RECIBO, "
        "INCASSO, …); it was executed where no credit returned it, and fees are none. Not applicable "
        "without either.",
        "ours",
        _return_rate,
    ),
)
