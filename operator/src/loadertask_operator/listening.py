"""Since when a silence in queue-events is evidence (decision 011), also while Kafka comes and goes.

Each change begins the graces anew: after an outage, a worker gets its time to speak. But with a
connection that never lasts they would be begun anew for ever, and hold every state that waits for
one. So after a few returns that did not last, further changes are none.
"""

from __future__ import annotations

from datetime import datetime, timedelta

_SHORT_RETURNS = 5


class Listening:
    """Whether all events have been read, and since when that, or that none can be, is so.

    Args:
        now: the begin; nothing is known of the broker, but that nothing has been read.
        grace: how long a return has to last to be one.

    """

    def __init__(self, now: datetime, grace: timedelta) -> None:
        self._grace = grace
        self._has_all: bool | None = None
        self._changed_at = now
        self._short_returns = 0
        self._return_before = self._returned_at = now
        self.since = now

    @property
    def is_possible(self) -> bool:
        """Whether nothing is known to be in the way of reading."""
        return self._has_all is not False

    @property
    def has_caught_up(self) -> bool:
        """Whether all events from before have been read."""
        return self._has_all is True

    def since_for(self, heard_at: datetime | None) -> datetime:
        """As ``since``; a worker that spoke in the last return gets its grace in this one."""
        if heard_at and heard_at >= self._return_before:
            return max(self.since, self._changed_at)
        return self.since

    def note(self, now: datetime, *, is_reachable: bool) -> bool:
        """All events have been read, or none can be; whether that is news."""
        if self._has_all is is_reachable:
            return False
        if self._has_all:
            has_lasted = now - self._changed_at >= self._grace
            self._short_returns = 0 if has_lasted else self._short_returns + 1
        self._has_all, self._changed_at = is_reachable, now
        if is_reachable:
            self._return_before, self._returned_at = self._returned_at, now
        if self._short_returns < _SHORT_RETURNS:
            self.since = now
        return True
