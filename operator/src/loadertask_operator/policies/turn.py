"""A task that could start and must not yet: another one loads the same, or the venue bans us."""

from __future__ import annotations

from datetime import datetime

from loadertask_operator.arbitration import Course, Underway, judge
from loadertask_operator.conditions import Claim, ConditionType, Reason, Truth, is_terminal
from loadertask_operator.outlook import Outlook, plan_for
from loadertask_operator.plan import Notice, Plan
from loadertask_operator.situation import Situation
from loadertask_operator.status import Phase, TurnStatus, whole_seconds


def with_turn(situation: Situation) -> Situation:
    """Remember whom of its queue a task without a worker waits for, and when that is over.

    The commands of a queue are for the task whose turn it is: a stop of the one before lies in the
    topic for good, and would end the next one without a record (decision 087).
    """
    task, observed, turn = situation.observed.task, situation.observed, situation.status.turn
    if is_terminal(task.status) or task.deletion_time:
        return situation
    first = observed.rival.in_queue if observed.rival else None
    if first and not situation.is_suspending and starts_next(situation):
        waiting = TurnStatus(waiting_for=str(first))
        return situation if turn == waiting else situation.with_status(turn=waiting)
    if turn and turn.waiting_for:
        return situation.with_status(turn=TurnStatus(since=situation.moment))
    known_since = (turn.since if turn else None) or task.creation_time
    stopped_at = observed.other_stopped_at and whole_seconds(observed.other_stopped_at)
    if stopped_at and stopped_at >= known_since and starts_next(situation):
        # It came and went between two looks, or was deleted in the second of this one's creation.
        return situation.with_status(turn=TurnStatus(since=stopped_at))
    return situation


def wait_for_rival(situation: Situation) -> Plan | None:
    """Hold a task until the one that it overlaps with has ended."""
    rival = situation.observed.rival
    if rival is None or not starts_next(situation):
        return None
    return _held(situation, Reason.OVERLAPS, f"waits until {rival.key} has ended: {rival.why}")


def wait_for_ban(situation: Situation) -> Plan | None:
    """Hold a task until the venue's ban of its address is over."""
    ban = situation.observed.ban
    if ban is None or situation.now >= ban.until or not starts_next(situation):
        return None
    until = ban.until.strftime("%Y-%m-%dT%H:%M:%SZ")
    message = f"{ban.host} bans this address until {until}, as {ban.told_to} was told"
    return _held(situation, Reason.RATE_BUDGET, message, ban.until)


def starts_next(situation: Situation) -> bool:
    """Whether the next thing to happen is a new Job."""
    if situation.attempt is None or situation.attempt_has_ended:
        return True
    verdict = judge(situation)
    return isinstance(verdict, Underway) and verdict.course is Course.NOT_CREATED


def _held(
    situation: Situation, reason: Reason, message: str, until: datetime | None = None
) -> Plan:
    task = situation.observed.task
    previous = task.status.condition(ConditionType.ACCEPTED)
    is_news = previous is None or previous.reason != reason
    return plan_for(
        situation,
        Outlook(
            Phase.PENDING,
            reason,
            message,
            accepted=Claim(ConditionType.ACCEPTED, Truth.FALSE, reason, message),
        ),
        needs_finalizer=situation.attempt is not None and task.has_finalizer,
        notices=(Notice(reason.value, message, is_warning=True),) if is_news else (),
        recheck_at=until,
    )
