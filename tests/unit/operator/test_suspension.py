"""suspend and resume: the acknowledged stop, rest, and another attempt that is no failure."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.operator.test_decide import JOBS, RULES, condition, look, producer, started
from tests.unit.operator.worlds import (
    NOW,
    after,
    make_event,
    make_job,
    make_pod,
    make_task,
    received,
)

from loadertask_operator.configuration import read_configuration
from loadertask_operator.decide import decide
from loadertask_operator.manifests.environment import environment_of
from loadertask_operator.observed import Observed
from loadertask_operator.plan import Propagation

FINALIZER = ("streamforge.io/graceful-stop",)
KEPT = replace(JOBS["complete"], ttl_s=3600)


def suspending(at=0.0, status=None, suspend=True, **spec):
    """One look at a running load that is to rest."""
    said = None if status else "loading"
    task = make_task(status or started(**spec).status, suspend=suspend, **spec)
    return look(task, "active", make_pod(), said, at)


def answered(task, said="interrupted", job="complete", exit_code=0, at=2.0, **event):
    """A look after the worker's last word, which comes later than those before."""
    told = received(make_event(said, producer(task), **event), offset=6, time=after(at))
    pod = make_pod(exit_code=exit_code)
    return decide(Observed(task, job=JOBS[job], pod=pod, events=(told,)), RULES, after(at))


def suspended(**spec):
    """The status of a load that rests after an acknowledged stop."""
    asked = make_task(suspending(**spec).status, suspend=True, **spec)
    return answered(asked, written=7).status


def at_rest(plan):
    assert plan.status.phase == "Suspended"
    assert condition(plan, "Suspended") == ("True", "Suspended")
    assert condition(plan, "Running") == ("False", "Suspended")
    assert condition(plan, "Reconciling") == ("False", "Settled")
    assert plan.create is None
    return plan


def test_a_task_born_suspended_rests_without_a_job_or_a_finalizer():
    plan = at_rest(decide(Observed(make_task(suspend=True)), RULES, NOW))
    assert not plan.needs_finalizer
    assert [notice.reason for notice in plan.notices] == ["Suspended"]
    assert (plan.status.attempts, plan.status.failures) == (0, 0)
    again = decide(Observed(make_task(plan.status, suspend=True)), RULES, after(9999))
    assert (again.status, again.notices, again.recheck_at) == (plan.status, (), None)
    resumed = decide(Observed(make_task(plan.status)), RULES, after(9999))
    assert resumed.create.number == 1
    assert condition(resumed, "Suspended") == ("False", "Resumed")


def test_what_cannot_be_run_is_told_of_a_task_that_rests_as_well():
    task = make_task(suspend=True)
    plan = decide(Observed(task, spec_problems=("spec: no such broker",)), RULES, NOW)
    at_rest(plan)
    assert condition(plan, "Accepted") == ("False", "InvalidSpec")


def test_a_running_load_is_asked_to_stop_and_rests_when_it_has_answered():
    asked = suspending()
    assert asked.send_stop
    assert (asked.status.phase, asked.status.stop.commands_sent) == ("Stopping", 1)
    assert condition(asked, "Suspended") is None
    again = suspending(1, asked.status)
    assert again.send_stop
    task = replace(make_task(again.status, suspend=True), finalizers=FINALIZER)
    done = at_rest(answered(task, written=7))
    assert done.status.stop.commands_sent == 2
    past = done.status.attempt_history[-1]
    assert (past.outcome, past.reason, past.records_written) == ("Suspended", "Suspended", 7)
    assert done.status.failures == 0
    assert done.status.completion_time is None
    assert not done.needs_finalizer
    assert condition(done, "TelemetryFresh") == ("False", "Suspended")


def test_the_job_of_a_resting_task_gets_its_ttl_once_the_end_of_the_attempt_is_stored():
    rests = make_task(suspended(), suspend=True)
    plan = look(rests, "complete", at=3)
    assert plan.job_ttl_s == 3600
    assert plan.status == rests.status


