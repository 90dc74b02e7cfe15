from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import consumer_account as ca
from domain.consumer_account import AccountDetails
from domain.fact import Erased
from domain.refusals import NotFound
from tests.domain.examples import MONDAY, TUESDAY, a_reading, an_account, folded

WEDNESDAY = TUESDAY + timedelta(days=1)

# Balances


def test_a_reading_no_newer_than_ours_is_ignored():
    given = an_account(a_reading(9_000, TUESDAY))
    assert ca.refresh_balance(given, a_reading(7_500, MONDAY)) == ()
    assert ca.refresh_balance(given, a_reading(9_000, TUESDAY)) == ()
    assert not ca.confirms(given, a_reading(9_000, MONDAY))
    assert not ca.confirms(given, a_reading(9_000, TUESDAY))


def test_the_same_balance_read_later_confirms_it_and_is_no_fact():
    given = an_account(a_reading(9_000, MONDAY))
    assert ca.refresh_balance(given, a_reading(9_000, TUESDAY)) == ()
    assert ca.confirms(given, a_reading(9_000, TUESDAY))


def test_a_reading_corrected_within_its_moment_is_news():
    given = an_account(a_reading(9_000, MONDAY))
    assert ca.refresh_balance(given, a_reading(9_001, MONDAY)) == (a_reading(9_001, MONDAY),)
    assert not ca.confirms(given, a_reading(9_001, MONDAY))


@pytest.mark.parametrize(
    "change",
    [
        {"balance": 9_001}, {"balance": None}, {"available": 1}, {"limit": 0}, {"reserved": -1},
        {"texts": {"balance": "90.001"}},
    ],
    ids=str,
)  # fmt: skip
def test_whatever_else_a_later_reading_says_is_news(change):
    given = an_account(a_reading(9_000, MONDAY))
    later = msgspec.structs.replace(a_reading(9_000, TUESDAY), **change)
    assert ca.refresh_balance(given, later) == (later,)
    assert not ca.confirms(given, later)


def test_a_balance_that_came_back_to_what_it_was_is_news():
    given = an_account(a_reading(9_000, MONDAY), a_reading(8_000, TUESDAY))
    assert ca.refresh_balance(given, a_reading(9_000, WEDNESDAY)) == (a_reading(9_000, WEDNESDAY),)


def test_the_first_reading_is_news_even_if_it_says_nothing():
    assert ca.refresh_balance(an_account(), a_reading(None)) == (a_reading(None),)
    assert not ca.confirms(an_account(), a_reading(None))


@pytest.mark.parametrize(
    "account",
    [ca.initial, an_account(a_reading(9_000), ca.AccountClosed(reason="disabled")), ca.Gone()],
    ids=["undiscovered", "closed", "gone"],
)
def test_only_an_open_account_has_its_balance_read(account):
    assert ca.refresh_balance(account, a_reading(9_000, TUESDAY)) == ()
    assert not ca.confirms(account, a_reading(9_000, TUESDAY))


def test_a_reopened_account_goes_on_from_the_reading_it_had():
    reopened = an_account(a_reading(9_000), ca.AccountClosed(reason="disabled"), ca.AccountReopened())
    assert ca.confirms(reopened, a_reading(9_000, TUESDAY))


readings = st.builds(
    ca.BalanceRefreshed,
    as_of=st.sampled_from([MONDAY, TUESDAY, WEDNESDAY]),
    balance=st.sampled_from([None, 0, 9_000]),
    available=st.sampled_from([None, 9_000]),
    texts=st.sampled_from([{}, {"balance": "90.001"}]),
)


@given(st.lists(readings, max_size=8), readings)
def test_a_reading_is_news_or_confirms_or_is_late_and_never_two_of_them(history, reading):
    account = an_account()
    for earlier in history:
        account = folded(ca, *ca.refresh_balance(account, earlier), state=account)
    held = account.reading
    news, confirms = ca.refresh_balance(account, reading), ca.confirms(account, reading)
    assert news in ((), (reading,)) and not (news and confirms)
    if not news and not confirms:
        assert held.as_of >= reading.as_of
    after = folded(ca, *news, state=account)
    assert ca.refresh_balance(after, reading) == ()
    if confirms:
        assert msgspec.structs.replace(held, as_of=reading.as_of) == reading


