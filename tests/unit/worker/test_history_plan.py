from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadertask_contract.environment import Trades
from loadertask_contract.intervals import DAY_MS, Interval
from loadertask_contract.time_range import epoch_ms
from loadertask_worker.history_plan import Segment, candle_segments, trade_segments


def ms(text: str) -> int:
    return epoch_ms(datetime.fromisoformat(text).replace(tzinfo=UTC))


NOW_MS = ms("2024-03-10T12:00")
DAILY = "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-"
MONTHLY = "data/spot/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-"
TRADES = "data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-"


def candles(interval: Interval, start: str, end: str) -> list[tuple[int, int, str | None]]:
    found = candle_segments("BTCUSDT", interval, ms(start), ms(end), NOW_MS)
    return [(each.start_ms, each.end_ms, each.file) for each in found]


def test_minutes_come_from_the_files_of_their_days_and_from_rest_today() -> None:
    assert candles(Interval.MINUTE_1, "2024-03-08", "2024-03-10T11:00") == [
        (ms("2024-03-08"), ms("2024-03-09"), f"{DAILY}2024-03-08"),
        (ms("2024-03-09"), ms("2024-03-10"), f"{DAILY}2024-03-09"),
        (ms("2024-03-10"), ms("2024-03-10T11:00"), None),
    ]


def test_a_part_of_a_day_comes_from_its_file_where_it_is_more_than_a_page() -> None:
    assert candles(Interval.MINUTE_1, "2024-03-01T23:00", "2024-03-03T20:00") == [
        (ms("2024-03-01T23:00"), ms("2024-03-02"), None),
        (ms("2024-03-02"), ms("2024-03-03"), f"{DAILY}2024-03-02"),
        (ms("2024-03-03"), ms("2024-03-03T20:00"), f"{DAILY}2024-03-03"),
    ]


def test_whole_months_come_from_the_files_of_old_months_and_rest_is_joined() -> None:
    assert candles(Interval.MINUTE_5, "2023-12-30", "2024-03-05") == [
        (ms("2023-12-30"), ms("2024-01-01"), None),
        (ms("2024-01-01"), ms("2024-02-01"), f"{MONTHLY}2024-01"),
        # The file of February may not be there yet.
        (ms("2024-02-01"), ms("2024-03-05"), None),
    ]


def test_a_month_whose_file_is_known_to_be_wrong_comes_from_rest() -> None:
    files = [file for _, _, file in candles(Interval.MINUTE_5, "2021-03-01", "2021-06-01")]
    assert files == [f"{MONTHLY}2021-03", None, f"{MONTHLY}2021-05"]


@pytest.mark.parametrize(
    "interval", [each for each in Interval if each[-1] in "hdwM" or each == "12h"]
)
def test_where_files_are_smaller_than_a_page_everything_comes_from_rest(
    interval: Interval,
) -> None:
    assert candles(interval, "2017-08-17", "2024-01-01") == [
        (ms("2017-08-17"), ms("2024-01-01"), None)
    ]


def test_trades_come_from_the_file_of_their_day_however_few_are_asked_for() -> None:
    found = trade_segments(
        "BTCUSDT", Trades.AGGREGATE, ms("2024-03-09T23:59"), ms("2024-03-10T00:01"), NOW_MS
    )
    assert list(found) == [
        Segment(ms("2024-03-09T23:59"), ms("2024-03-10"), f"{TRADES}2024-03-09"),
        Segment(ms("2024-03-10"), ms("2024-03-10T00:01"), None),
    ]


def test_raw_trades_have_files_of_their_own() -> None:
    (found,) = trade_segments("BTCUSDT", Trades.RAW, ms("2024-01-01"), ms("2024-01-02"), NOW_MS)
    assert found.file == "data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2024-01-01"
    assert found.stem == "BTCUSDT-trades-2024-01-01"


@given(
    st.sampled_from(Interval),
    st.integers(ms("2017-08-17"), NOW_MS),
    st.integers(0, 400 * DAY_MS),
    st.booleans(),
)
def test_segments_cover_a_range_once_in_order_each_file_within_its_span(
    interval: Interval, start_ms: int, span_ms: int, of_trades: bool
) -> None:
    end_ms = start_ms + span_ms
    if of_trades:
        segments = list(trade_segments("BTCUSDT", Trades.RAW, start_ms, end_ms, NOW_MS))
    else:
        segments = list(candle_segments("BTCUSDT", interval, start_ms, end_ms, NOW_MS))
    assert bool(segments) == bool(span_ms)
    if segments:
        assert (segments[0].start_ms, segments[-1].end_ms) == (start_ms, end_ms)
    for earlier, later in pairwise(segments):
        assert earlier.end_ms == later.start_ms
        assert earlier.file or later.file
    for segment in segments:
        assert segment.start_ms < segment.end_ms
        if segment.file:
            date = segment.stem.split("-", 2)[2]
            opens_ms = ms(date if date.count("-") == 2 else f"{date}-01")
            assert opens_ms <= segment.start_ms
            assert segment.end_ms <= opens_ms + (1 if date.count("-") == 2 else 31) * DAY_MS
            assert segment.end_ms <= NOW_MS
