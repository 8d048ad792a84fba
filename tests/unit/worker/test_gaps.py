"""Candles that are missing, joined over the borders of pages."""

from __future__ import annotations

import pytest

from loadertask_contract.intervals import MINUTE_MS, Interval
from loadertask_worker.gaps import Gaps
from loadertask_worker.windows import Window


def minutes(*numbers: float) -> list[int]:
    return [int(number * MINUTE_MS) for number in numbers]


def window(start: float, end: float) -> Window:
    return Window(*minutes(start, end))


@pytest.mark.parametrize(
    ("pages", "gaps"),
    [
        ([(window(0, 3), minutes(0, 1, 2))], []),
        ([(window(0, 3), minutes(0, 2))], [window(1, 2)]),
        ([(window(0, 3), [])], [window(0, 3)]),
        ([(window(0, 3), minutes(0)), (window(3, 6), minutes(5))], [window(1, 5)]),
        ([(window(0, 3), minutes(0)), (window(3, 6), minutes(3, 4, 5))], [window(1, 3)]),
        # Years that were passed over at once.
        ([(window(0, 3), minutes(0)), (window(3, 9**9), [])], [window(1, 9**9)]),
        ([(window(0, 9**9), []), (window(9**9, 9**9 + 1), minutes(9**9))], [window(0, 9**9)]),
        # What lies between has come from elsewhere.
        ([(window(0, 3), minutes(0)), (window(9, 12), [])], [window(1, 3), window(9, 12)]),
        # A candle of an outage beside the grid, and a window that begins there.
        ([(window(0, 3), minutes(0, 1.5, 2))], []),
        ([(window(0.5, 3), minutes(1, 2))], []),
    ],
)
def test_gaps_are_joined_over_pages(
    pages: list[tuple[Window, list[int]]], gaps: list[Window]
) -> None:
    followed = Gaps(Interval.MINUTE_1)
    found = [gap for page, opens in pages for gap in followed.after(page, opens)]
    assert found + followed.ended() == gaps


def test_a_gap_is_told_with_its_candles_and_bounds() -> None:
    gaps = Gaps(Interval.MINUTE_1)
    place = "missing in [1970-01-01T00:00:00Z, 1970-01-01T00:0"
    assert gaps.told(window(0, 1)) == f"1 candle is {place}1:00Z): the venue has none"
    assert gaps.told(window(0, 2)) == f"2 candles are {place}2:00Z): the venue has none"
