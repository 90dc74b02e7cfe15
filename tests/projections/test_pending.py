"""Pending rows: kept apart, gone when they are booked or never are, and back as they were."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from adapters.read_models.memory import MemoryRows
from domain.consumer_account import AccountClosed, AccountDetails, AccountDetailsChanged, Known
from domain.pending import Held, Pendings
from domain.transactions import day_of
from projections import answers
from projections.accounts import ACCOUNTS, key_of
from projections.models import fold
from projections.pending import APART, BOOKINGS, PENDING, REMOVED, TAKEN_DAYS
from projections.shown import COUNTS, TRANSACTIONS
from projections.transactions import booking, bookings_of, known, pending_rows, pendings
from tests.projections.examples import (
    ADA,
    CHECKING,
    CONNECTION,
    DAY,
    NOON,
    SAVINGS,
    TENANT,
    History,
    a_row,
    booked,
    discovered,
    expired,
    fetched,
    modified,
    of_account,
    removed,
    restored,
    row_id,
    undone,
)

KEY = key_of(CHECKING)
#: A card payment that is held, and the same when it is booked.
HELD = a_row(
    1,
    19_000,
    -4990,
    value_on=19_002,
    kind="card",
    wording="PAIEMENT CB",
    pending=True,
    fields={"webid": "w-1"},
    seen_at=NOON,
    touched_at=NOON + DAY,
)
BOOKED = a_row(2, 19_001, -4990, kind="card", wording="CB CARREFOUR")


def rows_after(*facts: Any) -> MemoryRows:
    rows = MemoryRows()
    fold(History().add(of_account(), discovered(), *facts).recorded, rows)
    return rows


def references(rows: MemoryRows, table: Any) -> list[str]:
    return [row.reference for row in rows.scan(table)]


def pairs(rows: MemoryRows) -> list[tuple[Any, ...]]:
    return [tuple(pair) for pair in bookings_of(rows, rows.get(ACCOUNTS, TENANT, ADA, CHECKING))]


def test_a_pending_row_is_answered_as_one() -> None:
    rows = rows_after(fetched(HELD, a_row(3, 19_100, 5, pending=True), BOOKED))
    first, second = pending_rows(rows, rows.get(ACCOUNTS, TENANT, ADA, CHECKING))
    assert msgspec.json.decode(first)["id"] == "00000009-0000-0000-0000-000000000003"
    assert msgspec.json.decode(second, type=answers.PendingTransaction) == answers.PendingTransaction(
        id="00000009-0000-0000-0000-000000000001",
        account_id=CHECKING,
        amount=msgspec.json.decode(b'"-49.90"', type=answers.Decimal),
        currency="EUR",
        initiated_at=None,
        value_date=f"{date(2022, 1, 10)} 00:00:00",
        description="PAIEMENT CB",
        transaction_type="CARD",
        provider_name="budget_insight",
        data_connection_id=CONNECTION,
        pending=True,
    )
    assert second == answers.encode(msgspec.json.decode(second, type=answers.PendingTransaction))
    assert day_of(date(2022, 1, 10)) == 19_002


def test_what_is_held_of_pending_rows_is_all_that_pairs_are_made_from() -> None:
    rows = rows_after(fetched(HELD, BOOKED, a_row(3, 19_005, None, pending=True)))
    assert pendings(rows, TENANT, CHECKING) == Pendings(
        rows=(
            Held(
                id=row_id(1),
                reference="1",
                booked_on=19_000,
                amount=-4990,
                wording="PAIEMENT CB",
                link="w-1",
                seen_at=NOON,
                touched_at=NOON + DAY,
                digest=HELD[1].digest(),
            ),
            Held(
                id=row_id(3),
                reference="3",
                booked_on=19_005,
                amount=None,
                wording=None,
                digest=a_row(3, 19_005, None, pending=True)[1].digest(),
            ),
        )
    )
    assert pendings(rows, TENANT, SAVINGS) == Pendings() == pendings(rows, "other", CHECKING)


@pytest.mark.parametrize(
    ("fields", "link"),
    [({"webid": "w"}, "w"), ({"webid": ""}, None), ({"webid": 7}, None), ({"id": "w"}, None), ({}, None)],
)
def test_the_banks_own_name_is_read_from_whatever_column_it_is_in(
    fields: dict[str, Any], link: str | None
) -> None:
    one = a_row(1, 19_000, 5, pending=True, fields=fields)
    alone = pendings(rows_after(fetched(one)), TENANT, CHECKING)
    assert [row.link for row in alone.rows] == [link]
    other = a_row(0, 18_000, 5, fields={"webid": "another"})
    beside = pendings(rows_after(fetched(other, one, a_row(2, 19_001, 5))), TENANT, CHECKING)
    assert [row.link for row in beside.rows] == [link]


def test_a_pending_row_that_was_booked_is_gone_and_known() -> None:
    rows = rows_after(fetched(HELD), fetched(BOOKED), booked((1, 2), rule="link", score=100))
    assert (references(rows, PENDING), references(rows, TRANSACTIONS)) == ([], ["2"])
    assert known(rows, TENANT, CHECKING, ["1", "2", "3"]) == {
        "1": Known(row_id(1), HELD[1].digest(), removed=True),
        "2": Known(row_id(2), BOOKED[1].digest()),
    }
    held = booking(rows, TENANT, CHECKING, row_id(1))
    assert (held.pending_reference, held.booked_id, held.rule, held.score) == ("1", row_id(2), "link", 100)
    assert booking(rows, TENANT, CHECKING, row_id(2)) is None
    assert booking(rows, TENANT, SAVINGS, row_id(1)) is None
    assert booking(rows, "other", CHECKING, row_id(1)) is None
    assert pairs(rows) == [(CHECKING, row_id(2), row_id(1), "link", 100)]


def test_a_pending_row_that_expired_is_gone_and_known() -> None:
    rows = rows_after(fetched(HELD, BOOKED), expired(1))
    assert (references(rows, PENDING), references(rows, TRANSACTIONS)) == ([], ["2"])
    assert known(rows, TENANT, CHECKING, ["1"]) == {"1": Known(row_id(1), HELD[1].digest(), removed=True)}
    assert pairs(rows) == []


@pytest.mark.parametrize("as_said_earlier", [False, True])
@pytest.mark.parametrize("end", [booked((1, 2)), expired(1), removed(1)])
def test_a_row_that_comes_back_is_there_under_its_id_and_in_no_pair(end: Any, as_said_earlier: bool) -> None:
    back = (fetched if as_said_earlier else restored)(a_row(1, 19_003, -4990, pending=True))
    rows = rows_after(fetched(HELD, BOOKED), end, back)
    assert (references(rows, PENDING), references(rows, REMOVED)) == (["1"], [])
    assert [row.id for row in rows.scan(PENDING)] == [row_id(1)]
    assert list(rows.scan(BOOKINGS)) == []
    # And once more.
    assert references(rows_after(fetched(HELD, BOOKED), end, back, end, back), PENDING) == ["1"]


def test_a_row_may_come_back_booked() -> None:
    rows = rows_after(fetched(HELD, BOOKED), booked((1, 2)), restored(a_row(1, 19_003, -4990)))
    assert sorted(references(rows, TRANSACTIONS)) == ["1", "2"]
    assert list(rows.scan(PENDING)) == list(rows.scan(REMOVED)) == list(rows.scan(BOOKINGS)) == []
    assert sum(row.count for row in rows.scan(COUNTS, KEY, "")) == 2


def test_a_booked_row_that_comes_back_is_there_again() -> None:
    rows = rows_after(fetched(BOOKED), removed(2), restored(BOOKED))
    (before,), (back,) = (list(held.scan(TRANSACTIONS)) for held in (rows_after(fetched(BOOKED)), rows))
    # It is recorded anew: no balance read in between has it.
    assert back == before._replace(seen_at=back.seen_at)
    assert back.seen_at == before.seen_at + 2_000_000
    assert list(rows.scan(REMOVED)) == []


def test_a_pair_that_is_undone_leaves_the_pending_row_as_it_was() -> None:
    before = rows_after(fetched(HELD, BOOKED))
    rows = rows_after(fetched(HELD, BOOKED), booked((1, 2)), undone(1, 2))
    assert list(rows.scan(PENDING)) == list(before.scan(PENDING))
    assert list(rows.scan(REMOVED)) == list(rows.scan(BOOKINGS)) == []
    assert pendings(rows, TENANT, CHECKING).apart == {(row_id(1), row_id(2))}
    assert pendings(rows, TENANT, CHECKING).taken == frozenset()
    assert known(rows, TENANT, CHECKING, ["1"]) == {"1": Known(row_id(1), HELD[1].digest())}
    assert pairs(rows) == []


@pytest.mark.parametrize(
    ("then", "pending", "shown"),
    [
        (modified(a_row(1, 19_004, -5000, pending=True)), ["1"], ["2"]),
        (modified(a_row(1, 19_004, -5000)), [], ["1", "2"]),
        (expired(1), [], ["2"]),
        (booked((1, 2)), [], ["2"]),
    ],
)
def test_a_row_that_is_pending_again_goes_on_as_any_other(
    then: Any, pending: list[str], shown: list[str]
) -> None:
    rows = rows_after(fetched(HELD, BOOKED), booked((1, 2)), undone(1, 2), then)
    assert (references(rows, PENDING), sorted(references(rows, TRANSACTIONS))) == (pending, shown)
    assert [row.booked_on for row in rows.scan(PENDING)] == [19_004] * len(pending)


def test_what_is_undone_too_late_keeps_the_two_apart_and_does_nothing_else() -> None:
    facts = fetched(HELD, BOOKED), booked((1, 2)), restored(a_row(1, 19_003, -1, pending=True))
    rows = rows_after(*facts, undone(1, 2))
    assert [row.booked_on for row in rows.scan(PENDING)] == [19_003]
    assert [row[1:] for row in rows.scan(APART)] == [(row_id(1), row_id(2))]
    # Another pair of the same pending row is not the one that is undone.
    rows = rows_after(fetched(HELD, BOOKED, a_row(3, 19_001, -4990)), booked((1, 3)), undone(1, 2))
    assert (references(rows, PENDING), [row.booked_id for row in rows.scan(BOOKINGS)]) == ([], [row_id(3)])


def test_booked_rows_that_a_pending_one_became_are_taken_while_any_other_is_near() -> None:
    other = a_row(9, 19_000 + TAKEN_DAYS, -1, pending=True)
    facts = fetched(HELD, BOOKED), booked((1, 2))
    assert pendings(rows_after(*facts), TENANT, CHECKING) == Pendings()
    assert pendings(rows_after(*facts, fetched(other)), TENANT, CHECKING).taken == {row_id(2)}
    far = a_row(9, 19_001 + TAKEN_DAYS, -1, pending=True)
    assert pendings(rows_after(*facts, fetched(far)), TENANT, CHECKING).taken == frozenset()


def test_a_pair_is_told_while_its_booked_row_is_there() -> None:
    facts = fetched(HELD, BOOKED), booked((1, 2))
    assert pairs(rows_after(*facts, removed(2))) == []
    pair = (CHECKING, row_id(2), row_id(1), "exact", 95)
    assert pairs(rows_after(*facts, removed(2), restored(BOOKED))) == [pair]
    assert pairs(rows_after(*facts, modified(a_row(2, 19_009, -4991)))) == [pair]


def test_a_closed_account_answers_as_it_did() -> None:
    changed = AccountDetailsChanged(details=AccountDetails(kind="CREDIT_CARD"))
    rows = rows_after(fetched(HELD, BOOKED), booked((1, 2)), changed, AccountClosed(reason="disabled"))
    assert pairs(rows) == [(CHECKING, row_id(2), row_id(1), "exact", 95)]


def test_nothing_of_a_forgotten_source_is_left() -> None:
    facts = fetched(HELD, BOOKED, a_row(3, 1, 1, pending=True)), booked((1, 2)), undone(1, 2), booked((1, 2))
    rows = rows_after(*facts, AccountClosed(reason="connection_deleted"))
    assert [table.name for table in (PENDING, REMOVED, BOOKINGS, APART) if list(rows.scan(table))] == []
