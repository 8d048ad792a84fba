from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from loadertask_contract.environment import (
    SECRET_VARIABLES,
    VARIABLES,
    Delivery,
    RecordTime,
    SecurityProtocol,
    Trades,
    WorkerEnvironment,
    render_environment,
)
from loadertask_contract.intervals import Interval
from loadertask_contract.parsing import EnvironmentProblemsError, parse_environment
from loadertask_contract.task_types import LoadType, TaskType
from loadertask_contract.time_range import TimeRange

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINIMAL = {
    "QUEUE_ID": "loader-btcusdt-api-candles-1h-2024-08-01-jLd4fG",
    "SYMBOL": "BTCUSDT",
    "TYPE": "api_candles_1m",
    "TIME_RANGE": "2023-01-01:2023-01-02",
    "INTERVAL": "1m",
    "KAFKA_TOPIC": "wf-data",
    "TELEMETRY_PRODUCER_ID": "loader-producer__a1b2c3",
}
# What the platform sets for its second image (contract §1): nothing more may be needed.
LIVE = {name: MINIMAL[name] for name in MINIMAL if name != "TIME_RANGE"} | {
    "TYPE": "ws_candles",
    "TELEMETRY_PRODUCER_ID": "loader-ws-candles__a1b2c3",
}


def problems_of(variables: dict[str, str]) -> dict[str, str]:
    with pytest.raises(EnvironmentProblemsError) as caught:
        parse_environment(variables, NOW)
    return dict(caught.value.problems)


def test_the_required_variables_of_both_images_are_enough() -> None:
    history = parse_environment(MINIMAL, NOW)
    assert history.warnings == ()
    assert history.environment.interval is Interval.MINUTE_1
    assert history.environment.binance_api_url == "https://api.binance.com"
    live = parse_environment(LIVE, NOW).environment
    assert live.time_range is None
    assert live.load_type.task_type is TaskType.WS_CANDLES


