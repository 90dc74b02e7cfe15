"""What is known of an account itself."""

from __future__ import annotations

from typing import Any

from domain.consumer_account import CHECKING, CREDIT_CARD, SAVINGS, Owner
from projections import quality, uploads
from projections.accounts import Account, details_of, key_of
from projections.health import HEALTH, Health
from projections.ports import Rows
from projections.reports.selection import Selection
from projections.reports.shapes import AccountInfos, given
from projections.times import day_text, utc_day

_TYPES = {CHECKING: "DEFAULT", SAVINGS: "SAVING", CREDIT_CARD: "CREDITCARD"}


def account_infos(rows: Rows, selection: Selection) -> AccountInfos:
    """The report of one account. What its client stated goes before what is read out of its details."""
    (shown,) = selection.accounts
    account, details = shown.account, details_of(shown.account)
    stated: dict[str, Any] = {} if shown.stored is None else uploads.stated_of(shown.stored)
    health: Health | None = rows.get(HEALTH, account.tenant, account.consumer, account.connection)
    booked = quality.booked_days(rows, key_of(account.id))
    expiry = None if health is None else health.consent_expires_at
    return AccountInfos(
        **selection.head,
        account_alias=given(details.name),
        holder_name=given(_holders(details.owners)),
        currency=given(account.currency),
        iban=given(details.iban),
        account_number=given(details.number),
        bic=given(details.bic),
        bank_code=given(stated.get("bank_code")),
        bank_name=given(details.bank_name),
        country=given(_country_of(details.iban)),
        account_type=given(stated.get("account_type") or _TYPES.get(account.kind)),
        transfer_type=given(stated.get("transfer_type")),
        accounts_group_id=given(_group_of(account)),
        oldest_transaction_date=given(None if booked is None else day_text(booked[0])),
        consent_expected_expiry_date=given(None if expiry is None else day_text(utc_day(expiry))),
        labels=given(stated.get("labels") or None),
    )


def _holders(owners: tuple[Owner, ...]) -> str | None:
    names = (
        owner.full_name or " ".join(name for name in (owner.first_name, owner.last_name) if name)
        for owner in owners
    )
    return ", ".join(filter(None, names)) or None


def _country_of(iban: str | None) -> str | None:
    """An IBAN begins with the country of the account."""
    begin = (iban or "").strip()[:2].upper()
    return begin if len(begin) == 2 and begin.isascii() and begin.isalpha() else None


def _group_of(account: Account) -> str | None:
    """The accounts of one connection are a group."""
    return account.connection or None
