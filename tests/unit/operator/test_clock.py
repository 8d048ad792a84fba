"""A clock that is set ends the operator before anything is decided by it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from tests.unit.operator.test_reconcile import KEY, MemoryApi
from tests.unit.operator.worlds import make_job, make_task

from loadertask_operator.app import Operator
from loadertask_operator.clock import Clock
from loadertask_operator.cluster import Cluster
from loadertask_operator.configuration import read_configuration
from loadertask_operator.errors import ClockSetError

STARTED_S = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


class Times:
    """A time of day and the steps of a clock, in seconds."""

    def __init__(self) -> None:
        self.of_day_s, self.steps_s = STARTED_S, 100.0
        self.clock = Clock(lambda: self.of_day_s, lambda: self.steps_s)

    def go_on(self, by_s: float, drift_s: float = 0.0) -> None:
        self.of_day_s += by_s + drift_s
        self.steps_s += by_s


def test_it_tells_the_time_and_follows_what_time_servers_do_slowly():
    times = Times()
    for _ in range(100):
        times.go_on(30, drift_s=0.5)
        assert times.clock().timestamp() == times.of_day_s
    assert times.clock() == datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=3050)


@pytest.mark.parametrize("by_s", [3600, -3600, 6, -6])
def test_a_step_is_an_error_for_good(by_s):
    times = Times()
    times.go_on(10)
    times.clock()
    times.of_day_s += by_s
    for _ in range(3):
        with pytest.raises(ClockSetError, match=re.escape(f"set by {by_s:+d} s")):
            times.clock()
        times.go_on(100)


def running_operator(monkeypatch) -> tuple[Operator, MemoryApi, Times]:
    """With one task, whose worker has just begun."""
    times = Times()
    monkeypatch.setattr("loadertask_operator.app.Clock", lambda: times.clock)
    monkeypatch.setattr("loadertask_operator.app._LOOP_INTERVAL_S", 0.01)
    api = MemoryApi(make_task())
    api.clock = times.clock
    configuration = read_configuration({"KAFKA_BOOTSTRAP_SERVERS": "k:1"})
    operator = Operator(configuration, cast("Cluster", api))
    operator._store.remember_task(make_task())
    api.jobs["btc-1"] = replace(make_job(), created_at=times.clock())
    return operator, api, times


@pytest.mark.parametrize("by_s", [3600, -3600])
async def test_no_load_is_touched_by_an_operator_whose_clock_was_set(monkeypatch, by_s):
    operator, api, times = running_operator(monkeypatch)
    for _ in range(5):
        await operator._reconcile(KEY)
        operator._store.remember_task(api.tasks[KEY])
    status, writes = api.tasks[KEY].status, api.writes
    assert status.phase == "Starting"
    times.of_day_s += by_s
    with pytest.raises(ClockSetError):
        await operator._reconcile(KEY)
    assert (api.tasks[KEY].status, api.writes, api.deleted) == (status, writes, [])


async def test_an_operator_whose_clock_was_set_ends(monkeypatch):
    operator, _, times = running_operator(monkeypatch)
    times.of_day_s += 3600
    with pytest.raises(ClockSetError):
        await operator._feel_the_loop()
