"""What was seen of a task's world, as frozen values: Job, pod, events, broker. Pure parsing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from loadertask_contract.events import Event
from loadertask_contract.messages import UnreadableMessageError
from loadertask_contract.termination import TerminationMessage, parse_termination
from loadertask_operator import names
from loadertask_operator.bans import Ban
from loadertask_operator.overlaps import Rival
from loadertask_operator.schema import LoaderTask, TaskKey, parse_time

TRUSTED_CLOCK = timedelta(days=1)
"""By how much the clock of whoever sent an event may differ from ours and still be believed."""

POD_PATIENCE = timedelta(seconds=5)
"""How long a Job may take to make its pods before its Events are looked at."""


class JobOutcome(StrEnum):
    """The terminal conditions of a Job."""

    COMPLETE = "Complete"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class JobState:
    """A Job, as far as the decision needs it; ``ended_at`` is set with ``outcome``.

    ``deleted_at`` is when its deletion was asked for.
    """

    namespace: str
    name: str
    uid: str
    resource_version: int
    owner_uid: str | None
    task_name: str
    attempt: int
    created_at: datetime
    started_at: datetime | None = None
    outcome: JobOutcome | None = None
    ended_at: datetime | None = None
    is_deleting: bool = False
    deleted_at: datetime | None = None
    is_suspended: bool = False
    is_queued: bool = False
    """Whether a queue of Kueue suspends and resumes it."""
    ttl_s: int | None = None
    telemetry_interval_s: int | None = None
    """How often its workers were told to speak."""
    failure: str = ""
    """Reason and message of its Failed condition."""
    failed_shard: int | None = None
    """The first index of an Indexed Job that has used up its retries."""

    @property
    def has_used_up_retries(self) -> bool:
        """Whether Kubernetes has started one of its shards as often as it may."""
        return self.failure.startswith(("FailedIndexes:", "MaxFailedIndexesExceeded:"))

    @property
    def was_disrupted(self) -> bool:
        """Whether the rule of our Jobs about disruptions failed it; the pod may be gone by then."""
        return self.failure.startswith("PodFailurePolicy:") and names.DISRUPTION in self.failure


@dataclass(frozen=True, slots=True)
class PodEnd:
    """How the worker's container ended; ``message`` is its termination log."""

    exit_code: int
    reason: str = ""
    message: str = ""
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PodState:
    """The pod of an attempt."""

    namespace: str
    name: str
    uid: str
    resource_version: int
    task_name: str
    attempt: int
    created_at: datetime
    phase: str = "Pending"
    waiting_reason: str = ""
    waiting_message: str = ""
    end: PodEnd | None = None
    is_disrupted: bool = False
    """Whether the cluster takes it away: eviction, drain, preemption, lost node."""
    shard: int | None = None
    """Which slice of the load it works on, where the load is split."""
    job_uid: str = ""
    """The Job that made it; it stays when the Job is gone."""
    deleted_at: datetime | None = None
    """When it is to be gone, once somebody has asked for that."""

    @property
    def is_running(self) -> bool:
        """Whether the worker's program may run."""
        return self.phase == "Running" and self.end is None

    @property
    def may_run(self) -> bool:
        """Whether it has not ended: a pending pod starts even when its Job is gone."""
        return self.end is None and self.phase not in ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event of queue-events that bears the queue id or the producer of the task.

    ``time`` is the record's timestamp when it is within a day of the receipt, else the receipt:
    the worker's clock, as a rule. ``received_at`` is the operator's.
    """

    partition: int
    offset: int
    time: datetime
    event: Event
    received_at: datetime
    is_old: bool = False
    """Whether it lay there before the operator had read everything: its receipt says nothing."""


@dataclass(frozen=True, slots=True)
class Observed:
    """The whole observed state that one decision is made from."""

    task: LoaderTask
    job: JobState | None = None
    pod: PodState | None = None
    """The pod of the current attempt; of several, the one that tells most."""
    shard_pods: tuple[PodState, ...] = ()
    """The youngest pod of each shard, where the load is split."""
    events: tuple[ReceivedEvent, ...] = ()
    broker_is_reachable: bool = True
    has_caught_up: bool = True
    """Whether all events from before have been read."""
    listening_since: datetime | None = None
    """Since when all events there are have been read, or since when none can be: a silence that
    is older proves nothing, the operator may just have been away."""
    spec_problems: tuple[str, ...] = ()
    rival: Rival | None = None
    """A task that this one must not run beside."""
    other_stopped_at: datetime | None = None
    """When a stop was last sent for another task of the same queue id."""
    ban: Ban | None = None
    """What the venue lets no task behind this address do."""
    pod_refusal: str | None = None
    """Why the cluster does not let the Job make its pods."""
    refusal: str | None = None
    """Why the API server refused the Job, in its words."""

    @property
    def job_is_foreign(self) -> bool:
        """Whether a Job of our name belongs to somebody else."""
        return self.job is not None and self.job.owner_uid != self.task.uid

    @property
    def pods(self) -> tuple[PodState, ...]:
        """The pods of the current attempt."""
        return self.shard_pods or ((self.pod,) if self.pod else ())

    @property
    def own_job(self) -> JobState | None:
        """The Job of the current attempt, unless it is somebody else's."""
        return None if self.job_is_foreign else self.job


