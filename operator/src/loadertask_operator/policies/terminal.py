"""The terminal latch: what has ended stays ended; only cleaning up is left."""

from __future__ import annotations

from datetime import datetime, timedelta

from loadertask_operator.conditions import TERMINAL_TYPES, Truth, is_terminal
from loadertask_operator.plan import Plan
from loadertask_operator.policies.leftovers import (
    job_deletion,
    job_ttl_to_set,
    without_orphans,
)
from loadertask_operator.shards import speaker
from loadertask_operator.situation import Situation
from loadertask_operator.status import Status


def after_the_end(situation: Situation) -> Plan | None:
    """Clean up after a task whose end is stored; its status changes by late events only."""
    task = situation.observed.task
    if not is_terminal(task.status):
        return None
    delete_at = None
    if task.spec and task.spec.ttl_seconds_after_finished is not None:
        delete_at = _ended_at(situation) + timedelta(seconds=task.spec.ttl_seconds_after_finished)
    is_due = delete_at is not None and situation.now >= delete_at
    may_run = situation.job_may_run or situation.has_orphan
    plan = Plan(
        status=_after_late_events(situation),
        # While the worker may run, a deletion of the task and its rivals must be able to wait.
        needs_finalizer=may_run and task.has_finalizer,
        delete_job=job_deletion(situation),
        job_ttl_s=job_ttl_to_set(situation),
        delete_task=is_due and not situation.job_may_run,
        recheck_at=delete_at if not is_due else None,
    )
    return without_orphans(plan, situation)


def _ended_at(situation: Situation) -> datetime:
    """When the task ended; of a time that somebody edited, what the end itself bears is left."""
    task = situation.observed.task
    ends = (task.status.condition(kind) for kind in TERMINAL_TYPES)
    known = [end.last_transition_time for end in ends if end and end.status == Truth.TRUE]
    times = [at for at in (task.status.completion_time, *known) if at and at <= situation.now]
    return max(times, default=task.creation_time)


def _after_late_events(situation: Situation) -> Status:
    """The status with what its own workers still say; a later task of its queue moves nothing.

    That an edit was seen is told of an ended task too: kstatus takes it for unsettled else.
    """
    task, status = situation.observed.task, situation.status
    said = (received.event.payload.producer for received in situation.observed.events)
    is_ours = any(speaker(status, producer) for producer in said)
    telemetry = status.telemetry if is_ours else task.status.telemetry
    update = {"telemetry": telemetry, "observed_generation": task.generation}
    return status.model_copy(update=update)
