"""What becomes of a bank's rows: added, modified, removed, restored; pending, booked, expired."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import consumer_account as ca
from domain.consumer_account import TRANSACTIONS_MAX, Known, TransactionsFetched, Window, record_transactions
from domain.pending import EXACT, LINK, SCORED, Pendings
from domain.transactions import Transaction
from tests.domain.bank import AMOUNTS, CHANGES, Bank
from tests.domain.examples import (
    MONDAY,
    TUESDAY,
    a_booked_row,
    a_pending_row,
    a_transaction,
    an_account,
    ids,
)
from tests.domain.held_rows import HeldRows, held_of, said
from tests.domain.strategies import histories, rows

MINUTE = timedelta(minutes=1)
WEDNESDAY = TUESDAY + timedelta(days=1)
EVER = Window(since=None, as_of=WEDNESDAY)
"""All that the bank has, read after everything else here happened."""


def holding(*shown: Transaction) -> HeldRows:
    held = HeldRows()
    held.record(shown)
    return held


def kinds(facts) -> list[str]:
    """What the facts say, in their order."""
    names = ("added", "restored", "modified", "removed", "booked", "expired")
    return [name for fact in facts for name in names if len(getattr(fact, name))]


def only(facts) -> TransactionsFetched:
    (fact,) = facts
    return fact


def pairs_of(facts) -> list[tuple[str, str, str]]:
    return [
        (pending, booked, rule)
        for fact in facts
        for (_, pending, _, booked), rule in zip(fact.booked.pairs(), fact.booked.rules, strict=True)
    ]


def tell_apart(held: HeldRows, reference: str) -> None:
    """Undo what this pending row is said to have become."""
    id = held.ids()[reference]
    asked = {"pending_id": id, "pending_reference": reference, "booked_id": held.bookings[id]}
    held.take(*ca.undo_booking(an_account(), **asked))


# Booked rows


def test_twins_of_one_day_stay_two():
    facts = record_transactions([a_transaction("1"), a_transaction("2")], {}, ids())
    assert sum(len(fact.added) for fact in facts) == 2


def test_an_edit_a_removal_and_a_return_keep_the_id():
    held = holding(a_transaction("1"))
    id = held.ids()["1"]
    edited = only(held.record([a_transaction("1", amount=-1)]))
    assert edited.modified.id(0) == id and not edited.added
    taken_back = only(held.record([a_transaction("1", amount=-1, deleted=True)]))
    assert taken_back.removed.references == ["1"] and taken_back.removed.ids == id
    assert held.record([a_transaction("1", deleted=True)]) == ()
    back = only(held.record([a_transaction("1", amount=-1)]))
    assert back.restored.id(0) == id and not back.added
    assert held.rows() == {"1": a_transaction("1", amount=-1)}


def test_a_row_that_comes_back_changed_is_restored_as_it_is_now():
    held = holding(a_transaction("1"))
    held.record([a_transaction("1", deleted=True)])
    assert kinds(held.record([a_transaction("1", amount=-1)])) == ["restored"]
    assert held.rows()["1"].amount == -1


def test_a_row_that_was_taken_back_before_we_saw_it_is_nothing():
    assert record_transactions([a_transaction(deleted=True)], {}, ids()) == ()


def test_a_touched_row_that_says_the_same_is_no_edit():
    held = holding(a_transaction(fields={"last_update": "a"}, touched_at=MONDAY))
    assert held.record([a_transaction(fields={"last_update": "b"}, touched_at=TUESDAY)]) == ()


def test_a_row_shown_twice_counts_as_shown_last():
    held = holding(a_transaction("1", amount=-1), a_transaction("1", amount=-2))
    assert held.rows()["1"].amount == -2
    assert holding(a_transaction("1"), a_transaction("1", deleted=True)).rows() == {}


def test_ids_are_asked_for_new_rows_alone():
    asked = []

    def new_id():
        asked.append(1)
        return bytes([len(asked)]) * 16

    known = {"2": Known(b"2" * 16, b""), "3": Known(b"3" * 16, b"", removed=True)}
    shown = [a_transaction(str(number)) for number in range(1, 4)] + [a_transaction("4", deleted=True)]
    record_transactions(shown, known, new_id)
    assert len(asked) == 1


# Pending rows that are booked


def test_a_pending_row_is_a_row_like_others_until_it_is_booked():
    held = holding(a_pending_row("1"))
    facts = held.record([a_booked_row("1")])
    assert kinds(facts) == ["modified"], "under its own id nothing is paired"
    assert held.rows() == {"1": said(a_booked_row("1"))}


def test_a_pending_row_that_the_bank_books_under_another_id_becomes_that_row():
    held = holding(a_pending_row("p1"))
    facts = held.record([a_pending_row("p1", deleted=True), a_booked_row("b1")])
    assert kinds(facts) == ["added", "booked"], "it is not said to be removed as well"
    assert pairs_of(facts) == [("p1", "b1", EXACT)] and facts[1].booked.scores == [95]
    assert held.rows() == {"b1": said(a_booked_row("b1"))}
    assert held.known()["p1"].removed


@pytest.mark.parametrize(
    ("one", "other", "rule"),
    [
        ({"fields": {"webid": "T-1"}, "amount": -1}, {"fields": {"webid": "T-1"}}, LINK),
        ({}, {}, EXACT),
        ({}, {"amount": -4300}, SCORED),
        ({"fields": {"webid": 7}}, {"fields": {"webid": 7}, "amount": -9}, None),
        ({"fields": {"webid": ""}}, {"fields": {"webid": ""}, "amount": -9}, None),
        ({"fields": {"webid": None}}, {"fields": {"webid": None}, "amount": -9}, None),
        ({}, {"booked_on": 20_011}, None),
        ({}, {"wording": None}, None),
        ({}, {"amount": 4235}, None),
    ],
)
def test_what_it_rests_on_is_recorded(one, other, rule):
    held = holding(a_pending_row("p1", **one))
    facts = held.record([a_booked_row("b1", **other)], EVER)
    assert pairs_of(facts) == ([("p1", "b1", rule)] if rule else [])
    assert kinds(facts) == (["added", "booked"] if rule else ["added", "expired"])


def test_a_row_that_was_booked_before_anybody_saw_the_pending_one_go_is_found_later():
    """An increment brings the booked row; that the pending one is gone, a window alone can tell."""
    held = holding(a_pending_row("p1"))
    assert kinds(held.record([a_booked_row("b1")])) == ["added"]
    facts = held.record([a_booked_row("b1")], EVER)
    assert kinds(facts) == ["booked"] and pairs_of(facts) == [("p1", "b1", EXACT)]


def test_nothing_is_paired_while_the_pending_row_is_shown():
    held = holding(a_pending_row("p1"))
    for window in (None, EVER):
        assert "booked" not in kinds(held.record([a_pending_row("p1"), a_booked_row("b1")], window))
    assert set(held.rows()) == {"p1", "b1"}, "a twin, as far as anybody can tell"


def test_a_row_shown_both_pending_and_booked_is_what_was_said_last():
    held = holding(a_pending_row("1"))
    assert kinds(held.record([a_pending_row("1"), a_booked_row("1")], EVER)) == ["modified"]
    assert not held.rows()["1"].pending
    assert kinds(held.record([a_booked_row("1"), a_pending_row("1")], EVER)) == ["modified"]
    assert held.rows()["1"].pending


def test_a_booked_row_that_was_there_before_is_another():
    held = holding(a_booked_row("b0", seen_at=MONDAY - MINUTE), a_pending_row("p1"))
    facts = held.record([a_booked_row("b0", seen_at=MONDAY - MINUTE)], EVER)
    assert kinds(facts) == ["expired"]


def test_a_row_whose_booked_one_is_taken_back_in_the_same_run_expires():
    held = holding(a_pending_row("p1"))
    assert kinds(held.record([a_booked_row("b1", deleted=True)], EVER)) == ["expired"]
    assert held.rows() == {}
    held = holding(a_pending_row("p1"), a_booked_row("b1"))
    facts = held.record([a_booked_row("b1", deleted=True)], EVER)
    assert sorted(kinds(facts)) == ["expired", "removed"] and held.rows() == {}


def test_a_booked_row_that_comes_back_may_be_what_it_became():
    held = holding(a_booked_row("b1"), a_pending_row("p1"))
    held.record([a_booked_row("b1", deleted=True)])
    facts = held.record([a_booked_row("b1")], EVER)
    assert kinds(facts) == ["restored", "booked"] and set(held.rows()) == {"b1"}


def test_a_booked_row_stays_taken_when_it_is_edited():
    held = holding(a_pending_row("p1"), a_pending_row("p2", touched_at=WEDNESDAY))
    held.record([a_booked_row("b1")], EVER)
    facts = held.record([a_booked_row("b1", amount=-4236)], Window(None, WEDNESDAY + MINUTE))
    assert kinds(facts) == ["modified", "expired"] and facts[1].expired.references == ["p2"]


@pytest.mark.parametrize(("pending_rows", "booked_rows"), [(2, 2), (3, 2), (2, 3), (1, 4), (4, 1), (3, 0)])
def test_twins_stay_as_many_as_they_are(pending_rows, booked_rows):
    held = holding(*(a_pending_row(f"p{number}") for number in range(pending_rows)))
    facts = held.record([a_booked_row(f"b{number}") for number in range(booked_rows)], EVER)
    assert len(pairs_of(facts)) == min(pending_rows, booked_rows)
    assert sum(len(fact.expired) for fact in facts) == max(0, pending_rows - booked_rows)
    assert set(held.rows()) == {f"b{number}" for number in range(booked_rows)}


def test_of_twins_the_one_that_is_booked_leaves_the_other_pending():
    held = holding(a_pending_row("p1"), a_pending_row("p2"))
    facts = held.record([a_pending_row("p2"), a_booked_row("b1")], EVER)
    assert pairs_of(facts) == [("p1", "b1", EXACT)] and set(held.rows()) == {"p2", "b1"}


def test_a_row_that_was_pending_itself_is_not_what_another_became():
    held = holding(a_pending_row("1"), a_pending_row("2"))
    facts = held.record([a_booked_row("1", seen_at=MONDAY)], EVER)
    assert kinds(facts) == ["modified", "expired"]


def test_of_twins_one_may_be_booked_under_its_own_id_and_one_under_another():
    held = holding(a_pending_row("1"), a_pending_row("2"))
    facts = held.record([a_booked_row("1", seen_at=MONDAY), a_booked_row("3")], EVER)
    assert pairs_of(facts) == [("2", "3", EXACT)]


# Pending rows that expire


def test_a_pending_row_that_the_bank_drops_expires():
    held = holding(a_pending_row("p1"))
    id = held.ids()["p1"]
    fact = only(held.record([], EVER))
    assert fact.expired == ca.Removed(ids=id, references=["p1"])
    assert held.rows() == {} and held.known()["p1"].removed


@pytest.mark.parametrize(
    ("window", "expires"),
    [
        (None, False),
        (Window(None, None), False),
        (Window(None, MONDAY), False),
        (Window(None, MONDAY - MINUTE), False),
        (Window(None, MONDAY + MINUTE), True),
        (Window(20_000, TUESDAY), True),
        (Window(19_999, TUESDAY), True),
        (Window(20_001, TUESDAY), False),
        (Window(20_000, MONDAY), False),
        (Window(20_000, None), False),
    ],
)
def test_absence_means_something_only_in_a_window_that_holds_the_day_and_is_newer(window, expires):
    held = holding(a_pending_row("p1", touched_at=MONDAY))
    assert kinds(held.record([], window)) == (["expired"] if expires else [])
    held = holding(a_pending_row("p1", touched_at=MONDAY))
    assert kinds(held.record([a_booked_row()], window)) == [
        "added",
        *(["booked"] if expires else []),
    ]


def test_a_row_that_nobody_knows_the_times_of_expires_in_a_window():
    held = holding(a_pending_row("p1", seen_at=None, touched_at=None))
    assert kinds(held.record([], Window(None, None))) == []
    assert kinds(held.record([], Window(None, MONDAY - MINUTE))) == ["expired"]


def test_absence_says_nothing_of_a_booked_row():
    held = holding(a_booked_row("b1"))
    assert held.record([], EVER) == () and set(held.rows()) == {"b1"}


def test_a_pending_row_that_the_bank_takes_back_by_name_is_removed_without_any_window():
    held = holding(a_pending_row("p1"))
    assert kinds(held.record([a_pending_row("p1", deleted=True)])) == ["removed"]
    held = holding(a_pending_row("p1"))
    assert kinds(held.record([a_pending_row("p1", deleted=True)], EVER)) == ["removed"]


# Coming back


@pytest.mark.parametrize("pending", [True, False])
def test_a_row_that_expired_comes_back_under_its_id(pending):
    held = holding(a_pending_row("p1"))
    id = held.ids()["p1"]
    held.record([], EVER)
    back = a_pending_row("p1") if pending else a_booked_row("p1")
    fact = only(held.record([back], EVER))
    assert fact.restored.ids == id and held.rows() == {"p1": said(back)}


def test_a_row_that_comes_back_ends_its_booking_and_may_be_booked_again():
    held = holding(a_pending_row("p1"))
    held.record([a_booked_row("b1")], EVER)
    assert kinds(held.record([a_pending_row("p1"), a_booked_row("b1")], EVER)) == ["restored"]
    assert set(held.rows()) == {"p1", "b1"} and held.bookings == {}
    assert pairs_of(held.record([a_booked_row("b1")], EVER)) == [("p1", "b1", EXACT)]


def test_what_somebody_told_apart_is_pending_again_and_is_never_paired_with_it_again():
    held = holding(a_pending_row("p1"))
    held.record([a_booked_row("b1")], EVER)
    tell_apart(held, "p1")
    assert set(held.rows()) == {"p1", "b1"}
    assert held.record([a_booked_row("b1")]) == ()
    facts = held.record([a_booked_row("b1"), a_booked_row("b2")], EVER)
    assert pairs_of(facts) == [("p1", "b2", EXACT)]


def test_what_somebody_told_apart_expires_when_it_became_nothing_else():
    held = holding(a_pending_row("p1"))
    held.record([a_booked_row("b1")], EVER)
    tell_apart(held, "p1")
    assert kinds(held.record([a_booked_row("b1")], EVER)) == ["expired"]
    assert set(held.rows()) == {"b1"}


# Bounds

MANY = 2 * TRANSACTIONS_MAX + 500
MOST = [TRANSACTIONS_MAX, TRANSACTIONS_MAX, 500]


def many(**more) -> list[Transaction]:
    return [a_transaction(f"{number:04}", booked_on=20_000 + number % 30, **more) for number in range(MANY)]


def sizes(facts, name) -> list[int]:
    """How much each fact says of it; nothing else may be said in between."""
    assert set(kinds(facts)) == {name}
    return [len(getattr(fact, name)) for fact in facts]


def test_a_fact_holds_a_thousand_rows_at_most():
    held = HeldRows()
    facts = held.record(many())
    assert sizes(facts, "added") == MOST
    days = [day for fact in facts for day in fact.added.booked_on]
    assert days == sorted(days)
    edited = held.record(many(kind="transfer"))
    assert sizes(edited, "modified") == MOST
    removed = held.record(many(deleted=True))
    assert sizes(removed, "removed") == MOST
    assert [len(fact.removed.ids) for fact in removed] == [16 * size for size in MOST]
    restored = held.record(many())
    assert sizes(restored, "restored") == MOST
    for facts, name in ((edited, "modified"), (restored, "restored")):
        days = [day for fact in facts for day in getattr(fact, name).booked_on]
        assert days == sorted(days)
    assert len(held.rows()) == MANY


def test_a_fact_holds_a_thousand_rows_that_expire_at_most():
    held = holding(*many(pending=True, touched_at=MONDAY))
    facts = held.record([], EVER)
    assert sizes(facts, "expired") == MOST and held.rows() == {}


def test_a_fact_holds_a_thousand_bookings_at_most():
    size = TRANSACTIONS_MAX + 1
    held = holding(
        *(
            a_pending_row(f"p{number}", amount=number, fields={"webid": f"T{number}"})
            for number in range(size)
        )
    )
    shown = [a_booked_row(f"b{number}", fields={"webid": f"T{number}"}) for number in range(size)]
    facts = [fact for fact in held.record(shown, EVER) if not fact.added]
    assert sizes(facts, "booked") == [TRANSACTIONS_MAX, 1]
    for fact in facts:
        bookings = fact.booked
        columns = (bookings.pending_references, bookings.booked_references, bookings.rules, bookings.scores)
        assert {len(column) for column in columns} == {len(bookings)}
        assert len(bookings.pending_ids) == len(bookings.booked_ids) == 16 * len(bookings)


# Whatever is shown


windows = st.none() | st.builds(
    Window, since=st.none() | st.integers(19_990, 20_010), as_of=st.none() | st.just(WEDNESDAY)
)


@given(st.lists(rows, max_size=9), st.lists(rows, max_size=9), windows)
def test_a_fetch_said_twice_adds_nothing(before, fetched, window):
    held = holding(*before)
    held.record(fetched, window)
    assert held.record(fetched, window) == ()


@given(st.lists(rows, max_size=9))
def test_what_is_held_is_what_the_bank_shows(fetched):
    """Money in equals money out: the last word on every reference, and nothing else."""
    shown = {row.reference: row for row in fetched}
    expected = {reference: said(row) for reference, row in shown.items() if not row.deleted}
    held = holding(*fetched).rows()
    assert held == expected
    assert sum(row.amount or 0 for row in held.values()) == sum(row.amount or 0 for row in expected.values())


@given(st.lists(rows, max_size=10), st.lists(rows, max_size=10), windows)
def test_what_is_added_restored_and_modified_does_not_depend_on_what_is_pending(before, fetched, window):
    held = holding(*before)
    known = held.known()
    plain = record_transactions(fetched, known, ids())
    facts = record_transactions(fetched, known, ids(), held.pendings(), window)
    for name in ("added", "restored", "modified"):
        said_plainly = [row for fact in plain for row in getattr(fact, name).rows()]
        assert [row for fact in facts for row in getattr(fact, name).rows()] == said_plainly
    assert record_transactions(fetched, known, ids(), Pendings(), window) == plain


# Whatever the bank does


READINGS = ["increment", "window", "stale window", "everything"]
changes = st.tuples(
    st.sampled_from(CHANGES),
    st.integers(0, 30),
    st.integers(20_000, 20_030),
    st.sampled_from(AMOUNTS),
)
readings = st.tuples(st.sampled_from(READINGS), st.integers(20_000, 20_030))
undoings = st.tuples(st.just("undo"), st.integers(0, 5))


def in_sight(held: HeldRows, bank: Bank, shown: dict[str, Transaction], window: Window | None) -> None:
    """After a run, what was shown is held as it was shown, and in a window nothing else is pending."""
    rows_held = held.rows()
    for reference, row in shown.items():
        assert rows_held.get(reference) == (None if row.deleted else said(row))
    if window is not None and window.as_of == bank.now:
        for row in rows_held.values():
            if row.pending and (window.since is None or row.booked_on >= window.since):
                assert row.reference in shown


def live_through(history) -> HeldRows:
    """Whatever the bank does, what is held comes to be what it shows; and each run keeps its word."""
    bank, held, watermark = Bank(), HeldRows(), None
    for what, *asked in [*history, ("everything", 0)]:
        if what == "undo":
            booked = sorted(name for name, id in held.ids().items() if id in held.bookings)
            if booked:
                tell_apart(held, booked[asked[0] % len(booked)])
            continue
        if what in CHANGES:
            bank.do(what, *asked)
            continue
        bank.minute += 1
        since = None if what == "everything" else asked[0]
        as_of = bank.now - 5 * MINUTE if what == "stale window" else bank.now
        window = None if what == "increment" else Window(since, as_of)
        shown = {
            reference: row
            for reference, row in bank.rows.items()
            if watermark is None
            or row.touched_at > watermark - 2 * MINUTE
            or (window is not None and (since is None or row.booked_on >= since))
        }
        watermark = max([row.touched_at for row in shown.values()], default=watermark)
        before = held.ids()
        facts = held.record(shown.values(), window)
        assert before.items() <= held.ids().items(), "an id is for ever"
        for fact in facts:
            assert sum(map(len, (fact.added, fact.restored, fact.modified, fact.removed))) <= TRANSACTIONS_MAX
        for _, pending, _, booked in (pair for fact in facts for pair in fact.booked.pairs()):
            assert pending not in shown or shown[pending].deleted
            assert not shown[booked].deleted and not shown[booked].pending
        in_sight(held, bank, shown, window)
        assert held.record(shown.values(), window) == (), "said twice, it adds nothing"
    truth = {reference: said(row) for reference, row in bank.rows.items() if not row.deleted}
    assert held.rows() == truth
    assert len(set(held.ids().values())) == len(held.ids())
    assert not set(held.bookings) & {id for id, _ in held.shown.values()}
    return held


steps = st.one_of(changes, changes, changes, readings, undoings)


@given(histories(steps, 50))
def test_whatever_the_bank_does_what_is_held_comes_to_be_what_it_shows(history):
    live_through(history)


@pytest.mark.parametrize("seed", range(30))
def test_so_it_is_in_a_long_life(seed):
    """Chance alone makes longer histories, and with more in them, than a search for the shortest."""
    chance = random.Random(seed)

    def step():
        what = chance.choices([*CHANGES, *READINGS, "undo"], [*[3] * len(CHANGES), 6, 4, 2, 1, 2])[0]
        if what in CHANGES:
            amount = chance.choice(AMOUNTS)
            return (what, chance.randrange(31), 20_000 + chance.randrange(31), amount)
        return (what, 20_000 + chance.randrange(31))

    held = live_through([step() for _ in range(200)])
    assert held.ids() and held.shown


def test_a_pending_row_as_held_knows_what_pairs_are_made_from():
    row = a_pending_row("p1", fields={"webid": "T-1"})
    (held,) = holding(row).pendings().rows
    assert held == held_of(held.id, row)
    assert (held.link, held.seen_at, held.touched_at) == ("T-1", MONDAY, MONDAY)
