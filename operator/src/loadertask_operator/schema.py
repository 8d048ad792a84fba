"""A LoaderTask as typed, frozen values: what of the object the operator reads and writes.

The schema of the API is the CRD's; this repeats only its defaults, for objects stored before a
default existed. An object that cannot be used parses to problems, never to an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from loadertask_contract.intervals import Interval, parse_interval
from loadertask_contract.task_types import LoadType, parse_load_type
from loadertask_contract.time_range import TimeRange, parse_time_range
from loadertask_contract.variables import QueueId, Topic
from loadertask_operator import names
from loadertask_operator.status import CurrentAttempt, Status, parse_status


def _parsed(parse: Callable[[str], Any]) -> BeforeValidator:
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class KafkaCredentialsRef(_Model):
    """Secret in the task's namespace that holds user and password for Kafka."""

    name: str
    username_key: str | None = None
    password_key: str | None = None


class CaRef(_Model):
    """Secret in the task's namespace that holds the CA of the brokers."""

    name: str
    key: str | None = None


class SecretRef(_Model):
    """Secret in the task's namespace with keys fixed by the design."""

    name: str


class KafkaSpec(_Model):
    """Where records go, where it differs from the operator's configuration."""

    topic: Topic | None = None
    bootstrap_servers: str | None = None
    credentials_secret_ref: KafkaCredentialsRef | None = None
    ca_secret_ref: CaRef | None = None


class BinanceSpec(_Model):
    """Where records come from, where it differs from the operator's configuration."""

    api_url: str | None = None
    ws_url: str | None = None
    archive_url: str | None = None
    credentials_secret_ref: SecretRef | None = None


class RetryBackoff(_Model):
    """Seconds to wait before a retry: ``initial`` doubles up to ``max``."""

    initial_seconds: int = 10
    max_seconds: int = 600


class WorkerSpec(_Model):
    """The pod of the worker; the free-form parts are passed on as they are."""

    image: str | None = None
    image_pull_policy: str | None = None
    resources: dict[str, Any] | None = None
    service_account_name: str | None = None
    env: tuple[dict[str, Any], ...] = ()
    pod_template: dict[str, Any] | None = None


class Spec(_Model):
    """What a task asks for, in the contract's own types."""

    symbol: str
    type: Annotated[LoadType, _parsed(parse_load_type)]
    interval: Annotated[Interval | None, _parsed(parse_interval)] = None
    time_range: Annotated[TimeRange | None, _parsed(parse_time_range)] = None
    queue_id: QueueId | None = None
    kafka: KafkaSpec = KafkaSpec()
    binance: BinanceSpec = BinanceSpec()
    telemetry_interval: int = Field(default=5, ge=1, le=300)
    debug: bool = False
    parallelism: int = Field(default=1, ge=1, le=64)
    suspend: bool = False
    stop: bool = False
    backoff_limit: int = Field(default=4, ge=0)
    retry_backoff: RetryBackoff = RetryBackoff()
    startup_deadline_seconds: int = 300
    progress_deadline_seconds: int = 300
    active_deadline_seconds: int | None = None
    stop_timeout_seconds: int = 30
    ttl_seconds_after_finished: int | None = None
    # camelCase of the design, which keeps TTL in capitals
    job_ttl_seconds_after_finished: int = Field(default=3600, alias="jobTTLSecondsAfterFinished")
    worker: WorkerSpec = WorkerSpec()
    queue_name: str | None = None

    @field_validator("interval")
    @classmethod
    def _only_for_candles(cls, interval: Interval | None, others: ValidationInfo) -> object:
        load_type = others.data.get("type")
        if interval is None or load_type is None:
            return interval
        if not load_type.task_type.has_candles:
            raise ValueError("only candles have an interval: leave it out")
        if load_type.interval not in {None, interval}:
            raise ValueError(f"{interval} contradicts spec.type {load_type}: leave one of them out")
        return interval

    @field_validator("parallelism")
    @classmethod
    def _only_history_is_split(cls, parallelism: int, others: ValidationInfo) -> int:
        load_type = others.data.get("type")
        if parallelism > 1 and load_type is not None and load_type.task_type.is_live:
            raise ValueError("must be 1 for ws_* types: only a range of history can be split")
        return parallelism

    @model_validator(mode="after")
    def _range_only_for_history(self) -> Self:
        if self.type.task_type.is_live == (self.time_range is not None):
            raise ValueError(
                f"timeRange is required for api_* and forbidden for ws_* ({self.type})"
            )
        return self

    @property
    def effective_interval(self) -> Interval | None:
        """The interval that is loaded: suffix, field, else one minute; None without candles."""
        if not self.type.task_type.has_candles:
            return None
        return self.type.interval or self.interval or Interval.MINUTE_1


