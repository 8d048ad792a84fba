"""Suspension, disruption, deadlines, shards, overlaps and bans over a real API server and Kafka."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.integration.operator_process import World, eventually, operator_world

pytestmark = pytest.mark.integration

FAST = {"retryBackoff": {"initialSeconds": 1, "maxSeconds": 1}}


@pytest.fixture(scope="module")
def world(cluster, kafka, tmp_path_factory) -> World:
    with operator_world(cluster, kafka, tmp_path_factory.mktemp("operator")) as world:
        yield world


@pytest.fixture(scope="module")
def woken_world(cluster, kafka, tmp_path_factory) -> World:
    """No sweep comes in time: what happens here was woken up by what happened before."""
    directory = tmp_path_factory.mktemp("woken")
    with operator_world(cluster, kafka, directory, RESYNC_SECONDS="600") as world:
        yield world


def control_since(world: World, name: str, attempt: int) -> datetime:
    job = eventually(lambda: world.job(name, attempt))
    variables = job.spec.template.spec.containers[0].env
    return next(
        datetime.fromisoformat(item.value)
        for item in variables
        if item.name == "LOADER_CONTROL_SINCE"
    )


def test_a_suspended_load_rests_and_goes_on_with_an_attempt_that_is_no_failure(world):
    first = world.running("pause")
    world.patch("pause", {"spec": {"suspend": True}})
    eventually(lambda: world.stops("pause") >= 1)
    assert world.status("pause")["phase"] == "Stopping"
    world.say("pause", "interrupted", written=700)
    world.pod_ends("pause", 0)
    status = world.reaches("pause", "Suspended")
    assert world.condition("pause", "Suspended") == ("True", "Suspended")
    assert status["stop"]["method"] == "Command"
    assert status["recordsWritten"] == 700
    assert world.condition("pause", "Complete") is None
    eventually(lambda: not world.task("pause")["metadata"].get("finalizers"))
    world.operator.kill()
    world.operator.start()
    world.patch("pause", {"spec": {"suspend": False}})
    since = control_since(world, "pause", 2)
    status = world.reaches("pause", "Starting")
    assert status["currentAttempt"]["producerId"] != first
    assert (status["attempts"], status.get("failures", 0)) == (2, 0)
    assert "stop" not in status
    assert since > control_since(world, "pause", 1)
    world.pod_is_running("pause", 2)
    world.say("pause", "started")
    world.say("pause", "finished", written=1440)
    world.pod_ends("pause", 0, attempt=2)
    assert world.reaches("pause", "Succeeded")["recordsWritten"] == 1440
    assert world.condition("pause", "Suspended") == ("False", "Finished")


def test_a_task_born_suspended_has_no_job_until_it_is_resumed(world):
    world.create("asleep", suspend=True)
    world.reaches("asleep", "Suspended")
    assert world.job("asleep") is None
    world.patch("asleep", {"spec": {"suspend": False}})
    world.reaches("asleep", "Starting")


def test_an_evicted_pod_is_replaced_by_another_attempt_that_is_no_failure(world):
    world.running("evicted", backoffLimit=0, **FAST)
    world.pod_is_disrupted("evicted")
    world.pod_ends("evicted", 75)
    eventually(lambda: world.job("evicted", 2))
    status = world.status("evicted")
    assert (status["disruptions"], status.get("failures", 0)) == (1, 0)
    assert status["attemptHistory"][0]["reason"] == "Disrupted"
    reasons = [condition.reason for condition in world.job("evicted").status.conditions]
    assert "PodFailurePolicy" in reasons


def test_a_load_that_gets_no_further_fails_at_its_progress_deadline(world):
    world.running("stuck", progressDeadlineSeconds=10, telemetryInterval=1, backoffLimit=0)
    world.say("stuck", "loading", written=1)
    eventually(lambda: world.status("stuck").get("recordsWritten") == 1)
    world.say("stuck", "loading", written=1)
    world.reaches("stuck", "Failed")
    assert world.condition("stuck", "Failed") == ("True", "ProgressDeadlineExceeded")
    eventually(lambda: world.job("stuck") is None)


def test_a_pod_that_hangs_without_its_job_is_deleted_and_its_load_goes_on(world):
    world.running("orphan", progressDeadlineSeconds=10, telemetryInterval=1, **FAST)
    pod = world.pod("orphan")
    world.jobs.delete_namespaced_job("orphan-1", world.namespace, propagation_policy="Orphan")
    eventually(lambda: world.status("orphan")["reason"] == "JobDisappeared")
    assert world.pod("orphan").metadata.uid == pod.metadata.uid
    eventually(lambda: world.job("orphan", 2))
    eventually(lambda: world.pod("orphan") is None)
    past = world.status("orphan")["attemptHistory"][0]
    assert past["reason"] == "ProgressDeadlineExceeded"
    selector = "reason=OrphanDeleted,involvedObject.name=orphan"
    list_events = world.core.list_namespaced_event
    told = eventually(lambda: list_events(world.namespace, field_selector=selector).items)
    assert len(told) == 1


def test_a_shard_fails_and_resumes_alone_and_the_load_is_finished_when_all_are(world):
    world.create("split", parallelism=3)
    job = eventually(lambda: world.job("split"))
    assert job.spec.completion_mode == "Indexed"
    container = job.spec.template.spec.containers[0]
    assert {item.name: item.value for item in container.env}["LOADER_SHARD_COUNT"] == "3"
    eventually(lambda: world.status("split").get("currentAttempt", {}).get("jobUID"))
    for shard in range(3):
        world.pod_is_running("split", shard=shard)
        world.say("split", "started", shard=shard)
    world.reaches("split", "Running")
    pod = world.pod("split", shard=1)
    names = [item.name for item in pod.spec.containers[0].env]
    assert "JOB_COMPLETION_INDEX" in names
    world.say("split", "loading", shard=1, written=10)
    world.pod_ends("split", 137, shard=1)
    again = eventually(
        lambda: p if (p := world.pod("split", shard=1)).metadata.uid != pod.metadata.uid else None,
    )
    assert again.status.phase == "Pending"
    status = world.status("split")
    assert (status["phase"], status["attempts"]) == ("Running", 1)
    for shard in range(3):
        world.say("split", "finished", shard=shard, written=100)
        world.pod_ends("split", 0, shard=shard)
    status = world.reaches("split", "Succeeded")
    assert status["recordsWritten"] == 300
    assert [shard["status"] for shard in status["shards"]] == ["finished"] * 3
    assert (status["attempts"], world.job_count("split")) == (1, 1)


def test_bad_configuration_of_one_shard_ends_the_task_at_once(world):
    world.create("hopeless", parallelism=2)
    eventually(lambda: world.status("hopeless").get("currentAttempt", {}).get("jobUID"))
    for shard in range(2):
        world.pod_is_running("hopeless", shard=shard)
        world.say("hopeless", "started", shard=shard)
    world.reaches("hopeless", "Running")
    world.say("hopeless", "error", shard=1)
    world.pod_ends("hopeless", 78, shard=1)
    status = world.reaches("hopeless", "Failed")
    assert status["reason"] == "BadConfiguration"
    assert "shard 1" in status["message"]


def test_a_second_task_of_a_queue_waits_by_name_until_the_first_has_ended(woken_world):
    world = woken_world
    world.create("first", queueId="shared-queue")
    eventually(lambda: world.status("first").get("currentAttempt", {}).get("jobUID"))
    world.create("second", queueId="shared-queue")
    overlaps = ("False", "Overlaps")
    eventually(lambda: world.condition("second", "Accepted") == overlaps)
    assert f"{world.namespace}/first" in world.status("second")["message"]
    assert world.job("second") is None
    world.patch("first", {"spec": {"stop": True}})
    world.reaches("first", "Stopped")
    world.reaches("second", "Starting")
    assert world.condition("second", "Accepted") == ("True", "Valid")


@pytest.mark.parametrize("how", ["stop", "delete"])
def test_the_stop_of_a_task_is_not_for_the_next_one_of_its_queue(world, how):
    queue, first, second = f"queue-{how}", f"{how}-first", f"{how}-second"
    world.running(first, queueId=queue, stopTimeoutSeconds=3600)
    world.create(second, queueId=queue)
    eventually(lambda: world.condition(second, "Accepted") == ("False", "Overlaps"))
    assert world.status(second)["turn"] == {"waitingFor": f"{world.namespace}/{first}"}
    if how == "stop":
        world.patch(first, {"spec": {"stop": True}})
    else:
        world.delete(first)
    sent_at = max(eventually(lambda: world.stop_times(queue)))
    world.operator.kill()
    world.operator.start()
    world.say(first, "interrupted")
    world.pod_ends(first, 0)
    assert control_since(world, second, 1) > sent_at
    assert control_since(world, second, 1) > max(world.stop_times(queue))
    assert "waitingFor" not in world.status(second)["turn"]


def test_a_ban_holds_the_task_and_others_behind_the_same_address(world):
    address = {"apiUrl": "http://venue.test:8080"}
    world.running("told", binance=address, **FAST)
    until = datetime.now(UTC) + timedelta(hours=1)
    world.say("told", "error", banned_until=until, reason="Banned")
    world.pod_ends("told", 69)
    status = world.reaches("told", "Retrying")
    assert "banned by the venue until" in status["message"]
    assert status["lastEvent"]["reason"] == "Banned"
    world.create("behind", binance=address)
    world.create("elsewhere", binance={"apiUrl": "http://other.test:8080"})
    eventually(lambda: world.condition("behind", "Accepted") == ("False", "RateBudget"))
    assert f"{world.namespace}/told" in world.status("behind")["message"]
    eventually(lambda: world.job("elsewhere"))
    assert world.job("behind") is None
    assert world.job("told", 2) is None


def test_after_a_ban_the_task_and_others_behind_the_same_address_go_on(world):
    address = {"apiUrl": "http://banned.test:8080"}
    world.running("banned", binance=address, **FAST)
    until = datetime.now(UTC) + timedelta(seconds=4)
    world.say("banned", "error", banned_until=until, reason="Banned")
    world.pod_ends("banned", 69)
    eventually(lambda: world.status("banned").get("lastEvent", {}).get("reason") == "Banned")
    world.create("patient", binance=address)
    for name, attempt in (("patient", 1), ("banned", 2)):
        job = eventually(lambda n=name, a=attempt: world.job(n, a))
        assert job.metadata.creation_timestamp >= until.replace(microsecond=0)


def test_pods_that_a_quota_refuses_are_told_in_the_words_of_the_cluster(world):
    quota = {"metadata": {"name": "tiny"}, "spec": {"hard": {"pods": "0"}}}
    world.core.create_namespaced_resource_quota(world.namespace, quota)
    try:
        world.create("quota")
        eventually(lambda: world.condition("quota", "Running") == ("False", "PodRefused"))
        message = world.status("quota")["message"]
    finally:
        world.core.delete_namespaced_resource_quota("tiny", world.namespace)
    assert "is forbidden" in message
    assert "tiny" in message


def test_a_suspended_task_is_stopped_or_deleted_at_once(woken_world):
    world = woken_world
    for name in ("rest-stop", "rest-delete"):
        world.create(name, suspend=True)
        world.reaches(name, "Suspended")
    world.patch("rest-stop", {"spec": {"stop": True}})
    world.reaches("rest-stop", "Stopped")
    assert world.condition("rest-stop", "Suspended") == ("False", "Finished")
    world.delete("rest-delete")
    eventually(lambda: world.task("rest-delete") is None)


def test_a_resume_while_the_worker_stops_goes_on_when_that_has_ended(world):
    world.running("hasty")
    world.patch("hasty", {"spec": {"suspend": True}})
    eventually(lambda: world.stops("hasty") >= 1)
    world.patch("hasty", {"spec": {"suspend": False}})
    sent = world.stops("hasty")
    eventually(lambda: world.stops("hasty") > sent)
    assert world.job_count("hasty") == 1
    world.say("hasty", "interrupted", written=3)
    world.pod_ends("hasty", 0)
    eventually(lambda: world.job("hasty", 2))
    status = world.reaches("hasty", "Starting")
    assert (status["attempts"], status.get("failures", 0)) == (2, 0)
    assert world.condition("hasty", "Suspended") == ("False", "Resumed")
