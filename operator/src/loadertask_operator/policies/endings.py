"""From the end of an attempt to the end of the task, or to another attempt (design §10)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from loadertask_contract.exit_codes import Recovery
from loadertask_operator.arbitration import Ending, Outcome, judge
from loadertask_operator.bans import MAX_BAN, believable
from loadertask_operator.conditions import Claim, ConditionType, EventReason, Reason, Truth
from loadertask_operator.fold import at_rest
from loadertask_operator.observed import PodState, termination_of
from loadertask_operator.outlook import Outlook, plan_for
from loadertask_operator.plan import Notice, Plan
from loadertask_operator.policies.failures import counted, is_beyond_limit, is_forgiven, tally
from loadertask_operator.policies.leftovers import (
    job_deletion,
    job_ttl_to_set,
    without_orphans,
)
from loadertask_operator.policies.suspended import suspended_plan
from loadertask_operator.shards import written
from loadertask_operator.situation import Situation
from loadertask_operator.status import MAX_HISTORY, PastAttempt, Phase, whole_seconds

STUCK_POD_PATIENCE = timedelta(hours=1)
"""How long a pod that was asked to end may hold its task: a lost node may come back."""

_RESUMING = "spec.suspend was unset: another attempt goes on from the cursor"

_PHASES = {
    Outcome.SUCCEEDED: Phase.SUCCEEDED,
    Outcome.STOPPED: Phase.STOPPED,
    Outcome.FAILED: Phase.FAILED,
}


def end_of_attempt(situation: Situation) -> Plan | None:
    """Record the end of the current attempt and draw the consequence."""
    if situation.attempt is None or situation.attempt_has_ended:
        return None
    verdict = judge(situation)
    return conclude(situation, verdict) if isinstance(verdict, Ending) else None


def conclude(situation: Situation, ending: Ending) -> Plan:
    """The plan after the current attempt has ended in ``ending``."""
    # Asked before the attempt is in the history: a stop is under way only until then.
    is_suspending = situation.is_suspending
    situation = _with_history(situation, ending)
    if ending.outcome is Outcome.SUSPENDED:
        return suspended_plan(situation, ending.warning)
    if ending.outcome is not Outcome.FAILED:
        return end_task(situation, ending.outcome, ending.reason, ending.message, ending.warning)
    situation = counted(situation, ending)
    if ending.recovery is not Recovery.GIVE_UP:
        spec = situation.observed.task.spec
        if spec and spec.stop:
            message = f"stopped; the worker had ended: {ending.message}"
            return end_task(situation, Outcome.STOPPED, Reason.STOPPED, message, ending.warning)
        if is_suspending:
            return suspended_plan(situation, ending.warning)
        if _may_retry(situation, ending):
            return _retry(situation, ending)
    return _fail(situation, ending)


def _may_retry(situation: Situation, ending: Ending) -> bool:
    spec = situation.observed.task.spec
    limit = spec.backoff_limit if spec else 0
    return is_forgiven(situation, ending) or situation.status.failures <= limit


def _fail(situation: Situation, ending: Ending) -> Plan:
    """Without any retries the reason is the one of the attempt."""
    spec, failures = situation.observed.task.spec, situation.status.failures
    has_retries = spec is not None and spec.backoff_limit > 0
    if ending.recovery is Recovery.GIVE_UP or not has_retries:
        return end_task(situation, Outcome.FAILED, ending.reason, ending.message, ending.warning)
    message = f"{failures} attempts failed, the last one by {ending.reason}: {ending.message}"
    reason = Reason.BACKOFF_LIMIT_EXCEEDED
    return end_task(situation, Outcome.FAILED, reason, message, ending.warning)


def wait_for_retry(situation: Situation) -> Plan | None:
    """Hold a task whose attempt has ended until the next one is due and the old Job is gone."""
    if situation.attempt is None or not situation.attempt_has_ended:
        return None
    if situation.stuck_pod:
        return _wait_for_pod(situation, situation.stuck_pod)
    if is_beyond_limit(situation):
        message = f"spec.backoffLimit allows no further attempt; {situation.status.message}"
        return end_task(situation, Outcome.FAILED, Reason.BACKOFF_LIMIT_EXCEEDED, message)
    due = retry_due(situation)
    ttl_s = job_ttl_to_set(situation)
    is_cleared = ttl_s is None or situation.now >= due + situation.rules.grace
    if situation.now >= due and not situation.worker_may_run and is_cleared:
        # A Job that takes no TTL holds up nothing for long: it goes with its task.
        return None
    is_resuming = situation.status.is_true(ConditionType.SUSPENDED)
    message = _RESUMING if is_resuming else situation.status.message or ""
    plan = _retrying_plan(situation, message, due)
    news = (Notice(Reason.RESUMED.value, message),) if is_resuming else ()
    return replace(
        plan,
        job_ttl_s=ttl_s,
        recheck_at=due if ttl_s is not None else plan.recheck_at,
        notices=(*news, *plan.notices),
    )


def _wait_for_pod(situation: Situation, pod: PodState) -> Plan:
    """No worker starts beside one that may run: in the end, a person has to look at its node."""
    asked_at = pod.deleted_at or situation.moment
    message = (
        f"pod {pod.name} was to be gone at {asked_at:%Y-%m-%dT%H:%M:%SZ} and is not: "
        "if its node is lost for good, delete the node, or the pod by force"
    )
    gives_up_at = asked_at + STUCK_POD_PATIENCE
    if situation.now >= gives_up_at:
        return end_task(situation, Outcome.FAILED, Reason.POD_STUCK, message)
    running = Claim(ConditionType.RUNNING, Truth.UNKNOWN, Reason.POD_STUCK, message)
    is_news = situation.observed.task.status.reason != Reason.POD_STUCK
    return plan_for(
        situation,
        Outlook(Phase.RETRYING, Reason.POD_STUCK, message, running=running),
        needs_finalizer=situation.observed.task.has_finalizer,
        notices=(Notice(Reason.POD_STUCK.value, message, is_warning=True),) if is_news else (),
        recheck_at=gives_up_at,
    )


def end_task(
    situation: Situation, outcome: Outcome, reason: Reason, message: str, warning: str = ""
) -> Plan:
    """The terminal status; it is stored before anything is cleaned up."""
    is_failure = outcome is Outcome.FAILED
    ending = ConditionType.FAILED if is_failure else ConditionType.COMPLETE
    notices = [Notice(reason.value, message or reason.value, is_warning=is_failure)]
    if warning:
        notices.append(Notice(EventReason.ARBITRATED.value, warning, is_warning=True))
    return plan_for(
        situation.with_status(completion_time=situation.moment),
        Outlook(
            _PHASES[outcome],
            reason,
            message,
            running=Claim(ConditionType.RUNNING, Truth.FALSE, Reason.FINISHED),
            ending=Claim(ending, Truth.TRUE, reason, message),
        ),
        notices=tuple(notices),
        needs_finalizer=situation.observed.task.has_finalizer,
        recheck_at=situation.now,
    )


def retry_due(situation: Situation) -> datetime:
    """When the next attempt may start: backoff with jitter that is the same at every look."""
    attempt, spec = situation.attempt, situation.observed.task.spec
    past = situation.status.ending_of(attempt.number) if attempt else None
    ended = (past.completion_time if past else None) or _begun_at(situation)
    if spec is None or (past and past.reason == Reason.SUSPENDED):
        return min(ended, situation.moment)
    if ended > situation.now:
        # Edited by hand: no attempt ends in times to come.
        return situation.moment
    backoff = spec.retry_backoff
    doublings = min(max(situation.status.failures - 1, 0), 20)
    delay_s = min(backoff.initial_seconds * 2**doublings, backoff.max_seconds)
    due = ended + timedelta(seconds=delay_s * _jitter(situation))
    banned_until = situation.status.banned_until
    return max(due, min(banned_until, ended + MAX_BAN)) if banned_until else due


def _begun_at(situation: Situation) -> datetime:
    """The earliest that an attempt may have ended whose end was edited out of the history."""
    attempt = situation.attempt
    begun = attempt.start_time if attempt else None
    return begun or situation.observed.task.creation_time


def _retry(situation: Situation, ending: Ending) -> Plan:
    message = f"{ending.reason}: {ending.message} ({tally(situation, ending)})"
    ban = situation.status.banned_until
    if ban and ban > situation.now:
        message = f"banned by the venue until {ban:%Y-%m-%dT%H:%M:%SZ}; {message}"
    plan = _retrying_plan(situation, message, retry_due(situation))
    notice = Notice(ending.reason.value, message, is_warning=True)
    return replace(plan, notices=(notice, *plan.notices))


def _retrying_plan(situation: Situation, message: str, due: datetime) -> Plan:
    plan = plan_for(
        situation,
        Outlook(
            Phase.RETRYING,
            Reason.RETRYING,
            message,
            running=Claim(ConditionType.RUNNING, Truth.FALSE, Reason.POD_PENDING),
        ),
        delete_job=job_deletion(situation),
        needs_finalizer=situation.observed.task.has_finalizer,
        # When it is due already, the end of the old Job or pod brings the next look.
        recheck_at=due if due > situation.now else _deletion_gives_up_at(situation),
    )
    return without_orphans(plan, situation)


def _deletion_gives_up_at(situation: Situation) -> datetime | None:
    job = situation.observed.own_job
    if job and situation.job_may_run:
        return situation.hangs_at(job) if job.deleted_at else None
    if job and job.outcome and situation.pod_may_run and not situation.has_orphan:
        return situation.settled_at(job)
    times = [situation.overdue_at(pod) for pod in situation.pods if pod.may_run and pod.deleted_at]
    return min(times, default=None)


def _with_history(situation: Situation, ending: Ending) -> Situation:
    attempt = situation.attempt
    if attempt is None:
        return situation
    records = written(situation.status, situation.pods)
    past = PastAttempt(
        number=attempt.number,
        outcome=ending.outcome.value,
        reason=ending.reason.value,
        exit_code=ending.exit_code,
        records_written=records,
        start_time=attempt.start_time,
        completion_time=situation.moment,
    )
    history = (*situation.status.attempt_history, past)[-MAX_HISTORY:]
    return situation.with_status(
        attempt_history=history,
        records_written=records,
        progress=at_rest(situation.status.progress, records),
        banned_until=_banned_until(situation),
    )


def _banned_until(situation: Situation) -> datetime | None:
    """The end of the last ban, by events or by what the worker left in its termination log."""
    left, known = termination_of(situation.pod), situation.status.banned_until
    end = situation.pod.end if situation.pod else None
    # Whoever comes to it late is told of a ban that may be over meanwhile.
    told_at = min((end.ended_at if end else None) or situation.now, situation.now)
    told = believable(left.banned_until, told_at) if left else None
    moments = [whole_seconds(told)] if told else []
    return max([*moments, *([known] if known else [])], default=None)


def _jitter(situation: Situation) -> float:
    """0.9 to 1.1, from the attempt itself: a restarted operator waits as long as the first."""
    identity = f"{situation.observed.task.uid}/{situation.status.failures}"
    return 0.9 + 0.2 * hashlib.sha256(identity.encode()).digest()[0] / 255
