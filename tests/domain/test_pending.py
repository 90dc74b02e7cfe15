"""Which booked row a pending one became."""

from __future__ import annotations

import random
from datetime import timedelta
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import pending
from domain.pending import EXACT, LINK, SCORED, Held, Pendings, pair
from tests.domain.examples import MONDAY, TUESDAY
from tests.domain.strategies import histories

DAY = 20_000
MINUTE = timedelta(minutes=1)
EPICERIE = "PAIEMENT EN COURS EPICERIE DU COIN"


def held(reference, booked_on=DAY, amount=-4235, wording=EPICERIE, **more):
    id = more.pop("id", reference.encode().ljust(16, b"."))
    return Held(
        id=id, reference=reference, booked_on=booked_on, amount=amount, wording=wording, **more
    )  # fmt: skip


def gone(reference="p1", **more):
    return held(reference, **{"seen_at": MONDAY, "touched_at": MONDAY, **more})


def booked(reference="b1", **more):
    return held(
        reference,
        **{
            "booked_on": DAY + 1,
            "wording": "CARTE 26/02 EPICERIE DU COIN CB*4417",
            "seen_at": TUESDAY,
            **more,
        },
    )


def pairs(vanished, shown, **pendings):
    """The pairs as references, with their rule."""
    found = pair(vanished, shown, Pendings(**pendings))
    return [(one.pending.reference, one.booked.reference, one.rule) for one in found]


# The rules


def test_the_banks_own_name_of_both_rows_is_the_surest():
    one = gone(link="T-88A1")
    other = booked(link="T-88A1", amount=-9_999, wording="QUITE ANOTHER", booked_on=DAY + 60)
    (found,) = pair([one], [other], Pendings())
    assert (found.pending, found.booked, found.rule, found.score) == (one, other, LINK, 100)


@pytest.mark.parametrize(
    ("link", "other"), [("T-1", "T-2"), ("T-1", None), (None, "T-1"), (None, None), ("", "")]
)
def test_two_names_are_no_link(link, other):
    assert pairs([gone(link=link)], [booked(link=other, amount=-9_999)]) == []


def test_the_same_amount_in_the_same_words_is_exact():
    (found,) = pair([gone()], [booked()], Pendings())
    assert (found.rule, found.score) == (EXACT, 95)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("PAIEMENT EN COURS SNCF", "SNCF"),
        ("Carte Épicerie du Coin", "CB ÉPICERIE DU COIN"),
        ("CARTE 26/02 SNCF CB*4417", "CARTE 27/02 SNCF CB*4417"),
        ("FACTURE CARTE SNCF", "sncf"),
        ("STRASSE", "straße"),
        ("مقهى المدينة", "مقهى المدينة 12"),
        (None, None),
        ("", None),
    ],
)
def test_words_that_only_tell_when_or_that_it_is_pending_say_nothing(one, other):
    assert pairs([gone(wording=one)], [booked(wording=other)]) == [("p1", "b1", EXACT)]


@pytest.mark.parametrize("days", [-10, -1, 0, 10])
def test_a_row_is_booked_within_ten_days(days):
    assert pairs([gone()], [booked(booked_on=DAY + days)]) == [("p1", "b1", EXACT)]


@pytest.mark.parametrize("days", [-11, 11, 400])
def test_a_row_is_not_booked_later_than_that(days):
    assert pairs([gone()], [booked(booked_on=DAY + days)]) == []


def test_wordings_that_are_alike_are_scored():
    (found,) = pair([gone()], [booked(wording="EPICERIE DU COI")], Pendings())
    assert found.rule == SCORED and 90 <= found.score <= 94


@pytest.mark.parametrize("amount", [-4235 - 635, -4235 + 635])
def test_a_tip_may_be_added_and_fuel_be_less(amount):
    (found,) = pair([gone()], [booked(amount=amount)], Pendings())
    assert found.rule == SCORED and pending.SCORE_MIN <= found.score < 95


def test_another_amount_needs_the_same_words():
    (same,) = pair([gone()], [booked(wording="EPICERIE")], Pendings())
    (near,) = pair([gone()], [booked(amount=-4300)], Pendings())
    assert same.score > near.score
    assert pairs([gone()], [booked(wording="EPICERIE", amount=-4300)]) == []


@pytest.mark.parametrize("amount", [-4235 - 636, -4235 + 636, 4235, 0, None, -(2**62)])
def test_another_amount_is_another_row(amount):
    assert pairs([gone()], [booked(amount=amount)]) == []


