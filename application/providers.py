"""Setting up a provider: credentials, settings, enabled or not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from application.execute import Outcome, Plan, Services, execute, load
from application.ports import Context
from domain import provider, streams
from domain.refusals import NotFound, ProviderNotAvailable

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
CREDENTIALS = "credentials"


def described(name: str) -> provider.Description:
    """What is known of a provider.

    Raises:
        NotFound: there is no provider of this name.
    """
    if name not in provider.CATALOGUE:
        raise NotFound
    return provider.CATALOGUE[name]


async def update_credentials(
    services: Services, context: Context, name: str, credentials: Mapping[str, str]
) -> Outcome:
    """Replace the credentials. The secret is stored first: a fact must never point to nothing."""
    provider.check_credentials(described(name), credentials)
    stream = streams.provider(context.tenant, name)
    secret = _encode(dict(credentials))
    fingerprint = services.keys.keyed_hash(context.tenant, "credentials", secret)
    secret_name = f"{name}/{CREDENTIALS}"
    reference: str | None = None

    async def decide() -> Plan:
        nonlocal reference
        loaded = await load(services, stream)
        if reference is None and loaded.state.fingerprint != fingerprint:
            reference = await services.secrets.put(context.tenant, secret_name, secret)
        facts = provider.update_credentials(
            loaded.state,
            reference=reference or loaded.state.credentials_reference,
            fields=tuple(sorted(credentials)),
            fingerprint=fingerprint,
        )
        return Plan(loaded, ((loaded, facts),))

    # One at a time: whoever comes second must not forget the secret that the first is about to point to.
    async with services.one_at_a_time.setdefault(f"{context.tenant}/{secret_name}", asyncio.Lock()):
        outcome = await execute(services, context, decide)
        held = (await load(services, stream)).state.credentials_reference
        await services.secrets.forget_others(context.tenant, secret_name, keep=held)
    return outcome


async def update_settings(
    services: Services, context: Context, name: str, settings: Mapping[str, bool | int]
) -> Outcome:
    description = described(name)

    async def decide() -> Plan:
        loaded = await load(services, streams.provider(context.tenant, name))
        return Plan(loaded, ((loaded, provider.update_settings(loaded.state, description, settings)),))

    return await execute(services, context, decide)


async def set_enabled(services: Services, context: Context, name: str, enabled: bool) -> Outcome:
    description = described(name)
    if enabled and not description.available:
        raise ProviderNotAvailable

    async def decide() -> Plan:
        loaded = await load(services, streams.provider(context.tenant, name))
        facts = provider.enable(loaded.state, description) if enabled else provider.disable(loaded.state)
        return Plan(loaded, ((loaded, facts),))

    return await execute(services, context, decide)
