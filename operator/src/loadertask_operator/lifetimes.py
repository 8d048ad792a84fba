"""How long the steps of tasks take, from one stored status to the next, into the metrics."""

from __future__ import annotations

from datetime import datetime

from loadertask_operator.conditions import is_terminal
from loadertask_operator.metrics import Metrics
from loadertask_operator.schema import LoaderTask, TaskKey
from loadertask_operator.status import Phase, Status


class Lifetimes:
    """Observes latencies; a phase that began before this process is not measured."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._entered: dict[TaskKey, tuple[str, datetime]] = {}

    def note(self, task: LoaderTask, after: Status, now: datetime) -> None:
        """``after`` has been stored for ``task``, which still holds the status before."""
        before = task.status
        if before.last_event is None and after.last_event is not None:
            self._metrics.start_latency.observe(_seconds(task.creation_time, now))
        self._note_stop(before, after)
        if after.phase != before.phase:
            self._note_phase(task, after, now)

    def forget(self, key: TaskKey) -> None:
        """The task is gone."""
        self._entered.pop(key, None)

    def _note_stop(self, before: Status, after: Status) -> None:
        stop = after.stop
        was_acknowledged = before.stop is not None and before.stop.acknowledged_at is not None
        if stop and stop.acknowledged_at and not was_acknowledged:
            self._metrics.stop_ack.observe(_seconds(stop.requested_at, stop.acknowledged_at))

    def _note_phase(self, task: LoaderTask, after: Status, now: datetime) -> None:
        if task.status.phase is None:
            self._entered[task.key] = (Phase.PENDING, task.creation_time)
        phase, since = self._entered.pop(task.key, (None, now))
        if phase is not None:
            self._metrics.time_in_phase.labels(phase).observe(_seconds(since, now))
        if after.phase is not None and not is_terminal(after):
            self._entered[task.key] = (after.phase, now)


def _seconds(begin: datetime, end: datetime) -> float:
    return max(0.0, (end - begin).total_seconds())
