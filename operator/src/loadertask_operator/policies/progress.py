"""The life between: create the next attempt, or follow the one that is under way."""

from __future__ import annotations

from datetime import datetime

from loadertask_operator.arbitration import Course, Underway, judge
from loadertask_operator.conditions import Claim, ConditionType, Reason, Truth
from loadertask_operator.manifests.environment import next_attempt
from loadertask_operator.observed import POD_PATIENCE
from loadertask_operator.outlook import Outlook, plan_for
from loadertask_operator.plan import Notice, Plan
from loadertask_operator.policies.adoption import with_job
from loadertask_operator.policies.deadlines import active_deadline, startup_deadline
from loadertask_operator.policies.leftovers import job_ttl_to_set
from loadertask_operator.policies.progress_deadline import progress_deadline
from loadertask_operator.policies.turn import starts_next
from loadertask_operator.shards import fresh
from loadertask_operator.situation import Situation
from loadertask_operator.status import Phase
from loadertask_operator.waiting import lacks_secret, secret_problem, suspension_of

_PHASES = {
    Course.NOT_CREATED: (Phase.PENDING, Reason.STARTING),
    Course.STARTING: (Phase.STARTING, Reason.STARTING),
    Course.RUNNING: (Phase.RUNNING, Reason.RECEIVING),
    Course.STOPPING: (Phase.STOPPING, Reason.STOPPING),
    Course.UNKNOWN: (Phase.RUNNING, Reason.JOB_DISAPPEARED),
}


def create_attempt(situation: Situation) -> Plan | None:
    """Create the Job of the next attempt, or again of one whose Job never came to be."""
    task = situation.observed.task
    if situation.attempt is None or situation.attempt_has_ended:
        number = situation.attempt.number + 1 if situation.attempt else 1
        attempt = next_attempt(task, number)
        situation = situation.with_status(
            current_attempt=attempt,
            # That of a suspension was answered: the new worker is not the one to stop.
            stop=None,
            shards=fresh(situation.status.shards, task.spec.parallelism if task.spec else 1),
            attempts=max(situation.status.attempts, number),
            queue_id=task.queue_id,
            topic=task.topic,
        )
    elif not starts_next(situation):
        return None
    elif situation.status.stop is None and not situation.status.is_true(ConditionType.SUSPENDED):
        # The intent is stored: there is nothing to write before the Job exists, but the moment of
        # a resume. Stops from before it are in the topic, and not for this worker.
        return Plan(status=situation.status, needs_finalizer=True, create=situation.attempt)
    else:
        attempt, situation = situation.attempt, situation.with_status(stop=None)
    message = f"Job {attempt.job_name} is being created"
    resumed = Notice(Reason.RESUMED.value, f"resumed: {message}")
    return plan_for(
        situation,
        Outlook(Phase.PENDING, Reason.STARTING, message),
        create=attempt,
        job_ttl_s=job_ttl_to_set(situation),
        notices=(resumed,) if situation.status.is_true(ConditionType.SUSPENDED) else (),
    )


def follow(situation: Situation) -> Plan:
    """Record what is seen of an attempt that is under way."""
    verdict = judge(situation)
    course = verdict.course if isinstance(verdict, Underway) else Course.RUNNING
    phase, reason = _PHASES[course]
    if situation.is_held_back and course in (Course.STARTING, Course.RUNNING):
        phase, reason = Phase.PENDING, Reason.JOB_SUSPENDED
    until = verdict.until if isinstance(verdict, Underway) else None
    situation = with_job(situation)
    times = [until, startup_deadline(situation), active_deadline(situation)]
    times += [progress_deadline(situation), _pod_expected_at(situation)]
    job = situation.observed.own_job
    times.append(situation.hangs_at(job) if job and job.is_deleting else None)
    objection = _objection(situation)
    return plan_for(
        situation,
        Outlook(
            phase,
            objection.reason if objection else reason,
            objection.message if objection else _message(situation, course),
            accepted=objection,
            running=_disappeared() if course is Course.UNKNOWN else None,
        ),
        recheck_at=min((at for at in times if at and at > situation.now), default=None),
    )


def _pod_expected_at(situation: Situation) -> datetime | None:
    """When to ask why there is no pod."""
    job = situation.observed.own_job
    return job.created_at + POD_PATIENCE if job and not situation.pods else None


def _objection(situation: Situation) -> Claim | None:
    pod = situation.pod
    if pod is None or not lacks_secret(pod):
        return None
    problem = secret_problem(pod, situation.observed.task.spec)
    return Claim(ConditionType.ACCEPTED, Truth.FALSE, Reason.SECRET_MISSING, problem)


def _disappeared() -> Claim:
    message = "the Job is not to be found; the worker's last event decides after the grace"
    return Claim(ConditionType.RUNNING, Truth.UNKNOWN, Reason.JOB_DISAPPEARED, message)


def _message(situation: Situation, course: Course) -> str:
    last, pod, job = situation.status.last_event, situation.pod, situation.observed.own_job
    if job and situation.is_held_back and course is not Course.STOPPING:
        return suspension_of(job)
    if situation.observed.pod_refusal:
        return f"the cluster refuses the pod: {situation.observed.pod_refusal}"
    if course is Course.STARTING and pod and pod.waiting_reason:
        return f"{pod.waiting_reason}: {pod.waiting_message}"
    if course is Course.RUNNING and pod and pod.shard is not None and pod.end and pod.end.exit_code:
        code = pod.end.exit_code
        return f"shard {pod.shard} ended with exit code {code}; Kubernetes starts it again"
    if course is Course.STARTING or last is None:
        return "waiting for the first event of the worker"
    return last.message if course is not Course.UNKNOWN else "the Job is not to be found"
