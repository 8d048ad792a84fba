from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from loadertask_contract.parsing import parse_environment
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.local_manifest import local_attempt, read_manifest

if TYPE_CHECKING:
    from loadertask_devstack.kafka import Kafka

EXAMPLE = Path(__file__).parents[3] / "examples" / "01-candles.yaml"


class BrokerOfThisMachine:
    """What a manifest needs to know of a broker."""

    secure = "127.0.0.1:9093"
    ca_path = Path("/here/ca.crt")

    def password(self, user: str) -> str:
        return f"password of {user}"


KAFKA = cast("Kafka", BrokerOfThisMachine())


def manifest(path: Path, **spec: Any) -> Path:
    content = yaml.safe_load(EXAMPLE.read_text())
    content["spec"] |= spec
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_example_becomes_an_environment_that_the_worker_accepts() -> None:
    task = read_manifest(EXAMPLE)
    attempt = local_attempt(task, KAFKA, "http://127.0.0.1:8080")
    parsed = parse_environment(attempt.environment, datetime.now(UTC))
    assert parsed.warnings == ()
    assert parsed.environment.symbol == "BTCUSDT"
    assert parsed.environment.ca_path == "/here/ca.crt"
    assert attempt.environment["KAFKA_PASSWORD_PRODUCER"] == "password of loader"
    assert parsed.environment.kafka_topic == task.topic


def test_who_demands_transactions_is_the_user_who_may_use_them(tmp_path: Path) -> None:
    demanded = {"env": [{"name": "LOADER_DELIVERY", "value": "exactly_once"}]}
    task = read_manifest(manifest(tmp_path / "m.yaml", worker=demanded))
    environment = local_attempt(task, KAFKA, "http://127.0.0.1:8080").environment
    assert environment["KAFKA_USER_PRODUCER"] == "loader-transactional"
    assert environment["KAFKA_PASSWORD_PRODUCER"] == "password of loader-transactional"


def test_every_shard_has_an_environment_of_its_own(tmp_path: Path) -> None:
    task = read_manifest(manifest(tmp_path / "m.yaml", parallelism=3))
    environments = local_attempt(task, KAFKA, "http://127.0.0.1:8080").environments
    parsed = [parse_environment(each, datetime.now(UTC)).environment for each in environments]
    assert [each.shard_index for each in parsed] == [0, 1, 2]
    assert {each.shard_count for each in parsed} == {3}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "is not YAML"),
        ("- a list", "apiVersion is None"),
        ("apiVersion: v1\nkind: Pod", "write 'apiVersion: streamforge.io/v1alpha1'"),
        ("apiVersion: streamforge.io/v1alpha1\nkind: Loader", "write 'kind: LoaderTask'"),
        ("apiVersion: streamforge.io/v1alpha1\nkind: LoaderTask", "metadata.name is missing"),
    ],
)
def test_what_is_no_loadertask_is_refused_in_words(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text(text)
    with pytest.raises(DevstackError, match=complaint):
        read_manifest(path)


def test_a_name_that_is_too_long_for_a_pod_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text(EXAMPLE.read_text().replace("btcusdt-2020-01-01", "n" * 53))
    with pytest.raises(DevstackError, match=r"metadata\.name has 53 characters"):
        read_manifest(path)


def test_a_day_without_quotes_is_told_to_be_a_start_and_an_end(tmp_path: Path) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text(EXAMPLE.read_text().replace("2020-01-01:2020-01-02", "2020-01-01"))
    with pytest.raises(DevstackError, match=r"spec\.timeRange: '2020-01-01' .*write START:END"):
        read_manifest(path)


def test_a_stream_in_several_parts_is_refused_as_by_the_api_server(tmp_path: Path) -> None:
    live = EXAMPLE.with_name("05-live-trades.yaml").read_text() + "  parallelism: 3\n"
    path = tmp_path / "manifest.yaml"
    path.write_text(live)
    with pytest.raises(DevstackError, match=r"spec\.parallelism: must be 1 for ws_\* types"):
        read_manifest(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DevstackError, match=r"nowhere\.yaml: No such file"):
        read_manifest(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"symbol": "btcusdt"}, "spec.symbol: 'btcusdt' does not match"),
        ({"type": "api_candles_9m"}, "spec.type: 'api_candles_9m' is not one of"),
        ({"telemetryIntervall": 3}, "'telemetryIntervall' was unexpected"),
        ({"telemetryInterval": 0}, "spec.telemetryInterval: 0 is less than the minimum of 1"),
        ({"kafka": {"topc": "x"}}, "spec.kafka: .*'topc' was unexpected"),
        ({"interval": "1h"}, "spec.interval: 1h contradicts spec.type api_candles_1m"),
        ({"queueId": "all"}, "spec.queueId: 'all' means every queue"),
        ({"timeRange": "2020-01-01:2020-02-30"}, "'2020-02-30' is not a date"),
        ({"timeRange": "2020-01-02:2020-01-01"}, "spec.timeRange: .*must be before END"),
        (
            {"kafka": {"credentialsSecretRef": {"name": "mine"}}},
            "key user of Secret mine, which only",
        ),
    ],
)
def test_a_mistake_in_the_spec_names_the_field(
    tmp_path: Path, spec: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(DevstackError, match=complaint):
        local_attempt(read_manifest(manifest(tmp_path / "m.yaml", **spec)), KAFKA, "http://v:1")
