"""The storage over HTTP: a client brings accounts and transactions, and gets the same insights."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from aiohttp.test_utils import TestClient

from adapters.http import create_app
from adapters.http.openapi import document
from adapters.http.routes import ROUTES
from application import uploads
from application.retention import Retention
from domain import streams
from domain.fact import Erased
from projections import directory
from projections.balances import BALANCES
from projections.banking_accounts import BANKING_ACCOUNTS
from projections.cashflow import CASHFLOWS
from projections.ports import Rows
from tests.application.stories import fetched_once, the_banks_connection
from tests.application.world import TENANT, World, in_memory
from tests.http.conftest import Caller, Served
from tests.http.world import World as HttpWorld

MINUTE = timedelta(minutes=1)
STORAGE = "/insights/v1/storage"
BALANCES_REPORT = "/insights/v1/reports/balances/create"
ACCOUNT = {
    "insights_account_id": "acc-1",
    "iban": "FR76 3000 6000 0112 3456 7890 189",
    "alias": "Everyday",
    "holder_name": "Amélie Lefèvre",
    "account_type": "DEFAULT",
    "transfer_type": "FULL",
    "bank_code": "30006",
    "currency": "EUR",
    "holder_address": {"country": "FR"},
    "labels": {"tier": "gold"},
}
BAKERY = {
    "insights_transaction_id": "t1",
    "booking_date": "2026-02-20",
    "value_date": "2026-02-21",
    "amount": {"amount": 1250, "currency": "EUR"},
    "type": "DEBIT",
    "method": "DIRECT_DEBIT",
    "reference": "Boulangerie",
    "bank_references": {"unstructured": "CB BOULANGERIE", "end_to_end": "E2E-1"},
    "bank_transaction_code": {"code": "PMNT", "sub_code": "CCRD"},
    "counter_party": {"holder_name": "Boulangerie", "holder_address": {"country": "FR"}},
    "category_ids": ["852eab6a-fe60-4d15-82db-45985b9fa684"],
    "category_tag_ids": ["tag-1"],
    "labels": {"project": "x"},
}
WAGE = {
    "insights_transaction_id": "t2",
    "booking_date": "2026-02-27",
    "amount": {"amount": 200000},
    "type": "CREDIT",
}


class AllQueries:
    """The questions of the doors, answered from rows that are folded at once."""

    def __init__(self, world: World) -> None:
        self._world = world

    @contextmanager
    def moment(self) -> Iterator[Rows]:
        yield self._world.read_models.rows

    def position(self) -> int:
        return self._world.read_models.generation.checkpoint()

    def consumer(self, tenant: str, consumer_id: str) -> Any:
        return self._world.read_models.rows.get(directory.CONSUMERS, tenant, consumer_id)

    def balances(self, tenant: str, consumer: str) -> Sequence[tuple[str, bool, bytes]]:
        found = self._world.read_models.rows.scan(BALANCES, tenant, consumer)
        return [(row.account, bool(row.available), row.body) for row in found]

    def banking_accounts(self, tenant: str, consumer: str, page: int, per_page: int) -> Any:
        found = [row.body for row in self._world.read_models.rows.scan(BANKING_ACCOUNTS, tenant, consumer)]
        return len(found), found

    def cashflow(self, tenant: str, consumer: str) -> bytes | None:
        found = self._world.read_models.rows.get(CASHFLOWS, tenant, consumer)
        return None if found is None else found.body


@pytest.fixture
def world() -> World:
    return World(in_memory())


@pytest.fixture
async def client(world: World) -> AsyncIterator[TestClient]:
    http = msgspec.structs.replace(
        HttpWorld().http,
        services=world.services,
        read_models=AllQueries(world),
        authenticate={"key-of-ours": (TENANT, "k1"), "key-of-theirs": ("rival", "k2")}.get,
    )
    async with TestClient(Served(create_app(http))) as client:
        yield client


class Storage:
    """A client of the storage; every answer is of the shape that the document gives it."""

    def __init__(self, client: TestClient, key: str = "key-of-ours") -> None:
        self._call = Caller(client, {"Authorization": f"Token {key}"})
        self._document = document(ROUTES)

    async def ask(self, path: str, body: object, **headers: str) -> tuple[int, Any]:
        path = path if path.startswith("/") else f"{STORAGE}/{path}"
        status, answer, _ = await self._call("POST", path, body, **headers)
        content = self._document["paths"][path]["post"]["responses"][str(status)]["content"]
        schema = {**content["application/json"]["schema"], "components": self._document["components"]}
        jsonschema_rs.validate(schema, answer)
        return status, answer

    async def __call__(self, path: str, body: object, **headers: str) -> Any:
        status, answer = await self.ask(path, body, **headers)
        assert status == 200, answer
        return answer

    async def account(
        self, consumer: str | None = "cust-1", minutes: int | None = None, **account: Any
    ) -> Any:
        body: dict[str, Any] = {"account": {**ACCOUNT, **account}}
        if consumer is not None:
            body["insights_consumer_id"] = consumer
        if minutes is not None:
            body["data_retention_minutes"] = minutes
        return (await self("accounts/create", body))["data"]

    async def rows(
        self, *rows: dict[str, Any], act: str = "create", account: str = "acc-1", **more: Any
    ) -> Any:
        return await self(f"transactions/{act}", on(account, transactions=list(rows), **more))

    async def listed(self, **more: Any) -> list[Any]:
        body = {"insights_consumer_id": "cust-1", **more}
        return (await self("transactions/list", body))["data"]["transactions"]


def on(account: str = "acc-1", **more: Any) -> dict[str, Any]:
    return {"insights_consumer_id": "cust-1", "insights_account_id": account, **more}


@pytest.fixture
def storage(client: TestClient) -> Storage:
    return Storage(client)


async def test_the_whole_story(storage: Storage, world: World) -> None:
    made = await storage.account(balances={"balance": 987_50, "limit": 100_00})
    assert made == {"insights_consumer_id": "cust-1", "insights_account_id": "acc-1"}
    assert await storage.rows(BAKERY, WAGE) == {}

    report = (await storage(BALANCES_REPORT, {"insights_consumer_id": "cust-1"}))["data"]["reports"]
    assert report == [
        {
            "type": "BALANCES",
            "insights_consumer_id": "cust-1",
            "insights_account_ids": ["acc-1"],
            "balance": {"amount": 98750, "currency": "EUR"},
            "limit": {"amount": 10000, "currency": "EUR"},
            "refreshed_at": "2026-03-02T09:00:00.000Z",
        }
    ]
    listed = await storage("accounts/list", {"insights_consumer_id": "cust-1"})
    assert listed == {
        "data": {
            "accounts": [
                {
                    **ACCOUNT,
                    "iban": "FR7630006000011234567890189",
                    "refreshed_at": "2026-03-02T09:00:00.000Z",
                    "expires_at": "2026-03-02T09:10:00.000Z",
                }
            ],
            "pagination": {"size": 50, "offset": 0, "total": 1},
        }
    }
    wage, bakery = await storage.listed()
    assert bakery == {**BAKERY, "insights_account_id": "acc-1", "state": "PROCESSED"}
    assert wage == {
        **WAGE,
        "insights_account_id": "acc-1",
        "value_date": "2026-02-27",
        "amount": {"amount": 200000, "currency": "EUR"},
        "state": "PROCESSED",
        "method": "UNKNOWN",
    }

    await storage.rows({"insights_transaction_id": "t1", "amount": {"amount": 1300}}, act="update")
    assert (await storage.listed())[1] == {
        **bakery,
        "amount": {"amount": 1300, "currency": "EUR"},
    }
    labels = on(insights_transaction_ids=["t1"], labels={"project": "y", "seen": ""})
    await storage("transactions/labels/upsert", labels)
    assert (await storage.listed())[1]["labels"] == {"project": "y", "seen": ""}
    await storage.rows({**WAGE, "insights_transaction_id": "t1", "type": "DEBIT"}, act="replace")
    replaced = {row["insights_transaction_id"]: row for row in await storage.listed()}["t1"]
    assert replaced == {**wage, "insights_transaction_id": "t1", "type": "DEBIT"}
    await storage("transactions/delete", on(insights_transaction_ids=["t1"]))
    assert [row["insights_transaction_id"] for row in await storage.listed()] == ["t2"]

    world.clock.at += 10 * MINUTE
    for path, body in [
        (BALANCES_REPORT, {"insights_consumer_id": "cust-1"}),
        ("accounts/list", {"insights_consumer_id": "cust-1"}),
        ("transactions/list", {"insights_consumer_id": "cust-1"}),
    ]:
        status, answer = await storage.ask(path, body)
        assert (status, answer["code"]) == (404, "CONSUMER_NOT_FOUND"), path
    await Retention(world.services).round()
    assert [r.name for r in world.everything() if not isinstance(r.fact, Erased)] == ["ConsumerErased.1"]

    await storage.account()
    assert await storage("consumers/delete", {"insights_consumer_id": "cust-1"}) == {}
    status, answer = await storage.ask("consumers/delete", {"insights_consumer_id": "cust-1"})
    assert (status, answer["code"]) == (404, "CONSUMER_NOT_FOUND")
    assert answer["errors"][0]["location"] == "insights_consumer_id"
    assert world.live() == world.rebuilt() == {}


async def test_nothing_need_be_chosen(storage: Storage, world: World) -> None:
    made = (await storage("accounts/create", {"account": {}}))["data"]
    assert all(map(streams.UUID.fullmatch, made.values()))
    ids = {**made, "transactions": [{}, {"amount": {"amount": -5, "currency": "EUR"}}]}
    await storage("transactions/create", ids)
    consumer = {"insights_consumer_id": made["insights_consumer_id"]}
    found = (await storage("transactions/list", consumer))["data"]["transactions"]
    assert {row["booking_date"] for row in found} == {"2026-03-02"}
    assert sorted(row.get("type", "") for row in found) == ["", "DEBIT"]
    assert all(streams.UUID.fullmatch(row["insights_transaction_id"]) for row in found)
    (account,) = (await storage("accounts/list", consumer))["data"]["accounts"]
    assert account["currency"] == "EUR"


async def test_a_command_is_carried_out_once(storage: Storage, world: World) -> None:
    body = {"account": {"currency": "EUR"}}
    first = await storage("accounts/create", body, Idempotency_Key="k1")
    assert await storage("accounts/create", body, Idempotency_Key="k1") == first
    ids = first["data"]
    rows = {**ids, "transactions": [{"amount": {"amount": 5}}]}
    await storage("transactions/create", rows, Idempotency_Key="k2")
    before = len(world.everything())
    await storage("transactions/create", rows, Idempotency_Key="k2")
    assert len(world.everything()) == before
    gone = {"insights_consumer_id": ids["insights_consumer_id"]}
    for _ in range(2):
        assert await storage("consumers/delete", gone, Idempotency_Key="k3") == {}


async def test_rows_that_never_happened_are_listed_and_counted_nowhere(
    storage: Storage, client: TestClient, world: World
) -> None:
    await storage.account()
    states = ("PROCESSED", "PENDING", "CANCELED", "FAILED")
    rows = [
        {**WAGE, "insights_transaction_id": state, "state": state, "amount": {"amount": 100}}
        for state in states
    ]
    await storage.rows(*rows)
    assert sorted(row["state"] for row in await storage.listed()) == sorted(states)
    assert [row["state"] for row in await storage.listed(states=["FAILED"])] == ["FAILED"]
    user = await uploads.consumer_of(world.services, TENANT, "cust-1")
    qard = Caller(client, {"X-API-KEY": "key-of-ours"})
    _, cashflow, _ = await qard("GET", f"/api/v6/users/{user}/banking-cashflow")
    assert (cashflow["total_income"], cashflow["provider_name"], cashflow["data_connection_id"]) == (
        1.0,
        "storage",
        None,
    )
    _, accounts, _ = await qard("GET", f"/api/v6/users/{user}/banking-accounts")
    (account,) = accounts["result"]
    assert (account["provider_name"], account["data_connection_id"]) == ("storage", None)
    path = f"/v1/consumers/{user}/accounts/{account['id']}/pending"
    _, pending, _ = await qard("GET", path)
    assert len(pending["result"]) == 1
    assert (await qard("GET", f"/v1/consumers/{user}/quality"))[1]["accounts"][0][
        "data_connection_id"
    ] is None
    (source,) = (await qard("GET", f"/v1/consumers/{user}/accounts"))[1]["accounts"][0]["sources"]
    assert source["data_connection_id"] is None


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["t2", "t1"]),
        ({"days": 3}, ["t2"]),
        ({"days": 2}, []),
        ({"from_date": "2026-02-20", "to_date": "2026-02-26"}, ["t1"]),
        ({"from_date": "2026-02-21"}, ["t2"]),
        ({"to_date": "2026-02-26"}, ["t1"]),
        ({"min_amount": 1251}, ["t2"]),
        ({"max_amount": 1250}, ["t1"]),
        ({"transaction_type": "DEBIT"}, ["t1"]),
        ({"transaction_type": "CREDIT"}, ["t2"]),
        ({"states": ["PENDING"]}, []),
        ({"category_ids": ["852eab6a-fe60-4d15-82db-45985b9fa684"]}, ["t1"]),
        ({"category_ids": ["unknown"]}, []),
        ({"brand_ids": ["unknown"]}, []),
        ({"order": [{"field": "AMOUNT"}]}, ["t1", "t2"]),
        ({"order": [{"field": "AMOUNT", "order": "DESC"}]}, ["t2", "t1"]),
        ({"order": [{"field": "DATE"}]}, ["t1", "t2"]),
        ({"pagination": {"size": 1}}, ["t2"]),
        ({"pagination": {"size": 1, "offset": 1}}, ["t1"]),
        ({"insights_account_ids": ["acc-1"]}, ["t2", "t1"]),
    ],
)
async def test_filters(storage: Storage, filters: dict[str, Any], found: list[str]) -> None:
    await storage.account()
    await storage.rows(BAKERY, WAGE)
    assert [row["insights_transaction_id"] for row in await storage.listed(**filters)] == found


async def test_updates_leave_what_they_do_not_mention(storage: Storage) -> None:
    await storage.account()
    await storage.rows(BAKERY)
    for change, expected in [
        ({"type": None}, {}),
        ({"type": "CREDIT"}, {"type": "CREDIT"}),
        ({"type": None}, {}),
        ({"type": "DEBIT"}, {"type": "DEBIT"}),
        ({"booking_date": "2026-02-22"}, {"booking_date": "2026-02-22"}),
        ({"category_ids": None, "state": "PENDING"}, {"state": "PENDING"}),
    ]:
        (before,) = await storage.listed()
        await storage.rows({"insights_transaction_id": "t1", **change}, act="update")
        (after,) = await storage.listed()
        if "category_ids" in change:
            del before["category_ids"]
        assert after == {**before, **expected}, change


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("accounts/list", {"insights_consumer_id": "nobody"}, 404, "CONSUMER_NOT_FOUND"),
        ("accounts/list", {"insights_consumer_id": ""}, 404, "CONSUMER_NOT_FOUND"),
        ("accounts/list", {"insights_consumer_id": "x" * 129}, 400, "VALIDATION_ERROR"),
        ("accounts/list", {}, 400, "VALIDATION_ERROR"),
        ("accounts/delete", {"insights_consumer_id": "nobody", "insights_account_ids": []}, 404, "CONSUMER_NOT_FOUND"),
        ("accounts/delete", {"insights_consumer_id": "cust-1", "insights_account_ids": ["x"]}, 404, "ACCOUNT_NOT_FOUND"),
        ("accounts/create", {"account": {"iban": "x" * 65}}, 400, "VALIDATION_ERROR"),
        ("accounts/create", {"account": {"currency": "eur"}}, 400, "VALIDATION_ERROR"),
        ("accounts/create", {"data_retention_minutes": 0}, 400, "VALIDATION_ERROR"),
        ("accounts/create", {"data_retention_minutes": 5_256_001}, 400, "VALIDATION_ERROR"),
        ("transactions/create", on("x", transactions=[]), 404, "ACCOUNT_NOT_FOUND"),
        ("transactions/create", on(transactions=[{**WAGE, "reference": "other"}]), 409, "TRANSACTION_EXISTS"),
        ("transactions/create", on(transactions=[WAGE, WAGE]), 400, "VALIDATION_ERROR"),
        ("transactions/create", on(transactions=[{"amount": {"amount": 1, "currency": "USD"}}]), 400, "VALIDATION_ERROR"),
        ("transactions/create", on(transactions=[{"amount": {"amount": -1}, "type": "DEBIT"}]), 400, "VALIDATION_ERROR"),
        ("transactions/create", on(transactions=[{"booking_date": "1969-12-31"}]), 400, "VALIDATION_ERROR"),
        ("transactions/create", on(transactions=[{"state": "UNKNOWN"}]), 400, "VALIDATION_ERROR"),
        ("transactions/update", on(transactions=[{"state": "FAILED"}]), 400, "VALIDATION_ERROR"),
        ("transactions/update", on(transactions=[{"insights_transaction_id": "x"}]), 404, "TRANSACTION_NOT_FOUND"),
        ("transactions/replace", on(transactions=[{"insights_transaction_id": "x"}]), 404, "TRANSACTION_NOT_FOUND"),
        ("transactions/delete", on(insights_transaction_ids=["x"]), 404, "TRANSACTION_NOT_FOUND"),
        ("transactions/labels/upsert", on(insights_transaction_ids=["x"], labels={}), 404, "TRANSACTION_NOT_FOUND"),
        ("transactions/labels/upsert", on(insights_transaction_ids=["t2"], labels={"": "x"}), 400, "VALIDATION_ERROR"),
        ("transactions/list", {"insights_consumer_id": "cust-1", "days": 1, "to_date": "2026-01-01"}, 400, "VALIDATION_ERROR"),
        ("transactions/list", {"insights_consumer_id": "cust-1", "insights_account_ids": ["x"]}, 404, "ACCOUNT_NOT_FOUND"),
        (
            "transactions/list",
            {"insights_consumer_id": "cust-1", "from_date": "2026-01-02", "to_date": "2026-01-01"},
            400,
            "VALIDATION_ERROR",
        ),
    ],
)  # fmt: skip
async def test_what_is_refused_says_why_and_changes_nothing(
    storage: Storage, world: World, path: str, body: Any, status: int, code: str
) -> None:
    await storage.account()
    await storage.rows(WAGE)
    before = len(world.everything())
    got, answer = await storage.ask(path, body)
    assert (got, answer["code"]) == (status, code)
    assert answer["errors"] and len(world.everything()) == before


@pytest.mark.parametrize("closed", [False, True])
async def test_an_account_of_a_bank_is_not_in_the_storage(
    storage: Storage, world: World, closed: bool
) -> None:
    consumer, stream = await fetched_once(world)
    if closed:
        world.bank.change(the_banks_connection(world), "1", deleted=True)
        assert await world.sync(consumer) == "SUCCESS"
    account, before = streams.parse(stream).id, world.everything()
    both = {"insights_consumer_id": consumer, "insights_account_id": account}
    row, ids = {"insights_transaction_id": "r1"}, {"insights_transaction_ids": ["r1"]}
    for path, body in [
        ("accounts/create", {"insights_consumer_id": consumer, "account": {"insights_account_id": account}}),
        ("accounts/delete", {"insights_consumer_id": consumer, "insights_account_ids": [account]}),
        ("transactions/create", {**both, "transactions": [{}]}),
        ("transactions/update", {**both, "transactions": [row]}),
        ("transactions/replace", {**both, "transactions": [row]}),
        ("transactions/labels/upsert", {**both, **ids, "labels": {"a": "b"}}),
        ("transactions/delete", {**both, **ids}),
    ]:
        status, answer = await storage.ask(path, body)
        assert (status, answer["code"]) == (409, "ACCOUNT_NOT_IN_STORAGE"), path
    assert world.everything() == before


async def test_a_currency_with_other_decimals_is_refused_where_amounts_are_held(
    storage: Storage, world: World
) -> None:
    await storage("accounts/create", on_account(insights_account_id="acc-1"))
    await storage.rows({"insights_transaction_id": "t1", "amount": {"amount": 1234}})
    await storage("accounts/create", on_account(insights_account_id="acc-2", balances={"balance": 1234}))
    before = len(world.everything())
    for account in ("acc-1", "acc-2"):
        body = on_account(insights_account_id=account, currency="JPY")
        status, answer = await storage.ask("accounts/create", body)
        assert (status, answer["code"]) == (400, "VALIDATION_ERROR")
        assert answer["errors"][0]["location"] == "currency"
    assert len(world.everything()) == before


def on_account(**account: Any) -> dict[str, Any]:
    return {"insights_consumer_id": "cust-1", "account": account}


async def test_a_sign_is_refused_where_the_row_says_which_way_it_went(storage: Storage) -> None:
    await storage.account()
    await storage.rows(BAKERY, WAGE, {**WAGE, "insights_transaction_id": "t3", "type": None})
    before = await storage.listed()
    minus = {"amount": {"amount": -7}}
    for row in ("t1", "t2"):
        body = on(transactions=[{"insights_transaction_id": row, **minus}])
        status, answer = await storage.ask("transactions/update", body)
        assert (status, answer["code"]) == (400, "VALIDATION_ERROR")
        assert answer["errors"][0]["location"] == "transactions"
    assert await storage.listed() == before
    # Without a type, or where it is taken away, an amount has its own sign.
    await storage.rows({"insights_transaction_id": "t3", **minus}, act="update")
    await storage.rows({"insights_transaction_id": "t2", "type": None, **minus}, act="update")
    # And one that is held with its own sign loses it to a type.
    await storage.rows({"insights_transaction_id": "t3", "type": "CREDIT"}, act="update")
    amounts = {row["insights_transaction_id"]: row for row in await storage.listed()}
    assert [(amounts[row]["amount"]["amount"], amounts[row]["type"]) for row in ("t1", "t2", "t3")] == [
        (1250, "DEBIT"),
        (7, "DEBIT"),
        (7, "CREDIT"),
    ]


async def test_what_anothers_client_brought_is_unknown(storage: Storage, client: TestClient) -> None:
    await storage.account()
    theirs = Storage(client, "key-of-theirs")
    status, answer = await theirs.ask("accounts/list", {"insights_consumer_id": "cust-1"})
    assert (status, answer["code"]) == (404, "CONSUMER_NOT_FOUND")
    await theirs.account(alias="Theirs")
    for asking, alias in ((storage, "Everyday"), (theirs, "Theirs")):
        (account,) = (await asking("accounts/list", {"insights_consumer_id": "cust-1"}))["data"]["accounts"]
        assert account["alias"] == alias


async def test_accounts_are_deleted_one_by_one(storage: Storage, world: World) -> None:
    await storage.account()
    await storage.account(insights_account_id="acc-2")
    one = {"insights_consumer_id": "cust-1", "insights_account_ids": ["acc-1"]}
    await storage("accounts/delete", one)
    found = (await storage("accounts/list", {"insights_consumer_id": "cust-1"}))["data"]
    assert [account["insights_account_id"] for account in found["accounts"]] == ["acc-2"]
    assert world.live() == world.rebuilt()


async def test_a_thousand_rows_fit_into_one_call(storage: Storage) -> None:
    await storage.account()
    rows = [{**BAKERY, "insights_transaction_id": f"row-{number}"} for number in range(1_000)]
    await storage.rows(*rows)
    found = await storage(
        "transactions/list", {"insights_consumer_id": "cust-1", "pagination": {"size": 1_000}}
    )
    assert found["data"]["pagination"] == {"size": 1_000, "offset": 0, "total": 1_000}
