"""The gateway against the simulated bank, over HTTP: the story, its hard turns, and the truth at the bank."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import msgspec
import pytest
from aiohttp import web

from adapters.budget_insight.gateway import BudgetInsightGateway
from adapters.budget_insight.simulator import PASSWORD, SimulatorOptions, serve
from application.ports import (
    AuthorisationNeeded,
    ObservedAccount,
    ProviderRefused,
    ProviderUnreachable,
    ProviderUser,
)
from domain import money
from domain.transactions import Transaction, date_of
from tests.budget_insight.conftest import CREDENTIALS, GatewayTo

NOW = datetime(2026, 3, 16, 8, 0, tzinfo=UTC)
CALLBACK = "http://127.0.0.1:9/callback"
PERSONAS = ("salaried", "freelancer", "rejected", "loans", "two_currencies", "twins", "pending")

_exact = msgspec.json.Decoder(Any, float_hook=Decimal).decode


class Simulated:
    """A simulated bank, the gateway to it, and the test's own door."""

    def __init__(self, url: str, gateway: BudgetInsightGateway, session: aiohttp.ClientSession) -> None:
        self.gateway = gateway
        self.url = url
        self._session = session

    async def control(self, method: str, path: str, **body: Any) -> Any:
        async with self._session.request(method, f"{self.url}/simulator/{path}", json=body or None) as answer:
            assert answer.status < 400, await answer.text()
            read = await answer.read()
            return _exact(read) if read else None

    async def log_in(self, user: ProviderUser, login: str, **options: Any) -> dict[str, list[str]]:
        """What the bank says to the browser when it sends the person back."""
        url = await self.gateway.authorisation_url(
            CREDENTIALS, user, redirect_uri=CALLBACK, state="st ate", **options
        )
        form = {"login": login, "password": PASSWORD}
        async with self._session.post(url, data=form, allow_redirects=False) as answer:
            assert answer.status in (302, 303), await answer.text()
            return parse_qs(urlsplit(answer.headers["Location"]).query)

    async def connected(self, login: str) -> tuple[ProviderUser, str]:
        user = await self.gateway.create_user(CREDENTIALS)
        came_back = await self.log_in(user, login)
        assert came_back["state"] == ["st ate"]
        return user, came_back["connection_id"][0]

    async def accounts(self, user: ProviderUser, connection: str) -> Sequence[ObservedAccount]:
        return await self.gateway.accounts(CREDENTIALS, user, connection)

    async def rows(
        self, user: ProviderUser, accounts: Sequence[ObservedAccount], since: datetime | None = None
    ) -> dict[str, dict[str, Transaction]]:
        """By account and reference, and each row once."""
        found: dict[str, dict[str, Transaction]] = {account.reference: {} for account in accounts}
        pages = self.gateway.transactions(CREDENTIALS, user, accounts=accounts, updated_since=since)
        async for page in pages:
            for account, transaction in page.rows:
                assert transaction.reference not in found[account]
                found[account][transaction.reference] = transaction
        return found


Serves = Callable[..., Awaitable[Simulated]]


@pytest.fixture
async def served(gateway_to: GatewayTo) -> AsyncIterator[Serves]:
    runners: list[web.AppRunner] = []
    async with aiohttp.ClientSession() as session:

        async def start(*, faults: Any = (), **options: Any) -> Simulated:
            runner, url = await serve(SimulatorOptions(**{"now": NOW, **options}), faults=faults)
            runners.append(runner)
            return Simulated(url, gateway_to(url), session)

        yield start
        for runner in runners:
            await runner.cleanup()


@pytest.fixture
async def simulated(served: Serves) -> Simulated:
    return await served()


def minor(value: Decimal | int | None, account: ObservedAccount) -> int | None:
    return None if value is None else money.read(Decimal(value), account.exponent).minor


@pytest.mark.parametrize("login", PERSONAS)
async def test_what_is_read_is_what_the_bank_holds(simulated: Simulated, login: str) -> None:
    user, connection = await simulated.connected(login)
    observed = await simulated.gateway.connection(CREDENTIALS, user, connection)
    assert observed.settled and observed.reason is None and observed.bank_name
    assert observed.consent_expires_at is not None
    assert timedelta(days=170) < observed.consent_expires_at - NOW < timedelta(days=190)
    accounts = await simulated.accounts(user, connection)
    rows = await simulated.rows(user, accounts)
    truth = (await simulated.control("GET", f"logins/{login}"))["accounts"]
    assert len(accounts) == len(truth)
    for account in accounts:
        held = next(held for held in truth if held["number"] == account.details.number)
        assert (account.currency, account.details.iban) == (held["currency"], held["iban"])
        assert account.reading is not None and account.reading.as_of <= NOW
        assert account.reading.balance == minor(held["balance"], account)
        assert account.reading.available is None and account.reading.limit is None
        coming = minor(held["coming"], account)
        assert account.reading.reserved == (None if coming is None else -coming)
        assert not account.disabled and not account.deleted
        read = sorted(
            (str(date_of(row.booked_on)), row.amount, row.kind, row.wording or "", row.pending)
            for row in rows[account.reference].values()
            if not row.deleted
        )
        assert read == sorted(
            (row["date"], minor(row["value"], account), row["type"], row["wording"] or "", row["coming"])
            for row in held["transactions"]
            if not row["deleted"]
        )
        assert all(row.amount_text is None for row in rows[account.reference].values())


