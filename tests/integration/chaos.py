"""Blows at random moments: workers, broker and connections of loads that run side by side.

A load runs in a worker that is started again whenever it ends with "try again" or was killed, as
its Job would be.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tests.integration.cutting_proxy import CuttingProxy
from tests.integration.worker_process import Task, WorkerProcess, eventually, running_worker

from loadertask_contract.exit_codes import ExitCode
from loadertask_devstack.kafka import Kafka, broker

_COMES_BACK = (ExitCode.TRY_AGAIN, -signal.SIGKILL)
_LIFE_S = 120.0
_MOST_BETWEEN_BLOWS_S = 1.5
_MOST_BEFORE_BROKER_KILL_S = 5.0
_DURING_START = 0.15
"""Part of the blows that do not wait until a worker has begun to load."""


@dataclass
class Load:
    """One load and the worker that is at it."""

    name: str
    task: Task
    is_live: bool = False
    lives: int = 0
    worker: WorkerProcess | None = None

    async def run(self) -> None:
        """Start workers until one has loaded everything, or was asked to stop."""
        while True:
            async with running_worker(self.task.variables) as worker:
                self.lives += 1
                self.worker = worker
                try:
                    ended = await worker.ended(_LIFE_S)
                except TimeoutError:
                    said = "".join(worker.lines)[-3000:]
                    raise AssertionError(f"{self.name} does not end: {said}") from None
                self.worker = None
            if ended.exit_code == ExitCode.DONE:
                return
            said = f"{self.name} ended with {ended.exit_code}: {ended.stderr[-3000:]}"
            assert ended.exit_code in _COMES_BACK, said

    def kill(self) -> bool:
        """Kill the present worker; whether there was one."""
        if self.worker is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(self.worker.pid, signal.SIGKILL)
        return True

    def is_loading(self) -> bool:
        """Whether the present worker has begun."""
        return self.worker is not None and any("started:" in line for line in self.worker.lines)


class Blows:
    """Deals blows, and counts by what they hit those that hit something."""

    def __init__(
        self,
        loads: Sequence[Load],
        proxies: Mapping[str, CuttingProxy],
        kafka: Kafka,
        chance: random.Random,
    ) -> None:
        self._loads, self._proxies, self._kafka, self._random = loads, proxies, kafka, chance
        self._coming_back: asyncio.Future[Kafka] | None = None
        self.dealt: Counter[str] = Counter()

    async def rain(self, blows: int) -> None:
        """Deal so many blows: on every load for itself, and on the broker under all of them."""
        async with asyncio.TaskGroup() as group:
            fates = [group.create_task(self._strike(load, blows)) for load in self._loads]
            broker_kills = group.create_task(self._strike_broker())
            await asyncio.wait(fates)
            broker_kills.cancel()
        if self._coming_back:
            await self._coming_back

    async def _strike(self, load: Load, blows: int) -> None:
        while self.dealt.total() < blows:
            if self._random.random() > _DURING_START:
                await eventually(load.is_loading, _LIFE_S)
            await asyncio.sleep(self._random.uniform(0, _MOST_BETWEEN_BLOWS_S))
            target = self._random.choice([load.name, *self._proxies])
            proxy = self._proxies.get(target)
            self.dealt[target] += bool(proxy.cut()) if proxy else load.kill()

    async def _strike_broker(self) -> None:
        while True:
            # Loads get somewhere between two ends of the broker.
            await eventually(self._are_most_loading, _LIFE_S)
            await asyncio.sleep(self._random.uniform(0, _MOST_BEFORE_BROKER_KILL_S))
            await asyncio.to_thread(broker.kill, self._kafka.directory)
            start = asyncio.to_thread(broker.start, self._kafka.directory, progress=lambda _: None)
            self._coming_back = asyncio.ensure_future(start)
            await asyncio.shield(self._coming_back)
            self.dealt["broker"] += 1

    def _are_most_loading(self) -> bool:
        return sum(load.is_loading() for load in self._loads) * 2 > len(self._loads)
