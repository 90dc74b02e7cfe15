"""Transfers between own accounts: what counts as evidence, and what is merely alike."""

from __future__ import annotations

import random
from time import process_time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.insights.analysis import Analysis
from domain.insights.transfers import END_TO_END, IBAN, LOOK_ALIKE, WORDINGS, transfers_between
from tests.domain.insights.books_of import account, books, day, row

CHECKING, SAVINGS = "FR7600000000000000000000101", "FR7600000000000000000000202"


def found(*accounts, **more):
    """Pairs and suggestions as texts."""
    transfers = transfers_between(accounts, **more)
    return [
        [(pair.out.decode(), pair.into.decode(), pair.evidence) for pair in pairs]
        for pairs in (transfers.pairs, transfers.suggestions)
    ]


def checking(*rows, **more):
    return account("a", rows, iban=CHECKING, **more)


def savings(*rows, **more):
    return account("b", rows, iban=SAVINGS, kind="SAVINGS", **more)


# Evidence


def test_the_other_side_is_the_own_account():
    out = row("2024-03-01", -50_000, id="out", other=SAVINGS)
    into = row("2024-03-03", 50_000, id="in")
    assert found(checking(out), savings(into)) == [[("out", "in", IBAN)], []]


def test_what_comes_in_may_name_the_account_it_left():
    out = row("2024-03-01", -50_000, id="out")
    into = row("2024-03-01", 50_000, id="in", other=CHECKING.lower())
    assert found(checking(out), savings(into)) == [[("out", "in", IBAN)], []]


def test_a_number_names_an_account_as_an_iban_does():
    out = row("2024-03-01", -50_000, id="out", other="20002")
    into = row("2024-03-01", 50_000, id="in")
    assert found(checking(out), account("b", [into], number="200 02")) == [[("out", "in", IBAN)], []]


@pytest.mark.parametrize("owner", ["b", "c"])
def test_a_number_that_two_accounts_bear_names_neither(owner):
    out = row("2024-03-01", -50_000, id="out", other="20002")
    into = row("2024-03-01", 50_000, id="in")
    twins = (account(id, [into] if id == owner else [], number="20002") for id in "bc")
    assert found(checking(out), *twins) == [[], [("out", "in", LOOK_ALIKE)]]


def test_both_sides_name_each_other_before_one_does():
    """The credit that names where it came from is two days off, the one that names nobody is of the same day."""
    out = row("2024-03-01", -50_000, id="out", other=SAVINGS)
    plain = row("2024-03-01", 50_000, id="plain")
    named = row("2024-03-03", 50_000, id="named", other=CHECKING)
    assert found(checking(out), savings(plain, named)) == [[("out", "named", IBAN)], []]


OUTSIDER = "FR7699999999999999999999909"


@pytest.mark.parametrize("wage", ["2024-03-01", "2024-03-03"])
def test_a_side_that_names_nobody_goes_before_one_that_names_an_outsider(wage):
    """A wage of the same amount that names the employer's account, first by id and no farther, is no other side."""
    out = row("2024-03-01", -50_000, id="out", other=SAVINGS)
    paid = row(wage, 50_000, id="1-wage", other=OUTSIDER)
    into = row("2024-03-03", 50_000, id="2-in")
    assert found(checking(out), savings(paid, into)) == [[("out", "2-in", IBAN)], []]


def test_a_debit_that_names_nobody_goes_before_one_that_names_an_outsider():
    """A rent of the same amount names the landlord's account."""
    rent = row("2024-03-01", -50_000, id="1-rent", other=OUTSIDER)
    out = row("2024-03-01", -50_000, id="2-out")
    into = row("2024-03-01", 50_000, id="in", other=CHECKING)
    assert found(checking(rent, out), savings(into)) == [[("2-out", "in", IBAN)], []]


