"""A pod that has outlived its Job: followed while it works, ended when it hangs, never doubled."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client
from tests.unit.operator.test_decide import HANGING, JOBS, RULES, condition, look, producer, started
from tests.unit.operator.test_reconcile import Harness
from tests.unit.operator.worlds import NOW, after, make_event, make_pod, make_task, received

from loadertask_operator.cluster import Cluster
from loadertask_operator.decide import decide
from loadertask_operator.errors import RefusedError
from loadertask_operator.observed import Observed, parse_pod

FINALIZER = ("streamforge.io/graceful-stop",)
LEAVING = {
    "metadata": {
        "namespace": "loads",
        "name": "btc-1-x",
        "uid": "u",
        "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T12:00:00Z",
        "deletionTimestamp": "2026-01-01T12:00:30Z",
        "labels": {"batch.kubernetes.io/controller-uid": "j"},
    }
}
PENDING = make_pod(phase="Pending")


def orphaned(said="loading", pod=None, **spec):
    """A load whose Job has gone and whose pod has not."""
    return make_task(look(started(**spec), "none", pod or make_pod(), said).status, **spec)


def failed():
    """The same, after its attempt was ended for standing still."""
    return look(orphaned(), "none", make_pod(), at=300)


def test_an_orphan_that_gets_further_is_left_in_peace():
    task = orphaned()
    told = received(make_event("loading", producer(task), written=9), 6, after(299))
    plan = decide(Observed(task, pod=make_pod(), events=(told,)), RULES, after(301))
    assert (plan.status.phase, plan.status.reason) == ("Running", "JobDisappeared")
    assert plan.delete_pods == ()
    again = look(make_task(plan.status), "none", make_pod(), at=598)
    assert (again.status.phase, again.recheck_at) == ("Running", after(599))


def test_an_orphan_that_stands_still_is_ended_by_the_progress_deadline_and_retried():
    early = look(orphaned(), "none", make_pod(), at=299)
    assert (early.status.phase, early.recheck_at) == ("Running", after(300))
    plan = failed()
    assert plan.status.attempt_history[-1].reason == "ProgressDeadlineExceeded"
    assert [pod.uid for pod in plan.delete_pods] == ["pod-uid-1"]
    assert ("OrphanDeleted", True) in {(one.reason, one.is_warning) for one in plan.notices}
    assert plan.create is None


@pytest.mark.parametrize("pod", [make_pod(), PENDING])
def test_an_orphan_that_never_said_anything_is_ended_by_the_startup_deadline(pod):
    task = orphaned(said=None, pod=pod)
    assert look(task, "none", pod, at=299).status.phase == "Running"
    plan = look(task, "none", pod, at=300)
    assert plan.status.attempt_history[-1].reason == "StartupDeadlineExceeded"
    assert plan.delete_pods == (pod,)


def test_while_its_events_cannot_be_read_the_silence_of_an_orphan_proves_nothing():
    deaf = {"has_caught_up": False, "listening_since": NOW, "broker_is_reachable": False}
    for said in (None, "loading"):
        plan = decide(Observed(orphaned(said), pod=make_pod(), **deaf), RULES, after(9999))
        assert (plan.status.phase, plan.delete_pods) == ("Running", ())


def test_an_orphan_is_asked_once_and_the_next_worker_waits_until_it_has_ended():
    task = make_task(failed().status)
    leaving = make_pod(deleted_at=after(330))
    waiting = look(task, "none", leaving, at=400)
    assert (waiting.delete_pods, waiting.create) == ((), None)
    assert waiting.recheck_at == after(330 + 30 + 60)
    assert look(task, "none", None, at=401).create.number == 2
    assert look(task, "none", make_pod(exit_code=143), at=401).create.number == 2


def test_a_pod_that_does_not_end_is_said_to_be_stuck_and_fails_the_task_within_an_hour():
    task, leaving = make_task(failed().status), make_pod(deleted_at=after(330))
    stuck = look(task, "none", leaving, at=420)
    assert (stuck.status.phase, stuck.status.reason) == ("Retrying", "PodStuck")
    assert condition(stuck, "Running") == ("Unknown", "PodStuck")
    assert condition(stuck, "Stalled") == ("True", "PodStuck")
    assert "btc-1-x" in stuck.status.message
    assert [notice.reason for notice in stuck.notices] == ["PodStuck"]
    assert stuck.recheck_at == after(330 + 3600)
    again = look(make_task(stuck.status), "none", leaving, at=3929)
    assert (again.status, again.notices, again.create) == (stuck.status, (), None)
    # Its node has come back.
    assert look(make_task(stuck.status), "none", None, at=3929).create.number == 2
    over = look(make_task(stuck.status), "none", leaving, at=3930)
    assert condition(over, "Failed") == ("True", "PodStuck")


def test_a_task_that_has_ended_beside_a_stuck_pod_still_stands_in_the_way_of_its_rivals():
    task, leaving = make_task(failed().status), make_pod(deleted_at=after(330))
    over = look(task, "none", leaving, at=3930).status
    ended = replace(make_task(over), finalizers=FINALIZER)
    assert look(ended, "none", leaving, at=9999).needs_finalizer
    assert not look(ended, "none", None, at=9999).needs_finalizer
    deleted = replace(ended, deletion_time=after(9999))
    assert look(deleted, "none", leaving, at=9999).needs_finalizer
    assert not look(deleted, "none", leaving, at=9999 + 90).needs_finalizer


def test_the_orphan_of_a_task_that_has_ended_is_asked_to_end():
    finished = make_task(look(started(), "none", make_pod(), "finished").status)
    assert condition(finished.status, "Complete") == ("True", "LoadFinished")
    plan = look(finished, "none", make_pod(), at=1)
    assert plan.delete_pods == (make_pod(),)


def test_a_pod_that_goes_on_after_its_job_has_ended_is_an_orphan_when_a_grace_has_passed():
    """Its end may only not be in view yet, and its logs go with it."""
    ended = look(started(), "complete", make_pod(), "interrupted")
    assert (ended.status.phase, ended.delete_pods) == ("Stopped", ())
    assert look(make_task(ended.status), "complete", make_pod(), at=59).delete_pods == ()
    assert look(make_task(ended.status), "complete", make_pod(), at=60).delete_pods == (make_pod(),)
    kept = replace(JOBS["failed"], ttl_s=1)
    silent = make_task(look(started(), kept, make_pod(), at=60).status)
    assert look(silent, kept, make_pod(deleted_at=after(90)), at=91).create is None
    assert look(silent, kept, make_pod(exit_code=1), at=91).create.number == 2


def test_a_resume_waits_for_the_pod_of_an_ended_job_and_looks_again_when_it_counts_as_hung():
    rests = make_task(
        look(
            make_task(started().status, suspend=True), "complete", make_pod(), "interrupted"
        ).status
    )
    kept = replace(JOBS["complete"], ttl_s=1)
    waiting = look(rests, kept, make_pod(), at=16)
    assert (waiting.create, waiting.delete_pods, waiting.recheck_at) == (None, (), after(60))
    assert look(rests, kept, make_pod(), at=60).delete_pods == (make_pod(),)


@pytest.mark.parametrize("wish", [{"stop": True}, {"suspend": True}])
def test_a_stop_asks_an_orphan_by_command_first_and_deletes_it_when_its_time_is_over(wish):
    task = make_task(orphaned().status, **wish)
    asked = look(task, "none", make_pod(), at=1)
    assert (asked.send_stop, asked.delete_pods) == (True, ())
    late = look(make_task(asked.status, **wish), "none", make_pod(), at=31)
    assert late.delete_pods == (make_pod(),)
    leaving = make_pod(deleted_at=after(61))
    assert look(make_task(late.status, **wish), "none", leaving, at=32).delete_pods == ()
    gone = look(make_task(late.status, **wish), "none", None, at=33)
    assert gone.status.phase in {"Stopped", "Suspended"}


@pytest.mark.parametrize("skips", [True, False])
def test_the_orphan_of_a_deleted_task_does_not_outlive_it(skips):
    task = replace(orphaned(), deletion_time=after(1), finalizers=FINALIZER)
    task = replace(task, skips_graceful_stop=skips)
    late = look(task, "none", make_pod(), at=1 if skips else 500)
    if not skips:
        asked = look(task, "none", make_pod(), at=1)
        assert (asked.send_stop, asked.delete_pods) == (True, ())
        late = look(replace(task, status=asked.status), "none", make_pod(), at=31)
    assert late.delete_pods == (make_pod(),)


def test_the_pod_of_another_job_is_nobodys_orphan():
    stranger = make_pod()
    stranger = replace(stranger, job_uid="of a Job of somebody else")
    assert look(make_task(failed().status), "none", stranger, at=301).delete_pods == ()


def test_the_orphan_of_a_job_whose_deletion_hangs_is_asked_too():
    task = make_task(look(started(), "active", make_pod(), "loading").status)
    failed_task = make_task(look(task, "active", make_pod(), at=300).status)
    hanging = replace(HANGING, deleted_at=after(300))
    assert look(failed_task, hanging, make_pod(), at=389).delete_pods == ()
    assert look(failed_task, hanging, make_pod(), at=390).delete_pods == (make_pod(),)


def test_every_orphan_of_a_split_load_is_asked():
    pods = tuple(replace(make_pod(shard=n), name=f"p{n}", uid=f"p{n}") for n in range(2))
    fresh = started(parallelism=2)
    task = make_task(fresh.status, parallelism=2)
    plan = decide(Observed(task, pod=pods[0], shard_pods=pods), RULES, after(300))
    assert plan.delete_pods == pods


def test_what_kubernetes_says_of_a_pod_that_leaves_is_read():
    pod = parse_pod(LEAVING)
    assert (pod.deleted_at, pod.job_uid) == (after(30), "j")


@pytest.mark.parametrize("is_left", [True, False])
async def test_a_pod_is_deleted_by_its_uid_and_within_its_own_grace(is_left):
    answer = {"kind": "Pod", **LEAVING} if is_left else {"kind": "Status", "status": "Success"}
    asked = []

    async def handle(request: web.Request) -> web.Response:
        asked.append((request.method, request.path, await request.json()))
        return web.json_response(answer)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(application) as server:
        host = str(server.make_url("")).rstrip("/")
        cluster = Cluster(client.ApiClient(client.Configuration(host=host)))
        left = await cluster.delete_pod(make_pod())
        await cluster.close()
    assert (left.deleted_at if left else None) == (after(30) if is_left else None)
    options = {"preconditions": {"uid": "pod-uid-1"}}
    assert asked == [("DELETE", "/api/v1/namespaces/loads/pods/btc-1-x", options)]


async def test_without_the_right_to_delete_pods_a_task_goes_on_to_its_end():
    world = Harness(backoffLimit=0)
    await world.settle()
    world.pod(None)
    world.say("started")
    await world.settle()
    del world.api.jobs["btc-1"]
    world.api.delete_pod = refuse
    world.now += timedelta(seconds=300)
    await world.settle()
    assert world.status.reason == "ProgressDeadlineExceeded"
    assert world.task.finalizers
    world.pod(143)
    await world.settle()
    assert not world.task.finalizers


async def refuse(pod):
    raise RefusedError(403, "pods is forbidden")


async def test_a_hung_orphan_ends_and_its_load_goes_on_without_anybodys_help():
    world = Harness()
    await world.settle()
    world.pod(None)
    world.say("started")
    await world.settle()
    del world.api.jobs["btc-1"]
    await world.settle()
    assert world.status.reason == "JobDisappeared"
    world.now += timedelta(seconds=300)
    await world.settle()
    assert world.api.pods["p1"].deleted_at
    assert [one.reason for one in world.api.events if "Orphan" in one.reason] == ["OrphanDeleted"]
    world.now += timedelta(seconds=30)
    await world.settle()
    assert world.api.created == ["btc-1"]
    world.api.end_deletions()
    await world.settle()
    assert world.api.created == ["btc-1", "btc-2"]
