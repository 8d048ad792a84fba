from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadertask_contract.intervals import Interval, count_opens
from loadertask_contract.time_range import TimeRange, epoch_ms, parse_time_range
from loadertask_worker.errors import ProtocolViolatedError
from loadertask_worker.windows import (
    OPENS_PER_WINDOW,
    ROWS_PER_REQUEST,
    SETTLE_MS,
    CandlePlan,
    Window,
    check_page,
    page_windows,
    plan_candles,
    rest_of,
)

MINUTE_MS = 60_000
FIRST_MS = epoch_ms(datetime(2017, 8, 17, tzinfo=UTC))


@st.composite
def plans(draw: st.DrawFn) -> CandlePlan:
    interval = draw(st.sampled_from(Interval))
    start_ms = draw(st.integers(FIRST_MS, FIRST_MS + 10**11))
    # At most some dozens of windows, whatever the interval.
    most_ms = 10**7 if interval is Interval.SECOND_1 else 10**9
    return CandlePlan(interval, start_ms, start_ms + draw(st.integers(0, most_ms)))


@given(plans())
def test_windows_cover_a_plan_without_gap_or_overlap(plan: CandlePlan) -> None:
    reached_ms = plan.start_ms
    for window in page_windows(plan):
        assert window.start_ms == reached_ms < window.end_ms
        reached_ms = window.end_ms
    assert reached_ms == max(plan.start_ms, plan.end_ms)


@given(plans())
def test_no_window_holds_more_of_the_grid_than_leaves_room_for_one_more_row(
    plan: CandlePlan,
) -> None:
    for window in page_windows(plan):
        opens = count_opens(plan.interval, window.start_ms, window.end_ms)
        assert opens <= OPENS_PER_WINDOW < ROWS_PER_REQUEST


def test_a_day_of_minutes_is_two_windows() -> None:
    day = parse_time_range("2020-01-01:2020-01-02")
    plan = CandlePlan(Interval.MINUTE_1, day.start_ms, day.end_ms)
    assert plan.total == 1440
    assert list(page_windows(plan)) == [
        Window(day.start_ms, day.start_ms + 999 * MINUTE_MS),
        Window(day.start_ms + 999 * MINUTE_MS, day.end_ms),
    ]


def test_all_months_of_the_venue_fit_into_one_window() -> None:
    years = parse_time_range("2017-08-01:2026-01-01")
    windows = list(page_windows(CandlePlan(Interval.MONTH_1, years.start_ms, years.end_ms)))
    assert windows == [Window(years.start_ms, years.end_ms)]


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2024-01-02T12:00:30", "2024-01-02T12:00:00"),
        ("2024-01-02T12:00:01", "2024-01-02T11:59:00"),  # 12:00 has not settled
        ("2024-01-02T12:00:02", "2024-01-02T12:00:00"),
        ("2024-01-05T00:00:00", "2024-01-03T00:00:00"),
    ],
)
def test_an_end_in_the_future_is_cut_to_the_last_closed_candle(now: str, end: str) -> None:
    asked = parse_time_range("2024-01-02:2024-01-03")
    now_ms = epoch_ms(datetime.fromisoformat(now).replace(tzinfo=UTC))
    plan = plan_candles(Interval.MINUTE_1, asked, now_ms)
    assert plan.end_ms == epoch_ms(datetime.fromisoformat(end).replace(tzinfo=UTC))


def test_a_range_whose_first_candle_is_open_holds_nothing() -> None:
    start = datetime(2024, 1, 2, 12, tzinfo=UTC)
    asked = TimeRange(start, start + timedelta(hours=1))
    plan = plan_candles(Interval.HOUR_1, asked, asked.start_ms + SETTLE_MS)
    assert (plan.total, list(page_windows(plan))) == (0, [])


@pytest.mark.parametrize(
    "opens",
    [
        [],
        [1_000],
        [1_000, 2_000, 9_999],
        [1_001, 1_002, 5_555],  # off the grid: the outages of 2018
    ],
)
def test_rows_inside_a_window_in_ascending_order_are_accepted(opens: list[int]) -> None:
    check_page(Window(1_000, 10_000), opens)


@pytest.mark.parametrize(
    ("opens", "what"),
    [
        ([999, 2_000], "outside"),
        ([2_000, 10_000], "outside"),
        ([2_000, 2_000], "comes after"),
        ([3_000, 2_000], "comes after"),
        ([1_672_531_200_000_000], "outside"),  # microseconds
    ],
)
def test_rows_that_were_not_asked_for_are_refused(opens: list[int], what: str) -> None:
    with pytest.raises(ProtocolViolatedError, match=what):
        check_page(Window(1_000, 10_000), opens)


def test_the_rest_of_a_window_is_asked_for_when_a_page_is_full() -> None:
    opens = list(range(ROWS_PER_REQUEST))
    assert rest_of(Window(0, 5_000), opens) == Window(1_000, 5_000)
    assert rest_of(Window(0, 5_000), opens[:-1]) is None
    assert rest_of(Window(0, 1_000), opens) is None


@given(st.sets(st.integers(0, 4_999), max_size=3_000), st.integers(1, 5_000))
def test_following_the_rest_finds_every_row_once(rows: set[int], end_ms: int) -> None:
    """Against a venue with any rows at all: more in a window than one answer holds."""
    found: list[int] = []
    window: Window | None = Window(0, end_ms)
    while window:
        inside = sorted(row for row in rows if window.start_ms <= row < window.end_ms)
        page = inside[:ROWS_PER_REQUEST]
        check_page(window, page)
        found += page
        window = rest_of(window, page)
    assert found == sorted(row for row in rows if row < end_ms)
