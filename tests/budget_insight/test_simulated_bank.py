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
from domain.transactions import Transaction, date_of, day_of
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

    async def revoke(self, user: ProviderUser) -> None:
        bearer = {"Authorization": f"Bearer {user.token}"}
        async with self._session.delete(f"{self.url}/2.0/auth/token", headers=bearer) as answer:
            assert answer.status == 204

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
        self,
        user: ProviderUser,
        accounts: Sequence[ObservedAccount],
        since: datetime | None = None,
        *,
        booked_since: int | None = None,
    ) -> dict[str, dict[str, Transaction]]:
        """By account and reference, and each row once."""
        found: dict[str, dict[str, Transaction]] = {account.reference: {} for account in accounts}
        pages = self.gateway.transactions(
            CREDENTIALS, user, accounts=accounts, updated_since=since, booked_since=booked_since
        )
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


class Meddling:
    """Lets something happen at the bank before a page of transactions is put together, and counts the pages."""

    def __init__(self) -> None:
        self.pages = 0
        self.before: Callable[[int], Awaitable[Any]] | None = None

    @property
    def fault(self) -> Any:
        @web.middleware
        async def meddled(request: web.Request, handler: Any) -> web.StreamResponse:
            if request.path.endswith("/transactions"):
                self.pages += 1
                if self.before is not None:
                    await self.before(self.pages)
            return await handler(request)

        return meddled


