"""Where a candle comes from, and how the open one stands at a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadertask_contract.intervals import DAY_MS, HOUR_MS, MINUTE_MS, Interval, next_open
from loadertask_devstack.venue.history import History, Source
from loadertask_devstack.venue.outages import REAL_OUTAGES, moment_ms
from loadertask_devstack.venue.recordings import Recording, committed_recordings
from loadertask_devstack.venue.rollup import roll_up_all
from loadertask_devstack.venue.symbols import SYMBOLS
from loadertask_devstack.venue.synthetic import SyntheticTape

NOW_MS = moment_ms("2026-11-21T13:37:42.5")
JANUARY_MS = moment_ms("2020-01-01")


@pytest.fixture(scope="module")
def bitcoin() -> History:
    return History(SyntheticTape(SYMBOLS["BTCUSDT"], REAL_OUTAGES), committed_recordings())


def test_recorded_days_are_recorded_and_their_neighbours_synthetic(bitcoin: History) -> None:
    found = bitcoin.candles(Interval.DAY_1, JANUARY_MS - DAY_MS, JANUARY_MS + 4 * DAY_MS, NOW_MS)
    synthetic, recorded = Source.SYNTHETIC.value, Source.RECORDED.value
    assert found.sources == [synthetic, recorded, recorded, recorded, synthetic]


def test_a_week_of_both_says_both(bitcoin: History) -> None:
    monday_ms = moment_ms("2019-12-30")
    found = bitcoin.candles(Interval.WEEK_1, monday_ms, monday_ms + 1, NOW_MS)
    assert Source(found.sources[0]).label == "recorded, synthetic"


@pytest.mark.parametrize("interval", [i for i in Interval if i is not Interval.SECOND_1])
def test_every_interval_rolls_up_the_same_minutes(bitcoin: History, interval: Interval) -> None:
    start_ms = next_open(interval, moment_ms("2019-12-01"))
    if interval in {Interval.DAY_3, Interval.WEEK_1}:
        start_ms = moment_ms("2019-12-02")  # a Monday, and day number 18232 = 1 modulo 3
    end_ms = moment_ms("2020-02-01") if interval is Interval.MONTH_1 else start_ms + 21 * DAY_MS
    minutes = bitcoin.candles(Interval.MINUTE_1, start_ms, end_ms, NOW_MS)
    found = bitcoin.candles(interval, start_ms, end_ms, NOW_MS)
    assert found.rows == roll_up_all(minutes.rows, interval)


def test_seconds_roll_up_to_the_recorded_minutes_and_are_synthetic(bitcoin: History) -> None:
    seconds = bitcoin.candles(Interval.SECOND_1, JANUARY_MS, JANUARY_MS + HOUR_MS, NOW_MS)
    minutes = bitcoin.candles(Interval.MINUTE_1, JANUARY_MS, JANUARY_MS + HOUR_MS, NOW_MS)
    assert roll_up_all(seconds.rows, Interval.MINUTE_1) == minutes.rows
    assert Source(seconds.source) is Source.SYNTHETIC


def test_a_coarse_recording_serves_its_interval_and_longer_ones_only() -> None:
    class Hours(Recording):
        def candles(self, day: int) -> list:  # type: ignore[type-arg]
            return tape.candles(day, Interval.HOUR_1)

    tape = SyntheticTape(SYMBOLS["SOLUSDT"], (), seed=1)
    number = moment_ms("2024-01-01") // DAY_MS
    hours = Hours(Path("x"), "SOLUSDT", Interval.HOUR_1, range(number, number + 1))
    history = History(SyntheticTape(SYMBOLS["SOLUSDT"], ()), [hours])
    span = (number * DAY_MS, (number + 1) * DAY_MS, NOW_MS)
    for interval in (Interval.HOUR_1, Interval.HOUR_4, Interval.DAY_1):
        found = history.candles(interval, *span)
        assert found.rows == tape.candles(number, interval)
        assert Source(found.source) is Source.RECORDED
    assert Source(history.candles(Interval.MINUTE_30, *span).source) is Source.SYNTHETIC


@pytest.mark.parametrize("interval", list(Interval))
def test_the_last_candle_is_open_and_closes_in_the_future(
    bitcoin: History, interval: Interval
) -> None:
    last = bitcoin.candles(interval, NOW_MS - 40 * DAY_MS // (1 + 39 * (interval == "1s")),
                           NOW_MS + DAY_MS, NOW_MS).rows[-1]  # fmt: skip
    assert last.open_time_ms <= NOW_MS < last.close_time_ms + 1
    assert last.close_time_ms == next_open(interval, last.open_time_ms) - 1


def test_the_open_candle_changes_until_it_is_the_closed_one(bitcoin: History) -> None:
    minute_ms = NOW_MS // MINUTE_MS * MINUTE_MS
    stands = [
        bitcoin.candles(Interval.MINUTE_1, minute_ms, minute_ms + MINUTE_MS, minute_ms + after_ms)
        for after_ms in (0, 20_000, 59_999, 60_000)
    ]
    volumes = [stand.rows[0].volume for stand in stands]
    assert volumes[0] < volumes[1] < volumes[2]
    assert stands[2] == stands[3]


def test_a_day_of_another_time_zone_is_the_same_minutes_cut_elsewhere(bitcoin: History) -> None:
    east_ms = 8 * HOUR_MS
    opened = JANUARY_MS - east_ms
    (day,) = bitcoin.candles(Interval.DAY_1, opened, opened + 1, NOW_MS, east_ms).rows
    minutes = bitcoin.candles(Interval.MINUTE_1, opened, opened + DAY_MS, NOW_MS).rows
    assert [day] == roll_up_all(minutes, Interval.DAY_1, east_ms)
