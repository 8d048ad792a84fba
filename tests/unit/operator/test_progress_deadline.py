"""A load that gets no further within progressDeadlineSeconds counts as failed (design §10)."""

from __future__ import annotations

import pytest
from tests.unit.operator.test_decide import JOBS, RULES, condition, look, producer, started
from tests.unit.operator.worlds import NOW, after, make_event, make_job, make_task, received

from loadertask_operator.decide import decide
from loadertask_operator.observed import Observed

SPEC = {"backoffLimit": 0, "progressDeadlineSeconds": 60}
LIVE = SPEC | {"type": "ws_trades", "timeRange": None}


def heard(task, *events, job=JOBS["active"], at=0.0, **observed):
    """A decision after events of (seconds, status, what it says)."""
    told = tuple(
        received(make_event(status, producer(task), **says), offset, after(seconds))
        for offset, (seconds, status, says) in enumerate(events)
    )
    return decide(Observed(task, job=job, events=told, **observed), RULES, after(at))


@pytest.mark.parametrize(
    ("second", "fails_at"),
    [
        ((50, "loading", {"written": 2}), 110),
        ((50, "loading", {"loaded_through": after(1)}), 110),
        ((50, "loading", {"written": 1}), 60),
        ((50, "loading", {"loaded_through": NOW}), 60),
        ((50, "loading", {"written": 1, "message": "still trying"}), 60),
    ],
)
def test_only_more_records_or_later_data_is_progress(second, fails_at):
    first = (0, "loading", {"written": 1, "loaded_through": NOW})
    task = started(**SPEC)
    going = heard(task, first, second, at=fails_at - 1)
    assert going.status.phase == "Running"
    assert going.recheck_at in {after(fails_at), after(65)}  # 65: its telemetry is stale
    failed = heard(task, first, second, at=fails_at)
    assert condition(failed, "Failed") == ("True", "ProgressDeadlineExceeded")
    assert "spec.progressDeadlineSeconds" in failed.status.message


@pytest.mark.parametrize("kind", [SPEC, LIVE])
def test_a_worker_that_speaks_more_rarely_than_the_deadline_stands_not_still(kind):
    task = started(**kind, telemetryInterval=300)
    event = (0, "loading", {"written": 1})
    assert heard(task, event, at=899).status.phase == "Running"
    assert heard(task, event, at=900).status.reason == "ProgressDeadlineExceeded"


@pytest.mark.parametrize("kind", [SPEC, LIVE])
def test_a_changed_telemetry_interval_is_for_the_next_worker(kind):
    job = make_job(telemetry_interval_s=300)
    begun = heard(started(**kind, telemetryInterval=300), (0, "loading", {"written": 1}), job=job)
    edited = make_task(begun.status, **kind, telemetryInterval=5)
    going = heard(edited, job=job, at=899)
    assert going.status.phase == "Running"
    assert condition(going, "TelemetryFresh") == ("True", "Receiving")
    assert heard(edited, job=job, at=900).status.reason == "ProgressDeadlineExceeded"


def test_the_clock_begins_with_the_first_event_and_is_kept_in_the_status():
    task = started(**SPEC)
    begun = heard(task, (30, "started", {}), at=30)
    assert begun.status.progress.last_progress_time == after(30)
    again = make_task(begun.status, **SPEC)
    assert heard(again, (80, "loading", {}), at=89).status.phase == "Running"
    assert heard(again, (80, "loading", {}), at=90).status.phase == "Failed"


def test_a_time_of_progress_that_lies_ahead_holds_no_deadline_back():
    task = started(**SPEC)
    begun = heard(task, (0, "started", {})).status
    ahead = begun.progress.model_copy(update={"last_progress_time": after(10**6)})
    edited = make_task(begun.model_copy(update={"progress": ahead}), **SPEC)
    assert heard(edited, at=60).status.reason == "ProgressDeadlineExceeded"


def test_a_quiet_market_is_no_standstill_and_a_silent_worker_is():
    task = started(**LIVE)
    quiet = [(at, "loading", {"lag_ms": 5}) for at in range(0, 300, 30)]
    assert heard(task, *quiet, at=300).status.phase == "Running"
    assert heard(task, *quiet, at=329).status.phase == "Running"
    assert heard(task, *quiet, at=330).status.reason == "ProgressDeadlineExceeded"


def test_a_standstill_is_retried_and_its_job_deleted():
    spec = {"progressDeadlineSeconds": 60}
    plan = heard(started(**spec), (0, "loading", {}), at=60)
    assert (plan.status.phase, plan.status.failures) == ("Retrying", 1)
    assert plan.delete_job


def test_while_events_cannot_be_read_there_is_no_standstill():
    task = started(**SPEC)
    deaf = {"has_caught_up": False, "broker_is_reachable": False, "listening_since": after(10)}
    assert heard(task, (0, "loading", {}), at=4000, **deaf).status.phase == "Running"
    back = {"listening_since": after(4000)}
    assert heard(task, (0, "loading", {}), at=4059, **back).status.phase == "Running"
    assert heard(task, (0, "loading", {}), at=4060, **back).status.phase == "Failed"


def test_a_job_that_kueue_holds_back_stands_still_by_right():
    held = make_job(is_suspended=True, is_queued=True)
    assert heard(started(**SPEC), (0, "loading", {}), job=held, at=999).status.phase == "Pending"
    resumed = make_job(started_at=after(1000), is_queued=True)
    task = started(**SPEC)
    assert heard(task, (0, "loading", {}), job=resumed, at=1059).status.phase == "Running"
    assert heard(task, (0, "loading", {}), job=resumed, at=1060).status.phase == "Failed"


def test_the_last_word_is_not_overruled_by_the_progress_deadline():
    plan = heard(started(**SPEC), (0, "loading", {}), (59, "finished", {}), at=61)
    assert plan.status.phase == "Stopping"


def test_the_estimates_of_a_load_go_with_the_end_of_its_attempt():
    says = {"written": 40, "done": 40, "total": 100, "records_per_second": 1}
    task = started(**SPEC)
    running = heard(task, (0, "loading", says))
    assert running.status.progress.display == "40% 40/100 eta 60s"
    ended = look(make_task(running.status, **SPEC), "active", None, None, 60).status
    assert ended.phase == "Failed"
    assert ended.progress.display == "40% 40/100"
    assert ended.progress.estimated_completion_time is None
    assert ended.progress.records_per_second is None
    assert ended.progress.percent == 40


def test_an_ended_live_load_shows_its_records_and_no_lag():
    task = started(**LIVE)
    running = heard(task, (0, "loading", {"written": 5, "lag_ms": 400}))
    assert running.status.progress.display == "live, lag 0s"
    ended = look(make_task(running.status, **LIVE), "active", None, None, 60).status
    assert (ended.progress.display, ended.progress.lag_seconds) == ("5 records", None)
