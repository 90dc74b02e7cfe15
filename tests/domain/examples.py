"""Named examples that the tests of the domain share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from domain import consumer, consumer_account, data_connection
from domain.consumer_account import AccountDetails, BalanceRefreshed, Known
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


def known_after(facts: tuple[Any, ...], before: dict[str, Known] | None = None) -> dict[str, Known]:
    """What an index knows once these facts are recorded: the model that the tests compare with."""
    known = dict(before or {})
    for fact in facts:
        for batch in (fact.added, fact.modified):
            for index, reference in enumerate(batch.references):
                known[reference] = Known(batch.id(index), batch.digest(index))
        for index, reference in enumerate(fact.removed.references):
            id = fact.removed.ids[index * 16 : index * 16 + 16]
            known[reference] = Known(id, b"", removed=True)
    return known
