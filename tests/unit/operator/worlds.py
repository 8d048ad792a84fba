"""Values for the operator's unit tests: tasks, Jobs, pods and events as they come from outside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from loadertask_contract.events import Event, Progress, QueueEvent
from loadertask_contract.termination import encode_termination
from loadertask_operator.observed import JobOutcome, JobState, PodEnd, PodState, ReceivedEvent
from loadertask_operator.schema import LoaderTask, parse_task
from loadertask_operator.status import Status, render_status

UID = "11112222-3333-4444-5555-666677778888"
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
SPEC: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "type": "api_candles_1m",
    "timeRange": "2023-01-01:2023-01-02",
}


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def task_body(status: Status | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "loads",
            "name": "btc",
            "uid": UID,
            "resourceVersion": "7",
            "generation": 1,
            "creationTimestamp": "2026-01-01T11:59:00Z",
        },
        "spec": SPEC | spec,
        "status": render_status(status) if status else {},
    }


def make_task(status: Status | None = None, **spec: Any) -> LoaderTask:
    return parse_task(task_body(status, **spec))


def make_job(
    *,
    outcome: JobOutcome | None = None,
    ended_at: datetime | None = None,
    owner_uid: str = UID,
    attempt: int = 1,
    **changes: Any,
) -> JobState:
    return JobState(
        namespace="loads",
        name=f"btc-{attempt}",
        uid=f"job-uid-{attempt}",
        resource_version=1,
        owner_uid=owner_uid,
        task_name="btc",
        attempt=attempt,
        created_at=changes.pop("created_at", NOW),
        outcome=outcome,
        ended_at=ended_at or (NOW if outcome else None),
        **changes,
    )


def make_pod(
    *,
    phase: str = "Running",
    exit_code: int | None = None,
    message: str = "",
    end_reason: str = "",
    ended_at: datetime | None = None,
    attempt: int = 1,
    **changes: Any,
) -> PodState:
    end = None if exit_code is None else PodEnd(exit_code, end_reason, message, ended_at)
    return PodState(
        namespace="loads",
        name=f"btc-{attempt}-x",
        uid=f"pod-uid-{attempt}",
        resource_version=1,
        task_name="btc",
        attempt=attempt,
        created_at=NOW,
        phase=phase if end is None else ("Succeeded" if exit_code == 0 else "Failed"),
        end=end,
        job_uid=f"job-uid-{attempt}",
        **changes,
    )


def make_event(
    status: str, producer: str, *, written: int = 0, message: str = "", **progress: Any
) -> Event:
    payload = QueueEvent(
        queue_id="btc-11112222",
        symbol="BTCUSDT",
        type="api_candles_1m",
        status=status,
        message=message or status,
        records_written=written,
        producer=producer,
    )
    return Event(payload, Progress(**progress))


def received(
    event: Event,
    offset: int = 0,
    time: datetime = NOW,
    partition: int = 0,
    *,
    at: datetime | None = None,
    is_old: bool = False,
) -> ReceivedEvent:
    """``at`` is when the operator received it, at the record's time if left out."""
    return ReceivedEvent(partition, offset, time, event, at or time, is_old)


def termination(status: str, producer: str, written: int = 0, **progress: Any) -> str:
    return encode_termination(make_event(status, producer, written=written, **progress)).decode()
