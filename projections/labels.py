"""What the wordings of recurring payments have in common."""

from __future__ import annotations

import re
from functools import lru_cache

_MONTH_NAMES = (
    "JANUARY|FEBRUARY|MARCH|APRIL|JUNE|JULY|AUGUST|SEPTEMBER|OCTOBER|NOVEMBER|DECEMBER"
    "|JANVIER|FÉVRIER|FEVRIER|MARS|AVRIL|MAI|JUIN|JUILLET|AOÛT|AOUT|SEPTEMBRE|OCTOBRE|NOVEMBRE|DÉCEMBRE|DECEMBRE"
    "|JANV|JAN|FÉVR|FEVR|FEB|FÉV|FEV|MAR|AVR|APR|MAY|JUIL|JUN|JUL|AOU|AUG|SEPT|SEP|OCT|NOV|DÉC|DEC"
)
#: A day, the name of a month, and a year perhaps: `12 MARS 2024`, `03JAN24`. All parts are bounded.
_NAMED_DATE = re.compile(rf"(?<!\d)\d{{1,2}}[ ./-]?(?:{_MONTH_NAMES})\.?(?:[ ./-]?\d{{2,4}})?(?![^\W\d_])")
#: Digits, crosses and stars on their own; possessive, so that no run is looked at twice.
_MASKED = re.compile(r"(?<![^\W_])(?<!\*)[\dX*]++(?![^\W\d_])")
#: Letters in a row; an apostrophe or an ampersand between letters does not part them.
_WORD = re.compile(r"[^\W\d_]+(?:['’&][^\W\d_]+)*")

#: It matters where digits stand, and not which they are.
_SAME_DIGITS = bytes.maketrans(b"123456789", b"000000000")

# A wording comes back every month, with other digits.
_WORDINGS_MAX = 65_536


def label_root(wording: str | None) -> str:
    """The wording in capitals, without dates, digits, card masks and punctuation.

    `CB Carrefour Paris 12/03/24 4974XXXXXXXX1234` is `CB CARREFOUR PARIS`. Takes time in proportion to its length.
    """
    return _root(wording.encode().translate(_SAME_DIGITS)) if wording else ""


@lru_cache(maxsize=_WORDINGS_MAX)
def _root(wording: bytes) -> str:
    text = _NAMED_DATE.sub(" ", wording.decode().upper())
    # Dates in digits are digits and punctuation.
    return " ".join(_WORD.findall(_MASKED.sub(_unmasked, text)))


def _unmasked(match: re.Match[str]) -> str:
    """Nothing of a card number that crosses or stars hide; a single cross is a word."""
    run = match[0]
    return run if run == "X" else " "
