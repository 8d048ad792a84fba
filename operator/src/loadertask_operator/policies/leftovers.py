"""What an attempt leaves behind: its Job, which goes away by deletion or by its TTL."""

from __future__ import annotations

from loadertask_operator.plan import Propagation
from loadertask_operator.situation import Situation


def job_ttl_to_set(situation: Situation) -> int | None:
    """The TTL that the ended Job of an attempt whose end is stored still lacks."""
    job, spec = situation.observed.own_job, situation.observed.task.spec
    if job is None or spec is None or job.outcome is None or job.is_deleting:
        return None
    return spec.job_ttl_seconds_after_finished if job.ttl_s is None else None


def job_deletion(situation: Situation) -> Propagation | None:
    """How to delete the Job when it has not ended and nobody has asked for that yet."""
    job = situation.observed.own_job
    is_needed = job is not None and job.outcome is None and not job.is_deleting
    return Propagation.FOREGROUND if is_needed else None
