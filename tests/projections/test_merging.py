"""Several sources shown as one account: by the rule, whatever happens in whatever order, and undone without a trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from adapters.read_models.memory import MemoryGeneration, MemoryRows
from domain.consumer import BY_REQUEST, AccountLinked, AccountUnlinked, Evidence
from domain.consumer_account import (
    CONNECTION_DELETED,
    AccountClosed,
    AccountDetails,
    AccountDetailsChanged,
    AccountReopened,
    Owner,
)
from domain.data_connection import (
    AuthorisationFailed,
    AuthorisationStarted,
    ConnectionConnected,
    ConnectionDeleted,
    ConnectionDisconnected,
    ConnectionRequested,
    ReauthorisationRequested,
    SyncSucceeded,
)
from domain.transactions import Transaction
from projections import answers, merging, models
from projections.accounts import ACCOUNTS, OBSERVED, key_of
from projections.banking_accounts import BANKING_ACCOUNTS
from projections.bodies import expand
from projections.catch_up import catch_up
from projections.digest import first_difference
from projections.linking import LINKS, SOURCES
from projections.merging import MERGES, TOLD
from projections.models import ALL_TABLES, fold
from projections.ports import Rows
from projections.shown import TABLES as SHOWN
from projections.shown import TRANSACTIONS, forget
from projections.sources import sources_of
from projections.transactions import bookings_of, known, pending_rows, pendings
from tests.projections import naive_merging
from tests.projections.examples import (
    ADA,
    ALL,
    BOB,
    MARCH_1,
    TENANT,
    History,
    ListSource,
    a_row,
    booked,
    discovered,
    families,
    fetched,
    histories,
    modified,
    of_account,
    of_connection,
    of_consumer,
    reading,
    registered,
    removed,
    row_id,
    undone,
    uuid,
)
from tests.projections.test_cost import CountingRows, fold_without_figures

OLD, NEW, THIRD = (uuid(2, number) for number in (1, 2, 3))
#: The account is the first of its sources.
FIRST, SECOND, LAST = (uuid(3, number) for number in (1, 2, 4))
ACCOUNT = FIRST
CONNECTED = ConnectionConnected(reference="512", provider_user="7301")


def link(source: str, connection: str, account: str = ACCOUNT, reference: str = "1") -> AccountLinked:
    return AccountLinked(
        account_id=account,
        connection_id=connection,
        reference=reference,
        evidence=Evidence(kind="iban", digest=b"i" * 32),
        source_id=source,
        currency="EUR",
    )


def unlink(
    source: str, connection: str, reason: str, account: str = ACCOUNT, reference: str = "1"
) -> AccountUnlinked:
    return AccountUnlinked(
        account_id=account, connection_id=connection, reference=reference, reason=reason, source_id=source
    )


def connected(history: History, *connections: str) -> History:
    for connection in connections:
        request = ConnectionRequested(provider="budget_insight", data_types=ALL)
        history.add(of_connection(connection), request, CONNECTED)
    return history


def one_source(*rows: tuple[bytes, Transaction]) -> History:
    """A consumer with an account that an old connection feeds, or fed."""
    history = connected(History().add(of_consumer(), registered()), OLD, NEW)
    history.add(of_consumer(), link(FIRST, OLD))
    return history.add(of_account(FIRST), discovered(connection_id=OLD), fetched(*rows))


def two_sources(first: Iterable[Any], second: Iterable[Any]) -> History:
    """The account's bank was added again: what it shows first and what it shows now."""
    history = one_source(*first).add(of_consumer(), link(SECOND, NEW))
    return history.add(of_account(SECOND), discovered(connection_id=NEW), fetched(*second))


def rows_of(history: History) -> MemoryRows:
    rows = MemoryRows()
    fold(history.recorded, rows)
    return rows


def shown(history: History | Rows, account: str = ACCOUNT) -> list[tuple[int, bytes, str]]:
    """Day, id and reference of the rows that are shown, oldest first."""
    rows = rows_of(history) if isinstance(history, History) else history
    return sorted((row.booked_on, row.id, row.reference) for row in rows.scan(TRANSACTIONS, key_of(account)))