@pytest.mark.parametrize("amount", [None, 0])
def test_without_an_amount_only_the_bank_can_tell(amount):
    assert pairs([gone(amount=None)], [booked(amount=amount)]) == []
    assert pairs([gone(amount=None, link="T")], [booked(amount=amount, link="T")]) == [("p1", "b1", LINK)]


def test_an_amount_of_nothing_is_matched_exactly_or_not_at_all():
    assert pairs([gone(amount=0)], [booked(amount=0)]) == [("p1", "b1", EXACT)]
    assert pairs([gone(amount=0)], [booked(amount=0, wording="EPICERIE DU COI")]) == []


def test_the_amount_alone_is_not_enough():
    assert pairs([gone(wording="SNCF")], [booked(wording="KIOSQUE DU PORT")]) == []
    assert pairs([gone(wording="SNCF")], [booked(wording=None)]) == []


UNLIKE = [
    ("AMAZON", "MONOPRIX"), ("RATP", "UBER EATS"), ("TOTAL ENERGIES", "NETFLIX"),
    ("EPICERIE DU COIN", "KIOSQUE DU PORT"), ("PHARMACIE CENTRALE", "DECATHLON"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), UNLIKE)
def test_two_shops_are_two_whatever_their_prices(one, other):
    """Less is known of them than of rows without words, which are not paired by amount and day alone."""
    assert pairs([gone(wording=one)], [booked(wording=other, booked_on=DAY)]) == []


# Their order


def test_the_surest_rule_goes_first():
    linked, exact = gone("p2", link="T-1", wording="X", amount=-1), gone("p1")
    assert pairs([exact, linked], [booked(link="T-1")]) == [("p2", "b1", LINK)]
    alike = gone("p0", wording="EPICERIE DU COI")
    assert pairs([alike, exact], [booked()]) == [("p1", "b1", EXACT)]


def test_of_two_that_are_alike_the_one_that_is_more_so_is_taken():
    other = booked("b1", wording="EPICERIE"), booked("b2", wording="EPICERIE DU COI")
    assert pairs([gone()], other) == [("p1", "b2", SCORED)]


def test_of_equals_the_nearest_day_is_taken_then_the_first_reference():
    shown = [booked("b1", booked_on=DAY + 3), booked("b3"), booked("b2"), booked("b4", booked_on=DAY - 2)]
    assert pairs([gone()], shown) == [("p1", "b2", EXACT)]


def test_a_better_pair_of_a_weaker_rule_waits():
    vanished = [gone("p1", amount=-100), gone("p2", amount=-104)]
    shown = [booked("b1", amount=-104), booked("b2", amount=-100, booked_on=DAY + 9)]
    assert pairs(vanished, shown) == [("p2", "b1", EXACT), ("p1", "b2", EXACT)]


# Twins


@pytest.mark.parametrize(
    ("pending_rows", "booked_rows"), [(2, 2), (3, 2), (2, 3), (1, 4), (4, 1), (2, 0), (0, 2)]
)
def test_twins_stay_as_many_as_they_are(pending_rows, booked_rows):
    vanished = [gone(f"p{number}") for number in range(pending_rows)]
    shown = [booked(f"b{number}") for number in range(booked_rows)]
    found = pairs(vanished, shown)
    assert len(found) == min(pending_rows, booked_rows)
    assert found == [(f"p{number}", f"b{number}", EXACT) for number in range(len(found))]


# What is never paired


def test_a_row_that_was_there_before_is_not_what_a_pending_one_became():
    assert pairs([gone()], [booked(seen_at=MONDAY - MINUTE)]) == []
    assert pairs([gone(link="T")], [booked(seen_at=MONDAY - MINUTE, link="T")]) == []
    assert pairs([gone()], [booked(seen_at=MONDAY)]) == [("p1", "b1", EXACT)]


def test_where_nobody_knows_when_a_row_was_seen_it_may_be_the_one():
    assert pairs([gone(seen_at=None)], [booked()]) == [("p1", "b1", EXACT)]
    assert pairs([gone()], [booked(seen_at=None)]) == [("p1", "b1", EXACT)]


def test_a_booked_row_that_one_became_already_is_taken():
    taken = frozenset({booked().id})
    assert pairs([gone()], [booked()], taken=taken) == []
    assert pairs([gone()], [booked(), booked("b2")], taken=taken) == [("p1", "b2", EXACT)]


def test_what_somebody_told_apart_stays_apart_under_every_rule():
    apart = frozenset({(gone().id, booked().id)})
    assert pairs([gone(link="T")], [booked(link="T")], apart=apart) == []
    assert pairs([gone()], [booked(), booked("b2")], apart=apart) == [("p1", "b2", EXACT)]
    assert pairs([gone(), gone("p2")], [booked()], apart=apart) == [("p2", "b1", EXACT)]


