"""Fold events of queue-events into a status (design contract §3, operator §10). Pure.

Keyed by (partition, offset): an event of the last partition that is folded twice changes nothing
(decision 013). Only events of the current attempt's own producers move the status; others of the
same queue are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from loadertask_contract.events import EventStatus, Progress
from loadertask_contract.time_range import TimeRange
from loadertask_operator.bans import believable
from loadertask_operator.coverage import percent_of_time
from loadertask_operator.observed import TRUSTED_CLOCK, ReceivedEvent
from loadertask_operator.shards import (
    Speaker,
    after_event,
    is_final,
    is_later,
    later,
    speaker,
    summed,
    total,
)
from loadertask_operator.status import (
    LastEvent,
    ProgressStatus,
    Status,
    Telemetry,
    bounded,
    shortened,
    whole_seconds,
)

_ETA_LIMIT_S = 365 * 86_400
_CAMEL_CASE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,127}")


def fold(
    status: Status, events: Iterable[ReceivedEvent], uncounted: TimeRange | None = None
) -> Status:
    """``status`` after ``events``, in the order given.

    ``uncounted`` is the range of a load whose records nobody can count: its progress is by time.
    """
    for received in events:
        after = _fold_one(status, received)
        is_ours = after.last_event is not status.last_event
        status = _by_time(after, received, uncounted) if uncounted and is_ours else after
    return status


def at_rest(progress: ProgressStatus | None, written: int) -> ProgressStatus | None:
    """How far a load is that does not run: without rate, lag and estimate of its end."""
    if progress is None:
        return None
    display = (progress.display or "").partition(" eta ")[0]
    if progress.lag_seconds is not None:
        display = f"{_amount(written)} records"
    forgotten = ("records_per_second", "lag_seconds", "estimated_completion_time")
    return progress.model_copy(update=dict.fromkeys(forgotten) | {"display": display})


def is_replay(status: Status, received: ReceivedEvent) -> bool:
    """Whether an event was applied before: offsets of one partition only grow.

    Those of a topic that was made anew begin at 0 again, but its events are younger; a replay
    repeats the time of its record.
    """
    telemetry, last = status.telemetry, status.last_event
    if telemetry is None or telemetry.offset is None or last is None:
        return False
    return (
        telemetry.partition == received.partition
        and received.offset <= telemetry.offset
        and whole_seconds(received.time) <= last.time
    )


def _fold_one(status: Status, received: ReceivedEvent) -> Status:
    telemetry = status.telemetry or Telemetry()
    if is_replay(status, received):
        return status
    sender = _sender(status, received)
    if sender is None:
        counted = telemetry.model_copy(update={"events_discarded": telemetry.events_discarded + 1})
        return status.model_copy(update={"telemetry": counted})
    payload = received.event.payload
    return status.model_copy(
        update={
            **_advance(status, received, sender),
            "banned_until": _ban(received) or status.banned_until,
            "last_event": LastEvent(
                status=payload.status,
                reason=_reason(received),
                message=shortened(payload.message),
                producer=payload.producer,
                time=received.time,
            ),
            "telemetry": Telemetry(
                partition=received.partition,
                offset=received.offset,
                events_applied=telemetry.events_applied + 1,
                events_discarded=telemetry.events_discarded,
                last_heartbeat_time=_heard_at(status, received),
            ),
        }
    )


def _heard_at(status: Status, received: ReceivedEvent) -> datetime:
    """When an event came, by the operator's clock (decision 089).

    Of one that lay there already it is told by the clock of its worker, as far as that was off
    when it was last heard, and lies between the event before and the receipt.
    """
    if not received.is_old:
        return received.received_at
    last, telemetry = status.last_event, status.telemetry
    heard_at = telemetry.last_heartbeat_time if telemetry else None
    if last is None or heard_at is None:
        return min(received.time, received.received_at)
    behind = heard_at - last.time
    if last.producer != received.event.payload.producer or abs(behind) > TRUSTED_CLOCK:
        behind = timedelta()
    return min(max(received.time + behind, heard_at), received.received_at)


def _sender(status: Status, received: ReceivedEvent) -> Speaker | None:
    """The worker of the current attempt that sent it, unless it has had its last word before."""
    payload = received.event.payload
    if payload.queue_id is not None and payload.queue_id != status.queue_id:
        return None
    sender, last = speaker(status, payload.producer), status.last_event
    if sender and sender.shard:
        is_over = is_final(sender.shard)
    else:
        is_over = last is not None and last.producer == payload.producer and last.status.is_terminal
    return None if is_over else sender


@dataclass(frozen=True, slots=True)
class _Stand:
    """How far the whole load is after an event."""

    said: Progress
    written: int
    has_grown: bool
    is_loading: bool


def _advance(status: Status, received: ReceivedEvent, sender: Speaker) -> dict[str, Any]:
    """The fields of the status that say how far the load is, after an event."""
    if sender.shard is None:
        return _told(status, received, _stand_of_one(status, received))
    shard = after_event(sender.shard, received.event)
    shards = tuple(shard if one.index == shard.index else one for one in status.shards)
    before = status.progress.loaded_through if status.progress else None
    said = summed(shards)
    stand = _Stand(
        # A new attempt has not said yet which shards are done: their data is still there.
        said.model_copy(update={"loaded_through": later(said.loaded_through, before)}),
        max(status.records_written, total(one.records_written for one in shards)),
        shard.records_written > sender.shard.records_written
        or is_later(shard.loaded_through, sender.shard.loaded_through),
        any(one.status is EventStatus.LOADING for one in shards),
    )
    return _told(status, received, stand) | {"shards": shards}


def _stand_of_one(status: Status, received: ReceivedEvent) -> _Stand:
    said, payload = received.event.progress, received.event.payload
    before = status.progress.loaded_through if status.progress else None
    through = whole_seconds(said.loaded_through) if said.loaded_through else None
    return _Stand(
        said,
        max(status.records_written, payload.records_written),
        payload.records_written > status.records_written or is_later(through, before),
        payload.status is EventStatus.LOADING,
    )


def _told(status: Status, received: ReceivedEvent, stand: _Stand) -> dict[str, Any]:
    heard_at = _heard_at(status, received)
    progress = _progress(stand.said, heard_at, status.progress or ProgressStatus())
    update: dict[str, Any] = {
        "display": _display(progress, stand.said, stand.written, stand.is_loading)
    }
    if stand.has_grown or received.event.payload.status is EventStatus.STARTED:
        update["last_progress_time"] = whole_seconds(heard_at)
    return {"records_written": stand.written, "progress": progress.model_copy(update=update)}


def _by_time(status: Status, received: ReceivedEvent, span: TimeRange) -> Status:
    """With a percentage of the range, said to be one of time; it never shrinks."""
    progress = status.progress or ProgressStatus()
    said = received.event.payload.status
    percent = percent_of_time(span, status, progress.loaded_through, said)
    if percent is None:
        return status
    percent = max(percent, progress.percent or 0)
    display = f"{percent}% of time, {_amount(status.records_written)} records"
    told = progress.model_copy(update={"percent": percent, "display": display})
    return status.model_copy(update={"progress": told})


def _ban(received: ReceivedEvent) -> datetime | None:
    """The end of a ban that an ``error`` tells of, in whole seconds."""
    said = received.event.progress.banned_until
    if received.event.payload.status is not EventStatus.ERROR:
        return None
    until = believable(said, received.time)
    return whole_seconds(until) if until else None


def _reason(received: ReceivedEvent) -> str | None:
    """The word for programs that an ``error`` bears; what is no such word is passed over."""
    said = received.event.progress.reason
    is_error = received.event.payload.status is EventStatus.ERROR
    return said if said and is_error and _CAMEL_CASE.fullmatch(said) else None


def _progress(said: Progress, time: datetime, previous: ProgressStatus) -> ProgressStatus:
    through = whole_seconds(said.loaded_through) if said.loaded_through else None
    left_s = _seconds_left(said)
    return ProgressStatus(
        percent=_percent(said, previous),
        loaded_through=through or previous.loaded_through,
        last_progress_time=previous.last_progress_time,
        records_per_second=bounded(said.records_per_second),
        lag_seconds=bounded(max(said.lag_ms, 0) // 1000) if said.lag_ms is not None else None,
        estimated_completion_time=None if left_s is None else time + timedelta(seconds=left_s),
    )


def _percent(said: Progress, previous: ProgressStatus) -> int | None:
    if said.done is None or not said.total:
        return previous.percent
    return min(100, said.done * 100 // said.total)


def _seconds_left(said: Progress) -> int | None:
    if said.done is None or said.total is None or not said.records_per_second:
        return None
    left_s = max(said.total - said.done, 0) // said.records_per_second
    return left_s if left_s < _ETA_LIMIT_S else None


def _display(progress: ProgressStatus, said: Progress, written: int, is_loading: bool) -> str:
    if said.lag_ms is not None:
        return f"live, lag {_duration(progress.lag_seconds or 0)}"
    if progress.percent is None or said.done is None or said.total is None:
        return f"{_amount(written)} records"
    text = f"{progress.percent}% {_amount(said.done)}/{_amount(said.total)}"
    left_s = _seconds_left(said)
    return text if left_s is None or not is_loading else f"{text} eta {_duration(left_s)}"


def _amount(count: int) -> str:
    for limit, unit in ((10**13, "T"), (10**10, "G"), (10**7, "M"), (10**4, "k")):
        if count >= limit:
            return f"{count // (limit // 10)}{unit}"
    return str(count)


def _duration(seconds: int) -> str:
    for limit, unit_s, unit in ((172_800, 86_400, "d"), (7200, 3600, "h"), (120, 60, "m")):
        if seconds >= limit:
            return f"{seconds // unit_s}{unit}"
    return f"{seconds}s"
