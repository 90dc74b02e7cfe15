"""ConsumerAccount: a bank account of a consumer, its balances and its transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from domain.fact import Erased, Fact
from domain.transactions import EMPTY, Batch, Transaction, batch_of

CHECKING = "CHECKING"
SAVINGS = "SAVINGS"
CREDIT_CARD = "CREDIT_CARD"
LOAN = "LOAN"
UNKNOWN_KIND = "UNKNOWN"
#: The kinds whose money comes in and goes out: cash flow is theirs.
CASH_KINDS = frozenset({CHECKING, SAVINGS})

#: The most transactions that one fact holds.
TRANSACTIONS_MAX = 1_000

T = TypeVar("T")

#: Why an account is closed.
CONNECTION_DELETED = "connection_deleted"

# Facts


class Owner(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    first_name: str | None = None
    last_name: str | None = None
    full_name: str | None = None


class AccountDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the source says of an account, its money aside."""

    kind: str = UNKNOWN_KIND
    name: str | None = None
    number: str | None = None
    iban: str | None = None
    bic: str | None = None
    bank_name: str | None = None
    usage: str | None = None
    owners: tuple[Owner, ...] = ()
    fields: Mapping[str, Any] = {}
    """What else the provider gave, under its own names."""


class AccountDiscovered(Fact, frozen=True):
    connection_id: str
    provider: str
    reference: str
    """The provider's id of the account."""
    currency: str
    exponent: int
    """Decimals of the currency: what every amount of this account is counted in."""
    details: AccountDetails


class AccountDetailsChanged(Fact, frozen=True):
    details: AccountDetails
    """All details as they are from now on."""


class BalanceRefreshed(Fact, frozen=True):
    """A reading of the provider's: signed minor units, each as given, or None where it gave none."""

    as_of: datetime
    balance: int | None = None
    available: int | None = None
    limit: int | None = None
    reserved: int | None = None
    texts: Mapping[str, str] = {}
    """The source's own text of an amount that minor units would not hold exactly, by field."""


class Removed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Transactions that the bank took back."""

    ids: bytes = b""
    references: list[str] = []

    def __len__(self) -> int:
        return len(self.references)


class TransactionsFetched(Fact, frozen=True):
    added: Batch = EMPTY
    modified: Batch = EMPTY
    """Rows as they are from now on, under the ids they had."""
    removed: Removed = Removed()


class AccountClosed(Fact, frozen=True):
    reason: str


class AccountReopened(Fact, frozen=True):
    pass


# States


class Undiscovered(msgspec.Struct, frozen=True, tag_field="state", tag=True):
    pass


class Open(msgspec.Struct, frozen=True, tag_field="state", tag=True, kw_only=True):
    currency: str
    exponent: int
    details: AccountDetails
    reading: BalanceRefreshed | None = None


class Closed(msgspec.Struct, frozen=True, tag_field="state", tag=True):
    was: Open
    reason: str


class Gone(msgspec.Struct, frozen=True, tag_field="state", tag=True):
    """Its key was destroyed."""


ConsumerAccount = Undiscovered | Open | Closed | Gone
initial: ConsumerAccount = Undiscovered()


class Known(msgspec.Struct, frozen=True):
    """What is held of a transaction already: our id, and the digest of what it last said."""

    id: bytes
    digest: bytes
    removed: bool = False


# Decisions


def discover(
    account: ConsumerAccount,
    *,
    connection_id: str,
    provider: str,
    reference: str,
    currency: str,
    exponent: int,
    details: AccountDetails,
) -> tuple[Fact, ...]:
    """Record an account, or what is new about it."""
    match account:
        case Undiscovered():
            discovered = AccountDiscovered(
                connection_id=connection_id,
                provider=provider,
                reference=reference,
                currency=currency,
                exponent=exponent,
                details=details,
            )
            return (discovered,)
        case Open():
            return () if account.details == details else (AccountDetailsChanged(details=details),)
        case Closed():
            changed = () if account.was.details == details else (AccountDetailsChanged(details=details),)
            return (AccountReopened(), *changed)
    return ()


def refresh_balance(account: ConsumerAccount, reading: BalanceRefreshed) -> tuple[BalanceRefreshed, ...]:
    """Record a reading, unless we hold it or a newer one."""
    match account:
        case Open(reading=held) if held is not None and (reading.as_of < held.as_of or reading == held):
            return ()
        case Open():
            return (reading,)
    return ()


def record_transactions(
    transactions: Iterable[Transaction], known: Mapping[str, Known], new_id: Callable[[], bytes]
) -> tuple[TransactionsFetched, ...]:
    """Record what is new about these rows against what is known of them, in facts of bounded size.

    `known` holds, by the provider's id, every row of these that was recorded before. A row shown twice
    counts once, as shown last. One that was taken back and is shown again comes back under its id.
    """
    shown = {transaction.reference: transaction for transaction in transactions}
    added: list[tuple[bytes, Transaction]] = []
    modified: list[tuple[bytes, Transaction]] = []
    removed: list[tuple[bytes, str]] = []
    for reference, transaction in shown.items():
        held = known.get(reference)
        match held:
            case None if not transaction.deleted:
                added.append((new_id(), transaction))
            case Known(removed=False) if transaction.deleted:
                removed.append((held.id, reference))
            case Known(removed=True) if not transaction.deleted:
                added.append((held.id, transaction))
            case Known(removed=False) if held.digest != transaction.digest():
                modified.append((held.id, transaction))
    added.sort(key=lambda row: row[1].booked_on)
    modified.sort(key=lambda row: row[1].booked_on)
    return (
        *(TransactionsFetched(added=batch_of(rows)) for rows in _chunks(added)),
        *(TransactionsFetched(modified=batch_of(rows)) for rows in _chunks(modified)),
        *(
            TransactionsFetched(
                removed=Removed(
                    ids=b"".join(id for id, _ in rows), references=[reference for _, reference in rows]
                )
            )
            for rows in _chunks(removed)
        ),
    )


def _chunks(rows: list[T]) -> list[list[T]]:
    return [rows[start : start + TRANSACTIONS_MAX] for start in range(0, len(rows), TRANSACTIONS_MAX)]


def close(account: ConsumerAccount, reason: str) -> tuple[AccountClosed, ...]:
    """Close an account. One that is closed already can still lose the connection that its data came through."""
    match account:
        case Open():
            return (AccountClosed(reason=reason),)
        case Closed(reason=before) if reason == CONNECTION_DELETED != before:
            return (AccountClosed(reason=reason),)
    return ()


def apply(account: ConsumerAccount, fact: object) -> ConsumerAccount:
    match fact:
        case AccountDiscovered():
            return Open(currency=fact.currency, exponent=fact.exponent, details=fact.details)
        case Erased():
            return Gone()
        case AccountDetailsChanged() if isinstance(account, Open):
            return replace(account, details=fact.details)
        case BalanceRefreshed() if isinstance(account, Open):
            return replace(account, reading=fact)
        case AccountClosed() if isinstance(account, Open):
            return Closed(was=account, reason=fact.reason)
        case AccountClosed() if isinstance(account, Closed):
            return Closed(was=account.was, reason=fact.reason)
        case AccountReopened() if isinstance(account, Closed):
            return account.was
    return account
