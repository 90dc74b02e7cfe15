"""Powens' words in ours: what their payloads mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from adapters.budget_insight import currencies, payloads, states, times
from adapters.budget_insight.payloads import amount_of, exact_text, is_set, kept, lift, reference_of, word_of
from application.ports import ObservedAccount, ObservedConnection, Returned, UnexpectedAnswer
from domain import money
from domain.consumer_account import (
    CHECKING,
    CREDIT_CARD,
    LOAN,
    SAVINGS,
    UNKNOWN_KIND,
    AccountDetails,
    BalanceRefreshed,
)
from domain.transactions import Transaction

#: Their account types. Investments, pensions and what they add later are `UNKNOWN`; `fields` keeps the word.
KINDS = {
    **dict.fromkeys("checking joint".split(), CHECKING),
    **dict.fromkeys("savings deposit livret_a livret_b ldds cel pel csl".split(), SAVINGS),
    **dict.fromkeys(["card"], CREDIT_CARD),
    # A loan was seen to go back and forth between `loan` and `mortgage`.
    **dict.fromkeys("loan mortgage consumercredit revolvingcredit".split(), LOAN),
}
#: What a field holds where a card's number has not been read yet.
CARD_NOT_LOADED = "Not loaded"
#: Amounts that stay among a transaction's fields, as the text of all their digits. Those of another
#: currency are in it; a commission is in the value already.
AMOUNTS_KEPT = frozenset({"gross_value", "original_value", "original_gross_value", "commission"})
TRANSACTION_FIELDS_LIFTED = frozenset(
    {"id", "id_account", "date", "rdate", "vdate", "value", "original_wording", "coming"}
)

ACCOUNT_FIELDS_LIFTED = frozenset(
    {"id", "id_connection", "id_user", "name", "number", "iban", "bic", "usage", "balance", "coming", "error"}
)
#: What follows from the balance or moves with the market: kept, it would be a change of details each day.
ACCOUNT_FIELDS_MOVING = frozenset(
    {
        "last_update", "coming_balance", "formatted_balance", "transactions", "investments", "valuation",
        "calculated", "diff", "diff_percent", "prev_diff", "prev_diff_percent",
    }
)  # fmt: skip
CURRENCY_FIELDS_MOVING = frozenset({"marketcap", "datetime"})


#: The failures that their webview reports.
WEBVIEW_FAILURES = {
    "access_denied": "access_denied",
    "server_error": "provider_bug",
    "tos_declined": "terms_declined",
    "session_expired": "session_expired",
}

# Connections


def returned(query: Mapping[str, str]) -> Returned:
    """What the webview came back with. Its parameter for the connection has had three names, one of them a list."""
    error = query.get("error")
    failure = None if error is None else WEBVIEW_FAILURES.get(error, "provider_error")
    for name in ("connection_id", "id_connection", "connection_ids"):
        value = query.get(name, "").partition(",")[0].strip()
        if value:
            return Returned(reference_of(value), failure)
    return Returned(None, failure)


def connection(payload: payloads.Connection, *, provider_user: str) -> ObservedConnection:
    """What a connection's state, and the states of its sources, mean for us.

    Raises:
        UnexpectedAnswer: it cannot be read, or holds the source of another connection.
    """
    reference = reference_of(payload.id)
    for source in payload.sources or ():
        if source.id_connection is not None and reference_of(source.id_connection) != reference:
            raise UnexpectedAnswer("foreign_source")
    state = _own_state(payload)
    failing: list[states.State] = []
    if state is None:
        failing = _failing(payload)
        if failing and not any(_is_well(source, payload) for source in _sources(payload)):
            state, failing = _worst(failing), []
    fetched_at = _fetched_at(payload)
    return ObservedConnection(
        reference=reference,
        provider_user=provider_user,
        # Without a state and a date it has never been fetched: that is no success yet.
        settled=fetched_at is not None if state is None else state.settled,
        reason=None if state is None else state.reason,
        needs_person=state is not None and state.needs_person,
        consent_expires_at=_consent_expires_at(payload),
        bank_name=_text(payload.connector.name) if payload.connector else None,
        fetched_at=fetched_at,
        failing_sources=tuple(sorted({failed.reason for failed in failing})),
    )


def _own_state(payload: payloads.Connection) -> states.State | None:
    if payload.active is not None and not is_set(payload.active):
        return states.INACTIVE
    return states.state_of(payload.error if payload.state in (None, "") else payload.state)


def _failing(payload: payloads.Connection) -> list[states.State]:
    """What is wrong with single sources: one in error under a connection without any has been seen, whatever the
    documentation says.

    One that is still `validating` counts. While another is well it is not waited for: it could hold up for ever what
    can be read, and what it brings is read with the next sync.
    """
    found = (states.state_of(source.state) for source in _sources(payload))
    return [state for state in found if state is not None]


def _is_well(source: payloads.Source, payload: payloads.Connection) -> bool:
    was_fetched = is_set(source.last_update) or is_set(payload.last_update)
    return states.state_of(source.state) is None and was_fetched


def _worst(failing: list[states.State]) -> states.State:
    """What the connection suffers from where no source is well: what a person can put right comes first; and as
    long as one is still validating, the others do not decide."""
    return max(failing, key=lambda state: (state.needs_person, not state.settled))


def _fetched_at(payload: payloads.Connection) -> datetime | None:
    given = [payload.last_update, *(source.last_update for source in _sources(payload))]
    return max((_time(text) for text in given if is_set(text)), default=None)


def _consent_expires_at(payload: payloads.Connection) -> datetime | None:
    """When the first access to the bank ends. The sources' own `expire` is another thing."""
    ends = (source.access_expire for source in _sources(payload))
    return min((_time(end) for end in ends if is_set(end)), default=None)


