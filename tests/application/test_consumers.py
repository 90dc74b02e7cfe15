"""Registering consumers and changing what is known of them."""

from __future__ import annotations

from typing import Any

import pytest

from application import consumers, providers
from application.erasure import erase_consumer
from domain import consumer, streams
from domain.consumer import ConsumerRegistered
from domain.refusals import InvalidRequest, NotFound
from tests.application.world import BI, TENANT, World, conflict, outcome_of


async def register(world: World, key: str | None = None, **fields: Any) -> Any:
    fields = fields or {"name": "Boulangerie Test"}
    return await consumers.register(
        world.services, world.asks(key, str(fields)), type=consumer.LEGAL, fields=fields
    )


async def change(world: World, consumer_id: str, **fields: Any) -> Any:
    return await consumers.change(world.services, world.asks(), consumer_id, fields)


async def test_two_consumers_may_have_one_name(any_world: World) -> None:
    one, two = await register(any_world), await register(any_world)
    assert one.stream != two.stream
    assert await any_world.names(one.stream) == ["ConsumerRegistered"]


async def test_a_repeated_registration_is_the_same_consumer(any_world: World) -> None:
    first = await register(any_world, key="one")
    again = await register(any_world, key="one")
    assert outcome_of(again) == outcome_of(first)
    assert len(any_world.live()["consumers"]) == 1


async def test_a_registration_that_met_a_conflict_happens_once(world: World) -> None:
    world.log.before(ConsumerRegistered, conflict)
    outcome = await register(world)
    assert [recorded.stream for recorded in world.everything()] == [outcome.stream]


async def test_without_auto_connect_a_consumer_begins_without_connections(world: World) -> None:
    await world.provider()
    await world.consumer()
    assert "data_connections" not in world.live()


async def test_with_auto_connect_a_consumer_begins_with_a_connection_to_be_authorised(
    any_world: World,
) -> None:
    await any_world.provider(auto_connect=True)
    consumer_id = await any_world.consumer()
    (row,) = any_world.live()["data_connections"]
    assert (row.consumer, row.status) == (consumer_id, "AUTH_REQUIRED")
    assert row.data_types.split() == ["BANK_ACCOUNT", "BANK_TRANSACTION", "CASHFLOW", "CREDIT_INSIGHTS"]


async def test_auto_connect_of_a_disabled_provider_connects_nobody(world: World) -> None:
    await world.provider(auto_connect=True)
    await providers.set_enabled(world.services, world.asks(), BI, False)
    await world.consumer()
    assert "data_connections" not in world.live()


async def test_what_is_not_given_stays_as_it_was(world: World) -> None:
    consumer_id = await world.consumer("Boulangerie", siren="552100554", group="bakers")
    await change(world, consumer_id, name="Pâtisserie")
    details = (await world.state(streams.consumer(TENANT, consumer_id))).details
    assert (details.name, details.siren, details.group) == ("Pâtisserie", "552100554", "bakers")


async def test_what_is_given_as_nothing_goes_away_and_defaults_come_back(world: World) -> None:
    consumer_id = await world.consumer("Boulangerie", postal_code="75001", country="BE", group="bakers")
    await change(world, consumer_id, postal_code=None, country="", group=None)
    details = (await world.state(streams.consumer(TENANT, consumer_id))).details
    assert (details.postal_code, details.country, details.group) == (None, "FR", "default")


async def test_the_details_that_are_known_already_are_no_fact(any_world: World) -> None:
    consumer_id = await any_world.consumer("Boulangerie")
    await change(any_world, consumer_id, name="Boulangerie", country="FR")
    assert await any_world.names(streams.consumer(TENANT, consumer_id)) == ["ConsumerRegistered"]


async def test_a_field_of_the_other_type_is_refused(world: World) -> None:
    consumer_id = await world.consumer()
    with pytest.raises(InvalidRequest):
        await change(world, consumer_id, first_name="Ada")


async def test_a_siren_that_cannot_be_is_refused_also_when_the_country_becomes_france(world: World) -> None:
    with pytest.raises(InvalidRequest):
        await world.consumer(siren="12")
    belgian = await world.consumer(siren="0123.456.749", country="BE")
    with pytest.raises(InvalidRequest):
        await change(world, belgian, country="FR")


async def test_a_natural_person_is_named_by_first_and_last_name(world: World) -> None:
    outcome = await consumers.register(
        world.services, world.asks(), type=consumer.NATURAL, fields={"first_name": "Ada", "last_name": "Test"}
    )
    await consumers.change(
        world.services, world.asks(), streams.parse(outcome.stream).id, {"last_name": "L."}
    )
    assert (await world.state(outcome.stream)).details.name == "Ada L."


async def test_who_is_unknown_erased_or_anothers_cannot_be_changed(any_world: World) -> None:
    consumer_id = await any_world.consumer()
    with pytest.raises(NotFound):
        await change(any_world.of("rival"), consumer_id, name="Mine")
    await erase_consumer(any_world.services, any_world.asks(), consumer_id)
    for id in (consumer_id, any_world.services.ids.uuid()):
        with pytest.raises(NotFound):
            await change(any_world, id, name="Nobody")


async def test_a_change_that_meets_another_keeps_both(any_world: World) -> None:
    consumer_id = await any_world.consumer("Boulangerie")

    async def another() -> None:
        await change(any_world, consumer_id, group="bakers")

    any_world.log.before(consumer.ConsumerDetailsChanged, another)
    await change(any_world, consumer_id, postal_code="75001")
    details = (await any_world.state(streams.consumer(TENANT, consumer_id))).details
    assert (details.group, details.postal_code) == ("bakers", "75001")
