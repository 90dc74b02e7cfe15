"""What is deleted here is deleted at the bank too, tried until it is done."""

from __future__ import annotations

import pytest

from application import data_connections, farewell
from application.farewell import FAREWELL
from application.ports import AuthorisationNeeded, ProviderUnreachable
from application.refusals import Unavailable
from domain.consumer import ConsumerErased
from domain.data_connection import ConnectionDeleted
from domain.refusals import NotFound
from tests.application.test_erasure import erase, with_everything
from tests.application.world import World, unavailable

HOURS_OF_TRIES = 40


async def test_a_bank_that_is_away_is_asked_until_it_has_let_go(any_world: World) -> None:
    consumer_id, _ = await with_everything(any_world)
    any_world.bank.fail("delete_user", ProviderUnreachable("unavailable"), times=HOURS_OF_TRIES)
    await erase(any_world, consumer_id)
    await any_world.jobs.close(5.0)
    assert any_world.bank.users == {}
    assert len(any_world.bank.asked("delete_user")) == HOURS_OF_TRIES + 1
    assert await any_world.services.secrets.references(FAREWELL) == [], "no token is kept longer than needed"


async def test_after_a_crash_the_next_life_goes_on_with_it(any_world: World) -> None:
    consumer_id, connection_id = await with_everything(any_world)
    any_world.bank.fail("delete_connection", ProviderUnreachable("unavailable"), times=10_000)
    await data_connections.delete(any_world.services, any_world.asks(), consumer_id, connection_id)
    await any_world.jobs.close(0.0)
    assert any_world.bank.connections != {}

    after = any_world.restarted()
    after.bank.fail("delete_connection", ProviderUnreachable("unavailable"), times=0)
    await farewell.resume(after.services)
    await after.jobs.close(5.0)
    assert after.bank.connections == {}
    assert await after.services.secrets.references(FAREWELL) == []


async def test_what_was_prepared_in_vain_is_forgotten_at_the_start(world: World) -> None:
    consumer_id, _ = await with_everything(world)
    world.log.before(ConsumerErased, unavailable)
    with pytest.raises(Exception, match="storage_unavailable"):
        await erase(world, consumer_id)
    assert await world.services.secrets.references(FAREWELL) != []

    after = world.restarted()
    await farewell.resume(after.services)
    await after.jobs.close(1.0)
    assert await after.services.secrets.references(FAREWELL) == []
    assert after.bank.asked("delete_user") == []


async def test_a_deletion_that_was_begun_goes_with_the_erasure_of_its_consumer(world: World) -> None:
    """Nobody knows whether it was recorded, and nobody can say it again: the consumer is unknown from then on."""
    consumer_id, connection_id = await with_everything(world)
    world.log.before(ConnectionDeleted, unavailable)
    with pytest.raises(Unavailable):
        await data_connections.delete(world.services, world.asks("one"), consumer_id, connection_id)
    await erase(world, consumer_id)
    with pytest.raises(NotFound):
        await data_connections.delete(world.services, world.asks("one"), consumer_id, connection_id)
    await world.jobs.close(1.0)
    assert await world.services.secrets.references(FAREWELL) == []


async def test_a_refused_deletion_keeps_no_token(world: World) -> None:
    consumer_id, connection_id = await with_everything(world)
    await data_connections.delete(world.services, world.asks(), consumer_id, connection_id)
    with pytest.raises(NotFound):
        await data_connections.delete(world.services, world.asks(), consumer_id, connection_id)
    await world.jobs.close(1.0)
    assert await world.services.secrets.references(FAREWELL) == []


async def test_a_token_that_is_not_valid_any_more_is_renewed_to_delete(world: World) -> None:
    consumer_id, connection_id = await with_everything(world)
    world.bank.fail("delete_connection", AuthorisationNeeded("token_refused"))
    await data_connections.delete(world.services, world.asks(), consumer_id, connection_id)
    await world.jobs.close(1.0)
    assert world.bank.connections == {} and len(world.bank.asked("renew_user")) == 1


async def test_whoever_is_gone_at_the_bank_is_deleted(world: World) -> None:
    consumer_id, connection_id = await with_everything(world)
    world.bank.users.clear()
    world.bank.fail("delete_connection", AuthorisationNeeded("token_refused"))
    await data_connections.delete(world.services, world.asks(), consumer_id, connection_id)
    await world.jobs.close(1.0)
    assert await world.services.secrets.references(FAREWELL) == []