def test_all_problems_are_reported_at_once_each_with_its_variable() -> None:
    problems = problems_of({"TYPE": "api_candles_9m", "TIME_RANGE": "x", "DEBUG": "perhaps"})
    assert set(problems) == {
        "QUEUE_ID",
        "SYMBOL",
        "KAFKA_TOPIC",
        "TELEMETRY_PRODUCER_ID",
        "TYPE",
        "TIME_RANGE",
        "DEBUG",
    }


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("QUEUE_ID", "", "is required"),
        ("QUEUE_ID", "a b", "is not a queue id"),
        ("QUEUE_ID", "q" * 201, "is not a queue id"),
        ("QUEUE_ID", "all", "'all' means every queue in a command"),
        ("QUEUE_ID", "*", "'*' means every queue in a command"),
        ("SYMBOL", "btcusdt", "capitals and digits"),
        ("SYMBOL", "BTC/USDT", "capitals and digits"),
        ("TYPE", "candles", "is not a task type"),
        ("TYPE", "api_candles_2m", "'2m' is not an interval"),
        ("INTERVAL", "1H", "'1H' is not an interval"),
        ("TIME_RANGE", "", "is required for TYPE api_candles_1m"),
        ("TIME_RANGE", "2023-01-02:2023-01-01", "must be before END"),
        (
            "TIME_RANGE",
            "2026-01-02:2026-01-03",
            "starts in the future: set START before 2026-01-01 00:00 UTC",
        ),
        ("TIME_RANGE", "2023-02-30:2023-03-01", "'2023-02-30' is not a date"),
        ("KAFKA_TOPIC", "a/b", "is not a topic name"),
        ("KAFKA_TOPIC", "..", "is not a topic name"),
        ("KAFKA_TOPIC", "queue-events", "is QUEUE_EVENTS_TOPIC too"),
        ("KAFKA_TOPIC", "queue-control", "is QUEUE_CONTROL_TOPIC too"),
        ("KAFKA_TOPIC", "__consumer_offsets", "belongs to Kafka itself"),
        ("KAFKA_TOPIC", "__transaction_state", "belongs to Kafka itself"),
        ("QUEUE_EVENTS_TOPIC", "queue-control", "is QUEUE_CONTROL_TOPIC too (queue-control)"),
        ("QUEUE_CONTROL_TOPIC", "queue-events", "is QUEUE_EVENTS_TOPIC too (queue-events)"),
        ("TELEMETRY_PRODUCER_ID", "two words", "is not a producer id"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka", "is not a list of brokers"),
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:99999", "port 99999 is not from 1 to 65535"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:9093,other:0", "port 0 is not from 1 to 65535"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a..b:9093", "'a..b' is not the name"),
        ("KAFKA_BOOTSTRAP_SERVERS", "k" * 64 + ":9093", "is not the name"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:9093,", "is not a list of brokers"),
        ("BINANCE_API_URL", "http://h:99999", "port 99999 is not from 1 to 65535"),
        ("BINANCE_API_URL", "http://h:0", "port 0 is not from 1 to 65535"),
        ("BINANCE_API_URL", "http://[::1", "is not an http"),
        ("BINANCE_API_URL", "http://[::x]", "is not an http"),
        ("BINANCE_API_URL", "http://[:::1]", "is not an IPv6 address"),
        ("BINANCE_API_URL", "http://h:x", "is not an http"),
        ("BINANCE_API_URL", "http://a..b", "'a..b' is not the name"),
        ("BINANCE_API_URL", "http://user@:1", "is not an http"),
        ("BINANCE_API_URL", "http://user@h:1", "is not an http"),
        ("BINANCE_API_URL", "http://h?x=1", "is not an http"),
        ("BINANCE_WS_URL", "wss://h:99999", "port 99999 is not from 1 to 65535"),
        ("LOADER_ARCHIVE_URL", "https://a..b/x", "'a..b' is not the name"),
        ("LOADER_CONTROL_SINCE", "0001-01-01T00:00:00+14:00", "is not an RFC 3339"),
        ("SYMBOL", "\udcff", "capitals and digits"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS", "is not one of PLAINTEXT"),
        ("QUEUE_CONTROL_TOPIC", "a b", "is not a topic name"),
        ("QUEUE_EVENTS_TOPIC", "a b", "is not a topic name"),
        ("BINANCE_API_URL", "api.binance.com", "is not an http"),
        ("BINANCE_WS_URL", "https://x", "is not a ws"),
        ("LOADER_ARCHIVE_URL", "ftp://x", "is not an http"),
        ("TELEMETRY_INTERVAL", "often", "valid number"),
        ("TELEMETRY_INTERVAL", "0", "greater than or equal"),
        ("TELEMETRY_INTERVAL", "301", "less than or equal"),
        ("DEBUG", "maybe", "neither true nor false"),
        ("LOADER_CONTROL_SINCE", "noon", "is not an RFC 3339"),
        ("LOADER_PATIENCE_SECONDS", "-1", "greater than or equal"),
        ("LOADER_DELIVERY", "twice", "is not one of exactly_once"),
        ("LOADER_CLOSED_ONLY", "2", "neither true nor false"),
        ("LOADER_TRADES", "all", "is not one of aggregate"),
        ("LOADER_RECORD_TIME", "event", "is not one of publication"),
        ("LOADER_SHARD_INDEX", "4", "is not below LOADER_SHARD_COUNT 1"),
        ("LOADER_SHARD_COUNT", "65", "less than or equal"),
        ("LOADER_METRICS_PORT", "70000", "less than or equal"),
        ("LOADER_WEIGHT_SHARE", "0", "greater than 0"),
    ],
)
def test_a_bad_value_is_named_with_its_variable(variable: str, value: str, complaint: str) -> None:
    problems = problems_of(MINIMAL | {variable: value})
    assert list(problems) == [variable]
    assert complaint in problems[variable]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka-bootstrap.kafka:9093, 10.0.0.1:1,b_2.x.:65535"),
        ("BINANCE_API_URL", "http://127.0.0.1:8080"),
        ("BINANCE_API_URL", "http://[::1]:8080/a/b"),
        ("BINANCE_API_URL", "https://api.binance.com/"),
        ("BINANCE_WS_URL", "wss://stream.binance.com:9443/ws"),
        ("LOADER_ARCHIVE_URL", "https://data.binance.vision"),
    ],
)
def test_an_address_that_can_be_dialled_is_taken_as_it_is(variable: str, value: str) -> None:
    environment = parse_environment(MINIMAL | {variable: value}, NOW).environment
    assert value in environment.model_dump(by_alias=True).values()


