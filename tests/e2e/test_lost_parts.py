"""Parts of the system that go away in the middle of loads: the broker, the operator that leads."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
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

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300, func_only=True)]

OUTAGE_MS = 60_000
# Far below that: this worker gives up while Kafka is down.
HASTY = {"env": [{"name": "LOADER_PATIENCE_SECONDS", "value": "5"}]}
QUICK_RETRIES = {"retryBackoff": {"initialSeconds": 1, "maxSeconds": 4}, "backoffLimit": 20}
TAKEOVER = timedelta(seconds=30)


def start_live(bench: Bench, name: str, symbol: str) -> None:
    live = {"type": "ws_trades", "timeRange": None, "telemetryInterval": 1, "worker": HASTY}
    bench.kubectl.apply(task_manifest(name, symbol=symbol, **live, **QUICK_RETRIES))


def test_kafka_can_go_away_for_longer_than_a_worker_has_patience(bench: Bench) -> None:
    """One worker waits and one gives up; a third is deleted while nobody can be told to stop."""
    restarts = bench.operator_restarts()
    start_held(bench, "patient", "SOLUSDT")
    start_held(bench, "doomed", "LINKUSDT", stopTimeoutSeconds=5)
    start_live(bench, "hasty", "BTCUSDT")
    for name in ("patient", "doomed", "hasty"):
        wait_for_records(bench, name)
    with bench.broken_kafka():
        gone_ms = epoch_ms()
        # What the venue gives now has no place to go.
        bench.let_go()
        bench.kubectl("delete", "lt/doomed", "--timeout=60s", timeout_s=70)
        wait_for_status(bench, "hasty", lambda seen: seen.get("failures", 0) >= 1, "failure")
        wait_for_status(bench, "patient", broker_is_missed, "word of the broker")
        wait_until(lambda: epoch_ms() >= gone_ms + OUTAGE_MS, OUTAGE_MS / 1000 + 10, "a minute")
        back_ms = epoch_ms()
    patient = completed(bench, "patient", 90)
    assert (patient["attempts"], patient["failures"]) == (1, 0)
    assert_month_is_whole(bench, patient)
    assert_stopped_without_a_hole(bench, "hasty", gone_ms, back_ms)
    assert bench.operator_restarts() == restarts


def epoch_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


def broker_is_missed(status: dict[str, Any]) -> bool:
    freshness = condition({"status": status}, "TelemetryFresh")
    return bool(freshness.get("reason") == "BrokerUnavailable")


def assert_stopped_without_a_hole(bench: Bench, name: str, gone_ms: int, back_ms: int) -> None:
    """Trades from before, during and after an outage: their ids have no hole and no double."""

    def is_past_it(status: dict[str, Any]) -> bool:
        through = status.get("progress", {}).get("loadedThrough", "1970-01-01T00:00:00Z")
        return datetime.fromisoformat(through).timestamp() * 1000 > back_ms

    wait_for_status(bench, name, is_past_it, "trades from after the outage")
    bench.kubectl("patch", f"lt/{name}", "--type=merge", '--patch={"spec":{"stop":true}}')
    bench.kubectl("wait", f"lt/{name}", "--for=condition=Complete", "--timeout=60s", timeout_s=70)
    status = bench.kubectl.task(name)["status"]
    assert status["phase"] == "Stopped"
    assert status["attempts"] == status["failures"] + 1 >= 2
    trades = [json.loads(record.value or b"") for record in bench.records(status["topic"])]
    ids = sorted(trade["trade_id"] for trade in trades)
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert any(gone_ms < trade["timestamp"] < back_ms for trade in trades)
    assert status["recordsWritten"] == len(ids)


def test_when_the_leader_is_killed_the_other_goes_on_and_nothing_is_lost_or_doubled(
    bench: Bench,
) -> None:
    names = ("first", "second")
    with bench.two_operators():
        for name, symbol in zip(names, ("DOGEUSDT", "BNBBTC"), strict=True):
            start_held(bench, name, symbol)
        for name in names:
            wait_for_records(bench, name)
        leader, (other,) = bench.leader_and_others()
        # The one that goes when one is too many: the killed leader must not come back and lead.
        bench.operators(
            *("annotate", f"pod/{leader['metadata']['name']}"),
            "controller.kubernetes.io/pod-deletion-cost=-1",
        )
        killed_at = datetime.now(UTC)
        kill_program(leader)
        bench.operators("scale", "deployment", "--all", "--replicas=1")
        bench.kubectl.apply(task_manifest("between"))
        wait_until(lambda: bool(jobs_of(bench, "between")), 60, "Job by the other operator")
        lease = bench.lease()
        assert lease["holderIdentity"].startswith(other["metadata"]["name"])
        assert datetime.fromisoformat(lease["acquireTime"]) - killed_at <= TAKEOVER
        bench.let_go()
        for name in (*names, "between"):
            assert_nothing_was_lost_or_doubled(bench, name)
        for name in names:
            assert_month_is_whole(bench, bench.kubectl.task(name)["status"])


def assert_nothing_was_lost_or_doubled(bench: Bench, name: str) -> None:
    """One Job, one worker, and every one of its events counted once."""
    status = completed(bench, name)
    events = bench.events(status["queueId"])
    status = wait_for_status(
        bench, name, lambda seen: seen["telemetry"]["eventsApplied"] == len(events), "every event"
    )
    assert (status["attempts"], status["failures"]) == (1, 0)
    assert len(jobs_of(bench, name)) == 1
    assert {event["producer"] for event in events} == {status["currentAttempt"]["producerId"]}
    assert status["telemetry"]["eventsDiscarded"] == 0
    assert status["recordsWritten"] == len(bench.records(status["topic"]))


def jobs_of(bench: Bench, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = bench.kubectl.get(
        "jobs", f"--selector=streamforge.io/task={name}"
    )["items"]
    return found
