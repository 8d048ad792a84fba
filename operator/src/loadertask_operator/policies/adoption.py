"""Which Job the current attempt is: remembered as soon as one is seen (design operator §3.1)."""

from __future__ import annotations

from loadertask_operator.situation import Situation


def with_job(situation: Situation) -> Situation:
    """The status with the uid of the attempt's Job: a missing one is then never made again."""
    job, attempt = situation.observed.own_job, situation.attempt
    if job is None or attempt is None or attempt.job_uid:
        return situation
    begun = job.created_at
    return situation.with_status(
        current_attempt=attempt.model_copy(update={"job_uid": job.uid, "start_time": begun}),
        start_time=situation.status.start_time or begun,
    )