def _sources(payload: payloads.Connection) -> list[payloads.Source]:
    return [source for source in payload.sources or () if not is_set(source.disabled)]


# Accounts


def account(row: Mapping[str, Any], *, user: str, connection: str, bank_name: str | None) -> ObservedAccount:
    """An account of this user and connection.

    Raises:
        UnexpectedAnswer: it cannot be read, or is `foreign_account`.
    """
    payload = lift(payloads.Account, row)
    # Both may be null by their word; then the path it was asked under says whose it is.
    for given, asked in ((payload.id_user, user), (payload.id_connection, connection)):
        if given is not None and reference_of(given) != asked:
            raise UnexpectedAnswer("foreign_account")
    currency, exponent = _currency(payload.currency)
    failing = states.state_of(row.get("error"))
    return ObservedAccount(
        reference=reference_of(payload.id),
        connection=connection,
        currency=currency,
        exponent=exponent,
        details=_details(payload, row, bank_name),
        reading=_reading(payload, exponent),
        disabled=is_set(payload.disabled),
        deleted=is_set(payload.deleted),
        failing=None if failing is None else failing.reason,
    )


def _details(payload: payloads.Account, row: Mapping[str, Any], bank_name: str | None) -> AccountDetails:
    fields = {
        name: kept(value)
        for name, value in row.items()
        if name not in ACCOUNT_FIELDS_LIFTED and name not in ACCOUNT_FIELDS_MOVING
    }
    if isinstance(payload.currency, dict):
        fields["currency"] = {
            name: kept(value)
            for name, value in payload.currency.items()
            if name not in CURRENCY_FIELDS_MOVING
        }
    number = payload.number
    iban = _text(payload.iban)
    return AccountDetails(
        kind=KINDS.get((word_of(payload.type) or "").lower(), UNKNOWN_KIND),
        name=_text(payload.name) or _text(payload.original_name),
        number=_text(number) if isinstance(number, str) else None if number is None else str(kept(number)),
        iban=None if iban is None else "".join(iban.split()).upper(),
        bic=_text(payload.bic),
        bank_name=bank_name,
        usage=_text(payload.usage),
        fields=fields,
    )


def _currency(given: Any) -> tuple[str, int]:
    """Code and decimals. They send an object; some send its code alone, or nothing."""
    payload = lift(payloads.Currency, {"id": given} if isinstance(given, str) else given or {})
    code = (payload.id or "").strip().upper()
    if not re.fullmatch(r"[A-Z0-9]{2,16}", code, re.ASCII):
        code = money.NO_CURRENCY
    return code, currencies.exponent_of(code, payload.precision)


