"""The person's way to the bank and back, and the cookie that keeps both in one browser."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import StringConstraints

from adapters.http.browser.pages import end_page
from adapters.http.doors import CALLBACK, CONNECT
from adapters.http.fields import Query
from adapters.http.routing import HTML, Answer, Asked, Route
from application import authorisations
from application.authorisations import CALLBACK_PATH, STATE_LIFETIME
from application.refusals import Unavailable
from domain import streams
from domain.refusals import LinkInvalid

#: What our tokens and states are written in.
Secret = Annotated[str, StringConstraints(max_length=128, pattern="^[0-9A-Za-z_.=-]*$")]
Reference = Annotated[str, StringConstraints(max_length=256, pattern="^[0-9, ]*$")]


class Opening(Query):
    """The link that a client was given for a person."""

    token: Secret = ""


class Returning(Query):
    """What the bank's page comes back with. It may say more; that is not looked at."""

    state: Secret = ""
    connection_id: Reference | None = None
    id_connection: Reference | None = None
    connection_ids: Reference | None = None
    error: Annotated[str, StringConstraints(max_length=128)] | None = None


async def connect(asked: Asked) -> Answer:
    """Send the person to the bank."""
    connection = asked.ids["connection"].lower()
    if not streams.UUID.fullmatch(connection):
        raise LinkInvalid
    address = await authorisations.open_link(
        asked.services, connection, asked.query.token, languages=_languages(asked)
    )
    if not (address.isascii() and address.isprintable()):
        raise Unavailable("unexpected_answer")
    headers = {"Location": address}
    if _https(asked):
        state = dict(parse_qsl(urlsplit(address).query)).get("state", "")
        name, value = _cookie(state)
        headers["Set-Cookie"] = _set_cookie(name, value, int(STATE_LIFETIME.total_seconds()))
    return Answer(status=302, headers=headers, content_type=HTML)


async def callback(asked: Asked) -> Answer:
    """Take the person back, to the client's page or to one of ours."""
    if _https(asked):
        name, value = _cookie(asked.query.state)
        shown = asked.request.cookies.get(name, "")
        if not compare_digest(shown.encode("utf-8", "replace"), value.encode()):
            raise LinkInvalid
    end = await authorisations.complete(asked.services, asked.query.model_dump(exclude_none=True))
    if end.return_url is None:
        answer = end_page(end.status)
    else:
        address = _with_query(end.return_url, data_connection_id=end.data_connection_id, status=end.status)
        answer = Answer(status=303, headers={"Location": address}, content_type=HTML)
    if _https(asked):
        answer.headers["Set-Cookie"] = _set_cookie(name, "", 0)
    return answer


def _https(asked: Asked) -> bool:
    return asked.services.public_url.startswith("https://")


def _cookie(state: str) -> tuple[str, str]:
    """A cookie of its own for each opening, so that two that are under way do not undo each other."""
    digest = sha256(b"browser|" + state.encode("utf-8", "replace")).hexdigest()
    return f"__Host-opening-{digest[:16]}", digest[16:]


def _set_cookie(name: str, value: str, seconds: int) -> str:
    return f"{name}={value}; Max-Age={seconds}; Path=/; Secure; HttpOnly; SameSite=Lax"


def _languages(asked: Asked) -> list[str]:
    """What the browser asks for, in its order."""
    return [part.strip()[:2].lower() for part in asked.request.headers.get("Accept-Language", "").split(",")]


def _with_query(address: str, **values: str) -> str:
    """Add to the query that an address has already; the client's own parameters stay as they are."""
    parts = urlsplit(address)
    query = "&".join(filter(None, (parts.query, urlencode(values))))
    return urlunsplit(parts._replace(query=query))


ROUTES = (
    Route(
        method="GET",
        path="/connect/{connection}",
        door=CONNECT,
        handler=connect,
        tag="Browser",
        summary="Send the person to the bank's page",
        query=Opening,
        lenient_query=True,
        answers={302: None},
        problems=(400, 403, 404, 409, 503),
        head=False,
    ),
    Route(
        method="GET",
        path=CALLBACK_PATH,
        door=CALLBACK,
        handler=callback,
        tag="Browser",
        summary="Take the person back from the bank's page",
        query=Returning,
        lenient_query=True,
        answers={200: HTML, 303: None},
        problems=(400, 503),
        head=False,
    ),
)
