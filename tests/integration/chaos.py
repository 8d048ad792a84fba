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
# Bounds, not expectations: a machine may be slow, and a stream lives until it is hit.
_START_S = 120.0
_LIFE_S = 800.0
_MOST_BEFORE_A_BLOW_S = 1.5
BLOWS_A_ROUND = 9
_ROUNDS_A_BROKER = 3
"""The broker is killed in one of so many: more often it forgets markers (decision 079)."""
_DURING_START = 0.15
"""Part of the blows that do not wait until a worker has begun to load."""
_ON_THE_WORKER = 0.25
"""The others cut connections, of all loads. A worker takes a second of a processor to come back."""


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
        self.dealt: Counter[str] = Counter()

    async def rain(self, rounds: int) -> None:
        """Deal rounds of blows: on every load for itself, in some on the broker under all."""
        for past in range(rounds):
            enough = (past + 1) * BLOWS_A_ROUND
            async with asyncio.TaskGroup() as group:
                if past % _ROUNDS_A_BROKER == 0:
                    group.create_task(self._strike_broker())
                for load in self._loads:
                    group.create_task(self._strike(load, enough))

    async def _strike(self, load: Load, enough: int) -> None:
        def may_strike() -> bool:
            return load.is_loading() or self.dealt.total() >= enough

        while self.dealt.total() < enough:
            if self._random.random() > _DURING_START:
                await eventually(may_strike, _START_S)
            await self._hesitate()
            if self.dealt.total() < enough:
                self._hit(load)

    def _hit(self, load: Load) -> None:
        if self._random.random() < _ON_THE_WORKER:
            self.dealt[load.name] += load.kill()
            return
        name = self._random.choice([*self._proxies])
        self.dealt[name] += bool(self._proxies[name].cut())

    async def _strike_broker(self) -> None:
        # Loads get somewhere between two ends of the broker.
        await eventually(self._is_half_loading, _START_S)
        await self._hesitate()
        self.dealt["broker"] += 1
        await asyncio.to_thread(broker.kill, self._kafka.directory)
        await asyncio.to_thread(broker.start, self._kafka.directory, progress=lambda _: None)

    async def _hesitate(self) -> None:
        await asyncio.sleep(self._random.uniform(0, _MOST_BEFORE_A_BLOW_S))

    def _is_half_loading(self) -> bool:
        return sum(load.is_loading() for load in self._loads) * 2 >= len(self._loads)
