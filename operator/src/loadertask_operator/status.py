"""The status of a task as frozen values, and how it is read from and written to the object.

Times are whole seconds in UTC, as Kubernetes stores them: what was written equals what is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError
from pydantic.alias_generators import to_camel

from loadertask_contract.events import EventStatus

MAX_MESSAGE_BYTES = 1024
MAX_HISTORY = 5
MAX_INT = 2**63 - 1
"""The largest integer of the API's int64 fields: a header may claim more."""


def whole_seconds(moment: datetime) -> datetime:
    """``moment`` in UTC without its fraction.

    Raises:
        ValueError: the moment has no place in UTC's calendar.

    """
    try:
        return moment.astimezone(UTC).replace(microsecond=0)
    except OverflowError as error:
        raise ValueError(f"{moment} is beyond the calendar") from error


def _kubernetes_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


Moment = Annotated[
    datetime,
    AfterValidator(whole_seconds),
    PlainSerializer(_kubernetes_time, return_type=str, when_used="unless-none"),
]


class Phase(StrEnum):
    """Where a task is, for the eye; conditions are for programs."""

    PENDING = "Pending"
    STARTING = "Starting"
    RUNNING = "Running"
    STOPPING = "Stopping"
    SUSPENDED = "Suspended"
    RETRYING = "Retrying"
    SUCCEEDED = "Succeeded"
    STOPPED = "Stopped"
    FAILED = "Failed"


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class Condition(_Model):
    """metav1.Condition."""

    type: str
    status: str
    reason: str
    message: str = ""
    last_transition_time: Moment
    observed_generation: int | None = None


class CurrentAttempt(_Model):
    """The latest attempt; stored before its Job is created."""

    number: int
    job_name: str
    job_uid: str | None = Field(default=None, alias="jobUID")
    producer_id: str
    start_time: Moment | None = None


class PastAttempt(_Model):
    """An attempt that ended and how."""

    number: int
    outcome: str
    reason: str
    exit_code: int | None = None
    records_written: int = 0
    start_time: Moment | None = None
    completion_time: Moment | None = None


class ProgressStatus(_Model):
    """How far the load is; ``display`` is for the eye."""

    percent: int | None = None
    loaded_through: Moment | None = None
    records_per_second: int | None = None
    lag_seconds: int | None = None
    estimated_completion_time: Moment | None = None
    last_progress_time: Moment | None = None
    display: str | None = None


class ShardStatus(_Model):
    """What is known of one shard; ``status`` is what its worker said last in this attempt."""

    index: int
    status: EventStatus | None = None
    records_written: int = 0
    done: int | None = None
    total: int | None = None
    loaded_through: Moment | None = None
    records_per_second: int | None = None


def _in_order(shards: tuple[ShardStatus, ...]) -> tuple[ShardStatus, ...]:
    """As the operator writes them: numbered from 0, and none or several."""
    if len(shards) == 1 or [shard.index for shard in shards] != list(range(len(shards))):
        raise ValueError("are not the shards of a load")
    return shards


class LastEvent(_Model):
    """What queue-events said last, as it was said; ``time`` is the record's, its worker's clock."""

    status: EventStatus
    reason: str | None = None
    message: str = ""
    producer: str
    time: Moment


class Telemetry(_Model):
    """Which events the status is made of; the offset is the last applied one.

    ``last_heartbeat_time`` is when that one came, by the operator's clock.
    """

    partition: int | None = None
    offset: int | None = None
    events_applied: int = 0
    events_discarded: int = 0
    last_heartbeat_time: Moment | None = None


class StopMethod(StrEnum):
    """What ended the worker."""

    COMMAND = "Command"
    JOB_DELETED = "JobDeleted"


class StopStatus(_Model):
    """A stop that the operator asked for, and what came of it."""

    requested_at: Moment
    commands_sent: int = 0
    acknowledged_at: Moment | None = None
    method: StopMethod | None = None


class TurnStatus(_Model):
    """Whom of its queue a task waits for, or since when the commands of that queue are its own."""

    waiting_for: str | None = None
    since: Moment | None = None


class Status(_Model):
    """Everything the operator records about a task."""

    observed_generation: int | None = None
    phase: Phase | None = None
    reason: str | None = None
    message: str | None = None
    queue_id: str | None = None
    topic: str | None = None
    start_time: Moment | None = None
    completion_time: Moment | None = None
    attempts: int = 0
    failures: int = 0
    disruptions: int = 0
    current_attempt: CurrentAttempt | None = None
    attempt_history: tuple[PastAttempt, ...] = ()
    records_written: int = 0
    progress: ProgressStatus | None = None
    shards: Annotated[tuple[ShardStatus, ...], AfterValidator(_in_order)] = ()
    last_event: LastEvent | None = None
    telemetry: Telemetry | None = None
    stop: StopStatus | None = None
    turn: TurnStatus | None = None
    banned_until: Moment | None = None
    conditions: tuple[Condition, ...] = ()

    def condition(self, condition_type: str) -> Condition | None:
        """The condition of a type, if it was ever set."""
        return next((c for c in self.conditions if c.type == condition_type), None)

    def is_true(self, condition_type: str) -> bool:
        """Whether a condition is set and True."""
        condition = self.condition(condition_type)
        return condition is not None and condition.status == "True"

    @property
    def resumed_at(self) -> datetime | None:
        """When the last suspension ended, if there was one and it has."""
        condition = self.condition("Suspended")
        is_over = condition is not None and condition.status == "False"
        return condition.last_transition_time if condition and is_over else None

    def ending_of(self, attempt: int) -> PastAttempt | None:
        """How an attempt ended, if it has."""
        return next((past for past in self.attempt_history if past.number == attempt), None)


_STORED_NAMES = frozenset(field.alias for field in Status.model_fields.values())


def parse_status(body: Mapping[str, Any]) -> Status:
    """The stored status; a field that somebody edited into nonsense counts as absent."""
    fields = {name: value for name, value in body.items() if name in _STORED_NAMES}
    while True:
        try:
            return Status.model_validate(fields)
        except ValidationError as error:
            for problem in error.errors():
                fields.pop(str(problem["loc"][0]), None)


def render_status(status: Status) -> dict[str, Any]:
    """The JSON of a status; what is unknown is left out."""
    rendered = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    if not status.shards:
        del rendered["shards"]
    return rendered


def bounded(value: int | None) -> int | None:
    """At most what the API can hold."""
    return None if value is None else min(value, MAX_INT)


def shortened(message: str) -> str:
    """At most 1 KiB of ``message`` in UTF-8; what is not encodable is replaced."""
    encoded = message.encode(errors="replace")
    if len(encoded) <= MAX_MESSAGE_BYTES:
        return encoded.decode()
    return encoded[: MAX_MESSAGE_BYTES - 3].decode(errors="ignore") + "..."
