"""A status that somebody edited by hand: whatever times it holds, the task comes to its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.operator.test_decide import JOBS, RULES, ended, look, started
from tests.unit.operator.test_reconcile import KEY, Harness
from tests.unit.operator.worlds import NOW, after, make_pod, make_task, task_body

from loadertask_operator.conditions import is_terminal
from loadertask_operator.decide import decide
from loadertask_operator.observed import JobOutcome, Observed
from loadertask_operator.schema import parse_task
from loadertask_operator.status import StopMethod, StopStatus

NEVER = NOW + timedelta(days=36_500)
FUTURE_STOP = StopStatus(requested_at=NEVER, commands_sent=10**9)


def edited(status, **fields):
    return make_task(status.model_copy(update=fields), backoffLimit=1)


@pytest.mark.parametrize("method", [None, StopMethod.JOB_DELETED])
@pytest.mark.parametrize("job", ["active", "none"])
def test_a_stop_that_was_asked_for_in_times_to_come_is_asked_for_now(method, job):
    stop = FUTURE_STOP.model_copy(update={"method": method})
    status = started().status.model_copy(update={"stop": stop})
    plan = look(make_task(status, stop=True), job, make_pod(), "loading")
    assert plan.send_stop
    assert (plan.status.stop.requested_at, plan.status.stop.commands_sent) == (NOW, 1)


def test_no_number_of_commands_is_too_large_to_count_on():
    stop = StopStatus(requested_at=NOW, commands_sent=10**9)
    status = started().status.model_copy(update={"stop": stop})
    plan = look(make_task(status, stop=True), "active", make_pod(), "loading", 1)
    assert not plan.send_stop
    assert plan.recheck_at == after(15)  # the next sign of the worker is due before the timeout


def test_a_retry_does_not_wait_for_an_end_that_is_said_to_be_in_times_to_come():
    failed = look(started(), "failed", make_pod(exit_code=75), "error").status
    past = failed.attempt_history[0].model_copy(update={"completion_time": NEVER})
    kept = replace(JOBS["failed"], ttl_s=1)
    assert look(edited(failed, attempt_history=(past,)), kept, at=1).create.number == 2


def test_an_event_of_times_to_come_delays_no_end():
    said = look(started(), "active", make_pod(), "finished").status
    last = said.last_event.model_copy(update={"time": NEVER})
    assert look(edited(said, last_event=last), "active", make_pod(), at=60).status.phase == (
        "Succeeded"
    )


def test_a_job_that_has_disappeared_in_times_to_come_is_missed_now():
    gone = look(started(), "none", None, "loading").status
    running = gone.condition("Running").model_copy(update={"last_transition_time": NEVER})
    others = tuple(one for one in gone.conditions if one.type != "Running")
    plan = look(edited(gone, conditions=(*others, running)), "none", at=60)
    assert plan.status.phase == "Retrying"


@pytest.mark.parametrize(
    "fields",
    [
        {"stop": FUTURE_STOP},
        {"banned_until": NEVER},
        {"last_event": None, "telemetry": None},
        {"start_time": NEVER},
        {"phase": None, "reason": None, "conditions": ()},
        {"failures": 10**9, "attempts": 10**9, "disruptions": 10**9},
    ],
    ids=lambda fields: "+".join(fields),
)
async def test_a_load_whose_status_was_edited_comes_to_an_end_by_time_alone(fields):
    world = Harness(backoffLimit=1)
    await world.settle()
    world.pod(None)
    world.say("loading", written=1)
    await world.settle()
    world.api._store(replace(world.task, status=world.status.model_copy(update=fields)))
    for _ in range(40):
        await world.settle()
        world.api.end_deletions()
        if is_terminal(world.status):
            break
        world.now += timedelta(seconds=301)
    assert is_terminal(world.status), world.status.message
    assert KEY in world.api.tasks


def seen_without_attempt(world, *gone):
    """The task as the API server shows it after somebody has removed fields of its status."""
    body = task_body(world.status)
    for field in ("currentAttempt", *gone):
        del body["status"][field]
    task = parse_task(body)
    version = world.task.resource_version + 1
    world.api.tasks[KEY] = replace(
        world.task, status=task.status, resource_version=version, finalizers=world.task.finalizers
    )


@pytest.mark.parametrize("gone", [(), ("attempts",), ("attemptHistory",)])
async def test_an_attempt_that_was_edited_away_is_the_one_that_runs(gone):
    world = Harness(retryBackoff={"initialSeconds": 1, "maxSeconds": 1})
    await world.settle()
    world.say("started")
    world.pod(75)
    world.job_ends(JobOutcome.FAILED)
    await world.settle()
    assert world.status.phase == "Retrying"
    if gone != ("attempts",):
        world.now += timedelta(seconds=2)
        await world.settle()
        assert world.api.created == ["btc-1", "btc-2"]
    stored = world.status
    seen_without_attempt(world, *gone)
    world.start()
    await world.settle()
    assert world.status.current_attempt.job_name == stored.current_attempt.job_name
    assert world.status.current_attempt.producer_id == stored.current_attempt.producer_id
    world.now += timedelta(seconds=2)
    await world.settle()  # MemoryApi asserts: one Job at a time, and each once
    assert world.api.created == ["btc-1", "btc-2"]
    assert world.status.current_attempt == stored.current_attempt or gone == ("attempts",)


async def test_a_retry_whose_end_was_edited_out_of_the_history_comes():
    world = Harness()
    await world.settle()
    world.say("started")
    world.pod(75)
    world.job_ends(JobOutcome.FAILED)
    await world.settle()
    assert world.status.phase == "Retrying"
    past = world.status.attempt_history[0].model_copy(update={"completion_time": None})
    edited = world.status.model_copy(update={"attempt_history": (past,)})
    world.api._store(replace(world.task, status=edited))
    world.now += timedelta(seconds=12)
    await world.settle()
    assert world.api.created == ["btc-1", "btc-2"]


@pytest.mark.parametrize("completion_time", [None, NEVER])
def test_an_ended_task_goes_after_its_ttl_whatever_time_it_is_said_to_have_ended_at(
    completion_time,
):
    done = ended(ttlSecondsAfterFinished=60)
    status = done.status.model_copy(update={"completion_time": completion_time})
    task = replace(done, status=status, finalizers=())
    early = decide(Observed(task), RULES, after(59))
    assert (early.delete_task, early.recheck_at) == (False, after(60))
    assert decide(Observed(task), RULES, after(60)).delete_task
