from __future__ import annotations

from datetime import UTC, datetime

import pytest

from loadertask_contract.parsing import Problem, parse_environment
from loadertask_worker import misconfigured
from loadertask_worker.errors import ConfigurationError
from loadertask_worker.lifecycle import Identity
from loadertask_worker.misconfigured import _identity, end_misconfigured, reporting_environment

WORD = "ws_orderbook"
GIVEN = {
    "QUEUE_ID": "wf-1",
    "SYMBOL": "?",
    "TYPE": "api_candles",
    "KAFKA_BOOTSTRAP_SERVERS": "kafka:9093",
    "KAFKA_USER_PRODUCER": "loader",
    "KAFKA_PASSWORD_PRODUCER": "secret",
    "LOADER_SHARD_INDEX": "7",
    "DEBUG": "perhaps",
}


def wrong(*variables: str) -> ConfigurationError:
    return ConfigurationError(*(Problem(variable, "is wrong") for variable in variables))


def test_what_is_wrong_elsewhere_does_not_prevent_a_report() -> None:
    error = wrong("SYMBOL", "INTERVAL", "TIME_RANGE", "KAFKA_TOPIC", "LOADER_SHARD_INDEX", "DEBUG")
    environment = reporting_environment(GIVEN, error)
    assert environment is not None
    assert environment.kafka_bootstrap_servers == "kafka:9093"
    assert environment.kafka_user == "loader"
    assert environment.queue_events_topic == "queue-events"


def test_a_wrong_events_topic_leaves_the_usual_one() -> None:
    environment = reporting_environment(
        {**GIVEN, "QUEUE_EVENTS_TOPIC": "a b"}, wrong("QUEUE_EVENTS_TOPIC")
    )
    assert environment is not None
    assert environment.queue_events_topic == "queue-events"


@pytest.mark.parametrize(
    "variable", ["QUEUE_ID", "KAFKA_PASSWORD_PRODUCER", "KAFKA_BOOTSTRAP_SERVERS", "CA_PATH"]
)
def test_without_a_name_a_login_a_ca_or_a_broker_nothing_can_be_reported(variable: str) -> None:
    assert reporting_environment(GIVEN, wrong(variable)) is None


VALID = {
    "QUEUE_ID": "wf-1",
    "SYMBOL": "BTCUSDT",
    "TYPE": "api_candles_1m",
    "TIME_RANGE": "2020-01-01:2020-01-02",
    "KAFKA_TOPIC": "t",
    "TELEMETRY_PRODUCER_ID": "loader-producer__a1b2c3",
}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"TYPE": "api_trades", "TELEMETRY_PRODUCER_ID": "p" * 249},
        {"LOADER_SHARD_COUNT": "4", "JOB_COMPLETION_INDEX": "2"},
        {"LOADER_SHARD_COUNT": "12", "LOADER_SHARD_INDEX": "11", "JOB_COMPLETION_INDEX": "2"},
        {"LOADER_SHARD_COUNT": "4"},
        {"LOADER_SHARD_COUNT": "1", "JOB_COMPLETION_INDEX": "0"},
        {"QUEUE_ID": " wf-1 ", "SYMBOL": "BTCUSDT ", "TYPE": " ws_trades"},
    ],
)
def test_a_misconfigured_worker_speaks_under_the_name_that_it_would_have(
    given: dict[str, str],
) -> None:
    right = VALID | given
    expected = Identity.of(parse_environment(right, datetime.now(UTC)).environment)
    assert _identity(right) == expected
    assert _identity(right | {"KAFKA_TOPIC": "a b", "INTERVAL": "9m"}) == expected


@pytest.mark.parametrize("name", ["ws_orderbook", "ws_depth"])
def test_a_type_of_two_names_has_one_in_all_events(name: str) -> None:
    right = VALID | {"TYPE": name}
    assert Identity.of(parse_environment(right, datetime.now(UTC)).environment).type == WORD
    assert _identity(right).type == WORD


@pytest.mark.parametrize(
    "given",
    [
        {"LOADER_SHARD_COUNT": "4", "JOB_COMPLETION_INDEX": "4"},
        {"LOADER_SHARD_COUNT": "many", "JOB_COMPLETION_INDEX": "2"},
        {"LOADER_SHARD_COUNT": "4", "JOB_COMPLETION_INDEX": "\udcff"},
    ],
)
def test_a_worker_that_is_none_of_the_shards_speaks_as_the_load(given: dict[str, str]) -> None:
    identity = _identity(VALID | given)
    assert (identity.producer, identity.shard) == ("loader-producer__a1b2c3", None)


def test_a_name_without_room_for_a_shard_is_repeated() -> None:
    given = {"LOADER_SHARD_COUNT": "4", "JOB_COMPLETION_INDEX": "2"}
    identity = _identity(VALID | given | {"TELEMETRY_PRODUCER_ID": "p" * 249})
    assert (identity.producer, identity.shard) == ("p" * 249, 2)


async def test_no_trouble_with_the_report_changes_the_exit_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def breaks(*_: object) -> None:
        raise UnicodeError("label too long")

    monkeypatch.setattr(misconfigured, "_report", breaks)
    assert await end_misconfigured(GIVEN, wrong("SYMBOL")) == 78


async def test_bytes_that_are_no_text_are_repeated_as_far_as_they_can_be() -> None:
    given = {"SYMBOL": "\udcff", "TYPE": "\udcff", "TELEMETRY_PRODUCER_ID": "\udcff"}
    assert await end_misconfigured(given, wrong("QUEUE_ID", "SYMBOL")) == 78
