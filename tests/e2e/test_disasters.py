"""What a cluster does to a load in the middle: memory, node, namespace, a shard, a pause.

Each load is held back by the venue, so that it cannot end before the disaster.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.cluster_client import condition, wait_until
from tests.e2e.loads import (
    assert_month_is_whole,
    completed,
    start_held,
    wait_for_records,
    wait_for_status,
)
from tests.e2e.pod_programs import kill_program

if TYPE_CHECKING:
    from tests.e2e.bench import Bench

# The first test also brings up the whole system, which does not count.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180, func_only=True)]

# More than a worker takes, less than the worker and the ballast together.
MEMORY_LIMIT = "224Mi"
BALLAST = "/ballast"
WITH_BALLAST = {
    "resources": {"limits": {"memory": MEMORY_LIMIT}},
    "podTemplate": {
        "spec": {
            "containers": [
                {"name": "loader", "volumeMounts": [{"name": "ballast", "mountPath": BALLAST}]}
            ],
            "volumes": [{"name": "ballast", "emptyDir": {"medium": "Memory"}}],
        }
    },
}


def terminal_events(bench: Bench, status: dict[str, Any]) -> list[str]:
    return [event["status"] for event in bench.events(status["queueId"]) if event["finished"]]


def starts(bench: Bench, status: dict[str, Any]) -> list[str]:
    """What the workers of a task said when they began: where they go on, if anywhere."""
    events = bench.events(status["queueId"])
    return [event["message"] for event in events if event["status"] == "started"]


def only_pod(bench: Bench) -> dict[str, Any]:
    (pod,) = bench.kubectl.get("pods")["items"]
    return dict(pod)


def wait_for_attempt(bench: Bench, name: str, number: int) -> dict[str, Any]:
    """The status of a task when a worker of that attempt has spoken."""

    def has_spoken(status: dict[str, Any]) -> bool:
        attempt, last = status.get("currentAttempt", {}), status.get("lastEvent", {})
        is_latest = attempt.get("number") == number
        return is_latest and bool(last.get("producer") == attempt["producerId"])

    return wait_for_status(bench, name, has_spoken, f"attempt {number}")


def assert_went_on(bench: Bench, status: dict[str, Any], reason: str) -> dict[str, Any]:
    """Two attempts, the second from where the first was; how the first one ended."""
    assert status["attempts"] == 2
    (past,) = (each for each in status["attemptHistory"] if each["number"] == 1)
    assert past["reason"] == reason
    first, second = starts(bench, status)
    assert "going on at" not in first
    assert "going on at" in second
    return dict(past)


def test_a_worker_that_is_killed_for_its_memory_is_tried_again_and_goes_on_where_it_was(
    bench: Bench,
) -> None:
    start_held(bench, "hungry", "ETHUSDT", worker=WITH_BALLAST)
    wait_for_records(bench, "hungry")
    pod = only_pod(bench)["metadata"]["name"]
    # Files in memory are counted as the pod's; the largest program of the pod is its worker.
    bench.kubectl.run("exec", pod, "--", "sh", "-c", f"cat /dev/zero > {BALLAST}/fill")
    wait_for_attempt(bench, "hungry", 2)
    bench.let_go()
    status = completed(bench, "hungry")
    past = assert_went_on(bench, status, "OOMKilled")
    assert past["exitCode"] == 137
    assert past["recordsWritten"] > 0
    assert status["failures"] == 1
    assert terminal_events(bench, status) == ["finished"]
    assert_month_is_whole(bench, status)


def test_a_drained_node_costs_a_load_no_failure(bench: Bench) -> None:
    start_held(bench, "drained", "BNBUSDT", backoffLimit=0)
    wait_for_records(bench, "drained")
    node = only_pod(bench)["spec"]["nodeName"]
    try:
        # By the eviction API, and only this pod: the rest of the system lives on the same node.
        bench.kubectl(
            *("drain", node, "--pod-selector=streamforge.io/task=drained"),
            *("--delete-emptydir-data", "--timeout=40s"),
        )
        ended = wait_for_status(
            bench, "drained", lambda status: status.get("attemptHistory"), "end of an attempt"
        )
        assert ended["attemptHistory"][0]["reason"] == "Disrupted"
        assert "eviction" in json.dumps(bench.kubectl.get("events"))
    finally:
        bench.kubectl("uncordon", node)
    wait_for_attempt(bench, "drained", 2)
    bench.let_go()
    status = completed(bench, "drained")
    assert_went_on(bench, status, "Disrupted")
    assert (status["failures"], status["disruptions"]) == (0, 1)
    # Nobody asked the first worker to stop: it has committed what it had, and no last word.
    assert terminal_events(bench, status) == ["finished"]
    assert_month_is_whole(bench, status)


def test_a_namespace_that_is_deleted_while_a_load_runs_goes_and_starts_nothing_more(
    bench: Bench,
) -> None:
    start_held(bench, "swept", "ADAUSDT")
    status = wait_for_records(bench, "swept")
    restarts, namespace = bench.operator_restarts(), bench.kubectl.namespace
    bench.kubectl("delete", "namespace", namespace, "--timeout=80s", timeout_s=90)
    assert bench.kubectl.run("get", "namespace", namespace).returncode != 0
    assert len(starts(bench, status)) == 1
    # Whichever came first: the operator's stop command, or the end of its pod by the cluster.
    last = bench.events(status["queueId"])[-1]
    ends, records = terminal_events(bench, status), bench.records(status["topic"])
    assert ends in ([], ["interrupted"])
    assert len(records) >= last["records_written"] >= status["recordsWritten"]
    assert not ends or len(records) == last["records_written"]
    assert bench.operator_restarts() == restarts


def test_a_suspended_load_rests_without_a_pod_and_goes_on_where_it_was(bench: Bench) -> None:
    start_held(bench, "paused", "LTCUSDT")
    wait_for_records(bench, "paused")
    bench.kubectl("patch", "lt/paused", "--type=merge", '--patch={"spec":{"suspend":true}}')
    task = bench.kubectl.wait_for_phase("paused", "Suspended")
    assert condition(task, "Suspended")["status"] == "True"
    resting = task["status"]
    assert terminal_events(bench, resting) == ["interrupted"]
    assert len(bench.records(resting["topic"])) == resting["recordsWritten"] > 0
    wait_until(lambda: not running_pods(bench), 30, "end of the pods")
    bench.let_go()
    bench.kubectl("patch", "lt/paused", "--type=merge", '--patch={"spec":{"suspend":false}}')
    status = completed(bench, "paused")
    assert_went_on(bench, status, "Suspended")
    assert condition(bench.kubectl.task("paused"), "Suspended")["status"] == "False"
    assert status["failures"] == 0
    assert terminal_events(bench, status) == ["interrupted", "finished"]
    assert_month_is_whole(bench, status)


def running_pods(bench: Bench) -> list[dict[str, Any]]:
    pods = bench.kubectl.get("pods")["items"]
    return [pod for pod in pods if pod["status"]["phase"] in ("Pending", "Running")]


def shard_of(pod: dict[str, Any]) -> int:
    return int(pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"])


def test_a_killed_shard_alone_is_started_again_and_goes_on_where_it_was(bench: Bench) -> None:
    start_held(bench, "split", "XRPUSDT", parallelism=3)

    def all_have_spoken(status: dict[str, Any]) -> bool:
        shards = status.get("shards", ())
        have_spoken = len(shards) == 3 and all(shard.get("status") for shard in shards)
        return have_spoken and status.get("recordsWritten", 0) > 0

    status = wait_for_status(bench, "split", all_have_spoken, "words of all shards")
    victim = max(status["shards"], key=lambda shard: int(shard["recordsWritten"]))["index"]
    before = {shard_of(pod): pod for pod in running_pods(bench)}
    assert sorted(before) == [0, 1, 2]
    kill_program(before[victim])
    producer = f"{status['currentAttempt']['producerId']}-{victim}"

    def second_start() -> str:
        said = [event for event in bench.events(status["queueId"]) if event["status"] == "started"]
        own = [event["message"] for event in said if event["producer"] == producer]
        return own[1] if len(own) == 2 else ""

    # Kubernetes waits ten seconds before it starts an index again.
    wait_until(lambda: bool(second_start()), 60, "second start of the shard", interval_s=1)
    assert "going on at" in second_start()
    after = {shard_of(pod): pod for pod in running_pods(bench)}
    assert {index: pod["metadata"]["uid"] for index, pod in after.items() if index != victim} == {
        index: pod["metadata"]["uid"] for index, pod in before.items() if index != victim
    }
    bench.let_go()
    status = completed(bench, "split")
    assert (status["attempts"], status["failures"]) == (1, 0)
    assert len(starts(bench, status)) == 4
    assert terminal_events(bench, status) == ["finished"] * 3
    assert_month_is_whole(bench, status)