def references(history: History, account: str = ACCOUNT) -> list[str]:
    return [reference for _, _, reference in shown(history, account)]


def leading(history: History) -> str:
    return rows_of(history).get(ACCOUNTS, TENANT, ADA, ACCOUNT).source


# The rule, example by example


def test_from_the_first_day_of_the_source_that_was_linked_last_it_alone_is_shown() -> None:
    first = [a_row(1, 100, -1), a_row(2, 110, -2), a_row(3, 111, -3)]
    second = [a_row(12, 110, -2), a_row(14, 120, -4)]
    # The third row is not there any more, as the new source has it.
    assert references(two_sources(first, second)) == ["1", "12", "14"]


def test_a_row_keeps_the_id_that_an_earlier_source_gave_it() -> None:
    first = [a_row(1, 100, -1, wording="CB"), a_row(2, 110, -2, wording="CB")]
    second = [a_row(12, 110, -2, wording="CB"), a_row(13, 110, -2, wording="VIR")]
    history = two_sources(first, second)
    assert shown(history) == [(100, row_id(1), "1"), (110, row_id(2), "12"), (110, row_id(13), "13")]
    # An edit makes it another row, and back the same again.
    history.add(of_account(SECOND), modified(a_row(12, 110, -9, wording="CB")))
    assert (110, row_id(12), "12") in shown(history)
    history.add(of_account(SECOND), modified(a_row(12, 110, -2, wording="CB")))
    assert (110, row_id(2), "12") in shown(history)


def test_of_equal_rows_the_second_is_the_second_by_the_number_of_its_reference() -> None:
    first = [a_row(9, 100, -1), a_row(10, 100, -1)]
    second = [a_row(101, 100, -1), a_row(99, 100, -1), a_row(100, 100, -1)]
    assert shown(two_sources(first, second)) == [
        (100, row_id(9), "99"),
        (100, row_id(10), "100"),
        (100, row_id(101), "101"),
    ]


def test_a_row_is_answered_under_the_id_that_it_is_shown_with() -> None:
    history = two_sources([a_row(1, 100, -1, wording="é")], [a_row(11, 100, -1, wording="é", kind="card")])
    rows = rows_of(history)
    account = rows.get(ACCOUNTS, TENANT, ADA, ACCOUNT)
    (body,) = expand(account, [row.body for row in rows.scan(TRANSACTIONS, key_of(ACCOUNT))])
    answer = msgspec.json.decode(body, type=answers.BankTransaction)
    assert answer.id == "00000009-0000-0000-0000-000000000001"
    assert (answer.account_id, answer.data_connection_id) == (ACCOUNT, NEW)
    # What is not part of what a row says is the newer source's.
    assert answer.transaction_type == "CARD"


def test_a_value_day_that_is_not_given_is_the_day_it_was_booked() -> None:
    history = two_sources([a_row(1, 100, -1)], [a_row(11, 100, -1, value_on=100)])
    assert shown(history) == [(100, row_id(1), "11")]
    history = two_sources([a_row(1, 100, -1)], [a_row(11, 100, -1, value_on=101)])
    assert shown(history) == [(100, row_id(11), "11")]


def test_a_source_without_rows_leads_and_leaves_all_days_to_the_next() -> None:
    history = two_sources([a_row(1, 100, -1)], []).add(of_account(SECOND), reading(7))
    assert references(history) == ["1"]
    assert rows_of(history).get(ACCOUNTS, TENANT, ADA, ACCOUNT).balance == 7


