"""Phrases: which of thousands of them a text has, found word by word in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from domain.categories.words import NUMBERS, words_of

#: A phrase has no more words; so a text is looked at no more often than that.
WORDS_MAX = 8
#: A word of which only the beginning is known has so many letters at least.
PREFIX_MIN = 3
PREFIX = "*"


class BadPhrase(ValueError):
    """A phrase that can't be looked for."""


class Occurrence(NamedTuple):
    phrase: int
    start: int
    """The place of its first word."""


class _Node:
    """What may follow the words before, by their symbols."""

    __slots__ = ("following", "phrase")

    def __init__(self) -> None:
        self.following: dict[int, _Node] = {}
        self.phrase: int | None = None


class Phrases:
    """A closed set of phrases, each with a number.

    A number in the text is passed over where the phrase has none: `pret 4711 immobilier` has `pret immobilier`.
    """

    def __init__(self) -> None:
        self._root = _Node()
        self._numbers: dict[tuple[str, ...], int] = {}
        self._symbols: dict[str, int] = {}
        """Words, and beginnings of words with their star, each with its symbol."""
        self._beginnings: dict[str, list[tuple[str, int]]] = {}
        """Beginnings with their symbols, by their first letters."""
        self.letters: list[int] = []
        """By the number of a phrase how many letters it has: the more, the more it tells."""

    def number_of(self, text: str) -> int:
        """The number of a phrase, which is added if it is new.

        Raises:
            BadPhrase: it has no words or too many, nothing but numbers, or a `*` elsewhere than at the end of a word of
                some letters
        """
        words = _words_of_phrase(text)
        if words in self._numbers:
            return self._numbers[words]
        node = self._root
        for word in words:
            node = node.following.setdefault(self._symbol_of(word), _Node())
        node.phrase = self._numbers[words] = len(self.letters)
        self.letters.append(sum(len(word.removesuffix(PREFIX)) for word in words))
        return node.phrase

    def found_in(self, words: Sequence[str]) -> list[Occurrence]:
        """Every place where a phrase begins, in the order of the text.

        The time it takes grows with the text, and not with how many phrases there are.
        """
        known = {word: self._symbols_in(word) for word in set(words)}
        symbols = [known[word] for word in words]
        root = self._root.following
        found: list[Occurrence] = []
        for start, first in enumerate(symbols):
            if not first:
                continue
            begun = [root[symbol] for symbol in first if symbol in root]
            place = start
            new = begun
            while new or begun:
                found += [Occurrence(node.phrase, start) for node in new if node.phrase is not None]
                begun = [node for node in begun if node.following]
                place += 1
                if not begun or place == len(words):
                    break
                new = [
                    node.following[symbol]
                    for node in begun
                    for symbol in symbols[place]
                    if symbol in node.following
                ]
                # Between two words of a phrase there may be a number; two never follow each other.
                begun = [*new, *begun] if words[place] in NUMBERS else new
        return found

    def _symbols_in(self, word: str) -> list[int]:
        """The symbol of a word and of what it begins with; none of a word that no phrase has."""
        found = [
            symbol
            for beginning, symbol in self._beginnings.get(word[:PREFIX_MIN], ())
            if word.startswith(beginning)
        ]
        if word in self._symbols:
            found.append(self._symbols[word])
        return found

    def _symbol_of(self, word: str) -> int:
        if word not in self._symbols:
            symbol = self._symbols[word] = len(self._symbols)
            if word.endswith(PREFIX):
                beginning = word.removesuffix(PREFIX)
                self._beginnings.setdefault(beginning[:PREFIX_MIN], []).append((beginning, symbol))
        return self._symbols[word]


def _words_of_phrase(text: str) -> tuple[str, ...]:
    """The words as they are looked for; one that is only begun keeps its star."""
    words: list[str] = []
    for part in text.split():
        of_part = words_of(part.removesuffix(PREFIX))
        if PREFIX in part.removesuffix(PREFIX) or not of_part:
            raise BadPhrase(f"{text!r}: a star stands at the end of a word")
        if part.endswith(PREFIX):
            if len(of_part[-1]) < PREFIX_MIN:
                raise BadPhrase(f"{text!r}: {PREFIX_MIN} letters at least before a star")
            of_part[-1] += PREFIX
        words += of_part
    if not 1 <= len(words) <= WORDS_MAX or NUMBERS.issuperset(words):
        raise BadPhrase(f"{text!r}: 1 to {WORDS_MAX} words, one of them no number")
    return tuple(words)
