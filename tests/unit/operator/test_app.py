from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest
from tests.unit.operator.test_reconcile import KEY, MemoryApi
from tests.unit.operator.worlds import make_job, make_task

from loadertask_operator.app import Operator
from loadertask_operator.cluster import Cluster
from loadertask_operator.configuration import read_configuration
from loadertask_operator.errors import UnavailableError
from loadertask_operator.leadership import Leadership

CONFIGURATION = read_configuration({"KAFKA_BOOTSTRAP_SERVERS": "k:1"})


def make_operator(api: MemoryApi) -> Operator:
    operator = Operator(CONFIGURATION, cast("Cluster", api))
    operator._store.remember_task(make_task())
    return operator


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - the condition is not an event
            await asyncio.sleep(0.001)


async def test_the_sweep_wakes_the_task_of_a_vanished_job():
    operator = make_operator(MemoryApi(make_task()))
    operator._store.remember_job(make_job())
    await operator._forget_vanished()
    assert operator._store.job("loads", "btc-1") is None
    assert operator._store.task(KEY)
    assert len(operator._queue) == 1


async def test_the_sweep_wakes_everything_but_not_all_of_it_at_once():
    operator = make_operator(MemoryApi(make_task()))
    operator._store.remember_task(replace(make_task(), name="other", uid="other"))
    operator._wake_active(within_s=7200.0)
    await until(lambda: len(operator._queue) >= 1)
    assert len(operator._queue) == 1
    operator._wake_active()
    await until(lambda: len(operator._queue) == 2)


async def test_the_sweep_outlives_an_api_server_that_does_not_answer():
    api = MemoryApi(make_task())
    api.failures = [UnavailableError(0, "away")]
    operator = make_operator(api)
    await operator._forget_vanished()
    assert operator._store.task(KEY)
    assert len(operator._queue) == 0


async def test_failing_is_no_reason_to_be_restarted(monkeypatch):
    api = MemoryApi(make_task())
    operator = make_operator(api)
    operator._queue.add(KEY)
    begun_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: begun_s + 301)
    assert "none was finished" in (operator._liveness() or "")
    api.failures = [UnavailableError(0, "away")]
    with pytest.raises(UnavailableError):
        await operator._reconcile(KEY)
    assert operator._liveness() is None


async def test_an_event_loop_that_stood_for_too_long_fails_the_liveness(monkeypatch):
    monkeypatch.setattr("loadertask_operator.app._LOOP_INTERVAL_S", 0.01)
    operator = make_operator(MemoryApi(make_task()))
    feeling = asyncio.create_task(operator._feel_the_loop())
    await asyncio.sleep(0.05)
    assert operator._liveness() is None
    stood_s, true_clock = 11, time.monotonic
    # As if nothing had run for so long: this is what the probe is for.
    monkeypatch.setattr(operator._vitals, "_clock_s", lambda: true_clock() + stood_s)
    assert "the event loop has not gone round" in (operator._liveness() or "")
    time.sleep(0.2)  # noqa: ASYNC251 - and this is what the metric is for
    await asyncio.sleep(0.05)
    assert operator._liveness() is None
    feeling.cancel()
    lag = operator._metrics.registry.get_sample_value("loadertask_loop_lag_seconds_sum")
    assert lag is not None
    assert lag >= 0.15


async def test_a_standby_is_ready_and_a_starting_leader_is_not_until_it_knows_the_tasks():
    operator = make_operator(MemoryApi(make_task()))
    assert operator._readiness() == "the tasks are not listed yet"

    class Lease:
        async def acquire(self, beat: Callable[[], None]) -> None:
            beat()
            assert operator._readiness() is None

    await operator._win(cast("Leadership", Lease()))
    assert operator._readiness()
