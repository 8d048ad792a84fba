"""``activeDeadlineSeconds`` ends a task in every state, also one whose next Job cannot be made."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.operator.test_decide import RULES, started
from tests.unit.operator.test_reconcile import KEY, Harness
from tests.unit.operator.worlds import NOW, after, make_job, make_pod, make_task

from loadertask_operator.bans import Ban
from loadertask_operator.conditions import is_terminal
from loadertask_operator.decide import decide
from loadertask_operator.errors import RefusedError
from loadertask_operator.observed import JobOutcome, Observed
from loadertask_operator.overlaps import Rival
from loadertask_operator.schema import LoaderTask, TaskKey
from loadertask_operator.status import CurrentAttempt, PastAttempt

OTHER = TaskKey("loads", "other")
HOLDING = {
    "nothing": {},
    "a refusal": {"refusal": "exceeded quota"},
    "a taken name": {"job": make_job(owner_uid="other", attempt=2)},
    "a ban": {"ban": Ban("api.binance.com", after(86_400), OTHER)},
    "a rival": {"rival": Rival(OTHER, "same queueId")},
}


def second_attempt(**spec: object) -> LoaderTask:
    """A task whose first attempt has failed and whose second is stored and has no Job."""
    past = PastAttempt(
        number=1, outcome="Failed", reason="WorkerCrashed", start_time=NOW, completion_time=NOW
    )
    attempt = CurrentAttempt(number=2, job_name="btc-2", producer_id="loader-producer__x")
    changes = {"attempt_history": (past,), "current_attempt": attempt, "attempts": 2}
    return make_task(started(**spec).status.model_copy(update=changes), **spec)


@pytest.mark.parametrize("holding", HOLDING)
def test_a_task_that_is_held_before_its_next_job_ends_at_its_deadline(holding):
    observed = Observed(second_attempt(activeDeadlineSeconds=60), **HOLDING[holding])
    before = decide(observed, RULES, after(59)).status
    assert not is_terminal(before)
    plan = decide(observed, RULES, after(60))
    assert (plan.status.phase, plan.status.reason) == ("Failed", "DeadlineExceeded")
    assert plan.create is None
    assert plan.status.attempt_history == observed.task.status.attempt_history


@pytest.mark.parametrize("owner_uid", [None, "other"])
def test_a_worker_whose_job_was_taken_from_us_ends_at_the_deadline(owner_uid):
    task = started(activeDeadlineSeconds=600)
    job, pod = make_job(owner_uid=owner_uid), make_pod()
    going = decide(Observed(task, job=job, pod=pod), RULES, after(10))
    assert (going.status.phase, going.status.reason) == ("Running", "JobDisappeared")
    plan = decide(Observed(task, job=job, pod=pod), RULES, after(600))
    assert (plan.status.phase, plan.status.reason) == ("Failed", "DeadlineExceeded")


def test_another_job_in_the_place_of_ours_is_a_job_that_has_disappeared():
    task = started(backoffLimit=0)
    foreign = make_job(owner_uid="other")
    seen = decide(Observed(task, job=foreign), RULES, NOW)
    assert (seen.status.phase, seen.status.reason) == ("Running", "JobDisappeared")
    task = make_task(seen.status, backoffLimit=0)
    plan = decide(Observed(task, job=foreign), RULES, after(60))
    assert (plan.status.phase, plan.status.reason) == ("Failed", "JobDisappeared")
    assert plan.delete_job is None


async def test_another_job_of_the_name_of_an_ended_attempt_holds_no_retry():
    world = Harness()
    await world.settle()
    world.pod(1)
    world.job_ends(JobOutcome.FAILED)
    await world.settle()
    assert world.status.phase == "Retrying"
    another = replace(world.api.jobs["btc-1"], uid="another", owner_uid="another")
    world.api.jobs["btc-1"] = another
    world.store.forget_job("loads", "btc-1", "uid-btc-1")
    world.now += timedelta(seconds=30)
    await world.settle()
    assert world.api.created == ["btc-1", "btc-2"]


async def test_no_job_is_made_after_the_deadline_when_the_refusal_ends():
    world = Harness(activeDeadlineSeconds=60)
    await world.settle()
    world.pod(1)
    world.job_ends(JobOutcome.FAILED)
    await world.settle()
    create = world.api.create_job

    async def refuse(manifest):
        raise RefusedError(403, "exceeded quota")

    world.api.create_job = refuse
    world.now += timedelta(seconds=30)
    await world.settle()
    assert world.status.reason == "JobRefused"
    world.api.create_job = create
    world.now += timedelta(seconds=31)
    await world.settle()
    assert world.api.created == ["btc-1"]
    assert world.status.reason == "DeadlineExceeded"
    assert not world.api.tasks[KEY].finalizers


@pytest.mark.parametrize("holding", ["nothing", "a ban", "a rival"])
def test_a_task_between_two_attempts_ends_at_its_deadline(holding):
    spec = {"activeDeadlineSeconds": 60}
    changes = {"current_attempt": started().status.current_attempt}
    task = make_task(second_attempt(**spec).status.model_copy(update=changes), **spec)
    observed = Observed(task, **HOLDING[holding])
    assert not is_terminal(decide(observed, RULES, after(59)).status)
    plan = decide(observed, RULES, after(60))
    assert (plan.status.reason, plan.create) == ("DeadlineExceeded", None)
