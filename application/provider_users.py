"""The user that stands for a consumer at a provider. Its token is a secret, sealed under the consumer's key."""

from __future__ import annotations

import asyncio

import msgspec

from application.execute import Services
from application.ports import Credentials, ProviderRefused, ProviderUser

#: Credentials that may change without its being another account at the provider.
_SECRETS = ("client_secret", "webhook_secret")

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class _Stored(msgspec.Struct, frozen=True):
    user: ProviderUser
    account: bytes
    """A keyed hash of the tenant's account at the provider: another account does not know this user."""


def _name(provider_name: str) -> str:
    return f"{provider_name}/user"


def _account(services: Services, tenant: str, credentials: Credentials) -> bytes:
    identity = {name: value for name, value in credentials.items() if name not in _SECRETS}
    return services.keys.keyed_hash(tenant, "provider-account", _encode(identity))


async def provider_user(
    services: Services, tenant: str, consumer_id: str, provider_name: str, credentials: Credentials
) -> ProviderUser | None:
    """The consumer's user at the provider, if one was made under these credentials' account."""
    sealed = await services.secrets.find(f"{tenant}/{consumer_id}", _name(provider_name))
    if sealed is None:
        return None
    stored = msgspec.msgpack.decode(sealed, type=_Stored)
    return stored.user if stored.account == _account(services, tenant, credentials) else None


async def obtain_provider_user(
    services: Services, tenant: str, consumer_id: str, provider_name: str, credentials: Credentials
) -> ProviderUser:
    """The consumer's user at the provider, made now if there is none yet."""
    scope, name = f"{tenant}/{consumer_id}", _name(provider_name)
    # Two openings of one link at once must not make two users: the bank would know only one of them.
    async with services.one_at_a_time.setdefault(f"{scope}/{name}", asyncio.Lock()):
        known = await provider_user(services, tenant, consumer_id, provider_name, credentials)
        if known is not None:
            return known
        user = await services.gateways[provider_name].create_user(credentials)
        await _keep(services, tenant, scope, name, user, credentials)
        return user


async def renew_provider_user(
    services: Services, tenant: str, consumer_id: str, provider_name: str, credentials: Credentials
) -> ProviderUser | None:
    """The consumer's user with a new token, where the old one was refused; None if there is no such user."""
    scope, name = f"{tenant}/{consumer_id}", _name(provider_name)
    async with services.one_at_a_time.setdefault(f"{scope}/{name}", asyncio.Lock()):
        known = await provider_user(services, tenant, consumer_id, provider_name, credentials)
        if known is None:
            return None
        try:
            user = await services.gateways[provider_name].renew_user(credentials, known)
        except ProviderRefused as refused:
            if refused.reason != "not_found":
                raise
            return None
        await _keep(services, tenant, scope, name, user, credentials)
        return user


async def replace_provider_user(
    services: Services, tenant: str, consumer_id: str, provider_name: str, credentials: Credentials
) -> ProviderUser:
    """A new user for a consumer whose old one is gone at the provider."""
    scope, name = f"{tenant}/{consumer_id}", _name(provider_name)
    async with services.one_at_a_time.setdefault(f"{scope}/{name}", asyncio.Lock()):
        user = await services.gateways[provider_name].create_user(credentials)
        await _keep(services, tenant, scope, name, user, credentials)
        return user


async def _keep(
    services: Services, tenant: str, scope: str, name: str, user: ProviderUser, credentials: Credentials
) -> None:
    stored = _Stored(user, _account(services, tenant, credentials))
    reference = await services.secrets.put(scope, name, _encode(stored))
    await services.secrets.forget_others(scope, name, keep=reference)
