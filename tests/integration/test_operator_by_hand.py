"""What people and other programs do to a load while it runs: edits, an upgrade, odd events."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions
from kubernetes import client, config
from tests.integration.operator_process import ROOT, World, eventually, operator_world

from loadertask_operator import names

pytestmark = pytest.mark.integration

FAST = {"retryBackoff": {"initialSeconds": 1, "maxSeconds": 1}}
CRD_NAME = f"{names.PLURAL}.{names.GROUP}"
TOTAL = 1440
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def world(cluster, kafka, tmp_path_factory) -> World:
    with operator_world(cluster, kafka, tmp_path_factory.mktemp("operator")) as world:
        yield world


def edit_status(world: World, name: str, **status: object) -> None:
    world.tasks.patch_namespaced_custom_object_status(
        names.GROUP, names.VERSION, world.namespace, names.PLURAL, name, {"status": status}
    )


def finishes(world: World, name: str, attempt: int = 1) -> dict[str, object]:
    world.say(name, "finished", written=TOTAL, done=TOTAL, total=TOTAL)
    world.pod_ends(name, 0, attempt=attempt)
    return world.reaches(name, "Succeeded")


def test_a_status_that_is_edited_by_hand_is_put_right_and_the_load_goes_on(world):
    producer = world.running("edited")
    edit_status(world, "edited", phase="Pending", reason="Guess", message="by hand", conditions=[])
    status = world.reaches("edited", "Running")
    assert world.condition("edited", "Running") == ("True", "PodRunning")
    assert status["currentAttempt"]["producerId"] == producer
    edit_status(world, "edited", recordsWritten=7, telemetry=None, lastEvent=None)
    status = finishes(world, "edited")
    assert (status["recordsWritten"], status["attempts"]) == (TOTAL, 1)
    assert world.job_count("edited") == 1


def test_a_job_that_is_deleted_by_hand_is_missed_and_its_load_tried_again(world):
    world.running("bereft", **FAST)
    job = world.job("bereft")
    body = client.V1DeleteOptions(propagation_policy="Background")
    world.jobs.delete_namespaced_job(job.metadata.name, world.namespace, body=body)
    eventually(lambda: world.job("bereft", 2))
    past = world.status("bereft")["attemptHistory"][0]
    assert (past["outcome"], past["reason"]) == ("Failed", "JobDisappeared")
    world.say("bereft", "started")
    world.reaches("bereft", "Running")
    assert finishes(world, "bereft", attempt=2)["attempts"] == 2


def test_the_definition_can_be_upgraded_while_loads_run(world, cluster):
    world.running("upgraded")
    api = client.ApiextensionsV1Api(config.new_client_from_config(str(cluster)))
    upgraded = newer_definition()
    try:
        api.patch_custom_resource_definition(CRD_NAME, upgraded)
        eventually(lambda: takes_the_new_field(world))
        world.say("upgraded", "loading", written=700, done=700, total=TOTAL)
        eventually(lambda: world.status("upgraded").get("recordsWritten") == 700)
        world.running("made-after", novelty="x")
        assert finishes(world, "upgraded")["recordsWritten"] == TOTAL
        finishes(world, "made-after")
        # What this operator does not know is not taken away by what it writes.
        assert world.task("made-after")["spec"]["novelty"] == "x"
    finally:
        api.patch_custom_resource_definition(CRD_NAME, definition())
        eventually(lambda: not takes_the_new_field(world))
    assert world.operator.is_healthy()


def definition() -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((ROOT / "crds/loadertasks.yaml").read_text())
    return found


def newer_definition() -> dict[str, object]:
    """The definition with one more field, as the next version may have it."""
    newer: dict[str, object] = definition()
    (version,) = newer["spec"]["versions"]
    fields = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    fields["novelty"] = {"type": "string"}
    return newer


def takes_the_new_field(world: World) -> bool:
    """Whether the API server keeps the field of the newer definition."""
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": "probe"},
        "spec": {
            "symbol": "BTCUSDT",
            "type": "api_candles_1m",
            "timeRange": "2023-01-01:2023-01-02",
            "novelty": "x",
        },
    }
    kept = world.tasks.create_namespaced_custom_object(
        names.GROUP, names.VERSION, world.namespace, names.PLURAL, body, dry_run="All"
    )
    return "novelty" in kept["spec"]


def test_events_that_are_spread_over_partitions_are_all_counted_once(cluster, kafka, tmp_path):
    """Other producers of the platform may have no key; and the topic may grow while we read."""
    with operator_world(cluster, kafka, tmp_path) as world:
        world.running("spread")
        admin = AdminClient({"bootstrap.servers": kafka.plain})  # its futures die with it
        (grown,) = admin.create_partitions([NewPartitions(world.events_topic, 3)]).values()
        grown.result(10)
        world.producer = Producer({"bootstrap.servers": kafka.plain})  # knows all of them
        for number, written in enumerate((100, 200, 300, 400, 500, 600)):
            world.say("spread", "loading", written=written, total=TOTAL, partition=number % 3)
        eventually(lambda: world.status("spread")["telemetry"]["eventsApplied"] == 7)
        assert world.status("spread")["recordsWritten"] == 600
        world.operator.kill()
        world.say("spread", "finished", written=TOTAL, done=TOTAL, total=TOTAL, partition=2)
        world.operator.start()
        world.pod_ends("spread", 0)
        status = world.reaches("spread", "Succeeded")
        assert status["recordsWritten"] == TOTAL


@pytest.mark.parametrize("days", [2, 10_000])
def test_a_clock_that_is_days_behind_is_not_believed(world, days):
    """Brokers themselves refuse what is an hour ahead (`message.timestamp.after.max.ms`)."""
    name = f"clock-{days}"
    world.running(name)
    sent_at = datetime.now(UTC)
    timestamp_ms = time.time_ns() // 1_000_000 - days * DAY_MS
    world.say(name, "loading", written=700, done=700, total=TOTAL, timestamp_ms=timestamp_ms)
    status = eventually(lambda: s if (s := world.status(name)).get("recordsWritten") == 700 else {})
    told_at = datetime.fromisoformat(status["lastEvent"]["time"])
    assert abs(told_at - sent_at) < timedelta(minutes=2)
    assert world.condition(name, "TelemetryFresh") == ("True", "Receiving")
    finishes(world, name)
