"""Bodies that other clients of this API were written against: each is read whole, or refused by name.

They take the way that all answers take: over HTTP, through the gateway. `EXPECTED` says of each file what is
asked for with it and what comes of that; a file that nobody has said anything of fails.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.budget_insight import payloads, translate
from adapters.budget_insight.gateway import BudgetInsightGateway
from adapters.budget_insight.webhooks import EVENTS, BudgetInsightPushes
from application.ports import ProviderError, ProviderUser, PushUnreadable
from tests.budget_insight.conftest import CREDENTIALS, USER, an_account
from tests.budget_insight.scripted import Bank, as_bytes, as_json
from tests.budget_insight.test_webhooks import SECRET, delivered
from tests.conftest import SHARED_DATA

FOLDER = SHARED_DATA / "powens-payloads"
BODIES = sorted(FOLDER.glob("*.json")) if FOLDER.is_dir() else []
NO_BODIES = {"README.md", "SHA256SUMS", "LICENSES"}

#: Refused: what was asked for is not in it, or not as it must be.
SHAPE = "unexpected_shape"
#: A connection without an error that was never fetched: no success yet.
UNFETCHED = "never fetched"
#: Of an endpoint that we never ask: where it comes in place of a list, that is no empty list.
FOREIGN = {"transactions": SHAPE, "accounts": SHAPE}

#: By the file's name: what is asked for, and the outcome.
EXPECTED: Mapping[str, Mapping[str, str]] = {
    "formance-payments__bank_accounts__0": {"account": "1 read"},
    "formance-payments__bank_accounts__2__invalid_last_update": {"account": SHAPE},
    "formance-payments__webhooks__0": {"connection": "well", "CONNECTION_DELETED": "look at 10"},
    "formance-payments__webhooks__0_2": {"CONNECTION_SYNCED": "look at 10 of 1"},
    "formance-payments__webhooks__2": {"CONNECTION_SYNCED": "look at 1 of 1"},
    "formance-payments__webhooks__2__invalid_last_update": {
        "connection": SHAPE,
        "CONNECTION_DELETED": "look at 1",
    },
    "formance-payments__webhooks__4": {"CONNECTION_SYNCED": "look at 10 of 1"},
    "powens-ruby__client_spec__00_creates_a_temporary_user_and_returns_auth_token": {"user": "42"},
    "powens-ruby__client_spec__01_exchanges_temporary_token_for_permanent_token": {"token": "perm_yyy"},
    "powens-ruby__client_spec__02_generates_a_temporary_code_for_webview": {"code": "abc123"},
    "powens-ruby__client_spec__03_returns_list_of_available_connectors": FOREIGN,
    "powens-ruby__client_spec__05_returns_connection_details_with_error_state": {
        "connection": "sca_required"
    },
    "powens-ruby__client_spec__06_returns_user_accounts": {"accounts": "2 read"},
    "powens-ruby__client_spec__07_returns_transactions_with_filters": {"transactions": "1 read"},
    "powens-ruby__client_spec__08_fetches_all_pages_of_transactions": {"transactions": SHAPE},
    "powens-ruby__client_spec__09_fetches_all_pages_of_transactions": {"transactions": SHAPE},
    "powens-ruby__client_spec__10_yields_each_transaction_when_block_given": {"transactions": SHAPE},
    "powens-ruby__client_spec__11_raises_authenticationerror_on_401": {"error 401": "token_refused"},
    "powens-ruby__client_spec__12_raises_scarequirederror_when_sca_is_needed": {"error 403": "token_refused"},
    "powens-ruby__client_spec__13_raises_notfounderror_on_404": {"error 404": "not_found"},
    "powens-ruby__client_spec__14_raises_ratelimiterror_on_429": {"error 429": "rate_limited"},
    "powens-ruby__client_spec__15_returns_user_information": FOREIGN,
    "powens-ruby__client_spec__16_accepts_a_specific_user_id": FOREIGN,
    "powens-ruby__client_spec__17_returns_connector_details": FOREIGN,
    "powens-ruby__client_spec__18_triggers_a_sync_for_the_connection": {"connection": "unknown_state"},
    "powens-ruby__client_spec__20_returns_account_details": {"account": "1 read"},
    "powens-ruby__client_spec__22_returns_transaction_details": {"transaction": "1 read"},
    "powens-ruby__client_spec__23_updates_transaction_attributes": {"transaction": SHAPE},
    "powens-ruby__client_spec__24_returns_user_investments": FOREIGN,
    "powens-ruby__client_spec__26_returns_market_orders": FOREIGN,
    "powens-ruby__client_spec__27_returns_balance_history": FOREIGN,
    "powens-ruby__client_spec__28_accepts_date_filters": FOREIGN,
    "powens-ruby__client_spec__29_returns_transaction_categories": FOREIGN,
    "powens-ruby__client_spec__30_returns_category_details": FOREIGN,
    "powens-ruby__client_spec__31_returns_account_types": FOREIGN,
    "powens-ruby__client_spec__32_returns_user_documents": FOREIGN,
    "powens-ruby__client_spec__33_returns_transactions_for_a_specific_account": {"transactions": SHAPE},
    "powens-ruby__client_spec__34_applies_all_filters": {"transactions": "0 read"},
    "powens-ruby__client_spec__35_raises_authenticationerror_on_403_without_scarequi": {
        "error 403": "token_refused"
    },
    "powens-ruby__client_spec__36_raises_validationerror_on_422": {"error 422": "invalid_request"},
    "powens-ruby__client_spec__37_raises_apierror_on_500": {"error 500": "unavailable"},
    "py-powens__account_types_currencies__get_account_type": FOREIGN,
    "py-powens__account_types_currencies__list_account_types": FOREIGN,
    "py-powens__auth__init_user_sends_credentials_without_auth_header": {"user": "42"},
    "py-powens__balances_ownerships_indicators__balances_get_with_date_range": FOREIGN,
    "py-powens__connections__create_sends_connector_uuid_and_fields": {"connection": UNFETCHED},
    "py-powens__connections__list_all_vs_list_lazy": {"connections": UNFETCHED, **FOREIGN},
    "py-powens__connections__update_source": FOREIGN,
    "py-powens__connectors__get_connector_sources": FOREIGN,
    "py-powens__http_client__injected_breaker_sees_success_and_failure": {"account": "1 read"},
    "py-powens__http_client__maps_400_to_bad_request": {"error 400": "invalid_request"},
    "py-powens__http_client__maps_401_to_auth_error": {"error 401": "token_refused"},
    "py-powens__pagination__offset_by_page_yields_one_page_per_round_trip": {"connections": UNFETCHED},
    "py-powens__pagination__offset_by_page_yields_one_page_per_round_trip_2": {"connections": UNFETCHED},
    "py-powens__resources__accounts_get": {"account": "1 read"},
    "py-powens__resources__connections_get_parses_model": {"connection": UNFETCHED},
    "py-powens__transactions__list_forwards_limit_and_filters": {"transactions": "0 read"},
    "py-powens__transactions__list_page_exposes_envelope_dates": {"transactions": "1 read"},
    "py-powens__transactions__transaction_parses_full_payload__model": {"transaction": "1 read"},
    "py-powens__wealth__investment_history": FOREIGN,
    "py-powens__wealth__loan_amortizations_list": FOREIGN,
    "py-powens__wealth__market_orders_list": FOREIGN,
    "py-powens__wealth__pockets_list_by_investment": FOREIGN,
}


# How a body is asked for


async def user(gateway: BudgetInsightGateway, bank: Bank, body: bytes) -> str:
    answers = [as_json({"token": "permanent"})] if b"temporary" in body else []
    bank.answers(as_bytes(body), *answers, as_json({"id": 42}))
    return (await gateway.create_user(CREDENTIALS)).reference


async def token(gateway: BudgetInsightGateway, bank: Bank, body: bytes) -> str:
    bank.answers(as_bytes(body), as_json({"id": USER.reference}))
    return (await gateway.renew_user(CREDENTIALS, USER)).token


async def code(gateway: BudgetInsightGateway, bank: Bank, body: bytes) -> str:
    bank.answers(as_bytes(body))
    url = await gateway.authorisation_url(CREDENTIALS, USER, redirect_uri="https://us.example/", state="s")
    return url.partition("&code=")[2].partition("&")[0]


async def connection(gateway: BudgetInsightGateway, bank: Bank, body: bytes) -> str:
    content = payloads.decode(body)
    owner = ProviderUser(reference=str(content.get("id_user", USER.reference)), token=USER.token)
    bank.answers(as_bytes(body))
    observed = await gateway.connection(CREDENTIALS, owner, str(content.get("id")))
    return observed.reason or ("well" if observed.settled else UNFETCHED)


async def connections(gateway: BudgetInsightGateway, bank: Bank, body: bytes) -> str:
    """We never ask for a list of them: as if each had been asked for."""
    rows = rows_in(body, "connections")
    seen = {await connection(gateway, bank, msgspec.json.encode(row)) for row in rows}
    return " and ".join(sorted(seen)) or "none"


async def accounts(gateway: BudgetInsightGateway, bank: Bank, body: bytes) -> str:
    rows = rows_in(body, "accounts")
    through = next((row["id_connection"] for row in rows if "id_connection" in row), 512)
    owner = next((row["id_user"] for row in rows if "id_user" in row), USER.reference)
    bank.answers(as_json({"id": through}), as_bytes(body))
    read = await gateway.accounts(CREDENTIALS, ProviderUser(str(owner), USER.token), str(through))
    assert len(read) == len(rows)
    for row, observed in zip(rows, read, strict=True):
        left = set(row) - translate.ACCOUNT_FIELDS_LIFTED - translate.ACCOUNT_FIELDS_MOVING
        assert left <= set(observed.details.fields)
        if row.get("last_update"):
            assert observed.reading is not None
            balance = in_major(observed.reading.balance, observed.exponent)
            assert balance == payloads.amount_of(row.get("balance"))
    return f"{len(read)} read"


async def account(gateway: BudgetInsightGateway, bank: Bank, body: bytes) -> str:
    return await accounts(gateway, bank, b'{"accounts": [%s]}' % body)


async def transactions(gateway: BudgetInsightGateway, bank: Bank, body: bytes) -> str:
    """The list of account 10, which is the one that those of them who name one are of."""
    rows = rows_in(body, "transactions")
    bank.answers(as_bytes(body))
    pages = gateway.transactions(CREDENTIALS, USER, accounts=[an_account("10")], updated_since=None)
    read = [transaction for page in [page async for page in pages] for _, transaction in page.rows]
    for row, seen in zip(rows, read, strict=True):
        # `type` and `deleted` have places of their own, and so has the time that a row was touched.
        left = set(row) - translate.TRANSACTION_FIELDS_LIFTED - {"type", "deleted", "last_update"}
        assert left <= set(seen.fields)
        assert seen.reference == str(row["id"])
        assert seen.wording == row.get("original_wording")
        assert in_major(seen.amount, 2) == payloads.amount_of(row.get("value"))
    return f"{len(read)} read"


async def transaction(gateway: BudgetInsightGateway, bank: Bank, body: bytes) -> str:
    return await transactions(gateway, bank, b'{"transactions": [%s]}' % body)


def rows_in(body: bytes, name: str) -> list[dict[str, Any]]:
    """The rows that a reader should find, read without any code of ours."""
    rows = json.loads(body, parse_float=Decimal).get(name)
    return rows if isinstance(rows, list) else []


def in_major(minor: int | None, exponent: int) -> Decimal | None:
    return None if minor is None else Decimal(minor).scaleb(-exponent)


Ask = Callable[[BudgetInsightGateway, Bank, bytes], Awaitable[str]]
ASKS: Mapping[str, Ask] = {
    ask.__name__: ask
    for ask in (user, token, code, connection, connections, account, accounts, transaction, transactions)
}


async def refusal(gateway: BudgetInsightGateway, bank: Bank, body: bytes, status: int) -> None:
    """An error, in answer to whatever was asked."""
    bank.answers(as_bytes(body, status))
    await gateway.accounts(CREDENTIALS, USER, "512")


def push(event: str, body: bytes) -> str:
    said = BudgetInsightPushes().read(delivered(body, event=event), SECRET)
    return f"look at {','.join(said.connections)}" + (f" of {said.user}" if said.user else "")


async def outcome(gateway: BudgetInsightGateway, bank: Bank, asked: str, body: bytes) -> str:
    """What comes of a body: what was read, or the name that it is refused by."""
    try:
        if asked in EVENTS:
            return push(asked, body)
        if asked.startswith("error "):
            await refusal(gateway, bank, body, int(asked.removeprefix("error ")))
            return "no error"
        return await ASKS[asked](gateway, bank, body)
    except ProviderError as error:
        return error.reason
    except PushUnreadable as error:
        return error.reason


# What comes of them


def refused_rows() -> Iterable[tuple[str, bytes]]:
    """The rows among them that cannot be read, with what list they are of: an account or a transaction."""
    for path in BODIES:
        for asked, expected in EXPECTED.get(path.stem, {}).items():
            if expected == SHAPE and asked in ("account", "transaction"):
                yield asked, path.read_bytes()
            elif expected == SHAPE and asked == "transactions":
                for row in rows_in(path.read_bytes(), "transactions"):
                    yield "transaction", msgspec.json.encode(row)


needs_bodies = pytest.mark.skipif(
    not BODIES, reason="the recorded bodies are not there: set PASSBOOK_SHARED_DATA"
)


@needs_bodies
def test_every_file_has_an_expected_outcome() -> None:
    files = {path.name for path in FOLDER.iterdir()} - NO_BODIES
    undeclared = files - {f"{name}.json" for name in EXPECTED}
    assert not undeclared, "say in EXPECTED what comes of them"
    assert set(BODIES) == {FOLDER / name for name in files}


@needs_bodies
@pytest.mark.parametrize(
    ("path", "asked"),
    [(path, asked) for path in BODIES for asked in EXPECTED.get(path.stem, ())],
    ids=lambda value: value.stem if isinstance(value, Path) else value,
)
async def test_a_recorded_body_is_read_whole_or_refused_by_name(
    gateway: BudgetInsightGateway, bank: Bank, path: Path, asked: str
) -> None:
    assert await outcome(gateway, bank, asked, path.read_bytes()) == EXPECTED[path.stem][asked]


@needs_bodies
@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.stem)
async def test_whatever_was_asked_a_recorded_body_has_an_outcome(
    gateway: BudgetInsightGateway, bank: Bank, path: Path
) -> None:
    body = path.read_bytes()
    content = payloads.decode(body)
    for asked in ASKS:
        seen = await outcome(gateway, bank, asked, body)
        # A body that holds no such list is never taken for an empty one.
        assert seen and (asked not in ("accounts", "transactions") or asked in content or "read" not in seen)
    for event in EVENTS:
        assert (await outcome(gateway, bank, event, body)).startswith("look at ")


@needs_bodies
async def test_the_fullest_row_keeps_all_it_says(gateway: BudgetInsightGateway, bank: Bank) -> None:
    row = (FOLDER / "py-powens__transactions__transaction_parses_full_payload__model.json").read_bytes()
    bank.answers(as_bytes(b'{"transactions": [%s]}' % row))
    pages = gateway.transactions(CREDENTIALS, USER, accounts=[an_account("10")], updated_since=None)
    (((account, seen),),) = [page.rows async for page in pages]
    assert (account, seen.reference, seen.kind, seen.wording) == ("10", "1", "card", "CARD xx ORIG")
    assert (seen.amount, seen.amount_text, seen.pending, seen.deleted) == (-42_50, None, False, False)
    assert seen.booked_on == seen.initiated_on == seen.value_on == 19_723
    assert seen.fields == {
        "application_date": "2024-01-02",
        "simplified_wording": "Groceries",
        "date_scraped": "2024-01-02 10:00:00",
        "active": True,
        "datetime": "2024-01-01 08:30:00",
        "vdatetime": "2024-01-01 08:30:00",
        "categories": [{"code": "groceries", "parent_code": "food_and_restaurants"}],
        "counterparty": {
            "label": "SuperMarket",
            "account_scheme_name": "iban",
            "account_identification": "FR76...",
            "type": "creditor",
        },
        "original_value": "-50.00",
        "original_currency": {"id": "USD", "precision": 2},
        "commission": "0.50",
        "commission_currency": {"id": "EUR", "precision": 2},
    }