@dataclass(frozen=True, slots=True)
class LoaderTask:
    """One object: identity, wishes (``spec``, or why there is none) and what is recorded."""

    namespace: str
    name: str
    uid: str
    resource_version: int
    generation: int
    creation_time: datetime
    deletion_time: datetime | None
    finalizers: tuple[str, ...]
    skips_graceful_stop: bool
    spec: Spec | None
    spec_problems: tuple[str, ...]
    status: Status

    @property
    def key(self) -> TaskKey:
        """Its place in the cluster."""
        return TaskKey(self.namespace, self.name)

    @property
    def has_finalizer(self) -> bool:
        """Whether its deletion waits for us."""
        return names.FINALIZER in self.finalizers

    @property
    def queue_id(self) -> str:
        """The recorded queue id, else the asked-for one, else the default."""
        asked = self.spec.queue_id if self.spec else None
        return self.status.queue_id or asked or names.default_queue_id(self.name, self.uid)

    @property
    def topic(self) -> str:
        """The topic of its records."""
        asked = self.spec.kafka.topic if self.spec else None
        return self.status.topic or asked or f"{self.queue_id}-data"


@dataclass(frozen=True, slots=True, order=True)
class TaskKey:
    """Namespace and name of a task."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def parse_task(body: Mapping[str, Any]) -> LoaderTask:
    """The task in an object of the API server."""
    metadata = body["metadata"]
    spec, problems = _parse_spec(body.get("spec") or {})
    status = parse_status(body.get("status") or {})
    annotations = metadata.get("annotations") or {}
    return LoaderTask(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=int(metadata["resourceVersion"]),
        generation=int(metadata.get("generation", 1)),
        creation_time=parse_time(metadata["creationTimestamp"]),
        deletion_time=_optional_time(metadata.get("deletionTimestamp")),
        finalizers=tuple(metadata.get("finalizers") or ()),
        skips_graceful_stop=annotations.get(names.SKIP_GRACEFUL_STOP_ANNOTATION) == "true",
        spec=spec,
        spec_problems=problems,
        status=_with_attempt(status, metadata, spec),
    )


def attempt_of(name: str, uid: str, spec: Spec, number: int) -> CurrentAttempt:
    """The identity of an attempt of a task: it follows from its number alone."""
    return CurrentAttempt(
        number=number,
        job_name=names.job_name(name, number),
        producer_id=names.producer_id(uid, number, spec.type.task_type),
    )


def parse_time(text: str) -> datetime:
    """An aware datetime from Kubernetes' RFC 3339."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _with_attempt(status: Status, metadata: Mapping[str, Any], spec: Spec | None) -> Status:
    """``status``, whose attempt somebody may have removed by hand: its worker may still run."""
    number = max([status.attempts, *(past.number for past in status.attempt_history)])
    if status.current_attempt or number < 1 or spec is None:
        return status
    attempt = attempt_of(metadata["name"], metadata["uid"], spec, number)
    return status.model_copy(update={"current_attempt": attempt})


def _optional_time(text: str | None) -> datetime | None:
    return parse_time(text) if text else None


def _parse_spec(body: Mapping[str, Any]) -> tuple[Spec | None, tuple[str, ...]]:
    try:
        return Spec.model_validate(body), ()
    except ValidationError as error:
        return None, tuple(map(_problem, error.errors()))


def _problem(error: Any) -> str:
    where = ".".join(["spec", *map(str, error["loc"])])
    return f"{where}: {error['msg'].removeprefix('Value error, ')}"
