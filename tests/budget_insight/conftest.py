"""A gateway whose pauses take no time, and the bank it talks to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from adapters.budget_insight.gateway import BudgetInsightGateway
from adapters.budget_insight.transport import Retries
from application.ports import ObservedAccount, ProviderUser
from domain.consumer_account import AccountDetails
from tests.budget_insight import scripted

CREDENTIALS = {"domain": "demo-sandbox", "client_id": "12345", "client_secret": "SECRET-CLIENT"}
USER = ProviderUser(reference="7301", token="SECRET-TOKEN")

GatewayTo = Callable[..., BudgetInsightGateway]


def an_account(reference: str = "2318", *, exponent: int = 2, currency: str = "EUR") -> ObservedAccount:
    return ObservedAccount(
        reference=reference,
        connection="512",
        currency=currency,
        exponent=exponent,
        details=AccountDetails(),
        reading=None,
    )


class Pauses:
    """Stands in for sleeping: remembers how long it would have taken, and the time that it is then."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.now = 0.0

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        self.now += seconds


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
async def gateway_to(pauses: Pauses) -> AsyncIterator[GatewayTo]:
    opened: list[BudgetInsightGateway] = []

    def make(
        base_url: str | None, *, reply_seconds: float = 5.0, requests_per_minute: int = 600
    ) -> BudgetInsightGateway:
        opened.append(
            BudgetInsightGateway(
                base_url=base_url,
                webview_url=base_url,
                requests_per_minute=requests_per_minute,
                retries=Retries(sleep=pauses),
                reply_seconds=reply_seconds,
                time=lambda: pauses.now,
            )
        )
        return opened[-1]

    yield make
    for gateway in opened:
        await gateway.close()


@pytest.fixture
async def bank() -> AsyncIterator[scripted.Bank]:
    async with scripted.bank() as served:
        yield served


@pytest.fixture
def gateway(gateway_to: GatewayTo, bank: scripted.Bank) -> BudgetInsightGateway:
    return gateway_to(bank.url)
