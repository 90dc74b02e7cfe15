"""Consumers and accounts that clients bring: how they begin, how long they are kept, and what goes with them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import consumer, consumer_account
from domain.consumer import NATURAL, STORAGE, AccountUnlinked, ConsumerRegistered, Details
from domain.consumer_account import (
    CONNECTION_DELETED,
    DELETED,
    DISABLED,
    EXPIRED,
    AccountClosed,
    AccountDetails,
    AccountDetailsChanged,
    AccountDiscovered,
    Closed,
    RetentionSet,
)
from domain.fact import Erased
from domain.refusals import InvalidRequest, NotFound
from tests.domain.examples import ADA, MONDAY, TUESDAY, folded

BROUGHT = ConsumerRegistered(type=NATURAL, details=Details(name=""), origin=STORAGE, client_id="c")


def discovered(currency: str = "EUR", exponent: int = 2) -> AccountDiscovered:
    return AccountDiscovered(
        connection_id="",
        provider="storage",
        reference="a",
        currency=currency,
        exponent=exponent,
        details=AccountDetails(name="Giro"),
        client_id="a",
    )


def a_link(source: str, connection: str = "") -> consumer.AccountLinked:
    return consumer.AccountLinked(
        account_id=source,
        connection_id=connection,
        reference=source,
        evidence=consumer.Evidence(kind="none"),
        source_id=source,
    )


# Consumers


def test_somebody_is_registered_by_what_is_brought_of_them():
    assert consumer.register_by_data(consumer.initial, "c") == (BROUGHT,)
    assert consumer.register_by_data(folded(consumer, BROUGHT), "c") == ()
    registered = ConsumerRegistered(type=NATURAL, details=ADA)
    assert consumer.register_by_data(folded(consumer, registered), "c") == ()
    with pytest.raises(NotFound):
        consumer.register_by_data(consumer.Gone(), "c")


@pytest.mark.parametrize(
    ("facts", "gone", "left"),
    [
        ((BROUGHT,), set(), False),
        ((BROUGHT, a_link("a")), {"a"}, False),
        ((BROUGHT, a_link("a")), set(), True),
        ((BROUGHT, a_link("a"), a_link("b")), {"a"}, True),
        ((BROUGHT, a_link("a"), a_link("b", "c1")), {"a"}, True),
        ((BROUGHT, a_link("a"), consumer.ConsumerDetailsChanged(details=ADA)), {"a"}, True),
        ((ConsumerRegistered(type=NATURAL, details=ADA), a_link("a")), {"a"}, True),
    ],
)
def test_who_is_there_through_accounts_alone_is_left_as_long_as_they_are(facts, gone, left):
    assert consumer.is_left(folded(consumer, *facts), gone) is left


def test_sources_that_are_destroyed_are_unlinked():
    state = folded(consumer, BROUGHT, a_link("a"), a_link("b"), a_link("c", "c1"))
    (unlinked,) = consumer.unlink_sources(state, {"a"}, EXPIRED)
    assert unlinked == AccountUnlinked(
        account_id="a", connection_id="", reference="a", reason=EXPIRED, source_id="a"
    )
    after = folded(consumer, unlinked, state=state)
    assert [link.source for link in after.links] == ["b", "c"] and after.past == ()
    assert consumer.unlink_sources(after, {"a"}, EXPIRED) == ()


# Accounts


@pytest.mark.parametrize("reason", [EXPIRED, DELETED, CONNECTION_DELETED])
def test_an_account_is_destroyed_once_closed_before_or_not(reason):
    closing = (AccountClosed(reason=reason),)
    assert consumer_account.close(folded(consumer_account, discovered()), reason) == closing
    disabled = folded(consumer_account, discovered(), AccountClosed(reason=DISABLED))
    assert consumer_account.close(disabled, reason) == closing
    destroyed = folded(consumer_account, discovered(), *closing)
    assert isinstance(destroyed, Closed)
    for other in (EXPIRED, DELETED, CONNECTION_DELETED, DISABLED):
        assert consumer_account.close(destroyed, other) == ()
    assert folded(consumer_account, Erased("AccountDiscovered.1")) == consumer_account.Gone()


def test_the_end_of_an_accounts_retention():
    state = folded(consumer_account, discovered())
    assert state.until is None and not consumer_account.is_expired(state, TUESDAY)
    (kept,) = consumer_account.keep_until(state, TUESDAY)
    assert kept == RetentionSet(until=TUESDAY)
    state = folded(consumer_account, kept, state=state)
    assert consumer_account.keep_until(state, TUESDAY) == ()
    assert consumer_account.keep_until(state, MONDAY) == (RetentionSet(until=MONDAY),)
    assert not consumer_account.is_expired(state, TUESDAY - timedelta(microseconds=1))
    assert consumer_account.is_expired(state, TUESDAY)
    assert (
        consumer_account.keep_until(
            folded(consumer_account, AccountClosed(reason=EXPIRED), state=state), MONDAY
        )
        == ()
    )


def test_an_account_takes_a_currency_once():
    unknown = folded(consumer_account, discovered("XXX"))
    (counted,) = consumer_account.count_in(unknown, "KWD", 3)
    assert counted == AccountDetailsChanged(details=unknown.details, currency="KWD", exponent=3)
    known = folded(consumer_account, counted, state=unknown)
    assert (known.currency, known.exponent, known.details) == ("KWD", 3, unknown.details)
    assert consumer_account.count_in(known, "KWD", 3) == consumer_account.count_in(known, "XXX", 2) == ()
    with pytest.raises(InvalidRequest):
        consumer_account.count_in(known, "EUR", 2)
    renamed = folded(consumer_account, AccountDetailsChanged(details=AccountDetails()), state=known)
    assert (renamed.currency, renamed.exponent) == ("KWD", 3)


@given(st.lists(st.sampled_from([MONDAY, TUESDAY, TUESDAY + timedelta(days=400)]), max_size=6))
def test_what_is_said_twice_of_a_retention_adds_nothing(moments):
    state = folded(consumer_account, discovered())
    for until in moments:
        state = folded(consumer_account, *consumer_account.keep_until(state, until), state=state)
        assert state.until == until
        assert consumer_account.keep_until(state, until) == ()
