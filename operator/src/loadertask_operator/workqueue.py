"""A queue of keys: one key is worked on by one worker at a time, waiting twice is waiting once.

A failure is retried with exponential delay. kopf swallows what its event handlers raise, so the
handlers only add keys here. It knows nothing of what a key means.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

Key = TypeVar("Key")
Work = Callable[[Key], Awaitable[float | None]]


class Workqueue(Generic[Key]):
    """Runs ``work`` for added keys; it returns in how many seconds to run again, or None.

    Keys of which ``goes_first`` holds when they are added overtake the others that wait.
    """

    def __init__(
        self,
        work: Work[Key],
        *,
        workers: int = 16,
        retry_initial_s: float = 0.2,
        retry_max_s: float = 30.0,
        expected: tuple[type[Exception], ...] = (),
        goes_first: Callable[[Key], bool] = lambda key: False,
    ) -> None:
        self._work = work
        self._workers = workers
        self._retry_initial_s = retry_initial_s
        self._retry_max_s = retry_max_s
        self._expected = expected
        self._goes_first = goes_first
        self._ready: asyncio.PriorityQueue[tuple[bool, int, Key]] = asyncio.PriorityQueue()
        self._order = count()
        self._waiting: set[Key] = set()
        self._active: set[Key] = set()
        self._again: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._active)

    def add(self, key: Key) -> None:
        """Have ``key`` worked on as soon as possible, after its present run if there is one."""
        self._cancel_timer(key)
        if key in self._active:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait((not self._goes_first(key), next(self._order), key))

    def add_after(self, key: Key, delay_s: float) -> None:
        """Have ``key`` worked on in ``delay_s`` seconds, unless it is due earlier anyway."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer and timer.when() <= loop.time() + delay_s:
            return
        self._cancel_timer(key)
        self._timers[key] = loop.call_later(delay_s, self.add, key)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._workers):
                    group.create_task(self._work_on(), name=f"reconciler-{number}")
        finally:
            for key in tuple(self._timers):
                self._cancel_timer(key)

    async def _work_on(self) -> None:
        while True:
            _, _, key = await self._ready.get()
            self._waiting.discard(key)
            self._active.add(key)
            try:
                await self._run_once(key)
            finally:
                self._active.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)

    async def _run_once(self, key: Key) -> None:
        try:
            delay_s = await self._work(key)
        except Exception as error:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            delay_s = min(self._retry_initial_s * 2 ** min(failures - 1, 20), self._retry_max_s)
            logger.error(  # noqa: TRY400 - the traceback of an expected error says nothing
                "failed, tried again in %.1f s: %s",
                delay_s,
                error,
                extra={"task": str(key)},
                exc_info=not isinstance(error, self._expected),
            )
        else:
            self._failures.pop(key, None)
        if delay_s is not None:
            self.add_after(key, max(delay_s, 0))

    def _cancel_timer(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer:
            timer.cancel()
