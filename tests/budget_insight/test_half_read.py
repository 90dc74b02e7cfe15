"""What cannot be read in full is not recorded in part: a whole service, the real gateway, and a bank whose
answers hold one thing that is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from domain import streams
from domain.consumer import AccountLinked
from domain.consumer_account import TransactionsFetched
from tests.application.world import BI, DAY, World, in_memory
from tests.budget_insight.conftest import GatewayTo
from tests.budget_insight.scripted import Bank, as_bytes, as_json, row
from tests.budget_insight.test_recorded import refused_rows

ACCOUNT = {
    "id": 2318,
    "number": "00012345678",
    "name": "Compte courant",
    "type": "checking",
    "balance": 100,
    "currency": {"id": "EUR", "precision": 2},
    "last_update": "2026-03-01 06:12:46",
}
READ = "SUCCESS"


def wrong(row: dict[str, Any], **said: Any) -> bytes:
    """A row with something else in it, or, where that is `...`, without it."""
    changed = {name: value for name, value in {**row, **said}.items() if value is not ...}
    return json.dumps(changed).encode()


#: By what is wrong with it: a row of a transaction, and the name that it is refused by.
TRANSACTIONS = {
    "no id": (wrong(row(9), id=...), "unexpected_shape"),
    "an id that is none": (wrong(row(9), id="9/../8"), "unexpected_shape"),
    "an account that is none": (wrong(row(9), id_account=-1), "unexpected_shape"),
    "no day": (wrong(row(9), date=..., rdate=...), "unexpected_shape"),
    "a day that is none": (wrong(row(9), date="2026-02-30"), "unexpected_shape"),
    "a day of order that is none": (wrong(row(9), rdate="soon"), "unexpected_shape"),
    "a day of value that is none": (wrong(row(9), vdate=20260228), "unexpected_shape"),
    "an amount that is none": (wrong(row(9), value="12,50"), "unexpected_shape"),
    "an amount that is a list": (wrong(row(9), value=[1]), "unexpected_shape"),
    "an original amount that is none": (wrong(row(9), original_value="much"), "unexpected_shape"),
    "a wording that is none": (wrong(row(9), original_wording={}), "unexpected_shape"),
    "a time that is none": (wrong(row(9), last_update="invalid"), "unexpected_shape"),
    "no row": (b"1", "unexpected_shape"),
    "not a number": (wrong(row(9), value=7).replace(b": 7", b": NaN"), "malformed"),
    "cut off": (wrong(row(9))[:-20], "malformed"),
    **{f"recorded {n}": (body, "unexpected_shape") for n, (of, body) in enumerate(refused_rows()) if of == "transaction"},
}  # fmt: skip
ACCOUNTS = {
    "no id": (wrong(ACCOUNT, id=...), "unexpected_shape"),
    "an IBAN that is none": (wrong(ACCOUNT, iban=5), "unexpected_shape"),
    "a balance that is none": (wrong(ACCOUNT, balance="much"), "unexpected_shape"),
    "a currency that is none": (wrong(ACCOUNT, currency=5), "unexpected_shape"),
    "a time that is none": (wrong(ACCOUNT, last_update="invalid"), "unexpected_shape"),
    "somebody else's": (wrong(ACCOUNT, id_user=1), "foreign_account"),
    "cut off": (wrong(ACCOUNT)[:-20], "malformed"),
    **{f"recorded {n}": (wrong(json.loads(body), id_user=7301, id_connection=512), "unexpected_shape")
       for n, (of, body) in enumerate(refused_rows()) if of == "account"},
}  # fmt: skip


class Provider:
    """The API of a user with one connection: what its lists hold is set by a test, as bytes, row by row."""

    def __init__(self) -> None:
        self.accounts = [wrong(ACCOUNT)]
        self.pages: list[list[bytes]] = [[]]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/transactions"):
            return self._page(request)
        if request.path.endswith("/accounts"):
            return as_bytes(b'{"accounts": [%s]}' % b", ".join(self.accounts))
        reference = request.path.rpartition("/")[2]
        return as_json({"id": int(reference), "state": None, "last_update": "2026-03-01 06:12:46"})

    def _page(self, request: web.Request) -> web.StreamResponse:
        number = int(request.query.get("cursor", 0))
        last = number == len(self.pages) - 1
        following = None if last else {"href": f"{request.path}?cursor={number + 1}"}
        rows = b", ".join(self.pages[number])
        links = json.dumps({"self": None, "prev": None, "next": following}).encode()
        return as_bytes(b'{"transactions": [%s], "_links": %s}' % (rows, links))


class Reading:
    """A connected consumer whose bank is the provider's real API."""

    def __init__(self, world: World, consumer_id: str, connection_id: str) -> None:
        self.world = world
        self.consumer_id = consumer_id
        self.connection = world.connection_stream(consumer_id, connection_id)
        self.provider = Provider()

    async def sync(self) -> str:
        return await self.world.sync(self.consumer_id)

    async def sync_that_must_record_nothing(self) -> str:
        before = len(self.world.everything())
        watermark = (await self.world.state(self.connection)).watermark
        ending = await self.sync()
        names = [recorded.name.partition(".")[0] for recorded in self.world.everything()[before:]]
        assert names == ["SyncRequested", "SyncStarted", "SyncFailed"]
        assert (await self.world.state(self.connection)).watermark == watermark
        return ending


