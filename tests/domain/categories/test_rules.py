"""The rules as data: what a file may say, and that ours say it."""

from __future__ import annotations

import re
import tomllib

import pytest

from domain.categories.categorise import RULES, Label, categorised
from domain.categories.phrases import BadPhrase, Phrases
from domain.categories.rule_book import BadRule, RuleBook
from domain.categories.vocabulary import LABELS
from domain.categories.words import words_of
from tests.conftest import ROOT
from tests.domain.categories.test_laws import rule_files


def book(text: str) -> RuleBook:
    return RuleBook({"test.toml": text.encode()})


def labels(text: str, wording: str, *, sign: int = -1, kind: str = "unknown", name: str = "") -> list[str]:
    return [label.name for label in categorised(book(text), wording, kind, sign, name)]


# Words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Prêt n° 12-345, 3x CB H&M", "pret n 00 0x cb h & m"),
        ("L'Œuvre ÉTÉ straße", "l oeuvre ete strasse"),
        ("CANAL+ 1 2 3", "canal + 0"),
        ("4974XXXX 10X 3X", "00xxxx 0x 0x"),
        ("a_b.c/d", "a b c d"),
        ("1 22 333 4", "00"),
        ("", ""),
    ],
)
def test_words_have_neither_case_nor_accents_nor_digits(text, words):
    assert " ".join(words_of(text)) == words


# Phrases


def found(phrases: list[str], text: str) -> list[tuple[str, int]]:
    known = Phrases()
    numbers = {known.number_of(phrase): phrase for phrase in phrases}
    return [(numbers[phrase], start) for phrase, start in known.found_in(words_of(text))]


def test_a_phrase_is_words_in_a_row():
    assert found(["pret immobilier"], "ECH PRET IMMOBILIER 123") == [("pret immobilier", 1)]
    assert found(["pret immobilier"], "PRET DE L'IMMOBILIER") == []
    assert found(["pret"], "INTERPRETE PRETS") == []


def test_a_number_between_two_words_is_passed_over():
    assert found(["pret immobilier"], "PRET 4711 IMMOBILIER") == [("pret immobilier", 0)]
    assert found(["loans 2 go"], "LOANS 2 GO") == [("loans 2 go", 0)]
    assert found(["bet 365"], "BET 365") == [("bet 365", 0)]
    assert found(["bet 365"], "BET 12") == []


def test_a_star_stands_for_the_rest_of_a_word():
    assert found(["carref* market"], "CARREFOUR MARKET") == [("carref* market", 0)]
    assert found(["mutuelle*"], "MUTUELLES MUTUEL") == [("mutuelle*", 0)]
    # A word that is known whole and by its beginning leads both ways.
    assert sorted(found(["pret*", "pret"], "PRET")) == [("pret", 0), ("pret*", 0)]


def test_numbers_of_instalments_are_told_from_card_numbers():
    assert found(["3x"], "CB 4X") == [("3x", 1)]
    assert found(["3x"], "CARTE 4974X") == []


@pytest.mark.parametrize("phrase", ["", "***", "*a", "ab*", "a* b*c", "12 34", " ".join("abcdefghi")])
def test_a_phrase_that_nothing_could_be_is_refused(phrase):
    with pytest.raises(BadPhrase):
        Phrases().number_of(phrase)


# Rules


def test_any_all_none_and_alternatives():
    text = """
        [[rule]]
        id = "x.fee"
        label = "BANK_FEES"
        any = ["frais", "commission*"]
        all = ["carte|cb", "visa"]
        none = ["opposition"]
    """
    assert labels(text, "FRAIS CARTE VISA") == ["BANK_FEES"]
    assert labels(text, "VISA CB COMMISSIONS") == ["BANK_FEES"]
    assert labels(text, "CARTE VISA") == []
    assert labels(text, "FRAIS VISA") == []
    assert labels(text, "FRAIS CARTE VISA OPPOSITION") == []
    assert labels(text, "FRAIS CARTE VISA", sign=1) == []


def test_the_higher_rank_decides_then_the_longer_phrase():
    text = """
        [[rule]]
        id = "x.high"
        label = "RENT"
        any = ["loyer"]
        rank = 70
        [[rule]]
        id = "x.long"
        label = "INSURANCE"
        any = ["carrefour assurance"]
        [[rule]]
        id = "x.short"
        label = "GROCERIES"
        any = ["carrefour"]
        rank = 60
    """
    assert labels(text, "CARREFOUR") == ["GROCERIES"]
    assert labels(text, "CARREFOUR ASSURANCE") == ["INSURANCE"]
    assert labels(text, "CARREFOUR ASSURANCE LOYER") == ["RENT"]


def test_a_row_gets_the_labels_of_its_direction():
    text = """
        [[rule]]
        id = "x.lender"
        labels = ["LOAN_REPAYMENT", "LOAN_DRAWDOWN", "TRANSFER"]
        any = ["lender"]
    """
    assert labels(text, "LENDER") == ["LOAN_REPAYMENT", "TRANSFER"]
    assert labels(text, "LENDER", sign=1) == ["LOAN_DRAWDOWN", "TRANSFER"]
    assert labels(text.replace("any", 'sign = "debit"\nany'), "LENDER", sign=1) == []


