"""Parts of the system that go away in the middle of loads: the broker, the operator that leads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.bench import Stopwatch
from tests.e2e.cluster_client import condition, wait_until
from tests.e2e.loads import (
    assert_month_is_whole,
    completed,
    start_held,
    task_manifest,
    wait_for_records,
    wait_for_status,
)
from tests.e2e.pod_programs import kill_program

if TYPE_CHECKING:
    from tests.e2e.bench import Bench

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240, func_only=True)]

# Far below the minute of an outage: this worker gives up while Kafka is down.
HASTY = {"env": [{"name": "LOADER_PATIENCE_SECONDS", "value": "5"}]}
QUICK_RETRIES = {"retryBackoff": {"initialSeconds": 1, "maxSeconds": 4}, "backoffLimit": 20}
# Leases last 15 s; the rest is for whoever takes over to look at everything.
TAKEOVER_S = 30


def start_live(bench: Bench, name: str, symbol: str) -> None:
    """A live load that has brought its first records."""
    live = {"type": "ws_trades", "timeRange": None, "telemetryInterval": 1, "worker": HASTY}
    bench.kubectl.apply(task_manifest(name, symbol=symbol, **live, **QUICK_RETRIES))
    wait_for_records(bench, name)


def test_kafka_can_go_away_longer_than_anybody_has_patience(bench: Bench) -> None:
    """One worker waits and one gives up; a third is deleted while nobody can be told to stop."""
    restarts = bench.operator_restarts()
    start_held(bench, "patient", "SOLUSDT")
    start_held(bench, "doomed", "LINKUSDT", stopTimeoutSeconds=5)
    start_live(bench, "hasty", "ETHUSDT")
    with bench.broken_kafka():
        # What the venue gives now has no place to go.
        bench.let_go()
        bench.kubectl("delete", "lt/doomed", "--timeout=60s", timeout_s=70)
        wait_for_status(bench, "hasty", lambda seen: seen.get("failures", 0) >= 1, "failure")
        wait_for_status(bench, "patient", broker_is_missed, "word of the broker")
    assert_is_whole_after_the_outage(bench)
    assert_goes_on_live(bench)
    assert bench.operator_restarts() == restarts


def broker_is_missed(status: dict[str, Any]) -> bool:
    freshness = condition({"status": status}, "TelemetryFresh")
    return bool(freshness.get("reason") == "BrokerUnavailable")


def assert_is_whole_after_the_outage(bench: Bench) -> None:
    patient = completed(bench, "patient")
    assert (patient["attempts"], patient["failures"]) == (1, 0)
    assert_month_is_whole(bench, patient)


def assert_goes_on_live(bench: Bench) -> None:
    """Trades from before, during and after the outage: their ids have no hole and no double."""
    before = bench.kubectl.task("hasty")["status"].get("recordsWritten", 0)
    wait_for_records(bench, "hasty", more_than=before)
    bench.kubectl("patch", "lt/hasty", "--type=merge", '--patch={"spec":{"stop":true}}')
    bench.kubectl("wait", "lt/hasty", "--for=condition=Complete", "--timeout=60s", timeout_s=70)
    status = bench.kubectl.task("hasty")["status"]
    assert status["failures"] >= 1
    assert status["attempts"] == status["failures"] + 1
    records = bench.records(status["topic"])
    ids = sorted(json.loads(record.value or b"")["trade_id"] for record in records)
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert status["recordsWritten"] == len(ids) > before


def test_when_the_leader_is_killed_the_other_goes_on_and_nothing_is_lost_or_doubled(
    bench: Bench,
) -> None:
    names = ("first", "second")
    with bench.two_operators():
        for name, symbol in zip(names, ("DOGEUSDT", "BNBBTC"), strict=True):
            start_held(bench, name, symbol)
        leader = bench.lease_holder()
        led, stands_by = sorted(
            bench.operator_pods(), key=lambda pod: not leader.startswith(pod["metadata"]["name"])
        )
        # Which of the two goes when one is too many: the killed one must not come back and lead.
        bench.operators(
            *("annotate", f"pod/{led['metadata']['name']}"),
            "controller.kubernetes.io/pod-deletion-cost=-1",
        )
        kill_program(led)
        since_kill = Stopwatch()
        bench.operators("scale", "deployment", "--all", "--replicas=1")
        bench.kubectl.apply(task_manifest("between"))
        wait_until(lambda: bool(jobs_of(bench, "between")), TAKEOVER_S, "takeover")
        assert since_kill.elapsed_s() <= TAKEOVER_S
        assert bench.lease_holder().startswith(stands_by["metadata"]["name"])
        bench.let_go()
        for name in (*names, "between"):
            assert_nothing_was_lost_or_doubled(bench, name)
        for name in names:
            assert_month_is_whole(bench, bench.kubectl.task(name)["status"])


def assert_nothing_was_lost_or_doubled(bench: Bench, name: str) -> None:
    """One Job, one worker, and every one of its events counted once."""
    status = completed(bench, name)
    assert (status["attempts"], status["failures"]) == (1, 0)
    assert len(jobs_of(bench, name)) == 1
    events = bench.events(status["queueId"])
    assert {event["producer"] for event in events} == {status["currentAttempt"]["producerId"]}
    assert status["telemetry"]["eventsApplied"] == len(events)
    assert status["telemetry"]["eventsDiscarded"] == 0
    assert status["recordsWritten"] == len(bench.records(status["topic"]))


def jobs_of(bench: Bench, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = bench.kubectl.get(
        "jobs", f"--selector=streamforge.io/task={name}"
    )["items"]
    return found
