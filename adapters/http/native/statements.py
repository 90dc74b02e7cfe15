"""Statement files: what one would add to a consumer's accounts, and recording that."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from pydantic import Field

from adapters.http.bodies import MEDIA_TYPE, read_raw
from adapters.http.doors import NATIVE
from adapters.http.fields import Query
from adapters.http.problems import Problem
from adapters.http.routing import Answer, Asked, Route, ok
from adapters.http.writes import visible
from application import statement_files, statements
from application.execute import Outcome
from application.ports import Context
from application.statement_files import FILE_SIZE_MAX, Remark, StatedAccount, StatedBalance, StatementFile
from application.statements import Effect
from projections.times import day_text

TAG = "Statements"

#: What is shown of the number of an account.
DIGITS_SHOWN = 4


class StatementQuery(Query):
    """What to do with the file, and what it is where its content does not show it."""

    preview: Annotated[bool, Field(description="Only say what recording it would come to.")] = False
    format: Annotated[
        Literal[statement_files.CAMT, statement_files.MT940, statement_files.OFX] | None,
        Field(description="Read the file as this, whatever it looks like."),
    ] = None


class StatementRemark(msgspec.Struct, kw_only=True):
    """Something about one place of the file."""

    code: str
    """Machine-readable."""
    line: int | None
    """Counted from 1."""
    column: int | None


class StatementAccount(msgspec.Struct, kw_only=True):
    """The account that a statement is of, and which of the consumer's accounts that is."""

    number: str
    """Its last four characters."""
    is_iban: bool
    account_id: str | None
    """The consumer's account; null where the file cannot be recorded."""
    is_new: bool | None
    """The consumer has no such account yet."""
    evidence: Literal["iban", "number"]
    """What names the account."""
    linked: bool | None
    """It is an account that something else brought, too: its IBAN is the same."""


class StatementBalance(msgspec.Struct, kw_only=True):
    amount: Decimal
    currency: str
    day: str | None


class StatementSeen(msgspec.Struct, kw_only=True):
    """One statement of the file."""

    line: int
    """Where it begins."""
    number: str | None
    """The bank's number of it."""
    interim: bool
    """The day was not over when it was made: its closing balance is none that counts."""
    account: StatementAccount | None
    currency: str | None
    first: str | None = msgspec.field(name="from")
    """The first day of its period, or else of its rows."""
    last: str | None = msgspec.field(name="to")
    opening: StatementBalance | None
    closing: StatementBalance | None
    entries: int
    """Its rows, booked and pending."""
    pending: int
    booked_sum: Decimal
    pending_sum: Decimal
    reconciles: bool | None
    """Whether opening balance and booked rows come to the closing balance; null where it does not have both."""
    new: int | None
    """Rows that are not held yet; null, as the two below, where the file cannot be recorded."""
    changed: int | None
    """Rows that are held and say something else now."""
    known: int | None


class StatementImport(msgspec.Struct, kw_only=True):
    """What the file says, and what it came to, or would come to."""

    format: str
    recorded: bool
    recordable: bool
    """False where there are problems: a file is recorded wholly or not at all."""
    problems: list[StatementRemark]
    notes: list[StatementRemark]
    """What is worth knowing, and keeps nothing from being recorded."""
    statements: list[StatementSeen]


async def import_statements(asked: Asked) -> Answer:
    """The body is the file itself."""
    query: StatementQuery = asked.query
    consumer_id = asked.ids["consumer_id"]
    if asked.request.content_type.startswith("multipart/"):
        raise Problem(415, MEDIA_TYPE, "Send the file itself as the body.", headers={"Connection": "close"})
    await statements.existing(asked.services, asked.tenant, consumer_id)
    async with asked.http.statement_files:
        content = await read_raw(asked.request, FILE_SIZE_MAX)
        file = await asked.http.read_statements(content, query.format)
    if query.preview:
        effects = await statements.preview(asked.services, asked.tenant, consumer_id, file)
        return ok(_seen(file, list(effects), recorded=False))
    outcome, effects = await statements.record(asked.services, _context(asked, content), consumer_id, file)
    return await _recorded(asked, outcome, _seen(file, list(effects), recorded=True))