def test_each_source_has_the_days_before_the_first_of_those_that_lead_it() -> None:
    history = two_sources([a_row(n, 100 + n, -n) for n in range(9)], [a_row(16, 106, -6), a_row(17, 107, -7)])
    history.add(of_account(FIRST), fetched(a_row(9, 106, -9)))
    connected(history, THIRD).add(of_consumer(), link(LAST, THIRD))
    history.add(of_account(LAST), discovered(connection_id=THIRD), fetched(a_row(27, 107, -7)))
    assert references(history) == ["0", "1", "2", "3", "4", "5", "16", "27"]
    assert [id for _, id, _ in shown(history)] == [row_id(n) for n in (0, 1, 2, 3, 4, 5, 6, 7)]
    # Three days earlier than the second reaches, so that nothing of the second is left.
    history.add(of_account(LAST), fetched(a_row(23, 103, -3)))
    assert references(history) == ["0", "1", "2", "23", "27"]
    history.add(of_account(LAST), removed(23))
    assert references(history) == ["0", "1", "2", "3", "4", "5", "16", "27"]


def test_what_the_leading_source_says_of_itself_is_the_accounts() -> None:
    details = AccountDetails(
        kind="SAVINGS", name="Livret", iban="FR76", owners=(Owner(full_name="Ada Test"),), number="9"
    )
    history = two_sources([a_row(1, 100, -1)], []).add(of_account(FIRST), reading(1, limit=3))
    history.add(of_account(SECOND), AccountDetailsChanged(details=details), reading(7, day=2))
    history.add(of_account(FIRST), reading(2), AccountDetailsChanged(details=AccountDetails(name="Old")))
    row = rows_of(history).get(ACCOUNTS, TENANT, ADA, ACCOUNT)
    assert (row.kind, row.balance, row.limit, row.connection) == ("SAVINGS", 7, None, NEW)
    (account,) = rows_of(history).scan(BANKING_ACCOUNTS, TENANT, ADA)
    answer = msgspec.json.decode(account.body, type=answers.BankAccount)
    assert (answer.id, answer.name, answer.data_connection_id) == (ACCOUNT, "Livret", NEW)
    assert [owner.full_name for owner in answer.owners] == ["Ada Test"]


def test_pending_rows_are_those_of_the_leading_source() -> None:
    history = two_sources(
        [a_row(1, 100, -1), a_row(2, 101, -2, pending=True)], [a_row(12, 101, -2, pending=True)]
    )
    rows = rows_of(history)
    (body,) = pending_rows(rows, rows.get(ACCOUNTS, TENANT, ADA, ACCOUNT))
    answer = msgspec.json.decode(body, type=answers.PendingTransaction)
    assert (answer.id, answer.account_id, answer.pending) == (
        "00000009-0000-0000-0000-00000000000c",
        ACCOUNT,
        True,
    )
    assert references(history) == ["1"]


@pytest.mark.parametrize(
    "fact",
    [
        AuthorisationFailed(reason="wrong_password"),
        ReauthorisationRequested(),
        ConnectionDisconnected(),
        AuthorisationStarted(state_digest=b"d" * 32, expires_at=reading(1).as_of),
        ConnectionDeleted(),
    ],
)
def test_one_whose_connection_is_connected_leads_before_one_that_is_not(fact: Any) -> None:
    history = two_sources([a_row(1, 100, -1), a_row(2, 105, -2)], [a_row(11, 100, -5)])
    assert (leading(history), references(history)) == (SECOND, ["11"])
    history.add(of_connection(NEW), fact)
    assert (leading(history), references(history)) == (FIRST, ["1", "2"])
    if not isinstance(fact, ConnectionDeleted):
        history.add(of_connection(NEW), CONNECTED)
        assert (leading(history), references(history)) == (SECOND, ["11"])


def test_an_id_is_never_taken_from_a_source_that_was_linked_later() -> None:
    history = two_sources([a_row(1, 100, -1)], [a_row(11, 100, -1)])
    history.add(of_connection(NEW), ConnectionDisconnected())
    assert (leading(history), shown(history)) == (FIRST, [(100, row_id(1), "1")])


def test_where_no_connection_is_connected_the_one_linked_last_leads() -> None:
    history = two_sources([a_row(1, 100, -1)], [a_row(11, 100, -5)])
    history.add(of_connection(NEW), ConnectionDisconnected()).add(
        of_connection(OLD), ConnectionDisconnected()
    )
    assert leading(history) == SECOND


