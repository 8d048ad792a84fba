"""What the venue allows on stream connections, and its timing; can be changed at run time. Pure.

Durations are real seconds, whatever the rate of the venue's clock.
"""

from __future__ import annotations

from collections import deque

from pydantic import BaseModel, ConfigDict, Field

_FIVE_MINUTES_MS = 300_000


class StreamRules(BaseModel):
    """The documented figures; tests shorten them.

    ``closes_with_frame`` off lets a lifetime end without a close frame. ``ack_delay_s`` lets data
    precede the answer to SUBSCRIBE. ``quiet_closes`` off keeps back the closing frame of a candle
    until the next trade, and leaves out that of an empty one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    ping_interval_s: float = Field(default=20, gt=0)
    pong_timeout_s: float = Field(default=60, gt=0)
    lifetime_s: float = Field(default=86_400, gt=0)
    closes_with_frame: bool = True
    messages_per_second: int = Field(default=5, ge=1)
    streams_per_connection: int = Field(default=1024, ge=1)
    connects_per_five_minutes: int = Field(default=300, ge=0)
    longest_backlog_bytes: int = Field(default=8 * 2**20, ge=0)
    ack_delay_s: float = Field(default=0, ge=0)
    quiet_closes: bool = True


class MessageLimit:
    """Counts the frames of one client over the last second; times are seconds of any clock."""

    def __init__(self) -> None:
        self._times_s: deque[float] = deque()

    def allows(self, now_s: float, per_second: int) -> bool:
        """Count a frame; False if it is one too many."""
        self._times_s.append(now_s)
        while now_s - self._times_s[0] >= 1:
            self._times_s.popleft()
        return len(self._times_s) <= per_second


class ConnectLimit:
    """Counts connection attempts per address in fixed windows of five minutes."""

    def __init__(self) -> None:
        self._attempts: dict[str, tuple[int, int]] = {}

    def allows(self, client: str, now_ms: int, per_five_minutes: int) -> bool:
        """Count an attempt; False if it is one too many."""
        window = now_ms // _FIVE_MINUTES_MS
        last_window, attempts = self._attempts.get(client, (window, 0))
        attempts = attempts + 1 if last_window == window else 1
        self._attempts[client] = window, attempts
        return attempts <= per_five_minutes

    def forgive(self) -> None:
        """Forget all attempts."""
        self._attempts.clear()
