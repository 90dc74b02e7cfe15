"""The words of a wording: what is left of it once letters have lost their case and accents, and digits their value."""

from __future__ import annotations

import re
from unicodedata import normalize

#: What stands for a number, and within a word for its digits: one or two of them, or more.
FEW, MANY = "0", "00"
NUMBERS = frozenset({FEW, MANY})

#: Accents that were parted from their letters, and signs that are not seen: joiners, directions, soft hyphens.
_UNSEEN = re.compile(
    "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
    "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]+"
)
#: Letters that Unicode does not take apart.
_LETTERS = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ı": "i"})
_DIGITS = re.compile(r"\d+")
#: Letters and digits in a row. `&` and `+` are words of their own: they tell H&M and Canal+ from other words.
_WORD = re.compile(r"[^\W_]+|[&+]")


def words_of(text: str) -> list[str]:
    """The words of a text, in order.

    `Prêt n° 12-345, 3x CB H&M` is `pret n 00 0x cb h & m`: a number is one word that tells no more than whether it has
    one or two digits or more (so a payment in 3x or 10x can be told from a card number), and numbers that follow each
    other are one. Takes time in proportion to the text, combining characters apart: those that follow one letter are
    put in order, which is why nothing long comes here.
    """
    if text.isascii():
        text = text.lower()
    else:
        # A single letter may stand for eighteen: what it comes to is no longer than the text and its accents.
        text = normalize("NFKD", text)[: 2 * len(text)].casefold()
        # Folding makes a few letters that come apart again.
        text = _UNSEEN.sub("", normalize("NFKD", text)).translate(_LETTERS)
    words: list[str] = []
    last = ""
    for word in _WORD.findall(_DIGITS.sub(_shortened, text)):
        if word in NUMBERS and last in NUMBERS:
            if word == MANY:
                words[-1] = word
        else:
            words.append(word)
        last = words[-1]
    return words


def _shortened(digits: re.Match[str]) -> str:
    return FEW if digits.end() - digits.start() <= 2 else MANY
