"""The conditions of a task: their types, their reasons, and how a list of them changes. Pure.

The meaning of each is the table of design operator §1; transition times survive unless the
status of a condition changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from loadertask_operator.status import Condition, Status, shortened, whole_seconds


class ConditionType(StrEnum):
    """Every condition type of the API."""

    ACCEPTED = "Accepted"
    RUNNING = "Running"
    TELEMETRY_FRESH = "TelemetryFresh"
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    FAILED = "Failed"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


class Reason(StrEnum):
    """Every reason the operator gives, in conditions, ``status.reason`` and attempt history."""

    VALID = "Valid"
    INVALID_SPEC = "InvalidSpec"
    SECRET_MISSING = "SecretMissing"  # noqa: S105 - a reason, not a secret
    NAME_CONFLICT = "NameConflict"
    JOB_REFUSED = "JobRefused"
    OVERLAPS = "Overlaps"
    RATE_BUDGET = "RateBudget"
    POD_RUNNING = "PodRunning"
    POD_PENDING = "PodPending"
    POD_REFUSED = "PodRefused"
    JOB_SUSPENDED = "JobSuspended"
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    FINISHED = "Finished"
    RECEIVING = "Receiving"
    NO_EVENTS_YET = "NoEventsYet"
    STALE = "Stale"
    BROKER_UNAVAILABLE = "BrokerUnavailable"
    LOAD_FINISHED = "LoadFinished"
    STOPPED = "Stopped"
    STOPPED_BY_COMMAND = "StoppedByCommand"
    BACKOFF_LIMIT_EXCEEDED = "BackoffLimitExceeded"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    STARTUP_DEADLINE_EXCEEDED = "StartupDeadlineExceeded"
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    BAD_CONFIGURATION = "BadConfiguration"
    SOURCE_REJECTED = "SourceRejected"
    WORKER_ERROR = "WorkerError"
    WORKER_CRASHED = "WorkerCrashed"
    OOM_KILLED = "OOMKilled"
    DISRUPTED = "Disrupted"
    SUSPENDED = "Suspended"
    RESUMED = "Resumed"
    POD_STUCK = "PodStuck"
    NO_TERMINAL_EVENT = "NoTerminalEvent"
    JOB_DISAPPEARED = "JobDisappeared"
    STARTING = "Starting"
    STOPPING = "Stopping"
    RETRYING = "Retrying"
    PROGRESSING = "Progressing"
    SETTLED = "Settled"


class EventReason(StrEnum):
    """Reasons of Kubernetes Events that no condition has; most Events bear one of ``Reason``."""

    JOB_CREATED = "JobCreated"
    ARBITRATED = "Arbitrated"
    GRACEFUL_STOP_SKIPPED = "GracefulStopSkipped"
    GRACEFUL_STOP_TIMED_OUT = "GracefulStopTimedOut"
    ORPHAN_DELETED = "OrphanDeleted"


TERMINAL_TYPES = (ConditionType.COMPLETE, ConditionType.FAILED)


class Truth(StrEnum):
    """metav1.ConditionStatus."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a condition is to say."""

    type: ConditionType
    truth: Truth
    reason: Reason
    message: str = ""


def is_terminal(status: Status) -> bool:
    """Whether the outcome of the task is final."""
    return any(status.is_true(condition_type) for condition_type in TERMINAL_TYPES)


def with_claims(
    conditions: tuple[Condition, ...], claims: Iterable[Claim], now: datetime, generation: int
) -> tuple[Condition, ...]:
    """``conditions`` with ``claims`` made true; an end, once True, is never changed."""
    by_type = {condition.type: condition for condition in conditions}
    for claim in claims:
        previous = by_type.get(claim.type)
        if previous and claim.type in TERMINAL_TYPES and previous.status == Truth.TRUE:
            continue
        by_type[claim.type] = _condition(claim, previous, now, generation)
    return tuple(by_type.values())


def _condition(
    claim: Claim, previous: Condition | None, now: datetime, generation: int
) -> Condition:
    is_same = previous is not None and previous.status == claim.truth
    message = shortened(claim.message)
    said = (claim.reason, message, generation)
    if (
        previous is not None
        and is_same
        and said == (previous.reason, previous.message, previous.observed_generation)
    ):
        return previous
    return Condition(
        type=claim.type.value,
        status=claim.truth.value,
        reason=claim.reason.value,
        message=message,
        last_transition_time=(
            previous.last_transition_time if previous and is_same else whole_seconds(now)
        ),
        observed_generation=generation,
    )
