"""Which of the provider's accounts are which of ours: what the bank makes anew, takes away, or shows twice."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from msgspec.structs import replace

from application import data_connections
from application.authorisations import complete
from application.erasure import erase_consumer, finish_destructions
from application.fetching import OVERLAP
from application.refusals import Unavailable
from application.synchronise import run_sync
from domain import consumer, provider, streams
from domain.consumer import AccountLinked, Evidence
from domain.consumer_account import (
    DELETED_AT_BANK,
    DISABLED,
    NOT_SHOWN,
    BalanceRefreshed,
    Closed,
    Open,
)
from domain.data_connection import ConnectionDeleted
from domain.fact import Erased
from tests.application.stories import (
    IBAN,
    TODAY,
    WHOLE,
    fetched_once,
    reads,
    say,
    the_banks_connection,
    the_connections_stream,
    with_rows,
)
from tests.application.world import BI, DAY, MONDAY, TENANT, World, unavailable


async def links(world: World, consumer_id: str) -> list[AccountLinked]:
    return list((await world.state(streams.consumer(TENANT, consumer_id))).links)


async def sources(world: World, consumer_id: str) -> dict[str, list[str]]:
    """The sources that feed each account."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for link in await links(world, consumer_id):
        found[link.account_id].append(link.source)
    return dict(found)


async def rows_of(world: World, consumer_id: str, source_id: str) -> set[str]:
    return set(await world.held(streams.consumer_account(TENANT, consumer_id, source_id)))


def kind(state: Any) -> str:
    return f"closed: {state.reason}" if isinstance(state, Closed) else type(state).__name__.lower()


async def kinds(world: World, consumer_id: str) -> dict[str, str]:
    """Whether each source is open, or why it is closed."""
    return {id: kind(state) for id, state in (await world.accounts(consumer_id)).items()}


