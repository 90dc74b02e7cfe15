"""Laws: what holds of every wording."""

from __future__ import annotations

import json
import random
import re
import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.categories import categorise
from domain.categories.categorise import (
    RULES,
    Label,
    categorised,
    labels_of,
    read_labels,
    write_labels,
)
from domain.categories.rule_book import RuleBook
from domain.categories.vocabulary import CREDIT, DEBIT, LABELS
from tests.domain.categories import test_wordings

GOLDEN = Path(__file__).with_name("labels.golden.json")
WORDINGS = [
    line.split(" ", 2)[2]
    for text in (
        *(test_wordings.FRENCH, test_wordings.ENGLISH, test_wordings.SPANISH),
        *(test_wordings.DUTCH, test_wordings.CZECH),
    )
    for line in text.splitlines()
    if line
]
KINDS = [
    "unknown",
    "transfer",
    "order",
    "card",
    "deferred_card",
    "withdrawal",
    "check",
    "bank",
    "loan_repayment",
]
#: Words of the rules in any order, with words of nobody's between.
WORDS = sorted({word for wording in WORDINGS for word in wording.split()} | {"X1", "M.", "DE", "/REF", "zzz"})

signs = st.sampled_from([-1, 1])
kinds = st.sampled_from(KINDS)
wordings = st.sampled_from(WORDINGS) | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)


def rule_files() -> dict[str, str]:
    folder = files("domain.categories") / "rules"
    return {entry.name: entry.read_text(encoding="utf-8") for entry in folder.iterdir()}


@given(wordings, kinds, signs)
def test_case_does_not_matter(wording, kind, sign):
    found = labels_of(wording, kind, sign)
    assert labels_of(wording.lower(), kind, sign) == found
    assert labels_of(wording.upper(), kind, sign) == found


@given(wordings, kinds, signs, st.randoms(use_true_random=False))
def test_accents_do_not_matter(wording, kind, sign, random):
    accented = "".join(
        one + random.choice(["", "\u0301", "\u0308"]) if one.isalpha() else one for one in wording
    )
    found = labels_of(wording, kind, sign)
    assert labels_of(accented, kind, sign) == found
    assert labels_of(normalize("NFC", accented), kind, sign) == found


@given(wordings, kinds, signs, st.randoms(use_true_random=False))
def test_which_digits_a_reference_has_does_not_matter(wording, kind, sign, random):
    other = re.sub(r"\d", lambda _: str(random.randrange(10)), wording)
    assert labels_of(other, kind, sign) == labels_of(wording, kind, sign)


@given(wordings, kinds)
def test_a_label_has_the_direction_of_its_row_and_the_rule_that_gave_it(wording, kind):
    for sign, forbidden in ((1, DEBIT), (-1, CREDIT)):
        labels = labels_of(wording, kind, sign * 1_234)
        for label in labels:
            assert LABELS[label.name].direction != forbidden
            assert label.rule in RULES.rules
            assert label.name in RULES.rules[label.rule].credit + RULES.rules[label.rule].debit
        assert len({label.name for label in labels}) == len(labels)


@given(
    wordings,
    kinds,
    st.sampled_from(["", "EDF SA", "M JEAN CARREFOUR", "COFIDIS", "Banque Émeraude"]),
    st.integers(-(10**12), 10**12),
)
def test_only_the_sign_of_an_amount_matters(wording, kind, name, amount):
    sign = (amount > 0) - (amount < 0)
    assert labels_of(wording, kind, amount, name) == labels_of(wording, kind, sign, name)


@given(st.text(max_size=700), st.text(max_size=20), signs | st.none() | st.just(0), st.text(max_size=200))
def test_no_text_at_all_is_an_error(wording, kind, sign, name):
    labels = labels_of(wording, kind, sign, name)
    assert read_labels(write_labels(labels)) == labels


@pytest.mark.parametrize(
    "wording",
    [
        "\ud800\udfff",
        "\x00" * 600,
        "😀" * 600,
        "\u0301" * 600,
        "\u202eFDE",
        "ﷺ" * 600,
        "İ" * 600,
        "1" * 600,
        "&" * 600,
    ],
    ids=lambda wording: ascii(wording[:2]),
)
def test_hostile_text_is_no_error(wording):
    assert labels_of(wording, "unknown", -1, wording) == ()


def test_what_is_not_seen_parts_no_word():
    assert labels_of("PRLV E\u200bD\u00adF", "order", -1)[0].brand == "EDF"
    assert labels_of("ＰＲＬＶ ＥＤＦ", "order", -1)[0].brand == "EDF"


def test_a_row_without_a_wording_and_without_an_amount():
    assert labels_of(None) == ()
    assert labels_of("EDF")[0].name == "POWER"
    assert labels_of("EDF", "order", 0)[0].name == "POWER"


@cache
def shuffled() -> RuleBook:
    """The rules in another order, and in other files."""
    blocks, rest = [], []
    for text in rule_files().values():
        head, *rules = text.split("[[rule]]\n")
        rest.append(head)
        blocks += ["[[rule]]\n" + rule for rule in rules]
    random.Random(4).shuffle(blocks)
    half = len(blocks) // 2
    contents = {"b.toml": "".join([*rest, *blocks[:half]]), "a.toml": "".join(blocks[half:])}
    return RuleBook({name: content.encode() for name, content in contents.items()})


@given(wordings, kinds, signs)
def test_the_order_of_rules_does_not_matter(wording, kind, sign):
    assert categorised(shuffled(), wording, kind, sign, "") == categorised(RULES, wording, kind, sign, "")


labels = st.builds(
    Label, st.sampled_from(sorted(LABELS)), st.text(min_size=1, max_size=20), st.text(max_size=20)
)


@given(st.lists(labels, max_size=4).map(tuple))
def test_what_is_written_is_read_again(some):
    assert read_labels(write_labels(some)) == some


@pytest.mark.parametrize("text", ["WAGE", "WAGE:a:b:c", ";", "WAGE:a;"])
def test_what_was_not_written_so_is_refused(text):
    with pytest.raises(ValueError, match="a label has a name"):
        read_labels(text)


def test_the_stored_form_of_labels_is_for_ever():
    # Rows hold it: a change of the form needs a reader of the old one.
    for entry in json.loads(GOLDEN.read_text()):
        some = tuple(Label(*label) for label in entry["labels"])
        assert write_labels(some) == entry["text"]
        assert read_labels(entry["text"]) == some


def test_the_version_tells_the_number_and_the_files():
    number, digest = categorise.VERSION.split(".")
    assert int(number) == tomllib.loads(rule_files()["common.toml"])["version"]
    assert re.fullmatch("[0-9a-f]{12}", digest)
    contents = {name: text.encode() for name, text in rule_files().items()}
    assert RuleBook(contents).version == categorise.VERSION
    contents["cs.toml"] += b"\n"
    assert RuleBook(contents).version != categorise.VERSION
