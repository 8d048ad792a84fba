"""The main job: a manifest in, real candles in Kafka, progress in ``kubectl get``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.cluster_client import condition, wait_until
from tests.e2e.loads import MINUTES_OF_MONTH, start_held, task_manifest, wait_for_records
from tests.sources import CHECKOUT, recorded_day

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.bench import Bench

EXAMPLES = CHECKOUT / "examples"
# Of a test alone: the first one also brings up the whole system.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300, func_only=True)]


def test_a_recorded_day_arrives_digit_for_digit(bench: Bench) -> None:
    """Count, order, fields, types, digits, no duplicate: against the source, not our own parser."""
    day, rows = recorded_day()
    bench.kubectl.apply(task_manifest("day", timeRange=day))
    bench.kubectl("wait", "loadertask/day", "--for=condition=Complete", "--timeout=90s")

    status = bench.kubectl.task("day")["status"]
    records = bench.records(status["topic"])
    assert len(records) == 1440
    expected = [
        (
            f'{{"open_time":{row[0]},"open":{row[1]},"high":{row[2]},"low":{row[3]},'
            f'"close":{row[4]},"volume":{row[5]},"close_time":{row[6]},'
            f'"quote_asset_volume":{row[7]},"number_of_trades":{row[8]},'
            f'"taker_buy_base_asset_volume":{row[9]},"taker_buy_quote_asset_volume":{row[10]},'
            '"symbol":"BTCUSDT","interval":"1m"}'
        ).encode()
        for row in rows
    ]
    assert [record.value for record in records] == expected
    assert {record.key for record in records} == {b"BTCUSDT"}
    assert status["recordsWritten"] == 1440
    assert status["phase"] == "Succeeded"
    assert condition(bench.kubectl.task("day"), "Complete")["reason"] == "LoadFinished"


def examples(*, live: bool) -> list[Path]:
    return [path for path in sorted(EXAMPLES.glob("*.yaml")) if ("live" in path.name) is live]


@pytest.mark.parametrize("example", examples(live=False), ids=lambda path: path.name)
def test_every_example_of_history_runs_to_its_end(bench: Bench, example: Path) -> None:
    bench.kubectl("apply", f"--filename={example}")
    bench.kubectl(
        "wait", "lt", "--all", "--for=condition=Complete", "--timeout=120s", timeout_s=130
    )
    (task,) = bench.kubectl.get("lt")["items"]
    status = task["status"]
    assert condition(task, "Complete")["reason"] == "LoadFinished"
    assert status["recordsWritten"] == len(bench.records(status["topic"])) > 0
    if "_candles" in task["spec"]["type"]:  # how many trades there are, nobody knows before
        assert status["progress"]["percent"] == 100


@pytest.mark.parametrize("example", examples(live=True), ids=lambda path: path.name)
def test_every_live_example_follows_the_venue_until_it_is_stopped(
    bench: Bench, example: Path
) -> None:
    bench.kubectl("apply", f"--filename={example}")
    (task,) = bench.kubectl.get("lt")["items"]
    name = task["metadata"]["name"]
    bench.kubectl.wait_for_phase(name, "Running")

    def status() -> dict[str, Any]:
        found: dict[str, Any] = bench.kubectl.task(name)["status"]
        return found

    wait_until(
        lambda: status().get("recordsWritten", 0) >= 3,
        60,
        "records in the status",
        lambda: json.dumps(status(), indent=1),
    )
    seen = status()
    assert "percent" not in seen["progress"]
    assert seen["progress"]["lagSeconds"] < 30
    bench.kubectl("patch", f"lt/{name}", "--type=merge", '--patch={"spec":{"stop":true}}')
    bench.kubectl("wait", f"lt/{name}", "--for=condition=Complete", "--timeout=60s")
    stopped = bench.kubectl.task(name)
    assert condition(stopped, "Complete")["reason"] == "Stopped"
    records = bench.records(seen["topic"])
    assert stopped["status"]["recordsWritten"] == len(records) >= seen["recordsWritten"]
    last = [event for event in bench.events(seen["queueId"]) if event["finished"]]
    assert [event["status"] for event in last] == ["interrupted"]
    assert last_words(bench)["records_written"] == len(records)


def last_words(bench: Bench) -> dict[str, Any]:
    """What the worker left in the termination log of its container."""
    (pod,) = bench.kubectl.get("pods")["items"]
    (container,) = pod["status"]["containerStatuses"]
    words: dict[str, Any] = json.loads(container["state"]["terminated"]["message"])
    return words


def test_kubectl_get_shows_the_load_while_it_runs_and_after(bench: Bench) -> None:
    start_held(bench, "watched", "ETHUSDT")
    wait_for_records(bench, "watched")
    header, row = bench.kubectl("get", "loadertasks").splitlines()
    assert header.split()[:6] == ["NAME", "PHASE", "TYPE", "SYMBOL", "RANGE", "PROGRESS"]
    assert "Running" in row
    assert "%" in row
    bench.let_go()
    bench.kubectl("wait", "lt/watched", "--for=condition=Complete", "--timeout=120s")
    _, row = bench.kubectl("get", "lt").splitlines()
    assert "Succeeded" in row
    assert str(MINUTES_OF_MONTH) in row
    wide = bench.kubectl("get", "streamforge", "--output=wide")
    assert "LoadFinished" in wide


def test_explain_reads_like_documentation(bench: Bench) -> None:
    text = bench.kubectl("explain", "loadertask.spec")
    for field in ("symbol", "timeRange", "telemetryInterval", "stopTimeoutSeconds"):
        assert field in text
    assert "-required-" in text
    assert "DESCRIPTION" in bench.kubectl("explain", "loadertask.spec.kafka.credentialsSecretRef")


def test_a_bad_manifest_is_refused_by_field(bench: Bench) -> None:
    refused = bench.kubectl.run(
        "apply", "--filename=-", stdin=json.dumps(task_manifest("bad", symbol="btcusdt"))
    )
    assert refused.returncode != 0
    assert "spec.symbol" in refused.stderr


def test_delete_while_loading_stops_gracefully_and_leaves_nothing(bench: Bench) -> None:
    bench.slow_down("BNBUSDT", delay_ms=700)
    bench.kubectl.apply(
        task_manifest("doomed", symbol="BNBUSDT", timeRange="2022-01-01:2023-01-01")
    )
    status = bench.kubectl.wait_for_phase("doomed", "Running")["status"]
    bench.kubectl("delete", "loadertask/doomed", "--timeout=60s", timeout_s=90)

    events = bench.events(status["queueId"])
    assert [event["status"] for event in events if event["finished"]] == ["interrupted"]
    wait_until(
        lambda: not bench.kubectl.get("jobs,pods,loadertasks")["items"],
        60,
        "empty namespace",
        lambda: bench.kubectl("get", "jobs,pods,loadertasks"),
    )
    written = events[-1]["records_written"]
    assert len(bench.records(status["topic"])) == written


def test_a_stop_ends_the_load_as_stopped_and_keeps_what_was_loaded(bench: Bench) -> None:
    bench.slow_down("SOLUSDT", delay_ms=700)
    bench.kubectl.apply(
        task_manifest("halted", symbol="SOLUSDT", timeRange="2022-01-01:2023-01-01")
    )
    bench.kubectl.wait_for_phase("halted", "Running")
    bench.kubectl("patch", "lt/halted", "--type=merge", '--patch={"spec":{"stop":true}}')
    task = bench.kubectl.wait_for_phase("halted", "Stopped", "Failed", "Succeeded")
    assert task["status"]["phase"] == "Stopped", json.dumps(task, indent=1)
    assert condition(task, "Complete")["reason"] == "Stopped"
    assert task["status"]["stop"]["acknowledgedAt"]
    records = bench.records(task["status"]["topic"])
    assert task["status"]["recordsWritten"] == len(records)


def test_a_symbol_the_venue_refuses_fails_the_task_with_the_reason(bench: Bench) -> None:
    bench.kubectl.apply(task_manifest("unknown", symbol="NOSUCHPAIR"))
    task = bench.kubectl.wait_for_phase("unknown", "Failed", "Succeeded", "Stopped")
    failed = condition(task, "Failed")
    assert failed["reason"] == "SourceRejected"
    assert "NOSUCHPAIR" in failed["message"] + json.dumps(task["status"]["lastEvent"])


def test_the_operator_killed_in_the_middle_ends_the_load_once_with_the_right_counters(
    bench: Bench,
) -> None:
    start_held(bench, "survivor", "XRPUSDT")
    status = bench.kubectl.wait_for_phase("survivor", "Running")["status"]
    bench.kill_operator()
    bench.let_go()
    bench.kubectl(
        "wait", "loadertask/survivor", "--for=condition=Complete", "--timeout=150s", timeout_s=160
    )
    after = bench.kubectl.task("survivor")["status"]
    assert after["recordsWritten"] == len(bench.records(after["topic"]))
    assert after["recordsWritten"] == MINUTES_OF_MONTH
    assert after["attempts"] == 1
    assert after["currentAttempt"]["jobUID"] == status["currentAttempt"]["jobUID"]
    terminal = [event for event in bench.events(after["queueId"]) if event["finished"]]
    assert [event["status"] for event in terminal] == ["finished"]
    assert len(bench.kubectl.get("jobs")["items"]) == 1
