from __future__ import annotations

import pytest

from loadertask_contract.parsing import Problem
from loadertask_worker import misconfigured
from loadertask_worker.errors import ConfigurationError
from loadertask_worker.misconfigured import end_misconfigured, reporting_environment

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
