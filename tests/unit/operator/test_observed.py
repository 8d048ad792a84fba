from __future__ import annotations

import pytest
from tests.unit.operator.worlds import NOW, make_pod, termination

from loadertask_operator.observed import parse_job, parse_pod, termination_of

META = {
    "namespace": "loads",
    "name": "btc-1",
    "uid": "u",
    "resourceVersion": "5",
    "creationTimestamp": "2026-01-01T12:00:00Z",
    "labels": {"streamforge.io/task": "btc", "streamforge.io/attempt": "1"},
}


def test_a_job_is_read_with_its_owner_and_its_end():
    owner = {"uid": "task-uid", "controller": True}
    condition = {"type": "Failed", "status": "True", "lastTransitionTime": "2026-01-01T12:00:00Z"}
    job = parse_job(
        {
            "metadata": META | {"ownerReferences": [{"uid": "x"}, owner]},
            "spec": {"ttlSecondsAfterFinished": 5, "suspend": True},
            "status": {"conditions": [{"type": "Suspended", "status": "True"}, condition]},
        }
    )
    assert (job.owner_uid, job.outcome, job.ended_at) == ("task-uid", "Failed", NOW)
    assert (job.task_name, job.attempt, job.ttl_s, job.is_suspended) == ("btc", 1, 5, True)


@pytest.mark.parametrize(
    ("env", "interval_s"),
    [
        ([{"name": "A", "valueFrom": {}}, {"name": "TELEMETRY_INTERVAL", "value": "300"}], 300),
        ([{"name": "TELEMETRY_INTERVAL", "value": "soon"}], None),
        ([{"name": "TELEMETRY_INTERVAL"}], None),
        (None, None),
    ],
)
def test_how_often_a_worker_speaks_is_read_off_its_job(env, interval_s):
    other = {"name": "sidecar", "env": [{"name": "TELEMETRY_INTERVAL", "value": "7"}]}
    containers = [other, {"name": "loader", "env": env}]
    spec = {"template": {"spec": {"containers": containers}}}
    assert parse_job({"metadata": META, "spec": spec}).telemetry_interval_s == interval_s


def test_a_job_that_is_being_deleted_has_the_moment_it_was_asked_for():
    job = parse_job({"metadata": META | {"deletionTimestamp": "2026-01-01T12:00:00Z"}})
    assert (job.is_deleting, job.deleted_at) == (True, NOW)


@pytest.mark.parametrize("label", ["", "x", "-1", "9" * 30])
def test_an_attempt_label_that_is_no_number_is_nobodys_attempt(label):
    labels = {"streamforge.io/task": "btc", "streamforge.io/attempt": label}
    assert parse_job({"metadata": META | {"labels": labels}}).attempt == 0


def test_a_pod_is_read_by_the_state_of_its_loader():
    sidecar = {"name": "sidecar", "state": {"terminated": {"exitCode": 3}}}
    loader = {"name": "loader", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    pod = parse_pod(
        {"metadata": META, "status": {"phase": "Pending", "containerStatuses": [sidecar, loader]}}
    )
    assert (pod.waiting_reason, pod.end, pod.is_running) == ("ImagePullBackOff", None, False)
    killed = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-01-01T12:00:00Z"}
    ended = {"name": "loader", "state": {"terminated": killed}}
    pod = parse_pod({"metadata": META, "status": {"phase": "Failed", "containerStatuses": [ended]}})
    assert (pod.end.exit_code, pod.end.reason) == (137, "OOMKilled")
    assert pod.end.ended_at == NOW


@pytest.mark.parametrize("message", ["", "Killed", "{}", "[1]", '{"status":"x"}'])
def test_a_termination_log_that_is_not_of_the_contract_is_nothing(message):
    assert termination_of(make_pod(exit_code=1, message=message)) is None


def test_a_termination_log_of_the_contract_is_a_witness():
    pod = make_pod(exit_code=0, message=termination("finished", "p", written=3))
    assert termination_of(pod).payload.records_written == 3


def test_a_disruption_is_read_off_the_pod_and_off_the_failed_job():
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    assert parse_pod({"metadata": META} | {"status": {"conditions": [condition]}}).is_disrupted
    denied = {"conditions": [condition | {"status": "False"}]}
    assert not parse_pod({"metadata": META} | {"status": denied}).is_disrupted
    failed = {
        "type": "Failed",
        "status": "True",
        "lastTransitionTime": "2026-01-01T12:00:00Z",
        "reason": "PodFailurePolicy",
        "message": "Pod a/b has condition DisruptionTarget matching FailJob rule at index 0",
    }
    assert parse_job({"metadata": META} | {"status": {"conditions": [failed]}}).was_disrupted
    other = failed | {"reason": "BackoffLimitExceeded", "message": "DisruptionTarget"}
    assert not parse_job({"metadata": META} | {"status": {"conditions": [other]}}).was_disrupted
