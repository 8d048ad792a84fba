"""The budget of status writes: progress is coalesced, what programs wait for goes at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from loadertask_operator.schema import TaskKey
from loadertask_operator.status import Status

# More events than this are not kept in memory for the sake of the budget.
_MAX_UNSETTLED_EVENTS = 500


class WriteBudget:
    """When a changed status may be written: progress at most once per ``interval_s`` and task."""

    def __init__(self, interval_s: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._clock_s = clock_s
        self._written_at_s: dict[TaskKey, float] = {}

    def seconds_to_wait(
        self, key: TaskKey, before: Status, after: Status, events: Sequence[object] = ()
    ) -> float:
        """How long the write of ``after`` has to wait; 0 when it is due."""
        if is_significant(before, after) or len(events) > _MAX_UNSETTLED_EVENTS:
            return 0
        written_at_s = self._written_at_s.get(key)
        if written_at_s is None:
            return 0
        return max(0.0, written_at_s + self._interval_s - self._clock_s())

    def note_write(self, key: TaskKey) -> None:
        """A status of the task has just been written."""
        self._written_at_s[key] = self._clock_s()

    def forget(self, key: TaskKey) -> None:
        """The next write is due at once, or the task is gone."""
        self._written_at_s.pop(key, None)


def is_significant(before: Status, after: Status) -> bool:
    """Whether something changed that somebody may wait for, other than progress."""
    return _landmarks(before) != _landmarks(after)


def _landmarks(status: Status) -> object:
    return (
        status.phase,
        status.reason,
        status.attempts,
        status.failures,
        status.current_attempt,
        status.stop,
        status.turn,
        status.completion_time,
        {(c.type, c.status, c.reason) for c in status.conditions},
    )
