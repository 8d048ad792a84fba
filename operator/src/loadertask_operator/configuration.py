"""The operator's configuration: environment variables (design operator §8), read once.

All problems are reported at once, each naming its variable; nothing else reads the environment.
"""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)

from loadertask_contract.environment import SecurityProtocol
from loadertask_contract.topics import QUEUE_CONTROL_TOPIC, QUEUE_EVENTS_TOPIC
from loadertask_contract.variables import HttpUrl, Servers, Topic, WsUrl
from loadertask_operator import __version__

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LEVELS = ("debug", "info", "warning", "error")


class ConfigurationError(ValueError):
    """The environment cannot be used; ``problems`` holds one line per variable."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _names(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


def _choice(*choices: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if isinstance(value, str) and value.lower() not in choices:
            raise ValueError(f"{value!r} is not one of {', '.join(choices)}")
        return value.lower() if isinstance(value, str) else value

    return BeforeValidator(check)


def _protocol(value: Any) -> Any:
    if isinstance(value, str) and value not in tuple(SecurityProtocol):
        raise ValueError(f"{value!r} is not one of {', '.join(SecurityProtocol)}")
    return value


def _ca_file(path: str | None) -> str | None:
    if path is not None and not Path(path).is_file():
        raise ValueError(f"there is no file {path!r}: mount the CA of the brokers there")
    if path is not None:
        try:
            ssl.create_default_context(cafile=path)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path!r} holds no readable PEM certificate: {error}") from error
    return path


def _namespace(name: str) -> str:
    if not _DNS_LABEL.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name of a namespace: lower case letters, digits and '-', at most 63"
        )
    return name


Port = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Configuration(BaseModel):
    """Everything the operator is told; each alias is the name of its variable."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    kafka_bootstrap_servers: Servers = Field(alias="KAFKA_BOOTSTRAP_SERVERS")
    kafka_security_protocol: Annotated[SecurityProtocol | None, BeforeValidator(_protocol)] = Field(
        default=None, alias="KAFKA_SECURITY_PROTOCOL"
    )
    kafka_user: str | None = Field(default=None, alias="KAFKA_USER")
    kafka_password: SecretStr | None = Field(default=None, alias="KAFKA_PASSWORD")
    ca_path: Annotated[str | None, AfterValidator(_ca_file)] = Field(default=None, alias="CA_PATH")
    queue_control_topic: Topic = Field(default=QUEUE_CONTROL_TOPIC, alias="QUEUE_CONTROL_TOPIC")
    queue_events_topic: Topic = Field(default=QUEUE_EVENTS_TOPIC, alias="QUEUE_EVENTS_TOPIC")
    explicit_group_id: str | None = Field(default=None, max_length=249, alias="KAFKA_GROUP_ID")
    grace_s: Seconds = Field(default=60, alias="GRACE_SECONDS")
    watch_namespaces: Annotated[
        tuple[Annotated[str, AfterValidator(_namespace)], ...], BeforeValidator(_names)
    ] = Field(default=(), alias="WATCH_NAMESPACES")
    worker_image: str = Field(
        default=f"docker.io/library/loadertask-worker:{__version__}", alias="WORKER_IMAGE"
    )
    explicit_worker_servers: Servers | None = Field(
        default=None, alias="WORKER_KAFKA_BOOTSTRAP_SERVERS"
    )
    worker_kafka_secret: str | None = Field(default=None, alias="WORKER_KAFKA_SECRET")
    worker_kafka_user_key: str = Field(default="user", alias="WORKER_KAFKA_USER_KEY")
    worker_kafka_password_key: str = Field(default="password", alias="WORKER_KAFKA_PASSWORD_KEY")
    worker_ca_secret: str | None = Field(default=None, alias="WORKER_CA_SECRET")
    worker_ca_key: str = Field(default="ca.crt", alias="WORKER_CA_KEY")
    binance_api_url: HttpUrl = Field(default="https://api.binance.com", alias="BINANCE_API_URL")
    binance_ws_url: WsUrl = Field(
        default="wss://stream.binance.com:9443/ws", alias="BINANCE_WS_URL"
    )
    binance_archive_url: HttpUrl = Field(
        default="https://data.binance.vision", alias="BINANCE_ARCHIVE_URL"
    )
    binance_secret: str | None = Field(default=None, alias="BINANCE_SECRET")
    leader_election: bool = Field(default=False, alias="LEADER_ELECTION")
    pod_namespace: str = Field(default="default", alias="POD_NAMESPACE")
    pod_name: str = Field(default="loadertask-operator", alias="POD_NAME")
    resync_s: Seconds = Field(default=30, alias="RESYNC_SECONDS")
    status_write_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=10, alias="STATUS_WRITE_SECONDS"
    )
    metrics_port: Port = Field(default=9090, alias="METRICS_PORT")
    health_port: Port = Field(default=8080, alias="HEALTH_PORT")
    log_level: Annotated[str, _choice(*_LEVELS)] = Field(default="info", alias="LOG_LEVEL")
    log_format: Annotated[str, _choice("json", "text")] = Field(default="json", alias="LOG_FORMAT")

    @property
    def group_id(self) -> str:
        """Where offsets are committed; two installations must not share it."""
        return self.explicit_group_id or f"loadertask-operator.{self.pod_namespace}"

    @property
    def security_protocol(self) -> SecurityProtocol:
        """The explicit protocol, else derived as the worker does (design contract §1)."""
        if self.kafka_security_protocol:
            return self.kafka_security_protocol
        if self.kafka_user:
            return SecurityProtocol.SASL_SSL
        return SecurityProtocol.SSL if self.ca_path else SecurityProtocol.PLAINTEXT

    @property
    def worker_kafka_servers(self) -> str:
        """The brokers that workers are given."""
        return self.explicit_worker_servers or self.kafka_bootstrap_servers

    @property
    def grace(self) -> timedelta:
        """Every grace of the arbitration table (design operator §2)."""
        return timedelta(seconds=self.grace_s)

    @property
    def log_level_number(self) -> int:
        """The level for the standard library."""
        return logging.getLevelNamesMapping()[self.log_level.upper()]


