"""The test's own door, `/simulator/…`: time, connection states, and what happens at the bank.

It is no part of the protocol and asks for no token. A change at the bank shows at once on every
connection of that login, as if its next scheduled sync had run, unless the connection's state forbids it.
"""

from datetime import date as Day
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from msgspec import UNSET, Struct, UnsetType

from adapters.budget_insight.simulator.bank import Connection
from adapters.budget_insight.simulator.clock import in_utc, paris_text
from adapters.budget_insight.simulator.connections import connection_object
from adapters.budget_insight.simulator.edge import path_id, reply, simulator
from adapters.budget_insight.simulator.refusals import Refused
from adapters.budget_insight.simulator.render import number, to_minor
from adapters.budget_insight.simulator.statements import HeldAccount, Row, Statement
from adapters.budget_insight.simulator.transactions import counterparty_object
from adapters.budget_insight.simulator.webhooks import PUSHES

Body = TypeVar("Body")


class ClockChange(Struct, forbid_unknown_fields=True):
    """`now` stops the clock there (null: back to the machine's time), `advance_seconds` moves it."""

    now: datetime | None | UnsetType = UNSET
    advance_seconds: float = 0


class StateChange(Struct, forbid_unknown_fields=True):
    state: str | None = None
    error_message: str | None = None
    until: datetime | None = None
    source_state: str | None | UnsetType = UNSET
    consent_until: datetime | UnsetType = UNSET


class Recreation(Struct, forbid_unknown_fields=True):
    enabled: bool = False


class RowAdded(Struct, forbid_unknown_fields=True):
    date: Day
    value: Decimal | None
    wording: str
    type: str = "unknown"
    rdate: Day | None = None
    coming: bool = False
    webid: str | None = None


class RowAmended(Struct, forbid_unknown_fields=True):
    date: Day | UnsetType = UNSET
    value: Decimal | None | UnsetType = UNSET
    wording: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    coming: bool | UnsetType = UNSET


class RowBooked(Struct, forbid_unknown_fields=True):
    """`new_id` books a pending row as another one, and lets the pending one vanish."""

    new_id: bool = False
    date: Day | None = None


class AccountChange(Struct, forbid_unknown_fields=True):
    balance: Decimal | None | UnsetType = UNSET
    closed: bool | UnsetType = UNSET
    type: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


async def reset(request: web.Request) -> web.Response:
    simulator(request).reset()
    request.config_dict[PUSHES].reset()
    return web.Response(status=204)


async def show_clock(request: web.Request) -> web.Response:
    clock = simulator(request).clock
    now = clock.now()
    return reply({"now": now, "paris": paris_text(now), "runs": clock.runs})


async def move_clock(request: web.Request) -> web.Response:
    change = await body(request, ClockChange)
    clock = simulator(request).clock
    try:
        if change.now is None:
            clock.follow_the_machine()
        elif isinstance(change.now, datetime):
            clock.stand_at(change.now)
        clock.advance(timedelta(seconds=change.advance_seconds))
    except (ValueError, OverflowError):
        raise Refused("invalidValue", "The clock cannot go there.") from None
    return await show_clock(request)


async def show_calls(request: web.Request) -> web.Response:
    calls = simulator(request).calls
    return reply({"calls": dict(sorted(calls.items())), "total": calls.total()})


async def forget_calls(request: web.Request) -> web.Response:
    simulator(request).calls.clear()
    return web.Response(status=204)


async def list_logins(request: web.Request) -> web.Response:
    found = [login._asdict() for login in simulator(request).bank.logins.listed()]
    return reply({"logins": found, "total": len(found)})


async def show_login(request: web.Request) -> web.Response:
    """Return the truth at the bank, whatever the connections have seen of it."""
    statement = named_statement(request)
    accounts = [held_object(held) for held in statement.accounts]
    return reply({"login": statement.login, "bank": statement.bank, "accounts": accounts})


async def change_account(request: web.Request) -> web.Response:
    change = await body(request, AccountChange)
    statement = named_statement(request)
    held = statement.account(request.match_info["account"])
    if not isinstance(change.balance, UnsetType):
        held.balance = in_minor(change.balance, held)
    if not isinstance(change.closed, UnsetType):
        held.closed = change.closed
    if not isinstance(change.type, UnsetType):
        held.type = change.type
    if not isinstance(change.name, UnsetType):
        held.original_name = change.name
    held.as_of = None
    simulator(request).bank.bank_changed(statement)
    return reply(held_object(held))


async def add_row(request: web.Request) -> web.Response:
    added = await body(request, RowAdded)
    statement = named_statement(request)
    held = statement.account(request.match_info["account"])
    webid = added.webid or statement.unused_webid()
    if any(webid in account.rows for account in statement.accounts):
        raise Refused("conflict", f"Transaction {webid} exists.")
    row = Row(
        webid=webid,
        date=added.date,
        rdate=added.rdate or added.date,
        vdate=None if added.coming else added.date,
        value=in_minor(added.value, held),
        type=added.type,
        original_wording=added.wording,
        simplified_wording=added.wording,
        coming=added.coming,
    )
    held.add(row)
    simulator(request).bank.bank_changed(statement)
    return reply(row_object(held.rows[webid], held), status=201)


async def amend_row(request: web.Request) -> web.Response:
    amended = await body(request, RowAmended)
    held = named_statement(request).holder_of(request.match_info["webid"])
    changes: dict[str, Any] = {}
    if not isinstance(amended.date, UnsetType):
        changes["date"] = amended.date
    if not isinstance(amended.value, UnsetType):
        changes["value"] = in_minor(amended.value, held)
    if not isinstance(amended.wording, UnsetType):
        changes["original_wording"] = changes["simplified_wording"] = amended.wording
    if not isinstance(amended.type, UnsetType):
        changes["type"] = amended.type
    if not isinstance(amended.coming, UnsetType):
        changes["coming"] = amended.coming
    return change_row(request, changes)


