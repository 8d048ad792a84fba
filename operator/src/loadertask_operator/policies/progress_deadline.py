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
from loadertask_operator.situation import STALE_AFTER_INTERVALS, Situation


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
    return conclude(situation, _failure(spec)) if spec else None


def progress_deadline(situation: Situation) -> datetime | None:
    """When the attempt that runs must have made progress again.

    None while nothing can be said of it: before the first event, after the last word, while
    events cannot be read, and while Kueue holds the Job back.
    """
    can_work_since, said = situation.begun_at, situation.said
    spec = situation.observed.task.spec
    if can_work_since is None or spec is None or said is None or said.is_terminal:
        return None
    last = _last_progress(situation, spec)
    if last is None or not situation.observed.has_caught_up:
        return None
    begun = max(last, can_work_since)
    # Nobody can tell of progress more often than it speaks.
    patience_s = max(
        spec.progress_deadline_seconds, STALE_AFTER_INTERVALS * spec.telemetry_interval
    )
    deadline = begun + timedelta(seconds=patience_s)
    listening_since = situation.observed.listening_since
    if listening_since is None or listening_since <= begun:
        return deadline
    # Silence is evidence only for one who has listened (decision 011).
    return max(deadline, listening_since + situation.rules.grace)


def _last_progress(situation: Situation, spec: Spec) -> datetime | None:
    last, progress = situation.status.last_event, situation.status.progress
    heard = last.time if last else None
    if spec.type.task_type.is_live:
        return heard
    told = progress.last_progress_time if progress else None
    # An older operator has told no time, and what lies ahead was edited by hand.
    return told if told and told <= situation.now else heard


def _failure(spec: Spec) -> Ending:
    missing = "event" if spec.type.task_type.is_live else "more records and no later data time"
    message = f"no {missing} within spec.progressDeadlineSeconds"
    return Ending(
        Outcome.FAILED, Reason.PROGRESS_DEADLINE_EXCEEDED, message, recovery=Recovery.RETRY
    )