def test_a_side_that_names_nobody_goes_first_whichever_side_names_the_other():
    """Of two transfers each way round, both have their own other side: none takes the row that names an outsider."""
    outs = [row("2024-03-01", -50_000, id="1", other=SAVINGS), row("2024-03-01", -50_000, id="2")]
    ins = [
        row("2024-03-01", 50_000, id="3", other=OUTSIDER),
        row("2024-03-01", 50_000, id="4", other=CHECKING),
    ]
    # The first and the fourth name each other; what is left of both is merely alike.
    assert found(checking(*outs), savings(*ins)) == [[("1", "4", IBAN)], [("2", "3", LOOK_ALIKE)]]
    # The first names the savings, and nobody there but an outsider is named: it is the other side where no better is.
    assert found(checking(outs[0]), savings(ins[0])) == [[("1", "3", IBAN)], []]


def test_what_names_its_own_account_or_one_of_two_names_no_outsider():
    """The bank gives the holder's own number with what comes in."""
    out = row("2024-03-01", -50_000, id="out", other=SAVINGS)
    paid = row("2024-03-01", 50_000, id="1-wage", other=OUTSIDER)
    into = row("2024-03-01", 50_000, id="2-in", other=SAVINGS)
    assert found(checking(out), savings(paid, into)) == [[("out", "2-in", IBAN)], []]


def test_one_reference_from_end_to_end():
    out = row("2024-03-01", -50_000, id="out", end_to_end="E2E-77")
    into = row("2024-03-04", 50_000, id="in", end_to_end="e2e-77")
    assert found(checking(out), savings(into)) == [[("out", "in", END_TO_END)], []]


@pytest.mark.parametrize("reference", ["", "NOTPROVIDED", "Not Provided"])
def test_no_reference_is_no_evidence(reference):
    out = row("2024-03-01", -50_000, id="out", end_to_end=reference)
    into = row("2024-03-01", 50_000, id="in", end_to_end=reference)
    assert found(checking(out), savings(into)) == [[], [("out", "in", LOOK_ALIKE)]]


def test_both_texts_say_that_they_are_transfers():
    out = row("2024-03-01", -50_000, "VIR VERS LIVRET", "SAVING", id="out")
    into = row("2024-03-01", 50_000, "VIR DE COMPTE", "TRANSFER", id="in")
    assert found(checking(out), savings(into)) == [[("out", "in", WORDINGS)], []]


def test_one_text_alone_is_no_evidence():
    out = row("2024-03-01", -50_000, "VIR VERS LIVRET", "SAVING", id="out")
    into = row("2024-03-01", 50_000, id="in")
    assert found(checking(out), savings(into)) == [[], [("out", "in", LOOK_ALIKE)]]


@pytest.mark.parametrize(
    "wording", ["VIREMENT DE MARIUS PONTMERCY", "TRANSFERENCIA DE CARMEN LOPEZ", "STANDING ORDER FROM A/C 1"]
)
def test_a_transfer_of_a_savings_account_says_that_it_is_between_own_accounts(wording):
    out = row("2024-03-01", -50_000, "VIR VERS LIVRET", "SAVING", id="out")
    into = row("2024-03-01", 50_000, wording, id="in")
    assert found(checking(out), savings(into)) == [[("out", "in", WORDINGS)], []]
    # What it is known for is no such transfer; and a checking account is paid by others.
    known = row("2024-03-01", 50_000, wording, "WAGE", id="in")
    assert found(checking(out), savings(known)) == [[], [("out", "in", LOOK_ALIKE)]]
    assert found(checking(out), account("b", [into])) == [[], [("out", "in", LOOK_ALIKE)]]


@pytest.mark.parametrize(
    ("owner", "wording", "is_own"),
    [
        ("M. Marius Pontmercy", "VIR INST PONTMERCY MARIUS", True),
        ("Amélie POULAIN", "VIREMENT DE MLLE POULAIN AMELIE LOYER", True),
        ("Mme Amélie Poulain", "VIREMENT DE MME POULAIN JEANNE", False),
        ("M. Leclerc", "VIR M LECLERC", False),
        ("", "VIREMENT", False),
    ],
)
def test_who_names_a_holder_in_full_says_so_too(owner, wording, is_own):
    out = row("2024-03-01", -50_000, wording, id="out")
    into = row("2024-03-01", 50_000, "VIR DEPUIS COMPTE COURANT", "TRANSFER", id="in")
    pair = [("out", "in", WORDINGS if is_own else LOOK_ALIKE)]
    assert found(checking(out, owners=(owner,)), account("b", [into])) == (
        [pair, []] if is_own else [[], pair]
    )


