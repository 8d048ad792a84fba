from __future__ import annotations

import time
from typing import cast

import pytest
from tests.unit.operator.test_reconcile import KEY, MemoryApi
from tests.unit.operator.worlds import make_job, make_task

from loadertask_operator.app import Operator
from loadertask_operator.cluster import Cluster
from loadertask_operator.configuration import read_configuration
from loadertask_operator.errors import UnavailableError

CONFIGURATION = read_configuration({"KAFKA_BOOTSTRAP_SERVERS": "k:1"})


def make_operator(api: MemoryApi) -> Operator:
    operator = Operator(CONFIGURATION, cast("Cluster", api))
    operator._store.remember_task(make_task())
    return operator


async def test_the_sweep_wakes_the_task_of_a_vanished_job():
    operator = make_operator(MemoryApi(make_task()))
    operator._store.remember_job(make_job())
    await operator._forget_vanished()
    assert operator._store.job("loads", "btc-1") is None
    assert operator._store.task(KEY)
    assert len(operator._queue) == 1


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
