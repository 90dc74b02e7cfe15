"""ConsumerAccount: a bank account of a consumer, its balances and its transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from domain.fact import Erased, Fact
from domain.money import NO_CURRENCY
from domain.pending import Held, Pair, Pendings, pair
from domain.refusals import InvalidRequest, NotFound
from domain.transactions import EMPTY, Batch, Bookings, Transaction, batch_of

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

#: The provider of accounts that a client brought to be kept for a time. What banks and statements bring has no end.
STORAGE = "storage"

#: Why an account is closed.
CONNECTION_DELETED = "connection_deleted"
DELETED_AT_BANK = "deleted_at_bank"
DISABLED = "disabled"
#: The bank's list does not name it any more, or names it in another currency or for another user.
NOT_SHOWN = "not_shown"
#: Nobody wants to keep what was brought any longer: its time is up, or a client said so.
EXPIRED = "expired"
DELETED = "deleted"
#: With these its key is destroyed, and nothing of it is left.
DESTROYING = frozenset({CONNECTION_DELETED, EXPIRED, DELETED})

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
    client_id: str | None = None
    """The id that the client chose for it: personal, and in no other place of the log."""


class AccountDetailsChanged(Fact, frozen=True):
    details: AccountDetails
    """All details as they are from now on."""
    currency: str = ""
    """What it counts in from now on, where that was not known when it was discovered; empty where it is as it was."""
    exponent: int = 0
    """Decimals of that currency."""


class RetentionSet(Fact, frozen=True):
    """The account is kept until then; after that its key is destroyed."""

    until: datetime


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
    restored: Batch = EMPTY
    """Rows that were gone and are back, under the ids they had. Earlier facts say so in `added`."""
    booked: Bookings = Bookings()
    """Pending rows that are gone, because the bank booked them under other ids."""
    expired: Removed = Removed()
    """Pending rows that are gone, because the bank never booked them."""


class BookingUndone(Fact, frozen=True):
    """Somebody said that a pending row did not become this booked one: it is pending again, and stays apart."""

    pending_id: bytes
    pending_reference: str
    booked_id: bytes


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
    provider: str = ""
    until: datetime | None = None
    """The end of its retention; None where it is kept for good."""


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


class Window(msgspec.Struct, frozen=True):
    """What a run read without a gap: all rows booked from `since` on (None: ever), at a reading of the account."""

    since: int | None
    as_of: datetime | None


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
    client_id: str | None = None,
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
                client_id=client_id,
            )
            return (discovered,)
        case Open():
            return () if account.details == details else (AccountDetailsChanged(details=details),)
        case Closed():
            changed = () if account.was.details == details else (AccountDetailsChanged(details=details),)
            return (AccountReopened(), *changed)
    return ()


def count_in(account: ConsumerAccount, currency: str, exponent: int) -> tuple[AccountDetailsChanged, ...]:
    """Say what an account counts in whose source named no currency until now.

    Raises:
        InvalidRequest: it counts in another currency already.
    """
    match account:
        case Open(currency=held) if held == NO_CURRENCY != currency:
            return (AccountDetailsChanged(details=account.details, currency=currency, exponent=exponent),)
        case Open(currency=held) if currency not in (held, NO_CURRENCY):
            message = "is not the account's"
            raise InvalidRequest("an account has one currency", currency=[message])
    return ()


def provider_of(account: ConsumerAccount) -> str:
    """Who feeds an account, or fed it until it was closed; empty where there is none."""
    match account:
        case Open(provider=provider) | Closed(was=Open(provider=provider)):
            return provider
    return ""


def keep_until(account: ConsumerAccount, until: datetime) -> tuple[RetentionSet, ...]:
    """Keep an account of the storage until then, and not longer."""
    match account:
        case Open(provider=provider, until=held) if provider == STORAGE and held != until:
            return (RetentionSet(until=until),)
    return ()


def is_expired(account: ConsumerAccount, now: datetime) -> bool:
    """Whether the time of an account of the storage is up, though its key may not be destroyed yet."""
    match account:
        case Open(provider=provider, until=until) if provider == STORAGE and until is not None:
            return until <= now
    return False


def refresh_balance(account: ConsumerAccount, reading: BalanceRefreshed) -> tuple[BalanceRefreshed, ...]:
    """Record a reading, unless we hold it or a newer one, or it says what the one we hold says."""
    match account:
        case Open(reading=None):
            return (reading,)
        case Open(reading=held) if reading.as_of >= held.as_of and not _says_the_same(reading, held):
            return (reading,)
    return ()


def confirms(account: ConsumerAccount, reading: BalanceRefreshed) -> bool:
    """Whether a reading is newer than the one we hold, and says the same: only its time is worth keeping."""
    match account:
        case Open(reading=held) if held is not None:
            return reading.as_of > held.as_of and _says_the_same(reading, held)
    return False


def _says_the_same(reading: BalanceRefreshed, held: BalanceRefreshed) -> bool:
    return replace(reading, as_of=held.as_of) == held


def record_transactions(
    transactions: Iterable[Transaction],
    known: Mapping[str, Known],
    new_id: Callable[[], bytes],
    pendings: Pendings = Pendings(),
    window: Window | None = None,
) -> tuple[TransactionsFetched, ...]:
    """Record what is new about these rows against what is known of them, in facts of bounded size.

    `known` holds, by the provider's id, every row of these that was recorded before; `pendings` all that are
    pending. A row shown twice counts once, as shown last. One that was taken back and is shown again comes back under its id.
    A pending row that is gone is paired with the booked row it became, if there is one; it is gone when the bank
    says so, or when `window` holds its day, was read later than the row was touched, and does not show it.
    """
    shown = {transaction.reference: transaction for transaction in transactions}
    added: list[tuple[bytes, Transaction]] = []
    restored: list[tuple[bytes, Transaction]] = []
    modified: list[tuple[bytes, Transaction]] = []
    removed: list[tuple[bytes, str]] = []
    booked: list[Held] = []
    were_pending = {row.reference for row in pendings.rows}
    for reference, transaction in shown.items():
        held = known.get(reference)
        id = new_id() if held is None and not transaction.deleted else b"" if held is None else held.id
        match held:
            case None if not transaction.deleted:
                added.append((id, transaction))
            case Known(removed=False) if transaction.deleted:
                removed.append((id, reference))
            case Known(removed=True) if not transaction.deleted:
                restored.append((id, transaction))
            case Known(removed=False) if held.digest != transaction.digest():
                modified.append((id, transaction))
        # One that was pending itself is what that became, and no other.
        is_new = pendings.rows and reference not in were_pending
        if is_new and not transaction.pending and not transaction.deleted:
            booked.append(_held(id, transaction))
    taken_back = {reference for _, reference in removed}
    vanished = [row for row in pendings.rows if row.reference in taken_back or _is_absent(row, shown, window)]
    pairs = pair(vanished, booked, pendings)
    paired = {one.pending.reference for one in pairs}
    removed = [row for row in removed if row[1] not in paired]
    expired = [
        (row.id, row.reference)
        for row in vanished
        if row.reference not in paired and row.reference not in taken_back
    ]
    for rows in (added, restored, modified):
        rows.sort(key=lambda row: row[1].booked_on)
    return (
        *(TransactionsFetched(added=batch_of(rows)) for rows in _chunks(added)),
        *(TransactionsFetched(restored=batch_of(rows)) for rows in _chunks(restored)),
        *(TransactionsFetched(modified=batch_of(rows)) for rows in _chunks(modified)),
        *(TransactionsFetched(removed=_removed(rows)) for rows in _chunks(removed)),
        *(TransactionsFetched(booked=_bookings(rows)) for rows in _chunks(pairs)),
        *(TransactionsFetched(expired=_removed(rows)) for rows in _chunks(expired)),
    )


def _held(id: bytes, transaction: Transaction) -> Held:
    return Held(
        id=id,
        reference=transaction.reference,
        booked_on=transaction.booked_on,
        amount=transaction.amount,
        wording=transaction.wording,
        link=link_of(transaction.fields),
        seen_at=transaction.seen_at,
    )


def link_of(fields: Mapping[str, Any]) -> str | None:
    """The bank's own name of a row, where the provider hands it on."""
    link = fields.get("webid")
    return link if isinstance(link, str) and link else None


