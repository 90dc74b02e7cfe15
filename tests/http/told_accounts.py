"""Accounts and rows of a consumer, told as the facts that bring them, for the reports that are made of them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from domain import registry, streams
from domain.categories.tree import category_of
from domain.consumer_account import (
    AccountDetails,
    AccountDiscovered,
    BalanceRefreshed,
    TransactionsFetched,
)
from domain.fact import Recorded
from domain.money import exponent_of
from domain.transactions import Transaction, batch_of, day_of
from projections import models
from tests.http.world import NOON, World

TENANT = "ours"
#: Behind whatever else a test has in its log.
_positions = count(1_000)


def account_id(number: int) -> str:
    return str(UUID(int=3 << 96 | number))


def row_name(number: int) -> str:
    return str(UUID(int=9 << 96 | number))


def row(
    number: int,
    booked: str,
    amount: int | None,
    wording: str | None = None,
    *labels: str,
    value: str | None = None,
    **more: Any,
) -> tuple[bytes, Transaction]:
    """A row; its labels are stated, so that no rule of wordings has a say."""
    fields = dict(more.pop("fields", {}))
    if labels:
        fields["category_ids"] = [category_of(label).id for label in labels]
    told = Transaction(
        reference=str(number),
        booked_on=day_of(date.fromisoformat(booked)),
        value_on=None if value is None else day_of(date.fromisoformat(value)),
        amount=amount,
        wording=wording,
        fields=fields,
        **more,
    )
    return UUID(row_name(number)).bytes, told


class Teller:
    """Tells the facts of one consumer's accounts: rows an hour before the readings that have them."""

    def __init__(self, world: World, consumer: str) -> None:
        self.world = world
        self.consumer = consumer

    def account(self, number: int, kind: str = "CHECKING", currency: str = "EUR", **details: Any) -> str:
        source = {
            name: details.pop(name) for name in ("connection_id", "provider", "client_id") if name in details
        }
        fact = AccountDiscovered(
            **{"connection_id": "c1", "provider": "budget_insight", **source},
            reference=str(number),
            currency=currency,
            exponent=exponent_of(currency),
            details=AccountDetails(kind=kind, **details),
        )
        self._tell(account_id(number), fact, NOON - timedelta(hours=2))
        return account_id(number)

    def rows(self, account: str, *rows: tuple[bytes, Transaction]) -> None:
        self._tell(account, TransactionsFetched(added=batch_of(rows)), NOON - timedelta(hours=1))

    def reading(self, account: str, balance: int | None, when: datetime = NOON, **more: Any) -> None:
        self._tell(account, BalanceRefreshed(as_of=when, balance=balance, **more), when)

    def _tell(self, account: str, fact: Any, when: datetime) -> None:
        position = next(_positions)
        models.project(
            Recorded(
                stream=streams.consumer_account(TENANT, self.consumer, account),
                version=position,
                position=position,
                name=registry.NAMES[type(fact)],
                recorded_at=when,
                actor="sync",
                fact=fact,
            ),
            self.world.read_models.rows,
        )

    def finish(self) -> None:
        """Make the documents, which are made after the facts."""
        models.finish(self.world.read_models.rows, [(TENANT, self.consumer)])
