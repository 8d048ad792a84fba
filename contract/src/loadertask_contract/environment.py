"""The environment of a worker (design contract §1): one typed, frozen value from all variables.

The operator renders it, the worker parses it; nobody else reads or writes these variables.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from loadertask_contract.addresses import parse_http_url, parse_servers, parse_ws_url
from loadertask_contract.intervals import Interval, parse_interval
from loadertask_contract.task_types import LoadType, parse_load_type
from loadertask_contract.time_range import TimeRange, parse_time_range
from loadertask_contract.topics import (
    QUEUE_CONTROL_TOPIC,
    QUEUE_EVENTS_TOPIC,
    parse_queue_id,
    parse_topic,
)


class SecurityProtocol(StrEnum):
    """Kafka's names of the ways to talk to a broker."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class Delivery(StrEnum):
    """What a load promises about its records."""

    EXACTLY_ONCE = "exactly_once"
    EFFECTIVELY_ONCE = "effectively_once"
    AT_LEAST_ONCE = "at_least_once"


class Trades(StrEnum):
    """Which trades a trade task loads."""

    AGGREGATE = "aggregate"
    RAW = "raw"


class RecordTime(StrEnum):
    """What the Kafka timestamp of a record is."""

    PUBLICATION = "publication"
    VENUE = "venue"


def _matching(pattern: str, rule: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"{text!r} is not {rule}")
        return text

    return AfterValidator(check)


def _parsed(parse: Callable[[str], Any]) -> BeforeValidator:
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


def _one_of(choices: type[StrEnum]) -> BeforeValidator:
    def parse(text: str) -> StrEnum:
        try:
            return choices(text)
        except ValueError:
            raise ValueError(f"{text!r} is not one of {', '.join(choices)}") from None

    return _parsed(parse)


