"""A task at rest: no worker runs, the cursor is in Kafka, and nothing but a person moves it."""

from __future__ import annotations

from loadertask_operator.conditions import Claim, ConditionType, EventReason, Reason, Truth
from loadertask_operator.outlook import Outlook, plan_for
from loadertask_operator.plan import Notice, Plan
from loadertask_operator.policies.acceptance import objection
from loadertask_operator.policies.leftovers import job_deletion, without_orphans
from loadertask_operator.situation import Situation
from loadertask_operator.status import Phase

_UNSTARTED = "spec.suspend is set: no worker is started until it is unset"
_PAUSED = "suspended: the load goes on from its cursor when spec.suspend is unset"


def suspended_plan(situation: Situation, warning: str = "") -> Plan:
    """The status of a task that rests; what its worker left behind is cleared away."""
    message = _PAUSED if situation.attempt_has_ended else _UNSTARTED
    is_news = not situation.observed.task.status.is_true(ConditionType.SUSPENDED)
    may_run, task = situation.worker_may_run, situation.observed.task
    outlook = Outlook(
        Phase.SUSPENDED,
        Reason.SUSPENDED,
        message,
        accepted=objection(situation),
        running=Claim(ConditionType.RUNNING, Truth.FALSE, Reason.SUSPENDED),
    )
    plan = plan_for(
        situation,
        outlook,
        delete_job=job_deletion(situation),
        needs_finalizer=may_run and task.has_finalizer,
        notices=_notices(message if is_news else "", warning),
        recheck_at=situation.now if is_news else None,
    )
    return without_orphans(plan, situation)


def _notices(news: str, warning: str) -> tuple[Notice, ...]:
    told = [Notice(Reason.SUSPENDED.value, news)] if news else []
    if warning:
        told.append(Notice(EventReason.ARBITRATED.value, warning, is_warning=True))
    return tuple(told)
