from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

from loadertask_operator.logs import JsonFormatter, begin_reconcile
from loadertask_operator.workqueue import Workqueue


@asynccontextmanager
async def running(work: Callable[[str], Awaitable[float | None]], **options: float):
    queue: Workqueue[str] = Workqueue(work, **options)  # type: ignore[arg-type]
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - the condition is not an event
            await asyncio.sleep(0.001)


async def test_a_key_added_twice_before_its_turn_is_worked_on_once():
    seen: list[str] = []

    async def work(key: str) -> None:
        seen.append(key)

    queue: Workqueue[str] = Workqueue(work)
    for key in ("a", "b", "a"):
        queue.add(key)
    task = asyncio.create_task(queue.run())
    await until(lambda: len(queue) == 0)
    task.cancel()
    await asyncio.wait([task])
    assert sorted(seen) == ["a", "b"]


async def test_keys_that_go_first_overtake_those_that_wait_and_keep_their_order():
    seen: list[str] = []

    async def work(key: str) -> None:
        seen.append(key)

    queue: Workqueue[str] = Workqueue(work, workers=1, goes_first=lambda key: key.startswith("new"))
    for key in ("a", "b", "new 1", "c", "new 2"):
        queue.add(key)
    task = asyncio.create_task(queue.run())
    await until(lambda: len(queue) == 0)
    task.cancel()
    await asyncio.wait([task])
    assert seen == ["new 1", "new 2", "a", "b", "c"]


async def test_one_key_never_runs_twice_at_a_time_and_runs_again_when_added_meanwhile():
    active = most = runs = 0
    gate = asyncio.Event()

    async def work(key: str) -> None:
        nonlocal active, most, runs
        active, runs = active + 1, runs + 1
        most = max(most, active)
        await gate.wait()
        active -= 1

    async with running(work) as queue:
        queue.add("a")
        await until(lambda: runs == 1)
        queue.add("a")
        queue.add("a")
        gate.set()
        await until(lambda: runs == 2 and len(queue) == 0)
        assert most == 1


async def test_different_keys_run_side_by_side():
    started: set[str] = set()

    async def work(key: str) -> None:
        started.add(key)
        await asyncio.Event().wait()

    async with running(work) as queue:
        for key in "abc":
            queue.add(key)
        await until(lambda: started == set("abc"))


async def test_a_failure_is_tried_again_with_growing_delay_until_it_succeeds():
    times: list[float] = []

    async def work(key: str) -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) < 4:
            raise RuntimeError("again")

    async with running(work, retry_initial_s=0.02, retry_max_s=0.05) as queue:
        queue.add("a")
        await until(lambda: len(times) == 4)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] >= 0.02
    assert gaps[1] >= 0.04
    assert 0.05 <= gaps[2] < 0.5


async def test_the_returned_delay_runs_the_key_again_and_the_earliest_delay_wins():
    runs = 0

    async def work(key: str) -> float | None:
        nonlocal runs
        runs += 1
        return 0.01 if runs == 1 else None

    async with running(work) as queue:
        queue.add_after("a", 600)
        queue.add_after("a", 0.01)
        queue.add_after("a", 600)
        await until(lambda: runs == 2)


async def test_all_lines_of_one_look_bear_its_id_and_no_other_does():
    """As the operator uses it: the failure of a look is logged when the look itself is over."""
    lines: list[dict[str, str]] = []
    failed: set[str] = set()

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(self.format(record)))

    async def work(key: str) -> None:
        begin_reconcile()
        logger.warning("begins", extra={"task": key})
        await asyncio.sleep(0)
        if key not in failed:
            failed.add(key)
            raise ValueError(key)

    logger, handler = logging.getLogger("loadertask_operator.workqueue"), Kept()
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    try:
        async with running(work, retry_initial_s=0.001) as queue:
            for key in ("a", "b", "c"):
                queue.add(key)
            await until(lambda: len(lines) == 9)
        logger.warning("of no look")
    finally:
        logger.removeHandler(handler)
    assert "reconcile" not in lines.pop()
    looks: dict[str, list[str]] = {}
    for line in lines:
        looks.setdefault(line["reconcile"], []).append(line["task"])
    assert sorted(looks.values()) == [["a"], ["a", "a"], ["b"], ["b", "b"], ["c"], ["c", "c"]]
