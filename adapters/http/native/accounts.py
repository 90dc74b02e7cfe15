"""What a consumer's accounts are made of, and how somebody says that it is not so."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from pydantic import StringConstraints

from adapters.http.doors import NATIVE
from adapters.http.fields import Body, Paging
from adapters.http.native.consumers import of_account, of_consumer
from adapters.http.problems import not_found
from adapters.http.qard.pages import Page, encoded_page, page_of
from adapters.http.routing import Answer, Asked, Route, ok
from adapters.http.writes import answered, done
from application import accounts
from domain import consumer
from projections import sources, transactions
from projections.accounts import ACCOUNTS, Account
from projections.answers import PendingTransaction
from projections.ports import Rows
from projections.sources import Source
from projections.times import day_text

TAG = "Accounts"

_UUID = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"


class AccountSource(msgspec.Struct, kw_only=True):
    """A provider's account that this one shows rows of."""

    source_id: str
    data_connection_id: str | None
    """The connection that feeds it, or fed it last."""
    reference: str
    """A digest of the provider's own id: it tells two of them apart, and shows neither."""
    evidence: str
    """Why it is this account: `iban`, `number_and_bank`, or `none`."""
    leading: bool
    """Balance, name and pending rows are its own; the others show the days before its first row."""
    fed: bool
    """A connection brings its rows still."""
    closed: str | None
    """Machine-readable; why it is closed."""
    first_booked_on: str | None
    last_booked_on: str | None
    shown_count: int
    """How many of its booked rows are shown."""


class ConsumerAccount(msgspec.Struct, kw_only=True):
    account_id: str
    sources: list[AccountSource]
    """In the order in which they are shown, the leading one first."""


class ConsumerAccounts(msgspec.Struct, kw_only=True):
    """The accounts of a consumer, in the order of their discovery."""

    accounts: list[ConsumerAccount]


class Booking(msgspec.Struct, kw_only=True):
    """A pending row, and the booked one that it is said to have become."""

    pending_id: str
    booked_id: str
    rule: str
    """What that rests on: `link`, the bank's own name of both; `exact`, all they say; `scored`, what is likely."""
    score: int
    """How sure it is, from 0 to 100."""


class UnlinkBody(Body):
    """The source to take out of the account; the one linked last, if none is named."""

    source_id: Annotated[str, StringConstraints(pattern=_UUID)] | None = None


class LinkedSources(msgspec.Struct, kw_only=True):
    account_id: str
    source_ids: list[str]
    """In the order in which they were linked."""


class Unlinked(msgspec.Struct, kw_only=True):
    """The account, and the one that the source is from now on."""

    account: LinkedSources
    unlinked: LinkedSources


async def list_consumer_accounts(asked: Asked) -> Answer:
    with of_consumer(asked) as (rows, key):
        held = sorted(rows.scan(ACCOUNTS, *key), key=lambda account: account.position)
        found = [_account(account, rows) for account in held]
    return ok(ConsumerAccounts(accounts=found))


def _account(account: Account, rows: Rows) -> ConsumerAccount:
    held = sources.sources_of(rows, account.tenant, account.consumer, account.id)
    return ConsumerAccount(account_id=account.id, sources=list(map(_source, held)))


def _source(source: Source) -> AccountSource:
    return AccountSource(
        source_id=source.id,
        data_connection_id=source.connection or None,
        reference=source.reference,
        evidence=source.evidence,
        leading=source.is_leading,
        fed=source.is_fed,
        closed=source.closed,
        first_booked_on=None if source.first_day is None else day_text(source.first_day),
        last_booked_on=None if source.last_day is None else day_text(source.last_day),
        shown_count=source.shown,
    )


async def list_pending(asked: Asked) -> Answer:
    paging: Paging = asked.query
    with of_account(asked) as (rows, account):
        held = transactions.pending_rows(rows, account)
    return encoded_page(paging, len(held), _of_page(paging, held))


async def list_bookings(asked: Asked) -> Answer:
    paging: Paging = asked.query
    with of_account(asked) as (rows, account):
        held = transactions.bookings_of(rows, account)
    found = [
        Booking(
            pending_id=str(UUID(bytes=pair.pending_id)),
            booked_id=str(UUID(bytes=pair.booked_id)),
            rule=pair.rule,
            score=pair.score,
        )
        for pair in _of_page(paging, held)
    ]
    return page_of(paging, len(held), found)


def _of_page(paging: Paging, held: list) -> list:
    return held[(paging.page - 1) * paging.size : paging.page * paging.size]


async def unlink_source(asked: Asked) -> Answer:
    source_id = asked.body.source_id
    outcome, unlinked_id = await accounts.unlink(
        asked.services,
        asked.context,
        asked.ids["consumer_id"],
        asked.ids["account_id"],
        None if source_id is None else source_id.lower(),
    )
    # As it was then, so that a repetition is answered the same.
    state: consumer.Consumer = consumer.initial
    for recorded in await asked.services.log.facts(outcome.stream, upto=outcome.version):
        state = consumer.apply(state, recorded.fact)
    if not isinstance(state, consumer.Registered):
        raise not_found()
    answer = Unlinked(account=_linked(state, asked.ids["account_id"]), unlinked=_linked(state, unlinked_id))
    return await answered(asked, outcome, answer)