def test_a_worker_that_does_not_answer_is_deleted_and_its_task_rests():
    status = suspending(30, suspending().status).status
    late = look(make_task(status, suspend=True), "active", make_pod(), at=31)
    assert late.delete_job is Propagation.FOREGROUND
    gone = at_rest(look(make_task(late.status, suspend=True), "none", at=32))
    assert gone.status.stop.method == "JobDeleted"
    assert gone.status.failures == 0


@pytest.mark.parametrize("at", [0, 90_000])
def test_a_resume_is_a_new_attempt_at_once_and_no_failure(at):
    task = make_task(suspended())
    plan = look(task, KEPT, at=at + 2)
    assert plan.create.number == 2
    assert plan.create.producer_id != producer(task)
    assert (plan.status.attempts, plan.status.failures) == (2, 0)
    assert plan.status.stop is None
    assert condition(plan, "Suspended") == ("False", "Resumed")
    assert plan.status.resumed_at == after(at + 2)
    assert [notice.reason for notice in plan.notices] == ["Resumed"]


def test_a_resume_waits_until_the_pod_of_the_old_attempt_has_ended():
    plan = look(make_task(suspended()), KEPT, make_pod(), at=3)
    assert plan.create is None
    assert "another attempt" in plan.status.message
    assert [notice.reason for notice in plan.notices] == ["Resumed"]
    assert look(make_task(plan.status), KEPT, make_pod(exit_code=0), at=4).create.number == 2


def test_a_resume_while_the_worker_stops_lets_it_end_and_goes_on_with_another():
    asked = suspending()
    taken_back = suspending(1, asked.status, suspend=False)
    assert taken_back.send_stop  # what was sent cannot be taken back: it is brought to its end
    assert taken_back.status.phase == "Stopping"
    task = make_task(taken_back.status)
    done = at_rest(answered(task))
    assert done.recheck_at == after(2)
    assert look(make_task(done.status), KEPT, at=2).create.number == 2


def test_a_stop_that_was_sent_before_the_resume_is_not_for_the_new_worker():
    task = make_task(suspended())
    resumed = look(task, KEPT, at=600).status
    configuration = read_configuration({"KAFKA_BOOTSTRAP_SERVERS": "k:1"})
    first = environment_of(started(), configuration, started().status.current_attempt)
    assert first.control_since == started().creation_time
    second = environment_of(make_task(resumed), configuration, resumed.current_attempt)
    assert second.control_since == after(602)


def test_a_second_resume_of_an_attempt_that_has_no_job_yet_is_remembered_before_it_gets_one():
    resumed = look(make_task(suspended()), KEPT, at=100).status
    rests = at_rest(look(make_task(resumed, suspend=True), "none", at=200)).status
    again = look(make_task(rests), "none", at=300)
    assert again.create == resumed.current_attempt
    assert again.status.resumed_at == after(300)
    assert [notice.reason for notice in again.notices] == ["Resumed"]
    stored = look(make_task(again.status), "none", at=301)
    assert stored.status == again.status


def test_suspend_while_waiting_for_a_retry_rests_at_once_and_keeps_the_failure():
    failed = look(started(), "failed", make_pod(exit_code=75), "error").status
    plan = at_rest(look(make_task(failed, suspend=True), "failed", at=1))
    assert plan.status.failures == 1
    assert plan.job_ttl_s == 3600
    resumed = look(make_task(plan.status), replace(JOBS["failed"], ttl_s=1), at=2)
    assert resumed.create is None  # its backoff holds, whoever resumed it
    assert resumed.recheck_at > after(2)


def test_a_job_that_still_runs_after_its_attempt_has_ended_is_deleted_while_the_task_rests():
    overdue = look(started(), "active", make_pod(), None, 300).status
    plan = at_rest(look(make_task(overdue, suspend=True), "active", at=301))
    assert plan.delete_job is Propagation.FOREGROUND


def test_suspend_before_the_job_exists_makes_none():
    stored = decide(Observed(make_task()), RULES, NOW).status
    plan = at_rest(decide(Observed(make_task(stored, suspend=True)), RULES, NOW))
    assert decide(Observed(make_task(plan.status)), RULES, after(9)).create.number == 1


def test_a_load_that_finishes_while_it_is_to_rest_is_complete():
    asked = make_task(suspending().status, suspend=True)
    plan = answered(asked, "finished")
    assert condition(plan, "Complete") == ("True", "LoadFinished")


