"""A load that several workers share: what all of them together have said and done. Pure.

A load that is not split is one worker, whose events are the status itself: it has no shards here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from loadertask_contract.events import Event, EventStatus, Progress
from loadertask_contract.shards import shard_producer_id
from loadertask_operator.observed import JobState, PodState, termination_of
from loadertask_operator.status import MAX_INT, ShardStatus, Status, bounded, whole_seconds

_FINAL = (EventStatus.FINISHED, EventStatus.INTERRUPTED)


def fresh(shards: Sequence[ShardStatus], count: int) -> tuple[ShardStatus, ...]:
    """The shards of a new attempt: what is committed stays, nothing has been said yet."""
    if count == 1:
        return ()
    known = {shard.index: shard for shard in shards}
    forgotten = {"status": None, "records_per_second": None}
    return tuple(
        known.get(index, ShardStatus(index=index)).model_copy(update=forgotten)
        for index in range(count)
    )


def after_event(shard: ShardStatus, event: Event) -> ShardStatus:
    """``shard`` after an event of its own worker."""
    said, payload = event.progress, event.payload
    through = whole_seconds(said.loaded_through) if said.loaded_through else None
    return ShardStatus(
        index=shard.index,
        status=payload.status,
        records_written=max(shard.records_written, payload.records_written),
        done=shard.done if said.done is None else said.done,
        total=shard.total if said.total is None else said.total,
        loaded_through=later(through, shard.loaded_through),
        records_per_second=None if payload.status.is_terminal else bounded(said.records_per_second),
    )


def is_final(shard: ShardStatus) -> bool:
    """Whether its worker has had its last word: after an error, Kubernetes starts another."""
    return shard.status in _FINAL


def summed(shards: Sequence[ShardStatus]) -> Progress:
    """The progress of all: totals only when every shard has told its own."""
    totals = [shard.total for shard in shards if shard.total is not None]
    return Progress(
        done=total(shard.done or 0 for shard in shards),
        total=total(totals) if len(totals) == len(shards) else None,
        loaded_through=loaded_through(shards),
        records_per_second=total(shard.records_per_second or 0 for shard in shards) or None,
    )


def total(counts: Iterable[int]) -> int:
    """The sum of ``counts``, at most what the API can hold."""
    return min(sum(counts), MAX_INT)


def loaded_through(shards: Sequence[ShardStatus]) -> datetime | None:
    """Data time before which everything is committed: up to the first shard that is not done.

    Shards are consecutive slices of time, so that what a later one has committed lies behind a gap.
    """
    through = None
    for shard in shards:
        through = shard.loaded_through or through
        if shard.status is not EventStatus.FINISHED:
            break
    return through


def written(status: Status, pods: Sequence[PodState]) -> int:
    """Committed records, by events and by the termination logs of ``pods``."""
    attempt = status.current_attempt
    left = {
        end.payload.producer: end.payload.records_written
        for end in map(termination_of, pods)
        if end
    }
    if attempt is None:
        return status.records_written
    if not status.shards:
        return max(status.records_written, left.get(attempt.producer_id, 0))
    count = len(status.shards)
    each = (
        max(shard.records_written, left.get(_producer(status, shard.index, count), 0))
        for shard in status.shards
    )
    return max(status.records_written, total(each))


def word_of_all(
    status: Status, pods: Sequence[PodState], *, has_failed: bool
) -> EventStatus | None:
    """What the workers together have said; ``has_failed`` when none of them is started again.

    It is finished when every shard is, and interrupted when each has ended and one by a stop. An
    error of one shard is the last word of all only when it is not tried again.
    """
    by_index = {pod.shard: pod for pod in pods}
    count = len(status.shards)
    words = [
        _word(shard, by_index.get(shard.index), _producer(status, shard.index, count))
        for shard in status.shards
    ]
    if all(word in _FINAL for word in words):
        is_whole = all(word is EventStatus.FINISHED for word in words)
        return EventStatus.FINISHED if is_whole else EventStatus.INTERRUPTED
    if has_failed and EventStatus.ERROR in words:
        return EventStatus.ERROR
    if not any(words):
        return None
    is_beginning = set(words) <= {None, EventStatus.STARTED}
    return EventStatus.STARTED if is_beginning else EventStatus.LOADING


def telling_pod(pods: Sequence[PodState], job: JobState | None) -> PodState | None:
    """The pod that says most of how the attempt is: the one that failed it, else one that waits."""

    def rank(pod: PodState) -> tuple[bool, bool, bool, bool]:
        has_failed = pod.end is not None and pod.end.exit_code != 0
        return _is_blamed(pod, job), has_failed, bool(pod.waiting_reason), pod.is_running

    return max(pods, key=rank, default=None)


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who of the current attempt sent an event; ``shard`` is None where the load is not split."""

    shard: ShardStatus | None


def speaker(status: Status, producer: str) -> Speaker | None:
    """The worker of the current attempt that signs with ``producer``, if there is one."""
    attempt = status.current_attempt
    if attempt is None:
        return None
    if not status.shards:
        return Speaker(None) if producer == attempt.producer_id else None
    suffix = producer.rpartition("-")[2]
    # A Kafka client of somebody else may sign with any text.
    index = int(suffix) if suffix.isdecimal() and len(suffix) < 3 else len(status.shards)
    if index >= len(status.shards) or producer != _producer(status, index, len(status.shards)):
        return None
    return Speaker(status.shards[index])


def _word(shard: ShardStatus, pod: PodState | None, producer: str) -> EventStatus | None:
    left = None if is_final(shard) else termination_of(pod)
    if left and left.payload.producer == producer and left.payload.status.is_terminal:
        return left.payload.status
    return shard.status


def _is_blamed(pod: PodState, job: JobState | None) -> bool:
    """Whether the Job's own words name it."""
    if job is None:
        return False
    return pod.shard == job.failed_shard or f"/{pod.name} " in job.failure


def _producer(status: Status, index: int, count: int) -> str:
    attempt = status.current_attempt
    return shard_producer_id(attempt.producer_id, index, count) if attempt else ""


def is_later(moment: datetime | None, before: datetime | None) -> bool:
    """Whether ``moment`` is known and after ``before``, or ``before`` is not known."""
    return moment is not None and (before is None or moment > before)


def later(first: datetime | None, second: datetime | None) -> datetime | None:
    """The later of two moments, as far as they are known."""
    return max((moment for moment in (first, second) if moment), default=None)