async def book_row(request: web.Request) -> web.Response:
    booked = await body(request, RowBooked)
    statement = named_statement(request)
    webid = request.match_info["webid"]
    held = statement.holder_of(webid)
    pending = held.rows[webid]
    if not pending.coming or pending.gone:
        raise Refused("conflict", f"Transaction {webid} is not pending.")
    day = booked.date or pending.date
    if not booked.new_id:
        return change_row(request, {"coming": False, "date": day, "vdate": day})
    held.change(webid, {"gone": True})
    new = msgspec.structs.replace(pending, webid=statement.unused_webid(), coming=False, date=day, vdate=day)
    held.add(new)
    simulator(request).bank.bank_changed(statement)
    return reply(row_object(held.rows[new.webid], held))


async def delete_row(request: web.Request) -> web.Response:
    return change_row(request, {"gone": True})


async def undelete_row(request: web.Request) -> web.Response:
    return change_row(request, {"gone": False})


async def list_connections(request: web.Request) -> web.Response:
    found = [
        {**connection_object(connection, frozenset()), "login": connection.statement.login}
        for connection in simulator(request).bank.connections()
    ]
    return reply({"connections": found, "total": len(found)})


async def script_state(request: web.Request) -> web.Response:
    change = await body(request, StateChange)
    connection = named_connection(request)
    until = moment(change.until) if change.until else None
    if not isinstance(change.consent_until, UnsetType):
        connection.consent_until = moment(change.consent_until)
    if not isinstance(change.source_state, UnsetType):
        connection.source_state = change.source_state
    simulator(request).bank.script(connection, change.state, error_message=change.error_message, until=until)
    return shown(connection)


async def sync(request: web.Request) -> web.Response:
    connection = named_connection(request)
    simulator(request).bank.sync(connection)
    return shown(connection)


async def recreate(request: web.Request) -> web.Response:
    enable = (await body(request, Recreation)).enabled
    connection = named_connection(request)
    simulator(request).bank.recreate(connection, enable=enable)
    return shown(connection)


async def body(request: web.Request, kind: type[Body]) -> Body:
    """Read the body as `kind`; an empty one is an empty object, and amounts stay exact."""
    raw = await request.read()
    try:
        return msgspec.json.decode(raw.strip() or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("invalidValue", str(error)) from None


def named_statement(request: web.Request) -> Statement:
    simulation = simulator(request)
    found = simulation.bank.logins.statement(request.match_info["login"], simulation.clock.today())
    if found is None:
        raise Refused("notFound", "No such login.")
    return found


def named_connection(request: web.Request) -> Connection:
    wanted = path_id(request, "connection")
    for connection in simulator(request).bank.connections():
        if connection.id == wanted:
            return connection
    raise Refused("notFound", "No such connection.")


def change_row(request: web.Request, changes: dict[str, Any]) -> web.Response:
    statement = named_statement(request)
    webid = request.match_info["webid"]
    held = statement.holder_of(webid)
    row = held.change(webid, changes)
    simulator(request).bank.bank_changed(statement)
    return reply(row_object(row, held))


def moment(given: datetime) -> datetime:
    try:
        return in_utc(given)
    except ValueError as error:
        raise Refused("invalidValue", str(error)) from None


def in_minor(amount: Decimal | None, held: HeldAccount) -> int | None:
    return None if amount is None else to_minor(amount, held.currency)


def shown(connection: Connection) -> web.Response:
    return reply(connection_object(connection, frozenset({"sources", "all_accounts"})))


def held_object(held: HeldAccount) -> dict[str, Any]:
    return {
        "account": held.key,
        "number": held.number,
        "iban": held.iban,
        "name": held.original_name,
        "type": held.type,
        "currency": held.currency,
        "balance": number(held.balance, held.currency),
        "coming": number(held.coming, held.currency),
        "closed": held.closed,
        "transactions": [row_object(row, held) for row in held.rows.values()],
    }


def row_object(row: Row, held: HeldAccount) -> dict[str, Any]:
    return {
        "webid": row.webid,
        "account": held.key,
        "date": row.date,
        "rdate": row.rdate,
        "value": number(row.value, held.currency),
        "type": row.type,
        "wording": row.original_wording,
        "coming": row.coming,
        "deleted": row.gone,
        "counterparty": counterparty_object(row.counterparty),
    }


LOGIN = "/simulator/logins/{login}"
CONNECTION = "/simulator/connections/{connection}"
ROUTES = (
    web.post("/simulator/reset", reset),
    web.get("/simulator/clock", show_clock),
    web.post("/simulator/clock", move_clock),
    web.get("/simulator/calls", show_calls),
    web.delete("/simulator/calls", forget_calls),
    web.get("/simulator/logins", list_logins),
    web.get(LOGIN, show_login),
    web.patch(f"{LOGIN}/accounts/{{account}}", change_account),
    web.post(f"{LOGIN}/accounts/{{account}}/transactions", add_row),
    web.patch(f"{LOGIN}/transactions/{{webid}}", amend_row),
    web.post(f"{LOGIN}/transactions/{{webid}}/book", book_row),
    web.delete(f"{LOGIN}/transactions/{{webid}}", delete_row),
    web.post(f"{LOGIN}/transactions/{{webid}}/undelete", undelete_row),
    web.get("/simulator/connections", list_connections),
    web.post(f"{CONNECTION}/state", script_state),
    web.post(f"{CONNECTION}/sync", sync),
    web.post(f"{CONNECTION}/recreate", recreate),
)
