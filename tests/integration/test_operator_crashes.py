"""The operator killed with SIGKILL while events come, and Kafka gone: what is left.

Each life ends once, with one Job and the right counters, and no event is lost. Kills at each of its
requests are in test_operator_crash_points.py.
"""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Consumer, TopicPartition
from tests.integration.operator_process import World, eventually, operator_world

from loadertask_devstack import kafka as devstack_kafka
from loadertask_devstack.kafka import running_kafka
from loadertask_operator import names

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def world(cluster, kafka, tmp_path_factory):
    with operator_world(cluster, kafka, tmp_path_factory.mktemp("operator")) as world:
        yield world


def ends_once(world: World, name: str, events_applied: int) -> None:
    status = world.reaches(name, "Succeeded")
    assert world.job_count(name) == 1
    assert status["attempts"] == 1
    assert status.get("failures", 0) == 0
    assert status["recordsWritten"] == 1440
    assert status["telemetry"]["eventsApplied"] == events_applied
    eventually(lambda: not world.task(name)["metadata"].get("finalizers"))
    eventually(lambda: world.job(name).spec.ttl_seconds_after_finished == 3600)


def lives_on(world: World, name: str) -> None:
    """From a stored intent to the end."""
    eventually(lambda: world.job(name))
    eventually(lambda: world.status(name).get("currentAttempt", {}).get("jobUID"))
    world.pod_is_running(name)
    world.say(name, "started")
    world.say(name, "finished", written=1440)
    world.pod_ends(name, 0)
    ends_once(world, name, events_applied=2)


def test_an_intent_without_a_job_is_carried_out_by_the_next_operator(world):
    world.operator.kill()
    uid = world.create("intent")["metadata"]["uid"]
    attempt = {"number": 1, "jobName": "intent-1", "producerId": "loader-producer__0a1b2c"}
    world.tasks.patch_namespaced_custom_object_status(
        names.GROUP,
        names.VERSION,
        world.namespace,
        names.PLURAL,
        "intent",
        {
            "status": {
                "attempts": 1,
                "currentAttempt": attempt,
                "queueId": f"intent-{uid[:8]}",
            }
        },
    )
    world.operator.start()
    lives_on(world, "intent")
    assert world.status("intent")["currentAttempt"]["producerId"] == "loader-producer__0a1b2c"


def test_events_that_were_sent_while_no_operator_ran_are_folded(world):
    world.running("away")
    world.operator.kill()
    world.say("away", "loading", written=700)
    world.say("away", "loading", written=900)
    world.say("away", "finished", written=1440)
    world.pod_ends("away", 0)
    world.operator.start()
    ends_once(world, "away", events_applied=4)


def test_killed_after_the_end_is_stored_the_cleaning_up_is_done_by_the_next(world):
    world.running("tidy")
    world.say("tidy", "finished", written=1440)
    world.pod_ends("tidy", 0)
    world.reaches("tidy", "Succeeded")
    world.operator.kill()
    world.operator.start()
    ends_once(world, "tidy", events_applied=2)


def test_killed_while_stopping_the_next_goes_on_with_the_same_stop(world):
    world.running("halt")
    world.patch("halt", {"spec": {"stop": True}})
    eventually(lambda: world.stops("halt") >= 1)
    requested_at = world.status("halt")["stop"]["requestedAt"]
    world.operator.kill()
    world.operator.start()
    sent = world.stops("halt")
    eventually(lambda: world.stops("halt") > sent)
    world.say("halt", "interrupted", written=3)
    world.pod_ends("halt", 0)
    status = world.reaches("halt", "Stopped")
    assert status["stop"]["requestedAt"] == requested_at


def test_killed_while_deleting_the_next_lets_the_task_go(world):
    world.running("gone")
    world.delete("gone")
    eventually(lambda: world.stops("gone") >= 1)
    world.operator.kill()
    assert world.task("gone")
    world.say("gone", "interrupted")
    world.pod_ends("gone", 0)
    world.operator.start()
    eventually(lambda: world.task("gone") is None)
    eventually(lambda: world.job("gone") is None)


def committed(world: World) -> int:
    consumer = Consumer(
        {"bootstrap.servers": world.bootstrap, "group.id": world.group_id, "log_level": 3}
    )
    try:
        partition = TopicPartition(world.events_topic, 0)
        return consumer.committed([partition], timeout=10)[0].offset
    finally:
        consumer.close()


def test_an_offset_is_committed_only_after_the_status_it_led_to(cluster, kafka, tmp_path):
    with operator_world(cluster, kafka, tmp_path, STATUS_WRITE_SECONDS="3600") as world:
        # Silence, which is a condition of the status, is far away.
        world.running("slow", telemetryInterval=60)
        world.say("slow", "loading", written=1)
        eventually(lambda: world.operator.metric("loadertask_consumer_lag") == 0)
        world.say("slow", "loading", written=2)
        for _ in range(5):
            world.send(b"noise")
        # The last write stored `started`: everything later must come again after a crash.
        eventually(lambda: committed(world) == 1)
        time.sleep(1.5)
        assert committed(world) == 1
        world.operator.kill()
        world.operator.start()
        eventually(lambda: world.status("slow").get("recordsWritten") == 2)
        assert world.status("slow")["telemetry"]["eventsApplied"] == 3
        eventually(lambda: committed(world) == 8)


def test_with_kafka_down_the_operator_works_on_and_comes_back(cluster, tmp_path):
    with (
        running_kafka(tmp_path / "kafka") as broker,
        operator_world(cluster, broker, tmp_path, STATUS_WRITE_SECONDS="0") as world,
    ):
        producer = world.running("down", stopTimeoutSeconds=1)
        world.running("later", stopTimeoutSeconds=1)
        devstack_kafka.kill(broker.directory)
        unavailable = ("False", "BrokerUnavailable")
        eventually(lambda: world.condition("down", "TelemetryFresh") == unavailable)
        body = (
            '{"status":"finished","records_written":1440,"finished":true,'
            f'"producer":"{producer}"}}'
        )
        world.pod_ends("down", 0, body)
        assert world.reaches("down", "Succeeded")["recordsWritten"] == 1440
        world.create("new")
        eventually(lambda: world.job("new"))
        world.delete("later")
        eventually(lambda: world.task("later") is None)
        devstack_kafka.start(broker.directory)
        world.pod_is_running("new")
        world.say("new", "started")
        world.reaches("new", "Running")
        receiving = ("True", "Receiving")
        eventually(lambda: world.condition("new", "TelemetryFresh") == receiving)