async def test_increments_bring_what_was_touched_and_nothing_twice(simulated: Simulated) -> None:
    user, connection = await simulated.connected("salaried")
    accounts = await simulated.accounts(user, connection)
    before = await simulated.rows(user, accounts)
    await simulated.control("POST", "clock", advance_seconds=3 * 86_400)
    since = NOW + timedelta(days=1)
    assert not any((await simulated.rows(user, accounts, since)).values())

    truth = (await simulated.control("GET", "logins/salaried"))["accounts"][0]
    account = next(account for account in accounts if account.details.number == truth["number"])
    edited, gone = truth["transactions"][0]["webid"], truth["transactions"][1]["webid"]
    path = "logins/salaried/transactions"
    await simulated.control("PATCH", f"{path}/{edited}", wording="Corrigé")
    await simulated.control("DELETE", f"{path}/{gone}")
    await simulated.control(
        "POST", f"logins/salaried/accounts/{truth['account']}/transactions",
        date="2026-03-18", value="-1.10", wording="NEW",
    )  # fmt: skip

    touched = await simulated.rows(user, accounts, since)
    assert [reference for reference, rows in touched.items() if rows] == [account.reference]
    rows = touched[account.reference]
    known = before[account.reference]
    assert {row.wording for row in rows.values()} >= {"Corrigé", "NEW"}
    assert [row.deleted for reference, row in rows.items() if reference in known].count(True) == 1
    (new,) = (row for reference, row in rows.items() if reference not in known)
    assert new.amount == -110

    await simulated.control("POST", f"{path}/{gone}/undelete")
    again = (await simulated.rows(user, accounts, since))[account.reference]
    assert not any(row.deleted for row in again.values())


