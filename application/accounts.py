"""What somebody says of accounts and rows that were put together: that they are not the same."""

from __future__ import annotations

from uuid import UUID

from application.execute import VISIBLE_TIMEOUT, Outcome, Plan, Services, execute, load
from application.ports import Context
from application.refusals import Unavailable
from domain import consumer, consumer_account, streams
from domain.refusals import NotFound, NotLinked


async def unlink(
    services: Services, context: Context, consumer_id: str, account_id: str, source_id: str | None = None
) -> tuple[Outcome, str]:
    """Take a source out of an account, the one linked last if none is named; its history goes with it.

    Returns the outcome and the id of the account that the source is from now on.

    Raises:
        NotFound: there is no such consumer, account or source.
        NotLinked: nothing else feeds the account, or this is what the others were linked to.
    """
    stream = streams.consumer(context.tenant, consumer_id)
    taken = ""

    async def decide() -> Plan:
        nonlocal taken
        loaded = await load(services, stream)
        taken = source_id or _linked_last(consumer.registered(loaded.state), account_id)
        return Plan(loaded, ((loaded, consumer.unlink_source(loaded.state, account_id, taken)),))

    outcome = await execute(services, context, decide)
    if outcome.repeated:
        taken = await _taken(services, context, outcome)
    return outcome, taken


def _linked_last(known: consumer.Registered, account_id: str) -> str:
    sources = [link.source for link in known.links if link.account_id == account_id]
    if not sources:
        raise NotFound
    linked = [source for source in sources if source != account_id]
    if not linked:
        raise NotLinked
    return linked[-1]


async def _taken(services: Services, context: Context, outcome: Outcome) -> str:
    """The source that this command took out when it was carried out."""
    for recorded in await services.log.facts(outcome.stream, after=0, upto=outcome.version):
        if recorded.command_id == context.command_id and isinstance(recorded.fact, consumer.AccountUnlinked):
            return recorded.fact.source
    raise NotFound


async def undo_booking(
    services: Services, context: Context, consumer_id: str, account_id: str, pending_id: str
) -> Outcome:
    """Say that a pending row did not become the booked one that it was paired with.

    Raises:
        NotFound: there is no such account or row, or it is paired with none.
    """
    tenant = context.tenant
    owner = streams.consumer(tenant, consumer_id)
    if not streams.UUID.fullmatch(pending_id):
        raise NotFound

    async def decide() -> Plan:
        known = consumer.registered((await load(services, owner)).state)
        for source_id in consumer.sources_of(known, account_id):
            loaded = await load(services, streams.consumer_account(tenant, consumer_id, source_id))
            position = await services.log.position_of(loaded.stream, loaded.version)
            if not await services.read_models.reach(position, VISIBLE_TIMEOUT):
                raise Unavailable("read_models_behind")
            booking = await services.read_models.booking(tenant, source_id, UUID(pending_id).bytes)
            if booking is not None:
                undone = consumer_account.undo_booking(
                    loaded.state,
                    pending_id=booking.pending_id,
                    pending_reference=booking.pending_reference,
                    booked_id=booking.booked_id,
                )
                return Plan(loaded, ((loaded, undone),))
        raise NotFound

    return await execute(services, context, decide)