def _linked(known: consumer.Registered, account_id: str) -> LinkedSources:
    return LinkedSources(account_id=account_id, source_ids=consumer.sources_of(known, account_id))


async def undo_booking(asked: Asked) -> Answer:
    outcome = await accounts.undo_booking(
        asked.services,
        asked.context,
        asked.ids["consumer_id"],
        asked.ids["account_id"],
        asked.ids["pending_id"],
    )
    return await done(asked, outcome)


_ACCOUNT = "/v1/consumers/{consumer_id}/accounts/{account_id}"
_FIRST = "1c7e8f10-4b1e-4d0a-8a51-6b7f9f0f7a10"
_SECOND = "7d1f4e52-0c3a-4f5b-9a0e-2f6f0d9a3b21"

ROUTES = (
    Route(
        method="GET",
        path="/v1/consumers/{consumer_id}/accounts",
        door=NATIVE,
        handler=list_consumer_accounts,
        tag=TAG,
        summary="List a consumer's accounts with the sources that each is made of",
        answers={200: ConsumerAccounts},
        problems=(404,),
        example=ConsumerAccounts(
            accounts=[
                ConsumerAccount(
                    account_id=_FIRST,
                    sources=[
                        AccountSource(
                            source_id=_SECOND,
                            data_connection_id="5f0c6a1e-0d3b-4f7e-9a53-6b1f3f0f7a10",
                            reference="9c1f6e5d20ab7743",
                            evidence="iban",
                            leading=True,
                            fed=True,
                            closed=None,
                            first_booked_on="2025-11-30",
                            last_booked_on="2026-02-27",
                            shown_count=131,
                        ),
                        AccountSource(
                            source_id=_FIRST,
                            data_connection_id="0b8f3c52-8a3f-4e0d-93a1-3f6f0c1b9d11",
                            reference="53b0e2d48f61ca09",
                            evidence="iban",
                            leading=False,
                            fed=False,
                            closed="not_shown",
                            first_booked_on="2024-12-02",
                            last_booked_on="2025-12-31",
                            shown_count=388,
                        ),
                    ],
                )
            ]
        ),
    ),
    Route(
        method="GET",
        path=f"{_ACCOUNT}/pending",
        door=NATIVE,
        handler=list_pending,
        tag=TAG,
        summary="List an account's pending transactions, newest value date first",
        query=Paging,
        answers={200: Page[PendingTransaction]},
        problems=(404,),
        example=Page(
            total=1,
            per_page=20,
            current_page=1,
            last_page=1,
            result=[
                PendingTransaction(
                    id="b7e1a0c4-55d7-4e1f-8a3f-0c9d6f2e4a77",
                    account_id=_FIRST,
                    amount=Decimal("-23.90"),
                    currency="EUR",
                    initiated_at="2026-02-28 00:00:00",
                    value_date="2026-03-01 00:00:00",
                    description="CB BOULANGERIE",
                    transaction_type="CARD",
                    provider_name="budget_insight",
                    data_connection_id="0b8f3c52-8a3f-4e0d-93a1-3f6f0c1b9d11",
                )
            ],
        ),
    ),
    Route(
        method="GET",
        path=f"{_ACCOUNT}/bookings",
        door=NATIVE,
        handler=list_bookings,
        tag=TAG,
        summary="List which pending transactions became which booked ones",
        query=Paging,
        answers={200: Page[Booking]},
        problems=(404,),
        example=Page(
            total=1,
            per_page=20,
            current_page=1,
            last_page=1,
            result=[
                Booking(
                    pending_id="b7e1a0c4-55d7-4e1f-8a3f-0c9d6f2e4a77",
                    booked_id="e2b0d1f6-9c4e-4c3b-b0a5-7f1d3e5a9c10",
                    rule="exact",
                    score=95,
                )
            ],
        ),
    ),
    Route(
        method="POST",
        path=f"{_ACCOUNT}/unlink",
        door=NATIVE,
        handler=unlink_source,
        tag=TAG,
        summary="Take a source out of an account, with its history: it is an account of its own from now on",
        body=UnlinkBody,
        body_optional=True,
        answers={200: Unlinked},
        problems=(404,),
        writes=True,
        body_example={"source_id": _SECOND},
        example=Unlinked(
            account=LinkedSources(account_id=_FIRST, source_ids=[_FIRST]),
            unlinked=LinkedSources(account_id=_SECOND, source_ids=[_SECOND]),
        ),
    ),
    Route(
        method="POST",
        path=f"{_ACCOUNT}/bookings/{{pending_id}}/undo",
        door=NATIVE,
        handler=undo_booking,
        tag=TAG,
        summary="Say that a pending transaction did not become the booked one that it was paired with",
        answers={204: None},
        problems=(404,),
        writes=True,
    ),
)
