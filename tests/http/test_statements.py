"""The door for statement files: seen first, then recorded once, whatever is sent how often."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import jsonschema_rs
import msgspec
import pytest

from adapters.http.openapi import document
from adapters.http.routes import ROUTES
from application.statement_files import FILE_SIZE_MAX
from domain import streams
from domain.consumer import AccountLinked, Evidence
from domain.consumer_account import BalanceRefreshed, TransactionsFetched
from tests.http.conftest import NOBODY, Caller, registered
from tests.http.test_native import tell
from tests.http.world import World
from tests.statements.files import IBAN, OTHER_IBAN, Row, camt, mt940, ofx

ACCOUNT = "10000000-0000-4000-8000-000000000001"
STATEMENT = camt(
    Row("2026-02-02", "-1.00", "BAKERY"),
    Row("2026-02-03", "-1.00", "BAKERY"),
    Row("2026-02-04", "2000.00", "SALARY", "R1"),
    opening="10.00",
    closing="2008.00",
    closing_day="2026-02-28",
)


@pytest.fixture
async def consumer(call: Caller) -> str:
    return await registered(call)


class Importer:
    def __init__(self, call: Caller, consumer: str) -> None:
        self.call = call
        self.path = f"/v1/consumers/{consumer}/statements"

    async def __call__(self, content: bytes, query: str = "", **headers: str) -> tuple[int, Any]:
        sent = {"Content_Type": "application/octet-stream", **headers}
        status, answer, _ = await self.call("POST", f"{self.path}{query}", content, **sent)
        return status, answer

    async def preview(self, content: bytes) -> Any:
        status, answer = await self(content, "?preview=true")
        assert status == 200
        return answer


@pytest.fixture
def send(call: Caller, consumer: str) -> Importer:
    return Importer(call, consumer)


def counts(answer: Any) -> list[tuple[int, int, int]]:
    return [(each["new"], each["changed"], each["known"]) for each in answer["statements"]]


def test_the_answers_are_as_they_are_described() -> None:
    described = document(ROUTES)["paths"]["/v1/consumers/{consumer_id}/statements"]["post"]
    assert described["requestBody"]["content"] == {"application/octet-stream": {}}
    assert {"200", "201", "400", "404", "413", "415"} <= described["responses"].keys()


async def test_a_preview_says_all_and_records_nothing(send: Importer, world: World) -> None:
    before = len(world.log.recorded)
    answer = await send.preview(STATEMENT)
    assert len(world.log.recorded) == before
    (seen,) = answer.pop("statements")
    assert answer == {
        "format": "CAMT.053",
        "recorded": False,
        "recordable": True,
        "problems": [],
        "notes": [],
    }
    account = seen.pop("account")
    UUID(account.pop("account_id"))
    assert account == {
        "number": IBAN[-4:],
        "is_iban": True,
        "is_new": True,
        "evidence": "iban",
        "linked": False,
    }
    assert seen == {
        "line": 4,
        "number": None,
        "interim": False,
        "currency": "EUR",
        "from": "2026-02-02",
        "to": "2026-02-04",
        "opening": {"amount": Decimal("10.00"), "currency": "EUR", "day": "2026-03-01"},
        "closing": {"amount": Decimal("2008.00"), "currency": "EUR", "day": "2026-02-28"},
        "entries": 3,
        "pending": 0,
        "booked_sum": Decimal("1998.00"),
        "pending_sum": 0,
        "reconciles": True,
        "new": 3,
        "changed": 0,
        "known": 0,
    }


async def test_what_is_recorded_is_what_was_previewed(send: Importer, call: Caller, consumer: str) -> None:
    previewed = await send.preview(STATEMENT)
    status, recorded = await send(STATEMENT)
    assert status == 201
    assert recorded == {**previewed, "recorded": True}
    account_id = recorded["statements"][0]["account"]["account_id"]
    _, accounts, _ = await call("GET", f"/v1/consumers/{consumer}/accounts")
    assert [account["account_id"] for account in accounts["accounts"]] == [account_id]


async def test_a_file_twice_adds_nothing(send: Importer, world: World) -> None:
    await send(STATEMENT)
    before = len(world.log.recorded)
    assert counts(await send.preview(STATEMENT)) == [(0, 0, 3)]
    status, again = await send(STATEMENT)
    assert (status, counts(again), len(world.log.recorded)) == (201, [(0, 0, 3)], before)
    assert again["statements"][0]["account"]["is_new"] is False


async def test_files_that_overlap_add_what_is_new(send: Importer) -> None:
    await send(STATEMENT)
    later = camt(Row("2026-02-04", "2000.00", "SALARY FEBRUARY", "R1"), Row("2026-02-05", "-3.00"))
    assert counts((await send(later))[1]) == [(1, 1, 0)]


async def test_a_file_is_one_command(send: Importer, world: World) -> None:
    """Accounts, balances and rows of all statements of a file are one append, and a repetition is answered the same."""
    content = mt940(Row("2026-02-02", "-1.00"), closing="-1.00") + mt940(
        Row("2026-02-02", "-2.00"), account=OTHER_IBAN
    )
    before = len(world.log.recorded)
    first = await send(content, Idempotency_Key="k1")
    assert len({each.command_id for each in world.log.recorded[before:]}) == 1
    await send(mt940(Row("2026-02-02", "-1.00"), Row("2026-02-05", "-7.00"), closing="-8.00"))
    recorded = list(world.log.recorded)
    assert first[1]["statements"][0]["account"]["is_new"]
    assert await send(content, Idempotency_Key="k1") == first
    assert world.log.recorded == recorded
    assert counts(first[1]) == [(1, 0, 0), (1, 0, 0)]
    status, refused = await send(STATEMENT, Idempotency_Key="k1")
    assert (status, refused["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_what_is_pending_is_gone_once_a_statement_of_its_day_is_there(
    send: Importer, call: Caller, consumer: str
) -> None:
    """Of three pending rows one is booked under its name, one is gone, and one is of a later day."""
    report = camt(
        Row("2026-02-02", "-1.00", "CARD", "R1", "PDNG"),
        Row("2026-02-02", "-9.00", "HOTEL", "R2", "PDNG"),
        Row("2026-03-01", "-5.00", "LATER", "R3", "PDNG"),
        version="052",
    )
    _, answer = await send(report)
    account_id = answer["statements"][0]["account"]["account_id"]
    pending = f"/v1/consumers/{consumer}/accounts/{account_id}/pending"
    assert (await call("GET", pending))[1]["total"] == 3
    statement = camt(
        Row("2026-02-02", "-1.00", "CARD", "R1"), opening="5.00", closing="4.00", closing_day="2026-02-28"
    )
    assert counts((await send(statement))[1]) == [(0, 1, 0)]
    left = (await call("GET", pending))[1]["result"]
    assert [row["description"] for row in left] == ["LATER"]


async def test_the_closing_balance_is_the_accounts_unless_it_is_older(
    send: Importer, world: World, consumer: str
) -> None:
    await send(STATEMENT)
    older = camt(opening="0.00", closing="5.00", closing_day="2026-01-31")
    _, answer = await send(older)
    account_id = answer["statements"][0]["account"]["account_id"]
    assert answer["statements"][0]["account"]["is_new"] is False
    recorded = await world.log.facts(streams.consumer_account("ours", consumer, account_id))
    readings = [each.fact.balance for each in recorded if isinstance(each.fact, BalanceRefreshed)]
    assert readings == [200_800]


async def test_an_older_report_brought_again_books_and_unbooks_nothing(
    send: Importer, call: Caller, consumer: str, world: World
) -> None:
    card, hotel = Row("2026-02-02", "-1.00", "CARD"), Row("2026-02-02", "-9.00", "HOTEL")
    report = camt(card._replace(status="PDNG"), hotel._replace(status="PDNG"), version="052")
    await send(report)
    _, answer = await send(camt(card, opening="5.00", closing="4.00", closing_day="2026-02-28"))
    before = len(world.log.recorded)
    assert counts(await send.preview(report)) == [(0, 0, 2)]
    assert counts((await send(report))[1]) == [(0, 0, 2)]
    assert len(world.log.recorded) == before
    account_id = answer["statements"][0]["account"]["account_id"]
    of_account = f"/v1/consumers/{consumer}/accounts/{account_id}"
    assert (await call("GET", f"{of_account}/pending"))[1]["total"] == 0


async def test_the_last_page_of_a_day_says_its_balance(send: Importer, world: World) -> None:
    """10.00 - 1.00 = 9.00 are carried over, 9.00 - 4.00 = 5.00 is how the day ends."""
    first = mt940(Row("2026-03-02", "-1.00"), opening="10.00", closing="9.00", closes="62M")
    second = mt940(Row("2026-03-02", "-4.00"), opening="9.00", closing="5.00", opens="60M")
    _, answer = await send(first + second)
    assert [each["reconciles"] for each in answer["statements"]] == [True, True]
    facts = [each.fact for each in world.log.recorded]
    assert [fact.balance for fact in facts if isinstance(fact, BalanceRefreshed)] == [500]


async def test_a_file_of_too_many_accounts_is_refused(send: Importer) -> None:
    many = (mt940(Row("2026-02-02", "-1.00"), account=str(70_000 + index)) for index in range(101))
    status, refused = await send(b"".join(many))
    assert (status, refused["code"]) == (400, "STATEMENT_UNREADABLE")
    # Of a hundred statements with seven lines each.
    assert refused["details"]["problems"] == [{"code": "too_many_accounts", "line": 701, "column": None}]


async def test_a_statement_of_a_connected_account_goes_to_it(
    send: Importer, world: World, consumer: str
) -> None:
    """The same IBAN in the same currency is the same account; another currency is another one."""
    evidence = world.services.keys.keyed_hash("ours", "account-evidence", f"{IBAN}|EUR".encode())
    link = AccountLinked(
        account_id=ACCOUNT,
        connection_id=NOBODY,
        reference="1",
        evidence=Evidence(kind="iban", digest=evidence),
        source_id=ACCOUNT,
        currency="EUR",
    )
    await tell(world, (streams.consumer("ours", consumer), link))
    (seen,) = (await send(mt940(Row("2026-02-02", "-1.00"))))[1]["statements"]
    assert (seen["account"]["account_id"], seen["account"]["linked"]) == (ACCOUNT, True)
    assert seen["account"]["is_new"] is False
    (other,) = (await send(mt940(Row("2026-02-02", "-1.00")).replace(b"EUR", b"USD")))[1]["statements"]
    assert (other["account"]["account_id"] != ACCOUNT, other["account"]["linked"]) == (True, False)


async def test_a_broken_file_is_shown_and_not_recorded(send: Importer, world: World) -> None:
    broken = mt940(Row("2026-02-02", "-1.00"), Row("2026-02-03", "-1.00")).replace(
        b":61:2602030203D", b":61:2602030203X"
    )
    before = len(world.log.recorded)
    answer = await send.preview(broken)
    assert answer["recordable"] is False
    assert answer["problems"] == [{"code": "entry_unreadable", "line": 7, "column": None}]
    assert counts(answer) == [(None, None, None)]
    status, refused = await send(broken)
    assert status == 400
    assert refused == {
        "code": "STATEMENT_UNREADABLE",
        "message": "The file cannot be recorded: entry_unreadable in line 7.",
        "details": {"problems": answer["problems"]},
    }
    assert len(world.log.recorded) == before


@pytest.mark.parametrize("query", ["", "?preview=true"])
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"PK\x03\x04", "archive_not_accepted"),
        (b"date;amount\n", "not_a_statement"),
        (b"<a", "xml_malformed"),
    ],
)
async def test_what_is_no_statement_is_refused_by_name(
    send: Importer, content: bytes, code: str, query: str
) -> None:
    status, refused = await send(content, query)
    assert (status, refused["code"]) == (400, "STATEMENT_UNREADABLE")
    assert [problem["code"] for problem in refused["details"]["problems"]] == [code]


async def test_the_format_can_be_named(send: Importer) -> None:
    status, answer = await send(ofx(Row("2026-02-02", "-1.00")), "?format=OFX")
    assert (status, answer["format"]) == (201, "OFX")
    assert answer["statements"][0]["account"]["evidence"] == "number"
    status, refused = await send(ofx(), "?format=MT940")
    assert (status, refused["code"]) == (400, "STATEMENT_UNREADABLE")
    assert (await send(ofx(), "?format=PDF"))[0] == 400


async def test_a_form_and_a_file_too_large_are_refused(send: Importer) -> None:
    status, refused = await send(b"--x", Content_Type="multipart/form-data; boundary=x")
    assert (status, refused["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    status, refused = await send(b"x" * (FILE_SIZE_MAX + 1))
    assert (status, refused["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_nobodys_and_others_consumers_are_unknown(
    call: Caller, theirs: Caller, anybody: Caller, consumer: str
) -> None:
    for query in ("", "?preview=true"):
        assert (await Importer(call, NOBODY)(STATEMENT, query))[0] == 404
        assert (await Importer(theirs, consumer)(STATEMENT, query))[0] == 404
        assert (await Importer(anybody, consumer)(STATEMENT, query))[0] == 401


async def test_no_answer_shows_a_whole_account_number(send: Importer) -> None:
    _, answer = await send(STATEMENT)
    assert IBAN not in msgspec.json.encode(answer).decode()


async def test_an_answer_is_of_the_shape_that_is_described(send: Importer) -> None:
    described = document(ROUTES)
    schema = {"$ref": "#/components/schemas/StatementImport", "components": described["components"]}
    validator = jsonschema_rs.validator_for(schema)
    validator.validate(msgspec.json.decode(msgspec.json.encode(await send.preview(STATEMENT))))


async def test_rows_are_recorded_as_the_facts_that_a_bank_brings(send: Importer, world: World) -> None:
    await send(STATEMENT)
    fetched = [each.fact for each in world.log.recorded if isinstance(each.fact, TransactionsFetched)]
    (rows,) = ([row for _, row in fact.added.rows()] for fact in fetched)
    assert [(row.amount, row.wording) for row in rows] == [
        (-100, "BAKERY"),
        (-100, "BAKERY"),
        (200_000, "SALARY"),
    ]
    assert rows[2].fields["bank_references"] == {"servicer": "R1", "unstructured": "SALARY"}
