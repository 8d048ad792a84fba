"""Whether a task can be run at all; a task that cannot waits, visibly, for a person."""

from __future__ import annotations

from loadertask_operator.conditions import Claim, ConditionType, Reason, Truth
from loadertask_operator.outlook import Outlook, plan_for
from loadertask_operator.plan import Notice, Plan
from loadertask_operator.situation import Situation
from loadertask_operator.status import Phase


def hold_unacceptable(situation: Situation) -> Plan | None:
    """Hold a task with a spec we cannot run, or whose Job's name is taken."""
    claim = objection(situation)
    if claim is None:
        return None
    task, reason, message = situation.observed.task, claim.reason, claim.message
    previous = task.status.condition(ConditionType.ACCEPTED)
    is_news = previous is None or previous.reason != reason
    may_run = situation.job_may_run or situation.attempt is not None
    return plan_for(
        situation,
        Outlook(Phase.PENDING, reason, message, accepted=claim),
        needs_finalizer=may_run and task.has_finalizer,
        notices=(Notice(reason.value, message, is_warning=True),) if is_news else (),
    )


def objection(situation: Situation) -> Claim | None:
    """Why the task cannot be run, if there is something against it."""
    reason, message = _objection(situation)
    return Claim(ConditionType.ACCEPTED, Truth.FALSE, reason, message) if reason else None


def _objection(situation: Situation) -> tuple[Reason | None, str]:
    observed, attempt = situation.observed, situation.attempt
    if situation.job_may_run:
        return None, ""
    if observed.task.spec is None:
        return Reason.INVALID_SPEC, "; ".join(observed.task.spec_problems)
    if attempt is None and (problems := observed.spec_problems):
        return Reason.INVALID_SPEC, "; ".join(problems)
    if observed.job_is_foreign and observed.job and not _had_its_job(situation):
        message = f"Job {observed.job.name} exists and is not of this task: delete it"
        return Reason.NAME_CONFLICT, message
    if observed.refusal and observed.job is None:
        return Reason.JOB_REFUSED, f"the API server refuses the Job: {observed.refusal}"
    return None, ""


def _had_its_job(situation: Situation) -> bool:
    """Whether what bears the name now stands where our Job was: that one has disappeared."""
    attempt = situation.attempt
    return attempt is not None and (attempt.job_uid is not None or situation.attempt_has_ended)
