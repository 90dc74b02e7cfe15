"""API keys: made here, shown once."""

from __future__ import annotations

import msgspec

from adapters.http.doors import NATIVE
from adapters.http.fields import Nothing
from adapters.http.routing import Answer, Asked, Route
from adapters.http.writes import answered
from application.api_keys import record_creation


class ApiKey(msgspec.Struct, kw_only=True):
    """A key of the caller's tenant. It opens every door, and cannot be read again."""

    api_key: str
    tenant: str


async def create_api_key(asked: Asked) -> Answer:
    outcome = await record_creation(asked.services, asked.context)
    api_key = asked.http.create_api_key(asked.tenant, asked.context.command_id)
    return await answered(asked, outcome, ApiKey(api_key=api_key, tenant=asked.tenant), 201)


ROUTES = (
    Route(
        method="POST",
        path="/v1/api-keys",
        door=NATIVE,
        handler=create_api_key,
        tag="API keys",
        summary="Make a key for the caller's tenant",
        body=Nothing,
        body_optional=True,
        answers={201: ApiKey},
        writes=True,
    ),
)