def test_one_that_is_open_leads_before_one_that_is_closed() -> None:
    history = two_sources([a_row(1, 100, -1)], [a_row(11, 100, -5)])
    history.add(of_connection(OLD), ConnectionDisconnected())
    history.add(of_account(SECOND), AccountClosed(reason="not_shown"))
    assert leading(history) == FIRST
    assert rows_of(history).get(ACCOUNTS, TENANT, ADA, ACCOUNT).closed is None
    history.add(of_account(FIRST), AccountClosed(reason="disabled"))
    # Of two that are closed it does not matter whose connection is connected.
    history.add(of_connection(OLD), CONNECTED).add(of_connection(NEW), ConnectionDisconnected())
    assert leading(history) == SECOND
    assert rows_of(history).get(ACCOUNTS, TENANT, ADA, ACCOUNT).closed == "not_shown"
    history.add(of_account(FIRST), AccountReopened())
    assert leading(history) == FIRST


def test_a_mere_sync_lets_no_other_source_lead() -> None:
    history = two_sources([a_row(1, 100, -1)], [a_row(11, 101, -5)])
    rows = rows_of(history)
    before = rows.get(MERGES, TENANT, ADA, ACCOUNT)
    history.add(of_connection(OLD), SyncSucceeded(sync_id=uuid(4, 1), origin="schedule"))
    history.add(of_account(FIRST), fetched(a_row(3, 102, -1)), reading(5))
    assert rows_of(history).get(MERGES, TENANT, ADA, ACCOUNT) == before
    assert references(history) == ["1", "11"]


def test_a_source_whose_connection_was_deleted_stays_part_of_the_history() -> None:
    history = two_sources([a_row(1, 100, -1), a_row(2, 110, -2)], [a_row(12, 110, -2)])
    history.add(of_consumer(), unlink(FIRST, OLD, CONNECTION_DELETED)).add(
        of_connection(OLD), ConnectionDeleted()
    )
    assert shown(history) == [(100, row_id(1), "1"), (110, row_id(2), "12")]


def test_an_erased_source_leaves_no_row_behind() -> None:
    told = two_sources([a_row(1, 100, -1), a_row(2, 110, -2)], [a_row(12, 110, -2), a_row(14, 120, -4)])
    history = told.add(of_account(FIRST), AccountClosed(reason=CONNECTION_DELETED))
    assert shown(history) == [(110, row_id(12), "12"), (120, row_id(14), "14")]
    rebuilt = rows_of(history.after_destroying([of_account(FIRST)]))
    assert first_difference(rows_of(history), rebuilt) is None
    assert not any(key_of(FIRST) == row.source for row in rebuilt.scan(TOLD))
    history.add(of_account(SECOND), AccountClosed(reason=CONNECTION_DELETED))
    assert shown(history) == []
    assert rows_of(history).get(ACCOUNTS, TENANT, ADA, ACCOUNT) is None


def test_a_row_that_a_source_shows_behind_the_others_is_known_and_not_shown() -> None:
    history = two_sources([a_row(1, 100, -1), a_row(2, 101, -2)], [a_row(1, 50, -7)])
    rows = rows_of(history)
    assert references(history) == ["1"]
    # The same reference at two users of the provider's.
    assert known(rows, TENANT, FIRST, ["1", "2", "3"])["1"].id == row_id(1)
    assert known(rows, TENANT, FIRST, ["1", "2", "3"])["1"].digest == a_row(1, 100, -1)[1].digest()
    assert known(rows, TENANT, SECOND, ["1", "2"])["1"].digest == a_row(1, 50, -7)[1].digest()
    assert set(known(rows, TENANT, FIRST, ["1", "2"])) == {"1", "2"}
    assert set(known(rows, TENANT, SECOND, ["1", "2"])) == {"1"}
    assert known(rows, "other", FIRST, ["1"]) == {}


