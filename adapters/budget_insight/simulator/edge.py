"""What every route shares: who asks, what they sent, and how an answer is written."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from adapters.budget_insight.simulator.bank import User
from adapters.budget_insight.simulator.refusals import STATUS_OF, Refused
from adapters.budget_insight.simulator.render import encode
from adapters.budget_insight.simulator.simulation import Simulation

SIMULATION = web.AppKey("simulation", Simulation)
REQUEST_ID = web.RequestKey("request_id", str)

NO = frozenset({"0", "false", "no"})
YES = frozenset({"", "1", "true", "yes"})


def simulator(request: web.Request) -> Simulation:
    return request.config_dict[SIMULATION]


def reply(body: object, status: int = 200) -> web.Response:
    return web.Response(body=encode(body), status=status, content_type="application/json", charset="utf-8")


def bearer(request: web.Request) -> str:
    """Return the token of the request.

    Raises:
        Refused: `unauthorized`, without an `Authorization: Bearer` header.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused("unauthorized", "The Authorization header is missing or is not a bearer token.")
    return token.strip()


def caller(request: web.Request) -> User:
    """Return whose data the path names, when the token may see it; syncs that fell due are done first."""
    bank = simulator(request).bank
    user = bank.authenticate(bearer(request))
    if user is None:
        raise Refused("invalidToken", "The token is unknown, revoked or expired.")
    named = request.match_info.get("user", "me")
    if named not in ("me", str(user.id)):
        raise Refused("forbidden", "This token gives no access to that user.")
    bank.catch_up(user)
    return user


async def sent(request: web.Request) -> dict[str, Any]:
    """Return the body as an object: JSON, or a flat form; an empty body is an empty object."""
    if request.content_type == "application/x-www-form-urlencoded":
        return dict(await form(request))
    raw = await request.read()
    if not raw.strip():
        return {}
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused("invalidValue", "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise Refused("invalidValue", "The body is not a JSON object.")
    return body


async def form(request: web.Request) -> dict[str, str]:
    """Return the fields of a form; bytes that are no text become question marks, never an error."""
    raw = await request.read()
    return dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))


def flag(values: Mapping[str, Any], name: str) -> bool | None:
    """Read a flag in any of its spellings; a flag without a value is set.

    Raises:
        Refused: `invalidValue`, for a word that is neither yes nor no.
    """
    if name not in values or values[name] is None:
        return None
    word = str(values[name]).lower()
    if word not in YES | NO:
        raise Refused("invalidValue", f"{name} is neither true nor false.")
    return word in YES


def expanded(request: web.Request) -> frozenset[str]:
    """Return the outermost names of `expand=a,b[c,d]`."""
    names = [""]
    depth = 0
    for letter in request.query.get("expand", ""):
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth == 0:
            names.append("")
        elif depth == 0 and letter != "]":
            names[-1] += letter
    return frozenset(name.strip() for name in names if name.strip())


def wants_all(request: web.Request) -> bool:
    return bool(flag(request.query, "all"))


def path_id(request: web.Request, name: str) -> int | None:
    """Return an id of the path, None if this route does not name one; an impossible id is unknown."""
    text = request.match_info.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        raise Refused("notFound", f"No such {name}.")
    return int(text)


def refusal_status(request: web.Request, refused: Refused) -> int:
    if refused.code == "noAccount":
        return simulator(request).options.no_account_status
    return STATUS_OF[refused.code]
