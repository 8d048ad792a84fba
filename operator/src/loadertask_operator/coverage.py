"""How much of its time a load has covered, where its records cannot be counted in advance. Pure.

Of trades nobody knows the number before they are loaded; what is known is the data time up to
which they are committed, of each shard in its own slice: workers split a range evenly by time.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from loadertask_contract.events import EventStatus
from loadertask_contract.time_range import TimeRange
from loadertask_operator.status import Status

_NOTHING = timedelta()


def percent_of_time(
    span: TimeRange, status: Status, loaded_through: datetime | None, said: EventStatus
) -> int | None:
    """The part of ``span`` behind which nothing is missing, rounded down; None when unknown.

    Args:
        span: what is to be loaded.
        status: with the shards of the load, where it is split.
        loaded_through: of a load that is not split.
        said: the event that this is told of; the end of a load covers all there is.

    """
    if not status.shards:
        if said is EventStatus.FINISHED:
            return 100
        covered = _covered(span.start, span.end, loaded_through)
        return None if covered is None else covered * 100 // (span.end - span.start)
    length = (span.end - span.start) / len(status.shards)
    total = _NOTHING
    for shard in status.shards:
        begin = span.start + shard.index * length
        through = begin + length if shard.status is EventStatus.FINISHED else shard.loaded_through
        total += _covered(begin, begin + length, through) or _NOTHING
    is_known = any(shard.loaded_through or shard.status for shard in status.shards)
    return min(100, total * 100 // (span.end - span.start)) if is_known else None


def _covered(begin: datetime, end: datetime, through: datetime | None) -> timedelta | None:
    return None if through is None else min(max(through - begin, _NOTHING), end - begin)
