"""What an attempt leaves behind: its Job, and a pod that has outlived its Job (decision 076)."""

from __future__ import annotations

from dataclasses import replace

from loadertask_operator.conditions import EventReason
from loadertask_operator.observed import PodState
from loadertask_operator.plan import Notice, Plan, Propagation
from loadertask_operator.situation import Situation


def job_ttl_to_set(situation: Situation) -> int | None:
    """The TTL that the ended Job of an attempt whose end is stored still lacks."""
    job, spec = situation.observed.own_job, situation.observed.task.spec
    if job is None or spec is None or job.outcome is None or job.is_deleting:
        return None
    return spec.job_ttl_seconds_after_finished if job.ttl_s is None else None


def job_deletion(situation: Situation) -> Propagation | None:
    """How to delete the Job when it has not ended and nobody has asked for that yet."""
    job = situation.observed.own_job
    is_needed = job is not None and job.outcome is None and not job.is_deleting
    return Propagation.FOREGROUND if is_needed else None


def without_orphans(plan: Plan, situation: Situation) -> Plan:
    """``plan``, which also asks the pods to end that no Job will bring to their end."""
    pods = _orphans(situation)
    reason = EventReason.ORPHAN_DELETED.value
    notices = tuple(
        Notice(reason, f"pod {pod.name} has outlived its Job: it is deleted", is_warning=True)
        for pod in pods
    )
    return replace(plan, delete_pods=pods, notices=(*plan.notices, *notices))


def _orphans(situation: Situation) -> tuple[PodState, ...]:
    """Those of the attempt's own Job that nobody has asked to end yet."""
    attempt = situation.attempt
    if attempt is None or not situation.has_orphan:
        return ()
    return tuple(
        pod
        for pod in situation.pods
        if pod.may_run and pod.deleted_at is None and attempt.job_uid in {None, pod.job_uid}
    )
