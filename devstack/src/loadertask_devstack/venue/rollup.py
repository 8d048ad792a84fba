"""Candles of a longer interval from the candles of a shorter one. Pure and exact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from loadertask_contract.intervals import MINUTE_MS, Interval, next_open
from loadertask_contract.intervals import open_at_or_before as _open_at_or_before
from loadertask_devstack.venue.candles import Candle


def open_at_or_before(interval: Interval, time_ms: int, offset_ms: int = 0) -> int:
    """The grid's open time, its boundaries lying ``offset_ms`` east of UTC (``timeZone``)."""
    return _open_at_or_before(interval, time_ms + offset_ms) - offset_ms


def open_after(interval: Interval, open_time_ms: int, offset_ms: int = 0) -> int:
    """The grid's next open time, its boundaries lying ``offset_ms`` east of UTC."""
    return next_open(interval, open_time_ms + offset_ms) - offset_ms


def roll_up(parts: Sequence[Candle], open_time_ms: int, end_ms: int) -> Candle:
    """One candle for [open_time_ms, end_ms) from its parts (ascending, at least one).

    A last part that was cut short by an outage, inside a minute, cuts the whole short too:
    the venue's hour of 2018-02-08 00:00 closes at 00:28:14.788.
    """
    last = parts[-1]
    is_cut = (last.close_time_ms + 1) % MINUTE_MS != 0
    return Candle(
        open_time_ms,
        parts[0].open,
        max(part.high for part in parts),
        min(part.low for part in parts),
        last.close,
        sum(part.volume for part in parts),
        last.close_time_ms if is_cut else end_ms - 1,
        sum(part.quote_volume for part in parts),
        sum(part.trade_count for part in parts),
        sum(part.taker_volume for part in parts),
        sum(part.taker_quote_volume for part in parts),
    )


def roll_up_all(parts: Iterable[Candle], interval: Interval, offset_ms: int = 0) -> list[Candle]:
    """The candles of ``interval`` that hold ``parts`` (ascending); missing time stays missing."""
    groups = groupby(parts, lambda part: open_at_or_before(interval, part.open_time_ms, offset_ms))
    return [
        roll_up(list(group), opened, open_after(interval, opened, offset_ms))
        for opened, group in groups
    ]
