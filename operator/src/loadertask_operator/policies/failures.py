"""Which ends of an attempt count against ``spec.backoffLimit``, and which are nobody's failure."""

from __future__ import annotations

from loadertask_contract.exit_codes import ExitCode, Recovery
from loadertask_operator.arbitration import Ending
from loadertask_operator.conditions import ConditionType, Reason
from loadertask_operator.situation import Situation
from loadertask_operator.status import MAX_HISTORY

MAX_DISRUPTIONS = 20
"""How often a task may lose its pod to the cluster before that counts as a failure."""

MAX_BANS_IN_A_ROW = MAX_HISTORY
"""As many attempts one after the other that the venue has banned are a failure."""


def counted(situation: Situation, ending: Ending) -> Situation:
    """With one failure more, or one disruption; after too many of these they are failures."""
    if ending.reason is Reason.DISRUPTED:
        situation = situation.with_status(disruptions=situation.status.disruptions + 1)
    if is_forgiven(situation, ending):
        return situation
    spec, job = situation.observed.task.spec, situation.observed.own_job
    failures = situation.status.failures + 1
    if spec and job and job.has_used_up_retries:
        # Those of a single shard are made by Kubernetes (decision 065).
        failures = max(failures, spec.backoff_limit + 1)
    return situation.with_status(failures=failures)


def is_forgiven(situation: Situation, ending: Ending) -> bool:
    """Whether an end that is in the status already is retried without being a failure."""
    if ending.reason is Reason.DISRUPTED:
        return situation.status.disruptions <= MAX_DISRUPTIONS
    return ending.recovery is Recovery.RETRY_AFTER_BAN and _was_banned(situation)


def is_beyond_limit(situation: Situation) -> bool:
    """Whether more has failed than ``spec.backoffLimit`` allows since it was lowered.

    A resume after a suspension is no retry: it goes on whatever failed before.
    """
    spec, status, attempt = situation.observed.task.spec, situation.status, situation.attempt
    past = status.ending_of(attempt.number) if attempt else None
    if spec is None or past is None or status.failures <= spec.backoff_limit:
        return False
    if past.reason == Reason.DISRUPTED:
        return False
    resumed_at, ended_at = status.resumed_at, past.completion_time
    is_resuming = resumed_at is not None and (ended_at is None or resumed_at >= ended_at)
    return not (is_resuming or status.is_true(ConditionType.SUSPENDED))


def tally(situation: Situation, ending: Ending) -> str:
    """What an end has counted as, for people."""
    spec, status = situation.observed.task.spec, situation.status
    if ending.recovery is Recovery.RETRY_AFTER_BAN and is_forgiven(situation, ending):
        return "a ban, no failure"
    if is_forgiven(situation, ending):
        return f"disruption {status.disruptions} of {MAX_DISRUPTIONS}, no failure"
    return f"failure {status.failures} of {spec.backoff_limit if spec else 0}"


def _was_banned(situation: Situation) -> bool:
    """Whether the venue told this attempt until when; an exit code alone names no end to wait for.

    Too many in a row count as failures, so that a venue which always bans has an end.
    """
    attempt, until = situation.attempt, situation.status.banned_until
    begun = (attempt.start_time if attempt else None) or situation.observed.task.creation_time
    last = situation.status.attempt_history[-MAX_BANS_IN_A_ROW:]
    is_one_of_many = len(last) == MAX_BANS_IN_A_ROW and all(
        past.exit_code == ExitCode.BANNED for past in last
    )
    return until is not None and until > begun and not is_one_of_many
