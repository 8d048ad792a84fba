"""Several coroutines under way, results in the order they were asked for; knows no venue."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Iterable

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


async def boxed(coroutine: Coroutine[None, None, T]) -> tuple[T]:
    """The result in a tuple: for ``until_stop`` where it may be None."""
    return (await coroutine,)


async def in_order(
    coroutines: Iterable[Coroutine[None, None, T]], width: int, stop: asyncio.Event
) -> AsyncGenerator[T, None]:
    """Run at most ``width`` at a time and yield their results in order.

    Ends at once when ``stop`` is set or one fails, though an earlier one is still under way; what
    is finished before it is yielded, the rest is cancelled.
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
            await _until_first_is_done(running, stopped)
            if not running[0].done():
                return
            yield running.popleft().result()
    finally:
        await _cancel(stopped, *running)


async def _until_first_is_done(running: deque[asyncio.Task[T]], stopped: asyncio.Task[Any]) -> None:
    """Wait for the first of ``running`` or for the stop; raise what any of them raises before."""
    while not (running[0].done() or stopped.done()):
        under_way = {task for task in running if not task.done()}
        await asyncio.wait({*under_way, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not running[0].done():
            for task in (each for each in running if each.done()):
                task.result()


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