def _reading(payload: payloads.Account, exponent: int) -> BalanceRefreshed | None:
    """The balance as given; what is reserved of it is a negative `coming`, its sign turned. One that is positive
    announces income, and says nothing of what is reserved. Available amounts and limits are not documented, so
    there are none. Without a time of reading there is no reading."""
    as_of = _time_given(payload.last_update)
    if as_of is None:
        return None
    coming = amount_of(payload.coming)
    reserved = None if coming is None or coming > 0 else abs(coming)
    texts: dict[str, str] = {}
    minors: dict[str, int | None] = {}
    for name, amount in (("balance", amount_of(payload.balance)), ("reserved", reserved)):
        minors[name], text = _minor(amount, exponent)
        if text is not None:
            texts[name] = text
    return BalanceRefreshed(as_of=as_of, texts=texts, **minors)


# Transactions


def transaction(
    row: Mapping[str, Any], *, account: str | None, exponents: Mapping[str, int]
) -> tuple[str, Transaction] | None:
    """A row with the account it is of; None if that is not one of `exponents`, which gives the decimals of
    each account.

    `account` is whose list it is from, if it is one account's. The user's own list holds the rows of their other
    connections too; the list of one account holds no others.

    Raises:
        UnexpectedAnswer: it cannot be read, or is `foreign_row`.
    """
    payload = lift(payloads.Transaction, row)
    owner = account if payload.id_account is None else reference_of(payload.id_account)
    if owner is None:
        raise UnexpectedAnswer("unexpected_shape")
    if account not in (None, owner):
        raise UnexpectedAnswer("foreign_row")
    if owner not in exponents:
        return None
    return owner, _transaction(payload, row, exponents[owner])


def _transaction(payload: payloads.Transaction, row: Mapping[str, Any], exponent: int) -> Transaction:
    booked_on, initiated_on = _day(payload.date), _day(payload.rdate)
    amount, amount_text = _minor(amount_of(payload.value), exponent)
    fields = {
        name: _text_of_amount(value) if name in AMOUNTS_KEPT else kept(value)
        for name, value in row.items()
        if name not in TRANSACTION_FIELDS_LIFTED
    }
    if fields.get("card") == CARD_NOT_LOADED:
        fields["card"] = None
    if isinstance(payload.type, str):
        del fields["type"]
    if payload.deleted is None:
        fields.pop("deleted", None)
    if booked_on is None:
        # The day of booking is always there by their word; where it is not, the other one that always is.
        booked_on = initiated_on
        fields["date"] = payload.date
    if booked_on is None:
        raise UnexpectedAnswer("unexpected_shape")
    return Transaction(
        reference=reference_of(payload.id),
        booked_on=booked_on,
        initiated_on=initiated_on,
        value_on=_day(payload.vdate),
        amount=amount,
        amount_text=amount_text,
        kind=word_of(payload.type) or "unknown",
        wording=payload.original_wording,
        pending=is_set(payload.coming),
        deleted=is_set(payload.deleted),
        fields=fields,
        seen_at=_time_given(payload.date_scraped),
        touched_at=_time_given(payload.last_update),
    )


# Parts


def _minor(amount: Decimal | None, exponent: int) -> tuple[int | None, str | None]:
    """Minor units, and all digits where these do not hold the amount exactly. An amount that is beyond 63
    bits has its digits alone: no reason to refuse a thousand others with it."""
    if amount is None:
        return None, None
    try:
        minor, rounded = money.read(amount, exponent)
    except ValueError:
        return None, exact_text(amount)
    return minor, None if rounded is None else exact_text(amount)


def _text_of_amount(value: Any) -> str | None:
    amount = amount_of(value)
    return None if amount is None else exact_text(amount)


def _day(text: str | None) -> int | None:
    if not is_set(text):
        return None
    try:
        return times.to_day(text)
    except ValueError:
        raise UnexpectedAnswer("unexpected_shape") from None


def _time_given(text: str | None) -> datetime | None:
    return _time(text) if is_set(text) else None


def _time(text: Any) -> datetime:
    try:
        return times.to_utc(text)
    except (ValueError, TypeError):
        raise UnexpectedAnswer("unexpected_shape") from None


def _text(given: str | None) -> str | None:
    """Text, where there is some."""
    return given.strip() or None if given else None
