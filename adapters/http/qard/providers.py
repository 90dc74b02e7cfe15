"""Setting up providers. Credentials can be replaced, never read."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from adapters.http.doors import QARD
from adapters.http.fields import Body, Paging, text
from adapters.http.qard.pages import Page, page_of
from adapters.http.routing import Answer, Asked, Route, ok
from adapters.http.writes import answered, done, written
from application import providers
from application.execute import Outcome
from domain import streams
from domain.provider import CATALOGUE, REFRESH_INTERVAL_HOURS, REFRESH_INTERVAL_HOURS_MAX
from projections import answers, directory

TAG = "Providers"


class CredentialsBody(Body):
    """The fields that the provider's `credentials_config` names."""

    credentials: Annotated[
        dict[Annotated[str, text(64, 1)], Annotated[str, text(1024)]], Field(max_length=16)
    ]


class SettingsBody(Body):
    """The settings to change; the others stay as they are."""

    auto_connect: bool = False
    refresh_interval_hours: Annotated[int, Field(ge=0, le=REFRESH_INTERVAL_HOURS_MAX)] = (
        REFRESH_INTERVAL_HOURS
    )
    """How old what is held of a connection may become before it is looked at again; 0 is never."""


class EnableBody(Body):
    enable: bool


async def update_credentials(asked: Asked) -> Answer:
    outcome = await providers.update_credentials(
        asked.services, asked.context, asked.ids["name"], asked.body.credentials
    )
    return await done(asked, outcome)


async def update_settings(asked: Asked) -> Answer:
    outcome = await providers.update_settings(
        asked.services, asked.context, asked.ids["name"], asked.body.sent()
    )
    return await _provider(asked, outcome)


async def set_enabled(asked: Asked) -> Answer:
    outcome = await providers.set_enabled(asked.services, asked.context, asked.ids["name"], asked.body.enable)
    return await _provider(asked, outcome)


async def _provider(asked: Asked, outcome: Outcome) -> Answer:
    name = streams.parse(outcome.stream).id
    rows, _ = await written(asked, outcome)
    row = rows.get(directory.PROVIDERS, asked.tenant, name)
    return await answered(asked, outcome, directory.provider_answer(CATALOGUE[name], row))


async def list_providers(asked: Asked) -> Answer:
    paging: Paging = asked.query
    described = list(CATALOGUE.values())
    start = (paging.page - 1) * paging.size
    found = [_shown(asked, description.name) for description in described[start : start + paging.size]]
    return page_of(paging, len(described), found)


async def read_provider(asked: Asked) -> Answer:
    return ok(_shown(asked, asked.ids["name"]))


def _shown(asked: Asked, name: str) -> answers.Provider:
    row = asked.http.read_models.provider(asked.tenant, name)
    return directory.provider_answer(providers.described(name), row)


ROUTES = (
    Route(
        method="GET",
        path="/api/v6/providers",
        door=QARD,
        handler=list_providers,
        tag=TAG,
        summary="List the providers",
        query=Paging,
        answers={200: Page[answers.Provider]},
    ),
    Route(
        method="GET",
        path="/api/v6/providers/{name}",
        door=QARD,
        handler=read_provider,
        tag=TAG,
        summary="Read a provider",
        answers={200: answers.Provider},
        problems=(404,),
    ),
    Route(
        method="PUT",
        path="/api/v6/providers/{name}",
        door=QARD,
        handler=set_enabled,
        tag=TAG,
        summary="Enable or disable a provider",
        body=EnableBody,
        answers={200: answers.Provider},
        problems=(403, 404),
        writes=True,
    ),
    Route(
        method="PUT",
        path="/api/v6/providers/{name}/credentials",
        door=QARD,
        handler=update_credentials,
        tag=TAG,
        summary="Replace a provider's credentials",
        body=CredentialsBody,
        answers={204: None},
        problems=(404,),
        writes=True,
    ),
    Route(
        method="PUT",
        path="/api/v6/providers/{name}/settings",
        door=QARD,
        handler=update_settings,
        tag=TAG,
        summary="Change a provider's settings",
        body=SettingsBody,
        answers={200: answers.Provider},
        problems=(404,),
        writes=True,
    ),
)