def _is_absent(row: Held, shown: Mapping[str, Transaction], window: Window | None) -> bool:
    if window is None or window.as_of is None or row.reference in shown:
        return False
    inside = window.since is None or row.booked_on >= window.since
    return inside and (row.touched_at is None or window.as_of > row.touched_at)


def _removed(rows: list[tuple[bytes, str]]) -> Removed:
    return Removed(ids=b"".join(id for id, _ in rows), references=[reference for _, reference in rows])


def _bookings(pairs: list[Pair]) -> Bookings:
    return Bookings(
        pending_ids=b"".join(one.pending.id for one in pairs),
        pending_references=[one.pending.reference for one in pairs],
        booked_ids=b"".join(one.booked.id for one in pairs),
        booked_references=[one.booked.reference for one in pairs],
        rules=[one.rule for one in pairs],
        scores=[one.score for one in pairs],
    )


def undo_booking(
    account: ConsumerAccount, *, pending_id: bytes, pending_reference: str, booked_id: bytes
) -> tuple[BookingUndone, ...]:
    """Undo a pair of a pending row and the booked one that it is said to have become."""
    if not isinstance(account, Open | Closed):
        raise NotFound
    undone = BookingUndone(pending_id=pending_id, pending_reference=pending_reference, booked_id=booked_id)
    return (undone,)


def _chunks(rows: list[T]) -> list[list[T]]:
    return [rows[start : start + TRANSACTIONS_MAX] for start in range(0, len(rows), TRANSACTIONS_MAX)]


def close(account: ConsumerAccount, reason: str) -> tuple[AccountClosed, ...]:
    """Close an account. One that is closed already can still be destroyed."""
    match account:
        case Open():
            return (AccountClosed(reason=reason),)
        case Closed(reason=before) if reason in DESTROYING and before not in DESTROYING:
            return (AccountClosed(reason=reason),)
    return ()


def apply(account: ConsumerAccount, fact: object) -> ConsumerAccount:
    match fact:
        case AccountDiscovered():
            return Open(
                currency=fact.currency, exponent=fact.exponent, details=fact.details, provider=fact.provider
            )
        case Erased():
            return Gone()
        case AccountDetailsChanged(currency="") if isinstance(account, Open):
            return replace(account, details=fact.details)
        case AccountDetailsChanged() if isinstance(account, Open):
            return replace(account, details=fact.details, currency=fact.currency, exponent=fact.exponent)
        case RetentionSet() if isinstance(account, Open):
            return replace(account, until=fact.until)
        case BalanceRefreshed() if isinstance(account, Open):
            return replace(account, reading=fact)
        case AccountClosed() if isinstance(account, Open):
            return Closed(was=account, reason=fact.reason)
        case AccountClosed() if isinstance(account, Closed):
            return Closed(was=account.was, reason=fact.reason)
        case AccountReopened() if isinstance(account, Closed):
            return account.was
    return account