def read_configuration(environment: Mapping[str, str]) -> Configuration:
    """Parse the operator's environment; an empty variable counts as absent.

    Raises:
        ConfigurationError: with every problem found.

    """
    variables = {str(field.alias) for field in Configuration.model_fields.values()}
    given = {
        name: value.strip()
        for name, value in environment.items()
        if name in variables and value.strip()
    }
    problems = _pair_problems(given)
    try:
        configuration = Configuration.model_validate(given)
    except ValidationError as error:
        problems = [*map(_problem, error.errors(include_url=False)), *problems]
    else:
        problems += _port_problems(configuration) + _topic_problems(configuration)
    if problems:
        raise ConfigurationError(tuple(sorted(problems)))
    return configuration


def _pair_problems(given: Mapping[str, str]) -> list[str]:
    problems = []
    for present, missing in (("KAFKA_USER", "KAFKA_PASSWORD"), ("KAFKA_PASSWORD", "KAFKA_USER")):
        if present in given and missing not in given:
            problems.append(f"{missing}: is missing while {present} is set")
    protocol = given.get("KAFKA_SECURITY_PROTOCOL", "")
    if protocol.startswith("SASL_") and "KAFKA_USER" not in given:
        problems.append(f"KAFKA_USER: is required by KAFKA_SECURITY_PROTOCOL {protocol}")
    return problems


def _port_problems(configuration: Configuration) -> list[str]:
    port = configuration.health_port
    # 0 stands for any free port, twice for two.
    if port and port == configuration.metrics_port:
        return [f"HEALTH_PORT: {port} is METRICS_PORT as well: give each its own"]
    return []


def _topic_problems(configuration: Configuration) -> list[str]:
    topic = configuration.queue_control_topic
    if topic == configuration.queue_events_topic:
        return [f"QUEUE_CONTROL_TOPIC: {topic} is QUEUE_EVENTS_TOPIC as well: give each its own"]
    return []


def _problem(error: Any) -> str:
    variable = str(error["loc"][0])
    if error["type"] == "missing":
        return f"{variable}: is required: set it to host:port of a broker"
    message = error["msg"].removeprefix("Value error, ")
    # A password is never repeated in a message.
    shown = "" if "PASSWORD" in variable or repr(error["input"]) in message else error["input"]
    return f"{variable}: {message}" + (f" (it is {shown!r})" if shown != "" else "")