def parse_job(body: Mapping[str, Any]) -> JobState:
    """The state of a ``batch/v1`` Job."""
    metadata, status = body["metadata"], body.get("status") or {}
    labels = metadata.get("labels") or {}
    owner_uids = (o["uid"] for o in metadata.get("ownerReferences") or () if o.get("controller"))
    outcome, ended_at, failure = _job_end(status)
    return JobState(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=int(metadata["resourceVersion"]),
        owner_uid=next(owner_uids, None),
        task_name=labels.get(names.TASK_LABEL, ""),
        attempt=_attempt(labels),
        created_at=parse_time(metadata["creationTimestamp"]),
        started_at=parse_time(status["startTime"]) if status.get("startTime") else None,
        outcome=outcome,
        ended_at=ended_at,
        is_deleting=metadata.get("deletionTimestamp") is not None,
        deleted_at=_deletion_time(metadata),
        is_suspended=bool(body.get("spec", {}).get("suspend")),
        is_queued=bool(labels.get(names.QUEUE_LABEL)),
        ttl_s=body.get("spec", {}).get("ttlSecondsAfterFinished"),
        telemetry_interval_s=_telemetry_interval_s(body.get("spec", {}).get("template") or {}),
        failure=failure,
        failed_shard=_first_number(status.get("failedIndexes") or ""),
    )


def _telemetry_interval_s(template: Mapping[str, Any]) -> int | None:
    for container in (template.get("spec") or {}).get("containers") or ():
        if container["name"] == names.CONTAINER:
            values = {one["name"]: one.get("value") for one in container.get("env") or ()}
            return _first_number(values.get("TELEMETRY_INTERVAL") or "")
    return None


def _deletion_time(metadata: Mapping[str, Any]) -> datetime | None:
    text = metadata.get("deletionTimestamp")
    return parse_time(text) if text else None


def parse_pod(body: Mapping[str, Any]) -> PodState:
    """The state of a worker's pod."""
    metadata, status = body["metadata"], body.get("status") or {}
    labels = metadata.get("labels") or {}
    container = _container_state(status)
    waiting = container.get("waiting") or {}
    terminated = container.get("terminated")
    return PodState(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=int(metadata["resourceVersion"]),
        task_name=labels.get(names.TASK_LABEL, ""),
        attempt=_attempt(labels),
        created_at=parse_time(metadata["creationTimestamp"]),
        phase=status.get("phase", "Pending"),
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        end=_pod_end(terminated) if terminated else None,
        is_disrupted=_is_disrupted(status),
        shard=_first_number(labels.get(names.SHARD_LABEL, "")),
        job_uid=labels.get(names.JOB_UID_LABEL, ""),
        deleted_at=_deletion_time(metadata),
    )


def termination_of(pod: PodState | None) -> TerminationMessage | None:
    """What the worker left in its termination log, if it is of the contract."""
    if pod is None or pod.end is None:
        return None
    try:
        return parse_termination(pod.end.message)
    except UnreadableMessageError:
        return None


def task_key_of(state: JobState | PodState) -> TaskKey:
    """The task that a Job or pod works for, by its labels."""
    return TaskKey(state.namespace, state.task_name)


def _attempt(labels: Mapping[str, str]) -> int:
    text = labels.get(names.ATTEMPT_LABEL, "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _job_end(status: Mapping[str, Any]) -> tuple[JobOutcome | None, datetime | None, str]:
    for condition in status.get("conditions") or ():
        if condition["type"] in tuple(JobOutcome) and condition["status"] == "True":
            outcome, at = JobOutcome(condition["type"]), condition["lastTransitionTime"]
            why = f"{condition.get('reason', '')}: {condition.get('message', '')}"
            return outcome, parse_time(at), why if outcome is JobOutcome.FAILED else ""
    return None, None, ""


def _is_disrupted(status: Mapping[str, Any]) -> bool:
    conditions = status.get("conditions") or ()
    return any(c["type"] == names.DISRUPTION and c["status"] == "True" for c in conditions)


def _first_number(text: str) -> int | None:
    """Of Kubernetes' form for indexes: ``1,3-5``."""
    found = re.match(r"\d{1,5}", text)
    return int(found[0]) if found else None


def _container_state(status: Mapping[str, Any]) -> Mapping[str, Any]:
    for container in status.get("containerStatuses") or ():
        if container["name"] == names.CONTAINER:
            state: Mapping[str, Any] = container.get("state") or {}
            return state
    return {}


def _pod_end(terminated: Mapping[str, Any]) -> PodEnd:
    return PodEnd(
        int(terminated.get("exitCode", -1)),
        terminated.get("reason", ""),
        terminated.get("message", ""),
        parse_time(terminated["finishedAt"]) if terminated.get("finishedAt") else None,
    )
