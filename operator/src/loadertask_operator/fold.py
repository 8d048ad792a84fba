"""Fold events of queue-events into a status (design contract §3, operator §10). Pure.

Keyed by (partition, offset): folding an event twice changes nothing. Only events of the current
attempt's own producer move the status; others of the same queue are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta

from loadertask_contract.events import EventStatus, Progress
from loadertask_operator.observed import ReceivedEvent
from loadertask_operator.status import (
    LastEvent,
    ProgressStatus,
    Status,
    Telemetry,
    shortened,
    whole_seconds,
)

# The largest integer of the API's int64 fields: a header may claim more.
_MAX_INT = 2**63 - 1
_ETA_LIMIT_S = 365 * 86_400
_CAMEL_CASE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,127}")


def fold(status: Status, events: Iterable[ReceivedEvent]) -> Status:
    """``status`` after ``events``, in the order given."""
    for received in events:
        status = _fold_one(status, received)
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


def is_replay(telemetry: Telemetry | None, received: ReceivedEvent) -> bool:
    """Whether an event was applied before: offsets of one partition only grow.

    Those of a topic that was made anew begin at 0 again, but its events are younger; a replay
    repeats the time of its record.
    """
    if telemetry is None or telemetry.offset is None or telemetry.last_heartbeat_time is None:
        return False
    return (
        telemetry.partition == received.partition
        and received.offset <= telemetry.offset
        and whole_seconds(received.time) <= telemetry.last_heartbeat_time
    )


def _fold_one(status: Status, received: ReceivedEvent) -> Status:
    telemetry = status.telemetry or Telemetry()
    if is_replay(telemetry, received):
        return status
    if not _is_news(status, received):
        counted = telemetry.model_copy(update={"events_discarded": telemetry.events_discarded + 1})
        return status.model_copy(update={"telemetry": counted})
    payload = received.event.payload
    written = max(status.records_written, payload.records_written)
    progress = _progress(received, written, status.progress)
    if payload.status is EventStatus.STARTED or _has_grown(status, written, progress):
        progress = progress.model_copy(update={"last_progress_time": whole_seconds(received.time)})
    return status.model_copy(
        update={
            "records_written": written,
            "progress": progress,
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
                last_heartbeat_time=received.time,
            ),
        }
    )


def _is_news(status: Status, received: ReceivedEvent) -> bool:
    """Whether it is of the current attempt, and before its last word."""
    payload = received.event.payload
    attempt = status.current_attempt
    if attempt is None or payload.producer != attempt.producer_id:
        return False
    if payload.queue_id is not None and payload.queue_id != status.queue_id:
        return False
    last = status.last_event
    return last is None or last.producer != payload.producer or not last.status.is_terminal


def _has_grown(status: Status, written: int, progress: ProgressStatus) -> bool:
    """Whether there are more records, or data of a later time, than ever before."""
    before = status.progress.loaded_through if status.progress else None
    through = progress.loaded_through
    return written > status.records_written or (
        through is not None and (before is None or through > before)
    )


def _reason(received: ReceivedEvent) -> str | None:
    """The word for programs that an ``error`` bears; what is no such word is passed over."""
    said = received.event.progress.reason
    is_error = received.event.payload.status is EventStatus.ERROR
    return said if said and is_error and _CAMEL_CASE.fullmatch(said) else None


def _progress(
    received: ReceivedEvent, written: int, previous: ProgressStatus | None
) -> ProgressStatus:
    said = received.event.progress
    previous = previous or ProgressStatus()
    through = whole_seconds(said.loaded_through) if said.loaded_through else None
    left_s = _seconds_left(said)
    progress = ProgressStatus(
        percent=_percent(said, previous),
        loaded_through=through or previous.loaded_through,
        last_progress_time=previous.last_progress_time,
        records_per_second=_bounded(said.records_per_second),
        lag_seconds=_bounded(max(said.lag_ms, 0) // 1000) if said.lag_ms is not None else None,
        estimated_completion_time=None
        if left_s is None
        else received.time + timedelta(seconds=left_s),
    )
    is_loading = received.event.payload.status is EventStatus.LOADING
    display = _display(progress, said, written, is_loading)
    return progress.model_copy(update={"display": display})


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


def _bounded(value: int | None) -> int | None:
    return None if value is None else min(value, _MAX_INT)
