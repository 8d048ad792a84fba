from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.unit.operator.worlds import NOW, make_task

from loadertask_operator.lifetimes import Lifetimes
from loadertask_operator.metrics import Metrics
from loadertask_operator.status import LastEvent, Phase, Status, StopStatus


class World:
    def __init__(self) -> None:
        self.metrics = Metrics()
        self.lifetimes = Lifetimes(self.metrics)
        self.task = replace(make_task(), creation_time=NOW, status=Status())

    def note(self, after_s: float, **changes: object) -> None:
        after = self.task.status.model_copy(update=changes)
        self.lifetimes.note(self.task, after, NOW + timedelta(seconds=after_s))
        self.task = replace(self.task, status=after)

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"loadertask_{name}", labels)


def test_each_phase_is_measured_when_it_is_left_from_the_creation_on():
    world = World()
    world.note(2, phase=Phase.STARTING)
    world.note(5, phase=Phase.STARTING, records_written=1)
    world.note(9, phase=Phase.RUNNING)
    assert world.sample("time_in_phase_seconds_sum", phase="Pending") == 2
    assert world.sample("time_in_phase_seconds_sum", phase="Starting") == 7
    assert world.sample("time_in_phase_seconds_count", phase="Running") is None


def test_a_phase_that_began_before_this_process_is_not_measured():
    world = World()
    world.task = replace(world.task, status=Status(phase=Phase.RUNNING))
    world.note(500, phase=Phase.STOPPING)
    world.note(503, phase=Phase.STOPPED)
    assert world.sample("time_in_phase_seconds_count", phase="Running") is None
    assert world.sample("time_in_phase_seconds_sum", phase="Stopping") == 3


def test_the_start_is_measured_once_by_the_first_event():
    world = World()
    event = LastEvent(status="started", producer="p", time=NOW)
    world.note(4, last_event=event)
    world.note(9, last_event=event.model_copy(update={"status": "loading"}))
    assert world.sample("start_latency_seconds_count") == 1
    assert world.sample("start_latency_seconds_sum") == 4


def test_a_stop_is_measured_from_its_request_to_its_acknowledgement_once():
    world = World()
    world.note(1, stop=StopStatus(requested_at=NOW))
    assert world.sample("stop_ack_seconds_count") == 0
    acknowledged = StopStatus(requested_at=NOW, acknowledged_at=NOW + timedelta(seconds=3))
    world.note(4, stop=acknowledged)
    world.note(5, stop=acknowledged, records_written=2)
    assert world.sample("stop_ack_seconds_count") == 1
    assert world.sample("stop_ack_seconds_sum") == 3
