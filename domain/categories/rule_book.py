"""The rules: what their files may say, and which of them a text, a type and a sign meet.

A file is TOML: `[[rule]]` tables, whose keys are the fields of `Written`. `docs/categories.md` tells them to people.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from domain.categories.phrases import BadPhrase, Phrases
from domain.categories.vocabulary import CREDIT, DEBIT, EITHER, FEE, INCIDENT, LABELS
from domain.categories.words import words_of

# How telling a rule is, unless it says so itself: what a row is for tells more than who is named in it.
RANK_FEE = 90
RANK_INCIDENT = 80
RANK_PURPOSE = 60
RANK_NAME = 50
RANK_MIN, RANK_MAX = 1, 100

#: Alternatives within one phrase of `all`.
OR = "|"
#: Types that a provider gives where it does not know.
KINDS_UNKNOWN = frozenset({"", "unknown"})
KINDS_TRANSFER = frozenset({"transfer", "payback"})
#: What is sold over a counter or on a page: nobody pays it by transfer, and many of these names are people's, too.
SOLD = frozenset(
    {
        *("GROCERIES", "RESTAURANT", "SHOPPING", "TOBACCO", "SPORT", "FUEL", "TRAVEL", "MULTIMEDIA"),
        *("TRANSPORT", "GAMBLING"),
    }
)
_ID = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)+")


class BadRule(ValueError):
    """A file of rules is not what it should be."""


class Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule as a file has it."""

    id: str
    """Unique among all files: words with dots between."""
    label: str = ""
    labels: tuple[str, ...] = ()
    """In place of `label`: each row gets those whose direction is its own."""
    brand: str = ""
    brands: Mapping[str, tuple[str, ...]] = {}
    """By the name of whoever it is, the phrases that tell it: one rule each, with an id that ends in the name."""
    sign: str = EITHER
    """`credit` or `debit`; beside it the direction of the labels decides."""
    kinds: frozenset[str] = frozenset()
    """The provider's types that it is for, the unknown type included; empty for all."""
    any: tuple[str, ...] = ()
    all: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    counterparty: tuple[str, ...] = ()
    """Phrases that count as one of `any` where the other side's name has them."""
    rank: int | None = None
    transfers: bool | None = None
    """Whether it is for transfers, too."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: tuple[Written, ...] = ()
    version: int | None = None
    words: Mapping[str, tuple[str, ...]] = {}


class Rule(NamedTuple):
    """A rule as it is looked up; its phrases are numbers."""

    id: str
    brand: str
    credit: tuple[str, ...]
    """The labels that a credit gets."""
    debit: tuple[str, ...]
    kinds: frozenset[str]
    any: frozenset[int]
    all: tuple[frozenset[int], ...]
    none: frozenset[int]
    counterparty: frozenset[int]
    rank: int
    transfers: bool
    is_name: bool
    """Whether its phrases are names: after a title they are a person's."""


class Match(NamedTuple):
    """A rule that a row meets. The larger, the more telling."""

    rank: int
    letters: int
    """How many letters of the row it rests on."""
    id: str
    rule: Rule


class _Found(NamedTuple):
    """The phrases that words have."""

    all: set[int]
    said: set[int]
    """Those that stand elsewhere than right behind a title: `M. Loyer` is no rent."""
    names: set[int]
    """Those that may be names of shops and lenders: `M. Jean Leclerc` is none."""

    def and_of(self, other: _Found) -> _Found:
        return _Found(self.all | other.all, self.said | other.said, self.names | other.names)


