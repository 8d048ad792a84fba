"""A Job that Kueue or a person suspends has no pod: nothing runs, and no worker is silent."""

from __future__ import annotations

import pytest
from tests.unit.operator.test_decide import RULES, condition, look, producer, started
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
from loadertask_operator.observed import JobOutcome, Observed, parse_job

QUEUED = {"is_suspended": True, "is_queued": True}
BY_HAND = {"is_suspended": True}
LIMITS = {"backoffLimit": 0, "activeDeadlineSeconds": 60}


def again(plan, job, pod=None, at=0.0, **spec):
    """The next decision about what ``plan`` has stored."""
    return decide(Observed(make_task(plan.status, **spec), job=job, pod=pod), RULES, after(at))


@pytest.mark.parametrize("held", [QUEUED, BY_HAND])
def test_a_load_whose_job_is_suspended_does_not_run(held):
    running = look(started(), "active", make_pod(), "loading")
    assert condition(running, "Running") == ("True", "PodRunning")
    ending = again(running, make_job(**held), make_pod(), at=1)
    assert condition(ending, "Running") == ("True", "PodRunning")
    gone = again(ending, make_job(**held), at=2)
    assert condition(gone, "Running") == ("False", "JobSuspended")
    assert condition(gone, "TelemetryFresh") == ("False", "JobSuspended")
    assert (gone.status.phase, gone.status.reason) == ("Pending", "JobSuspended")
    assert gone.status.message == gone.status.condition("Running").message
    resumed = again(gone, make_job(started_at=after(9)), make_pod(), at=9)
    assert condition(resumed, "Running") == ("True", "PodRunning")
    assert (resumed.status.phase, resumed.status.reason) == ("Running", "Receiving")


@pytest.mark.parametrize("said", [None, "loading"])
def test_a_queue_has_time_without_end(said):
    task = started(**LIMITS)
    plan = look(task, make_job(**QUEUED), None, said)
    for second in (60, 3600, 10**6):
        plan = again(plan, make_job(**QUEUED), at=second, **LIMITS)
        assert plan.status.phase == "Pending"
        assert "queue" in plan.status.message
        assert plan.recheck_at is None or plan.recheck_at <= after(15)


def test_the_time_in_a_queue_is_not_the_time_of_the_task():
    plan = look(started(**LIMITS), make_job(**QUEUED))
    admitted = make_job(is_queued=True, started_at=after(500))
    task = make_task(plan.status, **LIMITS)
    event = received(make_event("loading", producer(task)), time=after(501))
    observed = Observed(task, job=admitted, pod=make_pod(), events=(event,))
    assert decide(observed, RULES, after(559)).status.phase == "Running"
    assert decide(observed, RULES, after(560)).status.reason == "DeadlineExceeded"


def test_without_a_queue_all_attempts_share_the_time_of_the_task():
    task = started(**LIMITS)
    late = make_job(started_at=after(30))
    plan = look(task, late, make_pod(), "loading", 59)
    assert plan.status.phase == "Running"
    assert look(task, late, make_pod(), "loading", 60).status.reason == "DeadlineExceeded"


@pytest.mark.parametrize(
    ("said", "reason"),
    [(None, "StartupDeadlineExceeded"), ("loading", "ProgressDeadlineExceeded")],
)
def test_a_job_suspended_by_hand_has_its_deadlines(said, reason):
    task = started(backoffLimit=0)
    assert look(task, make_job(**BY_HAND), None, said, 299).status.phase == "Pending"
    failed = look(task, make_job(**BY_HAND), None, said, 300)
    assert failed.status.reason == reason
    assert "suspended, and not by a queue" in failed.status.message


def test_the_active_deadline_holds_for_a_job_suspended_by_hand():
    plan = look(started(**LIMITS), make_job(**BY_HAND), None, "loading", 60)
    assert plan.status.reason == "DeadlineExceeded"


def test_a_stop_does_not_wait_for_the_answer_of_a_worker_without_a_pod():
    running = look(started(), "active", make_pod(), "loading")
    plan = again(running, make_job(**QUEUED), at=2, stop=True)
    assert (plan.send_stop, plan.delete_job) == (False, "Foreground")
    gone = again(plan, None, at=3, stop=True)
    assert gone.status.phase == "Stopped"


def test_the_queue_of_a_job_is_read_off_its_label():
    def queued(labels):
        metadata = {
            "namespace": "loads",
            "name": "btc-1",
            "uid": "u",
            "resourceVersion": "3",
            "creationTimestamp": f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
            "labels": labels,
        }
        return parse_job({"metadata": metadata}).is_queued

    assert queued({"kueue.x-k8s.io/queue-name": "fast"})
    assert not queued({})


def test_the_time_in_a_queue_is_none_of_the_deadline_also_when_the_worker_has_failed():
    spec = {"activeDeadlineSeconds": 600}
    made = decide(Observed(make_task(**spec)), RULES, NOW)
    held = again(made, make_job(**QUEUED), at=3600, **spec)
    task = make_task(held.status, **spec)
    word = received(make_event("loading", producer(task)), time=after(7201))
    job = make_job(is_queued=True, started_at=after(7200))
    running = decide(Observed(task, job=job, pod=make_pod(), events=(word,)), RULES, after(7201))
    assert running.status.phase == "Running"
    failed = make_job(
        is_queued=True,
        started_at=after(7200),
        outcome=JobOutcome.FAILED,
        ended_at=after(7210),
    )
    pod = make_pod(exit_code=137, ended_at=after(7210))
    retrying = again(running, failed, pod, at=7211, **spec)
    for at in (7211, 7212, 7215):
        retrying = again(retrying, failed, pod, at=at, **spec)
        assert retrying.status.phase == "Retrying"
