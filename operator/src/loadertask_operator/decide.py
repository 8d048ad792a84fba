"""The one decision: from everything observed of a task to the plan. Pure: no clock, no client.

Whatever woke the operator, the same chain runs on the whole observed state, so that a lost
wake-up is repaired by the next. The first policy with something to say decides.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from loadertask_contract.time_range import TimeRange
from loadertask_operator.bans import is_nonsense
from loadertask_operator.fold import fold
from loadertask_operator.observed import Observed
from loadertask_operator.plan import Plan
from loadertask_operator.policies.acceptance import hold_unacceptable
from loadertask_operator.policies.deadlines import on_deadline
from loadertask_operator.policies.deletion import on_deletion
from loadertask_operator.policies.endings import end_of_attempt, wait_for_retry
from loadertask_operator.policies.progress import create_attempt, follow
from loadertask_operator.policies.progress_deadline import on_standstill
from loadertask_operator.policies.stopping import stop_on_request
from loadertask_operator.policies.suspension import suspend_on_request
from loadertask_operator.policies.terminal import after_the_end
from loadertask_operator.policies.turn import wait_for_ban, wait_for_rival, with_turn
from loadertask_operator.schema import Spec
from loadertask_operator.situation import Rules, Situation

Policy = Callable[[Situation], Plan | None]

# The order is the precedence: what is being deleted or has ended is never created again.
POLICIES: tuple[Policy, ...] = (
    on_deletion,
    after_the_end,
    end_of_attempt,
    stop_on_request,
    suspend_on_request,
    on_deadline,
    hold_unacceptable,
    on_standstill,
    wait_for_retry,
    wait_for_rival,
    wait_for_ban,
    create_attempt,
)


def decide(observed: Observed, rules: Rules, now: datetime) -> Plan:
    """The plan for a task.

    Args:
        observed: the task as stored, and what was seen of its Job, pod and events.
        rules: what of the configuration matters.
        now: an aware datetime.

    """
    status = fold(observed.task.status, observed.events, _uncounted(observed.task.spec))
    if is_nonsense(status.banned_until, now):
        status = status.model_copy(update={"banned_until": None})
    situation = with_turn(Situation(observed, status, now, rules))
    for policy in POLICIES:
        plan = policy(situation)
        if plan is not None:
            return plan
    return follow(situation)


def _uncounted(spec: Spec | None) -> TimeRange | None:
    """The range of a load whose records nobody can count in advance."""
    return None if spec is None or spec.type.task_type.has_candles else spec.time_range