@pytest.fixture
async def reading(gateway_to: GatewayTo, bank: Bank) -> Reading:
    world = World(in_memory())
    consumer_id, connection_id, _ = await world.connected()
    made = Reading(world, consumer_id, connection_id)
    world.services.gateways[BI] = gateway_to(bank.url)
    bank.answers(made.provider.answer)
    return made


GOOD = [[wrong(row(1)), wrong(row(2))], [wrong(row(3)), wrong(row(4))], [wrong(row(5))]]


def with_a_wrong_one(poison: bytes, page: int) -> list[list[bytes]]:
    return [[*rows, poison] if number == page else rows for number, rows in enumerate(GOOD)]


async def references(reading: Reading) -> list[str]:
    return sorted(await reading.world.held(await reading.world.only_account(reading.consumer_id)))


@pytest.mark.parametrize("page", [0, 2], ids=["on the first page", "on the last page"])
@pytest.mark.parametrize(("poison", "reason"), TRANSACTIONS.values(), ids=TRANSACTIONS)
async def test_of_a_first_reading_with_one_row_that_is_wrong_nothing_is_recorded(
    reading: Reading, poison: bytes, reason: str, page: int
) -> None:
    reading.provider.pages = with_a_wrong_one(poison, page)
    assert await reading.sync_that_must_record_nothing() == f"FETCH_ERROR {reason}"
    assert not await reading.world.accounts(reading.consumer_id)
    reading.provider.pages = GOOD
    assert await reading.sync() == READ
    assert await references(reading) == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize(("poison", "reason"), TRANSACTIONS.values(), ids=TRANSACTIONS)
async def test_of_a_later_reading_with_one_row_that_is_wrong_nothing_is_recorded(
    reading: Reading, poison: bytes, reason: str
) -> None:
    reading.provider.pages = GOOD[:1]
    assert await reading.sync() == READ
    reading.world.clock.at += DAY
    reading.provider.accounts = [wrong(ACCOUNT, balance=50, last_update="2026-03-03 06:12:46")]
    reading.provider.pages = with_a_wrong_one(poison, 2)
    assert await reading.sync_that_must_record_nothing() == f"FETCH_ERROR {reason}"
    assert await references(reading) == ["1", "2"]
    reading.provider.pages = GOOD
    assert await reading.sync() == READ
    assert await references(reading) == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize(("poison", "reason"), ACCOUNTS.values(), ids=ACCOUNTS)
async def test_of_a_list_with_one_account_that_is_wrong_nothing_is_recorded(
    reading: Reading, poison: bytes, reason: str
) -> None:
    reading.provider.accounts = [wrong(ACCOUNT), poison]
    reading.provider.pages = GOOD
    assert await reading.sync_that_must_record_nothing() == f"FETCH_ERROR {reason}"
    consumer = streams.consumer(reading.world.tenant, reading.consumer_id)
    assert not [fact for fact in await reading.world.facts(consumer) if isinstance(fact, AccountLinked)]
    assert not [fact for fact in reading.world.everything() if isinstance(fact.fact, TransactionsFetched)]
    reading.provider.accounts = [wrong(ACCOUNT)]
    assert await reading.sync() == READ
