"""Which Job the current attempt is: remembered as soon as one is seen (design operator §3.1)."""

from __future__ import annotations

from loadertask_operator.situation import Situation


def with_job(situation: Situation) -> Situation:
    """The status with the uid of the attempt's Job: a missing one is then never made again."""
    job, attempt = situation.observed.own_job, situation.attempt
    if job is None or attempt is None:
        return situation
    status, begun = situation.status, job.created_at
    if attempt.job_uid is None:
        known = attempt.model_copy(update={"job_uid": job.uid, "start_time": begun})
        situation = situation.with_status(current_attempt=known)
    if status.start_time is None and attempt.job_uid in {None, job.uid}:
        # The time in a queue of Kueue is none of the task's, also when its Job has ended.
        began = job.started_at if job.is_queued else begun
        situation = situation.with_status(start_time=began)
    return situation
