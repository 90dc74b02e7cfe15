"""Returned debits: which debit a credit gives back, because the bank refused to pay it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from domain.insights.books import Row

#: The most days between a debit and its return.
DAYS_MAX = 10
REJECTIONS = frozenset({"PAYMENT_REJECTION", "CHECK_REJECTION"})
#: Fewer letters, or fewer digits, tell nothing of whom was to be paid.
LETTERS_MIN, DIGITS_MIN = 3, 5
#: What is said of a payment or of its return, whomever it was to go to. French, English, Spanish, Dutch.
_OF_PAYMENTS = frozenset(
    "annulation annule refus refuse extourne contrepassation incident europeen domiciliation "
    "rejet rejete rejetee impaye impayes retour prlv prelevement prelvt sepa virement vir cheque chq carte paiement"
    " recu emis ech echeance provision insuffisante motif ref reference mandat mdt emetteur debit direct"
    " returned unpaid return payment transfer standing order card check reversal core bank"
    " devolucion devuelto devuelta impagado recibo adeudo transferencia tarjeta"
    " stornering storno incasso domiciliering terugboeking geweigerd overschrijving betaling kenmerk mandaat van"
    " the and des les une par pour del por con het een".split()
)


def returned_debits(rows: Iterable[Row]) -> dict[bytes, Row]:
    """By the id of each debit that was returned, the credit that gave it back.

    That credit is labelled a rejection, is on the same account and of the same amount, came up to `DAYS_MAX` days
    after the debit, and names the same brand, or shares a distinctive word or a long number with its wording. One that
    names nobody gives back the only debit that there is of its amount. Each debit is returned once at most, the
    latest first.
    """
    held = list(rows)
    credits: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in _in_order(row for row in held if row.amount > 0 and row.has_any(REJECTIONS)):
        credits[row.account, row.amount].append(row)
    debits: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in held:
        if row.amount < 0 and (row.account, -row.amount) in credits and not row.has_any(REJECTIONS):
            debits[row.account, -row.amount].append(row)
    returned: dict[bytes, Row] = {}
    for what, of_amount in credits.items():
        returned |= _returned(_in_order(debits[what]), of_amount)
    return returned


def _in_order(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.day, row.id))


def _returned(debits: Sequence[Row], credits: Iterable[Row]) -> dict[bytes, Row]:
    """The same of one account and one amount. Both are by day, then by id."""
    returned: dict[bytes, Row] = {}
    # What was debited up to a credit's day, all of it and by what it names: the latest is at the end.
    earlier: list[Row] = []
    by_name: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    following = iter(debits)
    debit = next(following, None)
    for credit in credits:
        while debit is not None and debit.day <= credit.day:
            earlier.append(debit)
            for name in _names(debit):
                by_name[name].append(debit)
            debit = next(following, None)
        names = _names(credit)
        found = [_latest(by_name[name], credit, returned) for name in names if name in by_name]
        named = max(
            (one for one in found if one is not None), key=lambda one: (one.day, one.id), default=None
        )
        if named is None and not names:
            named = _only(earlier, credit, returned)
        if named is not None:
            returned[named.id] = credit
    return returned


def _latest(debits: list[Row], credit: Row, returned: Mapping[bytes, Row]) -> Row | None:
    """The last of debits that a credit may give back. Those at the end that were given back are taken off."""
    while debits and debits[-1].id in returned:
        debits.pop()
    return debits[-1] if debits and credit.day - debits[-1].day <= DAYS_MAX else None


def _only(debits: list[Row], credit: Row, returned: Mapping[bytes, Row]) -> Row | None:
    """The one of debits that a credit may give back; None where there is another."""
    last = _latest(debits, credit, returned)
    if last is None:
        return None
    debits.pop()
    other = _latest(debits, credit, returned)
    debits.append(last)
    return last if other is None else None


def _names(row: Row) -> set[tuple[str, str]]:
    """What tells whom a row was to pay: its brand, and its distinctive words."""
    brand = {("brand", row.brand)} if row.brand else set()
    return brand | {("word", word) for word in _distinctive(row)}


def _distinctive(row: Row) -> set[str]:
    """The words and long numbers that tell whom a row was to pay."""
    tokens = re.findall(r"[^\W\d_]+|\d+", f"{row.wording} {row.other_name}".casefold())
    return {
        token
        for token in tokens
        if len(token) >= (DIGITS_MIN if token.isdigit() else LETTERS_MIN) and token not in _OF_PAYMENTS
    }
