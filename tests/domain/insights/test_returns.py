"""Which debit a rejection gives back."""

from __future__ import annotations

from time import process_time

from domain.insights.books import Row
from domain.insights.returns import returned_debits
from tests.domain.insights.books_of import account, row


def returned(*rows: Row) -> dict[bytes, bytes]:
    """By the id of the debit that of the credit."""
    return {debit: credit.id for debit, credit in returned_debits(account("a", rows).rows).items()}


def debit(on: str, amount: int, wording: str, *, id: str = "debit", brand: str = "") -> Row:
    return row(on, amount, wording, "LOAN_REPAYMENT_PERSONAL", id=id, brand=brand)


def rejection(on: str, amount: int, wording: str, *, id: str = "credit", brand: str = "") -> Row:
    return row(on, amount, wording, "PAYMENT_REJECTION", id=id, brand=brand)


def test_a_rejection_gives_back_the_debit_that_its_wording_names():
    # Given two debits of one amount; when the second is rejected three days later; then it is that one.
    found = returned(
        debit("2024-01-05", -9413, "PRELEVEMENT CASINO", id="other"),
        debit("2024-01-05", -9413, "PRELEVEMENT ONEY BANQUE ACCORD CA 019"),
        rejection("2024-01-08", 9413, "IMPAYE - PRLV SEPA ONEY BANQUE ACCORD CA=019*CA"),
    )
    assert found == {b"debit": b"credit"}


def test_a_brand_is_enough_where_the_wordings_differ():
    found = returned(
        debit("2024-01-05", -100, "PRLV ADVZ 12", brand="Advanzia"),
        rejection("2024-01-05", 100, "REJET PRLV CARTE ZERO", brand="Advanzia"),
    )
    assert found == {b"debit": b"credit"}


def test_a_long_number_in_common_is_enough():
    found = returned(
        debit("2024-01-05", -4788, "CHQ. N.1239208"),
        row("2024-01-07", 4788, "REJET CHEQUE 1239208", "CHECK_REJECTION", id="credit"),
    )
    assert found == {b"debit": b"credit"}


def test_a_word_of_payments_is_no_evidence():
    found = returned(
        debit("2024-01-05", -100, "PRELEVEMENT SEPA COFIDIS"),
        rejection("2024-01-06", 100, "REJET PRELEVEMENT SEPA CREDIPAR"),
    )
    assert found == {}


def test_a_rejection_that_names_nobody_gives_back_the_only_debit_of_its_amount():
    named = debit("2024-01-05", -100, "PRELEVEMENT SEPA COFIDIS")
    assert returned(named, rejection("2024-01-06", 100, "REJET PRELEVEMENT")) == {b"debit": b"credit"}
    # Of two there is no telling.
    other = debit("2024-01-04", -100, "PRELEVEMENT SEPA CREDIPAR", id="other")
    assert returned(other, named, rejection("2024-01-06", 100, "REJET PRELEVEMENT")) == {}


def test_it_comes_within_ten_days_and_not_before():
    early = rejection("2024-01-04", 100, "REJET PRLV COFIDIS")
    late = rejection("2024-01-16", 100, "REJET PRLV COFIDIS")
    last = rejection("2024-01-15", 100, "REJET PRLV COFIDIS")
    paid = debit("2024-01-05", -100, "PRLV COFIDIS")
    assert returned(paid, early) == {}
    assert returned(paid, late) == {}
    assert returned(paid, last) == {b"debit": b"credit"}


def test_each_debit_is_returned_once_the_latest_first():
    # Given a payment that was presented again; when it is rejected; then the second one is, and the first by the first.
    found = returned(
        debit("2024-01-05", -100, "PRLV COFIDIS", id="first"),
        rejection("2024-01-05", 100, "REJET PRLV COFIDIS", id="back"),
        debit("2024-01-08", -100, "PRLV COFIDIS REPRESENTATION", id="second"),
        rejection("2024-01-09", 100, "REJET PRLV COFIDIS", id="back-again"),
    )
    assert found == {b"first": b"back", b"second": b"back-again"}


def test_another_account_another_amount_and_a_plain_credit_return_nothing():
    paid = account("a", [debit("2024-01-05", -100, "PRLV COFIDIS")]).rows
    elsewhere = account("b", [rejection("2024-01-06", 100, "REJET PRLV COFIDIS")]).rows
    less = account("a", [rejection("2024-01-06", 99, "REJET PRLV COFIDIS")]).rows
    plain = account("a", [row("2024-01-06", 100, "AVOIR COFIDIS", "REFUND", id="credit")]).rows
    for credit in (elsewhere, less, plain):
        assert returned_debits([*paid, *credit]) == {}


def test_the_latest_debit_that_one_of_its_words_names_is_given_back():
    # Given one debit that shares the brand and a later one that shares a word; then the later one, then the other.
    found = returned(
        debit("2024-01-05", -100, "PRLV ALPHA", id="brand", brand="Omega"),
        debit("2024-01-06", -100, "PRLV BETA", id="word"),
        rejection("2024-01-07", 100, "REJET BETA", brand="Omega", id="1"),
        rejection("2024-01-08", 100, "REJET BETA", brand="Omega", id="2"),
    )
    assert found == {b"word": b"1", b"brand": b"2"}


def test_a_rejection_that_names_nobody_looks_past_what_was_returned():
    # Given two debits, of which the later one was named and given back; then the other is the only one that is left.
    found = returned(
        debit("2024-01-05", -100, "PRLV ALPHA", id="first"),
        debit("2024-01-06", -100, "PRLV BETA", id="second"),
        rejection("2024-01-07", 100, "REJET BETA", id="1"),
        rejection("2024-01-08", 100, "REJET PRLV", id="2"),
    )
    assert found == {b"second": b"1", b"first": b"2"}


def test_many_debits_of_one_amount_take_no_long():
    """12,000 debits of one amount over two years and as many rejections: half name the payee, half name another."""
    debits = [row(19_000 + place // 17, -100, "PRLV COFIDIS", id=f"d{place:05d}") for place in range(12_000)]
    credits = [
        row(
            19_001 + place // 17,
            100,
            f"REJET PRLV {'COFIDIS' if place % 2 else 'CREDIPAR'}",
            "PAYMENT_REJECTION",
            id=f"r{place:05d}",
        )
        for place in range(12_000)
    ]
    rows = account("a", [*debits, *credits]).rows
    before = process_time()
    assert len(returned_debits(rows)) == 6_000
    assert process_time() - before < 1.5
