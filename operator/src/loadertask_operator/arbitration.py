"""The arbitration table of design operator §2: Job and last word of one attempt → what it means.

The two sources can disagree; the termination log is a second witness of the last word. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from loadertask_contract.events import EventStatus
from loadertask_contract.exit_codes import ExitCode, Recovery, recovery_from
from loadertask_operator.conditions import ConditionType, Reason
from loadertask_operator.observed import JobOutcome, JobState, termination_of
from loadertask_operator.shards import speaker
from loadertask_operator.situation import Situation
from loadertask_operator.status import StopMethod


class Course(StrEnum):
    """Where an attempt that has not ended is."""

    NOT_CREATED = "NotCreated"
    STARTING = "Starting"
    RUNNING = "Running"
    STOPPING = "Stopping"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Underway:
    """The attempt goes on; at ``until`` time alone changes that."""

    course: Course
    until: datetime | None = None


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "Succeeded"
    STOPPED = "Stopped"
    SUSPENDED = "Suspended"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Ending:
    """The attempt has ended; a warning is worth a Kubernetes Event."""

    outcome: Outcome
    reason: Reason
    message: str = ""
    exit_code: int | None = None
    recovery: Recovery = Recovery.NONE
    warning: str = ""


Verdict = Underway | Ending


def judge(situation: Situation) -> Verdict:
    """What Job and events of the current attempt say together."""
    job, attempt = situation.observed.own_job, situation.attempt
    if attempt is None:
        return Underway(Course.NOT_CREATED)
    if job is None or (attempt.job_uid and job.uid != attempt.job_uid):
        return _without_job(situation)
    if job.outcome is None and situation.deletion_hangs:
        return _without_job(situation)
    if job.outcome is None:
        return _with_active_job(situation, job)
    return _with_ended_job(situation, job)


def _without_job(situation: Situation) -> Verdict:
    attempt = situation.attempt
    assert attempt is not None  # noqa: S101 - judge has checked it
    if attempt.job_uid is None and situation.said is None and not situation.pod_may_run:
        return Underway(Course.NOT_CREATED)
    stop = situation.status.stop
    if stop and stop.method is StopMethod.JOB_DELETED and situation.said is not _FINISHED:
        return _stopped_without_job(situation)
    spoken = _spoken_ending(situation)
    if spoken:
        return spoken
    if situation.pod_may_run:
        # A Job can be deleted without its pod: the worker goes on, and ends by itself.
        return Underway(Course.UNKNOWN)
    # Absence is not failure: the Job may only be missing from an outdated view.
    running = situation.status.condition(ConditionType.RUNNING)
    since = running.last_transition_time if running and running.status == "Unknown" else None
    until = situation.silent_until(_last_sign(situation, since or situation.moment))
    if situation.now < until:
        return Underway(Course.UNKNOWN, until)
    message = f"Job {attempt.job_name} is gone, and its worker has not said how it ended"
    return Ending(Outcome.FAILED, Reason.JOB_DISAPPEARED, message, recovery=Recovery.RETRY)


def _stopped_without_job(situation: Situation) -> Verdict:
    until = situation.stop_ends_at
    if not situation.pod_may_run:
        return _stopped(situation)
    if until and situation.now < until:
        return Underway(Course.STOPPING, until)
    return _with_warning(
        _stopped(situation), "the pod did not end in time: it is left to the cluster"
    )


def _with_active_job(situation: Situation, job: JobState) -> Verdict:
    said = situation.said
    if said is None:
        return Underway(Course.STARTING)
    if not said.is_terminal:
        return Underway(Course.RUNNING)
    until = _last_sign(situation, since=job.created_at) + situation.rules.grace
    spoken = _spoken_ending(situation)
    if spoken and situation.now >= until:
        warning = f"Job {job.name} goes on after the worker said {said}: it is deleted"
        return _with_warning(spoken, warning)
    pods = situation.pods
    is_pending = bool(pods) and all(pod.phase == "Pending" for pod in pods)
    if is_pending and said is not EventStatus.INTERRUPTED:
        return Underway(Course.RUNNING, until)
    return Underway(Course.STOPPING, until)


def _last_sign(situation: Situation, since: datetime) -> datetime:
    """The last moment at which the worker is known to have done anything, at least ``since``.

    Clocks differ; but what is said to be a day ahead was edited by hand, and would hold for ever.
    """
    heard_at = situation.last_heard_at
    ends = [pod.end.ended_at for pod in situation.pods if pod.end and pod.end.ended_at]
    signs = [since, heard_at or since, *ends]
    believed = [sign for sign in signs if sign <= situation.now + _CLOCKS_DIFFER]
    return max(believed, default=situation.observed.task.creation_time)


def _with_ended_job(situation: Situation, job: JobState) -> Verdict:
    spoken = _spoken_ending(situation)
    has_failed = job.outcome is JobOutcome.FAILED
    ended_at = job.ended_at or situation.moment
    if spoken:
        explained_until = ended_at + situation.rules.grace
        if has_failed and _lacks_exit_code(situation) and situation.now < explained_until:
            return Underway(Course.STOPPING, explained_until)
        if has_failed and spoken.outcome is Outcome.SUCCEEDED:
            return _with_warning(spoken, f"Job {job.name} failed after the load was finished")
        return _unless_disrupted(situation, job, spoken)
    until = situation.silent_until(ended_at)
    is_explained = job.was_disrupted or (situation.pod is not None and situation.pod.end)
    if has_failed and is_explained and _was_heard(situation, ended_at):
        return _unless_disrupted(situation, job, _crash(situation))
    if situation.now < until:
        return Underway(Course.STOPPING, until)
    if has_failed:
        return _unless_disrupted(situation, job, _crash(situation))
    message = f"Job {job.name} completed, and its worker has not said how the load ended"
    return Ending(
        Outcome.FAILED, Reason.NO_TERMINAL_EVENT, message, _exit_code(situation), Recovery.RETRY
    )


def _unless_disrupted(situation: Situation, job: JobState, ending: Ending) -> Ending:
    """A worker that the cluster took away has not failed; what it ended by itself for stays."""
    is_disrupted = job.was_disrupted or (situation.pod is not None and situation.pod.is_disrupted)
    is_own = ending.recovery is not Recovery.RETRY or ending.reason is Reason.OOM_KILLED
    if ending.outcome is not Outcome.FAILED or is_own or not is_disrupted:
        return ending
    message = "the cluster took the worker's pod away (eviction, drain, preemption or lost node)"
    return replace(ending, reason=Reason.DISRUPTED, message=message)


def _lacks_exit_code(situation: Situation) -> bool:
    """Whether an error was said and the pod, which tells if a retry can help, was not seen yet."""
    return situation.said is EventStatus.ERROR and _exit_code(situation) is None


def _was_heard(situation: Situation, ended_at: datetime) -> bool:
    """Whether an event sent before ``ended_at`` would have been read by now."""
    since = situation.observed.listening_since
    return since is None or since <= ended_at or situation.observed.has_caught_up


def _spoken_ending(situation: Situation) -> Ending | None:
    """What the worker's own last word means, whatever the Job says."""
    said = situation.said
    if said is _FINISHED:
        return Ending(
            Outcome.SUCCEEDED, Reason.LOAD_FINISHED, _last_message(situation), _exit_code(situation)
        )
    if said is EventStatus.INTERRUPTED:
        return _stopped(situation)
    if said is EventStatus.ERROR:
        return _error(situation)
    return None


