"""The price of a symbol at any moment, from its candles. Pure.

It moves once a second: to where the last second ended. Without an engine it stays where it was.
"""

from __future__ import annotations

from functools import lru_cache

from loadertask_contract.intervals import DAY_MS, MINUTE_MS, SECOND_MS, Interval
from loadertask_devstack.venue.history import History

_LONGEST_PAUSE_DAYS = 30


class LastPrice:
    """The price of one symbol, in units of 1e-8."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._minute = lru_cache(maxsize=64)(self._read_minute)

    def __call__(self, time_ms: int) -> int:
        """The price at an epoch millisecond."""
        minute_ms = time_ms // MINUTE_MS * MINUTE_MS
        opens = self._minute(minute_ms)
        return opens[min((time_ms - minute_ms) // SECOND_MS, len(opens) - 1)]

    def _read_minute(self, minute_ms: int) -> list[int]:
        end_ms = minute_ms + MINUTE_MS
        seconds = self._history.candles(Interval.SECOND_1, minute_ms, end_ms, end_ms).rows
        return [second.open for second in seconds] or [self._before(minute_ms)]

    def _before(self, time_ms: int) -> int:
        day = time_ms // DAY_MS
        for earlier in range(day, day - _LONGEST_PAUSE_DAYS, -1):
            past = [m for m in self._history.minutes(earlier) if m.open_time_ms < time_ms]
            if past:
                return past[-1].close
        symbol = self._history.symbol
        return symbol.price * symbol.tick_units
