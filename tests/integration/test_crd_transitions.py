"""LoaderTask on a real API server: what cannot change, what is final, what kubectl shows of it."""

from __future__ import annotations

import pytest
from kubernetes.client.exceptions import ApiException
from tests.integration.api_server_fixtures import ApiServer
from tests.integration.loader_tasks import CANDLES, RANGE, Json, LoaderTasks, refusal

pytestmark = pytest.mark.integration

NOW = "2023-01-01T00:00:00Z"
FULL: Json = CANDLES | {
    "type": "api_candles",
    "interval": "1m",
    "queueId": "q",
    "kafka": {"topic": "t"},
    "binance": {"apiUrl": "http://a"},
    "parallelism": 2,
}
LIVE_CANDLES: Json = {"symbol": "BTCUSDT", "type": "ws_candles"}


@pytest.mark.parametrize(
    ("spec", "change", "field"),
    [
        (FULL, {"symbol": "ETHUSDT"}, "symbol"),
        (FULL, {"type": "api_candles_1m"}, "type"),
        (FULL, {"interval": "1h"}, "interval"),
        (FULL, {"interval": None}, "interval"),
        (FULL, {"timeRange": "2023-01-01:2023-01-03"}, "timeRange"),
        (FULL, {"queueId": "other"}, "queueId"),
        (FULL, {"queueId": None}, "queueId"),
        (FULL, {"kafka": {"topic": "other"}}, "kafka"),
        (FULL, {"kafka": {"bootstrapServers": "b:1"}}, "kafka"),
        (FULL, {"kafka": None}, "kafka"),
        (FULL, {"binance": {"apiUrl": "http://b"}}, "binance"),
        (FULL, {"binance": None}, "binance"),
        (FULL, {"parallelism": 3}, "parallelism"),
        (FULL, {"parallelism": None}, "parallelism"),
        (LIVE_CANDLES, {"interval": "1m"}, "interval"),
        (LIVE_CANDLES, {"queueId": "q"}, "queueId"),
        (LIVE_CANDLES, {"kafka": {"topic": "t"}}, "kafka"),
        (LIVE_CANDLES, {"binance": {"wsUrl": "ws://a"}}, "binance"),
    ],
)
def test_what_defines_the_load_is_neither_changed_nor_removed_nor_set_later(
    tasks: LoaderTasks, spec: Json, change: Json, field: str
) -> None:
    tasks.create(spec)
    with pytest.raises(ApiException) as refused:
        tasks.patch({"spec": change})
    assert f"spec.{field} is immutable: delete the task and create another" in refusal(
        refused.value
    )


def test_what_does_not_define_the_load_can_be_changed(tasks: LoaderTasks) -> None:
    tasks.create(FULL)
    change = {"suspend": True, "debug": True, "backoffLimit": 0, "activeDeadlineSeconds": 60}
    change |= {"ttlSecondsAfterFinished": 5, "worker": {"image": "other:1"}, "queueName": "a"}
    assert tasks.patch({"spec": change})["spec"].items() >= change.items()
    assert tasks.patch({"spec": {"suspend": False}})["spec"]["suspend"] is False


@pytest.mark.parametrize("unset", [False, None])
def test_a_stop_is_one_way(tasks: LoaderTasks, unset: bool | None) -> None:
    tasks.create(CANDLES)
    tasks.patch({"spec": {"stop": True}})
    with pytest.raises(ApiException) as refused:
        tasks.patch({"spec": {"stop": unset}})
    assert "spec.stop cannot be unset" in refusal(refused.value)


def test_the_spec_cannot_be_removed(tasks: LoaderTasks) -> None:
    tasks.create(CANDLES)
    with pytest.raises(ApiException) as refused:
        tasks.patch({"spec": None})
    assert "spec: Required value" in refusal(refused.value)


def condition(kind: str, status: str = "True") -> Json:
    return {
        "type": kind,
        "status": status,
        "reason": "LoadFinished",
        "message": "",
        "lastTransitionTime": NOW,
    }


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
@pytest.mark.parametrize(
    "undo",
    [
        None,
        {"conditions": None},
        {"conditions": []},
        {"conditions": [condition("Complete", "False"), condition("Failed", "Unknown")]},
        {"conditions": [condition("Running")]},
    ],
    ids=["status null", "conditions null", "no conditions", "not True", "others only"],
)
def test_the_outcome_of_an_ended_task_cannot_be_undone(
    tasks: LoaderTasks, kind: str, undo: Json | None
) -> None:
    tasks.create(CANDLES)
    tasks.patch_status({"conditions": [condition("Running"), condition(kind)]})
    with pytest.raises(ApiException) as refused:
        tasks.patch_status(undo)
    assert refused.value.status == 422
    assert "status" in refusal(refused.value)
    assert "outcome of a task" in refusal(refused.value)
    assert condition(kind) in tasks.read()["status"]["conditions"]


def test_an_ended_task_may_still_be_written_to(tasks: LoaderTasks) -> None:
    tasks.create(CANDLES)
    tasks.patch_status({"conditions": [condition("Complete")]})
    told = condition("Complete") | {"message": "1440 records"}
    status = tasks.patch_status({"recordsWritten": 1440, "conditions": [told]})["status"]
    assert status == {"recordsWritten": 1440, "conditions": [told]}