def test_a_link_may_come_before_what_it_brings_or_after() -> None:
    before = two_sources([a_row(1, 100, -1)], [a_row(11, 101, -5)])
    after = one_source(a_row(1, 100, -1))
    after.add(of_account(SECOND), discovered(connection_id=NEW), fetched(a_row(11, 101, -5)))
    after.add(of_consumer(), link(SECOND, NEW))
    assert shown(before) == shown(after)
    assert rows_of(after).get(ACCOUNTS, TENANT, ADA, SECOND) is None


def test_a_source_that_leaves_by_request_takes_its_history_and_one_that_is_not_fed_any_more_does_not() -> (
    None
):
    history = two_sources([a_row(1, 100, -1)], [a_row(11, 101, -5)])
    gone = History()
    gone.recorded = list(history.add(of_consumer(), unlink(SECOND, NEW, CONNECTION_DELETED)).recorded)
    assert (references(gone), references(gone, SECOND)) == (["1", "11"], [])
    history.add(of_consumer(), unlink(SECOND, NEW, BY_REQUEST))
    assert (references(history), references(history, SECOND)) == (["1"], ["11"])


@pytest.mark.parametrize(("account", "other"), [(FIRST, LAST), (LAST, FIRST)])
def test_a_source_that_was_an_account_of_its_own_brings_its_rows(account: str, other: str) -> None:
    history = connected(History().add(of_consumer(), registered()), OLD, NEW)
    history.add(of_account(account), discovered(connection_id=OLD), fetched(a_row(1, 100, -1)))
    history.add(of_account(other), discovered(connection_id=NEW), fetched(a_row(11, 101, -5)))
    history.add(of_consumer(), link(other, NEW, account))
    assert (references(history, account), references(history, other)) == (["1", "11"], [])
    history.add(of_consumer(), unlink(other, NEW, BY_REQUEST, account), link(other, NEW, other))
    assert (references(history, account), references(history, other)) == (["1"], ["11"])


def test_what_is_made_of_rows_is_made_of_those_that_are_shown() -> None:
    first = [a_row(n, MARCH_1 + n, -100 * n) for n in range(1, 20)]
    second = [a_row(50 + n, MARCH_1 + n, -100 * n) for n in range(10, 25)]
    merged = rows_of(two_sources(first, second).add(of_account(SECOND), reading(5)))
    alone = rows_of(
        one_source(*first, *(a_row(50 + n, MARCH_1 + n, -100 * n) for n in range(20, 25))).add(
            of_account(FIRST), reading(5)
        )
    )
    for table in SHOWN:
        if table is not TRANSACTIONS:
            assert list(merged.scan(table)) == list(alone.scan(table))
    for table in ALL_TABLES:
        if table.name == "account_months":
            assert list(merged.scan(table)) == list(alone.scan(table))


def test_two_links_that_share_a_stream_are_one_source() -> None:
    history = one_source(a_row(1, 100, -1)).add(of_consumer(), link("", NEW, reference="9"))
    rows = rows_of(history)
    assert list(rows.scan(MERGES)) == [] and list(rows.scan(TOLD)) == []
    assert rows.get(ACCOUNTS, TENANT, ADA, ACCOUNT).connection == NEW
    history.add(of_consumer(), unlink("", NEW, CONNECTION_DELETED, reference="9"))
    assert rows_of(history).get(ACCOUNTS, TENANT, ADA, ACCOUNT).connection == OLD


def test_the_sources_of_an_account_are_told() -> None:
    history = two_sources(
        [a_row(1, 100, -1), a_row(2, 110, None)], [a_row(12, 105, -2), a_row(13, 107, -2)]
    ).add(of_consumer(), unlink(FIRST, OLD, CONNECTION_DELETED))
    rows = rows_of(history)
    newer, older = sources_of(rows, TENANT, ADA, ACCOUNT)
    assert (newer.id, newer.connection, newer.is_leading, newer.is_fed) == (SECOND, NEW, True, True)
    assert (newer.first_day, newer.last_day, newer.shown) == (105, 107, 2)
    assert (older.id, older.is_leading, older.is_fed, older.closed) == (FIRST, False, False, None)
    assert (older.first_day, older.last_day, older.shown) == (100, 110, 1)
    assert [source.evidence for source in (newer, older)] == ["iban", "iban"]
    assert newer.reference == older.reference and newer.reference != "1"
    linked = [recorded.position for recorded in history.recorded if isinstance(recorded.fact, AccountLinked)]
    assert [older.linked, newer.linked] == linked
    assert sources_of(rows, TENANT, ADA, SECOND) == []
    (only,) = sources_of(rows_of(one_source(a_row(1, 9, None), a_row(2, 8, 1))), TENANT, ADA, ACCOUNT)
    assert (only.first_day, only.last_day, only.shown) == (8, 9, 2)


