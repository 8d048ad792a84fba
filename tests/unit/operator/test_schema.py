from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic.alias_generators import to_camel
from tests.unit.operator.worlds import NOW, make_task, task_body

from loadertask_contract.topics import parse_queue_id
from loadertask_operator.names import default_queue_id
from loadertask_operator.schema import Spec, parse_task
from loadertask_operator.status import (
    Condition,
    CurrentAttempt,
    LastEvent,
    PastAttempt,
    ProgressStatus,
    Status,
    StopStatus,
    Telemetry,
    parse_status,
    render_status,
)

CRD = Path(__file__).resolve().parents[3] / "crds/loadertasks.yaml"
SCHEMA = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
STATUS = SCHEMA["properties"]["status"]["properties"]


def fields(model) -> set[str]:
    return {field.alias or to_camel(name) for name, field in model.model_fields.items()}


@pytest.mark.parametrize(
    ("model", "properties"),
    [
        (Spec, SCHEMA["properties"]["spec"]["properties"]),
        (Status, STATUS),
        (CurrentAttempt, STATUS["currentAttempt"]["properties"]),
        (PastAttempt, STATUS["attemptHistory"]["items"]["properties"]),
        (ProgressStatus, STATUS["progress"]["properties"]),
        (LastEvent, STATUS["lastEvent"]["properties"]),
        (Telemetry, STATUS["telemetry"]["properties"]),
        (StopStatus, STATUS["stop"]["properties"]),
        (Condition, STATUS["conditions"]["items"]["properties"]),
    ],
)
def test_the_fields_are_exactly_those_of_the_crd(model, properties):
    assert fields(model) == set(properties)


def test_the_defaults_are_those_of_the_crd():
    spec = make_task().spec
    for name, schema in SCHEMA["properties"]["spec"]["properties"].items():
        if "default" in schema and not isinstance(schema["default"], dict):
            values = spec.model_dump(by_alias=True)
            assert values[name] == schema["default"], name


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"type": "api_candles_7m"}, "spec.type"),
        ({"interval": "7m"}, "spec.interval"),
        ({"timeRange": "yesterday"}, "spec.timeRange"),
        ({"timeRange": None}, "timeRange"),
        ({"queueId": "all"}, "spec.queueId"),
        ({"kafka": {"topic": "__transaction_state"}}, "spec.kafka.topic"),
        ({"parallelism": "many"}, "spec.parallelism"),
        ({"type": "ws_trades", "timeRange": None, "parallelism": 2}, "spec.parallelism: must be 1"),
        ({"interval": "1h"}, "spec.interval: 1h contradicts spec.type api_candles_1m"),
        ({"type": "api_trades", "interval": "1h"}, "spec.interval: only candles"),
        ({"kafka": {"credentialsSecretRef": {}}}, "spec.kafka.credentialsSecretRef.name"),
        ({"worker": {"env": "A=B"}}, "spec.worker.env"),
    ],
)
def test_a_spec_that_cannot_be_used_is_a_problem_naming_the_field(change, named):
    task = make_task(**change)
    assert task.spec is None
    assert any(named in problem for problem in task.spec_problems)


def test_a_task_called_like_everybody_has_a_queue_id_of_its_own():
    assert parse_queue_id(default_queue_id("all", "0123456789")) == "all-01234567"


def test_a_status_edited_into_nonsense_loses_only_what_is_nonsense():
    status = parse_status(
        {"phase": "Dancing", "attempts": "x", "queueId": "q", "lastEvent": {"status": "?"}}
    )
    assert status == Status(queue_id="q")


def test_what_is_written_is_what_is_read():
    status = Status(
        phase="Running",
        queue_id="q",
        start_time=NOW,
        current_attempt=CurrentAttempt(
            number=1, job_name="b-1", job_uid="u", producer_id="p", start_time=NOW
        ),
        last_event=LastEvent(status="loading", producer="p", time=NOW),
        stop=StopStatus(requested_at=NOW, method="Command"),
    )
    rendered = render_status(status)
    assert rendered["currentAttempt"]["jobUID"] == "u"
    assert rendered["startTime"] == "2026-01-01T12:00:00Z"
    assert parse_status(rendered) == status


def test_identity_and_finalizers_are_read_off_the_metadata():
    body = task_body()
    body["metadata"] |= {
        "finalizers": ["streamforge.io/graceful-stop"],
        "deletionTimestamp": "2026-01-01T12:00:00Z",
        "annotations": {"streamforge.io/skip-graceful-stop": "true"},
    }
    task = parse_task(body)
    assert (task.has_finalizer, task.deletion_time, task.skips_graceful_stop) == (True, NOW, True)
    assert task.topic == "btc-11112222-data"
