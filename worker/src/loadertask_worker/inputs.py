"""What can happen to an attempt: the inputs of the machine in ``lifecycle``. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LoadStarted:
    """The load begins: what it will do, for people and in numbers.

    The task knows the plan; ``delivery`` is known to whoever publishes. ``records`` are those that
    earlier attempts have committed, of which everything before ``loaded_through``.
    """

    plan: str
    total: int | None
    source: str
    warnings: tuple[str, ...] = ()
    delivery: str | None = None
    records: int = 0
    loaded_through: datetime | None = None


@dataclass(frozen=True, slots=True)
class RecordsCommitted:
    """Kafka acknowledged ``records`` more; all data before ``loaded_through`` is in."""

    records: int
    loaded_through: datetime


@dataclass(frozen=True, slots=True)
class LagMeasured:
    """What is published now is ``lag_ms`` behind the venue's clock."""

    lag_ms: int


@dataclass(frozen=True, slots=True)
class Told:
    """Something happened that people should know; the load goes on.

    A gap is what nobody has of what was asked for: the end of the load says so again.
    """

    text: str
    is_gap: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing comes for up to ``for_s`` seconds; ``why`` is for people and goes on with "until".

    A later one replaces it; with 0 seconds, something comes again.
    """

    why: str
    for_s: float


@dataclass(frozen=True, slots=True)
class HeartbeatDue:
    """It is time to report."""


@dataclass(frozen=True, slots=True)
class Pinged:
    """Somebody asks whether we live."""


@dataclass(frozen=True, slots=True)
class StopCommanded:
    """queue-control says stop."""


@dataclass(frozen=True, slots=True)
class Terminated:
    """SIGTERM: the pod has to go, the task has not."""


@dataclass(frozen=True, slots=True)
class LoadEnded:
    """The load returned: everything is committed that was complete; all of it, or up to a wish."""

    complete: bool


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """The load cannot go on; an error that is not ours is a bug."""

    error: Exception


Input = (
    LoadStarted
    | RecordsCommitted
    | LagMeasured
    | Told
    | Waiting
    | HeartbeatDue
    | Pinged
    | StopCommanded
    | Terminated
    | LoadEnded
    | LoadFailed
)