class RuleBook:
    """All rules, by the phrases that they begin with: a row costs what its own words lead to."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Read files, by their names.

        Raises:
            BadRule: a file can't be read, or has an unknown key or label, a doubled id, a rule that says nothing
        """
        written: list[Written] = []
        words: dict[str, list[str]] = defaultdict(list)
        version = 0
        for name, content in sorted(files.items()):
            file = _read(name, content)
            written += file.rule
            version = file.version or version
            for group, phrases in file.words.items():
                words[group] += phrases
        self.version = f"{version}.{_digest(files)[:12]}"
        """The number that people give the rules, and what tells these very files from others."""
        self._phrases = Phrases()
        self.rules: dict[str, Rule] = {}
        self._by_phrase: dict[int, list[Rule]] = defaultdict(list)
        self._by_counterparty: dict[int, list[Rule]] = defaultdict(list)
        self._by_kind: dict[str, list[Rule]] = defaultdict(list)
        for one in written:
            for rule in self._rules_of(one):
                self._add(rule)
        self.titles = frozenset(_word(text) for text in words.pop("titles", ()))
        """The words that stand before a person's name."""
        self._transfers = self._numbers(words.pop("transfers", ()))
        self._purchases = self._numbers(words.pop("purchases", ()))
        if words:
            raise BadRule(f"there are no words called {', '.join(sorted(words))}")

    def matches(self, text: Sequence[str], name: Sequence[str], kind: str) -> list[Match]:
        """The rules that a row meets whatever its sign: the words of its wording, the other side's name, its type."""
        of_text, of_name = self._found(text), self._found(name)
        found = of_text.and_of(of_name)
        is_transfer = self._is_transfer(found.all, kind)
        candidates: dict[str, Rule] = {}
        for phrase in found.all:
            for rule in self._by_phrase.get(phrase, ()):
                candidates[rule.id] = rule
        for phrase in of_name.all:
            for rule in self._by_counterparty.get(phrase, ()):
                candidates[rule.id] = rule
        for rule in self._by_kind.get(kind, ()):
            candidates[rule.id] = rule
        met = []
        for rule in candidates.values():
            if is_transfer and not rule.transfers:
                continue
            if rule.kinds and kind not in rule.kinds and kind not in KINDS_UNKNOWN:
                continue
            if not rule.none.isdisjoint(found.all):
                continue
            letters = self._letters(rule, found, of_name)
            if letters is not None:
                met.append(Match(rule.rank, letters, rule.id, rule))
        return met

    def is_transfer(self, text: Sequence[str], kind: str) -> bool:
        """Whether a row with these words is a transfer between accounts, whosever they are."""
        return self._is_transfer(self._found(text).all, kind)

    def _found(self, words: Sequence[str]) -> _Found:
        found = _Found(set(), set(), set())
        # The `m` of `H&M` is none.
        titles = {
            place
            for place, word in enumerate(words)
            if word in self.titles and not (place and words[place - 1] == "&")
        }
        for phrase, start in self._phrases.found_in(words):
            found.all.add(phrase)
            if start - 1 not in titles:
                found.said.add(phrase)
                if start - 2 not in titles:
                    found.names.add(phrase)
        return found

    def _is_transfer(self, found: set[int], kind: str) -> bool:
        """Whether it is one between accounts, and no purchase that was paid so."""
        if not self._purchases.isdisjoint(found):
            return False
        return kind in KINDS_TRANSFER or (kind in KINDS_UNKNOWN and not self._transfers.isdisjoint(found))

    def _letters(self, rule: Rule, found: _Found, of_name: _Found) -> int | None:
        """How many letters a rule rests on, None where it does not hold."""
        lengths = self._phrases.letters
        letters = 0
        if rule.any or rule.counterparty:
            told = found.names if rule.is_name else found.said
            present = (rule.any & told) | (rule.counterparty & of_name.all)
            if not present:
                return None
            letters = max(lengths[phrase] for phrase in present)
        for alternatives in rule.all:
            present = alternatives & found.all
            if not present:
                return None
            letters += max(lengths[phrase] for phrase in present)
        return letters

    def _rules_of(self, written: Written) -> Iterable[Rule]:
        if not written.brands:
            yield self._rule(written, written.id, written.brand, written.any)
            return
        if written.brand or written.any or written.counterparty:
            raise BadRule(f"{written.id}: brands take the place of brand, any and counterparty")
        for brand, phrases in written.brands.items():
            yield self._rule(written, f"{written.id}.{'-'.join(_letters_of(brand))}", brand, phrases)

    def _rule(self, written: Written, id: str, brand: str, any_of: Sequence[str]) -> Rule:
        labels = written.labels or (written.label,)
        unknown = [label for label in labels if label not in LABELS]
        if unknown or (written.label and written.labels):
            raise BadRule(f"{id}: label or labels, each of the vocabulary: {', '.join(unknown)}")
        if written.sign not in (CREDIT, DEBIT, EITHER):
            raise BadRule(f"{id}: a sign is credit, debit or either")
        if not _ID.fullmatch(id):
            raise BadRule(f"{id}: an id is small letters and digits with dots between")
        if written.rank is not None and not RANK_MIN <= written.rank <= RANK_MAX:
            raise BadRule(f"{id}: a rank is {RANK_MIN} to {RANK_MAX}")
        try:
            rule = Rule(
                id=id,
                brand=brand,
                credit=_in_direction(labels, CREDIT, written.sign),
                debit=_in_direction(labels, DEBIT, written.sign),
                kinds=written.kinds,
                any=self._numbers(any_of),
                all=tuple(self._numbers(alternatives.split(OR)) for alternatives in written.all),
                none=self._numbers(written.none),
                counterparty=self._numbers(written.counterparty),
                rank=_rank(labels[0], brand) if written.rank is None else written.rank,
                transfers=labels[0] not in SOLD if written.transfers is None else written.transfers,
                is_name=bool(brand),
            )
        except BadPhrase as error:
            raise BadRule(f"{id}: {error}") from error
        if not (rule.any or rule.all or rule.counterparty or rule.kinds):
            raise BadRule(f"{id}: says of no row that it is meant")
        if not (rule.credit or rule.debit):
            raise BadRule(f"{id}: no row of its sign may have its label")
        return rule

    def _add(self, rule: Rule) -> None:
        if rule.id in self.rules:
            raise BadRule(f"{rule.id}: there are two of it")
        self.rules[rule.id] = rule
        for phrase in rule.any:
            self._by_phrase[phrase].append(rule)
        for phrase in rule.counterparty:
            self._by_counterparty[phrase].append(rule)
        if not (rule.any or rule.counterparty):
            if rule.all:
                for phrase in rule.all[0]:
                    self._by_phrase[phrase].append(rule)
            else:
                for kind in rule.kinds:
                    self._by_kind[kind].append(rule)

    def _numbers(self, texts: Iterable[str]) -> frozenset[int]:
        return frozenset(self._phrases.number_of(text) for text in texts)