def test_the_name_of_a_field_is_no_variable() -> None:
    environment = parse_environment(MINIMAL | {"debug": "perhaps", "symbol": "X"}, NOW).environment
    assert (environment.debug, environment.symbol) == (False, "BTCUSDT")


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"KAFKA_USER_PRODUCER": "loader"}, "KAFKA_PASSWORD_PRODUCER"),
        ({"KAFKA_PASSWORD_PRODUCER": "s3cret"}, "KAFKA_USER_PRODUCER"),
        ({"BINANCE_API_KEY": "k"}, "BINANCE_API_SECRET"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}, "KAFKA_USER_PRODUCER"),
    ],
)
def test_half_a_credential_names_the_missing_half(given: dict[str, str], missing: str) -> None:
    problems = problems_of(MINIMAL | given)
    assert list(problems) == [missing]
    assert "s3cret" not in str(problems)


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        ("BINANCE_API_URL", "https://user:pass-WORD@api.binance.com"),
        ("BINANCE_API_URL", "https://user:pass-WO/RD@api.binance.com"),
        ("BINANCE_WS_URL", "user:pass-WORD@stream.binance.com"),
        ("LOADER_ARCHIVE_URL", "https://user:p@ss-WORD@data.binance.vision"),
        ("KAFKA_BOOTSTRAP_SERVERS", "user:pass-WORD@broker:9093"),
    ],
)
def test_a_password_in_an_address_is_not_repeated(variable: str, address: str) -> None:
    with pytest.raises(EnvironmentProblemsError, match=variable) as caught:
        parse_environment(MINIMAL | {variable: address}, NOW)
    assert "WO" not in str(caught.value)
    assert "***@" in str(caught.value)


def test_a_secret_is_in_no_text_of_the_environment() -> None:
    environment = parse_environment(
        MINIMAL | {"KAFKA_USER_PRODUCER": "u", "KAFKA_PASSWORD_PRODUCER": "s3cret"}, NOW
    ).environment
    assert "s3cret" not in repr(environment)
    assert "s3cret" not in str(render_environment(environment))
    assert not set(SECRET_VARIABLES) & set(render_environment(environment))


def test_the_suffix_wins_over_the_interval_and_it_is_said() -> None:
    parsed = parse_environment(MINIMAL | {"TYPE": "api_candles_1h", "INTERVAL": "1m"}, NOW)
    assert parsed.environment.interval is Interval.HOUR_1
    assert parsed.warnings == ("TYPE api_candles_1h and INTERVAL 1m differ: 1h is loaded",)


def test_an_interval_is_needed_when_the_type_has_no_suffix() -> None:
    problems = problems_of(MINIMAL | {"TYPE": "api_candles", "INTERVAL": ""})
    assert list(problems) == ["INTERVAL"]


def test_what_does_not_belong_to_a_type_is_ignored_with_a_warning() -> None:
    live = parse_environment(LIVE | {"TIME_RANGE": "2023-01-01:2023-01-02"}, NOW)
    assert live.environment.time_range is None
    assert live.warnings == ("TIME_RANGE is ignored: TYPE ws_candles is live",)
    trades = parse_environment(MINIMAL | {"TYPE": "api_trades"}, NOW)
    assert trades.environment.interval is None
    assert trades.warnings == ("INTERVAL is ignored: TYPE api_trades has no candles",)


def test_what_is_ignored_may_be_anything() -> None:
    book = parse_environment(
        LIVE | {"TYPE": "ws_orderbook", "INTERVAL": "x", "TIME_RANGE": "x"}, NOW
    )
    assert (book.environment.interval, book.environment.time_range) == (None, None)
    assert len(book.warnings) == 2


def test_either_name_of_the_ca_path_is_read() -> None:
    for name in ("CA_PATH", "KAFKA_CA_PATH"):
        environment = parse_environment(MINIMAL | {name: "/certs/ca.crt"}, NOW).environment
        assert environment.ca_path == "/certs/ca.crt"
        rendered = render_environment(environment)
        assert rendered["CA_PATH"] == rendered["KAFKA_CA_PATH"] == "/certs/ca.crt"


def test_a_producer_id_without_room_for_the_number_of_a_shard_is_a_problem() -> None:
    variables = MINIMAL | {"TELEMETRY_PRODUCER_ID": "p" * 248, "LOADER_SHARD_COUNT": "2"}
    with pytest.raises(EnvironmentProblemsError, match=r"TELEMETRY_PRODUCER_ID: .* no room"):
        parse_environment(variables, NOW)


def test_the_index_of_an_indexed_job_is_the_shard() -> None:
    variables = MINIMAL | {"JOB_COMPLETION_INDEX": "2", "LOADER_SHARD_COUNT": "4"}
    assert parse_environment(variables, NOW).environment.shard_index == 2


