"""Routes of users and their tokens."""

from hmac import compare_digest
from typing import Any

from aiohttp import web

from adapters.budget_insight.simulator.bank import CODE_LIFE, Kind
from adapters.budget_insight.simulator.edge import bearer, caller, flag, reply, sent, simulator
from adapters.budget_insight.simulator.options import SimulatorOptions
from adapters.budget_insight.simulator.refusals import Refused


async def init(request: web.Request) -> web.Response:
    """With credentials the user is permanent; without, anonymous and purged after 30 minutes."""
    body = await sent(request)
    bank = simulator(request).bank
    has_credentials = "client_id" in body or "client_secret" in body
    if has_credentials:
        check_client(simulator(request).options, body)
    user = bank.create_user(permanent=has_credentials)
    credential = bank.issue(user, "permanent" if has_credentials else "temporary")
    return reply(
        {
            "auth_token": credential.value,
            "type": credential.kind,
            "id_user": user.id,
            "expires_in": None if has_credentials else seconds(),
        }
    )


async def code(request: web.Request) -> web.Response:
    user = caller(request)
    asked = {**request.query, **(await sent(request))}.get("type") or "requestAccess"
    if asked not in ("singleAccess", "requestAccess"):
        raise Refused("invalidValue", "type is neither singleAccess nor requestAccess.")
    kind: Kind = "single" if asked == "singleAccess" else "standard"
    credential = simulator(request).bank.issue(user, kind)
    return reply({"code": credential.value, "type": "temporary", "access": kind, "expires_in": seconds()})


async def access(request: web.Request) -> web.Response:
    body = await sent(request)
    check_client(simulator(request).options, body)
    check_grant(body, "authorization_code")
    credential = simulator(request).bank.exchange(required(body, "code"))
    return reply({"access_token": credential.value, "token_type": "Bearer"})


async def renew(request: web.Request) -> web.Response:
    body = await sent(request)
    bank = simulator(request).bank
    check_client(simulator(request).options, body)
    check_grant(body, "client_credentials")
    user_id = required(body, "id_user")
    user = next((u for u in bank.users.values() if str(u.id) == user_id), None)
    if user is None:
        raise Refused("notFound", "No such user.")
    if flag(body, "revoke_previous"):
        bank.revoke_all_of(user)
    user.expires_at = None
    credential = bank.issue(user, "permanent")
    return reply({"access_token": credential.value, "token_type": "Bearer"})


async def revoke(request: web.Request) -> web.Response:
    caller(request)
    simulator(request).bank.revoke(bearer(request))
    return web.Response(status=204)


async def get_user(request: web.Request) -> web.Response:
    user = caller(request)
    return reply({"id": user.id, "signin": user.signin, "platform": "sharedAccess"})


async def delete_user(request: web.Request) -> web.Response:
    simulator(request).bank.delete_user(caller(request))
    return web.Response(status=204)


def check_client(options: SimulatorOptions, body: dict[str, Any]) -> None:
    """Both parts must be there; which values are right is an option."""
    client_id, secret = required(body, "client_id"), required(body, "client_secret")
    expected_id = options.client_id if options.client_id is not None else client_id
    expected_secret = options.client_secret if options.client_secret is not None else secret
    known = compare_digest(client_id.encode(), expected_id.encode())
    if not (compare_digest(secret.encode(), expected_secret.encode()) and known):
        raise Refused("forbidden", "The client credentials are wrong.")


def check_grant(body: dict[str, Any], expected: str) -> None:
    if body.get("grant_type", expected) != expected:
        raise Refused("invalidValue", f"grant_type is not {expected}.")


def required(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None or value == "":
        raise Refused("missingParameter", f"{name} is missing.")
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise Refused("invalidValue", f"{name} is not a text.")
    return str(value)


def seconds() -> int:
    return int(CODE_LIFE.total_seconds())


ROUTES = (
    web.post("/2.0/auth/init", init),
    web.get("/2.0/auth/token/code", code),
    web.post("/2.0/auth/token/code", code),
    web.post("/2.0/auth/token/access", access),
    web.post("/2.0/auth/renew", renew),
    web.delete("/2.0/auth/token", revoke),
    web.get("/2.0/users/{user}", get_user),
    web.delete("/2.0/users/{user}", delete_user),
)
