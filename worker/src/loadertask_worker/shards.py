"""Which part of a range one of several workers loads. Pure.

The range is divided evenly by time, and the borders are moved to the grid of the candles, so that
every candle belongs to exactly one part. It is the range as it was asked for, not as it is cut to
what exists: all workers must come to the same borders whenever they start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadertask_contract.intervals import open_at_or_after

if TYPE_CHECKING:
    from loadertask_contract.intervals import Interval


@dataclass(frozen=True, slots=True)
class Slice:
    """Data time in [start_ms, end_ms), epoch milliseconds; empty where both are the same."""

    start_ms: int
    end_ms: int


def shard_slice(whole: Slice, index: int, count: int, interval: Interval | None = None) -> Slice:
    """The part of shard ``index`` of ``count``; empty where there are more shards than candles."""
    return Slice(_border(whole, index, count, interval), _border(whole, index + 1, count, interval))


def _border(whole: Slice, index: int, count: int, interval: Interval | None) -> int:
    if index == 0:
        return whole.start_ms
    if index == count:
        return whole.end_ms
    border_ms = whole.start_ms + (whole.end_ms - whole.start_ms) * index // count
    if interval is not None:
        border_ms = open_at_or_after(interval, border_ms)
    return min(border_ms, whole.end_ms)
