"""Candle intervals of the venue and the grid of their open times (UTC).

Pure arithmetic on epoch milliseconds; it knows no record and no clock.
The alignment rules are the venue's: https://github.com/binance/binance-spot-api-docs (klines),
weeks open on Monday, months on the 1st, three-day candles where the day number modulo 3 is 1.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Interval(StrEnum):
    """A candle interval, spelled as the venue does: case matters (``1m`` minute, ``1M`` month)."""

    SECOND_1 = "1s"
    MINUTE_1 = "1m"
    MINUTE_3 = "3m"
    MINUTE_5 = "5m"
    MINUTE_15 = "15m"
    MINUTE_30 = "30m"
    HOUR_1 = "1h"
    HOUR_2 = "2h"
    HOUR_4 = "4h"
    HOUR_6 = "6h"
    HOUR_8 = "8h"
    HOUR_12 = "12h"
    DAY_1 = "1d"
    DAY_3 = "3d"
    WEEK_1 = "1w"
    MONTH_1 = "1M"


_UNIT_MS = {"s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}
# Months have no fixed length and are handled by the calendar.
_DURATION_MS = {
    interval: int(interval[:-1]) * _UNIT_MS[interval[-1]]
    for interval in Interval
    if interval is not Interval.MONTH_1
}
_PHASE_MS = {Interval.DAY_3: DAY_MS, Interval.WEEK_1: 4 * DAY_MS}


def parse_interval(text: str) -> Interval:
    """The interval spelled ``text``.

    Raises:
        ValueError: it is none of the venue's; the message lists them.

    """
    try:
        return Interval(text)
    except ValueError:
        known = ", ".join(Interval)
        raise ValueError(f"{text!r} is not an interval of the venue: use one of {known}") from None


def open_at_or_before(interval: Interval, time_ms: int) -> int:
    """Open time (epoch ms) of the candle that contains ``time_ms``."""
    if interval is Interval.MONTH_1:
        moment = datetime.fromtimestamp(time_ms // 1000, UTC)
        return _month_open_ms(moment.year, moment.month)
    phase_ms = _PHASE_MS.get(interval, 0)
    duration_ms = _DURATION_MS[interval]
    return (time_ms - phase_ms) // duration_ms * duration_ms + phase_ms


def next_open(interval: Interval, open_time_ms: int) -> int:
    """Open time (epoch ms) of the candle after the one that opens at ``open_time_ms``."""
    if interval is Interval.MONTH_1:
        moment = datetime.fromtimestamp(open_time_ms // 1000, UTC)
        return _month_open_ms(moment.year + moment.month // 12, moment.month % 12 + 1)
    return open_time_ms + _DURATION_MS[interval]


def open_at_or_after(interval: Interval, time_ms: int) -> int:
    """The first open time (epoch ms) that is not before ``time_ms``."""
    open_time_ms = open_at_or_before(interval, time_ms)
    return open_time_ms if open_time_ms == time_ms else next_open(interval, open_time_ms)


def count_opens(interval: Interval, start_ms: int, end_ms: int) -> int:
    """How many candles of the grid open in [start_ms, end_ms): what a load expects at most."""
    first_ms = open_at_or_after(interval, start_ms)
    if first_ms >= end_ms:
        return 0
    last_ms = open_at_or_before(interval, end_ms - 1)
    if interval is Interval.MONTH_1:
        first, last = (datetime.fromtimestamp(t // 1000, UTC) for t in (first_ms, last_ms))
        return (last.year - first.year) * 12 + last.month - first.month + 1
    return (last_ms - first_ms) // _DURATION_MS[interval] + 1


def _month_open_ms(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000
