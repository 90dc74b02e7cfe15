"""Registering consumers and changing what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from application.data_connections import automatic_requests
from application.execute import Loaded, Outcome, Plan, Services, execute, load
from application.ports import Context
from domain import consumer, streams


async def register(services: Services, context: Context, *, type: str, fields: Mapping[str, Any]) -> Outcome:
    """Register a consumer, with the connections that `auto_connect` asks for."""
    details = consumer.describe(type, fields)
    consumer_id = services.ids.uuid()
    new: Loaded[consumer.Consumer] = Loaded(
        streams.consumer(context.tenant, consumer_id), 0, consumer.initial
    )

    async def decide() -> Plan:
        facts = consumer.register(new.state, type=type, details=details)
        automatic = await automatic_requests(services, context.tenant, consumer_id)
        return Plan(new, ((new, facts), *automatic))

    return await execute(services, context, decide)


async def change(
    services: Services, context: Context, consumer_id: str, fields: Mapping[str, Any]
) -> Outcome:
    """Change the given details and keep the others."""

    async def decide() -> Plan:
        loaded = await load(services, streams.consumer(context.tenant, consumer_id))
        known = consumer.registered(loaded.state)
        details = consumer.describe(known.type, fields, before=known.details)
        return Plan(loaded, ((loaded, consumer.change_details(known, details)),))

    return await execute(services, context, decide)
