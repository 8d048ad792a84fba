"""A task that is being deleted: stop its worker gracefully, but never hold it for ever (§3.6)."""

from __future__ import annotations

from loadertask_operator.conditions import EventReason, is_terminal
from loadertask_operator.plan import Notice, Plan, Propagation
from loadertask_operator.policies.leftovers import job_deletion, without_orphans
from loadertask_operator.policies.stopping import stopping_plan
from loadertask_operator.situation import Situation


def on_deletion(situation: Situation) -> Plan | None:
    """Let a task go as soon as no worker runs, at the latest one grace after the stop timeout."""
    task = situation.observed.task
    if task.deletion_time is None:
        return None
    if not task.has_finalizer or not situation.worker_may_run:
        return Plan(status=task.status, needs_finalizer=False)
    if task.skips_graceful_stop:
        notice = Notice(
            EventReason.GRACEFUL_STOP_SKIPPED.value,
            "deleted without a graceful stop, as annotated",
            is_warning=True,
        )
        return _let_go(situation, notice)
    stop = situation.status.stop
    unasked_since = task.deletion_time if is_terminal(task.status) else situation.moment
    begun = max(stop.requested_at, task.deletion_time) if stop else unasked_since
    give_up_at = begun + situation.stop_timeout + situation.rules.grace
    if situation.now >= give_up_at:
        notice = Notice(
            EventReason.GRACEFUL_STOP_TIMED_OUT.value,
            "the Job did not end in time: the task is let go, its Job is left to the cluster",
            is_warning=True,
        )
        return _let_go(situation, notice)
    if is_terminal(task.status):
        return _wait_for_job(situation)
    plan = stopping_plan(situation, "the task is being deleted: its worker is asked to finish")
    return Plan(
        status=plan.status,
        needs_finalizer=True,
        send_stop=plan.send_stop,
        delete_job=plan.delete_job,
        delete_pods=plan.delete_pods,
        notices=plan.notices,
        recheck_at=min(plan.recheck_at or give_up_at, give_up_at),
    )


def _let_go(situation: Situation, notice: Notice) -> Plan:
    plan = Plan(
        status=situation.observed.task.status,
        needs_finalizer=False,
        delete_job=Propagation.BACKGROUND,
        notices=(notice,),
    )
    return without_orphans(plan, situation)


def _wait_for_job(situation: Situation) -> Plan:
    """The outcome is known, only the Job has to go."""
    plan = Plan(
        status=situation.status,
        needs_finalizer=True,
        delete_job=job_deletion(situation),
        recheck_at=situation.now + situation.rules.grace,
    )
    return without_orphans(plan, situation)
