"""The operator against a real API server with its controllers, and a real Kafka: whole lives."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.integration.operator_process import (
    World,
    eventually,
    operator_world,
    restricted_kubeconfig,
)
from tests.integration.stopwatch import Stopwatch

from loadertask_contract.parsing import parse_environment

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def world(cluster, kafka, tmp_path_factory) -> World:
    with operator_world(cluster, kafka, tmp_path_factory.mktemp("operator")) as world:
        yield world


def test_a_manifest_becomes_a_job_with_exactly_the_environment_of_the_contract(world):
    world.create("env", telemetryInterval=7)
    job = eventually(lambda: world.job("env"))
    container = job.spec.template.spec.containers[0]
    values = {item.name: item.value for item in container.env if item.value is not None}
    secret = {
        item.name: (item.value_from.secret_key_ref.name, item.value_from.secret_key_ref.key)
        for item in container.env
        if item.value_from
    }
    assert secret == {
        "KAFKA_USER_PRODUCER": ("kafka-user", "user"),
        "KAFKA_PASSWORD_PRODUCER": ("kafka-user", "password"),
    }
    parsed = parse_environment(values | dict.fromkeys(secret, "from the Secret"), datetime.now(UTC))
    environment, status, task = parsed.environment, world.status("env"), world.task("env")
    assert parsed.warnings == ()
    assert environment.queue_id == status["queueId"] == f"env-{task['metadata']['uid'][:8]}"
    assert environment.kafka_topic == status["topic"] == f"{environment.queue_id}-data"
    assert environment.producer_id == status["currentAttempt"]["producerId"]
    assert str(environment.time_range) == "2023-01-01:2023-01-02"
    assert environment.telemetry_interval_s == 7
    assert environment.ca_path == values["KAFKA_CA_PATH"] == "/certs/ca.crt"
    assert environment.control_since == datetime.fromisoformat(
        task["metadata"]["creationTimestamp"]
    )
    assert job.spec.backoff_limit == 0
    assert job.spec.template.spec.restart_policy == "Never"
    assert job.spec.ttl_seconds_after_finished is None
    owner = job.metadata.owner_references[0]
    assert (owner.uid, owner.controller, owner.block_owner_deletion) == (
        task["metadata"]["uid"],
        True,
        False,
    )


def test_a_load_that_finishes_is_complete_with_its_numbers(world):
    producer = world.running("done")
    world.say("done", "loading", written=700, done=700, total=1440, records_per_second=100)
    status = eventually(
        lambda: s if (s := world.status("done")).get("recordsWritten") == 700 else {}
    )
    assert status["progress"]["percent"] == 48
    assert status["progress"]["display"].startswith("48% 700/1440 eta 7s")
    world.say("done", "finished", written=1440, done=1440, total=1440)
    world.pod_ends("done", 0)
    status = world.reaches("done", "Succeeded")
    assert world.condition("done", "Complete") == ("True", "LoadFinished")
    assert status["recordsWritten"] == 1440
    assert status["attempts"] == 1
    assert status.get("failures", 0) == 0
    assert status["lastEvent"]["producer"] == producer
    assert status["telemetry"]["eventsApplied"] == 3
    eventually(lambda: world.job("done").spec.ttl_seconds_after_finished == 3600)
    eventually(lambda: not world.task("done")["metadata"].get("finalizers"))


def test_events_of_other_producers_move_nothing_and_are_counted(world):
    world.running("others")
    for status in ("finished", "error", "interrupted"):
        world.say("others", status, producer="sink-connector__abc", written=99)
    eventually(lambda: world.status("others").get("telemetry", {}).get("eventsDiscarded") == 3)
    status = world.status("others")
    assert status["phase"] == "Running"
    assert status.get("recordsWritten", 0) == 0


def test_an_event_is_in_the_status_within_a_second(world):
    world.create("fast")
    eventually(lambda: world.job("fast"))
    world.pod_is_running("fast")
    eventually(lambda: world.status("fast").get("phase") == "Starting")
    world.say("fast", "started")
    with Stopwatch() as watch:
        world.reaches("fast", "Running")
    assert watch.took_s < 1


def test_an_error_with_a_code_that_forbids_retries_fails_the_task_for_its_reason(world):
    world.running("refused")
    world.say("refused", "error")
    world.pod_ends("refused", 65)
    status = world.reaches("refused", "Failed")
    assert world.condition("refused", "Failed") == ("True", "SourceRejected")
    assert status["attemptHistory"][0]["exitCode"] == 65
    assert world.job_count("refused") == 1


def test_a_crash_is_retried_by_another_attempt_with_a_producer_of_its_own(world):
    first = world.running("crash", retryBackoff={"initialSeconds": 1, "maxSeconds": 1})
    world.pod_ends("crash", 137)
    eventually(lambda: world.job("crash", 2))
    status = eventually(
        lambda: s if (s := world.status("crash"))["currentAttempt"]["number"] == 2 else None
    )
    assert status["currentAttempt"]["producerId"] != first
    assert status["failures"] == 1
    assert status["attemptHistory"][0]["reason"] == "WorkerCrashed"
    world.say("crash", "finished", producer=first)
    world.say("crash", "started")
    world.say("crash", "finished", written=5)
    world.pod_ends("crash", 0, attempt=2)
    status = world.reaches("crash", "Succeeded")
    assert status["attempts"] == 2


def test_a_job_that_ends_in_silence_fails_after_the_grace(world):
    world.running("silent", backoffLimit=0)
    world.pod_ends("silent", 0)
    assert world.reaches("silent", "Failed")["reason"] == "NoTerminalEvent"


def test_the_termination_log_alone_proves_a_finished_load(world):
    producer = world.running("witness")
    body = (
        '{"queue_id":"x","status":"finished","message":"all","records_written":1440,'
        f'"finished":true,"producer":"{producer}"}}'
    )
    world.pod_ends("witness", 0, body)
    assert world.reaches("witness", "Succeeded")["recordsWritten"] == 1440


def test_a_stop_sent_by_somebody_else_ends_the_task_as_stopped_by_command(world):
    world.running("foreign-stop")
    world.say("foreign-stop", "interrupted", written=7)
    world.pod_ends("foreign-stop", 0)
    world.reaches("foreign-stop", "Stopped")
    assert world.condition("foreign-stop", "Complete") == ("True", "StoppedByCommand")


def test_spec_stop_is_commanded_until_the_worker_answers(world):
    world.running("stop")
    world.patch("stop", {"spec": {"stop": True}})
    eventually(lambda: world.stops("stop") >= 2)
    assert world.status("stop")["phase"] == "Stopping"
    world.say("stop", "interrupted", written=7)
    world.pod_ends("stop", 0)
    status = world.reaches("stop", "Stopped")
    assert world.condition("stop", "Complete") == ("True", "Stopped")
    assert status["stop"]["method"] == "Command"
    assert status["stop"]["acknowledgedAt"]


def test_a_worker_that_ignores_the_stop_loses_its_job(world):
    world.running("deaf", stopTimeoutSeconds=2)
    world.patch("deaf", {"spec": {"stop": True}})
    status = world.reaches("deaf", "Stopped")
    assert status["stop"]["method"] == "JobDeleted"
    eventually(lambda: world.job("deaf") is None)


def test_a_task_that_is_born_stopped_never_has_a_job(world):
    world.create("born", stop=True)
    world.reaches("born", "Stopped")
    assert world.job("born") is None


def test_a_deleted_task_waits_for_its_worker_to_answer_and_leaves_nothing(world):
    world.running("deleted")
    world.delete("deleted")
    eventually(lambda: world.stops("deleted") >= 1)
    assert world.task("deleted")
    assert world.job("deleted")
    world.say("deleted", "interrupted")
    world.pod_ends("deleted", 0)
    eventually(lambda: world.task("deleted") is None)
    eventually(lambda: world.job("deleted") is None)


def test_a_deletion_is_bounded_when_the_worker_never_answers(world):
    world.running("stuck", stopTimeoutSeconds=1)
    world.delete("stuck")
    eventually(lambda: world.task("stuck") is None)
    eventually(lambda: world.job("stuck") is None)


def test_the_annotation_deletes_without_a_stop(world):
    world.running("skipped")
    assert world.stops("skipped") == 0
    annotation = {"streamforge.io/skip-graceful-stop": "true"}
    world.patch("skipped", {"metadata": {"annotations": annotation}})
    world.delete("skipped")
    # A stop would take thirty seconds, for nobody answers it.
    eventually(lambda: world.task("skipped") is None, 20)
    assert world.stops("skipped") == 0


def test_a_job_of_somebody_else_is_a_conflict_until_it_is_gone(world):
    job = {
        "metadata": {"name": "taken-1"},
        "spec": {
            "suspend": True,
            "template": {
                "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}
            },
        },
    }
    world.jobs.create_namespaced_job(world.namespace, job)
    world.create("taken")
    eventually(lambda: world.condition("taken", "Accepted") == ("False", "NameConflict"))
    world.jobs.delete_namespaced_job("taken-1", world.namespace, propagation_policy="Background")
    eventually(lambda: world.status("taken").get("phase") == "Starting")
    assert world.job("taken").metadata.owner_references[0].name == "taken"


def test_malformed_foreign_and_huge_events_stop_nothing(world):
    world.running("robust")
    for value in (
        None,
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"queue_id":' * 20_000,
        b'{"status":"finished"}',
        b'{"queue_id":"nobody","status":"finished","producer":"p"}',
        b"x" * 1_000_000,
    ):
        world.send(value)
    queue_id = world.status("robust")["queueId"]
    world.send(f'{{"queue_id":"{queue_id}","status":"finished","message":"\\ud800"}}'.encode())
    world.say("robust", "loading", written=5, done=1, total=2, records_per_second=2**62)
    eventually(lambda: world.status("robust").get("recordsWritten") == 5)
    assert world.status("robust")["phase"] == "Running"
    assert world.operator.metric("loadertask_events_discarded_total") >= 9


def test_over_tls_with_the_platforms_user_and_acls(cluster, kafka, tmp_path):
    access = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.secure,
        "KAFKA_USER": "operator",
        "KAFKA_PASSWORD": kafka.password("operator"),
        "CA_PATH": str(kafka.ca_path),
    }
    with operator_world(cluster, kafka, tmp_path, **access) as world:
        world.running("secure")
        eventually(lambda: world.condition("secure", "TelemetryFresh") == ("True", "Receiving"))
        world.patch("secure", {"spec": {"stop": True}})
        eventually(lambda: world.stops("secure") >= 1)
        world.operator.kill()
        world.say("secure", "interrupted")
        world.operator.start()
        world.pod_ends("secure", 0)
        world.reaches("secure", "Stopped")
        assert world.status("secure")["telemetry"]["eventsApplied"] == 2


RIGHTS = [
    (["streamforge.io"], ["loadertasks"], ["get", "list", "watch", "patch", "delete"]),
    (["streamforge.io"], ["loadertasks/status"], ["patch", "update"]),
    (["batch"], ["jobs"], ["get", "list", "watch", "create", "patch", "delete"]),
    ([""], ["pods"], ["get", "list", "watch", "delete"]),
    ([""], ["events"], ["list", "create", "patch"]),
]


def test_the_rights_of_the_chart_in_one_namespace_and_a_token_are_enough(cluster, kafka, tmp_path):
    with operator_world(cluster, kafka, tmp_path, start=False) as world:
        world.operator.use_kubeconfig(restricted_kubeconfig(world, RIGHTS, tmp_path))
        world.operator.start()
        world.running("modest", ttlSecondsAfterFinished=0, jobTTLSecondsAfterFinished=0)
        world.patch("modest", {"spec": {"stop": True}})
        eventually(lambda: world.stops("modest") >= 1)
        world.say("modest", "interrupted")
        world.pod_ends("modest", 0)
        eventually(lambda: world.task("modest") is None)
        world.running("deleted", stopTimeoutSeconds=1)
        world.delete("deleted")
        eventually(lambda: world.task("deleted") is None)
        assert "forbidden" not in world.operator.log()


def test_the_operator_ends_in_order_when_it_is_asked_to(cluster, kafka, tmp_path):
    with operator_world(cluster, kafka, tmp_path) as world:
        world.running("left")
        assert world.operator.terminate() == 0
        assert "Traceback" not in world.operator.log()


def test_probes_and_events_are_there_for_people(world):
    eventually(world.operator.is_healthy)
    world.create("told", stop=True)
    world.reaches("told", "Stopped")
    selector = "involvedObject.name=told"

    def reasons() -> set[str]:
        events = world.core.list_namespaced_event(world.namespace, field_selector=selector)
        return {event.reason for event in events.items}

    eventually(lambda: reasons() == {"Stopped"})


def test_an_ended_task_goes_after_its_own_ttl(world):
    world.create("short", stop=True, ttlSecondsAfterFinished=1)
    eventually(lambda: world.task("short") is None)


def test_a_whole_life_costs_few_writes(cluster, kafka, tmp_path):
    with operator_world(cluster, kafka, tmp_path) as world:  # no other task costs any
        world.running("thrifty")
        world.say("thrifty", "finished", written=5)
        world.pod_ends("thrifty", 0)
        world.reaches("thrifty", "Succeeded")
        eventually(lambda: not world.task("thrifty")["metadata"].get("finalizers"))
        assert world.operator.metric("loadertask_status_writes_total") <= 12
