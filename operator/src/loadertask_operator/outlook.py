"""What a policy has found, and the one way to a plan whose conditions agree with it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from loadertask_operator.conditions import Claim, ConditionType, Reason, Truth, with_claims
from loadertask_operator.expectation import expectation
from loadertask_operator.plan import Notice, Plan
from loadertask_operator.shards import speaker
from loadertask_operator.situation import Situation
from loadertask_operator.status import Condition, Phase, shortened
from loadertask_operator.waiting import image_problem, lacks_image, suspension_of

_IN_PROGRESS = {Phase.PENDING, Phase.STARTING, Phase.STOPPING, Phase.RETRYING}
_NEEDS_A_PERSON = {
    Reason.INVALID_SPEC,
    Reason.NAME_CONFLICT,
    Reason.SECRET_MISSING,
    Reason.JOB_REFUSED,
}
_WARNINGS = {
    (ConditionType.ACCEPTED, Reason.SECRET_MISSING),
    (ConditionType.RUNNING, Reason.IMAGE_PULL_BACK_OFF),
    (ConditionType.RUNNING, Reason.POD_REFUSED),
    (ConditionType.TELEMETRY_FRESH, Reason.STALE),
}
"""What a person should hear of when a condition turns to it; policies tell of the rest."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a policy has found; conditions and phase are written from it."""

    phase: Phase
    reason: Reason
    message: str = ""
    accepted: Claim | None = None
    running: Claim | None = None
    ending: Claim | None = None


def plan_for(situation: Situation, outlook: Outlook, **effects: Any) -> Plan:
    """A plan whose phase, reason, message and conditions agree with ``outlook``."""
    accepted = _accepted(situation, outlook)
    claims = [
        accepted,
        _running(situation, outlook),
        *_kstatus(situation, outlook, accepted),
    ]
    telemetry, stale_at = _telemetry(situation, outlook)
    claims += [claim for claim in (outlook.ending, _suspended(situation, outlook)) if claim]
    claims.append(telemetry)
    rechecks = [at for at in (effects.pop("recheck_at", None), stale_at) if at]
    status = situation.status.model_copy(
        update={
            "observed_generation": situation.observed.task.generation,
            "phase": outlook.phase,
            "reason": outlook.reason.value,
            "message": shortened(outlook.message),
            "conditions": with_claims(
                situation.status.conditions,
                claims,
                situation.now,
                situation.observed.task.generation,
            ),
        }
    )
    effects.setdefault("needs_finalizer", True)
    effects["notices"] = (*_news(situation, outlook, claims), *effects.get("notices", ()))
    return Plan(status=status, recheck_at=min(rechecks, default=None), **effects)


def _news(situation: Situation, outlook: Outlook, claims: Iterable[Claim]) -> Iterator[Notice]:
    """Events about what turns now; an unchanged status tells nothing again."""
    before = situation.observed.task.status
    if situation.status.stop and before.stop is None:
        yield Notice(Reason.STOPPING.value, outlook.message)
    for claim in claims:
        previous = before.condition(claim.type)
        is_news = previous is None or previous.reason != claim.reason
        is_warning = (claim.type, claim.reason) in _WARNINGS
        if is_news and is_warning and not _flaps(situation, claim, previous):
            yield Notice(claim.reason.value, claim.message, is_warning=True)


def _flaps(situation: Situation, claim: Claim, previous: Condition | None) -> bool:
    """Whether telemetry that comes and goes was told of a moment ago: it may do so for days."""
    if claim.reason is not Reason.STALE or previous is None:
        return False
    if situation.said is not None and situation.said.is_terminal:
        return True
    if previous.status != Truth.TRUE:
        return previous.reason == Reason.BROKER_UNAVAILABLE
    return situation.now < previous.last_transition_time + situation.rules.grace


def _accepted(situation: Situation, outlook: Outlook) -> Claim:
    if outlook.accepted:
        return outlook.accepted
    # Of the moment of its creation, or the message of a range that is still open would move.
    task = situation.observed.task
    plan = expectation(task.spec, task.creation_time)
    return Claim(ConditionType.ACCEPTED, Truth.TRUE, Reason.VALID, plan)


