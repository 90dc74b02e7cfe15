"""Where a provider's pushes arrive, and where a tenant reads the addresses to register them at."""

from __future__ import annotations

import re

import msgspec

from adapters.http.bodies import read_raw, too_large
from adapters.http.doors import NATIVE, OPEN
from adapters.http.problems import Problem, not_found
from adapters.http.routing import Answer, Asked, Route, ok
from application.ports import PUSH_SIZE_MAX, PushForged, PushTooLarge
from application.webhooks import PATH
from domain.provider import BUDGET_INSIGHT

TAG = "Webhooks"

_EVENT = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class WebhookAddresses(msgspec.Struct, kw_only=True):
    """What to register at the provider: an address for each event. The endpoint is the tenant's own."""

    endpoint: str
    addresses: dict[str, str]
    webhook_secret_set: bool
    """Without a `webhook_secret` among the credentials every push is refused."""


async def read_webhooks(asked: Asked) -> Answer:
    registration = await asked.http.webhooks.registration(asked.tenant, asked.ids["name"])
    return ok(
        WebhookAddresses(
            endpoint=registration.endpoint,
            addresses=dict(registration.addresses),
            webhook_secret_set=registration.secret_set,
        )
    )


async def receive_push(asked: Asked) -> Answer:
    """Whoever knows no endpoint is turned away before anything of the body is read."""
    webhooks, endpoint, event = asked.http.webhooks, asked.ids["endpoint"], asked.ids["event"]
    tenant = await webhooks.tenant_of(BUDGET_INSIGHT.name, endpoint)
    if not _EVENT.fullmatch(event):
        raise not_found()
    headers = list(asked.request.headers.items())
    async with asked.http.large_bodies:
        body = await read_raw(asked.request, PUSH_SIZE_MAX)
        try:
            await webhooks.receive(tenant, BUDGET_INSIGHT.name, endpoint, event, headers, body)
        except PushForged:
            raise Problem(401, "UNAUTHORIZED", "The request is not accepted.") from None
        except PushTooLarge:
            raise too_large(PUSH_SIZE_MAX) from None
    return Answer(status=204)


ROUTES = (
    Route(
        method="GET",
        path="/v1/providers/{name}/webhooks",
        door=NATIVE,
        handler=read_webhooks,
        tag=TAG,
        summary="Read the addresses to register a provider's webhooks at",
        answers={200: WebhookAddresses},
        problems=(404,),
    ),
    Route(
        method="POST",
        path=PATH.replace("{provider}", BUDGET_INSIGHT.name),
        door=OPEN,
        handler=receive_push,
        tag=TAG,
        summary="Take a push of the provider: signed, at most a day old, a hint and no data",
        answers={204: None},
        problems=(401, 404, 503),
        reads_body=True,
    ),
)
