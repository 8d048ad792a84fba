from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadertask_contract.intervals import (
    Interval,
    count_opens,
    next_open,
    open_at_or_after,
    open_at_or_before,
    parse_interval,
)

intervals = st.sampled_from(list(Interval))
times_ms = st.integers(min_value=1_483_228_800_000, max_value=2_000_000_000_000)


def ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc]


def test_the_sixteen_intervals_of_the_venue_parse_and_differ_by_case() -> None:
    assert len(Interval) == 16
    assert parse_interval("1m") is Interval.MINUTE_1
    assert parse_interval("1M") is Interval.MONTH_1


@pytest.mark.parametrize("text", ["", "9m", "1H", "1mo", "m", "60"])
def test_an_unknown_interval_is_refused_with_the_list_of_known_ones(text: str) -> None:
    with pytest.raises(ValueError, match="use one of 1s, 1m"):
        parse_interval(text)


@pytest.mark.parametrize(
    ("interval", "inside", "opens", "then"),
    [
        ("1m", ms(2023, 1, 1, 0, 0, 59), ms(2023, 1, 1), ms(2023, 1, 1, 0, 1)),
        ("12h", ms(2023, 1, 1, 23), ms(2023, 1, 1, 12), ms(2023, 1, 2)),
        # 2017-08-17 opens a three-day candle of BTCUSDT (venue facts, §3.2).
        ("3d", ms(2017, 8, 19, 23), ms(2017, 8, 17), ms(2017, 8, 20)),
        ("1w", ms(2017, 8, 17), ms(2017, 8, 14), ms(2017, 8, 21)),
        ("1M", ms(2024, 2, 29, 12), ms(2024, 2, 1), ms(2024, 3, 1)),
        ("1M", ms(2023, 12, 31), ms(2023, 12, 1), ms(2024, 1, 1)),
    ],
)
def test_the_grid_is_the_venues(interval: str, inside: int, opens: int, then: int) -> None:
    assert open_at_or_before(Interval(interval), inside) == opens
    assert next_open(Interval(interval), opens) == then


@given(intervals, times_ms)
def test_every_moment_lies_in_exactly_one_candle(interval: Interval, time_ms: int) -> None:
    opens = open_at_or_before(interval, time_ms)
    assert opens <= time_ms < next_open(interval, opens)
    assert open_at_or_before(interval, opens) == opens


@given(intervals, times_ms)
def test_the_open_at_or_after_is_the_first_that_is_not_before(
    interval: Interval, time_ms: int
) -> None:
    opens = open_at_or_after(interval, time_ms)
    assert opens >= time_ms
    assert open_at_or_before(interval, opens) == opens
    assert open_at_or_before(interval, opens - 1) < time_ms


@given(intervals, times_ms, st.integers(min_value=0, max_value=400))
def test_the_count_of_opens_is_what_walking_the_grid_finds(
    interval: Interval, start_ms: int, steps: int
) -> None:
    end_ms = open_at_or_after(interval, start_ms)
    for _ in range(steps):
        end_ms = next_open(interval, end_ms)
    assert count_opens(interval, start_ms, end_ms) == steps