def test_types_and_the_other_side():
    text = """
        [[rule]]
        id = "x.order"
        label = "POWER"
        any = ["edf"]
        kinds = ["order"]
        [[rule]]
        id = "x.name"
        label = "WATER"
        counterparty = ["saur"]
        [[rule]]
        id = "x.kind"
        label = "CHECK"
        kinds = ["check"]
    """
    assert labels(text, "EDF", kind="order") == ["POWER"]
    assert labels(text, "EDF", kind="card") == []
    assert labels(text, "EDF", kind="unknown") == ["POWER"]
    assert labels(text, "", kind="order", name="EDF") == ["POWER"]
    assert labels(text, "SAUR") == []
    assert labels(text, "", name="SAUR") == ["WATER"]
    assert labels(text, "X", kind="check") == ["CHECK"]


def test_brands_are_a_rule_each():
    text = """
        [[rule]]
        id = "x.shop"
        label = "SHOPPING"
        transfers = true
        [rule.brands]
        "Pré & Bois 24" = ["pre bois"]
        "Fnac" = ["fnac", "darty"]
    """
    assert set(book(text).rules) == {"x.shop.pre-bois-24", "x.shop.fnac"}
    assert categorised(book(text), "DARTY", "card", -1, "") == (Label("SHOPPING", "x.shop.fnac", "Fnac"),)


def test_behind_a_title_stands_a_person():
    text = """
        [words]
        titles = ["m", "mme"]
        transfers = ["vir"]
        purchases = ["ideal"]
        [[rule]]
        id = "x.brand"
        label = "TELECOM"
        [rule.brands]
        "Orange" = ["orange"]
        [[rule]]
        id = "x.purpose"
        label = "RENT"
        any = ["loyer"]
        [[rule]]
        id = "x.shop"
        label = "SHOPPING"
        any = ["fnac"]
    """
    assert labels(text, "M ORANGE") == labels(text, "M JEAN ORANGE") == []
    assert labels(text, "M JEAN PAUL ORANGE") == ["TELECOM"]
    assert labels(text, "M LOYER") == []
    assert labels(text, "M DUPONT LOYER") == ["RENT"]
    assert labels(text, "M ORANGE ORANGE SA ORANGE") == ["TELECOM"]
    assert labels(text, "VIR FNAC") == []
    assert labels(text, "VIR IDEAL FNAC") == ["SHOPPING"]
    assert labels(text, "VIR FNAC", kind="card") == ["SHOPPING"]
    assert labels(text, "FNAC", kind="transfer") == []


RULE = '[[rule]]\nid = "x.y"\nlabel = "RENT"\nany = ["rent"]\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (RULE.replace("RENT", "RNET"), "RNET"),
        (RULE + 'colour = "red"\n', "colour"),
        (RULE + RULE, "two of it"),
        (RULE.replace("x.y", "X Y"), "an id is"),
        (RULE.replace("any", "labels = ['WATER']\nany"), "label or labels"),
        ('[[rule]]\nid = "x.y"\nlabel = "RENT"\n', "no row that it is meant"),
        (RULE + 'sign = "credit"\n', "no row of its sign"),
        (RULE + 'sign = "up"\n', "a sign is"),
        (RULE + "rank = 0\n", "a rank is"),
        (RULE + 'none = ["*"]\n', "star"),
        (RULE + '[rule.brands]\n"A" = ["a b"]\n', "brands take the place"),
        ('[words]\ncolours = ["red"]\n', "no words called colours"),
        ("[[rule]]\nid = 4\n", "test.toml"),
        ("[[rule", "test.toml"),
    ],
)
def test_a_file_that_says_something_else_is_refused(text, reason):
    with pytest.raises(BadRule, match=re.escape(reason).replace("no\\ row\\ that", "no row.*that")):
        book(text)


# Ours


def test_every_label_but_those_of_streams_has_a_rule():
    given = {label for rule in RULES.rules.values() for label in rule.credit + rule.debit}
    # Only a stream is regular; what nobody knows has no label.
    assert set(LABELS) - given == {"REGULAR_INCOME", "REGULAR_EXPENSE"}


@pytest.mark.parametrize("name", sorted(rule_files()))
def test_a_file_has_rules_of_its_own_country_only(name):
    country = name.removesuffix(".toml")
    for rule in tomllib.loads(rule_files()[name])["rule"]:
        assert rule["id"].startswith(f"{country}."), rule["id"]


@pytest.mark.parametrize("name", sorted(rule_files()))
def test_each_phrase_of_ours_is_one_that_its_rule_meets(name):
    for written in tomllib.loads(rule_files()[name])["rule"]:
        if written.get("all"):
            continue
        phrases = [
            *written.get("any", ()),
            *(one for some in written.get("brands", {}).values() for one in some),
        ]
        excluded = Phrases()
        for phrase in written.get("none", ()):
            excluded.number_of(phrase)
        for phrase in phrases:
            words = words_of(phrase.replace("*", ""))
            if any(True for _ in excluded.found_in(words)):
                continue
            ids = {match.id for match in RULES.matches(words, [], "card")}
            kinds = written.get("kinds", ["card"])
            assert "card" not in kinds or any(id.startswith(written["id"]) for id in ids), (
                written["id"],
                phrase,
            )


def test_the_files_come_with_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["domain.categories"]
    folder = ROOT / "domain" / "categories"
    packed = {path.name for pattern in patterns for path in folder.glob(pattern)}
    assert (
        packed
        == set(rule_files())
        == {f"{country}.toml" for country in ("common", "fr", "en", "es", "nl", "cs")}
    )
