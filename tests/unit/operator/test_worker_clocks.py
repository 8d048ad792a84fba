"""Deadlines and freshness go by the operator's clock: a worker's may be wrong (decision 089)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.operator.test_decide import RULES, condition, producer, started
from tests.unit.operator.test_reconcile import Harness
from tests.unit.operator.worlds import (
    NOW,
    after,
    make_event,
    make_job,
    make_pod,
    make_task,
    received,
)

from loadertask_operator.decide import decide
from loadertask_operator.fold import fold
from loadertask_operator.observed import Observed
from loadertask_operator.status import Status, Telemetry

SPEC = {"backoffLimit": 0, "progressDeadlineSeconds": 60}
LIVE = SPEC | {"type": "ws_trades", "timeRange": None}
OFF_S = [-80_000, -4 * 3600, -400, 0, 400, 4 * 3600, 80_000]


def seen(task, *events, at=0.0, job=None, **observed):
    """A decision ``at`` seconds, with the Job at work."""
    job = job or make_job()
    return decide(
        Observed(task, job=job, pod=make_pod(), events=events, **observed), RULES, after(at)
    )


def says(task, status="loading", *, offset=0, at=0.0, off_s=0, is_old=False, **progress):
    """An event that came ``at`` seconds, of a worker whose clock is ``off_s`` ahead."""
    event = make_event(status, producer(task), **progress)
    return received(event, offset, after(at + off_s), at=after(at), is_old=is_old)


@pytest.mark.parametrize("off_s", OFF_S)
@pytest.mark.parametrize("kind", [SPEC, LIVE])
def test_a_worker_whose_clock_is_wrong_is_followed_like_any_other(kind, off_s):
    task = started(**kind)
    for second in range(5, 500, 5):
        event = says(task, offset=second, at=second, off_s=off_s, written=second)
        plan = seen(task, event, at=second + 1)
        assert plan.status.phase == "Running"
        assert condition(plan, "TelemetryFresh") == ("True", "Receiving")
        task = make_task(plan.status, **kind)
    silent = seen(task, at=495 + 15)
    assert condition(silent, "TelemetryFresh") == ("False", "Stale")
    assert seen(task, at=495 + 59).status.phase == "Running"
    assert seen(task, at=495 + 60).status.reason == "ProgressDeadlineExceeded"


@pytest.mark.parametrize("off_s", OFF_S)
def test_the_grace_after_a_last_word_goes_by_the_clock_that_heard_it(off_s):
    task = started(**SPEC)
    plan = seen(task, says(task, "finished", at=5, off_s=off_s), at=5)
    assert plan.status.phase == "Stopping"
    told = make_task(plan.status, **SPEC)
    assert seen(told, at=64).status.phase == "Stopping"
    assert seen(told, at=65).status.phase == "Succeeded"


def test_the_time_of_an_event_stays_the_one_of_its_record():
    status = seen(task := started(**SPEC), says(task, at=5, off_s=-400)).status
    assert status.last_event.time == after(-395)
    assert status.telemetry.last_heartbeat_time == after(5)


@pytest.mark.parametrize("kind", [SPEC, LIVE])
def test_events_from_before_a_restart_do_not_look_fresh(kind):
    task = started(**kind)
    old = [says(task, offset=n, at=3600, off_s=n - 3600, is_old=True) for n in (1, 2)]
    plan = seen(task, *old, at=3600, listening_since=after(3600))
    assert condition(plan, "TelemetryFresh") == ("False", "NoEventsYet")
    assert plan.status.telemetry.last_heartbeat_time == after(2)
    told = make_task(plan.status, **kind)
    assert seen(told, at=3659, listening_since=after(3600)).status.phase == "Running"
    standstill = seen(told, at=3660, listening_since=after(3600)).status
    assert standstill.reason == "ProgressDeadlineExceeded"


@pytest.mark.parametrize("off_s", OFF_S)
def test_what_a_worker_did_meanwhile_is_placed_by_how_far_its_clock_was_off_before(off_s):
    task = started(**SPEC)
    plan = seen(task, says(task, offset=1, at=5, off_s=off_s, written=1), at=5)
    told = make_task(plan.status, **SPEC)
    # It got further 100 s later, and the operator reads of it after another 20 s.
    event = says(told, offset=2, at=125, off_s=off_s - 20, written=2, is_old=True)
    status = seen(told, event, at=125, listening_since=after(125)).status
    assert status.telemetry.last_heartbeat_time == after(105)
    assert status.progress.last_progress_time == after(105)


@pytest.mark.parametrize("off_s", OFF_S)
def test_an_old_event_came_after_the_one_before_it_and_no_later_than_it_was_read(off_s):
    first, second = Status.model_validate(started().status), "loader-producer__another"
    status = fold(first, [received(make_event("loading", producer(started())), 1, after(5))])
    # Of a worker that was never heard, nobody knows how far its clock is off.
    attempt = status.current_attempt.model_copy(update={"producer_id": second})
    status = status.model_copy(update={"current_attempt": attempt})
    event = received(make_event("loading", second), 2, after(50 + off_s), at=after(90), is_old=True)
    heard_at = fold(status, [event]).telemetry.last_heartbeat_time
    assert after(5) <= heard_at <= after(90)


@pytest.mark.parametrize("off_s", OFF_S)
def test_a_replay_is_known_by_its_record_whatever_the_clocks_say(off_s):
    task = started()
    events = [says(task, offset=n, at=n, off_s=off_s) for n in (1, 2)]
    once = fold(task.status, events)
    again = [replace(event, received_at=after(500), is_old=True) for event in events]
    assert fold(once, again) == once


@pytest.mark.parametrize("edited", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", None])
def test_a_time_that_was_edited_by_hand_holds_nothing_back(edited):
    task = started(**SPEC)
    status = seen(task, says(task, at=5), at=5).status
    telemetry = Telemetry.model_validate(
        status.telemetry.model_dump() | {"last_heartbeat_time": edited}
    )
    odd = make_task(status.model_copy(update={"telemetry": telemetry}), **SPEC)
    assert condition(seen(odd, at=40), "TelemetryFresh") == ("False", "Stale")
    assert seen(odd, at=65).status.reason == "ProgressDeadlineExceeded"
    event = says(odd, offset=3, at=50, is_old=True)
    assert seen(odd, event, at=50).status.telemetry.last_heartbeat_time <= after(50)


async def test_an_operator_that_was_away_knows_old_events_from_new_ones():
    world = Harness()
    await world.settle()
    world.pod(None)
    world.say("started")
    await world.settle()
    assert condition(world.status, "TelemetryFresh") == ("True", "Receiving")
    world.now += timedelta(seconds=200)
    world.say("loading", written=1)
    world.now += timedelta(seconds=50)
    world.start()
    await world.settle()
    assert condition(world.status, "TelemetryFresh") == ("False", "NoEventsYet")
    assert world.status.telemetry.last_heartbeat_time == NOW + timedelta(seconds=200)
    world.say("loading", written=2)
    await world.settle()
    assert condition(world.status, "TelemetryFresh") == ("True", "Receiving")
