"""The graceful stop: command, repeat until the worker reacts, then delete its Job (design §3).

Shared by ``spec.stop``, ``spec.suspend`` and the deletion of a task; each step is stored before it
is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from loadertask_operator.arbitration import Outcome
from loadertask_operator.conditions import Claim, ConditionType, Reason, Truth
from loadertask_operator.outlook import Outlook, plan_for
from loadertask_operator.plan import Plan, Propagation
from loadertask_operator.policies.adoption import with_job
from loadertask_operator.policies.endings import end_task
from loadertask_operator.policies.leftovers import job_deletion, without_orphans
from loadertask_operator.situation import Situation
from loadertask_operator.status import Phase, StopMethod, StopStatus


@dataclass(frozen=True, slots=True)
class StopStep:
    """The next step of a stop, and when time alone brings the one after."""

    stop: StopStatus
    send: bool = False
    is_overdue: bool = False
    """Whether the worker had its time: what may run of it is deleted."""
    delete_job: Propagation | None = None
    recheck_at: datetime | None = None


def next_step(situation: Situation) -> StopStep:
    """What to do now about a worker that has to stop."""
    stop = situation.status.stop
    if stop is None or stop.requested_at > situation.now:
        # What was asked for in times to come was edited by hand: it would never be over.
        stop = StopStatus(requested_at=situation.moment)
    said = situation.said
    if stop.acknowledged_at is None and said is not None and said.is_terminal:
        update = {"acknowledged_at": situation.moment, "method": stop.method or StopMethod.COMMAND}
        stop = stop.model_copy(update=update)
    timeout_at = stop.requested_at + situation.stop_timeout
    if situation.now >= timeout_at or not situation.worker_was_seen:
        return _deletion(situation, stop)
    if stop.acknowledged_at:
        return StopStep(stop, recheck_at=timeout_at)
    send_at = _send_at(stop)
    if situation.now < send_at:
        return StopStep(stop, recheck_at=min(send_at, timeout_at))
    stop = stop.model_copy(update={"commands_sent": stop.commands_sent + 1})
    return StopStep(stop, send=True, recheck_at=min(_send_at(stop), timeout_at))


def stop_on_request(situation: Situation) -> Plan | None:
    """Bring a task with ``spec.stop`` to its end; before its Job exists that is at once."""
    spec = situation.observed.task.spec
    if spec is None or not spec.stop:
        return None
    if not situation.worker_may_run or (situation.attempt_has_ended and _is_over(situation)):
        if has_no_worker(situation):
            message = "stopped before another worker was started"
            return end_task(situation, Outcome.STOPPED, Reason.STOPPED, message)
        return None
    return stopping_plan(situation, "spec.stop is set: the worker is asked to finish")


def stopping_plan(situation: Situation, message: str) -> Plan:
    """The plan of the next step of a stop."""
    # Its Job may be deleted before anybody has followed it.
    situation = with_job(situation)
    step = next_step(situation)
    running = None
    if situation.job_may_run and not situation.worker_was_seen:
        running = Claim(ConditionType.RUNNING, Truth.FALSE, Reason.POD_PENDING)
    outlook = Outlook(Phase.STOPPING, Reason.STOPPING, message, running=running)
    plan = plan_for(
        situation.with_status(stop=step.stop),
        outlook,
        send_stop=step.send,
        delete_job=step.delete_job,
        recheck_at=step.recheck_at,
    )
    return without_orphans(plan, situation) if step.is_overdue else plan


def has_no_worker(situation: Situation) -> bool:
    """No attempt yet, one that has ended, or one whose Job never came to be."""
    attempt = situation.attempt
    if attempt is None or situation.attempt_has_ended:
        return True
    return attempt.job_uid is None and situation.said is None


def _send_at(stop: StopStatus) -> datetime:
    """Commands go out 0, 1, 3, 7 ... seconds after the request: repeated after 1, 2, 4 ... s."""
    return stop.requested_at + timedelta(seconds=2 ** min(stop.commands_sent, 20) - 1)


def _deletion(situation: Situation, stop: StopStatus) -> StopStep:
    if stop.acknowledged_at is None:
        stop = stop.model_copy(update={"method": StopMethod.JOB_DELETED})
    gives_up_at = _gives_up_at(situation, stop)
    return StopStep(
        stop,
        is_overdue=True,
        delete_job=job_deletion(situation),
        recheck_at=gives_up_at if gives_up_at > situation.now else None,
    )


def _is_over(situation: Situation) -> bool:
    stop = situation.status.stop
    return stop is not None and situation.now >= _gives_up_at(situation, stop)


def _gives_up_at(situation: Situation, stop: StopStatus) -> datetime:
    job = situation.observed.own_job
    at = stop.requested_at + situation.stop_timeout + situation.rules.grace
    return max(at, situation.hangs_at(job)) if job else at
