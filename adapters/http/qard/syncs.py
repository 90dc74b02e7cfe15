"""Requesting synchronisations and following them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from adapters.http.doors import QARD
from adapters.http.fields import Body, DataType, Paging
from adapters.http.problems import invalid, not_found
from adapters.http.qard.pages import Page, page_of
from adapters.http.qard.users import existing_user
from adapters.http.routing import Answer, Asked, Header, Route, ok
from adapters.http.writes import answered
from application import syncs
from domain import streams
from domain.data_connection import QUEUED, ConnectionRequested
from domain.fact import Recorded
from projections import answers, directory

TAG = "Synchronisation"
PSU_REQUESTED = Header(
    name="PSU-Requested",
    description="true while the person is there: the bank may ask them for something, and is asked however often"
    " it was asked already. Otherwise a bank is asked four times a day at most.",
    values=("true", "false"),
)


class SyncBody(Body):
    """The data types to fetch, with what they are made from; all, if none is named."""

    data_types: Annotated[list[DataType], Field(max_length=32)] | None = None


async def request_sync(asked: Asked) -> Answer:
    outcome, requested = await syncs.request(
        asked.services,
        asked.context,
        asked.ids["user_id"],
        asked.body.data_types,
        attended=_is_attended(asked),
    )
    queued = [data_sync for recorded in requested for data_sync in await _queued(asked, recorded)]
    return await answered(asked, outcome, queued or None, 201)


def _is_attended(asked: Asked) -> bool:
    values = [value.strip().lower() for value in asked.request.headers.getall(PSU_REQUESTED.name, ["false"])]
    if len(values) > 1 or values[0] not in PSU_REQUESTED.values:
        problems = {PSU_REQUESTED.name: ["must be true or false"]}
        raise invalid(f"The {PSU_REQUESTED.name} header is not valid.", **problems)
    return values == ["true"]


async def _queued(asked: Asked, recorded: Recorded) -> list[answers.DataSync]:
    """The DataSyncs as they were when they were requested, however far they are by now."""
    first = (await asked.services.log.facts(recorded.stream, upto=1))[0].fact
    if not isinstance(first, ConnectionRequested):
        raise not_found()
    return [
        answers.DataSync(
            id=data_sync.id,
            data_type=data_sync.data_type,
            provider_name=first.provider,
            status=QUEUED,
            status_reason=None,
            data_connection_id=streams.parse(recorded.stream).id,
            requested_at=answers.qard_time(recorded.recorded_at),
            completed_at=None,
        )
        for data_sync in recorded.fact.data_syncs
    ]


async def list_syncs(asked: Asked) -> Answer:
    user = existing_user(asked)
    paging: Paging = asked.query
    total, rows = asked.http.read_models.data_syncs(asked.tenant, user.id, paging.page, paging.size)
    return page_of(paging, total, map(directory.data_sync_answer, rows))


async def list_latest_syncs(asked: Asked) -> Answer:
    rows = asked.http.read_models.latest_data_syncs(asked.tenant, existing_user(asked).id)
    return ok([directory.data_sync_answer(row) for row in rows])


ROUTES = (
    Route(
        method="POST",
        path="/api/v6/users/{user_id}/sync",
        door=QARD,
        handler=request_sync,
        tag=TAG,
        summary="Request a synchronisation",
        body=SyncBody,
        body_optional=True,
        answers={201: list[answers.DataSync]},
        problems=(404,),
        writes=True,
        headers=(PSU_REQUESTED,),
    ),
    Route(
        method="GET",
        path="/api/v6/users/{user_id}/sync",
        door=QARD,
        handler=list_syncs,
        tag=TAG,
        summary="List a user's DataSyncs, newest first",
        query=Paging,
        answers={200: Page[answers.DataSync]},
        problems=(404,),
    ),
    Route(
        method="GET",
        path="/api/v6/users/{user_id}/sync/latest",
        door=QARD,
        handler=list_latest_syncs,
        tag=TAG,
        summary="Read the newest DataSync of each data type",
        answers={200: list[answers.DataSync]},
        problems=(404,),
    ),
)
