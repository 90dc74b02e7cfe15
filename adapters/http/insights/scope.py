"""Whom and what a report is about: the ids that a client knows consumers and accounts by, and what is ours.

A client may choose the ids of what it brings; all others are ours. What it does not know is unknown, never invalid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from adapters.http.fields import Body, text
from adapters.http.problems import VALIDATION_ERROR, Problem
from adapters.http.routing import Asked
from projections import uploads
from projections.ports import Rows
from projections.times import micros
from projections.uploads import STORED, Shown

#: Any string of at most 128 characters; one that nobody has is unknown, not invalid.
Id = Annotated[str, text(128)]
Ids = Annotated[list[Id], Field(max_length=1_000)]


class AccountsBody(Body):
    """Which accounts are reported: those named, or all but those excluded, or all. An empty list is none."""

    insights_consumer_id: Id
    insights_account_ids: Ids | None = None
    excluded_insights_account_ids: Ids | None = None


def consumer_of(asked: Asked, rows: Rows, insights_consumer_id: str) -> str:
    """Our id of the consumer that a client knows by this one.

    Raises:
        Problem: 404.
    """
    found = uploads.consumer_named(rows, asked.tenant, insights_consumer_id, asked.now())
    if found is None:
        raise _unknown("CONSUMER_NOT_FOUND", "There is no such consumer.", "insights_consumer_id")
    return found


def accounts_of(asked: Asked, rows: Rows, body: AccountsBody) -> list[Shown]:
    """The accounts that are reported, in the order of their discovery, each with the id that a client knows it by.

    Raises:
        Problem: 400 or 404.
    """
    refuse_both(body)
    consumer = consumer_of(asked, rows, body.insights_consumer_id)
    held = list(uploads.accounts_of(rows, asked.tenant, consumer, asked.now()))
    chosen = choose(body, [shown.name for shown in held])
    return [shown for shown in held if shown.name in chosen]


def brought_names(asked: Asked, rows: Rows, consumer: str) -> Mapping[str, str | None]:
    """By our id of each account that a client brought the one that it knows it by; None where its time is up."""
    now = micros(asked.now())
    return {
        stored.account: None if stored.until is not None and stored.until <= now else stored.name
        for stored in rows.scan(STORED, asked.tenant, consumer)
    }


def refuse_both(body: AccountsBody) -> None:
    """
    Raises:
        Problem: 400; accounts are named, and others excluded.
    """
    if body.insights_account_ids and body.excluded_insights_account_ids:
        raise Problem(
            400,
            VALIDATION_ERROR,
            "Name the accounts to report or those to exclude, not both.",
            details={"excluded_insights_account_ids": ["must be empty if insights_account_ids is set"]},
        )


def choose(body: AccountsBody, known: Sequence[str]) -> frozenset[str]:
    """Which of a consumer's accounts are reported.

    Raises:
        Problem: 404; the consumer has no account of one of these ids.
    """
    named, excluded = set(body.insights_account_ids or ()), set(body.excluded_insights_account_ids or ())
    for location, ids in (("insights_account_ids", named), ("excluded_insights_account_ids", excluded)):
        if not ids <= set(known):
            raise _unknown("ACCOUNT_NOT_FOUND", "The consumer has no such account.", location)
    return frozenset(named or set(known) - excluded)


def refuse_lacking(requirement: str, detail_code: str, said: str, lacking: Iterable[str]) -> None:
    """
    Raises:
        Problem: 400; some accounts do not have the data that is required.
    """
    messages = [f"{said} for account {name}" for name in lacking]
    if messages:
        raise Problem(
            400,
            "DATA_NOT_AVAILABLE",
            f"required_data_availability {requirement} is not met",
            details={"insights_account_ids": messages},
            detail_code=detail_code,
        )


def _unknown(code: str, message: str, location: str) -> Problem:
    return Problem(404, code, message, details={location: [message]})
