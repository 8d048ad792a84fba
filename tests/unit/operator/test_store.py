from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.operator.worlds import NOW, UID, after, make_job, make_pod, make_task

from loadertask_operator.schema import TaskKey
from loadertask_operator.status import CurrentAttempt, Phase, Status
from loadertask_operator.store import Presence, Store

KEY = TaskKey("loads", "btc")
ATTEMPT = CurrentAttempt(number=1, job_name="btc-1", producer_id="loader-producer__1")


def test_an_older_version_from_the_watch_never_replaces_our_own_write():
    store = Store()
    written = replace(make_task(Status(phase=Phase.RUNNING)), resource_version=9)
    store.remember_task(written)
    store.remember_task(make_task())
    assert store.task(KEY) is written


def test_a_new_object_of_the_same_name_replaces_the_old_whatever_its_version():
    store = Store()
    store.remember_task(replace(make_task(), resource_version=99))
    successor = replace(make_task(), uid="other", resource_version=3)
    store.remember_task(successor)
    assert store.task(KEY) is successor
    assert not store.forget_task(KEY, UID)
    assert store.forget_task(KEY, "other")
    assert store.task(KEY) is None


def test_events_find_their_tasks_by_queue_id_and_without_one_by_producer():
    store = Store()
    store.remember_task(make_task(Status(current_attempt=ATTEMPT)))
    assert store.keys_of_event("btc-11112222", "sink") == (KEY,)
    assert store.keys_of_event("other", ATTEMPT.producer_id) == ()
    assert store.keys_of_event(None, ATTEMPT.producer_id) == (KEY,)
    assert store.keys_of_event(None, "sink") == ()


def test_a_producer_shared_by_two_tasks_proves_nothing():
    store = Store()
    task = make_task(Status(current_attempt=ATTEMPT))
    store.remember_task(task)
    store.remember_task(replace(task, name="twin", uid="twin"))
    assert store.keys_of_event(None, ATTEMPT.producer_id) == ()


def test_a_forgotten_task_is_found_no_more():
    store = Store()
    store.remember_task(make_task(Status(current_attempt=ATTEMPT)))
    store.forget_task(KEY, UID)
    assert store.keys_of_event("btc-11112222", "x") == ()
    assert store.keys_of_event(None, ATTEMPT.producer_id) == ()


def test_jobs_and_pods_keep_their_newest_version_and_the_youngest_pod():
    store = Store()
    store.remember_job(replace(make_job(), resource_version=5, is_deleting=True))
    store.remember_job(make_job())
    assert store.job("loads", "btc-1").is_deleting
    store.forget_job("loads", "btc-1", "another uid")
    assert store.job("loads", "btc-1")
    young = replace(make_pod(), uid="young", created_at=after(5))
    store.remember_pod(young)
    store.remember_pod(make_pod())
    assert store.pods(KEY, 1) == (young,)
    store.forget_pod(make_pod())
    assert store.pods(KEY, 1) == (young,)


def test_the_sweep_looks_at_what_has_not_ended():
    store = Store()
    store.remember_task(make_task())
    condition = {"type": "Complete", "status": "True", "reason": "x", "last_transition_time": NOW}
    ended = Status.model_validate({"conditions": [condition]})
    store.remember_task(replace(make_task(ended), name="ended"))
    store.remember_task(replace(make_task(ended), name="leaving", deletion_time=NOW))
    store.remember_task(replace(make_task(ended, ttlSecondsAfterFinished=1), name="aging"))
    assert sorted(key.name for key in store.active_keys()) == ["aging", "btc", "leaving"]


def test_only_a_known_task_without_an_attempt_has_none():
    store = Store()
    assert not store.has_no_attempt(KEY)
    store.remember_task(make_task())
    assert store.has_no_attempt(KEY)
    store.remember_task(replace(make_task(Status(current_attempt=ATTEMPT)), resource_version=99))
    assert not store.has_no_attempt(KEY)


@pytest.mark.parametrize(
    ("present", "gone"),
    [
        (Presence(None, 7, frozenset()), True),
        (Presence("loads", 7, frozenset()), True),
        (Presence("loads", 7, frozenset({"a successor's"})), True),
        (Presence("others", 7, frozenset()), False),
        (Presence(None, 7, frozenset({UID, "pod-uid-1", "job-uid-1"})), False),
        (Presence(None, 6, frozenset()), False),
    ],
)
def test_what_a_newer_list_lacks_is_forgotten(present, gone):
    store = Store()
    store.remember_task(make_task())
    store.remember_job(replace(make_job(), resource_version=7))
    store.remember_pod(replace(make_pod(), resource_version=7))
    concerned = {KEY} if gone else set()
    assert store.forget_absent_pods(present) == concerned
    assert store.forget_absent_jobs(present) == concerned
    assert store.forget_absent_tasks(present) == concerned
    kept = (store.pods(KEY, 1), store.job("loads", "btc-1"), store.task(KEY))
    assert [not known for known in kept] == [gone] * 3


def test_each_shard_keeps_its_youngest_pod_and_speaks_under_the_name_of_the_attempt():
    store = Store()
    store.remember_task(make_task(Status(current_attempt=ATTEMPT)))
    first, second = (replace(make_pod(), uid=f"p{n}", shard=n) for n in (0, 1))
    again = replace(first, uid="p0-again", created_at=after(5))
    for pod in (first, second, again):
        store.remember_pod(pod)
    assert store.pods(KEY, 1) == (again, second)
    store.forget_pod(again)
    assert store.pods(KEY, 1) == (second,)
    assert store.keys_of_event(None, f"{ATTEMPT.producer_id}-1") == (KEY,)
    assert store.keys_of_event(None, "somebody-1") == ()
