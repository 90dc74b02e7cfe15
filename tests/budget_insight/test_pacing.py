"""Requests of one tenant wait for their turn: within the budget, and while the provider wants to be left alone."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.budget_insight.failures import TryAgain
from adapters.budget_insight.pacing import SPAN, Pace
from adapters.budget_insight.transport import Retries
from application.ports import ProviderError, ProviderUnreachable, ProviderUser
from scripts.histories.loop import run
from tests.budget_insight.conftest import CREDENTIALS, USER, GatewayTo, Pauses
from tests.budget_insight.scripted import Bank, as_json, error

CONNECTION = {"id": 512, "state": None, "last_update": "2026-03-01 06:12:46"}
OTHER_USER = ProviderUser(reference="7302", token="OTHER-TOKEN")
#: What one clock may differ from itself by, once it has been added to and subtracted from.
ROUNDING = 1e-5


def most_in_a_span(starts: list[float]) -> int:
    starts = sorted(starts)
    return max(bisect_left(starts, start + SPAN - ROUNDING) - index for index, start in enumerate(starts))


# One pace


@given(st.lists(st.floats(0, 50), min_size=1, max_size=60), st.integers(1, 7))
async def test_never_more_than_the_budget_in_any_minute_and_nobody_waits_in_vain(
    gaps: list[float], per_minute: int
) -> None:
    now = Pauses()
    pace = Pace(per_minute, sleep=now, time=lambda: now.now)
    starts: list[float] = []
    for gap in gaps:
        now.now += gap
        arrived = now.now
        await pace.turn()
        starts.append(now.now)
        free = starts[-1 - per_minute] + SPAN if len(starts) > per_minute else arrived
        assert now.now == pytest.approx(max(arrived, free))
    assert most_in_a_span(starts) <= per_minute


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("per_minute", [1, 7, 30, 600])
def test_many_at_once_take_turns_in_their_order_and_none_waits_for_ever(per_minute: int, seed: int) -> None:
    """In virtual time, where a rounding error is never made good by time that passes by itself."""
    rng = random.Random(seed)
    starts: list[float] = []
    order: list[int] = []

    async def ask(pace: Pace, number: int) -> None:
        await pace.turn()
        starts.append(asyncio.get_running_loop().time())
        order.append(number)

    async def ask_now_and_then(pace: Pace) -> None:
        for _ in range(10):
            await asyncio.sleep(rng.random() * 1e5)
            await pace.turn()
            starts.append(asyncio.get_running_loop().time())

    async def everybody() -> None:
        pace = Pace(per_minute)
        await asyncio.sleep(rng.random() * 1e6)
        await asyncio.gather(*(ask(pace, number) for number in range(per_minute * 3)))
        await asyncio.gather(*(ask_now_and_then(pace) for _ in range(20)))

    run(everybody())
    assert len(starts) == per_minute * 3 + 200
    # Those of one moment may run in any order.
    minutes = [number // per_minute for number in order]
    assert minutes == sorted(minutes)
    assert most_in_a_span(starts) <= per_minute


def test_a_hold_is_for_all_and_also_for_those_who_wait_already() -> None:
    started: list[tuple[str, float]] = []

    async def ask(pace: Pace, name: str, after: float) -> None:
        await asyncio.sleep(after)
        await pace.turn()
        started.append((name, round(asyncio.get_running_loop().time(), 3)))

    async def everybody() -> None:
        pace = Pace(2)
        asking = [ask(pace, "a", 0), ask(pace, "b", 0), ask(pace, "c", 1), ask(pace, "d", 70)]
        tasks = [asyncio.create_task(each) for each in asking]
        await asyncio.sleep(50)
        pace.hold(40)
        pace.hold(10)
        await asyncio.gather(*tasks)

    run(everybody())
    assert started[:2] == [("a", 0), ("b", 0)]
    # The turn at 60 that was taken before the hold is let go by, and counts.
    assert [at for _, at in started[2:]] == [90, 120]


async def test_a_hold_longer_than_the_patience_is_said_and_not_waited_for() -> None:
    now = Pauses()
    pace = Pace(600, patience=60, sleep=now, time=lambda: now.now)
    pace.hold(61)
    with pytest.raises(ProviderUnreachable) as refused:
        await pace.turn()
    assert (refused.value.reason, refused.value.retry_after) == ("rate_limited", 61)
    assert now.taken == []
    now.now += 2
    await pace.turn()
    assert now.taken == [59]


# The gateway


async def test_the_budget_is_one_for_all_users_of_a_tenant(
    gateway_to: GatewayTo, bank: Bank, pauses: Pauses
) -> None:
    bank.answers(as_json(CONNECTION))
    gateway = gateway_to(bank.url, requests_per_minute=3)
    for user in (USER, OTHER_USER, USER, OTHER_USER):
        await gateway.connection(CREDENTIALS, user, "512")
    assert pauses.taken == [SPAN]
    for _ in range(3):
        await gateway.connection({**CREDENTIALS, "client_id": "54321"}, USER, "512")
    assert pauses.taken == [SPAN]


async def test_what_the_provider_asks_of_one_request_holds_for_all_of_the_tenant(
    gateway_to: GatewayTo, bank: Bank, pauses: Pauses
) -> None:
    gateway = gateway_to(bank.url)
    bank.answers(error("tooManySync", 429, Retry_After="90"), as_json(CONNECTION))
    with pytest.raises(ProviderUnreachable) as refused:
        await gateway.connection(CREDENTIALS, USER, "512")
    assert refused.value.retry_after == 90
    with pytest.raises(ProviderUnreachable) as held:
        await gateway.connection(CREDENTIALS, OTHER_USER, "512")
    assert (held.value.reason, held.value.retry_after) == ("rate_limited", 90)
    with pytest.raises(ProviderUnreachable):
        await gateway.create_user(CREDENTIALS)
    assert len(bank.asked) == 1
    await gateway.connection({**CREDENTIALS, "client_id": "54321"}, USER, "512")
    assert pauses.taken == []

    pauses.now += 31
    await gateway.connection(CREDENTIALS, OTHER_USER, "512")
    assert pauses.taken == [59]


async def test_without_a_time_to_wait_nobody_else_is_held(
    gateway_to: GatewayTo, bank: Bank, pauses: Pauses
) -> None:
    gateway = gateway_to(bank.url)
    bank.answers(error("tooManySync", 429))
    with pytest.raises(ProviderUnreachable):
        await gateway.connection(CREDENTIALS, USER, "512")
    taken = len(pauses.taken)
    bank.answers(as_json(CONNECTION))
    await gateway.connection(CREDENTIALS, OTHER_USER, "512")
    assert len(pauses.taken) == taken == 3


async def test_the_pauses_between_tries_are_those_of_the_generator() -> None:
    async def pauses_of(seed: int) -> list[float]:
        taken = Pauses()

        async def fails() -> None:
            raise TryAgain("unavailable")

        with pytest.raises(ProviderError):
            await Retries(sleep=taken, rng=random.Random(seed))(fails)
        return taken.taken

    assert await pauses_of(1) == await pauses_of(1) != await pauses_of(2)