@pytest.fixture
def not_unique(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a consumer have several connections to the provider."""
    monkeypatch.setitem(provider.CATALOGUE, BI, replace(provider.BUDGET_INSIGHT, unique=False))


async def second_connection(world: World, consumer_id: str) -> tuple[str, str]:
    """One more connection to the provider: ours and the bank's."""
    connection_id = await world.connection(consumer_id)
    return connection_id, await world.authorise(consumer_id, connection_id)


# Going and coming back


@pytest.mark.parametrize("gone", ["disabled", "deleted"])
async def test_an_account_that_goes_is_closed_once(any_world: World, gone: str) -> None:
    consumer_id, account = await fetched_once(any_world)
    any_world.bank.change(the_banks_connection(any_world), "1", **{gone: True})
    for _ in range(2):
        assert await any_world.sync(consumer_id) == "SUCCESS"
    assert (
        kind(await any_world.state(account))
        == f"closed: {DISABLED if gone == 'disabled' else DELETED_AT_BANK}"
    )
    assert (await any_world.names(account)).count("AccountClosed") == 1
    assert await rows_of(any_world, consumer_id, streams.parse(account).id) == {"r1"}


async def test_an_account_that_was_deleted_opens_again_when_it_comes_back(any_world: World) -> None:
    consumer_id, account = await fetched_once(any_world)
    reference = the_banks_connection(any_world)
    any_world.bank.change(reference, "1", deleted=True)
    await any_world.sync(consumer_id)
    any_world.bank.change(reference, "1", deleted=False)
    any_world.bank.row("1", "r2")
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert reads(any_world)[-1] == ("1", WHOLE)
    assert isinstance(await any_world.state(account), Open)
    assert list(await any_world.held(account)) == ["r1", "r2"]
    assert any_world.live() == any_world.rebuilt()


async def test_an_account_that_was_disabled_goes_on_as_another_source_of_its_account(
    any_world: World,
) -> None:
    """The provider erases the rows of a disabled account: enabled again it shows them under other names."""
    consumer_id, account = await fetched_once(any_world)
    reference, first = the_banks_connection(any_world), streams.parse(account).id
    any_world.bank.change(reference, "1", disabled=True)
    await any_world.sync(consumer_id)
    any_world.bank.change(reference, "1", disabled=False)
    any_world.bank.rows["1"] = {}
    any_world.bank.row("1", "r1 anew")
    for _ in range(2):
        assert await any_world.sync(consumer_id) == "SUCCESS"
    ((account_id, (second,)),) = (await sources(any_world, consumer_id)).items()
    assert account_id == first != second
    assert await rows_of(any_world, consumer_id, first) == {"r1"}
    assert await rows_of(any_world, consumer_id, second) == {"r1 anew"}
    assert await kinds(any_world, consumer_id) == {first: f"closed: {DISABLED}", second: "open"}
    assert any_world.live() == any_world.rebuilt()


async def test_an_account_whose_rows_all_have_other_names_was_disabled_in_between(any_world: World) -> None:
    consumer_id, account = await fetched_once(any_world)
    first = streams.parse(account).id
    any_world.bank.row("1", "r2", booked_on=TODAY)
    await any_world.sync(consumer_id)
    any_world.clock.at += DAY
    any_world.bank.rows["1"] = {}
    any_world.bank.row("1", "r2 anew", booked_on=TODAY)
    any_world.bank.row("1", "r3 anew", booked_on=TODAY + 1)
    for _ in range(2):
        assert await any_world.sync(consumer_id) == "SUCCESS"
        any_world.clock.at += DAY
    ((account_id, (second,)),) = (await sources(any_world, consumer_id)).items()
    assert account_id == first != second
    assert await rows_of(any_world, consumer_id, first) == {"r1", "r2"}
    assert await rows_of(any_world, consumer_id, second) == {"r2 anew", "r3 anew"}
    assert (await kinds(any_world, consumer_id))[second] == "open"
    assert any_world.live() == any_world.rebuilt()


async def test_other_names_are_noticed_before_a_window_is_due(any_world: World) -> None:
    """Once they were recorded beside the old ones, nothing would tell them apart any more."""
    consumer_id, account = await fetched_once(any_world)
    first = streams.parse(account).id
    any_world.bank.row("1", "r2", booked_on=TODAY)
    await any_world.sync(consumer_id)
    any_world.bank.rows["1"] = {}
    any_world.bank.row("1", "r2 anew", booked_on=TODAY)
    for _ in range(2):
        assert await any_world.sync(consumer_id) == "SUCCESS"
    ((account_id, (second,)),) = (await sources(any_world, consumer_id)).items()
    assert account_id == first != second
    assert await rows_of(any_world, consumer_id, second) == {"r2 anew"}
    assert any_world.live() == any_world.rebuilt()


@pytest.mark.parametrize("exponent", [2, 0])
async def test_other_names_and_no_currency_at_once_are_the_account_in_its_currency(
    world: World, exponent: int
) -> None:
    consumer_id, account = await fetched_once(world)
    reference, first = the_banks_connection(world), streams.parse(account).id
    world.bank.row("1", "r2", booked_on=TODAY)
    await world.sync(consumer_id)
    world.bank.rows["1"] = {}
    world.bank.row("1", "r2 anew", booked_on=TODAY)
    world.bank.change(reference, "1", currency="XXX", exponent=exponent)
    if exponent != 2:
        # Its amounts were read as others than they are.
        assert await world.sync(consumer_id) == "FETCH_ERROR exponent_changed"
        return
    assert await world.sync(consumer_id) == "SUCCESS"
    ((account_id, (second,)),) = (await sources(world, consumer_id)).items()
    assert account_id == first != second
    state = await world.state(streams.consumer_account(TENANT, consumer_id, second))
    assert state.currency == "EUR"


async def test_the_first_row_for_a_while_beside_a_busier_account_costs_a_window(world: World) -> None:
    consumer_id, account = await fetched_once(world)
    world.bank.account(the_banks_connection(world), "2")
    world.bank.row("2", "s1", booked_on=TODAY)
    await world.sync(consumer_id)
    world.clock.at += 2 * OVERLAP
    world.bank.row("2", "s2", booked_on=TODAY + 2)
    await world.sync(consumer_id)
    world.bank.row("1", "r2", booked_on=TODAY + 2)
    before = len(reads(world))
    assert await world.sync(consumer_id) == "SUCCESS"
    assert [asked[0] for asked in reads(world)[before:]] == ["1 2", "1"]
    assert await rows_of(world, consumer_id, streams.parse(account).id) == {"r1", "r2"}
    assert len(await sources(world, consumer_id)) == 2


@pytest.mark.parametrize("shown", ["one that is known", "a pending one", "a deleted one", "none"])
async def test_an_account_of_which_less_is_certain_goes_on_as_it_is(world: World, shown: str) -> None:
    consumer_id, account = await fetched_once(world)
    world.bank.row("1", "r2", booked_on=TODAY)
    await world.sync(consumer_id)
    kept = world.bank.rows["1"]["r2"]
    world.bank.rows["1"] = {}
    world.clock.at += DAY
    match shown:
        case "one that is known":
            world.bank.rows["1"]["r2"] = kept
            world.bank.row("1", "r3", booked_on=TODAY)
        case "a pending one":
            world.bank.row("1", "r3", booked_on=TODAY, pending=True)
        case "a deleted one":
            world.bank.row("1", "r2", booked_on=TODAY, deleted=True)
            world.bank.row("1", "r3", booked_on=TODAY)
    assert await world.sync(consumer_id) == "SUCCESS"
    assert await sources(world, consumer_id) == {streams.parse(account).id: [streams.parse(account).id]}


async def test_an_account_with_nothing_in_the_window_goes_on_with_its_first_row(world: World) -> None:
    consumer_id, account = await fetched_once(world)
    world.clock.at += DAY
    world.bank.row("1", "r2", booked_on=TODAY + 1)
    assert await world.sync(consumer_id) == "SUCCESS"
    assert await world.only_account(consumer_id) == account


async def test_a_row_whose_value_day_alone_is_in_the_window_is_not_missed_there(world: World) -> None:
    consumer_id, _, reference = await with_rows(world)
    long_ago = MONDAY - 95 * DAY
    world.bank.row("1", "deferred", booked_on=TODAY - 95, value_on=TODAY - 80, updated=long_ago)
    world.bank.account(reference, "2")
    world.bank.row("2", "s1")
    await world.sync(consumer_id)
    before = await sources(world, consumer_id)
    world.clock.at += DAY
    world.bank.row("1", "r2", booked_on=TODAY)
    assert await world.sync(consumer_id) == "SUCCESS"
    assert await sources(world, consumer_id) == before


async def test_a_consent_that_is_withdrawn_each_week_makes_one_source_each_time(world: World) -> None:
    consumer_id, account = await fetched_once(world)
    reference = the_banks_connection(world)
    for _ in range(3):
        for disabled in (True, False):
            world.bank.change(reference, "1", disabled=disabled)
            assert await world.sync(consumer_id) == "SUCCESS"
    assert len(await world.accounts(consumer_id)) == 4
    owner = await world.state(streams.consumer(TENANT, consumer_id))
    assert len(owner.links) == 1
    assert set(consumer.sources_of(owner, streams.parse(account).id)) == set(
        await world.accounts(consumer_id)
    )


async def test_an_account_that_the_list_does_not_name_any_more_is_closed_and_may_come_back(
    any_world: World,
) -> None:
    consumer_id, _ = await fetched_once(any_world)
    reference = the_banks_connection(any_world)
    any_world.bank.account(reference, "2")
    await any_world.sync(consumer_id)
    first = (await links(any_world, consumer_id))[0].source
    kept = any_world.bank.connections[reference].accounts.pop("1")
    for _ in range(2):
        assert await any_world.sync(consumer_id) == "SUCCESS"
    assert (await kinds(any_world, consumer_id))[first] == f"closed: {NOT_SHOWN}"
    any_world.bank.connections[reference].accounts["1"] = kept
    any_world.bank.row("1", "r2")
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert set((await kinds(any_world, consumer_id)).values()) == {"open"}
    assert await rows_of(any_world, consumer_id, first) == {"r1", "r2"}
    assert any_world.live() == any_world.rebuilt()


async def test_a_list_without_any_account_is_no_answer(any_world: World) -> None:
    """Those that are gone are listed too: nothing may be closed because of it."""
    consumer_id, account = await fetched_once(any_world)
    accounts = any_world.bank.connections[the_banks_connection(any_world)].accounts
    kept = dict(accounts)
    accounts.clear()
    assert await any_world.sync(consumer_id) == "FETCH_ERROR accounts_missing"
    assert isinstance(await any_world.state(account), Open)
    accounts.update(kept)
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert (await any_world.names(account)).count("AccountClosed") == 0


async def test_a_list_without_accounts_is_an_answer_where_none_was_usable_before(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    reference = the_banks_connection(world)
    world.bank.change(reference, "1", deleted=True)
    assert await world.sync(consumer_id) == "SUCCESS"
    world.bank.connections[reference].accounts.clear()
    assert await world.sync(consumer_id) == "SUCCESS"


async def test_an_account_that_was_never_usable_is_none_of_ours(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, disabled=True)
    await world.sync(consumer_id)
    assert await world.accounts(consumer_id) == {} and await links(world, consumer_id) == []


# Shown twice, or made anew


async def test_two_accounts_of_the_provider_with_one_iban_are_two_sources_of_one(any_world: World) -> None:
    consumer_id, _, reference = await with_rows(any_world, "r1", iban=IBAN)
    any_world.bank.account(reference, "2", iban=IBAN)
    any_world.bank.row("2", "s1")
    for _ in range(2):
        assert await any_world.sync(consumer_id) == "SUCCESS"
    ((account_id, (first, second)),) = (await sources(any_world, consumer_id)).items()
    assert account_id == first != second
    assert await rows_of(any_world, consumer_id, first) == {"r1"}
    assert await rows_of(any_world, consumer_id, second) == {"s1"}
    assert (await any_world.names(streams.consumer(TENANT, consumer_id))).count("AccountLinked") == 2
    assert any_world.live() == any_world.rebuilt()


async def test_an_iban_in_another_currency_is_another_account(world: World) -> None:
    consumer_id, _, reference = await with_rows(world, "r1", iban=IBAN)
    world.bank.account(reference, "2", iban=IBAN)
    world.bank.change(reference, "2", currency="CHF")
    await world.sync(consumer_id)
    assert len(await sources(world, consumer_id)) == 2


async def test_without_an_iban_number_and_bank_are_the_evidence(world: World) -> None:
    consumer_id, _, reference = await with_rows(world, "r1", iban=None, number="12345")
    await world.sync(consumer_id)
    del world.bank.connections[reference].accounts["1"]
    world.bank.account(reference, "2", iban=None, number="12345")
    world.bank.account(reference, "3", iban=None, number=None)
    world.bank.account(reference, "4", iban=None, number=None)
    await world.sync(consumer_id)
    assert sorted(map(len, (await sources(world, consumer_id)).values())) == [1, 1, 2]


async def test_one_iban_of_two_consumers_is_two_accounts(world: World) -> None:
    first, _, _ = await with_rows(world, "r1", iban=IBAN)
    second = await world.consumer()
    reference = await world.authorise(second, await world.connection(second))
    world.bank.account(reference, "2", iban=IBAN)
    await world.sync(first)
    await world.sync(second)
    assert len(await world.accounts(first)) == len(await world.accounts(second)) == 1
    assert not set(await sources(world, first)) & set(await sources(world, second))


@pytest.mark.parametrize("order", ["gone first", "gone last"])
@pytest.mark.parametrize("way", ["deleted", "left out"])
async def test_an_account_that_the_bank_made_anew_goes_on_as_one(
    any_world: World, way: str, order: str
) -> None:
    consumer_id, account = await fetched_once(any_world, iban=IBAN)
    reference, first = the_banks_connection(any_world), streams.parse(account).id
    accounts = any_world.bank.connections[reference].accounts
    if way == "deleted":
        any_world.bank.change(reference, "1", deleted=True)
    any_world.bank.account(reference, "2", iban=IBAN)
    any_world.bank.row("2", "r1 anew")
    if order == "gone last":
        accounts["1"] = accounts.pop("1")
    if way == "left out":
        del accounts["1"]
    for _ in range(2):
        assert await any_world.sync(consumer_id) == "SUCCESS"
    ((account_id, (_, second)),) = (await sources(any_world, consumer_id)).items()
    assert account_id == first
    reason = DELETED_AT_BANK if way == "deleted" else NOT_SHOWN
    assert await kinds(any_world, consumer_id) == {first: f"closed: {reason}", second: "open"}
    assert "AccountReopened" not in await any_world.names(account)
    assert await rows_of(any_world, consumer_id, second) == {"r1 anew"}
    assert any_world.live() == any_world.rebuilt()


async def test_a_second_connection_on_one_iban_is_the_same_account(
    any_world: World, not_unique: None
) -> None:
    consumer_id, account = await fetched_once(any_world, iban=IBAN)
    _, reference = await second_connection(any_world, consumer_id)
    any_world.bank.account(reference, "9", iban=IBAN)
    any_world.bank.row("9", "s1")
    for requested in await both_requested(any_world, consumer_id):
        await run(any_world, *requested)
    ((account_id, (first, second)),) = (await sources(any_world, consumer_id)).items()
    assert account_id == first == streams.parse(account).id
    assert await rows_of(any_world, consumer_id, first) == {"r1"}
    assert await rows_of(any_world, consumer_id, second) == {"s1"}
    assert set((await kinds(any_world, consumer_id)).values()) == {"open"}


async def both_requested(world: World, consumer_id: str) -> list[tuple[str, str]]:
    await world.request_sync(consumer_id)
    return list(await world.read_models.pending_syncs())


async def run(world: World, stream: str, sync_id: str) -> None:
    await run_sync(world.services, stream, sync_id)
    assert await world.ending(stream, sync_id) == "SUCCESS"


# Connected again


async def reconnect(world: World, consumer_id: str, connection_id: str, reference: str | None = None) -> str:
    """Through the bank's page once more: the bank's connection, another one if none is named."""
    await data_connections.change(
        world.services, world.asks(), consumer_id, connection_id, status="AUTH_REQUIRED"
    )
    state = await world.opened(consumer_id, connection_id)
    user = world.bank.asked("authorisation_url")[-1][0]
    reference = reference or world.bank.connect(user)
    await complete(world.services, {"state": state, "connection_id": reference})
    return reference


async def test_a_reconnect_in_place_keeps_everything(any_world: World) -> None:
    consumer_id, account = await fetched_once(any_world)
    connection_id = streams.parse(the_connections_stream(any_world)).id
    before = await links(any_world, consumer_id)
    await reconnect(any_world, consumer_id, connection_id, the_banks_connection(any_world))
    any_world.bank.row("1", "r2")
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert await links(any_world, consumer_id) == before
    assert set(await any_world.held(account)) == {"r1", "r2"}
    assert await any_world.only_account(consumer_id) == account


async def test_a_bank_that_was_added_anew_under_our_connection_keeps_its_account(any_world: World) -> None:
    consumer_id, account = await fetched_once(any_world, iban=IBAN)
    connection_id = streams.parse(the_connections_stream(any_world)).id
    reference = await reconnect(any_world, consumer_id, connection_id)
    any_world.bank.account(reference, "77", iban=IBAN)
    any_world.bank.row("77", "r1 anew", updated=any_world.clock.now() - 400 * DAY)
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert reads(any_world)[-1] == ("77", WHOLE)
    ((account_id, (first, second)),) = (await sources(any_world, consumer_id)).items()
    assert account_id == first == streams.parse(account).id
    assert await kinds(any_world, consumer_id) == {first: f"closed: {NOT_SHOWN}", second: "open"}
    assert await rows_of(any_world, consumer_id, second) == {"r1 anew"}
    assert any_world.live() == any_world.rebuilt()


async def as_another_user(world: World, consumer_id: str, **account: Any) -> str:
    """The bank forgot its user; the person connects again, as another one: the bank's connection."""
    connection_id = streams.parse(the_connections_stream(world)).id
    world.bank.users.clear()
    world.bank.connections.clear()
    for reference in [r for r, held in world.secrets.held.items() if held[1].endswith("/user")]:
        del world.secrets.held[reference]
    reference = await reconnect(world, consumer_id, connection_id)
    world.bank.account(reference, **{"reference": "1", **account})
    return reference


@pytest.mark.parametrize("named", ["1", "2"])
async def test_another_user_of_the_bank_begins_anew(world: World, named: str) -> None:
    """A reference of theirs is another account, whatever it is called."""
    consumer_id, account = await fetched_once(world, iban=IBAN)
    await as_another_user(world, consumer_id, reference=named, iban="FR7630006000019876543210189")
    world.bank.rows.clear()
    world.bank.row(named, "r1", amount=-1)
    assert await world.sync(consumer_id) == "SUCCESS"
    assert reads(world)[-1] == (named, WHOLE)
    assert await rows_of(world, consumer_id, streams.parse(account).id) == {"r1"}
    assert len(await world.accounts(consumer_id)) == 2
    assert (await world.held(account))["r1"].amount == -42_35


async def test_an_account_keeps_its_identity_when_its_person_is_another_user_of_the_bank(
    world: World,
) -> None:
    consumer_id, account = await fetched_once(world, iban=IBAN)
    await as_another_user(world, consumer_id, iban=IBAN)
    assert await world.sync(consumer_id) == "SUCCESS"
    ((account_id, fed),) = (await sources(world, consumer_id)).items()
    assert account_id == streams.parse(account).id
    assert len(await world.accounts(consumer_id)) == 2


async def test_what_another_user_leaves_behind_goes_with_the_connection(world: World) -> None:
    consumer_id, _ = await fetched_once(world, iban=IBAN)
    await as_another_user(world, consumer_id, iban="FR7630006000019876543210189")
    assert await world.sync(consumer_id) == "SUCCESS"
    connection_id = streams.parse(the_connections_stream(world)).id
    await data_connections.delete(world.services, world.asks(), consumer_id, connection_id)
    assert await readable(world, consumer_id) == []


async def readable(world: World, consumer_id: str) -> list[str]:
    """The sources of which anything can be read still."""
    prefix = streams.of_consumer(TENANT, consumer_id, streams.CONSUMER_ACCOUNT)
    return [
        streams.parse(stream).id
        for stream in await world.lasting.log.streams(prefix)
        if not all(isinstance(fact, Erased) for fact in await world.facts(stream))
    ]


# Currencies


async def test_a_currency_that_is_left_out_changes_none(any_world: World) -> None:
    consumer_id, account = await fetched_once(any_world)
    reference = the_banks_connection(any_world)
    any_world.bank.change(reference, "1", currency="XXX")
    any_world.bank.row("1", "r2")
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert await any_world.only_account(consumer_id) == account
    assert (await any_world.state(account)).currency == "EUR"
    assert set(await any_world.held(account)) == {"r1", "r2"}
    any_world.bank.change(reference, "1", currency="EUR")
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert await any_world.only_account(consumer_id) == account


async def test_another_currency_under_the_same_reference_is_another_account(any_world: World) -> None:
    consumer_id, account = await fetched_once(any_world, iban=IBAN)
    reference, first = the_banks_connection(any_world), streams.parse(account).id
    any_world.bank.change(reference, "1", currency="CHF")
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert set(await sources(any_world, consumer_id)) == set(await any_world.accounts(consumer_id))
    (second,) = set(await any_world.accounts(consumer_id)) - {first}
    assert await kinds(any_world, consumer_id) == {first: f"closed: {NOT_SHOWN}", second: "open"}
    assert (await any_world.accounts(consumer_id))[second].currency == "CHF"
    # And back: it is the account that it was.
    any_world.bank.change(reference, "1", currency="EUR")
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert await kinds(any_world, consumer_id) == {first: "open", second: f"closed: {NOT_SHOWN}"}
    assert any_world.live() == any_world.rebuilt()


async def test_a_currency_that_was_not_known_first_is_another_when_it_is(world: World) -> None:
    consumer_id, _, reference = await with_rows(world, "r1", iban=IBAN)
    world.bank.change(reference, "1", currency="XXX")
    await world.sync(consumer_id)
    world.bank.change(reference, "1", currency="EUR")
    await world.sync(consumer_id)
    assert sorted((await kinds(world, consumer_id)).values()) == [f"closed: {NOT_SHOWN}", "open"]
    world.bank.change(reference, "1", currency="XXX")
    await world.sync(consumer_id)
    assert sorted((await kinds(world, consumer_id)).values()) == [f"closed: {NOT_SHOWN}", "open"]


async def test_an_exponent_that_changes_stops_the_run(any_world: World) -> None:
    """What was counted in hundredths must not go on in thousandths."""
    consumer_id, account = await fetched_once(any_world)
    reference = the_banks_connection(any_world)
    any_world.bank.change(reference, "1", exponent=3)
    any_world.bank.row("1", "r2")
    assert await any_world.sync(consumer_id) == "FETCH_ERROR exponent_changed"
    assert set(await any_world.held(account)) == {"r1"}
    any_world.bank.change(reference, "1", exponent=2)
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert set(await any_world.held(account)) == {"r1", "r2"}


# Links of before sources had streams of their own


async def linked_before(world: World) -> tuple[str, str, str]:
    """Two of the bank's accounts that were merged into one stream: consumer, the bank's connection, the stream."""
    consumer_id, connection_id, reference = await with_rows(world, "r1", iban=IBAN)
    account_id = world.services.ids.uuid()
    plain = AccountLinked(account_id, connection_id, "1", Evidence(kind="none"))
    await say(
        world,
        streams.consumer(TENANT, consumer_id),
        plain,
        AccountLinked(account_id, connection_id, "2", Evidence(kind="none")),
    )
    world.bank.account(reference, "2", iban=IBAN)
    return consumer_id, reference, streams.consumer_account(TENANT, consumer_id, account_id)


async def test_what_was_merged_before_goes_on_in_its_one_stream(any_world: World) -> None:
    consumer_id, _, account = await linked_before(any_world)
    any_world.bank.row("2", "s1")
    for _ in range(2):
        assert await any_world.sync(consumer_id) == "SUCCESS"
    assert await any_world.only_account(consumer_id) == account
    assert set(await any_world.held(account)) == {"r1", "s1"}
    assert (await any_world.names(account)).count("AccountDiscovered") == 1
    assert len(await links(any_world, consumer_id)) == 2


async def test_pending_rows_of_what_was_merged_before_stay(world: World) -> None:
    consumer_id, reference, account = await linked_before(world)
    world.bank.row("1", "p1", pending=True, booked_on=TODAY)
    world.bank.row("2", "p2", pending=True, booked_on=TODAY)
    assert await world.sync(consumer_id) == "SUCCESS"
    for _ in range(3):
        world.clock.at += DAY
        for name in ("1", "2"):
            world.bank.account(reference, name, iban=IBAN)
        assert await world.sync(consumer_id) == "SUCCESS"
    assert {"p1", "p2"} <= set(await world.held(account))
    assert (await world.names(account)).count("TransactionsFetched") == 2


# Balances


async def test_an_older_reading_does_not_replace_one_that_was_confirmed_later(world: World) -> None:
    consumer_id, account = await fetched_once(world, balance=100_00)
    reference = the_banks_connection(world)
    start = world.clock.now()
    world.clock.at += 2 * DAY
    world.bank.account(reference, "1", balance=100_00, as_of=start + 2 * DAY)
    assert await world.sync(consumer_id) == "SUCCESS"
    # A replica of the bank's that lags behind.
    world.bank.account(reference, "1", balance=80_00, as_of=start + DAY)
    assert await world.sync(consumer_id) == "SUCCESS"
    readings = [fact.balance for fact in await world.facts(account) if isinstance(fact, BalanceRefreshed)]
    assert readings == [100_00]


# Deleting


async def test_a_deleted_connection_takes_all_sources_of_its_accounts(any_world: World) -> None:
    consumer_id, _ = await fetched_once(any_world, iban=IBAN)
    reference = the_banks_connection(any_world)
    any_world.bank.change(reference, "1", deleted=True)
    any_world.bank.account(reference, "2", iban=IBAN)
    any_world.bank.row("2", "s1")
    await any_world.sync(consumer_id)
    any_world.bank.change(reference, "2", disabled=True)
    await any_world.sync(consumer_id)
    any_world.bank.change(reference, "2", disabled=False)
    await any_world.sync(consumer_id)
    assert len(await any_world.accounts(consumer_id)) == 3
    connection_id = streams.parse(the_connections_stream(any_world)).id
    await data_connections.delete(any_world.services, any_world.asks(), consumer_id, connection_id)
    assert await readable(any_world, consumer_id) == []
    assert await any_world.keys.announced() == []
    assert any_world.live() == any_world.rebuilt()


@pytest.mark.parametrize("first_to_go", [0, 1])
async def test_a_shared_account_keeps_its_whole_history_until_its_last_connection_goes(
    any_world: World, not_unique: None, first_to_go: int
) -> None:
    consumer_id, account = await fetched_once(any_world, iban=IBAN)
    connections = [streams.parse(the_connections_stream(any_world)).id]
    other, reference = await second_connection(any_world, consumer_id)
    connections.append(other)
    any_world.bank.account(reference, "9", iban=IBAN)
    any_world.bank.account(reference, "10")
    for requested in await both_requested(any_world, consumer_id):
        await run(any_world, *requested)
    shared = set((await sources(any_world, consumer_id))[streams.parse(account).id])
    assert len(shared) == 2
    for turn, connection_id in enumerate((connections[first_to_go], connections[1 - first_to_go])):
        await data_connections.delete(any_world.services, any_world.asks(), consumer_id, connection_id)
        left = set(await readable(any_world, consumer_id))
        if turn == 0:
            assert shared <= left
            owner = await any_world.state(streams.consumer(TENANT, consumer_id))
            assert set(consumer.sources_of(owner, streams.parse(account).id)) == shared
    assert left == set()
    assert any_world.live() == any_world.rebuilt()


@pytest.mark.parametrize("written", [True, False])
async def test_the_keys_of_all_sources_are_destroyed_after_a_crash_too(
    any_world: World, written: bool
) -> None:
    consumer_id, _ = await fetched_once(any_world, iban=IBAN)
    reference = the_banks_connection(any_world)
    any_world.bank.change(reference, "1", deleted=True)
    any_world.bank.account(reference, "2", iban=IBAN)
    await any_world.sync(consumer_id)
    connection_id = streams.parse(the_connections_stream(any_world)).id
    if written:
        any_world.log.after(ConnectionDeleted, unavailable)
    else:
        any_world.log.before(ConnectionDeleted, unavailable)
    with pytest.raises(Unavailable):
        await data_connections.delete(any_world.services, any_world.asks(), consumer_id, connection_id)
    assert len(await any_world.keys.announced()) == 3
    after = any_world.restarted()
    await finish_destructions(after.services)
    assert await after.keys.announced() == []
    assert len(await readable(after, consumer_id)) == (0 if written else 2)


async def test_an_erasure_takes_every_source(any_world: World) -> None:
    consumer_id, _ = await fetched_once(any_world, iban=IBAN)
    any_world.bank.account(the_banks_connection(any_world), "2", iban=IBAN)
    await any_world.sync(consumer_id)
    await erase_consumer(any_world.services, any_world.asks(), consumer_id)
    assert await readable(any_world, consumer_id) == []
    assert await any_world.read_models.consumer_gone(TENANT, consumer_id)
