"""Banking accounts as they are listed, each with its last reading and its last transaction."""

from __future__ import annotations

from typing import NamedTuple

from domain.fact import Recorded
from projections import answers
from projections.accounts import ACCOUNTS, Account, details_of, key_of
from projections.answers import BankAccount, BankAccountOwner, major, qard_day, qard_time
from projections.ports import Rows, Table
from projections.shown import TRANSACTIONS
from projections.times import moment


class BankingAccount(NamedTuple):
    tenant: str
    consumer: str
    position: int
    """Where it was discovered: the order of the list."""
    account: str
    body: bytes
    """`answers.BankAccount`."""


BANKING_ACCOUNTS = Table("banking_accounts", BankingAccount, key=3)
TABLES = (BANKING_ACCOUNTS,)


def project(recorded: Recorded, rows: Rows) -> None:
    """Nothing: the list is made of what is known of accounts and transactions, in `finish`."""


def finish(rows: Rows, tenant: str, consumer: str) -> None:
    """Write down what is answered about a consumer."""
    wanted = {
        account.position: BankingAccount(
            tenant, consumer, account.position, account.id, answers.encode(answer(account, rows))
        )
        for account in list(rows.scan(ACCOUNTS, tenant, consumer))
    }
    for row in list(rows.scan(BANKING_ACCOUNTS, tenant, consumer)):
        if wanted.get(row.position) == row:
            del wanted[row.position]
        elif row.position not in wanted:
            rows.delete(BANKING_ACCOUNTS, *row[:3])
    for row in wanted.values():
        rows.put(BANKING_ACCOUNTS, row)


def answer(account: Account, rows: Rows) -> BankAccount:
    """An account; its last transaction is the booked one with the newest value day."""
    details = details_of(account)
    last_update = None if account.as_of is None else qard_time(moment(account.as_of))
    newest = next(iter(rows.scan(TRANSACTIONS, key_of(account.id))), None)
    return BankAccount(
        id=account.id,
        name=details.name,
        account_number=details.number,
        account_type=account.kind,
        balance=None if account.balance is None else major(account.balance, account.exponent),
        currency=account.currency,
        iban=details.iban,
        bic=details.bic,
        bank_name=details.bank_name,
        last_update=last_update,
        last_transaction=None if newest is None else qard_day(-newest.newest),
        provider_name=account.provider,
        data_connection_id=account.connection or None,
        owners=[
            BankAccountOwner(
                first_name=owner.first_name,
                last_name=owner.last_name,
                full_name=owner.full_name,
                last_update=last_update,
            )
            for owner in details.owners
        ],
    )
