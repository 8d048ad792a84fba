"""Which rows a query gets, against a plain filter over all candles."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadertask_contract.intervals import DAY_MS, HOUR_MS, Interval, next_open
from loadertask_devstack.venue.history import History
from loadertask_devstack.venue.outages import REAL_OUTAGES, moment_ms
from loadertask_devstack.venue.pages import KlinesQuery, PageReader
from loadertask_devstack.venue.symbols import SYMBOLS, Symbol
from loadertask_devstack.venue.synthetic import SyntheticTape

NOW_MS = moment_ms("2026-11-21T13:37:42.5")
HISTORIES = {n: History(SyntheticTape(s, REAL_OUTAGES), []) for n, s in SYMBOLS.items()}


def history_of(symbol: Symbol) -> History:
    return HISTORIES[symbol.name]


READER = PageReader(history_of)


def rows(name: str, interval: Interval, now_ms: int = NOW_MS, **query: Any) -> list[list[Any]]:
    given_query = {"start_ms": None, "end_ms": None, "limit": 500} | query
    page = READER.page(KlinesQuery(SYMBOLS[name], interval, **given_query), now_ms)
    found: list[list[Any]] = json.loads(page.text)
    assert len(found) == page.rows
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([Interval.MINUTE_1, Interval.MINUTE_15, Interval.HOUR_1, Interval.HOUR_12]),
    st.none() | st.integers(-2 * DAY_MS, 6 * DAY_MS),
    st.none() | st.integers(-2 * DAY_MS, 6 * DAY_MS),
    st.integers(1, 1000),
)
def test_a_page_is_a_filter_by_open_time_with_both_ends_inclusive(
    interval: Interval, start: int | None, end: int | None, limit: int
) -> None:
    origin = moment_ms("2023-03-22")
    start_ms, end_ms = (None if t is None else origin + t for t in (start, end))
    now_ms = origin + 5 * DAY_MS + 12_345
    found = rows("ETHUSDT", interval, now_ms, start_ms=start_ms, end_ms=end_ms, limit=limit)
    high_ms = now_ms if end_ms is None else min(end_ms, now_ms)
    # 1000 rows and the longest outage are well inside 1200 candles and two days.
    reach_ms = 1200 * next_open(interval, 0) + 2 * DAY_MS
    low_ms = high_ms - reach_ms if start_ms is None else start_ms
    everything = HISTORIES["ETHUSDT"].candles(interval, low_ms, high_ms + 1, now_ms).rows
    opens = [candle.open_time_ms for candle in everything]
    chosen = opens[-limit:] if start_ms is None else opens[:limit]
    assert [row[0] for row in found] == chosen


def test_walking_from_zero_reads_every_candle_once_and_jumps_gaps() -> None:
    end_ms = moment_ms("2018-02-12")
    opens: list[int] = []
    start_ms = 0
    while page := rows("BTCUSDT", Interval.MINUTE_30, start_ms=start_ms, end_ms=end_ms, limit=1000):
        opens += [row[0] for row in page]
        start_ms = opens[-1] + 1
    assert opens[0] == 1502942400000
    assert opens == sorted(set(opens))
    assert not [t for t in opens if moment_ms("2018-02-08T01:00") <= t < moment_ms("2018-02-09")]


@pytest.mark.parametrize(
    ("interval", "first"), [("1m", "2017-08-17T04:00"), ("1d", "2017-08-17"), ("1w", "2017-08-14"),
                            ("1M", "2017-08-01")],
)  # fmt: skip
def test_the_first_candle_lies_on_the_grid_of_its_interval(interval: str, first: str) -> None:
    assert rows("BTCUSDT", Interval(interval), start_ms=0, limit=1)[0][0] == moment_ms(first)


def test_the_newest_page_of_a_delisted_symbol_is_its_last_one() -> None:
    assert rows("BREAKUSDT", Interval.MINUTE_1)[-1][0] == moment_ms("2022-11-28T02:59")


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("SOLUSDT", "2020-01-01", "2020-02-01"),
        ("BREAKUSDT", "2022-11-29", "2022-12-01"),
        ("BTCUSDT", "2023-03-24T12:40", "2023-03-24T13:59"),
        ("BTCUSDT", "2024-01-02", "2024-01-01"),
        ("BTCUSDT", "2026-11-22", "2026-11-23"),
    ],
)
def test_nothing_there_is_an_empty_page(name: str, start: str, end: str) -> None:
    assert rows(name, Interval.MINUTE_1, start_ms=moment_ms(start), end_ms=moment_ms(end)) == []


def test_kept_blocks_are_forgotten_when_the_histories_change() -> None:
    histories = dict(HISTORIES)
    reader = PageReader(lambda symbol: histories[symbol.name])
    query = KlinesQuery(SYMBOLS["ETHUSDT"], Interval.HOUR_1, moment_ms("2024-01-01"), None, 5)
    before = reader.page(query, NOW_MS)
    histories["ETHUSDT"] = History(SyntheticTape(SYMBOLS["ETHUSDT"], (), seed=5), [])
    assert reader.page(query, NOW_MS) == before
    reader.forget()
    assert reader.page(query, NOW_MS) != before


def test_hours_of_another_zone_open_at_its_half_hours() -> None:
    found = rows("ETHUSDT", Interval.HOUR_1, start_ms=moment_ms("2024-01-01"), limit=3,
                 offset_ms=-HOUR_MS // 2)  # fmt: skip
    assert [row[0] % HOUR_MS for row in found] == [HOUR_MS // 2] * 3
