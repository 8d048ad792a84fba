"""Seconds, and minutes that are still open, from the trades of a minute. Pure.

The seconds of a minute roll up to exactly this minute; one without trades is flat.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import compress
from operator import mul, not_
from typing import NamedTuple

from loadertask_contract.intervals import MINUTE_MS, SECOND_MS
from loadertask_devstack.venue.candles import UNITS_PER_ONE, Candle
from loadertask_devstack.venue.minute_trades import (
    Grain,
    MinuteTrades,
    RelativeMinute,
    relative,
    trades_of,
)
from loadertask_devstack.venue.rollup import roll_up


class _Part(NamedTuple):
    """What traded in a part of a minute; prices from its open, in steps of its grain."""

    open: int
    high: int
    low: int
    close: int
    amount: int
    quote: int
    trades: int
    bought: int
    bought_quote: int


def seconds_of(minute: Candle, grain: Grain) -> list[Candle]:
    """The seconds of a minute, or of what an outage left of it."""
    seconds = _placed(_parts(relative(minute, grain)), minute, grain)
    # Where the trades cannot have the minute's very quote, its last second makes up for it.
    quote = minute.quote_volume - sum(second.quote_volume for second in seconds)
    taker = minute.taker_quote_volume - sum(second.taker_quote_volume for second in seconds)
    if quote or taker:
        last = seconds[-1]
        seconds[-1] = last._replace(
            quote_volume=last.quote_volume + quote,
            taker_quote_volume=last.taker_quote_volume + taker,
        )
    return seconds


def seconds_so_far(minute: Candle, grain: Grain, now_ms: int) -> list[Candle]:
    """The seconds that have begun at ``now_ms``; the running one with its trades up to then."""
    passed_ms = now_ms - minute.open_time_ms
    last_ms = max(minute.close_time_ms - minute.open_time_ms, 0)
    if passed_ms >= last_ms:
        return seconds_of(minute, grain)
    like = relative(minute, grain)
    running = passed_ms // SECOND_MS
    parts = _parts(like)[:running]
    price = parts[-1].close if parts else 0
    trades = trades_of(like)
    first = bisect_left(trades.times_ms, running * SECOND_MS)
    stop = bisect_right(trades.times_ms, passed_ms)
    return _placed([*parts, _part(trades, first, stop, price)], minute, grain)


def minute_so_far(minute: Candle, grain: Grain, now_ms: int) -> Candle:
    """The still open minute as it stands at ``now_ms``; its close time is the planned one."""
    end_ms = minute.open_time_ms + MINUTE_MS
    so_far = roll_up(seconds_so_far(minute, grain, now_ms), minute.open_time_ms, end_ms)
    return so_far._replace(close_time_ms=end_ms - 1)


@lru_cache(maxsize=256)
def _parts(minute: RelativeMinute) -> Sequence[_Part]:
    """A minute by seconds."""
    trades = trades_of(minute)
    price, first, parts = 0, 0, []
    for end_ms in range(SECOND_MS, minute.span_ms + SECOND_MS, SECOND_MS):
        stop = bisect_left(trades.times_ms, end_ms, first)
        parts.append(_part(trades, first, stop, price))
        price, first = parts[-1].close, stop
    return parts


def _part(trades: MinuteTrades, first: int, stop: int, price: int) -> _Part:
    if first == stop:
        return _Part(price, price, price, price, 0, 0, 0, 0, 0)
    prices, amounts = trades.prices[first:stop], trades.amounts[first:stop]
    quotes = list(map(mul, prices, amounts))
    is_bought = list(map(not_, trades.sells[first:stop]))
    return _Part(
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        sum(amounts),
        sum(quotes),
        stop - first,
        sum(compress(amounts, is_bought)),
        sum(compress(quotes, is_bought)),
    )


def _placed(parts: Sequence[_Part], minute: Candle, grain: Grain) -> list[Candle]:
    """The parts as candles, one second each from the minute's open time on."""
    price, step = grain
    opened, scale = minute.open, price * step
    last_ms = max(minute.close_time_ms, minute.open_time_ms)
    return [
        Candle(
            open_ms,
            opened + p.open * price,
            opened + p.high * price,
            opened + p.low * price,
            opened + p.close * price,
            p.amount * step,
            min(open_ms + SECOND_MS - 1, last_ms),
            (p.quote * scale + opened * p.amount * step) // UNITS_PER_ONE,
            p.trades,
            p.bought * step,
            (p.bought_quote * scale + opened * p.bought * step) // UNITS_PER_ONE,
        )
        for open_ms, p in zip(
            range(minute.open_time_ms, last_ms + 1, SECOND_MS), parts, strict=False
        )
    ]
