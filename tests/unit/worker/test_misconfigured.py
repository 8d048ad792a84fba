from __future__ import annotations

import pytest

from loadertask_contract.parsing import Problem
from loadertask_worker.errors import ConfigurationError
from loadertask_worker.misconfigured import reporting_environment

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


@pytest.mark.parametrize("variable", ["QUEUE_ID", "KAFKA_PASSWORD_PRODUCER"])
def test_without_a_name_or_a_login_nothing_can_be_reported(variable: str) -> None:
    assert reporting_environment(GIVEN, wrong(variable)) is None
