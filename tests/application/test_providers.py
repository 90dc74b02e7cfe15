"""Setting up a provider: the secret first, then the fact; then enabling it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from application import providers
from application.execute import credentials_of
from application.refusals import Unavailable
from domain import streams
from domain.provider import CredentialsUpdated
from domain.refusals import (
    CredentialsMissing,
    InvalidRequest,
    NotFound,
    ProviderNotAvailable,
    UnsupportedSetting,
)
from tests.application.bank import credentials
from tests.application.world import BI, TENANT, World, conflict, unavailable

STREAM = streams.provider(TENANT, BI)


async def put(world: World, given: Any, key: str | None = None) -> Any:
    return await providers.update_credentials(world.services, world.asks(key, str(given)), BI, given)


async def references(world: World) -> list[str]:
    return [f.reference for f in await world.facts(STREAM) if isinstance(f, CredentialsUpdated)]


async def test_credentials_are_stored_as_a_secret_and_the_fact_tells_their_names_alone(
    any_world: World,
) -> None:
    await put(any_world, credentials())
    (fact,) = await any_world.facts(STREAM)
    assert fact.fields == ("client_id", "client_secret", "domain")
    assert "s3cret" not in repr(fact)
    assert await credentials_of(any_world.services, TENANT, BI) == credentials()


async def test_the_secret_is_there_before_the_fact_that_points_to_it(any_world: World) -> None:
    found: list[bytes | None] = []

    async def look() -> None:
        # Nobody can have been told its reference yet, so it is looked for by name.
        found.append(await any_world.secrets.find(TENANT, f"{BI}/credentials"))

    any_world.log.before(CredentialsUpdated, look)
    await put(any_world, credentials())
    assert found[0] is not None


async def test_new_credentials_replace_the_old_ones_which_are_forgotten(any_world: World) -> None:
    await put(any_world, credentials(secret="old"))
    await put(any_world, credentials(secret="new"))
    old, new = await references(any_world)
    assert await any_world.secrets.get(old) is None
    assert await any_world.secrets.get(new) is not None
    assert await credentials_of(any_world.services, TENANT, BI) == credentials(secret="new")


async def test_the_same_credentials_again_are_no_fact_and_stay_readable(any_world: World) -> None:
    await put(any_world, credentials())
    await put(any_world, dict(reversed(credentials().items())))
    assert await any_world.names(STREAM) == ["CredentialsUpdated"]
    assert await credentials_of(any_world.services, TENANT, BI) == credentials()


async def test_a_repeated_request_does_not_bring_older_credentials_back(world: World) -> None:
    await put(world, credentials(secret="first"), key="one")
    await put(world, credentials(secret="second"), key="two")
    await put(world, credentials(secret="first"), key="one")
    assert await credentials_of(world.services, TENANT, BI) == credentials(secret="second")


async def test_credentials_that_met_a_conflict_are_stored_once(world: World) -> None:
    world.log.before(CredentialsUpdated, conflict, conflict)
    await put(world, credentials())
    assert await world.names(STREAM) == ["CredentialsUpdated"]
    assert len(world.secrets.held) == 1


async def test_credentials_whose_fact_could_not_be_written_leave_those_before_in_force(world: World) -> None:
    await put(world, credentials(secret="old"))
    world.log.before(CredentialsUpdated, unavailable)
    with pytest.raises(Unavailable):
        await put(world, credentials(secret="new"), key="one")
    assert await credentials_of(world.services, TENANT, BI) == credentials(secret="old")
    await put(world, credentials(secret="new"), key="one")
    assert await credentials_of(world.services, TENANT, BI) == credentials(secret="new")
    assert len(world.secrets.held) == 1


async def test_of_two_credentials_given_at_once_the_last_fact_points_to_a_secret(any_world: World) -> None:
    any_world.log.yields = lambda: 1
    await asyncio.gather(put(any_world, credentials(secret="one")), put(any_world, credentials(secret="two")))
    assert await credentials_of(any_world.services, TENANT, BI) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"domain": "acme"},
        {**credentials(), "domain": "https://evil.test"},
        {**credentials(), "password": "x"},
        {**credentials(), "client_secret": ""},
    ],
)
async def test_credentials_that_are_not_valid_leave_neither_fact_nor_secret(world: World, wrong: Any) -> None:
    with pytest.raises(InvalidRequest):
        await put(world, wrong)
    assert await world.facts(STREAM) == []
    assert not world.secrets.held


async def test_enabling_needs_credentials_first(world: World) -> None:
    with pytest.raises(CredentialsMissing) as refused:
        await providers.set_enabled(world.services, world.asks(), BI, True)
    assert refused.value.details == {"credentials": ["client_id", "client_secret", "domain"]}
    await put(world, credentials())
    await providers.set_enabled(world.services, world.asks(), BI, True)
    assert (await world.state(STREAM)).enabled


async def test_enabling_and_disabling_twice_is_said_once(world: World) -> None:
    await put(world, credentials())
    for enabled in (True, True, False, False, True):
        await providers.set_enabled(world.services, world.asks(), BI, enabled)
    assert (await world.names(STREAM))[1:] == ["ProviderEnabled", "ProviderDisabled", "ProviderEnabled"]


async def test_a_provider_that_is_not_available_can_be_disabled_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.provider()
    monkeypatch.setitem(providers.provider.CATALOGUE, BI, replace(providers.described(BI), available=False))
    with pytest.raises(ProviderNotAvailable):
        await providers.set_enabled(world.services, world.asks(), BI, True)
    await providers.set_enabled(world.services, world.asks(), BI, False)
    assert not (await world.state(STREAM)).enabled


async def test_settings_are_said_once_and_unknown_ones_refused(world: World) -> None:
    for _ in range(2):
        await providers.update_settings(world.services, world.asks(), BI, {"auto_connect": True})
    assert await world.names(STREAM) == ["SettingsUpdated"]
    with pytest.raises(UnsupportedSetting):
        await providers.update_settings(world.services, world.asks(), BI, {"auto_erase": True})


async def test_there_is_no_other_provider(world: World) -> None:
    with pytest.raises(NotFound):
        await providers.update_credentials(world.services, world.asks(), "evil", credentials())


async def test_one_tenants_credentials_are_not_anothers(world: World) -> None:
    await put(world, credentials())
    other = world.of("rival")
    assert await credentials_of(other.services, "rival", BI) is None
    with pytest.raises(CredentialsMissing):
        await providers.set_enabled(other.services, other.asks(), BI, True)
