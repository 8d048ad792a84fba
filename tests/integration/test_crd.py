"""The schema of LoaderTask on a real API server: which manifests are refused, which accepted."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException
from tests.integration.api_server_fixtures import ROOT, ApiServer
from tests.integration.loader_tasks import CANDLES, RANGE, Json, LoaderTasks, refusal

from loadertask_contract.environment import TUNING_VARIABLES, VARIABLES
from loadertask_contract.task_types import parse_load_type
from loadertask_contract.time_range import parse_time_range
from loadertask_operator.schema import parse_task

pytestmark = pytest.mark.integration

LIVE: Json = {"symbol": "BTCUSDT", "type": "ws_trades"}


def changed(spec: Json, **fields: Any) -> Json:
    return spec | fields


def without(spec: Json, field: str) -> Json:
    return {name: value for name, value in spec.items() if name != field}


def env(*variables: Json) -> Json:
    return changed(CANDLES, worker={"env": list(variables)})


BAD: list[tuple[Any, str]] = [
    # what is loaded
    (None, "spec: Required value"),
    ({}, "spec.symbol: Required value"),
    (without(CANDLES, "symbol"), "spec.symbol: Required value"),
    (without(CANDLES, "type"), "spec.type: Required value"),
    (changed(CANDLES, symbol="btcusdt"), "spec.symbol in body should match '^[A-Z0-9]{2,24}$'"),
    (changed(CANDLES, symbol="BTC/USDT"), "spec.symbol in body should match"),
    (changed(CANDLES, symbol="B" * 25), "spec.symbol: Too long: may not be more than 24"),
    (changed(CANDLES, symbol=1), "spec.symbol in body must be of type string"),
    (changed(CANDLES, symbols=["BTCUSDT"]), 'unknown field "spec.symbols"'),
    (changed(CANDLES, type="candles"), 'spec.type: Unsupported value: "candles"'),
    (changed(CANDLES, type="api_candles_7m"), 'spec.type: Unsupported value: "api_candles_7m"'),
    (changed(CANDLES, type="api_trades_1m"), 'spec.type: Unsupported value: "api_trades_1m"'),
    # interval
    (changed(CANDLES, interval="60m"), 'spec.interval: Unsupported value: "60m"'),
    (
        changed(CANDLES, interval="1h"),
        "spec.interval 1h contradicts spec.type api_candles_1m: leave one of them out",
    ),
    (
        changed(CANDLES, interval="1M"),
        "spec.interval 1M contradicts spec.type api_candles_1m",
    ),
    (changed(LIVE, interval="1m"), "spec.interval must be left out: only candles have an interval"),
    # range
    (without(CANDLES, "timeRange"), "spec.timeRange is required for api_* types: write START:END"),
    (changed(LIVE, timeRange=RANGE), "spec.timeRange must be left out for ws_* types"),
    (changed(CANDLES, timeRange="2023-01-01"), "spec.timeRange must be two days, such as"),
    (changed(CANDLES, timeRange="2023-1-1:2023-1-2"), "spec.timeRange must be two days, such as"),
    (changed(CANDLES, timeRange=f"{RANGE}:2023-01-03"), "spec.timeRange must be two days"),
    (changed(CANDLES, timeRange="2023-02-30:2023-03-01"), "spec.timeRange holds a date or time"),
    (changed(CANDLES, timeRange="2023-02-28:2023-02-29"), "that does not exist"),
    (changed(CANDLES, timeRange="2023-04-31:2023-05-01"), "spec.timeRange holds a date or time"),
    (changed(CANDLES, timeRange="0203-01-01:2023-01-02"), "outside the years 1970 to 2099"),
    (
        changed(CANDLES, timeRange="2023-01-01T24:00:00Z/2023-01-03T00:00:00Z"),
        "spec.timeRange holds a date or time that does not exist",
    ),
    (
        changed(CANDLES, timeRange="2023-01-01T00:00-12:99/2023-01-03T00:00:00Z"),
        "spec.timeRange holds a date or time that does not exist",
    ),
    (changed(CANDLES, timeRange="2023-01-02:2023-01-01"), "spec.timeRange must have START before"),
    (changed(CANDLES, timeRange="2023-01-01:2023-01-01"), "END is not included: one whole day"),
    (
        changed(CANDLES, timeRange="2023-01-01T12:00:00Z/2023-01-01T12:30:00+02:00"),
        "spec.timeRange must have START before END",
    ),
    (
        changed(CANDLES, timeRange="2023-01-01T00:00/2023-01-01T00:00:00"),
        "spec.timeRange must have START before END",
    ),
    # identity, topic, brokers
    (changed(CANDLES, queueId="a b"), "spec.queueId in body should match"),
    (changed(CANDLES, queueId="q" * 201), "spec.queueId: Too long"),
    (changed(CANDLES, queueId="all"), "spec.queueId must not be 'all'"),
    (changed(CANDLES, queueId="*"), "spec.queueId in body should match"),
    (changed(CANDLES, kafka={"topic": "a/b"}), "spec.kafka.topic in body should match"),
    (changed(CANDLES, kafka={"topic": ".."}), "spec.kafka.topic must not be '.' or '..'"),
    (
        changed(CANDLES, kafka={"topic": "queue-events"}),
        "spec.kafka.topic must not be queue-events",
    ),
    (changed(CANDLES, kafka={"topic": "queue-control"}), "spec.kafka.topic must not be queue-"),
    (
        changed(CANDLES, kafka={"topic": "__consumer_offsets"}),
        "spec.kafka.topic must not be one of Kafka's own topics",
    ),
    (
        changed(CANDLES, kafka={"bootstrapServers": "kafka"}),
        "spec.kafka.bootstrapServers must be host:port",
    ),
    (
        changed(CANDLES, kafka={"bootstrapServers": "a:9092,b:70000"}),
        "spec.kafka.bootstrapServers must have ports from 1 to 65535",
    ),
    (
        changed(CANDLES, kafka={"credentialsSecretRef": {}}),
        "spec.kafka.credentialsSecretRef.name: Required value",
    ),
    (
        changed(CANDLES, kafka={"credentialsSecretRef": {"name": "s", "password": "p"}}),
        'unknown field "spec.kafka.credentialsSecretRef.password"',
    ),
    (
        changed(CANDLES, kafka={"caSecretRef": {"name": "Not_A_Name"}}),
        "spec.kafka.caSecretRef.name in body should match",
    ),
    # venue
    (
        changed(CANDLES, binance={"apiUrl": "api.binance.com"}),
        "spec.binance.apiUrl must be an http:// or https:// address",
    ),
    (
        changed(CANDLES, binance={"wsUrl": "https://stream.binance.com"}),
        "spec.binance.wsUrl must be a ws:// or wss:// address",
    ),
    (
        changed(CANDLES, binance={"archiveUrl": "https://data.binance.vision?a=b"}),
        "spec.binance.archiveUrl must be an http:// or https:// address without query",
    ),
    # numbers
    (changed(CANDLES, telemetryInterval=0), "spec.telemetryInterval in body should be greater"),
    (changed(CANDLES, telemetryInterval="5s"), "spec.telemetryInterval in body must be of type"),
    (changed(CANDLES, parallelism=65), "spec.parallelism in body should be less than or equal"),
    (changed(LIVE, parallelism=2), "spec.parallelism must be 1 for ws_* types"),
    (changed(CANDLES, backoffLimit=-1), "spec.backoffLimit in body should be greater"),
    (changed(CANDLES, backoffLimit=21), "spec.backoffLimit in body should be less"),
    (
        changed(CANDLES, retryBackoff={"initialSeconds": 60, "maxSeconds": 30}),
        "spec.retryBackoff.initialSeconds must not be larger than maxSeconds",
    ),
    (changed(CANDLES, startupDeadlineSeconds=4), "spec.startupDeadlineSeconds in body should be"),
    (changed(CANDLES, progressDeadlineSeconds=4), "spec.progressDeadlineSeconds in body should"),
    (changed(CANDLES, activeDeadlineSeconds=0), "spec.activeDeadlineSeconds in body should be"),
    (changed(CANDLES, stopTimeoutSeconds=0), "spec.stopTimeoutSeconds in body should be"),
    (changed(CANDLES, ttlSecondsAfterFinished=-1), "spec.ttlSecondsAfterFinished in body should"),
    (changed(CANDLES, suspend="yes"), "spec.suspend in body must be of type boolean"),
    # pod
    (
        changed(CANDLES, worker={"imagePullPolicy": "Sometimes"}),
        'spec.worker.imagePullPolicy: Unsupported value: "Sometimes"',
    ),
    (changed(CANDLES, worker={"image": "a b"}), "spec.worker.image in body should match"),
    (
        changed(CANDLES, worker={"resources": {"limits": {"memory": "lots"}}}),
        "spec.worker.resources.limits.memory in body should match",
    ),
    (
        changed(
            CANDLES,
            worker={"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "512Mi"}}},
        ),
        "spec.worker.resources.requests must not be larger than limits",
    ),
    (env({"name": "SYMBOL", "value": "X"}), "spec.worker.env[].name SYMBOL is a variable by which"),
    (env({"name": "LOADER_CONTROL_SINCE", "value": "x"}), "must be one that tunes a load"),
    (env({"name": "A B", "value": "x"}), "spec.worker.env[0].name in body should match"),
    (env({"name": "A"}, {"name": "A"}), 'spec.worker.env[1]: Duplicate value: {"name":"A"}'),
    (
        env({"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}),
        "spec.worker.env[] must have value or valueFrom, not both",
    ),
    (
        env({"name": "A", "valueFrom": {}}),
        "spec.worker.env[0].valueFrom in body should have at least 1 properties",
    ),
    (
        changed(CANDLES, worker={"podTemplate": {"sepc": {}}}),
        'unknown field "spec.worker.podTemplate.sepc"',
    ),
    (
        changed(CANDLES, worker={"podTemplate": {"spec": {"containers": [{}]}}}),
        "spec.worker.podTemplate.spec.containers[0].name: Required value",
    ),
    (changed(CANDLES, queueName="Team A"), "spec.queueName in body should match"),
]


@pytest.mark.parametrize(("spec", "message"), BAD, ids=[message[:50] for _, message in BAD])
def test_a_bad_manifest_is_refused_with_a_message_that_names_the_field(
    dry: LoaderTasks, spec: Any, message: str
) -> None:
    with pytest.raises(ApiException) as refused:
        dry.create(spec, dry_run=True)
    assert message in refusal(refused.value)
    # What the server says when a rule fails to run instead of answering.
    assert "evaluating rule" not in refusal(refused.value)


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("a" * 53, CANDLES, "metadata.name must be at most 52 characters"),
        ("a.b", changed(CANDLES, parallelism=2), "metadata.name must have no dots"),
        ("Task", CANDLES, "metadata.name: Invalid value"),
    ],
)
def test_a_name_that_pods_could_not_have_is_refused(
    dry: LoaderTasks, name: str, spec: Json, message: str
) -> None:
    with pytest.raises(ApiException) as refused:
        dry.create(spec, name, dry_run=True)
    assert message in refusal(refused.value)


def test_every_variable_that_the_operator_renders_is_refused_in_the_env_of_a_worker(
    dry: LoaderTasks,
) -> None:
    for variable in set(VARIABLES) - set(TUNING_VARIABLES):
        with pytest.raises(ApiException) as refused:
            dry.create(env({"name": variable, "value": "x"}), dry_run=True)
        assert "spec.worker.env[0].name: Forbidden" in refusal(refused.value)


ODD: list[Json] = [
    changed(LIVE, type="ws_depth"),
    changed(LIVE, type="ws_candles"),
    changed(LIVE, type="ws_candles_1M", interval="1M"),
    changed(CANDLES, type="api_candles"),
    changed(CANDLES, type="api_candles", interval="3d"),
    changed(CANDLES, type="api_candles_1s", interval="1s"),
    changed(CANDLES, type="api_trades"),
    changed(CANDLES, symbol="1000SATSUSDT"),
    changed(CANDLES, symbol="42"),
    changed(CANDLES, timeRange="2024-02-29:2024-03-01"),
    changed(CANDLES, timeRange="2000-02-29:2099-12-31"),
    changed(CANDLES, timeRange="2023-01-01/2023-01-02"),
    changed(CANDLES, timeRange="2023-01-01T00:00/2023-01-01T12:30"),
    changed(CANDLES, timeRange="2023-01-01T00:00:00.123Z/2023-01-01T00:00:00.124Z"),
    changed(CANDLES, timeRange="2023-01-01T00:00:00Z/2022-12-31T23:00:00-02:00"),
    changed(CANDLES, timeRange="2023-01-01T23:59:59+14:00/2023-01-02T00:00Z"),
    changed(CANDLES, queueId="loader-btcusdt-api-candles-1h-2024-08-01-jLd4fG"),
    changed(CANDLES, queueId="q" * 200, kafka={"topic": "t" * 249}),
    changed(CANDLES, kafka={}, binance={}, worker={}),
    changed(CANDLES, kafka={"bootstrapServers": "kafka-0.kafka:9093,10.0.0.1:1"}),
    changed(CANDLES, binance={"apiUrl": "http://binance-replay.venue:8080"}),
    changed(CANDLES, parallelism=64, suspend=True, stop=True),
    changed(CANDLES, retryBackoff={"maxSeconds": 10}),
    changed(CANDLES, ttlSecondsAfterFinished=0, jobTTLSecondsAfterFinished=0),
    changed(CANDLES, worker={"resources": {"limits": {"cpu": 1, "memory": "256Mi"}}}),
    changed(CANDLES, worker={"resources": {"requests": {"cpu": "250m"}, "limits": {"cpu": 1}}}),
    env({"name": "HTTPS_PROXY", "value": ""}, {"name": "symbol", "value": "x"}),
    env({"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}),
    env(*({"name": variable, "value": "x"} for variable in TUNING_VARIABLES)),
    changed(
        CANDLES,
        worker={
            "podTemplate": {
                "metadata": {"labels": {"team": "data"}},
                "spec": {
                    "nodeSelector": {"disk": "ssd"},
                    "containers": [{"name": "loader", "livenessProbe": {"tcpSocket": {"port": 1}}}],
                },
            }
        },
    ),
]


@pytest.mark.parametrize("spec", ODD, ids=[json.dumps(spec)[:90] for spec in ODD])
def test_an_odd_but_valid_manifest_is_accepted_and_the_other_programs_read_it(
    dry: LoaderTasks, spec: Json
) -> None:
    accepted = dry.create(spec, dry_run=True)
    for field, value in spec.items():
        if field != "retryBackoff":
            assert accepted["spec"][field] == value
    parse_load_type(spec["type"])
    if "timeRange" in spec:
        parse_time_range(spec["timeRange"])
    stored = copy.deepcopy(accepted)
    stored["metadata"] |= {"resourceVersion": "1"}
    assert parse_task(stored).spec_problems == ()


def test_fields_left_out_get_the_documented_defaults(dry: LoaderTasks) -> None:
    assert dry.create(CANDLES, dry_run=True)["spec"] == CANDLES | {
        "telemetryInterval": 5,
        "debug": False,
        "parallelism": 1,
        "suspend": False,
        "stop": False,
        "backoffLimit": 4,
        "retryBackoff": {"initialSeconds": 10, "maxSeconds": 600},
        "startupDeadlineSeconds": 300,
        "progressDeadlineSeconds": 300,
        "stopTimeoutSeconds": 30,
        "jobTTLSecondsAfterFinished": 3600,
    }


def test_kubectl_explain_reads_like_documentation(api_server: ApiServer) -> None:
    explained = api_server.kubectl("explain", "lt.spec.timeRange")
    assert "half open" in explained
    assert "<no description>" not in api_server.kubectl("explain", "loadertask.spec")
    assert "<no description>" not in api_server.kubectl("explain", "loadertask.status")


def test_the_examples_are_accepted(api_server: ApiServer) -> None:
    for example in sorted((ROOT / "examples").glob("*.yaml")):
        arguments = ("--dry-run=server", "--validate=strict", "-f", str(example))
        assert "created" in api_server.kubectl("apply", *arguments)
