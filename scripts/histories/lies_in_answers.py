"""Lies in answers: what is said of tokens, accounts, amounts, days and times is not so."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from scripts.histories.telling import (
    DATA,
    TOKENS,
    Asked,
    Lie,
    Telling,
    Walk,
    content_of,
    page_of_a_machine,
    refusal,
    token_of,
    with_content,
)
from scripts.histories.wire import Ask, Exchange, Reply

HOUR = 3_600.0
#: Bookkeeping times, as they are written.
TIME = re.compile(rb'"(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})"')
FORMAT = "%Y-%m-%d %H:%M:%S"

Change = Callable[[Telling, dict[str, Any]], bool]


def changing(change: Change) -> Callable[[Telling], Awaitable[Reply]]:
    """A lie which changes what an answer holds, if `change` finds what it needs."""

    async def tell(telling: Telling) -> Reply:
        reply = await telling.answer()
        content = content_of(reply)
        if content is None or not change(telling, content):
            return reply
        telling.told()
        return with_content(reply, content)

    return tell


# Tokens


async def refuse_token(telling: Telling) -> Reply:
    """For once; or for good, so that another one is needed."""
    rng, acts = telling.rng, telling.acts
    telling.told()
    if acts is not None and rng.random() < 0.3:
        acts.revoke(token_of(telling.exchange))
        return await telling.answer()
    if rng.random() < 0.2:
        return page_of_a_machine(401)
    return refusal(401, rng.choice(("invalidToken", "unauthorized")))


async def refuse_refresh(telling: Telling) -> Reply:
    telling.told()
    if telling.of is Asked.RENEW:
        return refusal(*telling.rng.choice(((403, "forbidden"), (401, "unauthorized"), (400, "config"))))
    return refusal(
        *telling.rng.choice(
            ((409, "conflict"), (400, "connectionLocked"), (403, "forbidden"), (400, "tooManySync"))
        )
    )


async def answer_of_another(telling: Telling) -> Reply:
    """Another user's token in place of this one's, or what another user would be answered: their data, or a code
    with which the person connects a bank for them."""
    acts = telling.acts
    if acts is None:
        return await telling.answer()
    stranger = acts.stranger()
    if telling.of in TOKENS:
        reply = await telling.answer()
        content = content_of(reply)
        if content is None:
            return reply
        for name in ("auth_token", "access_token"):
            if name in content:
                content[name] = stranger.token()
        telling.told()
        return with_content(reply, content)
    url = telling.exchange.url
    path = stranger.path(url.raw_path)
    # A filter of times would leave nothing of what a stranger has.
    query = {name: value for name, value in url.query.items() if name not in ("last_update", "cursor")}
    headers = {**telling.exchange.headers, "Authorization": f"Bearer {stranger.token()}"}
    elsewhere = replace(telling.exchange, url=url.with_path(path).with_query(query), headers=headers)
    telling.told()
    return await telling.answer(elsewhere)


# Accounts


def misstate_balance(telling: Telling, content: dict[str, Any]) -> bool:
    accounts = [account for account in content["accounts"] if account["balance"] is not None]
    if not accounts:
        return False
    account = telling.rng.choice(accounts)
    account["balance"] += Decimal(telling.rng.choice((-1, 1)) * telling.rng.randrange(1, 99_999)) / 100
    return True


def misstate_currency(telling: Telling, content: dict[str, Any]) -> bool:
    rng = telling.rng
    if not content["accounts"]:
        return False
    account = rng.choice(content["accounts"])
    match rng.randrange(5):
        case 0:
            account["currency"] = None
        case 1:
            del account["currency"]
        case 2:
            account["currency"] = {**account["currency"], "id": None, "precision": None}
        case 3:
            account["currency"] = ""
        case 4:
            others = [code for code in ("EUR", "USD", "GBP") if code != account["currency"]["id"]]
            account["currency"] = {**account["currency"], "id": rng.choice(others)}
    return True


# Days, times, amounts


def misstate_day(telling: Telling, content: dict[str, Any]) -> bool:
    """A row's days, or when something was last read."""
    rng = telling.rng
    rows = content.get("transactions") or content.get("accounts") or [content]
    row = rng.choice(rows)
    if "rdate" in row and rng.random() < 0.6:
        name = rng.choice(("date", "rdate", "vdate"))
        row[name] = rng.choice(("2099-12-31", "0001-01-01", "0000-00-00", "2026-02-30", "31/12/2025", None))
        return True
    if not isinstance(row.get("last_update"), str):
        return False
    at = datetime.fromisoformat(row["last_update"])
    row["last_update"] = rng.choice(
        (
            f"{at + timedelta(days=10 * 365):{FORMAT}}",
            "0001-01-01 00:00:00",
            "0000-00-00 00:00:00",
            f"{at.isoformat()}+02:00",
            f"{at.isoformat()}Z",
            f"{at:%Y-%m-%d}",
            "yesterday",
        )
    )
    return True


async def be_wrong_about_time(telling: Telling) -> Reply:
    """All of the provider's own times are ahead or behind, those it is asked for too, for a while."""
    rng = telling.rng
    hours = rng.choice((1, 2, 12, 40, 24 * 5)) * rng.choice((-1, 1))
    around = off_by(timedelta(hours=hours, minutes=rng.randrange(60)))
    telling.lasts(rng.uniform(1, 72) * HOUR, around)
    telling.told()
    return await around(telling.answer, telling.of)(telling.exchange)


def off_by(skew: timedelta) -> Callable[[Ask, Asked], Ask]:
    def around(ask: Ask, of: Asked) -> Ask:
        if of not in DATA:
            return ask

        async def answer(exchange: Exchange) -> Reply:
            since = exchange.url.query.get("last_update")
            # A link leads on in a list that was asked for by the provider's time already.
            if since is not None and "cursor" not in exchange.url.query:
                moved = f"{datetime.fromisoformat(since) - skew:{FORMAT}}"
                exchange = replace(exchange, url=exchange.url.update_query(last_update=moved))
            reply = await ask(exchange)
            return replace(reply, body=TIME.sub(lambda found: later(found, skew), reply.body))

        return answer

    return around


def later(found: re.Match[bytes], skew: timedelta) -> bytes:
    return f'"{datetime.fromisoformat(found[1].decode()) + skew:{FORMAT}}"'.encode()


def say_two_amounts(telling: Telling, content: dict[str, Any]) -> bool:
    rng = telling.rng
    rows = [row for row in content["transactions"] if row["value"] is not None]
    if not rows:
        return False
    row = rng.choice(rows)
    other = {**row, "value": row["value"] + Decimal(rng.randrange(1, 9_999)) / 100}
    content["transactions"].insert(rng.randrange(len(content["transactions"]) + 1), other)
    return True


def on(*kinds: Asked) -> Callable[[Asked, Walk | None], bool]:
    return lambda of, walk: of in kinds


LIES = {
    "P08": Lie(refuse_token, lambda of, walk: walk is not None and not walk.is_first),
    "P09": Lie(refuse_refresh, on(Asked.RENEW, Asked.REFRESH)),
    "P23": Lie(changing(say_two_amounts), on(Asked.TRANSACTIONS)),
    "P25": Lie(changing(misstate_balance), on(Asked.ACCOUNTS)),
    "P26": Lie(changing(misstate_currency), on(Asked.ACCOUNTS)),
    "P27": Lie(changing(misstate_day), on(*DATA)),
    "P28": Lie(be_wrong_about_time, on(*DATA)),
    "P38": Lie(answer_of_another, on(*DATA, *TOKENS, Asked.CODE)),
}
