"""A ban of the venue holds back its own task and all others behind the same address."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

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
    termination,
)

from loadertask_operator.bans import Ban, Bans, believable
from loadertask_operator.decide import decide
from loadertask_operator.observed import JobOutcome, Observed
from loadertask_operator.schema import TaskKey
from loadertask_operator.status import Status

DEFAULT = "https://api.binance.com"
BAN = Ban("api.binance.com", after(500), TaskKey("loads", "other"))


def banned_task(until=500.0, **spec):
    return make_task(Status(banned_until=after(until)), **spec)


def banned(status="error", until=500.0, **changes):
    """A look after an event that tells of a ban; its pod may be gone."""
    task = started(**changes)
    event = make_event(status, producer(task), banned_until=after(until))
    pod = make_pod(exit_code=69) if status == "error" else None
    told = (received(event, 5),)
    return decide(Observed(task, job=JOBS["failed"], pod=pod, events=told), RULES, NOW)


def test_the_ban_in_an_error_event_holds_the_retry_and_is_told():
    plan = banned()
    assert plan.status.banned_until == after(500)
    assert "banned by the venue until 2026-01-01T12:08:20Z" in plan.status.message
    # Its pod may be gone meanwhile, and the operator another: the status holds the ban.
    kept = replace(JOBS["failed"], ttl_s=1)
    task = make_task(plan.status)
    assert decide(Observed(task, job=kept), RULES, after(499)).create is None
    assert decide(Observed(task, job=kept), RULES, after(500)).create.number == 2


def test_only_an_error_tells_of_a_ban():
    assert banned("loading").status.banned_until is None


@pytest.mark.parametrize(
    ("until", "believed"),
    [
        (after(60), after(60)),
        (after(60.2), after(61.2)),
        (after(-1), None),
        (None, None),
        (datetime.max.replace(tzinfo=NOW.tzinfo), NOW + timedelta(days=3)),
    ],
)
def test_the_end_of_a_ban_is_rounded_up_and_believed_within_the_bounds_of_the_venue(
    until, believed
):
    found = believable(until, NOW)
    if believed is None:
        assert found is None
    else:
        assert found.replace(microsecond=0) == believed.replace(microsecond=0)


def test_a_new_task_behind_the_same_address_waits_visibly_until_the_ban_is_over():
    task = make_task()
    plan = decide(Observed(task, ban=BAN), RULES, NOW)
    assert plan.create is None
    assert condition(plan, "Accepted") == ("False", "RateBudget")
    assert plan.status.message == (
        "api.binance.com bans this address until 2026-01-01T12:08:20Z, as loads/other was told"
    )
    assert plan.recheck_at == after(500)
    assert not plan.needs_finalizer
    assert condition(plan, "Stalled")[0] == "False"
    again = decide(Observed(make_task(plan.status), ban=BAN), RULES, after(499))
    assert (again.status, again.notices) == (plan.status, ())
    free = decide(Observed(make_task(plan.status), ban=BAN), RULES, after(500))
    assert free.create.number == 1
    assert condition(free, "Accepted") == ("True", "Valid")


def test_a_retry_and_a_stored_intent_wait_as_well_and_a_running_load_goes_on():
    stored = decide(Observed(make_task()), RULES, NOW).status
    assert decide(Observed(make_task(stored), ban=BAN), RULES, NOW).create is None
    failed = look(started(), "failed", make_pod(exit_code=75), "error").status
    kept = replace(JOBS["failed"], ttl_s=1)
    held = decide(Observed(make_task(failed), job=kept, ban=BAN), RULES, after(20))
    assert (held.create, held.status.reason) == (None, "RateBudget")
    going = decide(Observed(started(), job=JOBS["active"], ban=BAN), RULES, NOW)
    assert (going.status.phase, condition(going, "Accepted")[0]) == ("Starting", "True")


def test_a_stop_of_a_task_that_waits_for_the_end_of_a_ban_ends_it():
    plan = decide(Observed(make_task(stop=True), ban=BAN), RULES, NOW)
    assert condition(plan, "Complete") == ("True", "Stopped")


@pytest.mark.parametrize(
    ("banned_url", "url", "is_held"),
    [
        (None, None, True),
        (None, "https://api.binance.com/path", True),
        ("https://API.binance.com:443", None, True),
        ("http://replay:8080", None, False),
        ("http://replay:8080", "http://replay:9090", True),
        (None, "https://api1.binance.com", False),
    ],
)
def test_an_address_is_shared_by_the_host_of_the_api(banned_url, url, is_held):
    def spec(address):
        return {"binance": {"apiUrl": address}} if address else {}

    bans = Bans()
    bans.note(banned_task(**spec(banned_url)))
    found = bans.on(make_task(**spec(url)).spec, DEFAULT, NOW)
    assert (found is not None) == is_held


def test_of_several_bans_the_last_one_counts_and_each_expires():
    bans = Bans()
    bans.note(replace(banned_task(100), uid="sooner"))
    bans.note(replace(banned_task(300), name="later", uid="later"))
    bans.note(banned_task(200))
    spec = make_task().spec
    assert bans.on(spec, DEFAULT, after(150)) == Ban(
        "api.binance.com", after(300), TaskKey("loads", "later")
    )
    assert bans.on(spec, DEFAULT, after(300)) is None
    assert (bans._latest, bans._told) == ({}, {})


def test_a_ban_that_somebody_edited_into_a_status_holds_nobody_for_ever():
    bans = Bans()
    bans.note(banned_task(10**9))
    assert bans.on(make_task().spec, DEFAULT, NOW) is None
    failed = look(started(), "failed", make_pod(exit_code=75), "error").status
    edited = failed.model_copy(update={"banned_until": after(10**9)})
    kept = replace(JOBS["failed"], ttl_s=1)
    late = decide(Observed(make_task(edited), job=kept), RULES, NOW + timedelta(days=3))
    assert late.create.number == 2


def test_a_ban_that_somebody_takes_out_of_a_status_holds_nobody_any_more():
    bans, spec = Bans(), make_task().spec
    other = replace(banned_task(100), name="other", uid="other")
    for task in (banned_task(300), other):
        bans.note(task)
    assert bans.on(spec, DEFAULT, NOW).until == after(300)
    bans.note(banned_task(200))
    assert bans.on(spec, DEFAULT, NOW).until == after(200)
    bans.note(make_task())
    assert bans.on(spec, DEFAULT, NOW) == Ban("api.binance.com", after(100), other.key)
    bans.note(replace(make_task(), name="other", uid="other"))
    assert bans.on(spec, DEFAULT, NOW) is None
    assert (bans._latest, bans._told) == ({}, {})
    task = make_task(banned().status.model_copy(update={"banned_until": None}))
    kept = replace(JOBS["failed"], ttl_s=1)
    assert decide(Observed(task, job=kept), RULES, after(20)).create.number == 2


@pytest.mark.parametrize("end", [None, "finished"])
def test_a_ban_beyond_what_the_venue_can_say_is_taken_out_of_the_status_at_the_next_look(end):
    status = look(started(), "complete" if end else "active", make_pod(), end or "loading").status
    edited = status.model_copy(update={"banned_until": NOW + timedelta(days=30)})
    plan = look(make_task(edited), "complete" if end else "active", make_pod(), at=1)
    assert plan.status.banned_until is None
    assert plan.status.phase == status.phase
    longest = status.model_copy(update={"banned_until": NOW + timedelta(days=3)})
    kept = look(make_task(longest), "complete" if end else "active", make_pod(), at=1)
    assert kept.status.banned_until == NOW + timedelta(days=3)


def test_a_ban_that_is_over_holds_nobody_however_it_came_into_the_status():
    bans = Bans()
    bans.note(banned_task(-5))
    assert bans.on(make_task().spec, DEFAULT, NOW) is None


def test_a_ban_outlives_the_task_that_was_told_of_it():
    world_bans = Bans()
    world_bans.note(banned_task())
    assert world_bans.on(make_task().spec, DEFAULT, after(499)) is not None
    assert world_bans.on(None, DEFAULT, after(499)) is None
    successor = replace(make_task(), uid="of another task with the same name")
    world_bans.note(successor)
    assert world_bans.on(successor.spec, DEFAULT, after(499)) is not None


def ended_in_a_ban(task, until=500.0, at=0.0, message=""):
    """The plan after the current attempt of ``task`` has ended with 69."""
    number = task.status.current_attempt.number
    job = make_job(outcome=JobOutcome.FAILED, attempt=number, ended_at=after(at))
    pod = make_pod(exit_code=69, attempt=number, message=message, ended_at=after(at))
    events = ()
    if not message:
        event = make_event("error", producer(task), banned_until=after(until) if until else None)
        events = (received(event, 5, after(at)),)
    return decide(Observed(task, job=job, pod=pod, events=events), RULES, after(at))


def test_a_ban_holds_a_task_without_retries_until_it_ends_and_is_no_failure():
    plan = ended_in_a_ban(started(backoffLimit=0))
    assert (plan.status.phase, plan.status.failures, plan.status.attempts) == ("Retrying", 0, 1)
    assert "a ban, no failure" in plan.status.message
    assert plan.status.attempt_history[0].exit_code == 69
    task = make_task(plan.status, backoffLimit=0)
    kept = replace(JOBS["failed"], ttl_s=1)
    assert decide(Observed(task, job=kept), RULES, after(499)).create is None
    again = decide(Observed(task, job=kept), RULES, after(500))
    assert (again.create.number, again.create.job_name) == (2, "btc-2")
    assert (again.status.attempts, again.status.failures) == (2, 0)


def test_a_ban_that_only_the_termination_log_tells_of_is_no_failure_either():
    task = started(backoffLimit=0)
    message = termination("error", producer(task), banned_until=after(500))
    plan = ended_in_a_ban(task, message=message)
    assert (plan.status.phase, plan.status.banned_until) == ("Retrying", after(500))


def test_a_ban_that_is_over_when_the_operator_comes_to_it_is_no_failure_either():
    task = started(backoffLimit=0)
    message = termination("error", producer(task), banned_until=after(500))
    job, pod = JOBS["failed"], make_pod(exit_code=69, message=message, ended_at=NOW)
    plan = decide(Observed(task, job=job, pod=pod), RULES, after(3600))
    assert (plan.status.phase, plan.status.failures) == ("Retrying", 0)
    event = make_event("error", producer(task), banned_until=after(500))
    told = (received(event, 5, NOW),)
    plan = decide(
        Observed(task, job=job, pod=make_pod(exit_code=69), events=told), RULES, after(3600)
    )
    assert (plan.status.phase, plan.status.failures) == ("Retrying", 0)


@pytest.mark.parametrize("limit", [0, 4])
def test_an_exit_code_of_a_ban_that_tells_no_end_is_a_failure(limit):
    plan = ended_in_a_ban(started(backoffLimit=limit), until=None)
    assert (plan.status.phase, plan.status.failures) == ("Retrying" if limit else "Failed", 1)
    silent = look(started(backoffLimit=limit), "failed", make_pod(exit_code=69), None)
    assert silent.status.failures == 1


def test_the_ban_of_an_attempt_before_forgives_no_other():
    task = started()
    task = make_task(task.status.model_copy(update={"banned_until": after(-1)}))
    assert ended_in_a_ban(task, until=None).status.failures == 1


def test_a_crash_during_a_ban_is_a_failure():
    plan = look(started(), "failed", make_pod(exit_code=75), "error", banned_until=after(500))
    assert plan.status.failures == 1


def test_a_venue_that_bans_every_attempt_has_an_end():
    task, phases, at = started(backoffLimit=0), [], 0.0
    for number in range(1, 6):
        plan = ended_in_a_ban(task, until=at + 10, at=at)
        phases.append((plan.status.phase, plan.status.failures))
        if number == 5:
            break
        at += 60
        job = make_job(outcome=JobOutcome.FAILED, attempt=number, ttl_s=1)
        task = make_task(plan.status, backoffLimit=0)
        task = make_task(decide(Observed(task, job=job), RULES, after(at)).status, backoffLimit=0)
        job = make_job(attempt=number + 1, created_at=after(at))
        task = make_task(decide(Observed(task, job=job), RULES, after(at)).status, backoffLimit=0)
        assert task.status.current_attempt.number == number + 1
    assert phases == [("Retrying", 0)] * 4 + [("Failed", 1)]
    assert plan.status.reason == "WorkerError"
