"""A bank that lies: what goes wrong between our client's request and the answer it gets.

`Lies` sits on the wire. For each exchange it may tell one lie of those whose rate is not zero; some last for a
while. Lies about the way are in `lies_on_the_way`, those about what is said in `lies_in_answers` and those about
lists in `lies_in_lists`. What really happens at the bank is no lie: see `acts`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping

from scripts.histories import lies_in_answers, lies_in_lists, lies_on_the_way
from scripts.histories.acts import Acts
from scripts.histories.telling import Asked, Lie, Spell, Telling, Walk, asked, of_list
from scripts.histories.wire import Ask, Exchange, Reply

#: Every fault of the catalogue. Those that are not told here are done by `acts`.
KINDS: dict[str, str] = {
    "P01": "the connection is refused",
    "P02": "the bank's name cannot be resolved",
    "P03": "the bank's certificate is not valid",
    "P04": "no connection comes about, or nothing is answered, and the bank has heard nothing",
    "P05": "the bank has done what was asked, and the answer is lost",
    "P06": "too many requests, with and without a time to wait",
    "P07": "500, 502, 503 or 504, once or for hours",
    "P08": "the token is refused between two pages",
    "P09": "a refresh, or another token, is refused",
    "P10": "the bank wants a strong authentication",
    "P11": "the person must go to the bank's own page",
    "P12": "the person must confirm on another device, and then does",
    "P13": "the password has changed",
    "P14": "the bank cannot be reached for days",
    "P15": "a page comes twice, between others or in place of the next",
    "P16": "rows come into a list between two pages",
    "P17": "rows go from a list between two pages",
    "P18": "a page in the middle is empty",
    "P19": "the last page comes again and again",
    "P20": "a row changes between two pages",
    "P21": "a row is deleted later",
    "P22": "a pending row is booked under another id",
    "P23": "one row is there twice, with two amounts",
    "P24": "an account vanishes, and comes back under another id",
    "P25": "a balance disagrees with the rows",
    "P26": "a currency is missing, or another",
    "P27": "days in the future or in year 1, times with and without a zone, and what is neither",
    "P28": "the provider's clock is wrong for a while",
    "P29": "JSON ends in the middle",
    "P30": "HTML comes with a status of success",
    "P31": "JSON comes as something else",
    "P32": "a page of 50 MB, announced, packed or without an end",
    "P33": "a page trickles until the time is up",
    "P34": "a redirect",
    "P35": "a push is lost, doubled, late, early, or overtakes another",
    "P36": "a push is forged",
    "P37": "the user is deleted at the provider",
    "P38": "an answer, or a token, that is another user's",
}

LIES: dict[str, Lie] = {**lies_on_the_way.LIES, **lies_in_answers.LIES, **lies_in_lists.LIES}


class Lies:
    """Tells lies at `rates`: by kind, the chance for each exchange that it can apply to; none if absent.

    Attributes:
        tried: how often each kind was told. A lie that lasts counts once.
        acts: what happens at the bank; kinds that need it (P16, P17, P20, P38) are silent without.
        small_pages: the chance that a list comes in pages of a few rows, which is one of `page_rows`. That is no lie,
            and goes on for ever.
        latency: seconds on the way, each way; drawn between the two.
        second: how long a second is on the loop's clock, of what is told and of what lasts; real time needs short ones.
        hang: for how long on the loop's clock nothing is said when nothing is said: longer than anybody waits.
    """

    def __init__(self, rng: random.Random, rates: Mapping[str, float]) -> None:
        self.rng = rng
        self.tried: Counter[str] = Counter()
        self.acts: Acts | None = None
        self.small_pages = 0.5
        self.page_rows = (1, 2, 3, 5, 8)
        self.latency = (0.005, 0.25)
        self.second = 1.0
        self.hang = 3_600.0
        self.spells: list[Spell] = []
        self._rates: list[tuple[str, float]] = []
        self._planned: list[str] = []
        self._walks: dict[object, Walk] = {}
        self.start(rates)

    def start(self, rates: Mapping[str, float]) -> None:
        """From now on lies, at these rates.

        Raises:
            ValueError: one of them is no lie of the wire.
        """
        unknown = rates.keys() - LIES.keys()
        if unknown:
            raise ValueError(f"no lies of the wire: {', '.join(sorted(unknown))}")
        self._rates = [(kind, rates[kind]) for kind in sorted(rates) if rates[kind] > 0]

    def plan(self, kind: str) -> None:
        """Tell this lie once, as soon as there is an exchange that it can be told about."""
        assert kind in LIES
        self._planned.append(kind)

    def is_planned(self, kind: str) -> bool:
        """Whether it was planned, and has not been told yet."""
        return kind in self._planned

    def told(self, kind: str) -> None:
        self.tried[kind] += 1
        if kind in self._planned:
            self._planned.remove(kind)

    def stop(self) -> None:
        """From now on the truth, without exception. Tokens that were handed out wrongly are not good any more."""
        self._rates.clear()
        self._planned.clear()
        self.spells.clear()
        self._walks.clear()
        if self.acts is not None:
            self.acts.show_hidden()
            self.acts.revoke_strangers()

    async def exchange(self, ask: Ask, exchange: Exchange) -> Reply:
        """Say what came of it.

        Raises:
            aiohttp.ClientError, TimeoutError: there is no answer.
        """
        await self._pass(self.rng.uniform(*self.latency))
        reply = await self._said(ask, exchange)
        await self._pass(self.rng.uniform(*self.latency))
        return reply

    async def _said(self, ask: Ask, exchange: Exchange) -> Reply:
        of = asked(exchange)
        walk = self._walk(of, exchange)
        if self.acts is not None and (walk is None or walk.is_first):
            # Rows are hidden for the pages of one list.
            self.acts.show_hidden()
        ask = _in_pages(ask, walk)
        for spell in self._present_spells():
            ask = spell.around(ask, of)
        kind = self._chosen(of, walk)
        if kind is None:
            return await ask(exchange)
        return await LIES[kind].tell(Telling(self, kind, ask, exchange, of, walk))

    def _chosen(self, of: Asked, walk: Walk | None) -> str | None:
        for kind in self._planned:
            if LIES[kind].applies(of, walk):
                return kind
        for kind, rate in self._rates:
            if LIES[kind].applies(of, walk) and self.rng.random() < rate:
                return kind
        return None

    def _present_spells(self) -> list[Spell]:
        now = asyncio.get_running_loop().time()
        if self.spells:
            self.spells = [spell for spell in self.spells if spell.until > now]
        return self.spells

    def _walk(self, of: Asked, exchange: Exchange) -> Walk | None:
        """The list that this request reads on in, or begins."""
        if of is not Asked.TRANSACTIONS:
            return None
        place = of_list(exchange)
        key = (exchange.headers.get("Authorization"), exchange.url.raw_path, place.filters)
        if place.is_first or key not in self._walks:
            limit = None
            if self.rng.random() < self.small_pages:
                limit = self.rng.choice(self.page_rows)
            self._walks[key] = Walk(limit=limit, linked=self.rng.random() < 0.6)
        walk = self._walks[key]
        walk.is_first = place.is_first
        return walk

    async def _pass(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self.second)

    # What a telling may use

    def cast(self, kind: str, seconds: float, around: Callable[[Ask, Asked], Ask]) -> None:
        """Let something last. `around` makes an asking of an asking."""
        until = asyncio.get_running_loop().time() + seconds * self.second
        self.spells.append(Spell(kind, until, around))


def _in_pages(ask: Ask, walk: Walk | None) -> Ask:
    """Ask for pages of a few rows, with links or without, and keep what they said."""
    if walk is None:
        return ask

    async def paged(exchange: Exchange) -> Reply:
        reply = await ask(walk.cut(exchange))
        return walk.seen(exchange, reply)

    return paged if walk.around is None else walk.around(paged)
