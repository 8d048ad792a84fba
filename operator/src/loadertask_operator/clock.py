"""The operator's time of day, as long as nobody sets the clock under it.

Deadlines compare moments of this clock. After a step of it (a wrong setting, its correction, a
virtual machine that slept) they prove nothing: no decision is made with it any more, and the
process ends, to begin anew as one that has just come (decisions 011 and 077).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from loadertask_operator.errors import ClockSetError

LARGEST_STEP_S = 5.0


class Clock:
    """Called, it tells the time; time servers may move it slowly."""

    def __init__(
        self,
        time_of_day_s: Callable[[], float] = time.time,
        steps_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._time_of_day_s = time_of_day_s
        self._steps_s = steps_s
        _, self._offset_s = self._measured_s()

    def __call__(self) -> datetime:
        """Now, in UTC.

        Raises:
            ClockSetError: the clock was set since the last look, or before that.

        """
        now_s, offset_s = self._measured_s()
        if abs(offset_s - self._offset_s) > LARGEST_STEP_S:
            # Once more: the process may have been paused between the two readings.
            now_s, offset_s = self._measured_s()
        by_s = offset_s - self._offset_s
        if abs(by_s) > LARGEST_STEP_S:
            raise ClockSetError(by_s)
        self._offset_s = offset_s
        return datetime.fromtimestamp(now_s, UTC)

    def _measured_s(self) -> tuple[float, float]:
        """The time of day, and by how much it is ahead of the steps."""
        now_s = self._time_of_day_s()
        return now_s, now_s - self._steps_s()