@pytest.mark.parametrize(
    ("given", "protocol"),
    [
        ({}, SecurityProtocol.PLAINTEXT),
        ({"CA_PATH": "/ca"}, SecurityProtocol.SSL),
        ({"KAFKA_USER_PRODUCER": "u", "KAFKA_PASSWORD_PRODUCER": "p"}, SecurityProtocol.SASL_SSL),
        (
            {
                "KAFKA_USER_PRODUCER": "u",
                "KAFKA_PASSWORD_PRODUCER": "p",
                "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            },
            SecurityProtocol.SASL_PLAINTEXT,
        ),
    ],
)
def test_the_protocol_follows_from_what_is_given(
    given: dict[str, str], protocol: SecurityProtocol
) -> None:
    assert parse_environment(MINIMAL | given, NOW).environment.security_protocol is protocol


def test_our_own_variables_are_rendered_only_where_they_differ_from_their_default() -> None:
    rendered = render_environment(parse_environment(MINIMAL, NOW).environment)
    assert not [name for name in rendered if name.startswith("LOADER_")]
    assert set(rendered) <= set(VARIABLES)


@st.composite
def environments(draw: st.DrawFn) -> WorkerEnvironment:
    task_type = draw(st.sampled_from(list(TaskType)))
    interval = draw(st.sampled_from(list(Interval))) if task_type.has_candles else None
    suffix = interval if draw(st.booleans()) else None
    names = st.from_regex(r"[a-zA-Z0-9_-][a-zA-Z0-9._-]{1,50}", fullmatch=True)
    start = draw(st.datetimes(datetime(2017, 1, 1), datetime(2025, 1, 1), timezones=st.just(UTC)))
    start = start.replace(microsecond=start.microsecond // 1000 * 1000)
    length = timedelta(milliseconds=draw(st.integers(min_value=1, max_value=10**11)))
    shards = draw(st.integers(min_value=1, max_value=64))
    values: dict[str, Any] = {
        "queue_id": draw(names),
        "symbol": draw(st.from_regex(r"[A-Z0-9]{2,24}", fullmatch=True)),
        "load_type": LoadType(task_type, suffix),
        "interval": interval,
        "time_range": None if task_type.is_live else TimeRange(start, start + length),
        "kafka_topic": draw(names),
        "producer_id": draw(names),
        "ca_path": draw(st.sampled_from([None, "/certs/ca.crt"])),
        "telemetry_interval_s": draw(st.integers(min_value=1, max_value=300)),
        "debug": draw(st.booleans()),
        "explicit_security_protocol": draw(st.sampled_from([None, "PLAINTEXT", "SSL"])),
        "archive_url": draw(st.sampled_from([None, "https://data.binance.vision"])),
        "control_since": draw(st.sampled_from([None, start])),
        "task_since": draw(st.sampled_from([None, start])),
        "delivery": draw(st.sampled_from([None, *Delivery])),
        "closed_only": draw(st.booleans()),
        "trades": draw(st.sampled_from(Trades)),
        "record_time": draw(st.sampled_from(RecordTime)),
        "shard_index": draw(st.integers(min_value=0, max_value=shards - 1)),
        "shard_count": shards,
        "metrics_port": draw(st.integers(min_value=0, max_value=65_535)),
        "weight_share": draw(st.sampled_from([1.0, 0.25, 0.01])),
    }
    return WorkerEnvironment(**values)


@given(environments())
def test_what_the_operator_renders_the_worker_parses_to_the_same_value(
    environment: WorkerEnvironment,
) -> None:
    parsed = parse_environment(render_environment(environment), NOW)
    assert parsed.environment == environment
    assert parsed.warnings == ()


@given(st.dictionaries(st.sampled_from(VARIABLES), st.text(max_size=40)))
def test_any_environment_parses_or_is_refused_with_problems(variables: dict[str, str]) -> None:
    try:
        parse_environment(variables, NOW)
    except EnvironmentProblemsError as error:
        assert error.problems
        assert all(problem.variable in VARIABLES for problem in error.problems)


def test_credentials_come_back_from_their_variables() -> None:
    environment = parse_environment(
        MINIMAL | {"BINANCE_API_KEY": "k", "BINANCE_API_SECRET": "s"}, NOW
    ).environment
    assert environment.binance_api_secret == SecretStr("s")
