"""Users: the persons and companies whose accounts are read, and the account that reads them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from pydantic import StringConstraints

from adapters.http.doors import QARD
from adapters.http.fields import Body, Paging, WebAddress, text
from adapters.http.problems import not_found
from adapters.http.qard.pages import Page, page_of
from adapters.http.routing import Answer, Asked, Route, ok
from adapters.http.writes import answered, done, written
from application import consumers, erasure
from application.execute import Outcome
from domain import streams
from domain.consumer import LEGAL, NATURAL
from projections import answers, directory

TAG = "Users"

Name = Annotated[str, text(255, 1)]
Country = Annotated[str, StringConstraints(pattern="^([A-Z]{2})?$")]
Siren = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern="^[0-9A-Za-z .-]+$")]
Code = Annotated[str, text(16)]
Group = Annotated[str, text(64)]
Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[!-?A-~]+@[!-?A-~]+$")]


class UsersQuery(Paging):
    """Which page, of all users or of those with a company number: clients look for their users by it."""

    siren: Siren | None = None


class LegalUserBody(Body):
    """A company. `country` is FR and `group` is default where they are blank or absent."""

    name: Name
    siren: Siren | None = None
    postal_code: Code | None = None
    country: Country | None = None
    ape_code: Code | None = None
    group: Group | None = None
    return_url: WebAddress | None = None


class NaturalUserBody(Body):
    """A person. `country` is FR and `group` is default where they are blank or absent."""

    first_name: Name
    last_name: Name
    birthdate: date | None = None
    email: Email | None = None
    postal_code: Code | None = None
    country: Country | None = None
    group: Group | None = None
    return_url: WebAddress | None = None


class UserChangeBody(Body):
    """What is to change; null takes a value away. Only the fields of the user's own type."""

    name: Name = ""
    first_name: Name = ""
    last_name: Name = ""
    birthdate: date | None = None
    email: Email | None = None
    siren: Siren | None = None
    postal_code: Code | None = None
    ape_code: Code | None = None
    country: Country | None = None
    group: Group | None = None
    return_url: WebAddress | None = None


class Profile(msgspec.Struct, kw_only=True):
    """The account that a key belongs to."""

    name: str
    email: str | None = None


async def register_legal(asked: Asked) -> Answer:
    return await _register(asked, LEGAL)


async def register_natural(asked: Asked) -> Answer:
    return await _register(asked, NATURAL)


async def _register(asked: Asked, type: str) -> Answer:
    outcome = await consumers.register(asked.services, asked.context, type=type, fields=asked.body.sent())
    return await _user(asked, outcome, 201)


async def change_user(asked: Asked) -> Answer:
    outcome = await consumers.change(asked.services, asked.context, asked.ids["user_id"], asked.body.sent())
    return await _user(asked, outcome, 200)


async def _user(asked: Asked, outcome: Outcome, status: int) -> Answer:
    rows, _ = await written(asked, outcome)
    row = rows.get(directory.CONSUMERS, asked.tenant, streams.parse(outcome.stream).id)
    return await answered(asked, outcome, row and directory.user_answer(row), status)


async def erase_user(asked: Asked) -> Answer:
    outcome = await erasure.erase_consumer(asked.services, asked.context, asked.ids["user_id"])
    return await done(asked, outcome)


async def list_users(asked: Asked) -> Answer:
    paging: UsersQuery = asked.query
    total, rows = asked.http.read_models.consumers(asked.tenant, paging.page, paging.size, paging.siren)
    return page_of(paging, total, map(directory.user_answer, rows))


async def read_user(asked: Asked) -> Answer:
    return ok(directory.user_answer(existing_user(asked)))


def existing_user(asked: Asked) -> Any:
    """The row of the user that the path names.

    Raises:
        Problem: 404.
    """
    row = asked.http.read_models.consumer(asked.tenant, asked.ids["user_id"])
    if row is None:
        raise not_found()
    return row


async def read_profile(asked: Asked) -> Answer:
    return ok(Profile(name=asked.tenant))


def _register_route(kind: str, handler: Any, body: type[Body]) -> Route:
    return Route(
        method="POST",
        path=f"/api/v6/users/{kind}",
        door=QARD,
        handler=handler,
        tag=TAG,
        summary=f"Register a {kind} user",
        body=body,
        answers={201: answers.User},
        writes=True,
    )


def _profile_route(name: str) -> Route:
    return Route(
        method="GET",
        path=f"/api/v6/{name}",
        door=QARD,
        handler=read_profile,
        tag=TAG,
        summary="Read whom the key belongs to",
        answers={200: Profile},
        operation=f"read_{name}",
    )


ROUTES = (
    _profile_route("profile"),
    _profile_route("clients"),
    _register_route("legal", register_legal, LegalUserBody),
    _register_route("natural", register_natural, NaturalUserBody),
    Route(
        method="GET",
        path="/api/v6/users",
        door=QARD,
        handler=list_users,
        tag=TAG,
        summary="List the users, oldest first",
        query=UsersQuery,
        answers={200: Page[answers.User]},
    ),
    Route(
        method="GET",
        path="/api/v6/users/{user_id}",
        door=QARD,
        handler=read_user,
        tag=TAG,
        summary="Read a user",
        answers={200: answers.User},
        problems=(404,),
    ),
    Route(
        method="PATCH",
        path="/api/v6/users/{user_id}",
        door=QARD,
        handler=change_user,
        tag=TAG,
        summary="Change what is known of a user",
        body=UserChangeBody,
        answers={200: answers.User},
        problems=(404,),
        writes=True,
    ),
    Route(
        method="DELETE",
        path="/api/v6/users/{user_id}",
        door=QARD,
        handler=erase_user,
        tag=TAG,
        summary="Erase a user for good, with all their data",
        answers={204: None},
        problems=(404,),
        writes=True,
    ),
)
