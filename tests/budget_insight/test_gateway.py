"""What the gateway asks of the bank, and what it makes of the answers."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from adapters.budget_insight.client import WALK_PAUSE
from adapters.budget_insight.gateway import BudgetInsightGateway
from application.ports import (
    AuthorisationNeeded,
    ObservedPage,
    ProviderGateway,
    ProviderRefused,
    ProviderUnreachable,
    ProviderUser,
    UnexpectedAnswer,
)
from tests.budget_insight.conftest import CREDENTIALS, USER, GatewayTo, Pauses, an_account
from tests.budget_insight.scripted import Asked, Bank, as_bytes, as_json, error, page, row

CONNECTION = {
    "id": 512,
    "id_user": 7301,
    "state": None,
    "last_update": "2026-03-01 06:12:46",
    "connector": {"id": 40, "name": "Connecteur de test"},
    "sources": [{"state": None, "access_expire": "2026-07-11 10:03:20"}],
}
BEARER = "Bearer SECRET-TOKEN"


async def pages_of(
    gateway: ProviderGateway,
    *accounts: str,
    since: datetime | None = None,
    booked_since: int | None = None,
) -> list[ObservedPage]:
    observed = [an_account(account) for account in accounts]
    pages = gateway.transactions(
        CREDENTIALS, USER, accounts=observed, updated_since=since, booked_since=booked_since
    )
    return [page async for page in pages]


def rows_of(pages: list[ObservedPage]) -> list[tuple[str, str]]:
    return [(account, transaction.reference) for page in pages for account, transaction in page.rows]


async def test_a_user_is_made_with_the_tenants_credentials(gateway: BudgetInsightGateway, bank: Bank) -> None:
    bank.answers(
        as_json({"auth_token": "Zr0", "type": "permanent", "id_user": 7301, "expires_in": None, "new": 1}),
        as_json({"id": 7301}),
    )
    assert await gateway.create_user(CREDENTIALS) == ProviderUser(reference="7301", token="Zr0")
    body = {"client_id": "12345", "client_secret": "SECRET-CLIENT"}
    assert bank.asked == [
        Asked("POST", "/2.0/auth/init", None, body),
        Asked("GET", "/2.0/users/me", "Bearer Zr0", None),
    ]


async def test_a_token_of_somebody_else_is_refused(gateway: BudgetInsightGateway, bank: Bank) -> None:
    bank.answers(as_json({"auth_token": "Zr0", "type": "permanent", "id_user": 7301}), as_json({"id": 7302}))
    with pytest.raises(UnexpectedAnswer, match="foreign_token"):
        await gateway.create_user(CREDENTIALS)
    bank.answers(as_json({"access_token": "Kp8"}), as_json({"id": 7302}))
    with pytest.raises(UnexpectedAnswer, match="foreign_token"):
        await gateway.renew_user(CREDENTIALS, USER)


async def test_a_temporary_token_is_made_permanent(gateway: BudgetInsightGateway, bank: Bank) -> None:
    bank.answers(
        as_json({"auth_token": "temp_xxx", "type": "temporary", "id_user": "42"}),
        as_json({"token": "perm_yyy"}),
        as_json({"id": "42"}),
    )
    assert await gateway.create_user(CREDENTIALS) == ProviderUser(reference="42", token="perm_yyy")
    assert bank.targets == ["POST /2.0/auth/init", "POST /2.0/auth/token/access", "GET /2.0/users/me"]
    assert bank.asked[1].body["code"] == "temp_xxx"


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "x" * 5_000, None, 5])
async def test_a_token_that_no_header_can_carry_is_refused(
    gateway: BudgetInsightGateway, bank: Bank, token: object
) -> None:
    bank.answers(as_json({"auth_token": token, "type": "permanent", "id_user": 7301}))
    with pytest.raises(UnexpectedAnswer):
        await gateway.create_user(CREDENTIALS)


async def test_a_person_is_sent_to_connect_with_a_code_for_one_use(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    bank.answers(as_json({"code": "f1 d&V=", "type": "temporary", "access": "single", "expires_in": 1800}))
    with pytest.raises(UnexpectedAnswer):
        await gateway.authorisation_url(CREDENTIALS, USER, redirect_uri="http://127.0.0.1/", state="s")
    bank.answers(as_json({"code": "f1d&V=+%", "type": "temporary", "access": "single", "expires_in": 1800}))
    url = await gateway.authorisation_url(
        CREDENTIALS, USER, redirect_uri="https://us.example/callback/budgea", state="a b&c=d#e/é"
    )
    assert bank.asked[-1] == Asked("GET", "/2.0/auth/token/code?type=singleAccess", BEARER, None)
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}" == bank.url
    assert parts.path == "/fr/connect" and not parts.fragment and url.isascii()
    assert parse_qs(parts.query, strict_parsing=True) == {
        "domain": ["demo-sandbox.biapi.pro"],
        "client_id": ["12345"],
        "redirect_uri": ["https://us.example/callback/budgea"],
        "code": ["f1d&V=+%"],
        "state": ["a b&c=d#e/é"],
    }
    assert "SECRET" not in url


async def test_a_person_who_was_connected_is_sent_to_reconnect(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    bank.answers(as_json({"code": "c"}))
    url = await gateway.authorisation_url(
        CREDENTIALS,
        USER,
        redirect_uri="https://us.example/cb",
        state="s",
        connection="512",
        languages=["sv", "en"],
    )
    assert urlsplit(url).path == "/en/reconnect"
    assert parse_qs(urlsplit(url).query)["connection_id"] == ["512"]


@pytest.mark.parametrize("language", ["xx", "", "../../x", "FR", "fr/evil"])
async def test_a_language_the_webview_does_not_speak_becomes_french(
    gateway: BudgetInsightGateway, bank: Bank, language: str
) -> None:
    bank.answers(as_json({"code": "c"}))
    url = await gateway.authorisation_url(
        CREDENTIALS, USER, redirect_uri="https://us.example/cb", state="s", languages=[language]
    )
    assert urlsplit(url).path == "/fr/connect"


async def test_a_connection_is_read_with_its_sources(gateway: BudgetInsightGateway, bank: Bank) -> None:
    bank.answers(as_json(CONNECTION))
    observed = await gateway.connection(CREDENTIALS, USER, "512")
    assert (observed.reference, observed.provider_user) == ("512", "7301")
    assert observed.bank_name == "Connecteur de test"
    assert observed.settled and observed.reason is None
    assert observed.consent_expires_at == datetime(2026, 7, 11, 8, 3, 20, tzinfo=UTC)
    target = "/2.0/users/me/connections/512?expand=sources%2Cconnector"
    assert bank.asked == [Asked("GET", target, BEARER, None)]


@pytest.mark.parametrize("owner", [7302, "7302", 73010])
async def test_a_connection_of_somebody_else_is_refused(
    gateway: BudgetInsightGateway, bank: Bank, owner: object
) -> None:
    bank.answers(as_json({**CONNECTION, "id_user": owner}))
    with pytest.raises(ProviderRefused) as refused:
        await gateway.connection(CREDENTIALS, USER, "512")
    assert refused.value.reason == "foreign_connection"
    with pytest.raises(ProviderRefused):
        await gateway.accounts(CREDENTIALS, USER, "512")


@pytest.mark.parametrize(
    "reference", ["", "me", "512/../513", "512?x=1", "5%31", "512\n", "-1", "0", "9" * 30, "\uff15"]
)
async def test_what_a_browser_brings_back_goes_into_no_path_unless_it_is_an_id(
    gateway: BudgetInsightGateway, bank: Bank, reference: str
) -> None:
    for asking in (gateway.connection, gateway.accounts, gateway.refresh):
        with pytest.raises(ProviderRefused):
            await asking(CREDENTIALS, USER, reference)
    assert bank.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        as_json(CONNECTION),
        as_json(CONNECTION, 202),
        error("conflict", 409),
        error("Conflict", 400),
        error("connectionLocked", 400),
        web.Response(status=409),
    ],
)
async def test_a_refresh_that_came_too_soon_is_no_error(
    gateway: BudgetInsightGateway, bank: Bank, answer: web.Response
) -> None:
    bank.answers(answer)
    await gateway.refresh(CREDENTIALS, USER, "512")
    assert bank.targets == ["PUT /2.0/users/me/connections/512?psu_requested=false"]


async def test_a_refresh_that_cannot_be_is_an_error(gateway: BudgetInsightGateway, bank: Bank) -> None:
    bank.answers(error("SCARequired", 400))
    with pytest.raises(AuthorisationNeeded):
        await gateway.refresh(CREDENTIALS, USER, "512")
    # Each that arrives is a visit to the bank: it is for the caller to count them, and to ask again.
    bank.answers(web.Response(status=503))
    with pytest.raises(ProviderUnreachable):
        await gateway.refresh(CREDENTIALS, USER, "512")
    assert len(bank.targets) == 2


async def test_a_person_who_is_there_may_be_asked(gateway: BudgetInsightGateway, bank: Bank) -> None:
    bank.answers(as_json(CONNECTION))
    await gateway.refresh(CREDENTIALS, USER, "512", attended=True)
    assert bank.targets == ["PUT /2.0/users/me/connections/512?psu_requested=true"]


async def test_accounts_are_read_disabled_and_deleted_ones_too(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    accounts = (
        b'{"accounts": [{"id": 2318, "id_connection": 512, "id_user": 7301,'
        b' "balance": 12345678901234567.89, "currency": {"id": "EUR", "precision": 2},'
        b' "type": "checking", "last_update": "2026-03-01 06:12:44"},'
        b' {"id": 2319, "balance": 250000, "currency": {"id": "JPY", "precision": 0}, "type": {"name": "card"},'
        b' "last_update": "2026-03-01 06:12:44", "disabled": "2026-03-01 06:12:44"}], "total": 2}'
    )
    bank.answers(as_json(CONNECTION), as_bytes(accounts))
    first, second = await gateway.accounts(CREDENTIALS, USER, "512")
    assert bank.targets[1] == "GET /2.0/users/me/connections/512/accounts?all="
    assert first.reading is not None and first.reading.balance == 1234567890123456789
    assert first.details.bank_name == "Connecteur de test"
    assert (second.currency, second.exponent, second.disabled, second.connection) == ("JPY", 0, True, "512")
    assert second.reading is not None and second.reading.balance == 250_000


async def test_no_account_is_no_accounts(gateway: BudgetInsightGateway, bank: Bank) -> None:
    bank.answers(as_json(CONNECTION), error("noAccount", 409))
    assert await gateway.accounts(CREDENTIALS, USER, "512") == []


@pytest.mark.parametrize("of", [{"id_user": 7302}, {"id_connection": 513}])
async def test_an_account_of_somebody_else_is_not_read(
    gateway: BudgetInsightGateway, bank: Bank, of: dict[str, int]
) -> None:
    bank.answers(as_json(CONNECTION), as_json({"accounts": [{"id": 2317}, {"id": 2318, **of}]}))
    with pytest.raises(UnexpectedAnswer) as refused:
        await gateway.accounts(CREDENTIALS, USER, "512")
    assert refused.value.reason == "foreign_account"


async def test_an_account_that_is_shown_twice_is_one_or_none(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    account = {"id": 2318, "balance": 1, "last_update": "2026-03-01 06:12:44"}
    bank.answers(as_json(CONNECTION), as_json({"accounts": [account, account]}))
    assert len(await gateway.accounts(CREDENTIALS, USER, "512")) == 1
    bank.answers(as_json(CONNECTION), as_json({"accounts": [account, {**account, "balance": 2}]}))
    with pytest.raises(UnexpectedAnswer) as refused:
        await gateway.accounts(CREDENTIALS, USER, "512")
    assert refused.value.reason == "conflicting_rows"


async def test_a_list_of_accounts_that_may_not_be_the_whole_is_no_list(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    bank.answers(as_json(CONNECTION), as_json({"accounts": [{"id": 2318}], "total": 2}))
    with pytest.raises(ProviderUnreachable) as refused:
        await gateway.accounts(CREDENTIALS, USER, "512")
    assert refused.value.reason == "list_moved"


async def test_a_connection_that_shows_the_source_of_another_is_not_read(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    bank.answers(as_json({**CONNECTION, "sources": [{"id": 733, "id_connection": 513}]}))
    with pytest.raises(UnexpectedAnswer) as refused:
        await gateway.connection(CREDENTIALS, USER, "512")
    assert refused.value.reason == "foreign_source"


async def test_all_rows_are_read_account_by_account(gateway: BudgetInsightGateway, bank: Bank) -> None:
    bank.answers(
        page([row(1), row(2)], next="/2.0/users/me/accounts/2318/transactions?limit=1000&cursor=W3s%3D+/"),
        page([row(2), row(6)], next=f"{bank.url}/2.0/users/me/accounts/2318/transactions?cursor=b"),
        page([row(3)], next=None),
        page([row(4, 2319, last_update="2026-10-25 02:30:00"), row(5, 2319, last_update=None)]),
    )
    pages = await pages_of(gateway, "2318", "2319")
    assert rows_of(pages) == [
        *(("2318", "1"), ("2318", "2"), ("2318", "2"), ("2318", "6"), ("2318", "3")),
        *(("2319", "4"), ("2319", "5")),
    ]
    assert bank.targets == [
        "GET /2.0/users/me/accounts/2318/transactions?limit=1000&all=&filter=date",
        "GET /2.0/users/me/accounts/2318/transactions?limit=1000&cursor=W3s%3D+/",
        "GET /2.0/users/me/accounts/2318/transactions?cursor=b",
        "GET /2.0/users/me/accounts/2319/transactions?limit=1000&all=&filter=date",
    ]
    assert {asked.token for asked in bank.asked} == {BEARER}
    touched = [transaction.touched_at for page in pages for _, transaction in page.rows]
    assert touched[0] == datetime(2026, 2, 28, 4, 48, 12, tzinfo=UTC)
    assert touched[-2:] == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), None]


async def test_a_window_is_read_account_by_account_by_the_day_of_booking(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    bank.answers(page([row(1)]), page([row(2, 2319)]))
    pages = await pages_of(gateway, "2318", "2319", booked_since=20_424)
    assert rows_of(pages) == [("2318", "1"), ("2319", "2")]
    assert bank.targets == [
        "GET /2.0/users/me/accounts/2318/transactions?limit=1000&all=&filter=date&min_date=2025-12-02",
        "GET /2.0/users/me/accounts/2319/transactions?limit=1000&all=&filter=date&min_date=2025-12-02",
    ]


@pytest.mark.parametrize("owner", [2319, 77])
async def test_in_the_list_of_one_account_no_other_has_rows(
    gateway: BudgetInsightGateway, bank: Bank, owner: int
) -> None:
    bank.answers(page([row(1), row(9, owner)]), page([row(2, 2319)]))
    with pytest.raises(UnexpectedAnswer) as refused:
        await pages_of(gateway, "2318", "2319")
    assert refused.value.reason == "foreign_row"


async def test_what_is_new_is_read_in_one_list_for_all_accounts(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    bank.answers(page([row(1), row(2, 2319), row(3, 4444)]))
    since = datetime(2026, 3, 1, 5, 12, 44, tzinfo=UTC)
    pages = await pages_of(gateway, "2318", "2319", since=since)
    assert rows_of(pages) == [("2318", "1"), ("2319", "2")]
    assert bank.targets == [
        "GET /2.0/users/me/transactions?limit=1000&all=&filter=date&last_update=2026-03-01%2006%3A12%3A44"
    ]


async def test_links_relative_to_the_api_are_followed_below_it(gateway_to: GatewayTo, bank: Bank) -> None:
    gateway = gateway_to(f"{bank.url}/bank/")
    bank.answers(
        page([row(1)], next="/users/me/transactions?offset=1"), page([row(2)], next="/2.0/x"), page([])
    )
    await pages_of(gateway, "2318")
    assert [target.partition("?")[0] for target in bank.targets] == [
        "GET /bank/2.0/users/me/accounts/2318/transactions",
        "GET /bank/2.0/users/me/transactions",
        "GET /bank/2.0/x",
    ]


@pytest.mark.parametrize("links", [{"next": None}, {"next": {"href": None}}, {}])
async def test_a_list_ends_where_no_link_leads_on(
    gateway: BudgetInsightGateway, bank: Bank, links: dict[str, object]
) -> None:
    bank.answers(as_json({"transactions": [row(1)], "_links": links, "total": 1}))
    assert rows_of(await pages_of(gateway, "2318")) == [("2318", "1")]
    assert len(bank.asked) == 1


async def test_a_list_without_links_is_walked_by_offset(
    gateway: BudgetInsightGateway, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.budget_insight.client.ROWS_MAX", 2)
    bank.answers(*(as_json({"transactions": rows}) for rows in ([row(1), row(2)], [row(3), row(4)], [])))
    assert len(rows_of(await pages_of(gateway, "2318"))) == 4
    assert [target.partition("&offset=")[2] for target in bank.targets] == ["", "2", "4"]


async def test_pages_smaller_than_asked_for_are_walked_while_the_total_says_so(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    bank.answers(*(as_json({"transactions": [row(id)], "total": 3}) for id in (1, 2, 3)))
    assert len(rows_of(await pages_of(gateway, "2318"))) == 3
    assert len(bank.asked) == 3


async def test_an_empty_page_in_the_middle_is_not_the_end(gateway: BudgetInsightGateway, bank: Bank) -> None:
    there = "/2.0/users/me/accounts/2318/transactions?cursor="
    bank.answers(
        *(page([row(1)], next=f"{there}a", total=2), page([], next=f"{there}b", total=2)),
        *(page([], next=f"{there}c", total=2), page([row(2)], total=2)),
    )
    assert rows_of(await pages_of(gateway, "2318")) == [("2318", "1"), ("2318", "2")]


async def test_a_list_that_moved_is_walked_again_and_shown_once(
    gateway: BudgetInsightGateway, bank: Bank, pauses: Pauses
) -> None:
    there = "/2.0/users/me/accounts/2318/transactions?cursor="
    bank.answers(
        # While the second page was asked for, a row came in above it.
        *(page([row(1), row(2)], next=f"{there}a", total=3), page([row(3)], total=4)),
        *(page([row(9), row(1)], next=f"{there}b", total=4), page([row(2), row(3, value=7)], total=4)),
    )
    (first, second) = await pages_of(gateway, "2318")
    assert [row.reference for _, row in (*first.rows, *second.rows)] == ["9", "1", "2", "3"]
    assert pauses.taken == [WALK_PAUSE]


async def test_a_row_that_moved_down_under_the_walk_is_shown_as_it_was_and_as_it_is(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    bank.answers(
        page([row(1), row(2)], next="/2.0/x", total=3),
        page([row(3), row(1, date="2026-01-01", last_update="2026-03-01 00:00:00")], total=3),
    )
    (first, second) = await pages_of(gateway, "2318")
    (_, was), (_, now) = first.rows[0], second.rows[1]
    assert was.reference == now.reference == "1" and was.booked_on > now.booked_on
    assert was.touched_at is not None and now.touched_at is not None and was.touched_at < now.touched_at


async def test_rows_that_went_away_under_the_walk_do_not_matter_where_links_hold_the_place(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    bank.answers(page([row(1), row(2)], next="/2.0/x", total=4), page([row(3)], total=2))
    assert len(rows_of(await pages_of(gateway, "2318"))) == 3


async def test_without_accounts_nothing_is_asked(gateway: BudgetInsightGateway, bank: Bank) -> None:
    assert await pages_of(gateway) == []
    assert bank.asked == []


@pytest.mark.parametrize("answer", [web.Response(status=204), as_json(CONNECTION), error("notFound", 404)])
async def test_a_connection_that_is_gone_is_deleted(
    gateway: BudgetInsightGateway, bank: Bank, answer: web.Response
) -> None:
    bank.answers(answer)
    await gateway.delete_connection(CREDENTIALS, USER, "512")
    assert bank.targets == ["DELETE /2.0/users/me/connections/512"]


async def test_a_user_is_deleted(gateway: BudgetInsightGateway, bank: Bank) -> None:
    bank.answers(web.Response(status=204))
    await gateway.delete_user(CREDENTIALS, USER)
    assert bank.asked == [Asked("DELETE", f"/2.0/users/{USER.reference}", BEARER, None)]


async def test_a_user_whose_token_died_is_deleted_with_another(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    bank.answers(error("invalidToken", 401), as_json({"access_token": "Kp8"}), web.Response(status=204))
    await gateway.delete_user(CREDENTIALS, USER)
    assert bank.targets == ["DELETE /2.0/users/7301", "POST /2.0/auth/renew", "DELETE /2.0/users/7301"]
    assert bank.asked[1].body["id_user"] == 7301 and bank.asked[2].token == "Bearer Kp8"


async def test_a_user_who_is_gone_is_deleted(gateway: BudgetInsightGateway, bank: Bank) -> None:
    bank.answers(error("invalidToken", 403), error("notFound", 404))
    await gateway.delete_user(CREDENTIALS, USER)


async def test_a_user_who_may_still_be_there_is_not_deleted(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    bank.answers(error("invalidToken", 403), error("config", 400))
    with pytest.raises(ProviderRefused):
        await gateway.delete_user(CREDENTIALS, USER)
    bank.answers(web.Response(status=503))
    with pytest.raises(ProviderUnreachable):
        await gateway.delete_user(CREDENTIALS, USER)