async def test_pages_that_move_while_they_are_read_are_read_again_until_they_stand_still(
    served: Serves, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.budget_insight.client.ROWS_MAX", 7)
    meddling = Meddling()
    simulated = await served(faults=[meddling.fault])
    user, connection = await simulated.connected("salaried")
    accounts = await simulated.accounts(user, connection)
    truth = (await simulated.control("GET", "logins/salaried"))["accounts"][0]
    webids = [row["webid"] for row in truth["transactions"]]

    async def move(page: int) -> None:
        if 1 < page <= 6:
            await simulated.control(
                "POST", f"logins/salaried/accounts/{truth['account']}/transactions",
                date="2026-03-15", value="-1.10", wording=f"MOVED {page}",
            )  # fmt: skip
            await simulated.control("DELETE", f"logins/salaried/transactions/{webids[page]}")
            await simulated.control(
                "PATCH", f"logins/salaried/transactions/{webids[-page]}", date="2026-03-14"
            )

    meddling.before = move
    rows = await simulated.rows(user, accounts)
    meddling.before = None
    monkeypatch.undo()
    assert rows == await simulated.rows(user, accounts)
    wordings = [row.wording for held in rows.values() for row in held.values()]
    assert sum("MOVED" in (wording or "") for wording in wordings) == 5


async def test_pages_that_never_stand_still_are_no_list(
    served: Serves, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.budget_insight.client.ROWS_MAX", 7)
    meddling = Meddling()
    simulated = await served(faults=[meddling.fault])
    user, connection = await simulated.connected("salaried")
    accounts = await simulated.accounts(user, connection)
    truth = (await simulated.control("GET", "logins/salaried"))["accounts"][0]

    async def move(page: int) -> None:
        await simulated.control(
            "POST", f"logins/salaried/accounts/{truth['account']}/transactions",
            date="2026-03-15", value="-1.10", wording=f"MOVED {page}",
        )  # fmt: skip

    meddling.before = move
    for options in ({}, {"updated_since": NOW - timedelta(days=900)}, {"booked_since": 0}):
        pages = simulated.gateway.transactions(CREDENTIALS, user, accounts=accounts, **options)
        with pytest.raises(ProviderUnreachable) as refused:
            await anext(pages)
        assert refused.value.reason == "list_moved"


async def test_rows_touched_while_an_increment_is_read_are_in_it_once_and_as_they_are(
    served: Serves, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.budget_insight.client.ROWS_MAX", 7)
    meddling = Meddling()
    simulated = await served(faults=[meddling.fault])
    user, connection = await simulated.connected("salaried")
    accounts = await simulated.accounts(user, connection)
    truth = (await simulated.control("GET", "logins/salaried"))["accounts"][0]
    webids = [row["webid"] for row in truth["transactions"]]
    path = "logins/salaried/transactions"
    for webid in webids[:30]:
        await simulated.control("PATCH", f"{path}/{webid}", wording="Corrigé")
    await simulated.control("POST", "clock", advance_seconds=60)

    async def touch(page: int) -> None:
        if page == 3:
            for webid in webids[28:40]:
                await simulated.control("PATCH", f"{path}/{webid}", wording="Encore")

    meddling.before = touch
    since = NOW - timedelta(seconds=1)
    touched = await simulated.rows(user, accounts, since)
    said = [row.wording for held in touched.values() for row in held.values()]
    assert said.count("Encore") == 12 and said.count("Corrigé") == 28
    newest = max(row.touched_at for held in touched.values() for row in held.values() if row.touched_at)
    assert newest == NOW + timedelta(seconds=60)


async def test_a_window_holds_what_was_booked_in_it_deleted_rows_too(simulated: Simulated) -> None:
    user, connection = await simulated.connected("salaried")
    accounts = await simulated.accounts(user, connection)
    truth = (await simulated.control("GET", "logins/salaried"))["accounts"][0]
    gone = max(truth["transactions"], key=lambda row: row["date"])["webid"]
    await simulated.control("DELETE", f"logins/salaried/transactions/{gone}")
    everything = await simulated.rows(user, accounts)
    since = day_of((NOW - timedelta(days=90)).date())
    window = await simulated.rows(user, accounts, booked_since=since)
    assert window == {
        account: {reference: row for reference, row in rows.items() if row.booked_on >= since}
        for account, rows in everything.items()
    }
    assert any(row.deleted for rows in window.values() for row in rows.values())
    assert sum(map(len, window.values())) < sum(map(len, everything.values()))


@pytest.mark.parametrize("login", ["salaried", "pending"])
async def test_each_row_says_when_it_was_first_seen_and_last_touched(
    simulated: Simulated, login: str
) -> None:
    user, connection = await simulated.connected(login)
    rows = await simulated.rows(user, await simulated.accounts(user, connection))
    seen = [row for held in rows.values() for row in held.values()]
    assert seen and all(row.seen_at is not None and row.seen_at <= NOW for row in seen)
    assert all(row.touched_at is not None and row.seen_at <= row.touched_at <= NOW for row in seen)


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
async def test_rows_of_accounts_that_were_taken_away_are_not_none(served: Serves, status: int) -> None:
    simulated = await served(no_account_status=status)
    user, connection = await simulated.connected("salaried")
    accounts = await simulated.accounts(user, connection)
    await simulated.control("POST", f"connections/{connection}/recreate")
    with pytest.raises(ProviderRefused) as refused:
        await simulated.rows(user, accounts, NOW - timedelta(days=400))
    assert refused.value.reason == "no_account"
    assert all(account.disabled or account.deleted for account in await simulated.accounts(user, connection))


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


async def test_a_user_who_was_deleted_there_is_known_by_the_refusal_of_another_token(
    simulated: Simulated,
) -> None:
    user, connection = await simulated.connected("salaried")
    await simulated.gateway.delete_user(CREDENTIALS, user)
    with pytest.raises(AuthorisationNeeded) as needed:
        await simulated.gateway.connection(CREDENTIALS, user, connection)
    assert needed.value.reason == "token_refused"
    with pytest.raises(ProviderRefused) as refused:
        await simulated.gateway.renew_user(CREDENTIALS, user)
    assert refused.value.reason == "not_found"


async def test_a_token_that_was_revoked_is_made_good_by_another(simulated: Simulated) -> None:
    user, connection = await simulated.connected("salaried")
    await simulated.revoke(user)
    with pytest.raises(AuthorisationNeeded) as needed:
        await simulated.gateway.connection(CREDENTIALS, user, connection)
    assert needed.value.reason == "token_refused"
    renewed = await simulated.gateway.renew_user(CREDENTIALS, user)
    assert renewed.reference == user.reference and renewed.token != user.token
    assert (await simulated.gateway.connection(CREDENTIALS, renewed, connection)).settled


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