async def test_pages_that_move_while_they_are_read_lose_nothing(
    served: Serves, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.budget_insight.client.ROWS_MAX", 7)
    simulated = await served()
    user, connection = await simulated.connected("salaried")
    accounts = await simulated.accounts(user, connection)
    truth = (await simulated.control("GET", "logins/salaried"))["accounts"][0]
    webids = [row["webid"] for row in truth["transactions"]]
    rows: dict[str, Transaction] = {}
    pages = simulated.gateway.transactions(CREDENTIALS, user, accounts=accounts, updated_since=None)
    number = 0
    async for page in pages:
        assert len(page.rows) <= 7
        rows |= {transaction.reference: transaction for _, transaction in page.rows}
        if (number := number + 1) <= 5:
            await simulated.control(
                "POST", f"logins/salaried/accounts/{truth['account']}/transactions",
                date="2026-03-15", value="-1.10", wording=f"MOVED {number}",
            )  # fmt: skip
            await simulated.control("DELETE", f"logins/salaried/transactions/{webids[number]}")
    monkeypatch.undo()
    after = await simulated.rows(user, accounts)
    new = {
        reference
        for held in after.values()
        for reference, row in held.items()
        if row.wording and "MOVED" in row.wording
    }
    assert {reference for held in after.values() for reference in held} - new <= set(rows)


@pytest.mark.parametrize(
    ("state", "reason", "needs_person"),
    [
        ("SCARequired", "sca_required", True),
        ("webauthRequired", "webauth_required", True),
        ("additionalInformationNeeded", "additional_information_needed", True),
        ("decoupled", "decoupled", True),
        ("actionNeeded", "action_needed", True),
        ("passwordExpired", "password_expired", True),
        ("wrongpass", "wrong_password", True),
        ("rateLimiting", "rate_limited", False),
        ("websiteUnavailable", "bank_unavailable", False),
        ("bug", "provider_bug", False),
        ("notSupported", "not_supported", False),
    ],
)
async def test_each_state_of_the_bank_is_seen(
    simulated: Simulated, state: str, reason: str, needs_person: bool
) -> None:
    user, connection = await simulated.connected("salaried")
    await simulated.control("POST", f"connections/{connection}/state", state=state)
    observed = await simulated.gateway.connection(CREDENTIALS, user, connection)
    assert (observed.settled, observed.reason, observed.needs_person) == (True, reason, needs_person)


async def test_a_source_in_error_is_seen_behind_a_connection_that_claims_to_be_well(
    simulated: Simulated,
) -> None:
    user, connection = await simulated.connected("salaried")
    await simulated.control("POST", f"connections/{connection}/state", state=None, source_state="bug")
    assert (await simulated.gateway.connection(CREDENTIALS, user, connection)).reason == "provider_bug"


async def test_the_first_fetch_is_awaited(served: Serves) -> None:
    simulated = await served(first_sync_seconds=30)
    user, connection = await simulated.connected("salaried")
    assert not (await simulated.gateway.connection(CREDENTIALS, user, connection)).settled
    await simulated.control("POST", "clock", advance_seconds=60)
    observed = await simulated.gateway.connection(CREDENTIALS, user, connection)
    assert observed.settled and observed.reason is None


async def test_a_second_forced_fetch_is_no_error(served: Serves) -> None:
    simulated = await served(min_sync_interval=600)
    user, connection = await simulated.connected("salaried")
    for _ in range(2):
        await simulated.gateway.refresh(CREDENTIALS, user, connection)


async def test_reconnecting_keeps_the_connection(simulated: Simulated) -> None:
    user, connection = await simulated.connected("salaried")
    await simulated.control("POST", f"connections/{connection}/state", state="SCARequired")
    came_back = await simulated.log_in(user, "salaried", connection=connection)
    assert came_back == {"state": ["st ate"]}
    observed = await simulated.gateway.connection(CREDENTIALS, user, connection)
    assert observed.settled and observed.reason is None


async def test_a_recreated_account_is_found_disabled_beside_the_deleted_one(simulated: Simulated) -> None:
    user, connection = await simulated.connected("salaried")
    before = {account.reference for account in await simulated.accounts(user, connection)}
    await simulated.control("POST", f"connections/{connection}/recreate")
    accounts = await simulated.accounts(user, connection)
    recreated = [account for account in accounts if account.reference not in before]
    assert recreated and all(account.disabled for account in recreated)
    assert all(account.deleted for account in accounts if account.reference in before)


@pytest.mark.parametrize("status", [400, 409])
async def test_without_an_enabled_account_there_are_no_rows(served: Serves, status: int) -> None:
    simulated = await served(no_account_status=status)
    user, connection = await simulated.connected("salaried")
    accounts = await simulated.accounts(user, connection)
    await simulated.control("POST", f"connections/{connection}/recreate")
    assert not any((await simulated.rows(user, accounts, NOW - timedelta(days=400))).values())


async def test_a_connection_of_another_user_is_not_found(simulated: Simulated) -> None:
    _, connection = await simulated.connected("salaried")
    other = await simulated.gateway.create_user(CREDENTIALS)
    with pytest.raises(ProviderRefused):
        await simulated.gateway.connection(CREDENTIALS, other, connection)


async def test_wrong_credentials_are_refused(served: Serves) -> None:
    simulated = await served(client_id="12345", client_secret="another")
    with pytest.raises(ProviderRefused) as refused:
        await simulated.gateway.create_user(CREDENTIALS)
    assert refused.value.reason == "credentials_refused"


async def test_a_connection_and_a_user_are_deleted_once_and_for_all(simulated: Simulated) -> None:
    user, connection = await simulated.connected("salaried")
    for _ in range(2):
        await simulated.gateway.delete_connection(CREDENTIALS, user, connection)
    with pytest.raises(ProviderRefused) as refused:
        await simulated.gateway.connection(CREDENTIALS, user, connection)
    assert refused.value.reason == "not_found"
    for _ in range(2):
        await simulated.gateway.delete_user(CREDENTIALS, user)
    with pytest.raises(AuthorisationNeeded):
        await simulated.gateway.connection(CREDENTIALS, user, connection)


async def test_a_bank_that_stumbles_is_read_all_the_same(served: Serves) -> None:
    answers = iter([503, 429, None, 500] * 100)

    @web.middleware
    async def stumbles(request: web.Request, handler: Any) -> web.StreamResponse:
        status = next(answers) if request.method == "GET" else None
        return await handler(request) if status is None else web.Response(status=status)

    simulated = await served(faults=[stumbles])
    user = await simulated.gateway.create_user(CREDENTIALS)
    came_back = await simulated.log_in(user, "twins")
    accounts = await simulated.accounts(user, came_back["connection_id"][0])
    assert any((await simulated.rows(user, accounts)).values())


async def test_a_bank_that_is_down_is_unreachable(served: Serves) -> None:
    @web.middleware
    async def down(request: web.Request, handler: Any) -> web.StreamResponse:
        return web.Response(status=503, text="<html>", content_type="text/html")

    simulated = await served(faults=[down])
    with pytest.raises(ProviderUnreachable):
        await simulated.gateway.create_user(CREDENTIALS)