def _running(situation: Situation, outlook: Outlook) -> Claim:
    if outlook.running:
        return outlook.running
    if situation.status.completion_time:
        return Claim(ConditionType.RUNNING, Truth.FALSE, Reason.FINISHED)
    job, refusal = situation.observed.own_job, situation.observed.pod_refusal
    if job and situation.is_held_back and not situation.attempt_has_ended:
        why = suspension_of(job)
        return Claim(ConditionType.RUNNING, Truth.FALSE, Reason.JOB_SUSPENDED, why)
    if (
        refusal
        and not situation.attempt_has_ended
        and not any(pod.is_running for pod in situation.pods)
    ):
        return Claim(ConditionType.RUNNING, Truth.FALSE, Reason.POD_REFUSED, refusal)
    if situation.pod and lacks_image(situation.pod):
        problem = image_problem(situation.pod, situation.observed.task.spec)
        return Claim(ConditionType.RUNNING, Truth.FALSE, Reason.IMAGE_PULL_BACK_OFF, problem)
    if situation.worker_may_run and not situation.attempt_has_ended and situation.worker_was_seen:
        return Claim(ConditionType.RUNNING, Truth.TRUE, Reason.POD_RUNNING)
    return Claim(ConditionType.RUNNING, Truth.FALSE, Reason.POD_PENDING)


def _suspended(situation: Situation, outlook: Outlook) -> Claim | None:
    """As of a Job: told from the first suspension on."""
    if outlook.phase is Phase.SUSPENDED:
        return Claim(ConditionType.SUSPENDED, Truth.TRUE, Reason.SUSPENDED)
    if situation.status.condition(ConditionType.SUSPENDED) is None:
        return None
    reason = Reason.FINISHED if situation.status.completion_time else Reason.RESUMED
    return Claim(ConditionType.SUSPENDED, Truth.FALSE, reason)


def _telemetry(situation: Situation, outlook: Outlook) -> tuple[Claim, datetime | None]:
    """Freshness, and when it would be lost."""
    fresh = ConditionType.TELEMETRY_FRESH
    if outlook.phase is Phase.SUSPENDED:
        return Claim(fresh, Truth.FALSE, Reason.SUSPENDED), None
    if situation.status.completion_time:
        return Claim(fresh, Truth.FALSE, Reason.FINISHED), None
    if situation.attempt_has_ended:
        return Claim(fresh, Truth.FALSE, Reason.NO_EVENTS_YET, "no worker is at work"), None
    if situation.is_held_back:
        return Claim(fresh, Truth.FALSE, Reason.JOB_SUSPENDED), None
    if not situation.observed.broker_is_reachable:
        message = "Kafka cannot be reached by the operator; the load is followed by its Job"
        return Claim(fresh, Truth.FALSE, Reason.BROKER_UNAVAILABLE, message), None
    last, patience = situation.status.last_event, situation.silence
    if last is None or speaker(situation.status, last.producer) is None:
        return Claim(fresh, Truth.FALSE, Reason.NO_EVENTS_YET), None
    heard_at = situation.last_heard_at or last.time
    # What lies further ahead than two operators' clocks differ was edited by hand.
    if abs(situation.now - heard_at) < patience:
        return Claim(fresh, Truth.TRUE, Reason.RECEIVING), heard_at + patience
    observed, since = situation.observed, situation.observed.listening_since
    if not observed.has_caught_up or (since and situation.now < since + patience):
        # Not the worker is silent, the operator was away (decision 011).
        message = "no event since the operator reads again"
        silent_at = since + patience if since and observed.has_caught_up else None
        return Claim(fresh, Truth.FALSE, Reason.NO_EVENTS_YET, message), silent_at
    return Claim(fresh, Truth.FALSE, Reason.STALE, "no event for three intervals"), None


def _kstatus(situation: Situation, outlook: Outlook, accepted: Claim) -> list[Claim]:
    """The pair that GitOps tools read: work in progress, and a person is needed."""
    is_moving = outlook.phase in _IN_PROGRESS
    is_stalled = Phase.FAILED is outlook.phase or Reason.POD_STUCK is outlook.reason
    is_stalled = is_stalled or accepted.reason in _NEEDS_A_PERSON
    is_stalled = is_stalled or _image_is_missing_for_long(situation)
    progress = Reason.PROGRESSING if is_moving else Reason.SETTLED
    return [
        Claim(ConditionType.RECONCILING, Truth.TRUE if is_moving else Truth.FALSE, progress),
        Claim(
            ConditionType.STALLED,
            Truth.TRUE if is_stalled else Truth.FALSE,
            outlook.reason if is_stalled else progress,
            outlook.message if is_stalled else "",
        ),
    ]


def _image_is_missing_for_long(situation: Situation) -> bool:
    pod = situation.pod
    return (
        pod is not None
        and lacks_image(pod)
        and situation.now >= pod.created_at + situation.rules.grace
    )