def test_a_holder_is_also_named_as_the_other_side():
    out = row("2024-03-01", -50_000, "VIR SEPA", id="out", other_name="PONTMERCY MARIUS")
    into = row("2024-03-01", 50_000, "VIR SEPA PONTMERCY MARIUS", id="in")
    assert found(checking(out), account("b", [into], owners=("Marius Pontmercy",))) == [
        [("out", "in", WORDINGS)],
        [],
    ]


@pytest.mark.parametrize("own", ["", f" DEPUIS {CHECKING}"])
def test_an_iban_in_the_wording_names_the_other_side_where_nothing_else_does(own):
    iban = " ".join(SAVINGS[place : place + 4] for place in range(0, len(SAVINGS), 4))
    out = row("2024-03-01", -50_000, f"VIREMENT VERS {iban}{own}", id="out")
    into = row("2024-03-01", 50_000, id="in")
    assert found(checking(out), savings(into)) == [[("out", "in", IBAN)], []]
    elsewhere = out._replace(other=OUTSIDER)
    assert found(checking(elsewhere), savings(into)) == [[], [("out", "in", LOOK_ALIKE)]]


def test_a_short_number_in_a_wording_names_nobody():
    out = row("2024-03-01", -50_000, "VIREMENT 20002", id="out")
    into = row("2024-03-01", 50_000, id="in")
    assert found(checking(out), account("b", [into], number="20002")) == [[], [("out", "in", LOOK_ALIKE)]]


# What a pair must be


@pytest.mark.parametrize(
    ("out", "into"),
    [
        pytest.param(("2024-03-01", -50_000), ("2024-03-05", 50_000), id="four days apart"),
        pytest.param(("2024-03-01", -50_000), ("2024-03-01", 49_999), id="another amount"),
        pytest.param(("2024-03-01", -50_000), ("2024-03-01", -50_000), id="both leave"),
        pytest.param(("2024-03-01", 0), ("2024-03-01", 0), id="nothing moves"),
    ],
)
def test_no_pair(out, into):
    one = row(*out, "VIR", "TRANSFER", other=SAVINGS, end_to_end="X")
    other = row(*into, "VIR", "TRANSFER", other=CHECKING, end_to_end="X")
    assert found(checking(one), savings(other)) == [[], []]


def test_no_pair_of_one_account():
    rows = [row("2024-03-01", -50_000, other=CHECKING), row("2024-03-01", 50_000, other=CHECKING)]
    assert found(checking(*rows)) == [[], []]


def test_no_pair_of_two_currencies():
    out, into = row("2024-03-01", -50_000, other=SAVINGS), row("2024-03-01", 50_000, other=CHECKING)
    assert found(checking(out), savings(into, currency="CHF")) == [[], []]


def test_no_row_after_the_reference_day():
    out, into = row("2024-03-01", -50_000, other=SAVINGS), row("2024-03-02", 50_000)
    assert found(checking(out), savings(into), as_of=day("2024-03-01")) == [[], []]


# One to one


def test_the_strongest_evidence_goes_first():
    """Two credits of one amount: the far one names the account, the near one is merely alike."""
    out = row("2024-03-01", -50_000, id="out")
    near, far = (
        row("2024-03-01", 50_000, id="near"),
        row("2024-03-04", 50_000, id="far", other=CHECKING),
    )
    assert found(checking(out), savings(near, far)) == [[("out", "far", IBAN)], []]


