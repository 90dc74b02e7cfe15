"""Lies in lists of transactions: pages that come twice, empty or for ever, and rows that move between two pages.

A list is read by links or by offset. Each lie is told in both; what a reader can make of it may differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from adapters.budget_insight.simulator.bank import Account, Transaction
from scripts.histories.telling import (
    MARK,
    Asked,
    Lie,
    Telling,
    Walk,
    content_of,
    rows_of,
    token_of,
    with_content,
)
from scripts.histories.wire import Ask, Exchange, Reply

#: How often a last page comes again before it is over after all; rarely it never is.
AGAIN_MAX = 6

_ACCOUNT = re.compile(r"/accounts/(\d+)/transactions")


# Pages


async def repeat_page(telling: Telling) -> Reply:
    """The page before comes again: in place of this one, whose rows are lost then; or before this one, to which a
    link leads on."""
    assert telling.walk is not None
    before = rows_of(telling.walk.pages[-1]) if telling.walk.pages else []
    return await _in_place_of_rows(telling, before) if before else await telling.answer()


async def leave_page_empty(telling: Telling) -> Reply:
    """Its rows are lost, or come on the page that a link leads to."""
    return await _in_place_of_rows(telling, [])


async def _in_place_of_rows(telling: Telling, rows: list[Any]) -> Reply:
    reply = await telling.answer()
    content = content_of(reply)
    if content is None or not content["transactions"] or (not rows and _is_last(telling.exchange, content)):
        return reply
    telling.told()
    content["transactions"] = rows
    if "_links" in content and telling.rng.random() < 0.5:
        content["_links"]["next"] = {"href": _once_more(telling.exchange, 1)}
    return with_content(reply, content)


async def repeat_last_page(telling: Telling) -> Reply:
    """There is always one more page, and it is this one again."""
    reply = await telling.answer()
    content = content_of(reply)
    if content is None or not content["transactions"] or not _is_last(telling.exchange, content):
        return reply
    telling.told()
    rng = telling.rng
    times = rng.randrange(1, AGAIN_MAX) if rng.random() < 0.9 else None
    around = _repeating(reply, content, times, to_itself=rng.random() < 0.3)
    assert telling.walk is not None
    telling.walk.around = around
    return await around(telling.answer)(telling.exchange)


def _repeating(
    reply: Reply, content: dict[str, Any], times: int | None, *, to_itself: bool
) -> Callable[[Ask], Ask]:
    said = 0

    def around(ask: Ask) -> Ask:
        async def answer(exchange: Exchange) -> Reply:
            nonlocal said
            if said == times:
                return await ask(exchange)
            said += 1
            if "_links" in content:
                href = str(exchange.url) if to_itself else _once_more(exchange, said)
                more = {"_links": {**content["_links"], "next": {"href": href}}}
            else:
                more = {"total": _offset(exchange) + 2 * len(content["transactions"])}
            return with_content(reply, {**content, **more})

        return answer

    return around


def _is_last(exchange: Exchange, content: dict[str, Any]) -> bool:
    if "_links" in content:
        return content["_links"]["next"] is None
    return _offset(exchange) + len(content["transactions"]) >= content["total"]


def _offset(exchange: Exchange) -> int:
    return int(exchange.url.query.get("offset", "0"))


def _once_more(exchange: Exchange, count: int) -> str:
    """Another address of the same page."""
    return str(exchange.url.update_query({MARK: str(count)}))


# Rows that move


async def let_rows_in(telling: Telling) -> Reply:
    acts, accounts = telling.acts, _accounts(telling)
    if acts is not None and accounts and acts.rows_come_to(telling.rng.choice(accounts)):
        telling.told()
    return await telling.answer()


async def let_rows_go(telling: Telling) -> Reply:
    """Of those that were said already, so that others move up. A pending one is gone for good, a booked one for as
    long as this list is read."""
    acts, shown = telling.acts, _shown(telling)
    if acts is not None and shown:
        pending = [row for row in shown if row.row.coming]
        row = telling.rng.choice(pending or shown)
        if acts.drop_shown(row) if pending else acts.hide(row):
            telling.told()
    return await telling.answer()


async def amend_row(telling: Telling) -> Reply:
    """One that was said already; with another day it may be said once more."""
    acts, shown = telling.acts, _shown(telling)
    if acts is not None and shown and acts.amend_shown(telling.rng.choice(shown)):
        telling.told()
    return await telling.answer()


def _accounts(telling: Telling) -> list[Account]:
    """Those that the list is of and whose bank is being read."""
    if telling.acts is None:
        return []
    found = telling.acts.accounts_of(token_of(telling.exchange))
    named = _ACCOUNT.search(telling.exchange.url.raw_path)
    return [account for account in found if named is None or str(account.id) == named[1]]


def _shown(telling: Telling) -> list[Transaction]:
    assert telling.walk is not None
    said = {row["id"] for page in telling.walk.pages for row in rows_of(page)}
    rows = [row for account in _accounts(telling) for row in account.transactions.values()]
    return [row for row in rows if row.id in said and row.deleted is None]


def _beyond_first(of: Asked, walk: Walk | None) -> bool:
    return walk is not None and not walk.is_first


LIES = {
    "P15": Lie(repeat_page, _beyond_first),
    "P16": Lie(let_rows_in, _beyond_first),
    "P17": Lie(let_rows_go, _beyond_first),
    "P18": Lie(leave_page_empty, _beyond_first),
    "P19": Lie(repeat_last_page, lambda of, walk: walk is not None),
    "P20": Lie(amend_row, _beyond_first),
}