@pytest.mark.parametrize(
    "edit", [{}, None, {"number": None}, {"number": 1}], ids=["whole", "null", "no number", "back"]
)
def test_an_attempt_whose_worker_may_run_is_not_edited_away(
    tasks: LoaderTasks, edit: Json | None
) -> None:
    tasks.create(CANDLES)
    tasks.patch_status({"currentAttempt": {"number": 2, "jobName": "task-2"}})
    with pytest.raises(ApiException) as refused:
        tasks.patch_status({"currentAttempt": edit} if edit != {} else None)
    assert refused.value.status == 422
    attempt = {"number": 3, "jobName": "task-3"}
    assert tasks.patch_status({"currentAttempt": attempt})["status"] == {"currentAttempt": attempt}


def test_complete_and_failed_exclude_each_other(tasks: LoaderTasks) -> None:
    tasks.create(CANDLES)
    with pytest.raises(ApiException) as refused:
        tasks.patch_status({"conditions": [condition("Complete"), condition("Failed")]})
    assert "Complete and Failed cannot both be True" in refusal(refused.value)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ({"phase": "Done"}, 'status.phase: Unsupported value: "Done"'),
        ({"progress": {"percent": 42.5}}, 'status.progress.percent: Invalid value: "float64"'),
        ({"message": "m" * 1025}, "status.message: Too long"),
        ({"attemptHistory": [{"number": n} for n in range(1, 7)]}, "status.attemptHistory: Too"),
        ({"conditions": [{"type": "Running"}]}, "status.conditions[0].status: Required value"),
        ({"phases": "Running"}, 'unknown field "status.phases"'),
    ],
)
def test_a_status_outside_the_schema_is_refused(
    tasks: LoaderTasks, status: Json, message: str
) -> None:
    tasks.create(CANDLES)
    with pytest.raises(ApiException) as refused:
        tasks.patch_status(status)
    assert message in refusal(refused.value)


FULL_STATUS: Json = {
    "observedGeneration": 1,
    "phase": "Running",
    "reason": "PodRunning",
    "message": "loading",
    "queueId": "task-12345678",
    "topic": "task-12345678-data",
    "startTime": NOW,
    "attempts": 2,
    "failures": 1,
    "currentAttempt": {
        "number": 2,
        "jobName": "task-2",
        "jobUID": "0b9f4b3e-6d0e-4c51-8e1a-000000000000",
        "producerId": "loader-producer__a1b2c3",
        "startTime": NOW,
    },
    "attemptHistory": [
        {
            "number": 1,
            "outcome": "Failed",
            "reason": "WorkerCrashed",
            "exitCode": 137,
            "recordsWritten": 7,
            "startTime": NOW,
            "completionTime": NOW,
        }
    ],
    "recordsWritten": 220000,
    "progress": {
        "percent": 42,
        "loadedThrough": NOW,
        "recordsPerSecond": 50000,
        "lagSeconds": 0,
        "estimatedCompletionTime": "2099-01-01T00:00:00Z",
        "display": "42% 220k/527k eta 7m",
    },
    "lastEvent": {
        "status": "loading",
        "message": "Loaded and published 220000 records",
        "producer": "loader-producer__a1b2c3",
        "time": NOW,
    },
    "telemetry": {
        "partition": 0,
        "offset": 8,
        "eventsApplied": 9,
        "eventsDiscarded": 1,
        "lastHeartbeatTime": NOW,
    },
    "stop": {
        "requestedAt": NOW,
        "commandsSent": 1,
        "acknowledgedAt": NOW,
        "method": "Command",
    },
    "turn": {"waitingFor": "stf/task-0", "since": NOW},
    "conditions": [condition("Running")],
}


def test_kubectl_get_shows_a_running_task_in_one_line(
    tasks: LoaderTasks, namespace: str, api_server: ApiServer
) -> None:
    tasks.create(CANDLES)
    assert tasks.patch_status(FULL_STATUS)["status"] == FULL_STATUS
    header, line = api_server.kubectl("get", "lt", "-n", namespace).splitlines()
    names = "NAME PHASE TYPE SYMBOL RANGE PROGRESS RECORDS LAST-EVENT TRY AGE"
    assert header.split() == names.split()
    shown = f"task Running api_candles_1m BTCUSDT {RANGE} 42% 220k/527k eta 7m 220000"
    assert " ".join(line.split()).startswith(shown)
    header, line = api_server.kubectl("get", "streamforge", "-n", namespace, "-o", "wide").split(
        "\n"
    )[:2]
    assert header.split()[-6:] == ["TOPIC", "RATE", "ETA", "JOB", "REASON", "MESSAGE"]
    wide = "task-12345678-data 50000 2099-01-01T00:00:00Z task-2 PodRunning loading"
    assert line.split()[-6:] == wide.split()


def test_kubectl_waits_for_the_outcome_of_a_task(
    tasks: LoaderTasks, namespace: str, api_server: ApiServer
) -> None:
    tasks.create(CANDLES)
    tasks.patch_status({"conditions": [condition("Complete")]})
    wait = ("wait", "lt/task", "-n", namespace, "--for=condition=Complete", "--timeout=50s")
    assert "condition met" in api_server.kubectl(*wait)
