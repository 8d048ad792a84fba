"""How long something may fail before the attempt ends, and how long to wait in between. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_FIRST_DELAY_S = 0.1
# A try that comes sooner than this meets what the one before has met.
_SHORTEST_DELAY_S = _FIRST_DELAY_S / 2
_LONGEST_DELAY_S = 5.0
_SHORTEST_BOUND_S = 1.0


def answer_bound_s(patience_s: float) -> float:
    """How long one answer may take: without any patience, still as long as a healthy one does."""
    return max(patience_s, _SHORTEST_BOUND_S)


@dataclass(slots=True)
class Patience:
    """Counts the time lost to failures in a row, against ``limit_s``.

    Only lost time counts: waiting for a rate limit, which is the venue working as documented,
    does not.
    """

    limit_s: float
    lost_s: float = 0.0
    failures: int = 0

    @property
    def left_s(self) -> float:
        """What remains of the limit."""
        return max(0.0, self.limit_s - self.lost_s)

    def delay_after_failure(self, took_s: float, jitter: float) -> float | None:
        """Seconds to wait before the next try, or None when the patience is over.

        Args:
            took_s: how long the failed try took.
            jitter: a random number in [0, 1), so that many workers do not return as one.

        """
        self.lost_s += took_s
        if self.left_s < _SHORTEST_DELAY_S:
            return None
        longest_s = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2.0**self.failures)
        delay_s = min(longest_s * (0.5 + jitter / 2), self.left_s)
        self.failures += 1
        self.lost_s += delay_s
        return delay_s