def test_a_booked_row_is_traced_to_the_pending_one_under_the_id_that_is_shown() -> None:
    first = [a_row(1, 100, -1), a_row(2, 101, -1, pending=True), a_row(3, 102, -1), a_row(4, 99, -1)]
    second = [a_row(13, 102, -1), a_row(15, 103, -1, pending=True), a_row(16, 104, -1)]
    history = two_sources(first, second).add(of_account(FIRST), booked((2, 3), rule="link", score=100))
    history.add(of_account(SECOND), booked((15, 16)))
    rows = rows_of(history)
    pairs = bookings_of(rows, rows.get(ACCOUNTS, TENANT, ADA, ACCOUNT))
    assert [tuple(pair) for pair in pairs] == [
        (FIRST, row_id(3), row_id(2), "link", 100),
        (SECOND, row_id(16), row_id(15), "exact", 95),
    ]
    # The day is the second source's, and it says something else of it now.
    history.add(of_account(SECOND), undone(15, 16), modified(a_row(13, 102, -9)))
    rows = rows_of(history)
    assert bookings_of(rows, rows.get(ACCOUNTS, TENANT, ADA, ACCOUNT)) == []


# Laws


def assert_as_naive(history: History, rows: Rows) -> None:
    for consumer_id in (ADA, BOB):
        accounts = naive_merging.accounts_of(history, consumer_id)
        assert {row.id for row in rows.scan(ACCOUNTS, TENANT, consumer_id)} == set(accounts)
        for account in accounts.values():
            assert_account_as_naive(account, rows, consumer_id)
    held = {key_of(row.id) for row in rows.scan(ACCOUNTS)}
    assert {row.account for row in rows.scan(TRANSACTIONS)} <= held


def assert_account_as_naive(account: naive_merging.Account, rows: Rows, consumer_id: str) -> None:
    row = rows.get(ACCOUNTS, TENANT, consumer_id, account.id)
    leader = account.leading
    assert (row.source, row.position, row.closed) == (leader.id, account.position, leader.closed)
    assert row.connection == account.connections[leader.id]
    assert row.balance == (None if leader.reading is None else leader.reading.balance)
    assert row.kind == leader.details.kind
    expected = [
        (-(told.booked_on if told.value_on is None else told.value_on), id, told.reference, told.digest())
        for id, told in account.shown
    ]
    found = list(rows.scan(TRANSACTIONS, key_of(account.id)))
    assert [row[1:5] for row in found] == sorted(expected)
    told = [msgspec.json.decode(body) for body in expand(row, [row.body for row in found])]
    wordings = {id: told.wording for id, told in account.shown}
    assert [(bytes.fromhex(one["id"].replace("-", "")), one["description"]) for one in told] == [
        (row.id, wordings[row.id]) for row in found
    ]
    pending = [msgspec.json.decode(body)["id"] for body in pending_rows(rows, row)]
    assert sorted(pending) == sorted(str(uuid_of(id)) for id, _ in leader.pending)
    assert sorted(bookings_of(rows, row)) == sorted(naive_bookings(account))
    assert [source.id for source in sources_of(rows, TENANT, consumer_id, account.id)] == [
        source.id for source in account.sources
    ]
    for source, answer in zip(
        account.sources, sources_of(rows, TENANT, consumer_id, account.id), strict=True
    ):
        days = [told.booked_on for _, told in source.booked]
        assert (answer.first_day, answer.last_day) == (min(days, default=None), max(days, default=None))
        assert answer.shown == sum(account.shows(source, day) for day in days)
        asked = [*source.rows, *source.removed, "none"]
        assert known(rows, TENANT, source.id, asked) == source.known()
        assert pendings(rows, TENANT, source.id) == source.pendings()


