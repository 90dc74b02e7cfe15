"""Named examples that the tests of the domain share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import msgspec

from domain import consumer, consumer_account, data_connection
from domain.consumer_account import AccountDetails, BalanceRefreshed
from domain.transactions import Transaction

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TUESDAY = MONDAY + timedelta(days=1)
ALL = ("BANK_ACCOUNT", "BANK_TRANSACTION", "CASHFLOW", "CREDIT_INSIGHTS")
ADA = consumer.describe(consumer.NATURAL, {"first_name": "Ada", "last_name": "Test"})
BAKERY = consumer.describe(consumer.LEGAL, {"name": "Boulangerie Test", "siren": "552100554"})
DIGEST = b"d" * 32


def folded(aggregate: Any, *facts: Any, state: Any = None) -> Any:
    state = aggregate.initial if state is None else state
    for fact in facts:
        state = aggregate.apply(state, fact)
    return state


def a_connection(*facts: Any) -> data_connection.DataConnection:
    requested = data_connection.ConnectionRequested(provider="budget_insight", data_types=ALL)
    return folded(data_connection, requested, *facts)


def connected(*facts: Any) -> data_connection.DataConnection:
    return a_connection(
        data_connection.AuthorisationStarted(state_digest=DIGEST, expires_at=TUESDAY),
        data_connection.ConnectionConnected(reference="512", provider_user="7301"),
        *facts,
    )


def an_account(*facts: Any) -> consumer_account.ConsumerAccount:
    discovered = consumer_account.AccountDiscovered(
        connection_id="c1",
        provider="budget_insight",
        reference="2318",
        currency="EUR",
        exponent=2,
        details=AccountDetails(kind="CHECKING", name="Compte courant"),
    )
    return folded(consumer_account, discovered, *facts)


def a_reading(balance: int | None, as_of: datetime = MONDAY, **more: Any) -> BalanceRefreshed:
    return BalanceRefreshed(as_of=as_of, balance=balance, **more)


def a_transaction(reference: str = "1", **more: Any) -> Transaction:
    fields = {"booked_on": 20_000, "amount": -4235, "kind": "card", "wording": "CARTE EPICERIE"}
    return Transaction(reference=reference, **{**fields, **more})


def ids() -> Any:
    """Ids in a row: every call gives the next."""
    numbers = count(1)
    return lambda: next(numbers).to_bytes(16, "big")


def a_pending_row(reference: str = "p1", **more: Any) -> Transaction:
    """Seen and touched on Monday, booked on day 20,000."""
    fields = {
        "pending": True,
        "wording": "PAIEMENT EN COURS EPICERIE",
        "seen_at": MONDAY,
        "touched_at": MONDAY,
    }
    return a_transaction(reference, **{**fields, **more})


def a_booked_row(reference: str = "b1", **more: Any) -> Transaction:
    """What that pending row may have become: seen on Tuesday, a day later, in the bank's final words."""
    fields = {"booked_on": 20_001, "seen_at": TUESDAY, "touched_at": TUESDAY}
    return a_transaction(reference, **{**fields, **more})


def stored(value: Any, shape: Any) -> Any:
    """The value once it was written to disk and read back."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=shape)
