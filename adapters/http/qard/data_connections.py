"""Data connections: the way from a user to a provider."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from adapters.http.doors import QARD
from adapters.http.fields import Body, DataType, Paging, text
from adapters.http.problems import not_found
from adapters.http.qard.pages import Page, page_of
from adapters.http.qard.users import existing_user
from adapters.http.routing import Answer, Asked, Route, ok
from adapters.http.writes import answered, done, written
from application import authorisations, data_connections
from application.execute import Outcome
from domain import streams
from domain.data_connection import AUTH_REQUIRED, DISCONNECTED, OPENABLE
from domain.provider import CATALOGUE
from projections import answers, directory

TAG = "Data connections"


class ConnectionBody(Body):
    provider_name: Annotated[str, text(64), Field(json_schema_extra={"enum": list(CATALOGUE)})]
    requested_data_types: Annotated[list[DataType], Field(min_length=1, max_length=32)]
    skip_permissions: bool = False


class ConnectionChangeBody(Body):
    """`DISCONNECTED` ends the connection, `AUTH_REQUIRED` asks the person again."""

    status: Annotated[str, text(64), Field(json_schema_extra={"enum": [DISCONNECTED, AUTH_REQUIRED]})] = ""
    requested_data_types: Annotated[list[DataType], Field(min_length=1, max_length=32)] = []


async def request_connection(asked: Asked) -> Answer:
    outcome = await data_connections.request(
        asked.services,
        asked.context,
        asked.ids["user_id"],
        provider_name=asked.body.provider_name,
        data_types=asked.body.requested_data_types,
        skip_permissions=asked.body.skip_permissions,
    )
    return await _connection(asked, outcome, 201)


async def change_connection(asked: Asked) -> Answer:
    sent = asked.body.sent()
    outcome = await data_connections.change(
        asked.services,
        asked.context,
        asked.ids["user_id"],
        asked.ids["connection_id"],
        status=sent.get("status"),
        data_types=sent.get("requested_data_types"),
    )
    return await _connection(asked, outcome, 200)


async def _connection(asked: Asked, outcome: Outcome, status: int) -> Answer:
    stream = streams.parse(outcome.stream)
    rows, at = await written(asked, outcome)
    row = rows.get(directory.CONNECTIONS, stream.tenant, stream.consumer, stream.id)
    return await answered(asked, outcome, row and shown(asked, row, at), status)


async def delete_connection(asked: Asked) -> Answer:
    outcome = await data_connections.delete(
        asked.services, asked.context, asked.ids["user_id"], asked.ids["connection_id"]
    )
    return await done(asked, outcome)


async def list_connections(asked: Asked) -> Answer:
    user = existing_user(asked)
    paging: Paging = asked.query
    total, rows = asked.http.read_models.connections(asked.tenant, user.id, paging.page, paging.size)
    now = asked.now()
    return page_of(paging, total, [shown(asked, row, now) for row in rows])


async def read_connection(asked: Asked) -> Answer:
    row = asked.http.read_models.connection(asked.tenant, asked.ids["user_id"], asked.ids["connection_id"])
    if row is None:
        raise not_found()
    return ok(shown(asked, row, asked.now()))


def shown(asked: Asked, row: Any, at: datetime) -> answers.DataConnection:
    """A connection, with the link for the person as long as there is something to authorise."""
    link = None
    if row.status in OPENABLE:
        link = authorisations.link(asked.services, asked.tenant, row.id, row.link_epoch, at)
    return directory.connection_answer(row, link)


_LIST = "/api/v6/users/{user_id}/data-connections"
_ONE = "/api/v6/users/{user_id}/data-connections/{connection_id}"

ROUTES = (
    Route(
        method="POST",
        path=_LIST,
        door=QARD,
        handler=request_connection,
        tag=TAG,
        summary="Request a connection to a provider",
        body=ConnectionBody,
        answers={201: answers.DataConnection},
        problems=(403, 404),
        writes=True,
    ),
    Route(
        method="GET",
        path=_LIST,
        door=QARD,
        handler=list_connections,
        tag=TAG,
        summary="List a user's connections, oldest first",
        query=Paging,
        answers={200: Page[answers.DataConnection]},
        problems=(404,),
    ),
    Route(
        method="GET",
        path=_ONE,
        door=QARD,
        handler=read_connection,
        tag=TAG,
        summary="Read a connection",
        answers={200: answers.DataConnection},
        problems=(404,),
    ),
    Route(
        method="PATCH",
        path=_ONE,
        door=QARD,
        handler=change_connection,
        tag=TAG,
        summary="Disconnect, reconnect, or change the requested data types",
        body=ConnectionChangeBody,
        answers={200: answers.DataConnection},
        problems=(404,),
        writes=True,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        door=QARD,
        handler=delete_connection,
        tag=TAG,
        summary="Delete a connection with all data that only it brought",
        answers={204: None},
        problems=(404,),
        writes=True,
    ),
)