def naive_bookings(account: naive_merging.Account) -> list[tuple[Any, ...]]:
    return [
        (source.id, shown_id, id, pair.rule, pair.score)
        for source in account.sources
        for id, pair in source.pairs.items()
        if (row := source.rows.get(pair.booked_reference)) is not None and not row[1].pending
        if (shown_id := account.shown_id(source, row)) is not None
    ]


def uuid_of(id: bytes) -> Any:
    from uuid import UUID

    return UUID(bytes=id)


@settings(max_examples=150)
@given(families() | families() | histories(), st.integers(1, 60), st.integers(1, 30), st.booleans())
def test_whatever_happens_an_account_shows_what_all_facts_together_say(
    told: Any, seen: int, facts_max: int, building: bool
) -> None:
    history, _ = told
    generation = MemoryGeneration()
    for upto in (min(seen, len(history.recorded)), len(history.recorded)):
        so_far = History()
        so_far.recorded = history.recorded[:upto]
        catch_up(ListSource(so_far.recorded), generation, facts_max=facts_max, building=building)
        assert_as_naive(so_far, generation.rows)


@settings(max_examples=60)
@given(families())
def test_what_is_shown_is_what_would_be_shown_if_it_were_put_together_anew(told: Any) -> None:
    history, _ = told
    kept, anew = rows_of(history), rows_of(history)
    for merge in list(anew.scan(MERGES)):
        forget(key_of(merge.account), anew)
        anew.delete(MERGES, *merge[: MERGES.key])
        merging.settle(merge.tenant, merge.consumer, {merge.account}, anew)
    models.finish(anew, {row[:2] for row in anew.scan(OBSERVED)})
    assert first_difference(kept, anew) is None


@settings(max_examples=100)
@given(families())
def test_one_that_was_linked_and_unlinked_is_as_if_it_had_never_been_linked(told: Any) -> None:
    """The very same facts, but that in one history the source was the account's for a while."""
    history, _ = told
    places = [
        place
        for place, recorded in enumerate(history.recorded)
        if isinstance(recorded.fact, AccountLinked) and recorded.fact.source == SECOND
    ]
    assume(places)
    once, never = History(), History()
    for recorded in history.recorded:
        fact = recorded.fact
        if isinstance(fact, AccountLinked | AccountUnlinked) and fact.source == SECOND:
            once.add(recorded.stream, of_account_of(fact, ACCOUNT))
            never.add(recorded.stream, of_account_of(fact, SECOND))
        else:
            once.add(recorded.stream, fact)
            never.add(recorded.stream, fact)
    last = history.recorded[places[-1]].fact
    gone = unlink(SECOND, last.connection_id, BY_REQUEST, reference=last.reference)
    alone = link(SECOND, last.connection_id, SECOND, reference=last.reference)
    once.add(of_consumer(), gone, alone)
    never.add(of_consumer(), unlink(LAST, "none", "corrected", account=LAST), alone)
    tables = [table for table in ALL_TABLES if table is not LINKS]
    assert first_difference(rows_of(once), rows_of(never), tables) is None


def of_account_of(fact: Any, account: str) -> Any:
    """A link of the second source, as one of this account's. To be unlinked by request is of no use to it."""
    reason = {"reason": "corrected"} if isinstance(fact, AccountUnlinked) else {}
    return msgspec.structs.replace(fact, account_id=account, source_id=SECOND, **reason)


_days = st.integers(MARCH_1, MARCH_1 + 12)


