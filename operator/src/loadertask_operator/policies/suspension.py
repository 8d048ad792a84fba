"""``spec.suspend``: stop the worker gracefully, keep the cursor, start no other until it is unset.

The stop is the one of ``stopping``. A command cannot be taken back: a task that is resumed while
its worker stops goes on with another attempt when that one has ended.
"""

from __future__ import annotations

from dataclasses import replace

from loadertask_operator.plan import Plan
from loadertask_operator.policies.leftovers import job_ttl_to_set
from loadertask_operator.policies.stopping import has_no_worker, stopping_plan
from loadertask_operator.policies.suspended import suspended_plan
from loadertask_operator.situation import Situation

_ASKED = "spec.suspend is set: the worker is asked to commit what it has and to end"
_TAKEN_BACK = "spec.suspend was unset: the worker that was asked to end does so first"


def suspend_on_request(situation: Situation) -> Plan | None:
    """Bring a task to rest, and keep it there."""
    spec = situation.observed.task.spec
    if spec is None or not situation.is_suspending:
        return None
    if situation.worker_may_run and not situation.attempt_has_ended:
        return stopping_plan(situation, _ASKED if spec.suspend else _TAKEN_BACK)
    if not has_no_worker(situation):
        # How the attempt ended is still being found out, within the grace of its Job.
        return None
    if not spec.suspend and not situation.attempt_has_ended:
        # The Job to be stopped never came to be: nothing is left of the suspension.
        return None
    ttl_s = job_ttl_to_set(situation) if situation.attempt_has_ended else None
    return replace(suspended_plan(situation), job_ttl_s=ttl_s)
