"""What a write answers: made from the facts, so that a command said twice is answered twice the same."""

from __future__ import annotations

from datetime import datetime

from adapters.http.edge import LOG_POSITION
from adapters.http.problems import not_found
from adapters.http.routing import Answer, Asked, ok
from application.authorisations import LINK_LIFETIME
from application.execute import VISIBLE_TIMEOUT, Outcome
from projections import directory
from projections.ports import Rows


async def written(asked: Asked, outcome: Outcome) -> tuple[Rows, datetime]:
    """The rows that the subject's stream comes to, and the moment the answer is of.

    That moment is the last fact's, so that a repetition gives the same links; unless nothing can be
    repeated, or a link of that moment would have expired.
    """
    rows = asked.http.scratch()
    now = at = asked.now()
    for recorded in await asked.services.log.facts(outcome.stream, upto=outcome.version):
        directory.project(recorded, rows)
        at = recorded.recorded_at
    repeatable = bool(asked.context.input_digest) and now < at + LINK_LIFETIME
    return rows, at if repeatable else now


async def visible(asked: Asked, outcome: Outcome) -> dict[str, str]:
    """Wait a while until the write can be read, and say in any case from which position on it can."""
    await asked.services.read_models.reach(outcome.position, VISIBLE_TIMEOUT)
    return {LOG_POSITION: str(outcome.position)}


async def done(asked: Asked, outcome: Outcome) -> Answer:
    """204, for a write that has nothing to show."""
    return Answer(status=204, headers=await visible(asked, outcome))


async def answered(asked: Asked, outcome: Outcome, value: object | None, status: int = 200) -> Answer:
    """The thing that was written; gone if it was erased since."""
    if value is None:
        raise not_found()
    return ok(value, status, **await visible(asked, outcome))
