"""Deadlines of an attempt: to say something at all, and of the task: to have ended."""

from __future__ import annotations

from datetime import datetime, timedelta

from loadertask_contract.exit_codes import Recovery
from loadertask_operator.arbitration import Course, Ending, Outcome, Underway, judge
from loadertask_operator.conditions import Reason
from loadertask_operator.plan import Plan
from loadertask_operator.policies.endings import conclude, end_task
from loadertask_operator.policies.turn import starts_next
from loadertask_operator.situation import Situation
from loadertask_operator.waiting import (
    image_problem,
    lacks_image,
    lacks_secret,
    secret_problem,
    suspension_of,
)

_OVERDUE = "the task has run longer than spec.activeDeadlineSeconds"


def on_deadline(situation: Situation) -> Plan | None:
    """End the attempt when a deadline has passed."""
    active_at = active_deadline(situation)
    is_over_active = active_at is not None and situation.now >= active_at
    if is_over_active and starts_next(situation):
        # Nothing runs and nothing may any more: it is not held, and no Job is made for it.
        return end_task(situation, Outcome.FAILED, Reason.DEADLINE_EXCEEDED, _OVERDUE)
    if situation.attempt_has_ended:
        return None
    verdict = judge(situation)
    if not isinstance(verdict, Underway):
        return None
    is_orphan = verdict.course is Course.UNKNOWN and situation.pod_may_run
    if not situation.job_may_run and not is_orphan:
        return None
    if situation.said is not None and situation.said.is_terminal:
        # How the attempt ended is known: the grace of its Job ends it, within its own bound.
        return None
    if is_over_active:
        ending = Ending(
            Outcome.FAILED, Reason.DEADLINE_EXCEEDED, _OVERDUE, recovery=Recovery.GIVE_UP
        )
        return conclude(situation, ending)
    startup_at = startup_deadline(situation)
    is_starting = verdict.course is Course.STARTING or is_orphan
    if is_starting and startup_at and situation.now >= startup_at:
        return conclude(situation, _startup_failure(situation))
    return None


def startup_deadline(situation: Situation) -> datetime | None:
    """When the worker must have said something; a Job held back by Kueue has not begun.

    While events cannot be read, a running pod is proof enough that the worker has started:
    what it says is not heard here, and the end of its Job still ends the attempt.
    """
    begun, spec = situation.begun_at, situation.observed.task.spec
    if begun is None or spec is None or situation.said is not None:
        return None
    is_running = any(pod.is_running for pod in situation.pods)
    if not situation.observed.has_caught_up and is_running:
        return None
    deadline = begun + timedelta(seconds=spec.startup_deadline_seconds)
    listening_since = situation.observed.listening_since
    if listening_since is None or listening_since <= begun:
        return deadline
    return max(deadline, listening_since + situation.rules.grace)


def active_deadline(situation: Situation) -> datetime | None:
    """When the task must have ended."""
    spec, since = situation.observed.task.spec, situation.active_since
    if spec is None or spec.active_deadline_seconds is None or since is None:
        return None
    return since + timedelta(seconds=spec.active_deadline_seconds)


def _startup_failure(situation: Situation) -> Ending:
    seen = _seen_of_pod(situation)
    message = f"the worker has not said anything within spec.startupDeadlineSeconds; {seen}"
    return Ending(
        Outcome.FAILED, Reason.STARTUP_DEADLINE_EXCEEDED, message, recovery=Recovery.RETRY
    )


def _seen_of_pod(situation: Situation) -> str:
    pod, spec = situation.pod, situation.observed.task.spec
    job = situation.observed.own_job
    if situation.observed.pod_refusal:
        return f"the cluster refuses the pod: {situation.observed.pod_refusal}"
    if job and situation.is_held_back:
        return suspension_of(job)
    if pod is None:
        return "it has no pod"
    if lacks_image(pod):
        return image_problem(pod, spec)
    if lacks_secret(pod):
        return secret_problem(pod, spec)
    return f"its pod is {pod.phase} {pod.waiting_reason}".strip()
