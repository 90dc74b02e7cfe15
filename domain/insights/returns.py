"""Returned debits: which debit a credit gives back, because the bank refused to pay it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from domain.insights.books import Row

#: The most days between a debit and its return.
DAYS_MAX = 10
REJECTIONS = frozenset({"PAYMENT_REJECTION", "CHECK_REJECTION"})
#: Fewer letters, or fewer digits, tell nothing of whom was to be paid.
LETTERS_MIN, DIGITS_MIN = 3, 5
#: What is said of a payment or of its return, whomever it was to go to. French, English, Spanish, Dutch.
_OF_PAYMENTS = frozenset(
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
    held = sorted(rows, key=lambda row: (row.day, row.id))
    debits: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in held:
        if row.amount < 0 and not row.has_any(REJECTIONS):
            debits[row.account, -row.amount].append(row)
    returned: dict[bytes, Row] = {}
    for credit in held:
        if credit.amount > 0 and credit.has_any(REJECTIONS):
            debit = _debit_of(credit, debits[credit.account, credit.amount], returned)
            if debit is not None:
                returned[debit.id] = credit
    return returned


def _debit_of(credit: Row, debits: Iterable[Row], returned: Mapping[bytes, Row]) -> Row | None:
    near = [debit for debit in debits if 0 <= credit.day - debit.day <= DAYS_MAX and debit.id not in returned]
    words = _distinctive(credit)
    named = [debit for debit in near if _same_brand(debit, credit) or words & _distinctive(debit)]
    if named:
        return named[-1]
    return near[0] if len(near) == 1 and not words and not credit.brand else None


def _same_brand(one: Row, other: Row) -> bool:
    return bool(one.brand) and one.brand == other.brand


def _distinctive(row: Row) -> set[str]:
    """The words and long numbers that tell whom a row was to pay."""
    tokens = re.findall(r"[^\W\d_]+|\d+", f"{row.wording} {row.other_name}".casefold())
    return {
        token
        for token in tokens
        if len(token) >= (DIGITS_MIN if token.isdigit() else LETTERS_MIN) and token not in _OF_PAYMENTS
    }
