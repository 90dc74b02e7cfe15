"""Which accounts a consumer has: the sources that feed each, put together on evidence and taken apart again."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import consumer
from domain.consumer import AccountLinked, AccountUnlinked, Evidence
from domain.money import NO_CURRENCY
from domain.refusals import NotFound, NotLinked, Refused
from tests.domain.examples import ADA, folded, stored
from tests.domain.strategies import histories

REGISTERED = consumer.ConsumerRegistered(type=consumer.NATURAL, details=ADA)
IBAN = Evidence(kind="iban", digest=b"1" * 32)
OTHER_IBAN = Evidence(kind="iban", digest=b"2" * 32)
NUMBER = Evidence(kind="number_and_bank", digest=b"3" * 32)
NOTHING = Evidence(kind="none")
DELETED = "connection_deleted"


def legacy(account_id="a1", connection_id="c1", reference="2318", evidence=IBAN):
    """A link as it was stored before sources had ids of their own."""
    return AccountLinked(
        account_id=account_id, connection_id=connection_id, reference=reference, evidence=evidence
    )


def shown(state, new_id, connection_id="c1", reference="2318", evidence=IBAN, **more):
    """The links that follow when the provider shows this account; its source, where it is new, is `new_id`."""
    return consumer.link_account(
        state,
        connection_id=connection_id,
        reference=reference,
        evidence=evidence,
        new_id=new_id,
        **{"currency": "EUR", "provider_user": "7301", **more},
    )


def seen(*accounts: dict[str, Any], state: Any = None) -> consumer.Registered:
    """The consumer once the provider showed these accounts, one after the other."""
    state = folded(consumer, REGISTERED) if state is None else state
    for account in accounts:
        state = folded(consumer, *shown(state, **account), state=state)
    return state


def by_source(state) -> dict[str, str]:
    """The account of each source that feeds one."""
    return {link.source: link.account_id for link in state.links}


BOTH = ({"new_id": "a1"}, {"new_id": "s2", "connection_id": "c2", "reference": "88"})
"""Two connections that show one IBAN."""


def apart() -> consumer.Registered:
    state = seen(*BOTH)
    return folded(consumer, *consumer.unlink_source(state, "a1", "s2"), state=state)


# Linking


def test_the_first_source_of_an_account_has_its_id():
    (link,) = shown(folded(consumer, REGISTERED), "a1")
    assert link == AccountLinked(
        account_id="a1", connection_id="c1", reference="2318", evidence=IBAN,
        source_id="a1", currency="EUR", provider_user="7301",
    )  # fmt: skip
    assert link.source == "a1"


def test_two_connections_that_show_one_iban_are_one_account_of_two_sources():
    state = seen(*BOTH)
    assert by_source(state) == {"a1": "a1", "s2": "a1"}
    assert consumer.sources_of(state, "a1") == ["a1", "s2"]


@pytest.mark.parametrize("evidence", [OTHER_IBAN, NUMBER, NOTHING])
def test_other_evidence_is_another_account(evidence):
    state = seen({"new_id": "a1"}, {"new_id": "a2", "connection_id": "c2", "evidence": evidence})
    assert by_source(state) == {"a1": "a1", "a2": "a2"}


def test_evidence_of_another_kind_is_other_evidence():
    state = seen(
        {"new_id": "a1"}, {"new_id": "a2", "reference": "9", "evidence": msgspec.structs.replace(NUMBER, digest=IBAN.digest)}
    )  # fmt: skip
    assert by_source(state) == {"a1": "a1", "a2": "a2"}


def test_two_accounts_without_evidence_are_two():
    state = seen(
        {"new_id": "a1", "evidence": NOTHING}, {"new_id": "a2", "reference": "4711", "evidence": NOTHING}
    )
    assert by_source(state) == {"a1": "a1", "a2": "a2"}
    assert consumer.account_for(state, NOTHING, "c1") is None


def test_a_recreated_account_keeps_its_identity():
    state = seen({"new_id": "a1"}, {"new_id": "s2", "reference": "9999"})
    assert by_source(state) == {"a1": "a1", "s2": "a1"}


def test_an_account_shown_again_adds_nothing_whatever_its_evidence_says_now():
    state = seen(*BOTH)
    for evidence in (IBAN, OTHER_IBAN, NOTHING):
        assert shown(state, "x", evidence=evidence) == ()


def test_a_source_joins_the_account_even_if_what_fed_it_first_is_gone():
    state = seen(*BOTH)
    state = folded(consumer, *consumer.unlink_connection(state, "c1", DELETED), state=state)
    state = seen({"new_id": "s3", "connection_id": "c3", "reference": "5"}, state=state)
    assert by_source(state) == {"s2": "a1", "s3": "a1"}
    assert set(consumer.sources_of(state, "a1")) == {"a1", "s2", "s3"}


def test_only_a_registered_consumer_has_accounts():
    with pytest.raises(NotFound):
        shown(consumer.initial, "a1")


# Currencies


def test_another_currency_under_one_reference_is_another_source_and_account():
    dollars = {"new_id": "a2", "currency": "USD", "evidence": OTHER_IBAN}
    state = seen({"new_id": "a1"}, dollars)
    assert by_source(state) == {"a1": "a1", "a2": "a2"}
    again = {"connection_id": "c1", "reference": "2318", "provider_user": "7301"}
    assert consumer.link_of(state, currency="EUR", **again).source == "a1"
    assert consumer.link_of(state, currency="USD", **again).source == "a2"
    assert seen({"new_id": "x"}, {"new_id": "y", "currency": "USD"}, state=state) == state


def test_a_currency_that_is_left_out_changes_no_known_one():
    state = seen({"new_id": "a1"})
    assert shown(state, "x", currency=NO_CURRENCY, evidence=OTHER_IBAN) == ()
    unsaid = consumer.link_of(state, "c1", "2318", currency=NO_CURRENCY, provider_user="7301")
    assert unsaid.source == "a1" and unsaid.currency == "EUR"


def test_a_currency_that_is_left_out_leaves_the_last_one_said():
    state = seen({"new_id": "a1"}, {"new_id": "a2", "currency": "USD", "evidence": OTHER_IBAN})
    assert shown(state, "x", currency=NO_CURRENCY) == ()
    link = consumer.link_of(state, "c1", "2318", currency=NO_CURRENCY, provider_user="7301")
    assert link.source == "a2"


def test_an_account_without_a_currency_is_found_again_without_one():
    state = seen({"new_id": "a1", "currency": NO_CURRENCY})
    assert shown(state, "x", currency=NO_CURRENCY) == ()


# The provider's users


def test_another_user_of_the_provider_has_references_of_their_own():
    state = seen({"new_id": "a1"}, {"new_id": "a2", "provider_user": "9", "evidence": OTHER_IBAN})
    assert by_source(state) == {"a1": "a1", "a2": "a2"}


def test_another_user_of_the_provider_may_still_show_the_same_account():
    state = seen({"new_id": "a1"}, {"new_id": "s2", "provider_user": "9"})
    assert by_source(state) == {"a1": "a1", "s2": "a1"}


def test_a_reference_of_another_connection_is_another_reference():
    state = seen({"new_id": "a1"}, {"new_id": "a2", "connection_id": "c2", "evidence": OTHER_IBAN})
    assert by_source(state) == {"a1": "a1", "a2": "a2"}


# Links from before sources had ids


def test_an_early_link_is_its_own_source_in_whatever_currency_for_whichever_user():
    state = folded(consumer, REGISTERED, legacy())
    assert legacy().source == "a1" and consumer.sources_of(state, "a1") == ["a1"]
    for more in ({}, {"currency": "USD"}, {"currency": NO_CURRENCY}, {"provider_user": "9"}):
        assert shown(state, "x", **more) == ()


def test_a_new_source_joins_an_early_link_and_can_leave_it():
    state = seen({"new_id": "s2", "connection_id": "c2"}, state=folded(consumer, REGISTERED, legacy()))
    assert by_source(state) == {"a1": "a1", "s2": "a1"}
    state = folded(consumer, *consumer.unlink_source(state, "a1", "s2"), state=state)
    assert by_source(state) == {"a1": "a1", "s2": "s2"}


def test_early_links_that_share_a_stream_cannot_be_told_apart():
    state = folded(consumer, REGISTERED, legacy(), legacy(connection_id="c2", reference="88"))
    with pytest.raises(NotLinked):
        consumer.unlink_source(state, "a1", "a1")
    assert consumer.sources_of(state, "a1") == ["a1"]


def test_an_early_unlinking_still_undoes_its_link_only():
    early = (legacy(), legacy(connection_id="c2", reference="88"))
    gone = AccountUnlinked(account_id="a1", connection_id="c1", reference="2318", reason=DELETED)
    state = folded(consumer, REGISTERED, *early, gone)
    assert [link.connection_id for link in state.links] == ["c2"]
    assert consumer.sources_of(state, "a1") == ["a1"]


def test_early_links_are_undone_with_their_connection():
    state = folded(consumer, REGISTERED, legacy(), legacy(connection_id="c2", reference="88"))
    facts = consumer.unlink_connection(state, "c1", DELETED)
    assert facts == (
        AccountUnlinked(account_id="a1", connection_id="c1", reference="2318", reason=DELETED),
    )  # fmt: skip
    state = folded(consumer, *facts, state=state)
    assert [link.connection_id for link in state.links] == ["c2"]
    assert consumer.unlink_connection(state, "c1", DELETED) == ()


# Taking apart


def test_a_source_that_is_taken_out_is_an_account_of_its_own():
    state = seen(*BOTH)
    facts = consumer.unlink_source(state, "a1", "s2")
    assert facts == (
        AccountUnlinked(
            account_id="a1", connection_id="c2", reference="88", reason=consumer.BY_REQUEST, source_id="s2"
        ),
        AccountLinked(
            account_id="s2", connection_id="c2", reference="88", evidence=IBAN,
            source_id="s2", currency="EUR", provider_user="7301",
        ),
    )  # fmt: skip
    after = folded(consumer, *facts, state=state)
    assert by_source(after) == {"a1": "a1", "s2": "s2"}
    assert consumer.sources_of(after, "a1") == ["a1"] and consumer.sources_of(after, "s2") == ["s2"]


def test_what_was_taken_out_stays_apart_when_it_is_shown_again():
    state = apart()
    assert shown(state, "x", connection_id="c2", reference="88") == ()
    assert shown(state, "x", connection_id="c2", reference="88", currency=NO_CURRENCY) == ()
    assert shown(state, "x") == ()


def test_another_source_with_the_same_evidence_joins_one_of_them_and_moves_neither():
    state = seen({"new_id": "s3", "connection_id": "c3", "reference": "5"}, state=apart())
    accounts = by_source(state)
    assert (accounts["a1"], accounts["s2"]) == ("a1", "s2")


def test_what_was_taken_out_does_not_come_back_under_another_reference():
    """The bank recreates accounts under new ids: through this connection it is the one that was taken out."""
    state = seen({"new_id": "s3", "connection_id": "c2", "reference": "89"}, state=apart())
    assert by_source(state)["s3"] != "a1"


def test_what_alone_feeds_an_account_is_not_taken_out_of_it():
    """Else nobody would know of the history that is left behind any more, and its key would never be destroyed."""
    state = seen(*BOTH)
    state = folded(consumer, *consumer.unlink_connection(state, "c1", DELETED), state=state)
    with pytest.raises(NotLinked):
        consumer.unlink_source(state, "a1", "s2")
    assert consumer.sources_of(state, "a1") == ["a1", "s2"]


def test_nothing_is_taken_out_of_what_is_not_there():
    state = seen(*BOTH)
    for account_id, source_id in (("a1", "s3"), ("s2", "a1"), ("s2", "s2"), ("a2", "s2"), ("", "")):
        with pytest.raises(NotFound):
            consumer.unlink_source(state, account_id, source_id)
    for nobody in (consumer.initial, consumer.Gone()):
        with pytest.raises(NotFound):
            consumer.unlink_source(nobody, "a1", "s2")


def test_an_account_is_not_taken_out_of_itself():
    for state, id in ((seen({"new_id": "a1"}), "a1"), (seen(*BOTH), "a1"), (apart(), "s2")):
        with pytest.raises(NotLinked):
            consumer.unlink_source(state, id, id)


def test_a_source_is_taken_out_once():
    with pytest.raises(NotFound):
        consumer.unlink_source(apart(), "a1", "s2")


def test_taking_out_leaves_the_other_sources_where_they_are():
    state = seen(*BOTH, {"new_id": "s3", "connection_id": "c3", "reference": "5"})
    state = folded(consumer, *consumer.unlink_source(state, "a1", "s2"), state=state)
    assert by_source(state) == {"a1": "a1", "s2": "s2", "s3": "a1"}


def test_taking_out_one_currency_leaves_the_other():
    both = (
        {"new_id": "s2", "connection_id": "c2"},
        {"new_id": "s3", "connection_id": "c2", "currency": "USD", "evidence": OTHER_IBAN},
    )
    state = seen({"new_id": "a1"}, *both)
    state = folded(consumer, *consumer.unlink_source(state, "a1", "s2"), state=state)
    assert by_source(state) == {"a1": "a1", "s3": "s3", "s2": "s2"}


def test_taking_out_equals_never_having_linked():
    """For the account itself: the consumer is as if the other bank had shown an account of its own."""
    alone = seen({"new_id": "a1"}, {**BOTH[1], "evidence": NOTHING})
    left, other = apart(), by_source(alone)
    assert by_source(left) == other and left.past == alone.past == ()


# Connections that are deleted


def test_deleting_a_connection_undoes_its_links_only():
    state = seen(*BOTH)
    facts = consumer.unlink_connection(state, "c1", DELETED)
    assert [(fact.source_id, fact.reason) for fact in facts] == [("a1", DELETED)]
    left = folded(consumer, *facts, state=state)
    assert by_source(left) == {"s2": "a1"}
    assert consumer.unlink_connection(left, "c1", DELETED) == ()


def test_what_a_deleted_connection_brought_is_history_while_another_feeds_the_account():
    state = seen(*BOTH)
    state = folded(consumer, *consumer.unlink_connection(state, "c1", DELETED), state=state)
    assert consumer.sources_of(state, "a1") == ["a1", "s2"]
    state = folded(consumer, *consumer.unlink_connection(state, "c2", DELETED), state=state)
    assert consumer.sources_of(state, "a1") == [] and state.past == ()


def test_an_account_whose_sources_go_with_one_connection_leaves_nothing():
    state = seen({"new_id": "a1"}, {"new_id": "s2", "reference": "9999"})
    state = folded(consumer, *consumer.unlink_connection(state, "c1", DELETED), state=state)
    assert (state.links, state.past) == ((), ())


def test_the_history_of_one_account_is_not_that_of_another():
    other = {"new_id": "a9", "reference": "77", "evidence": OTHER_IBAN}
    also = {"new_id": "s9", "connection_id": "c2", "reference": "99", "evidence": OTHER_IBAN}
    state = seen(*BOTH, other, also)
    state = folded(consumer, *consumer.unlink_connection(state, "c1", DELETED), state=state)
    assert consumer.sources_of(state, "a1") == ["a1", "s2"]
    assert consumer.sources_of(state, "a9") == ["a9", "s9"]


# Whatever happens


CONNECTIONS = ("c1", "c2", "c3")
SHOWN = {
    "connection_id": CONNECTIONS,
    "reference": ("1", "2"),
    "evidence": (IBAN, IBAN, OTHER_IBAN, NOTHING),
    "currency": ("EUR", "EUR", "USD", NO_CURRENCY),
    "provider_user": ("7301", "7301", "9"),
}
accounts_shown = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in SHOWN.items()})
steps = st.one_of(
    accounts_shown.map(lambda account: ("shown", account)),
    st.integers(0, 9).map(lambda number: ("taken out", number)),
    st.sampled_from(CONNECTIONS).map(lambda connection: ("deleted", connection)),
)


def live_through(history) -> None:
    """Accounts are put together on evidence alone, and what is taken apart stays so."""
    state, alone = folded(consumer, REGISTERED), set()
    for number, (what, asked) in enumerate(history):
        before = by_source(state)
        if what == "shown":
            facts = shown(state, f"n{number}", **asked)
            evidence_of = {(link.account_id, link.evidence) for link in state.links}
            for link in facts:
                assert link.source not in before and link.currency == asked["currency"]
                if link.account_id != link.source:
                    assert (link.account_id, asked["evidence"]) in evidence_of and asked["evidence"].digest
        elif what == "deleted":
            facts = consumer.unlink_connection(state, asked, DELETED)
        else:
            links = state.links[asked : asked + 1]
            try:
                facts = tuple(
                    fact
                    for link in links
                    for fact in consumer.unlink_source(state, link.account_id, link.source)
                )
            except Refused:
                continue
            alone.update(link.source for link in links)
        state = folded(consumer, *facts, state=state)

        after = by_source(state)
        moved = {source for source in before.keys() & after.keys() if before[source] != after[source]}
        assert before.keys() - after.keys() == (
            {fact.source for fact in facts} if what == "deleted" else set()
        )
        assert moved == ({fact.source for fact in facts} if what == "taken out" else set())
        assert all(after[source] == source for source in alone & after.keys())
        assert len(after) == len(state.links), "no two links share a stream"
        told_apart = [(k.connection_id, k.reference, k.currency, k.provider_user) for k in state.links]
        assert len(set(told_apart)) == len(told_apart)
        histories = [consumer.sources_of(state, account) for account in sorted(set(after.values()))]
        named = [source for history in histories for source in history]
        assert len(set(named)) == len(named), "a history is of one account"
        assert set(after) <= set(named)
        if what == "shown":
            assert shown(state, "again", **asked) == ()
        assert stored(state, consumer.Consumer) == state


@given(histories(steps, 24))
def test_accounts_are_put_together_on_evidence_and_taken_apart_for_good(history):
    live_through(history)


@pytest.mark.parametrize("seed", range(20))
def test_so_it_is_in_a_long_life(seed):
    chance = random.Random(seed)

    def step():
        what = chance.choices(["shown", "taken out", "deleted"], [20, 3, 1])[0]
        if what == "taken out":
            return (what, chance.randrange(10))
        if what == "deleted":
            return (what, chance.choice(CONNECTIONS))
        return (what, {name: chance.choice(values) for name, values in SHOWN.items()})

    live_through([step() for _ in range(60)])
