"""What the native door's answers about one consumer have in common: whose they are, and what times look like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from adapters.http.problems import not_found
from adapters.http.routing import Asked
from projections.accounts import ACCOUNTS, Account
from projections.answers import insights_time
from projections.directory import CONSUMERS
from projections.ports import Rows
from projections.times import micros, moment


@contextmanager
def of_consumer(asked: Asked) -> Iterator[tuple[Rows, tuple[str, str]]]:
    """The rows of one moment, and the key of the consumer that the path names.

    Raises:
        Problem: 404.
    """
    key = (asked.tenant, asked.ids["consumer_id"])
    with asked.http.read_models.moment() as rows:
        if rows.get(CONSUMERS, *key) is None:
            raise not_found()
        yield rows, key


@contextmanager
def of_account(asked: Asked) -> Iterator[tuple[Rows, Account]]:
    """The rows of one moment, and the account that the path names.

    Raises:
        Problem: 404.
    """
    with of_consumer(asked) as (rows, key):
        account = rows.get(ACCOUNTS, *key, asked.ids["account_id"])
        if account is None:
            raise not_found()
        yield rows, account


def time_text(at: int | None) -> str | None:
    """A moment (microseconds since 1970) in RFC 3339: UTC, to the millisecond."""
    return None if at is None else insights_time(moment(at))


def age_seconds(asked: Asked, at: int | None) -> int | None:
    """Whole seconds since a moment; 0 where it is said to lie ahead."""
    return None if at is None else max(0, (micros(asked.now()) - at) // 1_000_000)
