"""Which labels a row has, and the rule that gave each."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

from domain.categories.rule_book import Match, Rule, RuleBook
from domain.categories.words import words_of

#: Only so many characters of a wording, and of the other side's name, are looked at.
LETTERS_MAX = 512
NAME_LETTERS_MAX = 128

#: The same row comes back every month, with other digits.
_ROWS_MAX = 65_536
#: Longer rows are not kept: they would fill the memory, and they do not come back.
_KEPT_BYTES_MAX = 256
_WRITTEN_MAX = 65_536
#: It matters where digits stand, and not which they are.
_SAME_DIGITS = bytes.maketrans(b"123456789", b"000000000")

# How labels are written: `WAGE:fr.wage.salaire;RENT:fr.rent.brand.citya:Citya`.
_BETWEEN, _WITHIN = ";", ":"
_ESCAPES = (("%", "%25"), (_BETWEEN, "%3B"), (_WITHIN, "%3A"))


#: How it was paid tells nobody's name: the bank whose machine gave the cash is no brand.
_NAMELESS = frozenset({"CASH_WITHDRAWAL", "CASH_DEPOSIT", "CHECK", "CHECK_DEPOSIT", "CARD_SETTLEMENT"})


class Label(NamedTuple):
    """A label of a row."""

    name: str
    """One of `vocabulary.LABELS`."""
    rule: str
    """The rule that gave it, such as `fr.wage.salaire`; `stated` where whoever brought the row said so."""
    brand: str = ""
    """Whom the rule knows by name: a lender, a shop; empty where it knows the kind alone."""


RULES = RuleBook(
    {
        entry.name: entry.read_bytes()
        for entry in files("domain.categories").joinpath("rules").iterdir()
        if entry.name.endswith(".toml")
    }
)
#: The number that people gave the rules, and a digest of their files: it changes with every letter of them.
VERSION = RULES.version


def labels_of(
    wording: str | None, kind: str = "unknown", amount: int | None = None, counterparty: str = ""
) -> tuple[Label, ...]:
    """The labels of a row, the most telling one first; none is a value.

    `kind` is the provider's type, raw; `amount` is signed, and only its sign is looked at; `counterparty` is the name
    of the other side. Of a wording the first 512 characters are read, of a name 128. Takes less than a millisecond,
    whatever they are. A label for credits is never given to a debit, nor the reverse.
    """
    text = (wording or "")[:LETTERS_MAX].encode(errors="replace").translate(_SAME_DIGITS)
    name = counterparty[:NAME_LETTERS_MAX].encode(errors="replace").translate(_SAME_DIGITS)
    sign = 0 if amount is None else (amount > 0) - (amount < 0)
    if len(text) + len(name) > _KEPT_BYTES_MAX:
        return categorised(RULES, text.decode(), kind, sign, name.decode())
    return _kept(text, kind, sign, name)


def is_transfer(wording: str, kind: str) -> bool:
    """Whether a row is a transfer, by the provider's type, else by its words. It need not be between own accounts."""
    return RULES.is_transfer(words_of(wording[:LETTERS_MAX]), kind)


@lru_cache(maxsize=_ROWS_MAX)
def _kept(text: bytes, kind: str, sign: int, name: bytes) -> tuple[Label, ...]:
    return categorised(RULES, text.decode(), kind, sign, name.decode())


def categorised(rules: RuleBook, text: str, kind: str, sign: int, name: str) -> tuple[Label, ...]:
    """The labels that a rule book gives.

    The most telling rule decides: the highest rank, then the most letters, then the id. Where it knows nobody by name,
    the brand is that of the most telling rule that does, whatever the sign: what came back to somebody is a credit.
    """
    matches = sorted(rules.matches(words_of(text), words_of(name), kind), reverse=True)
    for match in matches:
        names = _names(match.rule, sign)
        if names:
            brand = match.rule.brand or ("" if names[0] in _NAMELESS else _brand(matches))
            return tuple(Label(one, match.id, brand) for one in names)
    return ()


def _names(rule: Rule, sign: int) -> tuple[str, ...]:
    if sign > 0:
        return rule.credit
    if sign < 0:
        return rule.debit
    return rule.debit or rule.credit


def _brand(matches: list[Match]) -> str:
    return next((match.rule.brand for match in matches if match.rule.brand), "")


@lru_cache(maxsize=_WRITTEN_MAX)
def write_labels(labels: tuple[Label, ...]) -> str:
    """As a row keeps its labels: `WAGE:fr.wage.salaire`, with the brand behind where there is one; "" for none."""
    return _BETWEEN.join(
        _WITHIN.join(_escaped(part) for part in (label if label.brand else label[:2])) for label in labels
    )


@lru_cache(maxsize=_WRITTEN_MAX)
def read_labels(text: str) -> tuple[Label, ...]:
    """What `write_labels` wrote.

    Raises:
        ValueError: it did not write this
    """
    if not text:
        return ()
    labels = []
    for one in text.split(_BETWEEN):
        parts = [_unescaped(part) for part in one.split(_WITHIN)]
        if len(parts) not in (2, 3):
            raise ValueError("a label has a name, a rule, and perhaps a brand")
        labels.append(Label(*parts))
    return tuple(labels)


def _escaped(part: str) -> str:
    for sign, written in _ESCAPES:
        part = part.replace(sign, written)
    return part


def _unescaped(part: str) -> str:
    for sign, written in reversed(_ESCAPES):
        part = part.replace(written, sign)
    return part