# Whatever is shown


few = st.fixed_dictionaries(
    {
        "booked_on": st.integers(DAY - 12, DAY + 12),
        "amount": st.sampled_from([-4235, -4235, -4300, -5000, 4235, 0, None]),
        "wording": st.sampled_from([EPICERIE, "EPICERIE DU COI", "SNCF", "CB 123", None]),
        "link": st.sampled_from([None, None, None, "T-1", "T-2"]),
        "seen_at": st.sampled_from([MONDAY, MONDAY, TUESDAY, None]),
    }
)
hands = histories(few, 7)
numbers = st.tuples(st.integers(0, 6), st.integers(0, 6))


@given(
    hands,
    hands,
    st.frozensets(numbers, max_size=4),
    st.frozensets(st.integers(0, 6), max_size=2),
    st.randoms(),
)
def test_each_is_paired_once_at_most_and_none_is_left_over_that_fits(ones, others, apart, taken, chance):
    vanished = [held(f"p{number}", **fields) for number, fields in enumerate(ones)]
    shown = [held(f"b{number}", **fields) for number, fields in enumerate(others)]
    pendings = Pendings(
        taken=frozenset(held(f"b{number}").id for number in taken),
        apart=frozenset((held(f"p{one}").id, held(f"b{other}").id) for one, other in apart),
    )
    found = pair(vanished, shown, pendings)
    assert len({one.pending.id for one in found}) == len({one.booked.id for one in found}) == len(found)
    for one in found:
        assert one.pending in vanished and one.booked in shown
        assert one.booked.id not in pendings.taken
        assert (one.pending.id, one.booked.id) not in pendings.apart
        low, high = {LINK: (100, 100), EXACT: (95, 95), SCORED: (pending.SCORE_MIN, 94)}[one.rule]
        assert low <= one.score <= high

    left = [row for row in vanished if row not in [one.pending for one in found]]
    free = [row for row in shown if row not in [one.booked for one in found]]
    assert pair(left, free, pendings) == [], "none is left over that fits"

    for rows in (vanished, shown):
        chance.shuffle(rows)
    assert pair(vanished, shown, pendings) == found, "the order they come in says nothing"


# Hostile wordings


def cost(vanished, shown):
    """Milliseconds of work, at the best of three times."""
    times = []
    for _ in range(3):
        start = process_time()
        pair(vanished, shown, Pendings())
        times.append((process_time() - start) * 1_000)
    return min(times)


LONG = {
    "words": "EPICERIE DU COIN " * 600,
    "one word": "A" * 10_000,
    "one letter a word": "A " * 5_000,
    "right to left": "مقهى المدينة " * 800,
    "emoji": "☕️🍕👩‍👩‍👧‍👦" * 1_000,
    "no letters": "_ -*/ " * 2_000,
    "digits": "1234567890 " * 1_000,
    "letters that grow": "ﬃß" * 5_000,
    "combining": "e\u0301\u0302\u0303" * 2_500,
    "chance": "".join(random.Random(1).choices("ABCDEFGH ", k=10_000)),
    "nothing at all": "\x00\u200b\u202e" * 3_000,
}
MILLISECONDS_MAX = 20.0
"""Several times what it takes, so that a slow machine does not fail the test; a tenth of what it once took."""


@pytest.mark.parametrize("one", LONG)
@pytest.mark.parametrize("other", ["words", "chance", "emoji"])
def test_a_wording_of_ten_thousand_letters_costs_little(one, other):
    assert cost([gone(wording=LONG[one])], [booked(wording=LONG[other])]) < MILLISECONDS_MAX


@pytest.mark.parametrize(("one", "other"), [("A" * 256, "AB" * 128), ("AAB" * 90, "AB" * 128)])
def test_letters_that_repeat_cost_no_more(one, other):
    assert cost([gone(wording=one)], [booked(wording=other)]) < MILLISECONDS_MAX


def test_a_wording_is_compared_by_its_first_words():
    start = " ".join(f"mot{chr(97 + number)}" for number in range(26))
    one, other = f"{start} {'x ' * 5_000}", f"{start} {'x ' * 4_000} y"
    assert pairs([gone(wording=one)], [booked(wording=other)]) == [("p1", "b1", EXACT)]


def test_many_twins_cost_little():
    vanished = [gone(f"p{number:04}") for number in range(150)]
    shown = [booked(f"b{number:04}") for number in range(150)]
    assert cost(vanished, shown) < 5_000.0
    assert len(pair(vanished, shown, Pendings())) == 150