def _stopped(situation: Situation) -> Ending:
    """``interrupted`` always answers a stop that somebody sent: only a suspension is resumed."""
    spec = situation.observed.task.spec
    message = _last_message(situation) if situation.said is EventStatus.INTERRUPTED else ""
    if situation.is_suspending:
        exit_code = _exit_code(situation)
        return Ending(Outcome.SUSPENDED, Reason.SUSPENDED, message, exit_code)
    was_ours = situation.status.stop is not None or (spec is not None and spec.stop)
    reason = Reason.STOPPED if was_ours else Reason.STOPPED_BY_COMMAND
    return Ending(Outcome.STOPPED, reason, message, _exit_code(situation))


def _error(situation: Situation) -> Ending:
    exit_code = _exit_code(situation)
    reason, recovery = _REASONS.get(exit_code or 0, (Reason.WORKER_ERROR, Recovery.RETRY))
    message = _of_shard(situation, _last_message(situation))
    return Ending(Outcome.FAILED, reason, message, exit_code, recovery)


def _crash(situation: Situation) -> Ending:
    """The end of a worker that said nothing: its exit code is all there is."""
    exit_code = _exit_code(situation)
    end = situation.pod.end if situation.pod else None
    if end and end.reason == "OOMKilled":
        message = "the worker was killed for using more memory than its limit"
        message = _of_shard(situation, message)
        return Ending(Outcome.FAILED, Reason.OOM_KILLED, message, exit_code, Recovery.RETRY)
    if exit_code is None:
        message = "the Job failed and left no exit code"
        return Ending(Outcome.FAILED, Reason.WORKER_CRASHED, message, None, Recovery.RETRY)
    # An exit code of 0 is not proof of anything in a Job that failed.
    recovery = recovery_from(exit_code) if exit_code else Recovery.RETRY
    reason, recovery = _REASONS.get(exit_code, (Reason.WORKER_CRASHED, recovery))
    message = f"the worker ended with exit code {exit_code} and said nothing in queue-events"
    message = _of_shard(situation, message)
    return Ending(Outcome.FAILED, reason, message, exit_code, recovery)


def _exit_code(situation: Situation) -> int | None:
    return situation.pod.end.exit_code if situation.pod and situation.pod.end else None


def _last_message(situation: Situation) -> str:
    status, last = situation.status, situation.status.last_event
    if last and last.status is situation.said and speaker(status, last.producer):
        return _with_reason(last.reason, last.message)
    left = termination_of(situation.pod)
    return _with_reason(left.reason, left.payload.message) if left else ""


def _of_shard(situation: Situation, message: str) -> str:
    """With the shard that failed, where the load is split."""
    shard = situation.pod.shard if situation.pod else None
    return message if shard is None else f"shard {shard}: {message}"


def _with_reason(reason: str | None, message: str) -> str:
    return f"{reason}: {message}" if reason else message


def _with_warning(ending: Ending, warning: str) -> Ending:
    return replace(ending, warning=warning)


_CLOCKS_DIFFER = timedelta(days=1)
_FINISHED = EventStatus.FINISHED
_REASONS = {
    ExitCode.BAD_CONFIGURATION.value: (Reason.BAD_CONFIGURATION, Recovery.GIVE_UP),
    ExitCode.REFUSED_BY_VENUE.value: (Reason.SOURCE_REJECTED, Recovery.GIVE_UP),
    ExitCode.TRY_AGAIN.value: (Reason.WORKER_ERROR, Recovery.RETRY),
    ExitCode.BANNED.value: (Reason.WORKER_ERROR, Recovery.RETRY_AFTER_BAN),
}
