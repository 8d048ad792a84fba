"""Candles of all intervals agree with the minutes, and seconds with their minute."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from loadertask_contract.intervals import DAY_MS, MINUTE_MS, Interval
from loadertask_devstack.venue.candles import Candle
from loadertask_devstack.venue.outages import moment_ms
from loadertask_devstack.venue.rollup import (
    minute_so_far,
    open_at_or_before,
    roll_up,
    roll_up_all,
    seconds_of,
)

OPEN_MS = moment_ms("2020-01-01")


@st.composite
def minutes(draw: st.DrawFn) -> Candle:
    trades = draw(st.integers(0, 500))
    low, high = sorted(draw(st.tuples(*[st.integers(1, 10**12)] * 2)))
    opened, close = draw(st.tuples(*[st.integers(low, high)] * 2))
    if trades == 0:
        return Candle(OPEN_MS, low, low, low, low, 0, OPEN_MS + MINUTE_MS - 1, 0, 0, 0, 0)
    if trades == 1:
        high = low = close = opened
    volume = draw(st.integers(trades, 10**14))
    cut_ms = draw(st.sampled_from([MINUTE_MS - 1, 41_600, 14_788, 0]))
    return Candle(
        OPEN_MS, opened, high, low, close, volume, OPEN_MS + cut_ms, volume * 3, trades,
        volume // 3, volume,
    )  # fmt: skip


@settings(deadline=None)
@given(minutes())
def test_the_seconds_of_a_minute_roll_up_to_exactly_that_minute(minute: Candle) -> None:
    seconds = seconds_of(minute)
    assert roll_up(seconds, OPEN_MS, OPEN_MS + MINUTE_MS) == minute
    assert all(c.low <= min(c.open, c.close) <= max(c.open, c.close) <= c.high for c in seconds)


@settings(deadline=None)
@given(minutes())
def test_a_second_without_trades_is_flat_and_empty(minute: Candle) -> None:
    for c in seconds_of(minute):
        if c.trade_count == 0:
            assert c.open == c.high == c.low == c.close
            assert (c.volume, c.quote_volume, c.taker_volume, c.taker_quote_volume) == (0, 0, 0, 0)


@settings(deadline=None)
@given(minutes(), st.integers(0, 59), st.integers(0, 59))
def test_an_open_minute_only_grows(minute: Candle, first: int, second: int) -> None:
    earlier, later = sorted((first, second))
    before, after = (minute_so_far(minute, OPEN_MS + s * 1000) for s in (earlier, later))
    assert before.volume <= after.volume <= minute.volume
    assert before.high <= after.high <= minute.high
    assert before.close_time_ms == OPEN_MS + MINUTE_MS - 1


def test_missing_minutes_stay_missing_when_rolled_up() -> None:
    whole = [
        Candle(open_ms, 1, 2, 1, 2, 5, open_ms + MINUTE_MS - 1, 1, 1, 1, 1)
        for open_ms in range(OPEN_MS, OPEN_MS + 60 * MINUTE_MS, MINUTE_MS)
        if not 10 <= (open_ms - OPEN_MS) // MINUTE_MS < 40
    ]
    quarters = roll_up_all(whole, Interval.MINUTE_15)
    assert [(c.open_time_ms - OPEN_MS) // MINUTE_MS for c in quarters] == [0, 30, 45]
    assert [c.trade_count for c in quarters] == [10, 5, 15]


def test_a_part_cut_short_inside_a_minute_cuts_the_whole_short() -> None:
    parts = [Candle(OPEN_MS, 1, 1, 1, 1, 0, OPEN_MS + 14_838, 0, 0, 0, 0)]
    assert roll_up(parts, OPEN_MS, OPEN_MS + DAY_MS).close_time_ms == OPEN_MS + 14_838


def test_a_time_zone_moves_the_boundary_of_a_day_and_not_of_an_hour() -> None:
    noon = OPEN_MS + 12 * 60 * MINUTE_MS
    east = 8 * 60 * MINUTE_MS
    assert open_at_or_before(Interval.DAY_1, noon, east) == OPEN_MS - east
    assert open_at_or_before(Interval.HOUR_1, noon, east) == noon
