"""What a person hears of as a Kubernetes Event: once, when it turns."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.operator.test_decide import RULES, condition, look, producer, started
from tests.unit.operator.test_reconcile import Harness
from tests.unit.operator.worlds import after, make_event, make_job, make_pod, make_task, received

from loadertask_operator.decide import decide
from loadertask_operator.names import FINALIZER
from loadertask_operator.observed import Observed

IMAGE = make_pod(phase="Pending", waiting_reason="ErrImagePull", waiting_message="not found")
SECRET = make_pod(
    phase="Pending",
    waiting_reason="CreateContainerConfigError",
    waiting_message='secret "keys" not found',
)


def told(plan):
    return [(notice.reason, notice.is_warning) for notice in plan.notices]


@pytest.mark.parametrize(
    ("observed", "reason"),
    [
        ({"pod": IMAGE}, "ImagePullBackOff"),
        ({"pod": SECRET}, "SecretMissing"),
        ({"pod_refusal": "exceeded quota"}, "PodRefused"),
    ],
)
def test_what_keeps_a_pod_from_running_is_told_once_per_change(observed, reason):
    def at(status, seconds, **seen):
        task = make_task(status)
        return decide(Observed(task, job=make_job(), **seen), RULES, after(seconds))

    first = at(started().status, 5, **observed)
    assert told(first) == [(reason, True)]
    assert first.notices[0].message
    assert told(at(first.status, 50, **observed)) == []
    well = at(first.status, 60, pod=make_pod())
    assert told(well) == []
    assert told(at(well.status, 70, **observed)) == [(reason, True)]


def test_the_ways_in_which_kubernetes_says_that_an_image_is_missing_are_one():
    first = look(started(), "active", IMAGE)
    later = replace(IMAGE, waiting_reason="ImagePullBackOff", waiting_message="back-off 10 s")
    assert told(look(make_task(first.status), "active", later, at=10)) == []


def test_telemetry_that_is_lost_is_told_once_and_not_each_time_it_flaps():
    def step(status, seconds, *, speaks):
        task = make_task(status)
        event = received(make_event("loading", producer(task)), int(seconds), after(seconds))
        events = (event,) if speaks else ()
        seen = Observed(task, job=make_job(), pod=make_pod(), events=events)
        return decide(seen, RULES, after(seconds))

    plan = step(started().status, 0, speaks=True)
    for seconds in range(5, 65, 5):
        plan = step(plan.status, seconds, speaks=True)
    lost = step(plan.status, 75, speaks=False)
    assert condition(lost, "TelemetryFresh") == ("False", "Stale")
    assert told(lost) == [("Stale", True)]
    assert told(step(lost.status, 80, speaks=False)) == []
    back = step(lost.status, 85, speaks=True)
    again = step(back.status, 100, speaks=False)
    assert condition(again, "TelemetryFresh") == ("False", "Stale")
    assert told(again) == []
    back = step(again.status, 105, speaks=True)
    for seconds in range(110, 170, 5):
        back = step(back.status, seconds, speaks=True)
    assert told(step(back.status, 180, speaks=False)) == [("Stale", True)]


def test_an_operator_that_was_away_does_not_blame_the_workers():
    task = make_task(look(started(), "active", make_pod(), "loading").status)

    def at(seconds, **listening):
        return decide(
            Observed(task, job=make_job(), pod=make_pod(), **listening), RULES, after(seconds)
        )

    deaf = at(200, has_caught_up=False, listening_since=after(199))
    assert condition(deaf, "TelemetryFresh") == ("False", "NoEventsYet")
    waits = at(214, listening_since=after(200))
    assert condition(waits, "TelemetryFresh") == ("False", "NoEventsYet")
    assert (told(waits), waits.recheck_at) == ([], after(215))
    silent = at(215, listening_since=after(200))
    assert condition(silent, "TelemetryFresh") == ("False", "Stale")
    assert told(silent) == [("Stale", True)]


@pytest.mark.parametrize("wish", [{"stop": True}, {"suspend": True}, {}])
def test_a_stop_is_told_when_it_is_asked_for(wish):
    task = make_task(look(started(), "active", make_pod(), "loading").status, **wish)
    deleted = None if wish else after(1)
    task = replace(task, deletion_time=deleted, finalizers=(FINALIZER,))
    first = decide(Observed(task, job=make_job(), pod=make_pod()), RULES, after(1))
    assert told(first) == [("Stopping", False)]
    assert (next(iter(wish), "deleted")) in first.notices[0].message
    task = replace(task, status=first.status)
    repeated = decide(Observed(task, job=make_job(), pod=make_pod()), RULES, after(2))
    assert repeated.send_stop
    assert told(repeated) == []


async def test_each_change_is_posted_once_whatever_wakes_the_operator():
    world = Harness()
    await world.settle()
    world.api.pods[SECRET.name] = SECRET
    for _ in range(4):
        await world.settle()
    assert [notice.reason for notice in world.api.events] == ["JobCreated", "SecretMissing"]


@pytest.mark.parametrize("pod", [make_pod(), make_pod(exit_code=0)])
def test_silence_after_the_last_word_is_not_told(pod):
    def at(task, seconds, *words, pod=pod):
        events = tuple(
            received(make_event(w, producer(task)), int(seconds), after(seconds)) for w in words
        )
        seen = Observed(task, job=make_job(), pod=pod, events=events)
        return decide(seen, RULES, after(seconds))

    task = make_task(look(started(), "active", make_pod(), "loading").status)
    task = make_task(at(task, 100, "loading", pod=make_pod()).status)
    task = make_task(at(task, 101, "finished", pod=make_pod()).status)
    assert told(at(task, 117)) == []