# Details, and whether the account is open


REQUEST = {
    "connection_id": "c1",
    "provider": "budget_insight",
    "reference": "2318",
    "currency": "EUR",
    "exponent": 2,
}
SHOWN = {**REQUEST, "details": AccountDetails(kind="CHECKING", name="Compte courant")}


def test_details_are_recorded_when_they_change():
    first = ca.discover(ca.initial, **REQUEST, details=AccountDetails(name="A"))
    given = folded(ca, *first)
    assert ca.discover(given, **REQUEST, details=AccountDetails(name="A")) == ()
    assert ca.discover(given, **REQUEST, details=AccountDetails(name="B")) == (
        ca.AccountDetailsChanged(details=AccountDetails(name="B")),
    )


@pytest.mark.parametrize("reason", [ca.DISABLED, ca.DELETED_AT_BANK, ca.NOT_SHOWN, ca.CONNECTION_DELETED])
def test_a_closed_account_reopens_when_it_is_seen_again(reason):
    facts = ca.close(an_account(a_reading(9_000)), reason)
    assert facts == (ca.AccountClosed(reason=reason),)
    closed = folded(ca, *facts, state=an_account(a_reading(9_000)))
    assert ca.close(closed, reason) == ()
    facts = ca.discover(closed, **SHOWN)
    assert facts == (ca.AccountReopened(),)
    assert folded(ca, *facts, state=closed) == an_account(a_reading(9_000))


def test_an_account_that_changed_while_it_was_closed_reopens_as_it_is_now():
    closed = an_account(ca.AccountClosed(reason=ca.NOT_SHOWN))
    facts = ca.discover(closed, **REQUEST, details=AccountDetails(name="B"))
    assert facts == (ca.AccountReopened(), ca.AccountDetailsChanged(details=AccountDetails(name="B")))
    assert folded(ca, *facts, state=closed).details.name == "B"
    assert ca.discover(folded(ca, *facts, state=closed), **REQUEST, details=AccountDetails(name="B")) == ()


def test_a_closed_account_can_still_lose_its_connection():
    closed = an_account(ca.AccountClosed(reason="disabled"))
    facts = ca.close(closed, ca.CONNECTION_DELETED)
    assert facts == (ca.AccountClosed(reason=ca.CONNECTION_DELETED),)
    gone = folded(ca, *facts, state=closed)
    assert ca.close(gone, ca.CONNECTION_DELETED) == () and ca.close(gone, "disabled") == ()


def test_a_closed_account_keeps_the_first_reason():
    closed = an_account(ca.AccountClosed(reason=ca.DELETED_AT_BANK))
    assert ca.close(closed, ca.NOT_SHOWN) == ca.close(closed, ca.DISABLED) == ()


def test_what_was_never_discovered_is_not_closed():
    assert ca.close(ca.initial, ca.NOT_SHOWN) == ()


def test_an_account_whose_key_was_destroyed_takes_nothing():
    gone = folded(ca, Erased("AccountDiscovered.1"))
    assert ca.refresh_balance(gone, a_reading(1)) == () and ca.close(gone, "x") == ()
    assert ca.discover(gone, **SHOWN) == ()


def test_the_memory_of_an_account_does_not_grow_with_its_history():
    fetched = ca.TransactionsFetched(removed=ca.Removed(ids=b"i" * 16, references=["1"]))
    undone = ca.BookingUndone(pending_id=b"p" * 16, pending_reference="p1", booked_id=b"b" * 16)
    assert folded(ca, *[fetched, undone] * 50, state=an_account(a_reading(1))) == an_account(a_reading(1))


# A booking that somebody undoes

UNDO = {"pending_id": b"p" * 16, "pending_reference": "p1", "booked_id": b"b" * 16}


@pytest.mark.parametrize("more", [(), (ca.AccountClosed(reason=ca.NOT_SHOWN),)], ids=["open", "closed"])
def test_a_booking_can_be_undone_while_there_is_an_account(more):
    assert ca.undo_booking(an_account(*more), **UNDO) == (ca.BookingUndone(**UNDO),)


@pytest.mark.parametrize("account", [ca.initial, ca.Gone()])
def test_without_an_account_there_is_no_booking(account):
    with pytest.raises(NotFound):
        ca.undo_booking(account, **UNDO)