@given(
    st.lists(st.tuples(_days, st.sampled_from([-5, -7]), st.sampled_from(["CB", "VIR"])), max_size=25),
    st.lists(st.tuples(_days, _days, st.booleans()), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_where_sources_agree_each_transaction_of_the_bank_is_shown_once(
    bank: list[tuple[int, int, str]], views: list[tuple[int, int, bool]], random: Any
) -> None:
    """Each source shows the bank's rows from some day on, under references and ids of its own, until it ends."""
    bank = sorted(bank)
    history = connected(History().add(of_consumer(), registered()), OLD)
    ids: dict[int, bytes] = {}
    until = MARCH_1
    for number, (since, ends, in_chunks) in enumerate(views):
        # Nothing is missed: a source begins before the one before it has ended.
        since, until = min(since, until), max(ends, until)
        source = uuid(3, number + 1)
        history.add(of_consumer(), link(source, OLD, uuid(3, 1), reference=str(number)))
        history.add(of_account(source), discovered(connection_id=OLD))
        seen = [
            a_row(1_000 * number + place, day, amount, wording=wording)
            for place, (day, amount, wording) in enumerate(bank)
            if since <= day <= until
        ]
        for place, (id, _) in ((int(row.reference) % 1_000, (id, row)) for id, row in seen):
            ids.setdefault(place, id)
        pieces = [seen[at : at + 2] for at in range(0, len(seen), 2)] if in_chunks else [seen]
        random.shuffle(pieces)
        for piece in pieces:
            history.add(of_account(source), fetched(*piece))
    rows = rows_of(history)
    found = [(row.booked_on, row.amount, row.id) for row in rows.scan(TRANSACTIONS, key_of(uuid(3, 1)))]
    seen_by_any = [place for place, (day, _, _) in enumerate(bank) if place in ids]
    assert Counter((day, amount) for day, amount, _ in found) == Counter(
        bank[place][:2] for place in seen_by_any
    )
    assert {id for _, _, id in found} == {ids[place] for place in seen_by_any}


# What it costs


def a_long_account(each_day: int) -> History:
    """Two sources with so many rows on each of a hundred days, of which they share ten."""
    first = [a_row(day * 100 + n, day, -n) for day in range(100) for n in range(each_day)]
    second = [a_row(50_000 + day * 100 + n, day, -n) for day in range(90, 150) for n in range(each_day)]
    history = two_sources(first[:1], second[:1])
    for rows, source in ((first[1:], FIRST), (second[1:], SECOND)):
        history.add(of_account(source), *(fetched(*rows[at : at + 500]) for at in range(0, len(rows), 500)))
    return history


@pytest.mark.parametrize("source", [FIRST, SECOND])
@pytest.mark.parametrize(
    "fact",
    [
        fetched(a_row(99_001, 95, 0), a_row(99_002, 95, -77)),
        modified(a_row(100 * 95, 95, -77), a_row(50_000 + 100 * 95, 95, -77)),
        removed(100 * 95, 50_000 + 100 * 95),
        reading(5),
    ],
)
def test_what_one_row_costs_does_not_grow_with_the_history(source: str, fact: Any) -> None:
    touched = []
    for each_day in (1, 20):
        history, rows = a_long_account(each_day), CountingRows()
        fold(history.recorded, rows)
        rows.touched.clear()
        fold_without_figures(history.add(of_account(source), fact).recorded[-1:], rows)
        touched.append(sum(rows.touched.values()))
    assert touched[0] == touched[1]


def test_an_account_of_one_source_keeps_no_copies() -> None:
    rows = rows_of(one_source(*(a_row(n, 100 + n, -n) for n in range(50))))
    assert list(rows.scan(TOLD)) == [] and list(rows.scan(MERGES)) == []
    assert [source.apart for source in rows.scan(SOURCES)] == [0]
    history = two_sources([a_row(1, 100, -1)], [a_row(11, 101, -5)])
    history.add(of_consumer(), unlink(SECOND, NEW, BY_REQUEST), link(SECOND, NEW, SECOND))
    rows = rows_of(history)
    assert list(rows.scan(TOLD)) == [] and list(rows.scan(MERGES)) == []
    assert (references(history), references(history, SECOND)) == (["1"], ["11"])
