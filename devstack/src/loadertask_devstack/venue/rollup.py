"""Candles of a longer interval from the candles of a shorter one, and seconds from a minute.

Pure and exact in both directions: rolling the seconds of a minute up gives the minute again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from loadertask_contract.intervals import MINUTE_MS, SECOND_MS, Interval, next_open
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


def seconds_of(minute: Candle) -> list[Candle]:
    """The seconds of a minute: invented, but they roll up to exactly this minute.

    The price goes from the open over both extremes to the close and moves only in seconds that
    have trades; a second without trades is flat.
    """
    last_ms = max(minute.close_time_ms, minute.open_time_ms)
    seconds = min((last_ms - minute.open_time_ms) // SECOND_MS + 1, 60)
    trading = min(minute.trade_count, seconds)
    active = {index * seconds // trading: index for index in range(trading)}
    price = minute.open
    candles = []
    for second in range(seconds):
        opened = minute.open_time_ms + second * SECOND_MS
        closed = min(opened + SECOND_MS - 1, last_ms)
        index = active.get(second)
        prices = [price, *(_waypoints(minute, index, trading) if index is not None else ())]
        price = prices[-1]
        amounts = _shares(minute, index, trading)
        candles.append(
            Candle(opened, prices[0], max(prices), min(prices), price, amounts[0], closed,
                   *amounts[1:])
        )  # fmt: skip
    return candles


def minute_so_far(minute: Candle, now_ms: int) -> Candle:
    """The still open minute as it stands at ``now_ms``; its close time is the planned one."""
    elapsed = [second for second in seconds_of(minute) if second.open_time_ms <= now_ms]
    so_far = roll_up(elapsed or [minute], minute.open_time_ms, minute.open_time_ms + MINUTE_MS)
    return so_far._replace(close_time_ms=minute.open_time_ms + MINUTE_MS - 1)


def _waypoints(minute: Candle, index: int, trading: int) -> list[int]:
    extremes = (minute.low, minute.high)
    path = (*(extremes if minute.close >= minute.open else extremes[::-1]), minute.close)
    places = (trading // 4, trading // 2, 3 * trading // 4)
    return [price for place, price in zip(places, path, strict=True) if place == index]


def _shares(minute: Candle, index: int | None, trading: int) -> tuple[int, int, int, int, int]:
    if index is None:
        return (0, 0, 0, 0, 0)

    def share(total: int) -> int:
        return total * (index + 1) // trading - total * index // trading

    return (
        share(minute.volume),
        share(minute.quote_volume),
        share(minute.trade_count),
        share(minute.taker_volume),
        share(minute.taker_quote_volume),
    )
