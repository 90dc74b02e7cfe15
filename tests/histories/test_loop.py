"""Virtual time: it jumps, it is told by the seed, and what cannot go on is named."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from scripts.histories.loop import Hung, run


def test_a_month_passes_at_once() -> None:
    async def sleep() -> float:
        await asyncio.sleep(31 * 86_400)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run(sleep()) == pytest.approx(31 * 86_400)
    assert time.monotonic() - began < 5


def test_timers_ring_in_their_order_and_time_is_exact() -> None:
    rung: list[float] = []

    async def ring(after: float) -> None:
        await asyncio.sleep(after)
        rung.append(round(asyncio.get_running_loop().time(), 3))

    async def all_of_them() -> None:
        await asyncio.gather(*(ring(after) for after in (3.0, 0.5, 86_400.0, 1.0, 0.001)))

    run(all_of_them())
    assert rung == [0.001, 0.5, 1.0, 3.0, 86_400.0]


def ordered(seed: int) -> list[int]:
    said: list[int] = []

    async def say(number: int) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            said.append(number)

    async def all_of_them() -> None:
        await asyncio.gather(*(say(number) for number in range(5)))

    run(all_of_them(), random.Random(seed))
    return said


def test_a_seed_is_a_schedule() -> None:
    schedules = [ordered(seed) for seed in range(20)]
    assert schedules == [ordered(seed) for seed in range(20)]
    assert len({tuple(schedule) for schedule in schedules}) > 10


def test_a_thread_is_a_later_turn() -> None:
    said: list[str] = []

    async def both() -> int:
        other = asyncio.create_task(note("another"))
        answer = await asyncio.to_thread(lambda: said.append("the thread") or 7)
        await other
        return answer

    async def note(what: str) -> None:
        said.append(what)

    assert run(both()) == 7
    assert sorted(said) == ["another", "the thread"]
    with pytest.raises(ZeroDivisionError):
        run(asyncio.to_thread(lambda: 1 // 0))


def test_what_waits_for_ever_is_named() -> None:
    async def wait() -> None:
        task = asyncio.create_task(asyncio.Event().wait(), name="the one that waits")
        await task

    with pytest.raises(Hung, match="main, the one that waits"):
        run(wait())


def test_a_circle_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.histories.loop.TURNS_MAX", 1_000)

    async def circle() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Hung, match="circle"):
        run(circle())


def test_what_is_left_running_is_cancelled() -> None:
    ended: list[str] = []

    async def stay() -> None:
        try:
            await asyncio.sleep(1_000)
        finally:
            ended.append("stay")

    async def leave() -> str:
        asyncio.create_task(stay())
        await asyncio.sleep(0.1)
        return "left"

    assert run(leave()) == "left"
    assert ended == ["stay"]
