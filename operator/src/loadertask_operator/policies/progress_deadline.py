"""The deadline of progress: a load that runs and gets no further counts as failed (design §10).

Of history, progress is a growing count of records or later data time. A live market may be quiet,
and the worker has a watchdog of its own: there, only its silence counts.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from loadertask_contract.exit_codes import Recovery
from loadertask_operator.arbitration import Course, Ending, Outcome, Underway, judge
from loadertask_operator.conditions import Reason
from loadertask_operator.plan import Plan
from loadertask_operator.policies.endings import conclude
from loadertask_operator.schema import Spec
from loadertask_operator.situation import Situation
from loadertask_operator.waiting import suspension_of


def on_standstill(situation: Situation) -> Plan | None:
    """End an attempt that has made no progress for too long."""
    if situation.attempt_has_ended:
        return None
    at = progress_deadline(situation)
    if at is None or situation.now < at:
        return None
    verdict = judge(situation)
    if not isinstance(verdict, Underway):
        return None
    is_orphan = verdict.course is Course.UNKNOWN and situation.has_orphan
    if verdict.course is not Course.RUNNING and not is_orphan:
        return None
    spec = situation.observed.task.spec
    return conclude(situation, _failure(situation, spec)) if spec else None


def progress_deadline(situation: Situation) -> datetime | None:
    """When the attempt that runs must have made progress again.

    None while nothing can be said of it: before the first event, after the last word, while
    events cannot be read, and while Kueue holds the Job back.
    """
    can_work_since, said = situation.begun_at, situation.said
    spec = situation.observed.task.spec
    if can_work_since is None or spec is None or said is None or said.is_terminal:
        return None
    if situation.last_heard_at is None or not situation.observed.has_caught_up:
        return None
    begun = max(_last_progress(situation, spec) or can_work_since, can_work_since)
    # Nobody can tell of progress more often than it speaks.
    patience = max(timedelta(seconds=spec.progress_deadline_seconds), situation.silence)
    deadline = begun + patience
    listening_since = situation.observed.listening_since
    if listening_since is None or listening_since <= begun:
        return deadline
    # Silence is evidence only for one who has listened (decision 011).
    return max(deadline, listening_since + situation.rules.grace)


def _last_progress(situation: Situation, spec: Spec) -> datetime | None:
    heard, progress = situation.last_heard_at, situation.status.progress
    told = progress.last_progress_time if progress else None
    # An older operator has told no time of progress, and what lies ahead was edited by hand.
    known = [heard] if spec.type.task_type.is_live else [told, heard]
    return next((at for at in known if at and at <= situation.now), None)


def _failure(situation: Situation, spec: Spec) -> Ending:
    missing = "event" if spec.type.task_type.is_live else "more records and no later data time"
    message = f"no {missing} within spec.progressDeadlineSeconds"
    job = situation.observed.own_job
    if job and situation.is_held_back:
        message = f"{message}; {suspension_of(job)}"
    return Ending(
        Outcome.FAILED, Reason.PROGRESS_DEADLINE_EXCEEDED, message, recovery=Recovery.RETRY
    )