def _bool(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in {"true", "1", "yes", "on"}:
        return True
    if lowered in {"false", "0", "no", "off"}:
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not an RFC 3339 date-time") from None


QueueId = Annotated[str, AfterValidator(parse_queue_id)]
Topic = Annotated[str, AfterValidator(parse_topic)]
Symbol = Annotated[
    str, _matching(r"[A-Z0-9]{2,24}", "a symbol of the venue: 2-24 capitals and digits (BTCUSDT)")
]
ProducerId = Annotated[str, _matching(r"[!-~]{1,249}", "a producer id: 1-249 printable characters")]
Servers = Annotated[str, AfterValidator(parse_servers)]
HttpUrl = Annotated[str, AfterValidator(parse_http_url)]
WsUrl = Annotated[str, AfterValidator(parse_ws_url)]
Flag = Annotated[bool, _parsed(_bool)]


class WorkerEnvironment(BaseModel):
    """Everything a worker is told; each alias is the name of its variable.

    ``load_type`` keeps the suffix of ``TYPE``; ``interval`` is the one in force: the suffix wins
    over ``INTERVAL``, and is None for types without candles. Secrets never appear in ``repr``.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    queue_id: QueueId = Field(alias="QUEUE_ID")
    symbol: Symbol = Field(alias="SYMBOL")
    load_type: Annotated[LoadType, _parsed(parse_load_type)] = Field(alias="TYPE")
    time_range: Annotated[TimeRange | None, _parsed(parse_time_range)] = Field(
        default=None, alias="TIME_RANGE"
    )
    interval: Annotated[Interval | None, _parsed(parse_interval)] = Field(
        default=None, alias="INTERVAL"
    )
    kafka_topic: Topic = Field(alias="KAFKA_TOPIC")
    producer_id: ProducerId = Field(alias="TELEMETRY_PRODUCER_ID")
    kafka_bootstrap_servers: Servers = Field(
        default="kafka-bootstrap.kafka:9093", alias="KAFKA_BOOTSTRAP_SERVERS"
    )
    kafka_user: str | None = Field(default=None, alias="KAFKA_USER_PRODUCER")
    kafka_password: SecretStr | None = Field(default=None, alias="KAFKA_PASSWORD_PRODUCER")
    ca_path: str | None = Field(default=None, alias="CA_PATH")
    queue_control_topic: Topic = Field(default=QUEUE_CONTROL_TOPIC, alias="QUEUE_CONTROL_TOPIC")
    queue_events_topic: Topic = Field(default=QUEUE_EVENTS_TOPIC, alias="QUEUE_EVENTS_TOPIC")
    binance_api_url: HttpUrl = Field(default="https://api.binance.com", alias="BINANCE_API_URL")
    binance_ws_url: WsUrl = Field(
        default="wss://stream.binance.com:9443/ws", alias="BINANCE_WS_URL"
    )
    binance_api_key: SecretStr | None = Field(default=None, alias="BINANCE_API_KEY")
    binance_api_secret: SecretStr | None = Field(default=None, alias="BINANCE_API_SECRET")
    telemetry_interval_s: float = Field(default=5, ge=0.1, le=300, alias="TELEMETRY_INTERVAL")
    debug: Flag = Field(default=False, alias="DEBUG")
    explicit_security_protocol: Annotated[SecurityProtocol | None, _one_of(SecurityProtocol)] = (
        Field(default=None, alias="KAFKA_SECURITY_PROTOCOL")
    )
    archive_url: HttpUrl | None = Field(default=None, alias="LOADER_ARCHIVE_URL")
    control_since: Annotated[datetime | None, _parsed(_moment)] = Field(
        default=None, alias="LOADER_CONTROL_SINCE"
    )
    patience_s: float = Field(default=60, ge=0, le=86_400, alias="LOADER_PATIENCE_SECONDS")
    delivery: Annotated[Delivery | None, _one_of(Delivery)] = Field(
        default=None, alias="LOADER_DELIVERY"
    )
    closed_only: Flag = Field(default=False, alias="LOADER_CLOSED_ONLY")
    trades: Annotated[Trades, _one_of(Trades)] = Field(
        default=Trades.AGGREGATE, alias="LOADER_TRADES"
    )
    record_time: Annotated[RecordTime, _one_of(RecordTime)] = Field(
        default=RecordTime.PUBLICATION, alias="LOADER_RECORD_TIME"
    )
    shard_index: int = Field(default=0, ge=0, alias="LOADER_SHARD_INDEX")
    shard_count: int = Field(default=1, ge=1, le=64, alias="LOADER_SHARD_COUNT")
    metrics_port: int = Field(default=9090, ge=0, le=65_535, alias="LOADER_METRICS_PORT")
    weight_share: float = Field(default=1.0, gt=0, le=1, alias="LOADER_WEIGHT_SHARE")

    @property
    def security_protocol(self) -> SecurityProtocol:
        """The explicit protocol, else derived: a user asks for SASL and TLS, a CA for TLS."""
        if self.explicit_security_protocol:
            return self.explicit_security_protocol
        if self.kafka_user:
            return SecurityProtocol.SASL_SSL
        return SecurityProtocol.SSL if self.ca_path else SecurityProtocol.PLAINTEXT


# The platform's loaders disagree on one name, and an Indexed Job names the shard its own way.
ALIASES = {"KAFKA_CA_PATH": "CA_PATH", "JOB_COMPLETION_INDEX": "LOADER_SHARD_INDEX"}

VARIABLES: tuple[str, ...] = (
    *(str(field.alias) for field in WorkerEnvironment.model_fields.values()),
    *ALIASES,
)
"""Every variable that a worker reads."""

SECRET_VARIABLES: tuple[str, ...] = (
    "KAFKA_USER_PRODUCER",
    "KAFKA_PASSWORD_PRODUCER",
    "BINANCE_API_KEY",
    "BINANCE_API_SECRET",
)
"""Variables whose values come from Secrets: they are referenced, never rendered."""


def render_environment(environment: WorkerEnvironment) -> dict[str, str]:
    """The variables that parse to ``environment``, without secrets.

    The given ones are always there, ours (``LOADER_``) only where they differ from their default,
    so that a worker without them behaves exactly as the given contract says.
    """
    rendered = {}
    for name, field in WorkerEnvironment.model_fields.items():
        value = getattr(environment, name)
        variable = str(field.alias)
        is_ours = variable.startswith("LOADER_")
        if value is None or variable in SECRET_VARIABLES or (is_ours and value == field.default):
            continue
        rendered[variable] = _variable_text(value)
    if environment.ca_path:
        rendered["KAFKA_CA_PATH"] = environment.ca_path
    return rendered


def _variable_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return f"{value:g}" if isinstance(value, float) else str(value)
