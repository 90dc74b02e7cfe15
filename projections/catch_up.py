"""The one loop that reads the log: live, rebuild, audit and time travel.

They differ in where it starts, where it stops and where rows go. Many facts go into one transaction, whose
rows and checkpoint are written together. A fact that cannot be read or folded stalls its consumer and nobody
else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from domain import streams
from domain.consumer_account import TransactionsFetched
from domain.fact import Recorded
from projections import models
from projections.accounts import OBSERVED
from projections.erasure import forgotten, stream_of
from projections.models import Consumer
from projections.ports import Generation, Rows, Source, StalePosition, Unreadable
from projections.stalled import POISON, STALLED, Stalled

logger = logging.getLogger(__name__)

#: The most facts of one transaction.
FACTS_MAX = 512
#: The most consumers whose documents are made in one transaction at the end of a build.
CONSUMERS_MAX = 256

#: Called after each transaction: position, head of the log, bank transactions read so far.
Progress = Callable[[int, int, int], None]


class Stopped(Exception):
    """A fact that belongs to no consumer can't be projected: the generation goes no further."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"the fact at position {position} cannot be projected: {reason}")
        self.position = position
        self.reason = reason


class Poisoned(Exception):
    """Folding a fact failed halfway: the transaction is to be undone, and tried again without it."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(position, reason)
        self.position = position
        self.reason = reason


def catch_up(
    source: Source,
    generation: Generation,
    *,
    upto: int | None = None,
    building: bool = False,
    facts_max: int = FACTS_MAX,
    progress: Progress | None = None,
) -> int:
    """Project what a generation has not seen, up to a position or the head, and return its checkpoint.

    While a generation is being built nobody reads it, so its documents are made once, at the end.

    Raises:
        Stopped: a fact without a consumer could not be projected.
    """
    poison: dict[int, str] = {}
    stopped: Stopped | None = None
    transactions = 0
    while True:
        checkpoint = generation.checkpoint()
        facts = _read(source, checkpoint, upto, facts_max)
        if not facts:
            break
        rows = generation.begin()
        try:
            changed = _project(facts, rows, poison)
            if not building:
                _finish(rows, changed, facts[-1].position)
            generation.commit(checkpoint, facts[-1].position)
        except StalePosition:
            continue
        except Poisoned as poisoned:
            generation.rollback()
            poison[poisoned.position] = poisoned.reason
            continue
        except Stopped as stop:
            generation.rollback()
            # What comes before it still counts.
            stopped, upto = stop, stop.position - 1
            continue
        except BaseException:
            generation.rollback()
            raise
        poison.clear()
        transactions += _weight(facts)
        if progress is not None:
            progress(facts[-1].position, source.head(), transactions)
    if stopped is not None:
        raise stopped
    if building:
        finish_all(generation)
    return generation.checkpoint()


def _read(source: Source, after: int, upto: int | None, facts_max: int) -> Sequence[Recorded | Unreadable]:
    if upto is None:
        return source.read(after, facts_max)
    if after >= upto:
        return ()
    return [fact for fact in source.read(after, facts_max) if fact.position <= upto]


def _weight(facts: Sequence[Recorded | Unreadable]) -> int:
    return sum(
        len(fact.added) + len(fact.restored) + len(fact.modified) + len(fact.removed)
        for recorded in facts
        if isinstance(fact := getattr(recorded, "fact", None), TransactionsFetched)
    )


def _project(facts: Sequence[Recorded | Unreadable], rows: Rows, poison: dict[int, str]) -> set[Consumer]:
    """Fold facts into rows, and return the consumers whose documents they may change."""
    stalled: set[Consumer] = {row[:2] for row in rows.scan(STALLED)}
    changed: set[Consumer] = set()
    for recorded in facts:
        if isinstance(recorded, Unreadable) or recorded.position in poison:
            reason = recorded.reason if isinstance(recorded, Unreadable) else poison[recorded.position]
            _stall(recorded, reason, rows, stalled)
            continue
        stream = stream_of(recorded.stream)
        owner = (stream.tenant, stream.consumer)
        # A stalled consumer's right to be forgotten is not stalled.
        if owner in stalled and forgotten(recorded) is None:
            continue
        try:
            models.project(recorded, rows)
        except POISON as error:
            raise Poisoned(recorded.position, f"fold_failed:{type(error).__name__}") from error
        consumer = models.changed_by(recorded)
        if consumer is not None:
            changed.add(consumer)
            is_gone = stream.aggregate == streams.CONSUMER and rows.get(OBSERVED, *owner) is None
            if owner in stalled and is_gone:
                rows.delete(STALLED, *owner)
                stalled.discard(owner)
    return changed


def _stall(recorded: Recorded | Unreadable, reason: str, rows: Rows, stalled: set[Consumer]) -> None:
    try:
        stream = stream_of(recorded.stream)
    except ValueError:
        raise Stopped(recorded.position, "no_stream_id") from None
    if stream.consumer == "-":
        raise Stopped(recorded.position, reason)
    owner = (stream.tenant, stream.consumer)
    if owner in stalled:
        return
    logger.error("a consumer is stalled", extra={"position": recorded.position, "reason": reason})
    rows.put(STALLED, Stalled(*owner, recorded.position, reason))
    stalled.add(owner)


def _finish(rows: Rows, consumers: set[Consumer], position: int) -> None:
    for consumer in sorted(consumers):
        try:
            models.finish(rows, (consumer,))
        except POISON as error:
            reason = f"document_failed:{type(error).__name__}"
            logger.error("a consumer is stalled", extra={"position": position, "reason": reason})
            rows.put(STALLED, Stalled(*consumer, position, reason))


def finish_all(generation: Generation) -> None:
    """Make the documents of all consumers, at the end of a build."""
    position = generation.checkpoint()
    rows = generation.begin()
    consumers: Iterator[Consumer] = iter([row[:2] for row in rows.scan(OBSERVED)])
    generation.rollback()
    while some := set(islice(consumers, CONSUMERS_MAX)):
        rows = generation.begin()
        _finish(rows, some, position)
        generation.commit(position, position)
