"""The arbitration table of design operator §2, cell by cell, and what follows from each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.operator.worlds import (
    NOW,
    after,
    make_event,
    make_job,
    make_pod,
    make_task,
    received,
    termination,
)

from loadertask_operator.decide import decide
from loadertask_operator.observed import JobOutcome, Observed
from loadertask_operator.plan import Plan, Propagation
from loadertask_operator.situation import Rules
from loadertask_operator.status import Status

RULES = Rules(grace=timedelta(seconds=60))
JOBS = {
    "none": None,
    "active": make_job(),
    "complete": make_job(outcome=JobOutcome.COMPLETE),
    "failed": make_job(outcome=JobOutcome.FAILED),
}


def started(**spec):
    """A task whose first attempt has a Job, as the operator stores it."""
    fresh = decide(Observed(make_task(**spec)), RULES, NOW).status
    task = make_task(fresh, **spec)
    known = decide(Observed(task, job=make_job()), RULES, NOW).status
    return make_task(known, **spec)


def producer(task):
    return task.status.current_attempt.producer_id


def look(task, job="active", pod=None, said=None, at=0.0, **event) -> Plan:
    events = ()
    if said:
        events = (received(make_event(said, producer(task), **event), offset=5),)
    job_state = JOBS[job] if isinstance(job, str) else job
    return decide(Observed(task, job=job_state, pod=pod, events=events), RULES, after(at))


def condition(plan: Plan | Status, kind: str) -> tuple[str, str] | None:
    found = (plan.status if isinstance(plan, Plan) else plan).condition(kind)
    return (found.status, found.reason) if found else None


def test_a_new_task_gets_its_intent_stored_and_a_job_created():
    plan = decide(Observed(make_task()), RULES, NOW)
    assert plan.create == plan.status.current_attempt
    assert plan.create.job_name == "btc-1"
    assert plan.create.job_uid is None
    assert plan.needs_finalizer
    assert plan.status.attempts == 1
    assert plan.status.queue_id == "btc-11112222"
    assert plan.status.topic == "btc-11112222-data"
    assert condition(plan, "Accepted") == ("True", "Valid")
    assert plan.status.phase == "Pending"


def test_a_stored_intent_without_a_job_is_created_under_the_same_name_and_producer():
    stored = decide(Observed(make_task()), RULES, NOW).status
    again = decide(Observed(make_task(stored)), RULES, after(1))
    assert again.create == stored.current_attempt
    assert again.status == stored


def test_a_seen_job_is_remembered_by_its_uid():
    task = started()
    assert task.status.current_attempt.job_uid == "job-uid-1"
    assert task.status.phase == "Starting"
    assert task.status.start_time == NOW


GRACE = "grace"
TABLE = [
    # job, pod, last word, seconds after -> phase, reason
    ("active", None, None, 0, "Starting", "Starting"),
    ("active", make_pod(phase="Pending"), None, 0, "Starting", "Starting"),
    ("active", make_pod(phase="Pending"), "started", 0, "Running", "Receiving"),
    ("active", make_pod(phase="Pending"), "finished", 0, "Running", "Receiving"),
    ("active", make_pod(phase="Pending"), "interrupted", 0, "Stopping", "Stopping"),
    ("active", make_pod(phase="Pending"), "error", 0, "Running", "Receiving"),
    ("active", make_pod(), None, 0, "Starting", "Starting"),
    ("active", make_pod(), None, 300, "Retrying", "Retrying"),
    ("active", make_pod(), "started", 0, "Running", "Receiving"),
    ("active", make_pod(), "loading", 299, "Running", "Receiving"),
    ("active", make_pod(), "loading", 300, "Retrying", "Retrying"),
    ("active", make_pod(), "finished", 0, "Stopping", "Stopping"),
    ("active", make_pod(), "finished", 60, "Succeeded", "LoadFinished"),
    ("active", make_pod(), "interrupted", 0, "Stopping", "Stopping"),
    ("active", make_pod(), "interrupted", 60, "Stopped", "StoppedByCommand"),
    ("active", make_pod(), "error", 0, "Stopping", "Stopping"),
    ("active", make_pod(), "error", 60, "Retrying", "Retrying"),
    ("complete", None, None, 0, "Stopping", "Stopping"),
    ("complete", None, None, 60, "Retrying", "Retrying"),
    ("complete", None, "loading", 59, "Stopping", "Stopping"),
    ("complete", None, "loading", 60, "Retrying", "Retrying"),
    ("complete", None, "finished", 0, "Succeeded", "LoadFinished"),
    ("complete", None, "interrupted", 0, "Stopped", "StoppedByCommand"),
    ("complete", None, "error", 0, "Retrying", "Retrying"),
    ("failed", None, None, 0, "Stopping", "Stopping"),
    ("failed", None, None, 60, "Retrying", "Retrying"),
    ("failed", make_pod(exit_code=75), None, 0, "Retrying", "Retrying"),
    ("failed", make_pod(exit_code=137), "loading", 0, "Retrying", "Retrying"),
    ("failed", make_pod(exit_code=78), None, 0, "Failed", "BadConfiguration"),
    ("failed", make_pod(exit_code=65), "error", 0, "Failed", "SourceRejected"),
    ("failed", make_pod(exit_code=1), "finished", 0, "Succeeded", "LoadFinished"),
    ("failed", None, "interrupted", 0, "Stopped", "StoppedByCommand"),
    ("failed", make_pod(exit_code=75), "error", 0, "Retrying", "Retrying"),
    ("failed", None, "error", 59, "Stopping", "Stopping"),
    ("failed", None, "error", 60, "Retrying", "Retrying"),
    ("none", None, None, 0, "Running", "JobDisappeared"),
    ("none", None, "loading", 0, "Running", "JobDisappeared"),
    ("none", None, "finished", 0, "Succeeded", "LoadFinished"),
    ("none", None, "interrupted", 0, "Stopped", "StoppedByCommand"),
    ("none", None, "error", 0, "Retrying", "Retrying"),
]


@pytest.mark.parametrize(("job", "pod", "said", "at", "phase", "reason"), TABLE)
def test_the_arbitration_table(job, pod, said, at, phase, reason):
    plan = look(started(), job, pod, said, at)
    assert (plan.status.phase, plan.status.reason) == (phase, reason)
    assert plan.create is None


@pytest.mark.parametrize(
    ("job", "pod", "said", "at", "reason"),
    [
        ("complete", None, None, 60, "NoTerminalEvent"),
        ("complete", make_pod(exit_code=0), "error", 0, "WorkerError"),
        ("failed", None, None, 60, "WorkerCrashed"),
        ("failed", make_pod(exit_code=1), None, 0, "WorkerCrashed"),
        ("failed", make_pod(exit_code=0), None, 0, "WorkerCrashed"),
        ("failed", make_pod(exit_code=137, end_reason="OOMKilled"), None, 0, "OOMKilled"),
        ("failed", make_pod(exit_code=75), "error", 0, "WorkerError"),
        ("failed", make_pod(exit_code=69), "error", 0, "WorkerError"),
        ("active", None, None, 300, "StartupDeadlineExceeded"),
        ("none", None, "error", 0, "WorkerError"),
    ],
)
def test_without_retries_a_task_fails_for_the_reason_of_its_attempt(job, pod, said, at, reason):
    plan = look(started(backoffLimit=0), job, pod, said, at)
    assert condition(plan, "Failed") == ("True", reason)
    assert condition(plan, "Stalled") == ("True", reason)
    assert plan.status.attempt_history[-1].reason == reason
    assert plan.status.failures == 1
    assert condition(plan, "Running") == ("False", "Finished")


def test_an_error_is_judged_by_the_exit_code_of_a_pod_that_comes_into_view_late():
    waiting = look(started(), "failed", None, "error")
    assert waiting.status.phase == "Stopping"
    seen = look(make_task(waiting.status), "failed", make_pod(exit_code=78), at=1)
    assert condition(seen, "Failed") == ("True", "BadConfiguration")


def test_a_job_that_disappeared_is_unknown_first_and_a_failure_after_the_grace():
    task = started(backoffLimit=0)
    unknown = look(task, "none")
    assert condition(unknown, "Running") == ("Unknown", "JobDisappeared")
    assert unknown.recheck_at == after(60)
    still = decide(Observed(make_task(unknown.status, backoffLimit=0)), RULES, after(59))
    assert still.status == unknown.status
    failed = decide(Observed(make_task(unknown.status, backoffLimit=0)), RULES, after(60))
    assert condition(failed, "Failed") == ("True", "JobDisappeared")


def test_a_job_that_was_replaced_by_hand_is_not_taken_for_the_one_that_was_created():
    stranger = replace(make_job(), uid="another")
    plan = look(started(), stranger)
    assert plan.status.reason == "JobDisappeared"


def test_the_termination_log_is_enough_when_kafka_is_down():
    task = started()
    pod = make_pod(exit_code=0, message=termination("finished", producer(task), written=1440))
    plan = decide(
        Observed(task, job=JOBS["complete"], pod=pod, broker_is_reachable=False), RULES, NOW
    )
    assert condition(plan, "Complete") == ("True", "LoadFinished")
    assert plan.status.records_written == 1440


def test_the_termination_log_of_another_worker_proves_nothing():
    pod = make_pod(exit_code=0, message=termination("finished", "somebody__else"))
    assert look(started(), "complete", pod).status.phase == "Stopping"


def test_a_finished_load_with_a_failed_job_is_a_success_with_a_warning():
    plan = look(started(), "failed", make_pod(exit_code=1), "finished", written=1440)
    assert condition(plan, "Complete") == ("True", "LoadFinished")
    assert any(notice.is_warning for notice in plan.notices)


def test_a_success_keeps_count_history_and_finalizer_until_it_is_stored():
    task = replace(started(), finalizers=("streamforge.io/graceful-stop",))
    plan = look(task, "complete", make_pod(exit_code=0), "finished", written=1440)
    assert plan.status.records_written == 1440
    assert plan.status.completion_time == NOW
    assert plan.needs_finalizer
    assert plan.job_ttl_s is None
    assert plan.recheck_at == NOW
    assert condition(plan, "TelemetryFresh") == ("False", "Finished")
    assert condition(plan, "Reconciling") == ("False", "Settled")
    assert condition(plan, "Stalled") == ("False", "Settled")


def ended(**spec):
    task = started(**spec)
    plan = look(task, "complete", None, "finished")
    return replace(make_task(plan.status, **spec), finalizers=("streamforge.io/graceful-stop",))


def test_after_the_end_is_stored_the_job_gets_its_ttl_and_the_finalizer_goes():
    plan = decide(Observed(ended(), job=JOBS["complete"]), RULES, after(1))
    assert plan.job_ttl_s == 3600
    assert not plan.needs_finalizer
    assert not plan.delete_task


def test_an_ended_task_is_deleted_after_its_own_ttl_and_not_before():
    task = ended(ttlSecondsAfterFinished=30)
    early = decide(Observed(task), RULES, after(29))
    assert (early.delete_task, early.recheck_at) == (False, after(30))
    assert decide(Observed(task), RULES, after(30)).delete_task


def test_a_job_that_outlives_the_end_of_its_task_is_deleted():
    plan = decide(Observed(ended(), job=JOBS["active"]), RULES, after(1))
    assert plan.delete_job is Propagation.FOREGROUND
    assert plan.needs_finalizer


def test_a_late_event_is_counted_and_the_end_stays():
    task = ended()
    late = received(make_event("error", producer(task)), offset=9)
    plan = decide(Observed(task, events=(late,)), RULES, after(1))
    assert condition(plan, "Complete") == ("True", "LoadFinished")
    assert plan.status.telemetry.events_discarded == 1


def test_a_retry_waits_for_its_backoff_and_then_makes_a_second_attempt():
    failed = look(started(), "failed", make_pod(exit_code=75), "error")
    assert failed.status.failures == 1
    task = make_task(failed.status)
    waiting = decide(Observed(task, job=JOBS["failed"]), RULES, after(8))
    assert waiting.create is None
    assert after(9) <= waiting.recheck_at <= after(11)
    assert waiting.job_ttl_s == 3600
    late = decide(Observed(task, job=JOBS["failed"]), RULES, after(11))
    assert (late.create, late.job_ttl_s) == (None, 3600)
    kept = replace(JOBS["failed"], ttl_s=3600)
    second = decide(Observed(task, job=kept), RULES, after(11))
    assert second.create.number == 2
    assert second.create.job_name == "btc-2"
    assert second.create.producer_id != producer(task)
    assert second.status.attempts == 2


@pytest.mark.parametrize(("limit", "goes_on"), [(0, False), (1, True), (4, True)])
def test_a_lowered_limit_of_failures_holds_for_a_retry_that_waits(limit, goes_on):
    failed = look(started(), "failed", make_pod(exit_code=75), "error")
    task = make_task(failed.status, backoffLimit=limit)
    plan = decide(Observed(task, job=JOBS["failed"]), RULES, after(8))
    assert plan.create is None
    assert plan.status.phase == ("Retrying" if goes_on else "Failed")
    if not goes_on:
        assert condition(plan, "Failed") == ("True", "BackoffLimitExceeded")
        assert "spec.backoffLimit" in plan.status.message


@pytest.mark.parametrize("at", [20, 21])
def test_a_resume_is_no_retry_whatever_has_failed_before(at):
    failed = look(started(), "failed", make_pod(exit_code=75), "error")
    rests = decide(
        Observed(make_task(failed.status, suspend=True), job=JOBS["failed"]), RULES, after(10)
    )
    assert rests.status.phase == "Suspended"
    plan = rests
    for second in range(20, at + 1):
        task = make_task(plan.status, backoffLimit=0)
        plan = decide(Observed(task, job=JOBS["failed"]), RULES, after(second))
        assert plan.status.phase in {"Retrying", "Pending"}
    gone = decide(Observed(make_task(plan.status, backoffLimit=0)), RULES, after(at + 1))
    assert gone.create.number == 2


def test_no_second_worker_starts_while_the_first_job_may_run():
    failed = look(started(), "active", None, None, 300)
    assert failed.delete_job is Propagation.FOREGROUND
    plan = decide(Observed(make_task(failed.status), job=JOBS["active"]), RULES, after(400))
    assert plan.create is None
    assert plan.delete_job is Propagation.FOREGROUND
    # Its end wakes us: looking again and again meanwhile would keep a core busy.
    assert plan.recheck_at is None


def test_a_pod_that_outlives_its_job_is_followed_to_its_end_before_a_second_one_starts():
    orphan, ended = make_pod(), make_pod(exit_code=137)
    task = make_task(look(started(backoffLimit=1), "none", orphan, "loading", 0).status)
    assert task.status.reason == "JobDisappeared"
    assert look(task, "none", orphan, at=299).status.phase == "Running"
    error = received(make_event("error", producer(task)), offset=6, time=after(299))
    said = decide(Observed(task, pod=orphan, events=(error,)), RULES, after(299)).status
    assert said.phase == "Retrying"
    assert decide(Observed(make_task(said), pod=orphan), RULES, after(9000)).create is None
    assert decide(Observed(make_task(said), pod=ended), RULES, after(9000)).create.number == 2
    gone = look(task, "none", ended, at=299)
    assert gone.status.phase == "Retrying"


def test_the_grace_of_a_job_that_disappeared_begins_with_the_last_event():
    task = make_task(look(started(), "none").status)
    talking = received(make_event("loading", producer(task)), offset=6, time=after(59))
    plan = decide(Observed(task, events=(talking,)), RULES, after(61))
    assert plan.status.reason == "JobDisappeared"
    assert decide(Observed(task, events=(talking,)), RULES, after(119)).status.phase == "Retrying"


def test_the_active_deadline_ends_the_task_of_a_pod_that_outlives_its_job():
    spec = {"activeDeadlineSeconds": 600}
    task = make_task(look(started(**spec), "none", make_pod(), "loading").status, **spec)
    plan = look(task, "none", make_pod(), at=600)
    assert condition(plan, "Failed") == ("True", "DeadlineExceeded")


HANGING = replace(make_job(), is_deleting=True, deleted_at=NOW)


def test_a_job_whose_deletion_hangs_counts_as_gone_and_its_pod_does_not():
    failed = look(started(), "active", None, None, 300).status
    deleting = replace(HANGING, deleted_at=after(300))
    waiting = decide(Observed(make_task(failed), job=deleting), RULES, after(389))
    assert waiting.create is None
    assert waiting.recheck_at == after(390)
    later = decide(Observed(make_task(failed), job=deleting, pod=make_pod()), RULES, after(390))
    assert later.create is None
    assert decide(Observed(make_task(failed), job=deleting), RULES, after(390)).create.number == 2


def test_a_load_whose_job_somebody_deletes_without_end_is_retried_after_the_grace():
    task = make_task(look(started(), HANGING, None, "loading").status)
    assert look(task, HANGING, at=89).status.phase == "Running"
    unknown = look(task, HANGING, at=90)
    assert unknown.status.reason == "JobDisappeared"
    assert look(make_task(unknown.status), HANGING, at=150).status.phase == "Retrying"


def test_a_stop_ends_even_when_the_deletion_of_the_job_does_not():
    status = stopping(30, stopping(0).status).status
    hanging = replace(HANGING, deleted_at=after(30))
    waiting = stopping(119, status, job=hanging)
    assert waiting.status.phase == "Stopping"
    assert waiting.recheck_at == after(120)
    ended = stopping(120, status, job=hanging)
    assert condition(ended, "Complete") == ("True", "Stopped")
    assert any("did not end" in notice.message for notice in ended.notices)


def test_a_worker_without_a_job_is_asked_to_stop_too_and_its_task_ends_in_time():
    asked = stopping(0, started().status, job="none")
    assert asked.send_stop
    late = stopping(30, asked.status, job="none")
    assert late.recheck_at == after(90)
    assert stopping(89, late.status, job="none").status.phase == "Stopping"
    ended = stopping(90, late.status, job="none")
    assert condition(ended, "Complete") == ("True", "Stopped")


def test_a_stop_that_was_not_looked_at_until_its_time_was_over_ends_and_finds_rest():
    asked = stopping(0, started().status, job="none").status
    late = stopping(700, asked, job="none")
    assert late.recheck_at is None
    assert condition(stopping(701, late.status, job="none"), "Complete") == ("True", "Stopped")


def test_a_stop_while_the_pod_of_an_ended_attempt_hangs_ends_the_task():
    failed = look(started(), "active", make_pod(), None, 300).status
    asked = look(make_task(failed, stop=True), "none", make_pod(), at=400)
    assert asked.status.phase == "Stopping"
    over = look(make_task(asked.status, stop=True), "none", make_pod(), at=490)
    assert condition(over, "Complete") == ("True", "Stopped")


def test_the_deletion_of_an_ended_task_does_not_wait_for_ever_for_its_job():
    task = replace(ended(), deletion_time=NOW)
    alive = replace(make_job(), is_deleting=True)
    assert decide(Observed(task, job=alive), RULES, after(89)).needs_finalizer
    assert not decide(Observed(task, job=alive), RULES, after(90)).needs_finalizer


def test_a_ban_holds_back_the_retry():
    task = started()
    pod = make_pod(
        exit_code=69, message=termination("error", producer(task), banned_until=after(500))
    )
    failed = look(task, "failed", pod)
    assert failed.recheck_at == after(500)


def test_used_up_retries_say_so_and_name_the_last_reason():
    task = started(backoffLimit=1)
    first = look(task, "failed", make_pod(exit_code=75), "error")
    second = decide(Observed(make_task(first.status, backoffLimit=1)), RULES, after(20))
    task = make_task(second.status, backoffLimit=1)
    job = make_job(attempt=2, outcome=JobOutcome.FAILED, ended_at=after(30))
    pod = make_pod(exit_code=75, attempt=2)
    plan = decide(Observed(task, job=job, pod=pod), RULES, after(30))
    assert condition(plan, "Failed") == ("True", "BackoffLimitExceeded")
    assert "WorkerError" in plan.status.message
    assert [past.number for past in plan.status.attempt_history] == [1, 2]


def test_the_active_deadline_ends_the_task_without_a_retry():
    plan = look(started(activeDeadlineSeconds=60), "active", None, "loading", 60)
    assert condition(plan, "Failed") == ("True", "DeadlineExceeded")


@pytest.mark.parametrize(
    ("said", "phase"), [("finished", "Succeeded"), ("interrupted", "Stopped"), ("error", "Failed")]
)
def test_a_deadline_that_passes_after_the_last_word_leaves_the_end_as_it_was_said(said, phase):
    spec = {"activeDeadlineSeconds": 60, "backoffLimit": 0}
    task = make_task(look(started(**spec), "active", make_pod(), said, 0).status, **spec)
    assert task.status.phase == "Stopping"
    late = received(make_event("loading", producer(task)), offset=6, time=after(59))
    overdue = decide(
        Observed(task, job=JOBS["active"], pod=make_pod(), events=(late,)), RULES, after(59.5)
    )
    assert overdue.status.phase == "Stopping"
    assert look(task, "active", make_pod(), at=60).status.phase == phase
    last_word = received(make_event(said, producer(task)), offset=7, time=after(59))
    at_once = Observed(started(**spec), job=JOBS["active"], pod=make_pod(), events=(last_word,))
    assert decide(at_once, RULES, after(61)).status.phase == "Stopping"
    assert decide(at_once, RULES, after(119)).status.phase == phase


def test_a_last_word_in_the_termination_log_alone_waits_for_the_job_within_the_grace():
    task = started()
    left = termination("finished", producer(task), written=1440)
    pod = make_pod(exit_code=0, message=left, ended_at=after(400))
    assert look(task, "active", pod, at=402).status.phase == "Stopping"
    assert look(task, "active", pod, at=460).status.phase == "Succeeded"


def test_between_two_attempts_no_telemetry_is_fresh():
    plan = look(started(), "failed", make_pod(exit_code=1), "error")
    assert plan.status.phase == "Retrying"
    assert condition(plan, "TelemetryFresh") == ("False", "NoEventsYet")


def test_a_job_held_back_by_kueue_has_no_startup_deadline():
    plan = look(started(), make_job(is_suspended=True, is_queued=True), None, None, 4000)
    assert (plan.status.phase, plan.status.reason) == ("Pending", "JobSuspended")


# stop


def test_a_task_born_stopped_ends_without_a_job_or_a_finalizer():
    plan = decide(Observed(make_task(stop=True)), RULES, NOW)
    assert condition(plan, "Complete") == ("True", "Stopped")
    assert plan.create is None
    assert not plan.needs_finalizer


def stopping(seconds, status=None, said="loading", job="active"):
    task = make_task(status, stop=True) if status else make_task(started().status, stop=True)
    return look(task, job, make_pod(), said if status is None else None, seconds)


def test_stop_is_sent_again_after_1_2_4_seconds_until_the_timeout():
    sent_at, status, at = [], None, 0.0
    while at < 29:
        plan = stopping(at, status)
        if plan.send_stop:
            sent_at.append(at)
        status = plan.status
        at += 0.5
    assert sent_at == [0, 1, 3, 7, 15]
    assert status.stop.commands_sent == 5
    assert stopping(30, status).delete_job is Propagation.FOREGROUND


def test_a_worker_that_answered_is_not_asked_again_and_its_task_ends_as_stopped():
    asked = stopping(0).status
    task = make_task(asked, stop=True)
    said = received(make_event("interrupted", producer(task)), offset=7, time=after(1))
    plan = decide(Observed(task, job=JOBS["active"], events=(said,)), RULES, after(1))
    assert not plan.send_stop
    assert plan.status.stop.acknowledged_at == after(1)
    assert plan.status.stop.method == "Command"
    task = make_task(plan.status, stop=True)
    plan = decide(Observed(task, job=JOBS["complete"]), RULES, after(2))
    assert condition(plan, "Complete") == ("True", "Stopped")


def test_a_stop_that_comes_too_late_leaves_the_load_finished():
    task = make_task(started().status, stop=True)
    plan = look(task, "complete", None, "finished")
    assert condition(plan, "Complete") == ("True", "LoadFinished")


def test_a_pod_that_never_ran_cannot_be_asked_its_job_is_deleted():
    task = make_task(started().status, stop=True)
    plan = look(task, "active", make_pod(phase="Pending"))
    assert not plan.send_stop
    assert plan.delete_job is Propagation.FOREGROUND
    gone = decide(Observed(make_task(plan.status, stop=True)), RULES, after(2))
    assert condition(gone, "Complete") == ("True", "Stopped")


def test_a_crash_while_stopping_is_not_retried():
    task = make_task(stopping(0).status, stop=True)
    plan = look(task, "failed", make_pod(exit_code=137))
    assert condition(plan, "Complete") == ("True", "Stopped")


def test_a_stop_while_waiting_for_a_retry_ends_the_task():
    failed = look(started(), "failed", make_pod(exit_code=75), "error").status
    plan = decide(Observed(make_task(failed, stop=True), job=JOBS["failed"]), RULES, after(1))
    assert condition(plan, "Complete") == ("True", "Stopped")


# deletion


def deleted(status=None, **changes):
    task = make_task(status or started().status)
    return replace(task, deletion_time=NOW, finalizers=("streamforge.io/graceful-stop",), **changes)


def test_deletion_asks_the_worker_to_stop_and_keeps_the_finalizer():
    plan = look(deleted(), "active", make_pod(), "loading")
    assert plan.send_stop
    assert plan.needs_finalizer
    assert plan.status.phase == "Stopping"


@pytest.mark.parametrize("job", ["none", "complete", "failed"])
def test_deletion_lets_go_at_once_when_no_worker_runs(job):
    plan = look(deleted(), job)
    assert not plan.needs_finalizer
    assert plan.create is None


def test_deletion_never_creates_anything():
    task = replace(make_task(), deletion_time=NOW)
    plan = decide(Observed(task), RULES, NOW)
    assert plan.create is None


def test_deletion_is_bounded_whatever_job_and_kafka_do():
    first = look(deleted(), "active", make_pod(), "loading")
    asked = deleted(first.status)
    at_timeout = look(asked, "active", make_pod(), at=30)
    assert at_timeout.delete_job is Propagation.FOREGROUND
    stuck = replace(make_job(), is_deleting=True)
    assert look(deleted(at_timeout.status), stuck, make_pod(), at=89).needs_finalizer
    given_up = look(deleted(at_timeout.status), stuck, make_pod(), at=90)
    assert not given_up.needs_finalizer
    assert given_up.notices[0].reason == "GracefulStopTimedOut"


def test_the_annotation_skips_the_graceful_stop():
    plan = look(deleted(skips_graceful_stop=True), "active", make_pod(), "loading")
    assert not plan.needs_finalizer
    assert not plan.send_stop
    assert plan.delete_job is Propagation.BACKGROUND


# acceptance


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"type": "api_candles_7m"}, "spec.type"),
        ({"timeRange": "2023-01-02:2023-01-01"}, "spec.timeRange"),
        ({"symbol": None}, "spec.symbol"),
        ({"type": "ws_trades"}, "timeRange"),
    ],
)
def test_what_cannot_be_run_is_refused_visibly_naming_the_field(spec, named):
    plan = decide(Observed(make_task(**spec)), RULES, NOW)
    assert condition(plan, "Accepted") == ("False", "InvalidSpec")
    assert condition(plan, "Stalled") == ("True", "InvalidSpec")
    assert named in plan.status.message
    assert plan.create is None
    assert not plan.needs_finalizer


def test_a_job_of_somebody_else_is_a_name_conflict_until_it_goes():
    stored = decide(Observed(make_task()), RULES, NOW).status
    foreign = make_job(owner_uid="other")
    plan = decide(Observed(make_task(stored), job=foreign), RULES, NOW)
    assert condition(plan, "Accepted") == ("False", "NameConflict")
    assert [n.reason for n in plan.notices] == ["NameConflict"]
    again = decide(Observed(make_task(plan.status), job=foreign), RULES, NOW)
    assert again.notices == ()
    assert decide(Observed(make_task(plan.status)), RULES, NOW).create


def test_a_job_that_the_api_server_refuses_is_shown():
    stored = decide(Observed(make_task()), RULES, NOW).status
    plan = decide(Observed(make_task(stored), refusal="quota exceeded"), RULES, NOW)
    assert plan.status.reason == "JobRefused"
    assert "quota exceeded" in plan.status.message


# freshness and stuck pods


def test_telemetry_is_fresh_for_three_intervals_and_then_stale_only():
    plan = look(started(), "active", make_pod(), "loading")
    assert condition(plan, "TelemetryFresh") == ("True", "Receiving")
    assert plan.recheck_at == after(15)
    stale = look(make_task(plan.status), "active", make_pod(), at=15)
    assert condition(stale, "TelemetryFresh") == ("False", "Stale")
    assert stale.status.phase == "Running"
    assert condition(stale, "Stalled") == ("False", "Settled")


def test_an_unreachable_broker_is_told_and_changes_nothing_else():
    task = started()
    plan = decide(
        Observed(task, job=JOBS["active"], pod=make_pod(), broker_is_reachable=False), RULES, NOW
    )
    assert condition(plan, "TelemetryFresh") == ("False", "BrokerUnavailable")
    assert plan.status.phase == "Starting"


def test_a_missing_image_is_a_reason_at_once_and_stalled_after_the_grace():
    pod = make_pod(phase="Pending", waiting_reason="ImagePullBackOff", waiting_message="no such")
    task = started()
    assert condition(look(task, "active", pod), "Running") == ("False", "ImagePullBackOff")
    assert condition(look(task, "active", pod), "Stalled")[0] == "False"
    assert condition(look(task, "active", pod, at=60), "Stalled")[0] == "True"


def test_a_missing_secret_is_read_off_the_pod():
    pod = make_pod(
        phase="Pending",
        waiting_reason="CreateContainerConfigError",
        waiting_message='secret "kafka" not found',
    )
    plan = look(started(), "active", pod)
    assert condition(plan, "Accepted") == ("False", "SecretMissing")
    assert condition(plan, "Stalled")[0] == "True"


@pytest.mark.parametrize(("job", "pod", "said", "at", "phase", "reason"), TABLE)
def test_a_decision_about_its_own_result_changes_nothing_more(job, pod, said, at, phase, reason):
    first = look(started(), job, pod, said, at)
    second = decide(Observed(make_task(first.status), job=JOBS[job], pod=pod), RULES, after(at))
    assert second.status == first.status


# silence is evidence only for one who listens


def away(task, job, at, **observed):
    """An operator that came back 600 s after the start and has not read the events since."""
    facts = {"has_caught_up": False, "listening_since": after(600)} | observed
    return decide(Observed(task, job=JOBS[job], **facts), RULES, after(at))


def test_a_silence_while_the_operator_was_away_is_no_evidence():
    task = started(backoffLimit=0)
    assert away(task, "complete", 601).status.phase == "Stopping"
    assert away(task, "complete", 660).status.reason == "NoTerminalEvent"
    assert away(task, "active", 601).status.phase == "Starting"
    assert away(task, "active", 660).status.reason == "StartupDeadlineExceeded"


def test_a_running_pod_has_no_startup_deadline_while_its_events_cannot_be_read():
    task = started(backoffLimit=0)
    running, pending = make_pod(), make_pod(phase="Pending")
    deaf = {"has_caught_up": False, "listening_since": NOW, "broker_is_reachable": False}
    assert away(task, "active", 4000, pod=running, **deaf).status.phase == "Starting"
    assert away(task, "active", 4000, pod=pending, **deaf).status.phase == "Failed"
    heard = {"listening_since": after(4000), "has_caught_up": True}
    assert away(task, "active", 4059, pod=running, **heard).status.phase == "Starting"
    silent = away(task, "active", 4060, pod=running, **heard)
    assert silent.status.reason == "StartupDeadlineExceeded"


def test_a_crash_is_judged_when_the_events_before_it_have_been_read():
    task = started(backoffLimit=0)
    pod = make_pod(exit_code=75)
    assert away(task, "failed", 601, pod=pod).status.phase == "Stopping"
    heard = away(task, "failed", 601, pod=pod, has_caught_up=True)
    assert heard.status.reason == "WorkerError"
    assert away(task, "failed", 660, pod=pod).status.reason == "WorkerError"
