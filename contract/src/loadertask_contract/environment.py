"""The environment of a worker (design contract §1): one typed, frozen value from all variables.

The operator renders it, the worker parses it; nobody else reads or writes these variables. The
descriptions and examples here are what docs/reference/environment.md says.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from loadertask_contract.intervals import Interval, parse_interval
from loadertask_contract.task_types import LoadType, parse_load_type
from loadertask_contract.time_range import TimeRange, parse_time_range
from loadertask_contract.topics import QUEUE_CONTROL_TOPIC, QUEUE_EVENTS_TOPIC
from loadertask_contract.variables import (
    Flag,
    HttpUrl,
    Moment,
    ProducerId,
    QueueId,
    Servers,
    Symbol,
    Topic,
    WsUrl,
    one_of,
    parsed,
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


class WorkerEnvironment(BaseModel):
    """Everything a worker is told; each alias is the name of its variable.

    ``load_type`` keeps the suffix of ``TYPE``; ``interval`` is the one in force: the suffix wins
    over ``INTERVAL``, and is None for types without candles. Secrets never appear in ``repr``.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    queue_id: QueueId = Field(
        alias="QUEUE_ID",
        description="Identity of the whole workflow.",
        examples=["wf-bulk-load-20240801-a1b2c3"],
    )
    symbol: Symbol = Field(
        alias="SYMBOL", description="Trading pair, as the venue spells it.", examples=["BTCUSDT"]
    )
    load_type: Annotated[LoadType, parsed(parse_load_type)] = Field(
        alias="TYPE",
        description="What to load, from where: `api_candles`, `api_trades` (history),"
        " `ws_candles`, `ws_trades`, `ws_orderbook` (live; `ws_depth` is the same)."
        " Candle types may end in an interval, which wins over `INTERVAL`.",
        examples=["api_candles_1m"],
    )
    time_range: Annotated[TimeRange | None, parsed(parse_time_range)] = Field(
        default=None,
        alias="TIME_RANGE",
        description="START:END in UTC, END not included: days, or an ISO 8601 interval START/END"
        " of date-times, of the years 1970 to 2099. Required for `api_*`, ignored for `ws_*`. An"
        " END in the future is cut to what is closed when the load starts. A candle is of the range"
        " in which it opens; where none does, nothing is loaded, and the last event says so.",
        examples=["2023-01-01:2023-01-02"],
    )
    interval: Annotated[Interval | None, parsed(parse_interval)] = Field(
        default=None,
        alias="INTERVAL",
        description="Candle interval as the venue spells it. Required for candles whose `TYPE` has"
        " no suffix, ignored for other types.",
        examples=["1h"],
    )
    kafka_topic: Topic = Field(
        alias="KAFKA_TOPIC",
        description="Where the records go; made when it is not there, with the brokers' defaults.",
        examples=["wf-bulk-load-20240801-a1b2c3-data"],
    )
    producer_id: ProducerId = Field(
        alias="TELEMETRY_PRODUCER_ID",
        description="This worker's name in queue-events. A shard adds `-` and its index.",
        examples=["loader-producer__a1b2c3"],
    )
    kafka_bootstrap_servers: Servers = Field(
        default="kafka-bootstrap.kafka:9093",
        alias="KAFKA_BOOTSTRAP_SERVERS",
        description="Brokers to begin with, comma separated.",
        examples=["kafka-bootstrap.kafka:9093"],
    )
    kafka_user: str | None = Field(
        default=None,
        alias="KAFKA_USER_PRODUCER",
        description="User for SCRAM-SHA-512. Set, it asks for SASL and TLS.",
        examples=["loader"],
    )
    kafka_password: SecretStr | None = Field(
        default=None,
        alias="KAFKA_PASSWORD_PRODUCER",
        description="The user's password; needed with a user.",
        examples=["(from a Secret)"],
    )
    ca_path: str | None = Field(
        default=None,
        alias="CA_PATH",
        description="File of the CA that vouches for the brokers. Set, it asks for TLS; with a"
        " user and without it, the system's CAs count.",
        examples=["/certs/ca.crt"],
    )
    queue_control_topic: Topic = Field(
        default=QUEUE_CONTROL_TOPIC,
        alias="QUEUE_CONTROL_TOPIC",
        description="Where commands to workers come from.",
        examples=["queue-control"],
    )
    queue_events_topic: Topic = Field(
        default=QUEUE_EVENTS_TOPIC,
        alias="QUEUE_EVENTS_TOPIC",
        description="Where workers report.",
        examples=["queue-events"],
    )
    binance_api_url: HttpUrl = Field(
        default="https://api.binance.com",
        alias="BINANCE_API_URL",
        description="Base of the venue's REST interface. Live types use it to fill holes.",
        examples=["https://api.binance.com"],
    )
    binance_ws_url: WsUrl = Field(
        default="wss://stream.binance.com:9443/ws",
        alias="BINANCE_WS_URL",
        description="The venue's raw streams.",
        examples=["wss://stream.binance.com:9443/ws"],
    )
    binance_api_key: SecretStr | None = Field(
        default=None,
        alias="BINANCE_API_KEY",
        description="Key of an account at the venue. Public data needs none.",
        examples=["(from a Secret)"],
    )
    binance_api_secret: SecretStr | None = Field(
        default=None,
        alias="BINANCE_API_SECRET",
        description="Belongs to the key; needed with one.",
        examples=["(from a Secret)"],
    )
    telemetry_interval_s: float = Field(
        default=5,
        ge=0.1,
        le=300,
        alias="TELEMETRY_INTERVAL",
        description="Seconds between two `loading` events.",
        examples=["5"],
    )
    debug: Flag = Field(
        default=False, alias="DEBUG", description="Verbose logs.", examples=["true"]
    )
    explicit_security_protocol: Annotated[SecurityProtocol | None, one_of(SecurityProtocol)] = (
        Field(
            default=None,
            alias="KAFKA_SECURITY_PROTOCOL",
            description="How to talk to the brokers, where user and CA do not tell:"
            " without both it is PLAINTEXT.",
            examples=["SASL_PLAINTEXT"],
        )
    )
    archive_url: HttpUrl | None = Field(
        default=None,
        alias="LOADER_ARCHIVE_URL",
        description="Base of the venue's archive of daily and monthly files. Unset, history comes"
        " from the REST interface alone. The operator sets it.",
        examples=["https://data.binance.vision"],
    )
    control_since: Moment = Field(
        default=None,
        alias="LOADER_CONTROL_SINCE",
        description="Commands older than this are not for us; younger ones count, also when they"
        " were sent before the start. Unset, it is the start of the process. The operator sets the"
        " creation of the task.",
        examples=["2026-01-01T00:00:00Z"],
    )
    task_since: Moment = Field(
        default=None,
        alias="LOADER_TASK_SINCE",
        description="When the task was created. Without a cursor, records of the same load are"
        " looked for in the topic; those published before this are another task's. Unset, all"
        " of them count for a history, none for a stream. The operator sets it.",
        examples=["2026-01-01T00:00:00Z"],
    )
    patience_s: float = Field(
        default=60,
        ge=0,
        le=86_400,
        alias="LOADER_PATIENCE_SECONDS",
        description="Seconds that Kafka or the venue may be unreachable before the worker ends"
        " with the code for another try. A rest that the venue asks for (429, 403) is not counted.",
        examples=["60"],
    )
    delivery: Annotated[Delivery | None, one_of(Delivery)] = Field(
        default=None,
        alias="LOADER_DELIVERY",
        description="Demand a mode of delivery; one that the rights in Kafka do not allow is a bad"
        " configuration. Unset, it is the best that they allow.",
        examples=["exactly_once"],
    )
    closed_only: Flag = Field(
        default=False,
        alias="LOADER_CLOSED_ONLY",
        description="`ws_candles`: final candles only, not each update.",
        examples=["true"],
    )
    trades: Annotated[Trades, one_of(Trades)] = Field(
        default=Trades.AGGREGATE,
        alias="LOADER_TRADES",
        description="Which trades a trade task loads.",
        examples=["raw"],
    )
    record_time: Annotated[RecordTime, one_of(RecordTime)] = Field(
        default=RecordTime.PUBLICATION,
        alias="LOADER_RECORD_TIME",
        description="What the Kafka timestamp of a record is. `venue` is refused where the topic's"
        " retention would delete the range at once.",
        examples=["venue"],
    )
    shard_index: int = Field(
        default=0,
        ge=0,
        alias="LOADER_SHARD_INDEX",
        description="Which slice of the range is ours, from 0.",
        examples=["2"],
    )
    shard_count: int = Field(
        default=1,
        ge=1,
        le=64,
        alias="LOADER_SHARD_COUNT",
        description="How many slices the range has.",
        examples=["4"],
    )
    metrics_port: int = Field(
        default=9090,
        ge=0,
        le=65_535,
        alias="LOADER_METRICS_PORT",
        description="Port of /metrics and /healthz; 0 is off. A port that is taken is said in the"
        " log, and the load goes on.",
        examples=["9090"],
    )
    weight_share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        alias="LOADER_WEIGHT_SHARE",
        description="Share of the request weight of our address that this worker may use.",
        examples=["0.25"],
    )

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

TUNING_VARIABLES: tuple[str, ...] = (
    "LOADER_PATIENCE_SECONDS",
    "LOADER_DELIVERY",
    "LOADER_CLOSED_ONLY",
    "LOADER_TRADES",
    "LOADER_RECORD_TIME",
    "LOADER_METRICS_PORT",
    "LOADER_WEIGHT_SHARE",
)
"""Variables that the operator never renders: a task may set them for its worker."""

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
