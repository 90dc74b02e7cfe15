"""Balances: one report per account, made from its last reading. What the source does not give is left out."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from domain.fact import Recorded
from projections import answers
from projections.accounts import ACCOUNTS, Account
from projections.answers import Amount, insights_time
from projections.ports import Rows, Table
from projections.times import moment


class Balance(NamedTuple):
    tenant: str
    consumer: str
    position: int
    """Where the account was discovered: the order of reports."""
    account: str
    available: int
    """1 if the balance or the available amount is known."""
    body: bytes
    """`answers.Balances`."""


BALANCES = Table("balances", Balance, key=3)
TABLES = (BALANCES,)


def project(recorded: Recorded, rows: Rows) -> None:
    """Nothing: reports are made of what is known of the accounts, in `finish`."""


def finish(rows: Rows, tenant: str, consumer: str) -> None:
    """Write down what is answered about a consumer."""
    wanted = {account.position: _row(account) for account in rows.scan(ACCOUNTS, tenant, consumer)}
    for row in list(rows.scan(BALANCES, tenant, consumer)):
        if wanted.get(row.position) == row:
            del wanted[row.position]
        elif row.position not in wanted:
            rows.delete(BALANCES, *row[:3])
    for row in wanted.values():
        rows.put(BALANCES, row)


def _row(account: Account) -> Balance:
    return Balance(
        tenant=account.tenant,
        consumer=account.consumer,
        position=account.position,
        account=account.id,
        available=int(account.balance is not None or account.available is not None),
        body=answers.encode(answer(account)),
    )


def answer(account: Account) -> answers.Balances:
    """An account's report; without a reading it is as old as the account's discovery, and empty."""
    as_of = account.discovered_at if account.as_of is None else account.as_of
    return answers.Balances(
        insights_consumer_id=account.consumer,
        insights_account_ids=[account.id],
        balance=_amount(account.balance, account),
        available=_amount(account.available, account),
        limit=_amount(account.limit, account),
        reserved=_amount(account.reserved, account),
        refreshed_at=insights_time(moment(as_of)),
    )


def _amount(minor: int | None, account: Account) -> Amount | msgspec.UnsetType:
    return msgspec.UNSET if minor is None else Amount(minor, account.currency)
