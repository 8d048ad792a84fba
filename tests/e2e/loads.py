"""The loads that the tests run, and what must be in Kafka in the end."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.e2e.cluster_client import wait_until
from tests.sources import COMMITTED_RANGE

if TYPE_CHECKING:
    from tests.e2e.bench import Bench

MINUTE_MS = 60_000
MONTH = "2023-01-01:2023-01-31"
MINUTES_OF_MONTH = 30 * 1440
# A held load stands still after some of these: each gives at most a thousand minutes.
REQUESTS_BEFORE_HOLD = 12
# Longer than any test: what is held back is not to end the worker.
PATIENT = [{"name": "LOADER_PATIENCE_SECONDS", "value": "600"}]


def task_manifest(name: str, **spec: Any) -> dict[str, Any]:
    """A LoaderTask; a field that is None is left out."""
    fields = {
        "symbol": "BTCUSDT",
        "type": "api_candles_1m",
        "timeRange": COMMITTED_RANGE,
        **spec,
    }
    return {
        "apiVersion": "streamforge.io/v1alpha1",
        "kind": "LoaderTask",
        "metadata": {"name": name},
        "spec": {field: value for field, value in fields.items() if value is not None},
    }


def start_held(bench: Bench, name: str, symbol: str, **spec: Any) -> None:
    """Apply a month of minutes that the venue holds back: it speaks every second, and waits."""
    bench.hold_back(symbol, REQUESTS_BEFORE_HOLD)
    worker = {"env": PATIENT, **spec.pop("worker", {})}
    quick = {"telemetryInterval": 1, "retryBackoff": {"initialSeconds": 1, "maxSeconds": 2}}
    held = task_manifest(name, symbol=symbol, timeRange=MONTH, worker=worker, **quick, **spec)
    bench.kubectl.apply(held)


def wait_for_records(bench: Bench, name: str, more_than: int = 0) -> dict[str, Any]:
    """The status of a task as soon as it tells of records."""

    def has_records(status: dict[str, Any]) -> bool:
        return bool(status.get("recordsWritten", 0) > more_than)

    return wait_for_status(bench, name, has_records, f"more than {more_than} records")


def wait_for_status(
    bench: Bench, name: str, is_so: Any, what: str, timeout_s: float = 60
) -> dict[str, Any]:
    """The status of a task as soon as ``is_so`` holds for it."""
    status: dict[str, Any] = {}

    def holds() -> bool:
        nonlocal status
        status = bench.kubectl.task(name).get("status", {})
        return bool(is_so(status))

    wait_until(holds, timeout_s, f"{what} of {name}", lambda: json.dumps(status, indent=1))
    return status


def completed(bench: Bench, name: str, timeout_s: int = 60) -> dict[str, Any]:
    """The status of a task that ends well within the time."""
    status = wait_for_status(bench, name, lambda seen: seen.get("completionTime"), "end", timeout_s)
    assert status["phase"] == "Succeeded", json.dumps(status, indent=1)
    return status


def assert_month_is_whole(bench: Bench, status: dict[str, Any]) -> None:
    """Every minute of the month once, in the order of time where one worker wrote them all."""
    opens = [
        json.loads(record.value or b"")["open_time"] for record in bench.records(status["topic"])
    ]
    begin_ms = int(datetime(2023, 1, 1, tzinfo=UTC).timestamp()) * 1000
    expected = [begin_ms + minute * MINUTE_MS for minute in range(MINUTES_OF_MONTH)]
    doubled = [open_ms for open_ms, count in Counter(opens).items() if count > 1]
    assert not doubled, f"{len(doubled)} minutes doubled, the first at {doubled[0]}"
    assert sorted(opens) == expected
    assert status.get("shards") or opens == expected
    assert status["recordsWritten"] == MINUTES_OF_MONTH
