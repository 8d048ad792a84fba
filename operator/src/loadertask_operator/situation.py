"""Everything a policy may look at: task, observations, folded status, the time. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from loadertask_contract.events import EventStatus
from loadertask_operator.observed import (
    JobOutcome,
    JobState,
    Observed,
    PodState,
    termination_of,
)
from loadertask_operator.shards import word_of_all
from loadertask_operator.status import CurrentAttempt, Status, whole_seconds

STALE_AFTER_INTERVALS = 3
"""After how many silent telemetry intervals a worker counts as silent."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What of the configuration a decision needs."""

    grace: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Situation:
    """One task at one moment; ``status`` has all received events folded in."""

    observed: Observed
    status: Status
    now: datetime
    rules: Rules = field(default_factory=Rules)

    @property
    def moment(self) -> datetime:
        """Now, as it can be stored."""
        return whole_seconds(self.now)

    @property
    def attempt(self) -> CurrentAttempt | None:
        """The latest attempt, if there is any."""
        return self.status.current_attempt

    @property
    def attempt_has_ended(self) -> bool:
        """Whether the latest attempt is in the history."""
        return self.attempt is not None and self.status.ending_of(self.attempt.number) is not None

    @property
    def pod(self) -> PodState | None:
        """The pod of the latest attempt; of several, the one that tells most."""
        return self.observed.pod

    @property
    def pods(self) -> tuple[PodState, ...]:
        """All pods of the latest attempt."""
        return self.observed.pods

    @property
    def stop_timeout(self) -> timedelta:
        """How long a worker may take to stop."""
        spec = self.observed.task.spec
        return timedelta(seconds=spec.stop_timeout_seconds if spec else 30)

    @property
    def said(self) -> EventStatus | None:
        """The last word of this attempt's workers, by queue-events or by termination log."""
        attempt, last = self.attempt, self.status.last_event
        if attempt is None:
            return None
        if self.status.shards:
            job = self.observed.own_job
            has_failed = job is not None and job.outcome is JobOutcome.FAILED
            return word_of_all(self.status, self.pods, has_failed=has_failed)
        by_event = last.status if last and last.producer == attempt.producer_id else None
        if by_event and by_event.is_terminal:
            return by_event
        left = termination_of(self.pod)
        if (
            left
            and left.payload.producer == attempt.producer_id
            and left.payload.status.is_terminal
        ):
            return left.payload.status
        return by_event

    @property
    def last_heard_at(self) -> datetime | None:
        """When the last event came, by the operator's clock: a worker's may be hours off."""
        telemetry, last = self.status.telemetry, self.status.last_event
        heard_at = telemetry.last_heartbeat_time if telemetry else None
        return heard_at or (last.time if last else None)

    @property
    def silence(self) -> timedelta:
        """How long a worker that is well may say nothing: it goes by what its Job was made with."""
        job, spec = self.observed.own_job, self.observed.task.spec
        interval_s = (job.telemetry_interval_s if job else None) or (
            spec.telemetry_interval if spec else 5
        )
        return timedelta(seconds=STALE_AFTER_INTERVALS * interval_s)

    @property
    def is_suspending(self) -> bool:
        """Whether the task is to rest, or its worker still ends because it was to rest before."""
        task = self.observed.task
        if task.spec is None or task.spec.stop or task.deletion_time:
            return False
        return task.spec.suspend or (self.status.stop is not None and not self.attempt_has_ended)

    @property
    def worker_was_seen(self) -> bool:
        """Whether there may be a worker that can react to a command."""
        if self.is_held_back:
            return False
        return self.said is not None or any(pod.is_running for pod in self.pods)

    @property
    def job_may_run(self) -> bool:
        """Whether a Job of ours exists that has not ended."""
        job = self.observed.own_job
        return job is not None and job.outcome is None and not self.deletion_hangs

    @property
    def is_held_back(self) -> bool:
        """Whether the Job is suspended, by Kueue or by hand, and its pod is not there any more."""
        job = self.observed.own_job
        is_suspended = job is not None and job.is_suspended and job.outcome is None
        return is_suspended and not any(pod.is_running for pod in self.pods)

    @property
    def pod_may_run(self) -> bool:
        """Whether a pod of the latest attempt has not ended, with or without its Job."""
        return any(pod.may_run for pod in self.pods)

    @property
    def has_orphan(self) -> bool:
        """Whether a pod may run that no Job will bring to its end."""
        job = self.observed.own_job
        is_alone = job is None or self.deletion_hangs or self.now >= self.settled_at(job)
        return self.pod_may_run and is_alone

    def settled_at(self, job: JobState) -> datetime:
        """When the pods of an ended Job have been seen to end: the watches are not in step."""
        if job.outcome is None:
            return datetime.max.replace(tzinfo=UTC)
        return (job.ended_at or self.moment) + self.rules.grace

    @property
    def stuck_pod(self) -> PodState | None:
        """A pod without a Job that was asked to end and has not for too long."""
        overdue = [pod for pod in self.pods if pod.may_run and self.now >= self.overdue_at(pod)]
        return overdue[0] if overdue and self.has_orphan else None

    def overdue_at(self, pod: PodState) -> datetime:
        """When a deletion of ``pod`` that is asked for now or was before has taken too long."""
        return (pod.deleted_at or self.moment) + self.stop_timeout + self.rules.grace

    @property
    def begun_at(self) -> datetime | None:
        """Since when the worker can be at work; None while it waits in a queue of Kueue.

        A Job that is suspended otherwise has its deadlines: nobody else would ever end it.
        """
        job, attempt = self.observed.own_job, self.attempt
        if job is not None:
            is_waiting = job.is_suspended and job.is_queued
            return None if is_waiting else job.started_at or job.created_at
        if attempt is None or self.pod is None or not self.pod_may_run:
            return None
        return attempt.start_time or self.pod.created_at

    @property
    def active_since(self) -> datetime | None:
        """Since when the time of the whole task counts; None while it does not.

        Counted from its first attempt, from the end of the last suspension or, as Kubernetes does
        it, from when a queue of Kueue last let the Job go.
        """
        status, job = self.status, self.observed.own_job
        if status.start_time is None or status.is_true("Suspended"):
            return None
        admitted_at = None
        if job and job.is_queued and job.outcome is None:
            if job.is_suspended:
                return None
            admitted_at = job.started_at
        moments = (status.start_time, status.resumed_at, admitted_at)
        return max(moment for moment in moments if moment)

    @property
    def worker_may_run(self) -> bool:
        """Whether another worker beside it would be the second one."""
        return self.job_may_run or self.pod_may_run

    @property
    def deletion_hangs(self) -> bool:
        """Whether the Job's deletion takes too long: it counts as gone then, its pod does not."""
        job = self.observed.own_job
        return job is not None and job.deleted_at is not None and self.now >= self.hangs_at(job)

    def hangs_at(self, job: JobState) -> datetime:
        """When a deletion of ``job`` that is asked for now or was before has taken too long."""
        return (job.deleted_at or self.moment) + self.stop_timeout + self.rules.grace

    @property
    def stop_ends_at(self) -> datetime | None:
        """When a requested stop is over, whatever Job, pod and Kafka do."""
        stop = self.status.stop
        return stop.requested_at + self.stop_timeout + self.rules.grace if stop else None

    def silent_until(self, since: datetime) -> datetime:
        """When the worker has been silent for a whole grace, from ``since`` on."""
        return max(since, self.observed.listening_since or since) + self.rules.grace

    def with_status(self, **changes: Any) -> Situation:
        """The same moment with another status."""
        return replace(self, status=self.status.model_copy(update=changes))
