"""What clients brought: found by the ids that they chose, listed while it is kept, and gone without a trace."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.read_models.memory import MemoryGeneration
from domain.consumer import (
    NATURAL,
    STORAGE,
    AccountLinked,
    ConsumerDetailsChanged,
    ConsumerErased,
    ConsumerRegistered,
    Details,
    Evidence,
)
from domain.consumer_account import (
    DELETED,
    EXPIRED,
    AccountClosed,
    AccountDetails,
    AccountDetailsChanged,
    AccountDiscovered,
    RetentionSet,
)
from domain.data_connection import ConnectionDeleted, ConnectionRequested
from projections import uploads
from projections.accounts import ACCOUNTS
from projections.catch_up import catch_up
from projections.digest import digest, first_difference
from projections.erasure import stream_of
from projections.models import ALL_TABLES
from projections.ports import Rows
from projections.uploads import BROUGHT, EXPIRIES, STORED, Stored
from tests.projections.examples import (
    ADA,
    ALL,
    BOB,
    CHECKING,
    MARCH_1,
    NOON,
    SAVINGS,
    TENANT,
    History,
    ListSource,
    a_row,
    discovered,
    fetched,
    of_account,
    of_connection,
    of_consumer,
    reading,
    registered,
)

MINUTE = timedelta(minutes=1)


def brought(name: str | None = "cust-1") -> ConsumerRegistered:
    return ConsumerRegistered(type=NATURAL, details=Details(name=""), origin=STORAGE, client_id=name)


def stored(name: str | None = "acc-1", currency: str = "EUR", **fields: Any) -> AccountDiscovered:
    return AccountDiscovered(
        connection_id="",
        provider="storage",
        reference="",
        currency=currency,
        exponent=2,
        details=AccountDetails(kind="CHECKING", name="Giro", fields=fields),
        client_id=name,
    )


def until(minutes: int) -> RetentionSet:
    return RetentionSet(until=NOON + minutes * MINUTE)


def rows_of(history: History, *, facts_max: int = 5, building: bool = False) -> Rows:
    generation = MemoryGeneration()
    catch_up(ListSource(history.recorded), generation, facts_max=facts_max, building=building)
    return generation.rows


def names(rows: Rows, minutes: int = 0, consumer: str = ADA) -> list[str]:
    """The ids of the accounts that are listed so long after noon."""
    return [shown.name for shown in uploads.accounts_of(rows, TENANT, consumer, NOON + minutes * MINUTE)]


def found(rows: Rows, name: str, minutes: int = 0) -> str | None:
    return uploads.consumer_named(rows, TENANT, name, NOON + minutes * MINUTE)


def test_what_was_brought_is_found_under_the_ids_that_were_chosen() -> None:
    history = History().add(of_consumer(), brought())
    history.add(of_account(), stored(bank_code="30006", labels={"a": "b"}), until(10))
    rows = rows_of(history)
    assert found(rows, "cust-1") == found(rows, ADA) == found(rows, ADA.upper()) == ADA
    assert found(rows, "cust-2") is None and found(rows, BOB) is None
    assert uploads.name_of_consumer(rows, TENANT, ADA) == "cust-1"
    ((name, account, its),) = uploads.accounts_of(rows, TENANT, ADA, NOON)
    assert (name, account.id, its.until) == ("acc-1", CHECKING, uploads.micros(NOON + 10 * MINUTE))
    assert uploads.stated_of(its) == {"bank_code": "30006", "labels": {"a": "b"}}
    history.add(of_account(), AccountDetailsChanged(details=AccountDetails(fields={"bank_code": "1"})))
    assert uploads.stated_of(rows_of(history).get(STORED, TENANT, ADA, CHECKING)) == {"bank_code": "1"}


def test_without_a_choice_the_ids_are_ours() -> None:
    history = History().add(of_consumer(), brought(None)).add(of_account(), stored(None))
    rows = rows_of(history)
    assert found(rows, ADA) == uploads.name_of_consumer(rows, TENANT, ADA) == ADA
    assert names(rows) == [CHECKING]


def test_what_banks_bring_is_listed_under_our_ids_and_for_good() -> None:
    history = History().add(of_consumer(), registered()).add(of_account(), discovered())
    rows = rows_of(history)
    assert found(rows, ADA) == uploads.name_of_consumer(rows, TENANT, ADA) == ADA
    ((name, _, its),) = uploads.accounts_of(rows, TENANT, ADA, datetime.max.replace(tzinfo=NOON.tzinfo))
    assert (name, its) == (CHECKING, None)
    assert not list(rows.scan(STORED)) and not list(rows.scan(BROUGHT))


def test_an_account_is_listed_until_its_time_is_up() -> None:
    history = History().add(of_consumer(), brought())
    history.add(of_account(), stored(), until(10))
    history.add(of_account(SAVINGS), stored("acc-2"), until(20))
    rows = rows_of(history)
    assert [names(rows, minutes) for minutes in (9, 10, 20)] == [["acc-1", "acc-2"], ["acc-2"], []]
    assert [found(rows, "cust-1", minutes) for minutes in (9, 10, 20)] == [ADA, ADA, None]
    assert found(rows, ADA, 20) is None


def test_who_is_more_than_their_accounts_is_there_without_any() -> None:
    for more in (
        lambda history: history.add(of_consumer(), ConsumerDetailsChanged(details=Details(name="Ada"))),
        lambda history: history.add(
            of_connection(), ConnectionRequested(provider="budget_insight", data_types=ALL)
        ),
    ):
        history = History().add(of_consumer(), brought()).add(of_account(), stored(), until(10))
        assert found(rows_of(history), "cust-1", 10) is None
        more(history)
        assert found(rows_of(history), "cust-1", 10) == ADA


def test_what_is_due_comes_in_the_order_of_its_time_and_each_consumer_once() -> None:
    history = History().add(of_consumer(), brought()).add(of_consumer(BOB), brought("cust-2"))
    history.add(of_account(), stored(), until(10), until(30))
    history.add(of_account(SAVINGS), stored("acc-2"), until(25))
    history.add(
        of_account(consumer_id=BOB, account_id="00000003-0000-0000-0000-00000000000b"), stored(), until(20)
    )
    rows = rows_of(history)

    def due(minutes: int) -> list[tuple[str, str]]:
        return uploads.expiries_due(rows, NOON + minutes * MINUTE)

    assert [due(minutes) for minutes in (19, 20, 25, 30)] == [
        [],
        [(TENANT, BOB)],
        [(TENANT, BOB), (TENANT, ADA)],
        [(TENANT, BOB), (TENANT, ADA)],
    ]
    assert len(list(rows.scan(EXPIRIES))) == 3


def test_nothing_is_left_of_an_account_whose_time_is_up() -> None:
    for reason in (EXPIRED, DELETED):
        history = History().add(of_consumer(), brought())
        history.add(of_account(), stored(), until(10), reading(5), fetched(a_row(1, MARCH_1, -5)))
        history.add(of_account(), AccountClosed(reason=reason))
        rows = rows_of(history)
        left = {table.name for table in ALL_TABLES if list(rows.scan(table))}
        assert left == {"brought_consumers", "consumers", "observed", "cashflows"} | _documents_of_nobody(
            rows
        ) | {"expiries"}
        assert list(rows.scan(EXPIRIES)) == [(uploads.AT_ONCE, TENANT, ADA, "")]


def test_of_whom_nothing_is_left_they_are_due_until_something_is_there_again() -> None:
    history = History().add(of_consumer(), brought()).add(of_account(), stored(), until(10))
    another, due = of_connection("00000002-0000-0000-0000-00000000000b"), []
    for stream, fact in (
        (of_connection(), ConnectionRequested(provider="budget_insight", data_types=ALL)),
        (of_account(), AccountClosed(reason=EXPIRED)),
        (of_connection(), ConnectionDeleted()),
        (of_account(SAVINGS), stored()),
        (of_account(SAVINGS), AccountClosed(reason=DELETED)),
        (another, ConnectionRequested(provider="budget_insight", data_types=ALL)),
        (another, ConnectionDeleted()),
        (of_consumer(), ConsumerDetailsChanged(details=Details(name="Ada"))),
    ):
        history.add(stream, fact)
        due.append(uploads.expiries_due(rows_of(history), NOON))
    now = [(TENANT, ADA)]
    assert due == [[], [], now, [], now, [], now, []]


def _documents_of_nobody(rows: Rows) -> set[str]:
    """The tables in which a consumer without accounts has rows, too."""
    empty = rows_of(History().add(of_consumer(), brought()))
    return {table.name for table in ALL_TABLES if list(empty.scan(table))}


def test_a_new_account_under_the_id_of_one_whose_time_is_up_is_the_one_that_is_listed() -> None:
    history = History().add(of_consumer(), brought())
    history.add(of_account(), stored(), until(10)).add(of_account(SAVINGS), stored(), until(60))
    rows = rows_of(history)
    (shown,) = uploads.accounts_of(rows, TENANT, ADA, NOON + 10 * MINUTE)
    assert (shown.name, shown.account.id) == ("acc-1", SAVINGS)


def test_a_currency_that_is_known_later_is_that_of_the_account() -> None:
    history = History().add(of_consumer(), brought()).add(of_account(), stored(currency="XXX"), reading(5))
    counted = AccountDetailsChanged(details=AccountDetails(name="Giro"), currency="KWD", exponent=3)
    history.add(of_account(), counted, fetched(a_row(1, MARCH_1, -1_500)))
    account = rows_of(history).get(ACCOUNTS, TENANT, ADA, CHECKING)
    assert (account.currency, account.exponent) == ("KWD", 3)


# Laws

_OF_ADA, _OF_BOB = (CHECKING, SAVINGS), ("00000003-0000-0000-0000-00000000000b",)
_steps = st.lists(
    st.tuples(
        st.sampled_from(["store", "keep", "row", "rename", "close", "name", "erase"]),
        st.sampled_from([(ADA, CHECKING), (ADA, SAVINGS), (BOB, _OF_BOB[0])]),
        st.integers(1, 40),
    ),
    max_size=30,
)


def _told(steps: list[tuple[str, tuple[str, str], int]]) -> tuple[History, set[str]]:
    """A history that a client could have made, and the streams and prefixes whose keys were destroyed in it."""
    history, destroyed = History(), set()
    begun: set[str] = set()
    for consumer, name in ((ADA, "cust-1"), (BOB, "cust-2")):
        history.add(of_consumer(consumer), brought(name))
    for act, (consumer, account), number in steps:
        stream, owner = of_account(account, consumer), of_consumer(consumer)
        if any(stream.startswith(scope) for scope in destroyed):
            continue
        match act:
            case "name":
                history.add(owner, ConsumerDetailsChanged(details=Details(name="Ada")))
            case "erase" if number > 35:
                history.add(owner, ConsumerErased())
                destroyed.add(f"{TENANT}/{consumer}/")
            case "store" if stream not in begun:
                begun.add(stream)
                link = AccountLinked(
                    account_id=account, connection_id="", reference=account,
                    evidence=Evidence(kind="none"), source_id=account,
                )  # fmt: skip
                history.add(owner, link).add(stream, stored(f"acc-{number}"), until(number))
            case "keep" if stream in begun:
                history.add(stream, until(number))
            case "rename" if stream in begun:
                details = AccountDetails(name="Other", fields={"labels": {"n": str(number)}})
                history.add(stream, AccountDetailsChanged(details=details))
            case "row" if stream in begun:
                history.add(stream, fetched(a_row(len(history.recorded), MARCH_1 - number, number)))
            case "close" if stream in begun and number > 20:
                history.add(stream, AccountClosed(reason=EXPIRED))
                destroyed.add(stream)
    return history, destroyed


@settings(max_examples=80)
@given(_steps, st.integers(1, 9))
def test_rebuilt_after_keys_were_destroyed_it_is_as_it_was_live(steps: Any, facts_max: int) -> None:
    history, destroyed = _told(steps)
    live = rows_of(history, facts_max=1)
    for other in (
        rows_of(history, facts_max=facts_max),
        rows_of(history.after_destroying(destroyed), building=True),
    ):
        assert first_difference(live, other) is None
        assert digest(live) == digest(other)


@settings(max_examples=60)
@given(_steps)
def test_each_account_that_is_kept_for_a_time_stands_once_among_those_that_end(steps: Any) -> None:
    history, _ = _told(steps)
    rows = rows_of(history)
    ending = {(row.tenant, row.consumer, row.account): row.until for row in rows.scan(EXPIRIES)}
    kept: list[Stored] = [row for row in rows.scan(STORED) if row.until is not None]
    over = {key for key, until in ending.items() if until == uploads.AT_ONCE}
    assert ending == {row[:3]: row.until for row in kept} | dict.fromkeys(over, uploads.AT_ONCE)
    # A consumer stands there themselves once the last of their accounts is closed.
    closed = {
        stream_of(recorded.stream).consumer
        for recorded in history.recorded
        if isinstance(recorded.fact, AccountClosed)
    }
    left = {row.consumer for row in rows.scan(ACCOUNTS)}
    alone = {row.consumer for row in rows.scan(BROUGHT) if row.only}
    assert over == {(TENANT, consumer, "") for consumer in alone & closed - left}
    assert len(list(rows.scan(EXPIRIES))) == len(kept) + len(over)
    accounts = {row[:3] for row in rows.scan(ACCOUNTS)}
    assert accounts == {row[:3] for row in rows.scan(STORED)}
