"""Candles of all intervals agree with the minutes."""

from __future__ import annotations

from loadertask_contract.intervals import DAY_MS, MINUTE_MS, Interval
from loadertask_devstack.venue.candles import Candle
from loadertask_devstack.venue.outages import moment_ms
from loadertask_devstack.venue.rollup import open_at_or_before, roll_up, roll_up_all

OPEN_MS = moment_ms("2020-01-01")


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
