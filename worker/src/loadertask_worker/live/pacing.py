"""When to connect to a stream again, and when its silence is to be doubted. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

# The venue allows an address 300 connects in 5 minutes; others may live behind the same address.
CONNECT_WINDOW_S = 300.0
_MOST_CONNECTS = 60
_FREE_CONNECTS = 20


@dataclass(slots=True)
class ConnectPacer:
    """Spreads connects: the first ones of a window at once, the rest evenly over it."""

    _begun_s: deque[float] = field(default_factory=deque)

    def delay_s(self, now_s: float) -> float:
        """Seconds to wait before the next connect."""
        while self._begun_s and self._begun_s[0] <= now_s - CONNECT_WINDOW_S:
            self._begun_s.popleft()
        if len(self._begun_s) < _FREE_CONNECTS:
            return 0.0
        if len(self._begun_s) >= _MOST_CONNECTS:
            return self._begun_s[0] + CONNECT_WINDOW_S - now_s
        spacing_s = CONNECT_WINDOW_S / (_MOST_CONNECTS - _FREE_CONNECTS)
        return max(0.0, self._begun_s[-1] + spacing_s - now_s)

    def connect(self, now_s: float) -> None:
        """Count a connect."""
        self._begun_s.append(now_s)


@dataclass(slots=True)
class SilenceWatch:
    """Doubts a stream that brings nothing new, at first soon and then ever less often.

    A quiet market is silent too: each doubt is settled by REST, and none that proved unfounded is
    repeated soon.
    """

    first_doubt_s: float
    longest_doubt_s: float
    _heard_s: float = 0.0
    _doubt_s: float = 0.0

    def heard(self, now_s: float) -> None:
        """Something new came, or the stream is connected anew."""
        self._heard_s, self._doubt_s = now_s, self.first_doubt_s

    def is_doubtful(self, now_s: float) -> bool:
        """Whether to ask REST now; the next doubt comes later."""
        if now_s < self._heard_s + self._doubt_s:
            return False
        self._heard_s = now_s
        self._doubt_s = min(max(self._doubt_s, self.first_doubt_s) * 2, self.longest_doubt_s)
        return True
