"""The person's way to the bank and back."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application import authorisations, consumers, data_connections, providers
from application.authorisations import complete, open_link
from application.erasure import erase_consumer
from application.ports import (
    AuthorisationNeeded,
    KeyDestroyed,
    ProviderRefused,
    ProviderUnreachable,
    ProviderUser,
    UnexpectedAnswer,
)
from application.provider_users import provider_user
from application.refusals import Unavailable
from domain.data_connection import OPENINGS_MAX, AuthorisationStarted, ConnectionConnected
from domain.refusals import CredentialsMissing, LinkInvalid, NotFound, ProviderNotEnabled
from tests.application.bank import credentials
from tests.application.world import (
    BI,
    DAY,
    HOUR,
    PUBLIC_URL,
    World,
    conflict,
    in_memory,
    state_in,
    unavailable,
)


async def a_connection(world: World) -> tuple[str, str]:
    """A consumer with a connection that is to be authorised."""
    await world.provider()
    consumer_id = await world.consumer(return_url="https://app.test/done")
    return consumer_id, await world.connection(consumer_id)


async def status(world: World, consumer_id: str, connection_id: str) -> str:
    return (await world.state(world.connection_stream(consumer_id, connection_id))).status


async def failed_reason(world: World, consumer_id: str, connection_id: str) -> str:
    (row,) = world.live()["data_connections"]
    assert row.id == connection_id
    return row.reason


# To the bank


async def test_opening_the_link_leads_to_the_banks_page(any_world: World) -> None:
    consumer_id, connection_id = await a_connection(any_world)
    address = await open_link(
        any_world.services, connection_id, await any_world.link(consumer_id, connection_id), languages=["en"]
    )
    assert address.startswith("https://webview.bank.test/en/connect?state=")
    assert any_world.bank.asked("authorisation_url") == [["7301", None, f"{PUBLIC_URL}/callback/budgea"]]
    assert await status(any_world, consumer_id, connection_id) == "CONNECTING"


async def test_each_opening_has_a_state_of_its_own_and_one_user_at_the_provider(any_world: World) -> None:
    consumer_id, connection_id = await a_connection(any_world)
    states = {await any_world.opened(consumer_id, connection_id) for _ in range(3)}
    assert len(states) == 3
    assert len(any_world.bank.asked("create_user")) == 1


async def test_a_link_is_valid_for_24_hours(world: World) -> None:
    consumer_id, connection_id = await a_connection(world)
    token = await world.link(consumer_id, connection_id)
    world.clock.at += DAY - timedelta(seconds=1)
    await open_link(world.services, connection_id, token)
    world.clock.at += timedelta(seconds=1)
    with pytest.raises(LinkInvalid):
        await open_link(world.services, connection_id, token)


async def test_a_link_of_an_earlier_epoch_is_not_valid_any_more(world: World) -> None:
    consumer_id, connection_id = await a_connection(world)
    token = await world.link(consumer_id, connection_id)
    await world.authorise(consumer_id, connection_id)
    await data_connections.change(
        world.services, world.asks(), consumer_id, connection_id, status="AUTH_REQUIRED"
    )
    with pytest.raises(LinkInvalid):
        await open_link(world.services, connection_id, token)
    await world.opened(consumer_id, connection_id)


async def test_a_link_does_not_come_back_to_life_after_a_disconnection(world: World) -> None:
    consumer_id, connection_id = await a_connection(world)
    token = await world.link(consumer_id, connection_id)
    for status in ("DISCONNECTED", "AUTH_REQUIRED"):
        await data_connections.change(world.services, world.asks(), consumer_id, connection_id, status=status)
    with pytest.raises(LinkInvalid):
        await open_link(world.services, connection_id, token)
    await world.opened(consumer_id, connection_id)


async def test_the_link_of_another_connection_is_not_valid(world: World) -> None:
    consumer_id, connection_id = await a_connection(world)
    other = await world.consumer()
    other_connection = await world.connection(other)
    token = await world.link(other, other_connection)
    with pytest.raises(LinkInvalid):
        await open_link(world.services, connection_id, token)


async def test_the_same_connection_of_another_tenant_has_another_link(world: World) -> None:
    _, connection_id = await a_connection(world)
    address = authorisations.link(world.services, "rival", connection_id, 1, world.clock.now())
    with pytest.raises(LinkInvalid):
        await open_link(world.services, connection_id, address.partition("?token=")[2])


async def test_an_unknown_connection_has_no_valid_link(world: World) -> None:
    with pytest.raises(LinkInvalid):
        await open_link(world.services, world.services.ids.uuid(), "1.x")


@given(token=st.text(max_size=64) | st.from_regex(r"\A[0-9a-f]{1,2040}\.[\w-]{0,40}\Z"))
async def test_whatever_else_stands_in_a_link_is_not_valid(token: str) -> None:
    world = World(in_memory())
    _, connection_id = await a_connection(world)
    with pytest.raises(LinkInvalid):
        await open_link(world.services, connection_id, token)
    assert "create_user" not in [name for name, *_ in world.bank.calls]


@pytest.mark.parametrize("way", ["connected", "disconnected", "deleted", "erased"])
async def test_a_link_does_not_open_what_is_not_to_be_authorised(world: World, way: str) -> None:
    consumer_id, connection_id = await a_connection(world)
    token = await world.link(consumer_id, connection_id)
    match way:
        case "connected":
            await world.authorise(consumer_id, connection_id)
        case "disconnected":
            await data_connections.change(
                world.services, world.asks(), consumer_id, connection_id, status="DISCONNECTED"
            )
        case "deleted":
            await data_connections.delete(world.services, world.asks(), consumer_id, connection_id)
        case "erased":
            await erase_consumer(world.services, world.asks(), consumer_id)
    with pytest.raises(LinkInvalid):
        await open_link(world.services, connection_id, token)


async def test_a_provider_that_is_not_set_up_any_more_opens_nothing(world: World) -> None:
    consumer_id, connection_id = await a_connection(world)
    await providers.set_enabled(world.services, world.asks(), BI, False)
    with pytest.raises(ProviderNotEnabled):
        await world.opened(consumer_id, connection_id)
    await providers.set_enabled(world.services, world.asks(), BI, True)
    (reference,) = [reference for reference, held in world.secrets.held.items() if "credentials" in held[1]]
    del world.secrets.held[reference]
    with pytest.raises(CredentialsMissing):
        await world.opened(consumer_id, connection_id)


@pytest.mark.parametrize("method", ["create_user", "authorisation_url"])
@pytest.mark.parametrize(
    "error", [ProviderUnreachable("timeout", retry_after=7.0), ProviderRefused("config")]
)
async def test_a_provider_that_does_not_answer_leaves_nothing_and_the_link_stays_valid(
    any_world: World, method: str, error: Exception
) -> None:
    consumer_id, connection_id = await a_connection(any_world)
    head = any_world.lasting.source.head()
    token = await any_world.link(consumer_id, connection_id)
    any_world.bank.fail(method, error)
    with pytest.raises(Unavailable) as unavailable:
        await open_link(any_world.services, connection_id, token)
    assert unavailable.value.retry_after == (7.0 if isinstance(error, ProviderUnreachable) else 5.0)
    assert any_world.lasting.source.head() == head
    await open_link(any_world.services, connection_id, token)
    assert len(any_world.bank.users) == 1


async def test_a_person_who_opens_the_link_twice_at_once_is_one_user_at_the_provider(world: World) -> None:
    consumer_id, connection_id = await a_connection(world)
    await asyncio.gather(world.opened(consumer_id, connection_id), world.opened(consumer_id, connection_id))
    assert len(world.bank.users) == 1


async def test_a_token_that_the_bank_revoked_is_renewed_for_the_same_user(any_world: World) -> None:
    consumer_id, connection_id, reference = await any_world.connected()
    any_world.bank.fail("authorisation_url", AuthorisationNeeded("token_refused"))
    await reopened(any_world, consumer_id, connection_id)
    assert any_world.bank.asked("renew_user") == [["7301"]]
    assert any_world.bank.asked("authorisation_url")[-1][:2] == ["7301", reference]
    user = await provider_user(any_world.services, any_world.tenant, consumer_id, BI, credentials())
    assert user == ProviderUser("7301", "token-of-7301-renewed")


async def test_a_user_whom_the_bank_does_not_know_any_more_is_made_anew(world: World) -> None:
    consumer_id, connection_id, _ = await world.connected()
    world.bank.users.clear()
    world.bank.fail("authorisation_url", AuthorisationNeeded("token_refused"))
    await reopened(world, consumer_id, connection_id)
    assert world.bank.asked("authorisation_url")[-1][:2] == ["7302", None]
    assert len([held for held in world.secrets.held.values() if held[1] == f"{BI}/user"]) == 1


@pytest.mark.parametrize("error", [ProviderRefused("config"), ProviderUnreachable("timeout")])
async def test_a_user_who_could_not_be_renewed_is_no_reason_to_make_another(
    world: World, error: Exception
) -> None:
    consumer_id, connection_id, _ = await world.connected()
    world.bank.fail("authorisation_url", AuthorisationNeeded("token_refused"))
    world.bank.fail("renew_user", error)
    with pytest.raises(Unavailable):
        await reopened(world, consumer_id, connection_id)
    assert len(world.bank.asked("create_user")) == 1


async def test_a_token_that_is_refused_although_it_is_new_leaves_nothing(world: World) -> None:
    consumer_id, connection_id = await a_connection(world)
    world.bank.fail("authorisation_url", AuthorisationNeeded("token_refused"), times=2)
    head = world.lasting.source.head()
    with pytest.raises(Unavailable):
        await world.opened(consumer_id, connection_id)
    assert world.lasting.source.head() == head


async def test_an_opening_that_meets_a_conflict_is_one_opening(world: World) -> None:
    consumer_id, connection_id = await a_connection(world)
    world.log.before(AuthorisationStarted, conflict)
    await world.opened(consumer_id, connection_id)
    names = await world.names(world.connection_stream(consumer_id, connection_id))
    assert names == ["ConnectionRequested", "AuthorisationStarted"]


async def test_an_opening_whose_consumer_is_erased_meanwhile_leaves_nothing(any_world: World) -> None:
    consumer_id, connection_id = await a_connection(any_world)

    async def erased() -> None:
        await erase_consumer(any_world.services, any_world.asks(), consumer_id)

    any_world.bank.during("create_user", erased)
    # The door answers either with a page that the link is not valid.
    with pytest.raises((LinkInvalid, KeyDestroyed)):
        await any_world.opened(consumer_id, connection_id)
    assert await any_world.read_models.consumer_gone(any_world.tenant, consumer_id)


async def test_of_many_openings_the_oldest_is_forgotten_first(world: World) -> None:
    consumer_id, connection_id = await a_connection(world)
    states = [await world.opened(consumer_id, connection_id) for _ in range(OPENINGS_MAX + 1)]
    with pytest.raises(LinkInvalid):
        await complete(world.services, {"state": states[0], "error": "access_denied"})
    await complete(world.services, {"state": states[1], "error": "access_denied"})


# And back


async def test_coming_back_with_a_connection_connects_and_leads_to_the_clients_page(any_world: World) -> None:
    consumer_id, connection_id = await a_connection(any_world)
    state = await any_world.opened(consumer_id, connection_id)
    reference = any_world.bank.connect("7301")
    end = await complete(any_world.services, {"state": state, "connection_id": reference})
    assert (end.data_connection_id, end.status) == (connection_id, "CONNECTED")
    assert end.return_url == "https://app.test/done"
    held = await any_world.state(any_world.connection_stream(consumer_id, connection_id))
    assert (held.reference, held.provider_user, held.link_epoch) == (reference, "7301", 2)


async def test_coming_back_to_a_connection_that_nobody_knows_is_refused(world: World) -> None:
    state = authorisations.mint_state(world.services, world.services.ids.uuid())
    with pytest.raises(LinkInvalid):
        await complete(world.services, {"state": state, "connection_id": "512"})


async def test_coming_back_after_the_credentials_moved_to_another_domain_is_refused(world: World) -> None:
    consumer_id, connection_id = await a_connection(world)
    state = await world.opened(consumer_id, connection_id)
    await providers.update_credentials(world.services, world.asks(), BI, credentials("acme-live"))
    with pytest.raises(LinkInvalid):
        await complete(world.services, {"state": state, "connection_id": world.bank.connect("7301")})


@pytest.mark.parametrize("name", ["connection_id", "id_connection", "connection_ids"])
async def test_the_connection_may_come_under_any_of_its_names(world: World, name: str) -> None:
    consumer_id, connection_id = await a_connection(world)
    state = await world.opened(consumer_id, connection_id)
    reference = world.bank.connect("7301")
    said = f"{reference},9999" if name == "connection_ids" else f" {reference} "
    assert (await complete(world.services, {"state": state, name: said})).status == "CONNECTED"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("access_denied", "access_denied"),
        ("server_error", "provider_bug"),
        ("tos_declined", "terms_declined"),
        ("session_expired", "session_expired"),
        ("<script>", "provider_error"),
        ("", "provider_error"),
    ],
)
async def test_coming_back_with_an_error_is_an_authorisation_that_failed(
    world: World, error: str, reason: str
) -> None:
    consumer_id, connection_id = await a_connection(world)
    state = await world.opened(consumer_id, connection_id)
    end = await complete(world.services, {"state": state, "error": error, "connection_id": "512"})
    assert end.status == "AUTH_ERROR"
    assert await failed_reason(world, consumer_id, connection_id) == reason
    assert world.bank.asked("connection") == []
    await world.authorise(consumer_id, connection_id)
    assert await status(world, consumer_id, connection_id) == "CONNECTED"


async def test_coming_back_from_a_first_time_without_a_connection_is_a_failure(world: World) -> None:
    consumer_id, connection_id = await a_connection(world)
    state = await world.opened(consumer_id, connection_id)
    assert (await complete(world.services, {"state": state})).status == "AUTH_ERROR"
    assert await failed_reason(world, consumer_id, connection_id) == "no_connection_returned"


@pytest.mark.parametrize(
    "how", ["used", "failed", "expired", "unknown", "cut", "of another", "after a restart"]
)
async def test_a_state_that_is_not_good_changes_nothing(any_world: World, how: str) -> None:
    consumer_id, connection_id = await a_connection(any_world)
    state = await any_world.opened(consumer_id, connection_id)
    reference = any_world.bank.connect("7301")
    world = any_world
    match how:
        case "used" | "after a restart":
            await complete(world.services, {"state": state, "connection_id": reference})
        case "failed":
            await complete(world.services, {"state": state, "error": "access_denied"})
        case "expired":
            world.clock.at += timedelta(minutes=30)
        case "unknown":
            state = authorisations.mint_state(world.services, connection_id)
        case "cut":
            state = state[:-4]
        case "of another":
            other = await world.consumer()
            mine = state
            state = await world.opened(other, await world.connection(other))
            assert mine != state
            reference = world.bank.connect("7301")
    if how == "after a restart":
        world = world.restarted()
    head = world.lasting.source.head()
    with pytest.raises(LinkInvalid):
        await complete(world.services, {"state": state, "connection_id": reference})
    assert world.lasting.source.head() == head


async def test_a_state_works_in_the_next_life_of_the_service(any_world: World) -> None:
    consumer_id, connection_id = await a_connection(any_world)
    state = await any_world.opened(consumer_id, connection_id)
    reference = any_world.bank.connect("7301")
    after = any_world.restarted()
    end = await complete(after.services, {"state": state, "connection_id": reference})
    assert end.status == "CONNECTED"


async def test_a_state_moved_to_another_tenants_connection_is_not_good(world: World) -> None:
    consumer_id, connection_id = await a_connection(world)
    rival = world.of("rival")
    theirs = await rival.consumer() if await a_connection(rival) else ""
    their_connection = await rival.connection(theirs)
    await rival.opened(theirs, their_connection)
    state = await world.opened(consumer_id, connection_id)
    forged = urlsafe_b64encode(UUID(their_connection).bytes + b"x" * 32).decode().rstrip("=")
    for said in (forged, forged[:22] + state[22:]):
        with pytest.raises(LinkInvalid):
            await complete(world.services, {"state": said, "connection_id": "512"})
    assert (await rival.state(rival.connection_stream(theirs, their_connection))).status == "CONNECTING"


@given(state=st.text(max_size=80) | st.binary(max_size=64).map(lambda raw: urlsafe_b64encode(raw).decode()))
async def test_whatever_else_comes_as_a_state_is_refused(state: str) -> None:
    world = World(in_memory())
    with pytest.raises(LinkInvalid):
        await complete(world.services, {"state": state, "connection_id": "512"})


async def test_a_missing_state_is_refused(world: World) -> None:
    for query in ({}, {"state": ""}, {"state": "é"}, {"state": "\ud800"}):
        with pytest.raises(LinkInvalid):
            await complete(world.services, query)


@pytest.mark.parametrize("reference", ["abc", "-1", "512;DROP", "1" * 21, "٣", "../512"])
async def test_a_connection_that_cannot_be_is_refused_and_the_state_stays_good(
    world: World, reference: str
) -> None:
    consumer_id, connection_id = await a_connection(world)
    state = await world.opened(consumer_id, connection_id)
    with pytest.raises(LinkInvalid):
        await complete(world.services, {"state": state, "connection_id": reference})
    good = world.bank.connect("7301")
    assert (await complete(world.services, {"state": state, "connection_id": good})).status == "CONNECTED"


@pytest.mark.parametrize("whose", ["another consumer's", "nobody's", "said so by the provider"])
async def test_a_connection_that_is_not_this_consumers_is_refused(world: World, whose: str) -> None:
    consumer_id, connection_id = await a_connection(world)
    other = await world.consumer()
    theirs = await world.authorise(other, await world.connection(other))
    state = await world.opened(consumer_id, connection_id)
    reference = {"another consumer's": theirs, "nobody's": "999"}.get(whose) or theirs
    if whose == "said so by the provider":
        # A provider that shows foreign connections, and says whose they are.
        world.bank._of = lambda user, connection: world.bank.connections[connection]  # type: ignore[method-assign]
    head = world.lasting.source.head()
    with pytest.raises(LinkInvalid):
        await complete(world.services, {"state": state, "connection_id": reference})
    assert world.lasting.source.head() == head


@pytest.mark.parametrize("error", [ProviderUnreachable("timeout"), AuthorisationNeeded("token_refused")])
async def test_a_provider_that_cannot_say_whose_it_is_leaves_the_state_good(
    world: World, error: Exception
) -> None:
    consumer_id, connection_id = await a_connection(world)
    state = await world.opened(consumer_id, connection_id)
    reference = world.bank.connect("7301")
    world.bank.fail("connection", error)
    with pytest.raises(Unavailable):
        await complete(world.services, {"state": state, "connection_id": reference})
    end = await complete(world.services, {"state": state, "connection_id": reference})
    assert end.status == "CONNECTED"


async def test_of_two_callbacks_at_once_one_connects(world: World) -> None:
    consumer_id, connection_id = await a_connection(world)
    state = await world.opened(consumer_id, connection_id)
    reference = world.bank.connect("7301")
    query = {"state": state, "connection_id": reference}
    ended = await asyncio.gather(*(complete(world.services, query) for _ in range(2)), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ended) == ["LinkInvalid", "Return"]
    names = await world.names(world.connection_stream(consumer_id, connection_id))
    assert names.count("ConnectionConnected") == 1


async def test_a_callback_whose_answer_was_lost_leaves_the_connection_connected(world: World) -> None:
    consumer_id, connection_id = await a_connection(world)
    state = await world.opened(consumer_id, connection_id)
    reference = world.bank.connect("7301")
    world.log.after(ConnectionConnected, unavailable)
    with pytest.raises(Unavailable):
        await complete(world.services, {"state": state, "connection_id": reference})
    assert await status(world, consumer_id, connection_id) == "CONNECTED"


async def test_a_connection_deleted_during_the_callback_stays_deleted(world: World) -> None:
    consumer_id, connection_id = await a_connection(world)
    state = await world.opened(consumer_id, connection_id)
    reference = world.bank.connect("7301")

    async def deleted() -> None:
        await data_connections.delete(world.services, world.asks(), consumer_id, connection_id)

    world.bank.during("connection", deleted)
    with pytest.raises(LinkInvalid):
        await complete(world.services, {"state": state, "connection_id": reference})
    with pytest.raises(NotFound):
        await data_connections.change(
            world.services, world.asks(), consumer_id, connection_id, status="DISCONNECTED"
        )


async def test_a_client_without_a_page_gets_the_status_alone(world: World) -> None:
    await world.provider()
    consumer_id = await world.consumer()
    connection_id = await world.connection(consumer_id)
    state = await world.opened(consumer_id, connection_id)
    end = await complete(world.services, {"state": state, "error": "access_denied"})
    assert end.return_url is None
    await consumers.change(world.services, world.asks(), consumer_id, {"return_url": "https://app.test/new"})
    state = await world.opened(consumer_id, connection_id)
    end = await complete(world.services, {"state": state, "error": "access_denied"})
    assert end.return_url == "https://app.test/new"


# Again


async def reopened(world: World, consumer_id: str, connection_id: str) -> str:
    await data_connections.change(
        world.services, world.asks(), consumer_id, connection_id, status="AUTH_REQUIRED"
    )
    return await world.opened(consumer_id, connection_id)


async def test_connecting_again_tells_the_bank_which_connection(any_world: World) -> None:
    consumer_id, connection_id, reference = await any_world.connected()
    state = await reopened(any_world, consumer_id, connection_id)
    assert any_world.bank.asked("authorisation_url")[-1][:2] == ["7301", reference]
    end = await complete(any_world.services, {"state": state})
    assert end.status == "CONNECTED"
    held = await any_world.state(any_world.connection_stream(consumer_id, connection_id))
    assert (held.reference, held.link_epoch) == (reference, 3)
    assert len(any_world.bank.users) == 1


async def test_a_connection_that_is_gone_at_the_bank_is_made_as_a_new_one(any_world: World) -> None:
    consumer_id, connection_id, reference = await any_world.connected()
    del any_world.bank.connections[reference]
    assert await any_world.sync(consumer_id) == "AUTH_ERROR not_found"
    state = await any_world.opened(consumer_id, connection_id)
    assert any_world.bank.asked("authorisation_url")[-1][:2] == ["7301", None]
    other = any_world.bank.connect("7301")
    end = await complete(any_world.services, {"state": state, "connection_id": other})
    assert end.status == "CONNECTED"
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert any_world.bank.asked("connection")[-1] == ["7301", other]


@pytest.mark.parametrize(
    "error",
    [ProviderUnreachable("timeout"), UnexpectedAnswer("not_json"), ProviderRefused("credentials_refused")],
)
async def test_where_it_cannot_be_said_that_it_is_gone_it_is_the_one_to_be_made_again(
    world: World, error: Exception
) -> None:
    consumer_id, connection_id, reference = await world.connected()
    world.bank.fail("connection", error)
    await reopened(world, consumer_id, connection_id)
    assert world.bank.asked("authorisation_url")[-1][:2] == ["7301", reference]


async def test_a_new_secret_of_the_same_account_keeps_the_user_at_the_provider(world: World) -> None:
    consumer_id, connection_id, reference = await world.connected()
    await providers.update_credentials(world.services, world.asks(), BI, credentials(secret="rotated"))
    await reopened(world, consumer_id, connection_id)
    assert world.bank.asked("authorisation_url")[-1][:2] == ["7301", reference]
    assert len(world.bank.users) == 1


async def test_another_domain_means_another_user_and_a_new_connection(world: World) -> None:
    consumer_id, connection_id, _ = await world.connected()
    await providers.update_credentials(world.services, world.asks(), BI, credentials("acme-live"))
    await reopened(world, consumer_id, connection_id)
    assert world.bank.asked("create_user") == [["acme-sandbox"], ["acme-live"]]
    assert world.bank.asked("authorisation_url")[-1][:2] == ["7302", None]


async def moved_to_another_domain(world: World) -> str:
    """A consumer whose account 1 was read in one domain, and who has another account 1 in the next: the consumer."""
    consumer_id, connection_id, reference = await world.connected()
    world.bank.account(reference, "1", iban="FR7600000000000000000000001")
    world.bank.row("1", "r1")
    assert await world.sync(consumer_id) == "SUCCESS"
    await providers.update_credentials(world.services, world.asks(), BI, credentials("acme-live"))
    await data_connections.change(
        world.services, world.asks(), consumer_id, connection_id, status="AUTH_REQUIRED"
    )
    # Ids are numbers of one domain: the new one begins to count anew.
    reference = await world.authorise(consumer_id, connection_id)
    world.bank.account(reference, "1", iban="FR7600000000000000000000002")
    return consumer_id


async def test_an_account_of_another_domain_is_read_in_full(world: World) -> None:
    assert await world.sync(await moved_to_another_domain(world)) == "SUCCESS"
    assert world.bank.asked("transactions")[-1] == [["1"], None]


async def test_an_account_of_another_domain_with_the_same_number_is_another_account(world: World) -> None:
    consumer_id = await moved_to_another_domain(world)
    await world.sync(consumer_id)
    assert len(await world.accounts(consumer_id)) == 2


def test_a_state_names_its_connection_and_fits_a_query() -> None:
    world = World(in_memory())
    connection_id = world.services.ids.uuid()
    state = authorisations.mint_state(world.services, connection_id)
    assert state_in(f"https://bank.test/?state={state}") == state
    assert authorisations._connection_of(state) == connection_id
    assert HOUR > authorisations.STATE_LIFETIME
