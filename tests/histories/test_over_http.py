"""The same lies over a real socket, as the real client sees them there."""

from __future__ import annotations

import asyncio

import pytest

from adapters.budget_insight.gateway import BudgetInsightGateway
from adapters.budget_insight.transport import Retries, open_session
from application.ports import ProviderError
from scripts.histories.lies import LIES
from scripts.histories.over_http import LyingServer
from tests.histories.bank import CREDENTIALS, LyingBank

#: How long our client has patience, where it is to lose it and where it is not, and the bank says nothing. Seconds.
SHORT, LONG = 0.5, 30.0
HANG = 3.0
#: Where patience is lost.
SLOW = {"P04", "P05", "P33"}

#: What comes of a lie that is told once, while a list of pages is read: an error by name, or what is true. A
#: certificate that is wrong is a connection that ends, there.
COMES_OF = {
    "P01": {None},
    "P02": {None},
    "P03": {None},
    "P04": {None, "timeout"},
    "P05": {None, "timeout"},
    "P06": {None, "rate_limited"},
    "P07": {None, "unavailable", "provider_bug"},
    "P08": {"token_refused"},
    "P15": {None},
    "P18": {None},
    "P19": {None},
    "P29": {None, "malformed"},
    "P30": {"not_json"},
    "P31": {"not_json"},
    "P32": {"too_large"},
    "P33": {"timeout"},
    "P34": {"redirect"},
    "P38": {"unexpected_shape"},
}


async def no_pause(_: float) -> None:
    await asyncio.sleep(0.001)


class OverHttp(LyingBank):
    """A lying bank on a port, its times a thousand times as fast."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, small_pages=1.0)
        self.lies.second = 1e-5
        self.lies.hang = HANG
        self.server = LyingServer(self.app, self.lies)
        self.wire = self.server.wire

    async def __aenter__(self) -> OverHttp:
        await self.server.start()
        self.patient = self.gateway = self._gateway(LONG)
        self.impatient = self._gateway(SHORT)
        self.user = await self.gateway.create_user(CREDENTIALS)
        self.connection = await self.connect()
        return self

    def _gateway(self, patience: float) -> BudgetInsightGateway:
        return BudgetInsightGateway(
            base_url=self.server.url,
            webview_url=self.server.url,
            session=open_session,
            retries=Retries(sleep=no_pause, patience=float("inf")),
            reply_seconds=patience,
            now=self.now,
        )

    async def __aexit__(self, *_: object) -> None:
        await self.patient.close()
        await self.impatient.close()
        await self.server.close()


@pytest.mark.parametrize("kind", sorted(COMES_OF))
async def test_what_comes_of_it(kind: str) -> None:
    for seed in range(5):
        async with OverHttp(seed) as bank:
            bank.lies.plan(kind)
            bank.gateway = bank.impatient if kind in SLOW else bank.patient
            reason = None
            try:
                bank.check(await bank.read())
            except ProviderError as error:
                reason = error.reason
            assert reason in COMES_OF[kind]
            assert bank.lies.tried == {kind: 1}
            bank.lies.stop()
            bank.gateway = bank.patient
            bank.user = await bank.gateway.renew_user(CREDENTIALS, bank.user)
            await bank.check_clean()


async def test_people_are_not_lied_to() -> None:
    async with OverHttp(1) as bank:
        bank.lies.start(dict.fromkeys(LIES, 1.0))
        async with open_session() as session, session.get(f"{bank.server.url}/simulator/clock") as response:
            assert response.status == 200
        async with open_session() as session, session.get(f"{bank.server.url}/fr/connect") as response:
            assert response.status == 400
        assert not bank.lies.tried
