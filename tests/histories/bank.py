"""The real gateway at the lying bank, in virtual time: one person with one connection to one login."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from adapters.budget_insight.gateway import BudgetInsightGateway
from adapters.budget_insight.simulator import PASSWORD, SimulatorOptions, create_app
from adapters.budget_insight.simulator.edge import SIMULATION
from adapters.budget_insight.transport import Retries
from application.ports import ObservedAccount, ProviderError, ProviderUser
from domain.transactions import Transaction, day_of
from scripts.histories.acts import Acts, TrueAccount
from scripts.histories.lies import Lies
from scripts.histories.wire import ORIGIN, Wire

NOW = datetime(2026, 3, 16, 8, 0, tzinfo=UTC)
CALLBACK = "http://127.0.0.1:9/callback"
CREDENTIALS = {"domain": "demo-sandbox", "client_id": "12345", "client_secret": "SECRET-CLIENT"}

#: What identifies a row: day, value day, minor units, wording.
Row = tuple[int, int | None, int | None, str | None]


class Read(msgspec.Struct):
    """What the gateway read, by the account's name at the bank."""

    accounts: dict[str, ObservedAccount]
    booked: dict[str, list[Row]]
    pending: dict[str, list[Row]]


class LyingBank:
    def __init__(
        self, seed: int = 1, rates: Mapping[str, float] | None = None, *, small_pages: float = 0.5
    ) -> None:
        self.app = create_app(SimulatorOptions(seed=seed, now=NOW))
        self.lies = Lies(random.Random(f"{seed}/lies"), rates or {})
        self.lies.small_pages = small_pages
        if small_pages == 1.0:
            # Then even the shortest list has a page in the middle.
            self.lies.page_rows = (1, 2)
        self.acts = Acts(self.app[SIMULATION], random.Random(f"{seed}/acts"), self.lies.tried)
        self.acts.at_once = 1.0
        self.acts.follow(self.now)
        self.lies.acts = self.acts
        self.wire = Wire(self.app, self.lies)
        self.gateway = BudgetInsightGateway(
            base_url=ORIGIN,
            webview_url=ORIGIN,
            session=self.wire.session,
            retries=Retries(rng=random.Random(f"{seed}/retries")),
            now=self.now,
        )
        self.login = self.acts.add_login()
        self.user: ProviderUser
        self.connection = ""

    def now(self) -> datetime:
        return NOW + timedelta(seconds=asyncio.get_running_loop().time())

    @property
    def bank(self) -> Any:
        return self.app[SIMULATION].bank

    async def connected(self) -> LyingBank:
        await self.wire.start()
        self.user = await self.gateway.create_user(CREDENTIALS)
        self.connection = await self.connect()
        return self

    async def connected_in_the_end(self) -> LyingBank:
        """Connected, whatever lies are told meanwhile."""
        await self.wire.start()
        self.user = await self.in_the_end(lambda: self.gateway.create_user(CREDENTIALS))
        self.connection = await self.in_the_end(self.connect)
        return self

    async def in_the_end(self, step: Callable[[], Awaitable[Any]]) -> Any:
        while True:
            try:
                return await step()
            except ProviderError:
                await asyncio.sleep(60.0)

    async def connect(self) -> str:
        url = await self.gateway.authorisation_url(
            CREDENTIALS, self.user, redirect_uri=CALLBACK, state="the state"
        )
        form = {"login": self.login, "password": PASSWORD}
        left = await self.wire.visit("POST", url, form=form)
        return parse_qs(urlsplit(left.headers["Location"]).query)["connection_id"][0]

    async def accounts(self) -> list[ObservedAccount]:
        return list(await self.gateway.accounts(CREDENTIALS, self.user, self.connection))

    async def rows(
        self, accounts: list[ObservedAccount], since: datetime | None = None
    ) -> list[tuple[str, Transaction]]:
        open_ones = [account for account in accounts if not account.disabled and not account.deleted]
        pages = self.gateway.transactions(CREDENTIALS, self.user, accounts=open_ones, updated_since=since)
        return [row async for page in pages for row in page.rows]

    async def read(self, since: datetime | None = None) -> Read:
        """Connection, accounts and rows; of a row that came twice the last."""
        accounts = await self.accounts()
        shown = self.acts.shown(int(self.connection))
        found: dict[str, dict[str, Transaction]] = {}
        for reference, row in await self.rows(accounts, since):
            found.setdefault(shown[reference].key, {})[row.reference] = row
        there = {key: [row for row in rows.values() if not row.deleted] for key, rows in found.items()}
        return Read(
            accounts={shown[each.reference].key: each for each in accounts if not each.deleted},
            booked={key: [said(row) for row in rows if not row.pending] for key, rows in there.items()},
            pending={key: [said(row) for row in rows if row.pending] for key, rows in there.items()},
        )

    def truth(self) -> dict[str, TrueAccount]:
        return {account.key: account for account in self.acts.truth(self.login)}

    def check(self, read: Read) -> None:
        """What was read whole is what the bank holds."""
        truth = self.truth()
        assert rows_of(read.booked) == rows_of({key: held(each.booked) for key, each in truth.items()})
        assert rows_of(read.pending) == rows_of({key: held(each.pending) for key, each in truth.items()})
        for key, account in read.accounts.items():
            assert account.currency == truth[key].currency
            assert account.reading is not None and account.reading.balance == truth[key].balance

    async def check_clean(self) -> None:
        self.check(await self.read())


def said(row: Transaction) -> Row:
    return (row.booked_on, row.value_on, row.amount, row.wording)


def held(rows: Any) -> list[Row]:
    return [
        (day_of(row.date), None if row.vdate is None else day_of(row.vdate), row.value, row.wording)
        for row in rows
    ]


def rows_of(by_account: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    return {key: sorted(rows, key=str) for key, rows in by_account.items() if rows}