def test_a_crash_on_the_way_to_rest_is_a_failure_and_rests():
    asked = make_task(suspending(backoffLimit=0).status, suspend=True, backoffLimit=0)
    plan = at_rest(look(asked, "failed", make_pod(exit_code=137)))
    assert plan.status.failures == 1
    assert plan.status.attempt_history[-1].reason == "WorkerCrashed"


def test_what_no_retry_can_mend_ends_a_task_on_its_way_to_rest():
    asked = make_task(suspending().status, suspend=True)
    plan = answered(asked, "error", "failed", 78)
    assert condition(plan, "Failed") == ("True", "BadConfiguration")


def test_somebody_elses_stop_of_a_task_that_is_to_rest_is_a_rest():
    plan = look(
        make_task(started().status, suspend=True), "complete", make_pod(exit_code=0), "interrupted"
    )
    at_rest(plan)


def test_stop_while_suspended_ends_the_task():
    plan = look(make_task(suspended(), suspend=True, stop=True), KEPT, at=9)
    assert condition(plan, "Complete") == ("True", "Stopped")
    assert condition(plan, "Suspended") == ("False", "Finished")
    assert plan.create is None


def test_stop_while_the_worker_stops_for_a_rest_goes_on_with_the_same_stop():
    asked = suspending().status
    task = make_task(asked, suspend=True, stop=True)
    plan = look(task, "active", make_pod(), at=1)
    assert plan.status.stop.requested_at == asked.stop.requested_at
    done = answered(make_task(plan.status, suspend=True, stop=True))
    assert condition(done, "Complete") == ("True", "Stopped")


def test_a_suspended_task_is_deleted_at_once():
    task = replace(make_task(suspended(), suspend=True), deletion_time=after(9))
    plan = look(replace(task, finalizers=FINALIZER), KEPT, at=9)
    assert not plan.needs_finalizer
    assert plan.create is None


def test_a_task_on_its_way_to_rest_is_deleted_with_the_stop_it_has():
    task = replace(
        make_task(suspending().status, suspend=True), deletion_time=after(1), finalizers=FINALIZER
    )
    plan = look(task, "active", make_pod(), at=1)
    assert plan.needs_finalizer
    assert plan.status.phase == "Stopping"
    assert not look(task, "complete", at=2).needs_finalizer


def test_a_rest_does_not_count_against_the_active_deadline():
    spec = {"activeDeadlineSeconds": 60}
    status = suspended(**spec)
    at_rest(look(make_task(status, suspend=True, **spec), KEPT, at=4000))
    resumed = look(make_task(status, **spec), KEPT, at=4000)
    assert resumed.create.number == 2
    task = make_task(resumed.status, **spec)
    job = make_job(attempt=2, created_at=after(4001))
    assert look(task, job, at=4059).status.phase == "Starting"
    assert look(task, job, at=4060).status.reason == "DeadlineExceeded"


def test_deciding_again_about_a_task_at_rest_changes_nothing():
    for status, job in ((suspended(), KEPT), (suspended(), None)):
        task = make_task(status, suspend=True)
        late = received(make_event("loading", producer(task)), offset=9, time=after(3))
        for events in ((), (late,)):
            plan = decide(Observed(task, job=job, events=events), RULES, after(4))
            assert at_rest(plan).status.conditions == status.conditions


@pytest.mark.parametrize("pod", [None, make_pod()])
def test_a_job_that_was_deleted_for_a_suspension_before_anybody_followed_it_is_not_made_again(pod):
    stored = decide(Observed(make_task()), RULES, NOW).status
    asked = look(make_task(stored, suspend=True), "active", pod).status
    assert asked.current_attempt.job_uid == "job-uid-1"
    late = look(make_task(asked, suspend=True), "active", pod, at=30)
    assert late.delete_job is Propagation.FOREGROUND
    rests = at_rest(look(make_task(late.status, suspend=True), "none", at=31)).status
    assert rests.attempt_history[-1].outcome == "Suspended"
    resumed = look(make_task(rests), "none", at=32)
    assert (resumed.create.number, resumed.status.attempts) == (2, 2)
    assert resumed.create.producer_id != stored.current_attempt.producer_id
    assert resumed.status.stop is None
