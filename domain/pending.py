"""Pending rows: which booked row each of them became, when the bank gave that another id.

A pending row is counted nowhere, so a wrong pair costs no figure; it is still recorded with its rule and
score, and can be undone. Nothing is compared before the pending row has vanished: until then a booked row that
looks like it is a genuine twin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from difflib import SequenceMatcher

import msgspec

#: The bank's own name of both rows is the same.
LINK = "link"
#: Same amount and wording, and booked within `DAYS_MAX` days.
EXACT = "exact"
#: Amount, wording and day are near enough: `SCORE_MIN` of 100.
SCORED = "scored"

DAYS_MAX = 10
SCORE_MIN = 70
#: What a pair can score at most for its amount, its wording and its day.
AMOUNT_POINTS, WORDING_POINTS, DAY_POINTS = 50, 35, 15
#: Fuel, hotels and tips: the amount that is booked may differ from the one that was held by so many hundredths.
AMOUNT_TOLERANCE = 15
#: Words beyond these are not compared: a wording may be ten thousand letters long.
WORDS_MAX = 32
#: Nor letters beyond these: comparing takes as long as one wording times the other.
LETTERS_MAX = 64
#: Below this likeness of 1 two wordings are of two shops, whatever their amounts and days.
LIKENESS_MIN = 0.6
_OF_PENDING = frozenset("paiement achat operation en cours carte cb facture du pending coming".split())


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A row as far as pairs are made from it: a pending one that is held, or a booked one that was shown."""

    id: bytes
    reference: str
    booked_on: int
    amount: int | None
    wording: str | None
    link: str | None = None
    """The bank's own name of the row, where it gives one."""
    seen_at: datetime | None = None
    """When the provider first saw the row."""
    touched_at: datetime | None = None
    """When the provider last touched the row."""
    digest: bytes = b""


class Pendings(msgspec.Struct, frozen=True, kw_only=True):
    """What is held of an account's pending rows."""

    rows: Sequence[Held] = ()
    taken: frozenset[bytes] = frozenset()
    """Ids of booked rows that a pending one became already."""
    apart: frozenset[tuple[bytes, bytes]] = frozenset()
    """Pairs that somebody undid: a pending row's id and a booked one's."""


class Pair(msgspec.Struct, frozen=True):
    pending: Held
    booked: Held
    rule: str
    score: int


def pair(vanished: Sequence[Held], booked: Sequence[Held], pendings: Pendings) -> list[Pair]:
    """Pair pending rows that are gone with the booked rows they became, each with one at most.

    The surest rule goes first; within one, the highest score, then the nearest day, then the order of references.
    """
    free = [row for row in booked if row.id not in pendings.taken]
    pairs: list[Pair] = []
    paired: set[bytes] = set()
    for rule, score_of in _RULES:
        left = [row for row in vanished if row.id not in paired]
        free = [row for row in free if row.id not in paired]
        scored = [
            (score, abs(one.booked_on - other.booked_on), one.reference, other.reference, one, other)
            for one in left
            for other in free
            if (one.id, other.id) not in pendings.apart
            and _may_be(one, other)
            and (score := score_of(one, other))
        ]
        for score, *_, one, other in sorted(scored, key=lambda found: (-found[0], *found[1:4])):
            if one.id not in paired and other.id not in paired:
                paired |= {one.id, other.id}
                pairs.append(Pair(one, other, rule, score))
    return pairs


def _may_be(pending: Held, booked: Held) -> bool:
    """A row that was there before the pending one is not what that became."""
    return pending.seen_at is None or booked.seen_at is None or booked.seen_at >= pending.seen_at


def _by_link(pending: Held, booked: Held) -> int:
    return 100 if pending.link and pending.link == booked.link else 0


def _exactly(pending: Held, booked: Held) -> int:
    same = pending.amount is not None and pending.amount == booked.amount
    near = abs(pending.booked_on - booked.booked_on) <= DAYS_MAX
    return 95 if same and near and _words(pending.wording) == _words(booked.wording) else 0


def _by_score(pending: Held, booked: Held) -> int:
    days = abs(pending.booked_on - booked.booked_on)
    if (
        days > DAYS_MAX
        or not pending.amount
        or not booked.amount
        or (pending.amount < 0) != (booked.amount < 0)
    ):
        return 0
    off = abs(pending.amount - booked.amount)
    if off * 100 > abs(pending.amount) * AMOUNT_TOLERANCE:
        return 0
    likeness = _likeness(pending.wording, booked.wording)
    if likeness < LIKENESS_MIN:
        return 0
    score = AMOUNT_POINTS // 2 if off else AMOUNT_POINTS
    score += round(WORDING_POINTS * likeness)
    score += round(DAY_POINTS * (1 - days / DAYS_MAX))
    return min(score, 94) if score >= SCORE_MIN else 0


_RULES: tuple[tuple[str, Callable[[Held, Held], int]], ...] = (
    (LINK, _by_link),
    (EXACT, _exactly),
    (SCORED, _by_score),
)


def _words(wording: str | None) -> tuple[str, ...]:
    """What a wording says: without case, and without the words that only tell that it is pending, or when."""
    words = re.findall(r"[^\W_]+", (wording or "").casefold())[:WORDS_MAX]
    return tuple(word for word in words if word not in _OF_PENDING and not word.isdigit())


def _likeness(one: str | None, other: str | None) -> float:
    first, second = " ".join(_words(one))[:LETTERS_MAX], " ".join(_words(other))[:LETTERS_MAX]
    return SequenceMatcher(None, first, second, autojunk=False).ratio() if first and second else 0.0
