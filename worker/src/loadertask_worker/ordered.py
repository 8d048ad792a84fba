"""Several coroutines under way, results in the order they were asked for; knows no venue."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable

T = TypeVar("T")


async def until_stop(coroutine: Coroutine[None, None, T], stop: asyncio.Event) -> T | None:
    """The result of ``coroutine``, or None when ``stop`` came first and it was cancelled."""
    wanted = asyncio.create_task(coroutine)
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({wanted, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return wanted.result() if wanted.done() else None
    finally:
        await _cancel(wanted, stopped)


async def in_order(
    coroutines: Iterable[Coroutine[None, None, T]], width: int, stop: asyncio.Event
) -> AsyncIterator[T]:
    """Run at most ``width`` at a time and yield their results in order.

    Ends at once when ``stop`` is set or one fails; what is still under way is cancelled then.
    """
    waiting = iter(coroutines)
    running: deque[asyncio.Task[T]] = deque()
    stopped = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            while len(running) < width and (coroutine := next(waiting, None)) is not None:
                running.append(asyncio.create_task(coroutine))
            if not running:
                return
            await asyncio.wait({running[0], stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not running[0].done():
                return
            yield running.popleft().result()
    finally:
        await _cancel(stopped, *running)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
