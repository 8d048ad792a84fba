from __future__ import annotations

import asyncio
import random

import pytest

from loadertask_worker.ordered import in_order, until_stop


async def late(value: int, delay_s: float) -> int:
    await asyncio.sleep(delay_s)
    return value


async def test_results_come_in_the_order_asked_for() -> None:
    generator = random.Random(1)
    work = (late(number, generator.random() / 200) for number in range(50))
    assert [number async for number in in_order(work, 8, asyncio.Event())] == list(range(50))


async def test_no_more_than_the_width_is_under_way_at_once() -> None:
    running = most = 0

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    async for _ in in_order((work() for _ in range(20)), 3, asyncio.Event()):
        pass
    assert most == 3


async def test_nothing_is_asked_for_ahead_of_the_reader() -> None:
    begun: list[int] = []

    async def work(number: int) -> int:
        begun.append(number)
        return number

    results = in_order((work(number) for number in range(100)), 2, asyncio.Event())
    assert await anext(results) == 0
    await asyncio.sleep(0.01)
    assert len(begun) <= 3
    await results.aclose()  # type: ignore[attr-defined]


async def test_a_stop_ends_a_wait_that_would_never_end() -> None:
    stop = asyncio.Event()
    cancelled = asyncio.Event()

    async def hang() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return 0

    asyncio.get_running_loop().call_later(0.01, stop.set)
    async with asyncio.timeout(30):
        assert [x async for x in in_order((hang() for _ in range(3)), 2, stop)] == []
        assert await until_stop(hang(), stop) is None
    assert cancelled.is_set()


async def test_the_first_failure_ends_it_and_cancels_the_rest() -> None:
    async def fail() -> int:
        raise ValueError("broken")

    results = in_order([late(0, 0), fail(), late(2, 60)], 3, asyncio.Event())
    assert await anext(results) == 0
    with pytest.raises(ValueError, match="broken"):
        await anext(results)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert not others


async def test_a_failure_is_noticed_while_an_earlier_one_hangs() -> None:
    async def fail() -> int:
        await asyncio.sleep(0.01)
        raise ValueError("broken")

    work = [late(0, 60), late(1, 0), fail(), late(3, 60)]
    async with asyncio.timeout(30):
        with pytest.raises(ValueError, match="broken"):
            await anext(in_order(work, 4, asyncio.Event()))
    assert not asyncio.all_tasks() - {asyncio.current_task()}


async def test_what_is_finished_before_a_failure_is_not_lost() -> None:
    async def fail() -> int:
        raise ValueError("broken")

    results = in_order([late(0, 0), late(1, 0), fail()], 2, asyncio.Event())
    assert [await anext(results), await anext(results)] == [0, 1]
    with pytest.raises(ValueError, match="broken"):
        await anext(results)


async def test_the_result_comes_before_the_stop() -> None:
    assert await until_stop(late(7, 0), asyncio.Event()) == 7
