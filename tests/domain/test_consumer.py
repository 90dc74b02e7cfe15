from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import consumer
from domain.fact import Erased
from domain.refusals import InvalidRequest, NotFound
from tests.domain.examples import ADA, BAKERY, folded

REGISTERED = consumer.ConsumerRegistered(type=consumer.NATURAL, details=ADA)


def test_a_consumer_is_registered_once():
    facts = consumer.register(consumer.initial, type=consumer.NATURAL, details=ADA)
    assert facts == (REGISTERED,)
    assert consumer.register(folded(consumer, *facts), type=consumer.NATURAL, details=ADA) == ()


def test_a_natural_person_is_named_by_first_and_last_name():
    assert ADA.name == "Ada Test"
    changed = consumer.describe(consumer.NATURAL, {"last_name": "Byron"}, before=ADA)
    assert changed.name == "Ada Byron" and changed.first_name == "Ada"


def test_blank_country_and_group_have_values_of_their_own():
    details = consumer.describe(consumer.LEGAL, {"name": "X", "country": "", "group": None})
    assert (details.country, details.group) == ("FR", "default")


@pytest.mark.parametrize("siren", ["12345678", "1234567890", "12345678a", "١٢٣٤٥٦٧٨٩"])
def test_a_french_siren_has_nine_digits(siren):
    with pytest.raises(InvalidRequest):
        consumer.describe(consumer.LEGAL, {"name": "X", "siren": siren})
    assert consumer.describe(consumer.LEGAL, {"name": "X", "siren": siren, "country": "BE"}).siren == siren


def test_the_country_cannot_be_changed_under_a_foreign_number():
    belgian = consumer.describe(consumer.LEGAL, {"name": "X", "siren": "0403.170.701", "country": "BE"})
    with pytest.raises(InvalidRequest):
        consumer.describe(consumer.LEGAL, {"country": "FR"}, before=belgian)


def test_a_field_of_the_other_type_is_refused():
    with pytest.raises(InvalidRequest):
        consumer.describe(consumer.LEGAL, {"first_name": "Ada"}, before=BAKERY)


def test_unchanged_details_are_no_news():
    assert consumer.change_details(folded(consumer, REGISTERED), ADA) == ()


def test_an_erased_consumer_is_gone_for_good():
    facts = consumer.erase(folded(consumer, REGISTERED))
    assert facts == (consumer.ConsumerErased(),)
    gone = folded(consumer, REGISTERED, *facts)
    assert consumer.erase(gone) == ()
    for decision in (
        lambda: consumer.change_details(gone, ADA),
        lambda: consumer.register(gone, type=consumer.NATURAL, details=ADA),
        lambda: consumer.unlink_connection(gone, "c1", "x"),
        lambda: consumer.unlink_source(gone, "a1", "a2"),
    ):
        with pytest.raises(NotFound):
            decision()


@given(st.lists(st.sampled_from([Erased("ConsumerRegistered.1"), Erased("AccountLinked.1")]), min_size=1))
def test_a_history_without_its_key_reads_as_gone(facts):
    assert folded(consumer, *facts, consumer.ConsumerErased()) == consumer.Gone()


def test_nobody_can_be_erased_who_was_never_there():
    with pytest.raises(NotFound):
        consumer.erase(consumer.initial)
