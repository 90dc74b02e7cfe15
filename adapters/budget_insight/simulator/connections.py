"""Routes of connections and their sources."""

from typing import Any

from aiohttp import web

from adapters.budget_insight.simulator.accounts import account_object
from adapters.budget_insight.simulator.auth import required
from adapters.budget_insight.simulator.bank import OTP_FIELD, PERSON_STATES, Connection, User
from adapters.budget_insight.simulator.banks import find_connector
from adapters.budget_insight.simulator.clock import paris_text
from adapters.budget_insight.simulator.connectors import connector_object, field
from adapters.budget_insight.simulator.edge import caller, expanded, flag, path_id, reply, sent, simulator
from adapters.budget_insight.simulator.refusals import Refused

FIELDS_WANTED = {
    "additionalInformationNeeded": [field(OTP_FIELD, "Code reçu par SMS", "text")],
    "wrongpass": [field("password", "Mot de passe", "password")],
}


async def list_connections(request: web.Request) -> web.Response:
    user = caller(request)
    found = [connection_object(c, expanded(request)) for c in user.connections.values()]
    return reply({"connections": found, "total": len(found)})


async def create_connection(request: web.Request) -> web.Response:
    """Connect with credentials; the accounts found stay disabled until the person enables them."""
    user = caller(request)
    body = await sent(request)
    bank = simulator(request).bank
    reference = body.get("connector_uuid") or required(body, "id_connector")
    connector = find_connector(reference)
    if connector is None:
        raise Refused("invalidValue", "No such connector.")
    statement = bank.log_in(required(body, "login"), required(body, "password"))
    if statement is None:
        raise Refused("wrongpass", "The login or the password is wrong.", "Identifiants incorrects.")
    connection = bank.connect(user, statement, connector, enable=False)
    return reply(connection_object(connection, expanded(request)), status=201)


async def get_connection(request: web.Request) -> web.Response:
    connection = one_connection(request, caller(request))
    return reply(connection_object(connection, expanded(request)))


async def update_connection(request: web.Request) -> web.Response:
    """Give a waiting connection what it asks for; an empty body is a sync."""
    connection = one_connection(request, caller(request))
    body = await sent(request)
    if (active := flag(body, "active")) is not None:
        connection.active = active
    if "expire" in body:
        connection.expire = None if body["expire"] is None else str(body["expire"])
    simulator(request).bank.resume(connection, body)
    return synced(request, connection)


async def sync_connection(request: web.Request) -> web.Response:
    """Force a sync: 202 when a person must act first, 409 when the last one was too recent."""
    connection = one_connection(request, caller(request))
    flag({**request.query, **(await sent(request))}, "psu_requested")
    simulator(request).bank.force_sync(connection)
    return synced(request, connection)


async def delete_connection(request: web.Request) -> web.Response:
    simulator(request).bank.delete_connection(one_connection(request, caller(request)))
    return web.Response(status=204)


async def list_sources(request: web.Request) -> web.Response:
    connection = one_connection(request, caller(request))
    return reply({"sources": [source_object(connection)], "total": 1})


async def get_source(request: web.Request) -> web.Response:
    connection = one_connection(request, caller(request))
    if path_id(request, "source") != connection.source_id:
        raise Refused("notFound", "No such source.")
    return reply(source_object(connection))


def one_connection(request: web.Request, user: User) -> Connection:
    connection = user.connections.get(path_id(request, "connection") or 0)
    if connection is None:
        raise Refused("notFound", "No such connection.")
    return connection


def synced(request: web.Request, connection: Connection) -> web.Response:
    status = 202 if connection.state in PERSON_STATES else 200
    return reply(connection_object(connection, expanded(request)), status=status)


def connection_object(connection: Connection, expand: frozenset[str]) -> dict[str, Any]:
    connector = connection.connector
    shown: dict[str, Any] = {
        "id": connection.id,
        "id_user": connection.user.id,
        "id_connector": connector.id,
        "id_bank": connector.id,
        "id_provider": connector.id,
        "connector_uuid": connector.uuid,
        "state": connection.state,
        "error": connection.state,
        "error_message": connection.error_message,
        "last_update": connection.last_update,
        "next_try": next_try(connection),
        "created": connection.created,
        "active": connection.active,
        "last_push": None,
        "expire": connection.expire,
    }
    if connection.state in FIELDS_WANTED:
        shown["fields"] = FIELDS_WANTED[connection.state]
    if "connector" in expand:
        shown["connector"] = connector_object(connector)
    if "sources" in expand:
        shown["sources"] = [source_object(connection)]
    accounts = connection.accounts.values()
    if "accounts" in expand:
        shown["accounts"] = [account_object(account) for account in accounts if account.is_shown]
    if "all_accounts" in expand:
        shown["all_accounts"] = [account_object(account) for account in accounts]
    return shown


def source_object(connection: Connection) -> dict[str, Any]:
    return {
        "id": connection.source_id,
        "id_connection": connection.id,
        "id_connector_source": connection.connector.id * 10 + 1,
        "name": "openapi",
        "state": connection.source_state or connection.state,
        "error_message": connection.error_message,
        "last_update": connection.last_update,
        "next_try": next_try(connection),
        "created": connection.created,
        "disabled": None,
        "expire": None,
        "access_expire": paris_text(connection.consent_until),
    }


def next_try(connection: Connection) -> str | None:
    return paris_text(connection.next_try) if connection.next_try else None


BASE = "/2.0/users/{user}/connections"
ROUTES = (
    web.get(BASE, list_connections),
    web.post(BASE, create_connection),
    web.get(f"{BASE}/{{connection}}", get_connection),
    web.post(f"{BASE}/{{connection}}", update_connection),
    web.put(f"{BASE}/{{connection}}", sync_connection),
    web.delete(f"{BASE}/{{connection}}", delete_connection),
    web.get(f"{BASE}/{{connection}}/sources", list_sources),
    web.get(f"{BASE}/{{connection}}/sources/{{source}}", get_source),
)