async def _recorded(asked: Asked, outcome: Outcome, seen: StatementImport) -> Answer:
    return ok(seen, 201, **await visible(asked, outcome))


def _context(asked: Asked, content: bytes) -> Context:
    """The command with the file as part of what was asked: the edge has not read it."""
    context = asked.context
    if not context.input_digest:
        return context
    said = context.input_digest + content
    digest = asked.services.keys.keyed_hash(context.tenant, "idempotency-input", said)
    return msgspec.structs.replace(context, input_digest=digest)


def _seen(file: StatementFile, effects: list[Effect | None], *, recorded: bool) -> StatementImport:
    return StatementImport(
        format=file.format,
        recorded=recorded,
        recordable=not file.problems,
        problems=list(map(_remark, file.problems)),
        notes=list(map(_remark, file.notes)),
        statements=[
            _statement(statement, effect) for statement, effect in zip(file.statements, effects, strict=True)
        ],
    )


def _remark(remark: Remark) -> StatementRemark:
    return StatementRemark(code=remark.code, line=remark.line, column=remark.column)


def _statement(statement: statement_files.Statement, effect: Effect | None) -> StatementSeen:
    sums = statements.sums_of(statement)
    days = [entry.booked_on for entry in statement.entries if entry.booked_on is not None]
    return StatementSeen(
        line=statement.line,
        number=statement.number,
        interim=statement.interim,
        account=None if statement.account is None else _account(statement.account, effect),
        currency=statement.currency,
        first=_day(statement.from_day if statement.from_day is not None else min(days, default=None)),
        last=_day(statement.to_day if statement.to_day is not None else max(days, default=None)),
        opening=_balance(statement.opening),
        closing=_balance(statement.closing),
        entries=len(statement.entries),
        pending=sum(entry.pending for entry in statement.entries),
        booked_sum=sums.booked,
        pending_sum=sums.pending,
        reconciles=sums.reconciles,
        new=None if effect is None else effect.new,
        changed=None if effect is None else effect.changed,
        known=None if effect is None else effect.known,
    )


def _account(account: StatedAccount, effect: Effect | None) -> StatementAccount:
    target = None if effect is None else effect.target
    return StatementAccount(
        number=(account.iban or account.number or "")[-DIGITS_SHOWN:],
        is_iban=account.iban is not None,
        account_id=None if target is None else target.account_id,
        is_new=None if target is None else target.is_new,
        evidence="number" if account.iban is None else "iban",
        linked=None if target is None else target.linked,
    )


def _balance(balance: StatedBalance | None) -> StatementBalance | None:
    if balance is None:
        return None
    return StatementBalance(amount=balance.amount, currency=balance.currency, day=_day(balance.day))


def _day(day: int | None) -> str | None:
    return None if day is None else day_text(day)


_EXAMPLE = StatementImport(
    format=statement_files.CAMT_053,
    recorded=True,
    recordable=True,
    problems=[],
    notes=[],
    statements=[
        StatementSeen(
            line=9,
            number="42",
            interim=False,
            account=StatementAccount(
                number="0890",
                is_iban=True,
                account_id="1c7e8f10-4b1e-4d0a-8a51-6b7f9f0f7a10",
                is_new=False,
                evidence="iban",
                linked=False,
            ),
            currency="EUR",
            first="2026-02-01",
            last="2026-02-28",
            opening=StatementBalance(amount=Decimal("1204.50"), currency="EUR", day="2026-01-31"),
            closing=StatementBalance(amount=Decimal("980.10"), currency="EUR", day="2026-02-28"),
            entries=31,
            pending=0,
            booked_sum=Decimal("-224.40"),
            pending_sum=Decimal("0"),
            reconciles=True,
            new=12,
            changed=0,
            known=19,
        )
    ],
)

ROUTES = (
    Route(
        method="POST",
        path="/v1/consumers/{consumer_id}/statements",
        door=NATIVE,
        handler=import_statements,
        tag=TAG,
        summary="Record a bank's statement file (CAMT.052/053/054, MT940/942, OFX), or see first what it would add",
        query=StatementQuery,
        answers={201: StatementImport, 200: StatementImport},
        problems=(404,),
        reads_body=True,
        accepts="application/octet-stream",
        writes=True,
        example=_EXAMPLE,
    ),
)