def _read(name: str, content: bytes) -> _File:
    try:
        return msgspec.convert(tomllib.loads(content.decode()), _File)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadRule(f"{name}: {error}") from error


def _digest(files: Mapping[str, bytes]) -> str:
    digests = (f"{name} {sha256(content).hexdigest()}\n" for name, content in sorted(files.items()))
    return sha256("".join(digests).encode()).hexdigest()


def _in_direction(labels: Sequence[str], direction: str, sign: str) -> tuple[str, ...]:
    """The labels that a row of a direction gets from a rule for a sign."""
    if sign not in (direction, EITHER):
        return ()
    return tuple(label for label in labels if LABELS[label].direction in (direction, EITHER))


def _rank(label: str, brand: str) -> int:
    group = LABELS[label].group
    if group == FEE:
        return RANK_FEE
    if group == INCIDENT:
        return RANK_INCIDENT
    return RANK_NAME if brand else RANK_PURPOSE


def _word(text: str) -> str:
    (word,) = words_of(text)
    return word


def _letters_of(brand: str) -> list[str]:
    """The words of a brand as an id may have them; its digits stay what they are."""
    simple = words_of(re.sub(r"\d", "", brand))
    digits = re.findall(r"\d+", brand)
    return [*(word for word in simple if word.isalnum() and word.isascii()), *digits] or ["other"]