def test_then_the_nearest_day():
    outs = [
        row("2024-03-01", -50_000, id="1", other=SAVINGS),
        row("2024-03-03", -50_000, id="2", other=SAVINGS),
    ]
    ins = [row("2024-03-03", 50_000, id="3"), row("2024-03-04", 50_000, id="4")]
    assert found(checking(*outs), savings(*ins)) == [[("1", "4", IBAN), ("2", "3", IBAN)], []]


def test_then_the_order_of_ids():
    outs = [row("2024-03-01", -50_000, id=id, other=SAVINGS) for id in ("2", "1")]
    assert found(checking(*outs), savings(row("2024-03-02", 50_000, id="3"))) == [[("1", "3", IBAN)], []]


def test_a_look_alike_is_in_every_figure():
    """A rent of 500.00 leaves on the day on which a friend puts 500.00 on the savings account."""
    rent, gift = row("2024-03-01", -50_000, id="rent"), row("2024-03-01", 50_000, id="gift")
    analysis = Analysis(books(checking(rent), savings(gift), as_of="2024-03-31"))
    assert analysis.transfers.suggestions
    assert not any(analysis.is_between_own(held) for account in analysis.accounts for held in account.rows)


# Laws


@st.composite
def own_accounts(draw):
    accounts = []
    for id, iban in (("a", CHECKING), ("b", SAVINGS), ("c", "")):
        rows = draw(
            st.lists(
                st.builds(
                    row,
                    st.integers(19_000, 19_008),
                    st.sampled_from([-200, -100, 100, 200]),
                    st.just("VIR"),
                    st.sampled_from(["TRANSFER", "RENT", "SAVING"]),
                    other=st.sampled_from(["", CHECKING, SAVINGS, "FR00ELSE"]),
                    end_to_end=st.sampled_from(["", "", "E1", "E2"]),
                ),
                max_size=12,
            )
        )
        accounts.append(account(id, rows, iban=iban or None, currency="EUR"))
    return accounts


@given(own_accounts(), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_accounts_changes_nothing(accounts, chance: random.Random):
    shuffled = [
        msgspec.structs.replace(one, rows=tuple(chance.sample(one.rows, len(one.rows)))) for one in accounts
    ]
    chance.shuffle(shuffled)
    assert transfers_between(shuffled) == transfers_between(accounts)


@given(own_accounts())
def test_pairs_are_opposite_near_and_of_two_accounts_and_no_row_is_in_two(accounts):
    rows = {held.id: held for one in accounts for held in one.rows}
    transfers = transfers_between(accounts)
    for pair in (*transfers.pairs, *transfers.suggestions):
        out, into = rows[pair.out], rows[pair.into]
        assert out.amount == -into.amount < 0
        assert abs(out.day - into.day) <= 3
        assert out.account != into.account
        if pair.evidence != LOOK_ALIKE:
            assert out.other or into.other or out.end_to_end or (out.has("TRANSFER") or out.has("SAVING"))
    ids = [id for pair in (*transfers.pairs, *transfers.suggestions) for id in pair[:2]]
    assert len(ids) == len(set(ids))


@given(own_accounts(), own_accounts())
def test_accounts_of_another_currency_change_nothing(accounts, others):
    foreign = [
        msgspec.structs.replace(
            one,
            id=f"x{one.id}",
            iban=None,
            currency="CHF",
            rows=tuple(r._replace(id=b"x" + r.id) for r in one.rows),
        )
        for one in others
    ]
    alone = transfers_between(accounts)
    together = transfers_between([*accounts, *foreign])
    assert [pair for pair in together.pairs if not pair.out.startswith(b"x")] == list(alone.pairs)


def test_many_rows_of_one_amount_take_no_long():
    """20,000 rows of one amount within a few days: looked at pair by pair they would be 100,000,000."""
    outs = [row(19_000 + place % 5, -1_000, id=f"o{place}") for place in range(10_000)]
    ins = [row(19_000 + place % 5, 1_000, id=f"i{place}") for place in range(10_000)]
    accounts = checking(*outs), savings(*ins)
    before = process_time()
    transfers = transfers_between(accounts)
    assert process_time() - before < 5
    assert len(transfers.suggestions) == 10_000
