"""A pod that the cluster takes away: retried, and no failure, up to 20 times (design §10)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.operator.test_decide import JOBS, RULES, condition, look, producer, started
from tests.unit.operator.worlds import after, make_job, make_pod, make_task, termination

from loadertask_operator.decide import decide
from loadertask_operator.observed import JobOutcome, Observed
from loadertask_operator.status import PastAttempt

FAILURE = "PodFailurePolicy: Pod loads/btc-1-x has condition DisruptionTarget matching FailJob rule"
BY_RULE = make_job(outcome=JobOutcome.FAILED, failure=FAILURE)
EVICTED = make_pod(exit_code=75, is_disrupted=True)


@pytest.mark.parametrize(
    ("job", "pod", "said"),
    [
        (JOBS["failed"], EVICTED, "loading"),
        (JOBS["failed"], EVICTED, None),
        (JOBS["failed"], EVICTED, "error"),
        (JOBS["failed"], make_pod(exit_code=137, is_disrupted=True), "loading"),
        (BY_RULE, None, "loading"),
        (BY_RULE, None, None),
        (BY_RULE, make_pod(exit_code=75), None),
    ],
)
def test_a_disruption_is_retried_and_no_failure_even_without_any_retries(job, pod, said):
    plan = look(started(backoffLimit=0), job, pod, said)
    assert plan.status.phase == "Retrying"
    assert (plan.status.failures, plan.status.disruptions) == (0, 1)
    assert plan.status.attempt_history[-1].reason == "Disrupted"
    assert "no failure" in plan.status.message


@pytest.mark.parametrize(
    ("pod", "said", "phase", "reason"),
    [
        (make_pod(exit_code=78, is_disrupted=True), "error", "Failed", "BadConfiguration"),
        (make_pod(exit_code=65, is_disrupted=True), "error", "Failed", "SourceRejected"),
        (make_pod(exit_code=0, is_disrupted=True), "finished", "Succeeded", "LoadFinished"),
        (make_pod(exit_code=0, is_disrupted=True), "interrupted", "Stopped", "StoppedByCommand"),
        (
            make_pod(exit_code=137, end_reason="OOMKilled", is_disrupted=True),
            None,
            "Failed",
            "OOMKilled",
        ),
    ],
)
def test_what_a_worker_ended_for_by_itself_is_no_disruption(pod, said, phase, reason):
    plan = look(started(backoffLimit=0), JOBS["failed"], pod, said)
    assert (plan.status.phase, plan.status.reason) == (phase, reason)
    assert plan.status.disruptions == 0


def test_a_job_that_failed_by_another_rule_was_not_disrupted():
    by_exit_code = make_job(outcome=JobOutcome.FAILED, failure="PodFailurePolicy: exit code 1")
    plan = look(started(backoffLimit=0), by_exit_code, make_pod(exit_code=1))
    assert condition(plan, "Failed") == ("True", "WorkerCrashed")


def test_the_21st_disruption_counts_as_a_failure():
    task = started(backoffLimit=0)
    often = task.status.model_copy(update={"disruptions": 19})
    plan = look(make_task(often, backoffLimit=0), "failed", EVICTED)
    assert (plan.status.phase, plan.status.failures) == ("Retrying", 0)
    too_often = task.status.model_copy(update={"disruptions": 20})
    plan = look(make_task(too_often, backoffLimit=0), "failed", EVICTED)
    assert condition(plan, "Failed") == ("True", "Disrupted")


def test_a_disrupted_worker_that_was_to_stop_is_not_started_again():
    task = make_task(started().status, stop=True)
    assert condition(look(task, "failed", EVICTED), "Complete") == ("True", "Stopped")


def test_after_a_disruption_the_next_attempt_comes_after_the_first_delay():
    plan = look(started(), "failed", EVICTED)
    assert after(9) <= plan.recheck_at <= after(11)
    kept = replace(JOBS["failed"], ttl_s=3600)
    second = decide(Observed(make_task(plan.status), job=kept), RULES, after(11))
    assert second.create.number == 2


def test_a_ban_is_no_disruption():
    task = started()
    left = termination("error", producer(task), banned_until=after(500))
    pod = make_pod(exit_code=69, message=left, is_disrupted=True)
    plan = look(task, "failed", pod)
    assert (plan.status.failures, plan.status.disruptions) == (0, 0)


def test_a_disruption_is_forgiven_also_where_earlier_failures_are_beyond_the_limit():
    """Suspended while it failed, or with a limit that was lowered since: a resume goes on."""
    one = started(backoffLimit=0)
    failed = PastAttempt(
        number=1, outcome="Failed", reason="WorkerError", completion_time=after(10)
    )
    second = one.status.current_attempt.model_copy(
        update={"number": 2, "job_name": "btc-2", "job_uid": "job-uid-2"}
    )
    changes = {"attempt_history": (failed,), "current_attempt": second, "failures": 1}
    task = make_task(one.status.model_copy(update=changes), backoffLimit=0)
    job = make_job(attempt=2, outcome=JobOutcome.FAILED, ended_at=after(60), failure=FAILURE)
    drained = decide(Observed(task, job=job), RULES, after(125))
    assert drained.status.phase == "Retrying"
    again = make_task(drained.status, backoffLimit=0)
    assert decide(Observed(again, job=job), RULES, after(126)).status.phase == "Retrying"
