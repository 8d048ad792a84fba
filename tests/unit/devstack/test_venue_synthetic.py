"""The synthetic tape: deterministic, continuous, the same tape in every interval, real outages."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadertask_contract.intervals import DAY_MS, MINUTE_MS, Interval
from loadertask_devstack.venue.outages import REAL_OUTAGES, Outage, Outages, moment_ms
from loadertask_devstack.venue.rollup import roll_up_all
from loadertask_devstack.venue.symbols import SYMBOLS
from loadertask_devstack.venue.synthetic import SyntheticTape

INTRADAY = [i for i in Interval if i[-1] in "mh" or i is Interval.DAY_1]
NAMES = st.sampled_from(sorted(SYMBOLS))
DAYS = st.integers(moment_ms("2017-06-01") // DAY_MS, moment_ms("2027-01-01") // DAY_MS)


def tape(name: str, **options: int) -> SyntheticTape:
    return SyntheticTape(SYMBOLS[name], REAL_OUTAGES, **options)


def day(text: str) -> int:
    return moment_ms(text) // DAY_MS


@settings(max_examples=30, deadline=None)
@given(NAMES, DAYS, st.sampled_from(INTRADAY))
def test_every_interval_is_the_roll_up_of_the_minutes(
    name: str, number: int, interval: Interval
) -> None:
    symbol_tape = tape(name)
    minutes = symbol_tape.candles(number, Interval.MINUTE_1)
    assert symbol_tape.candles(number, interval) == roll_up_all(minutes, interval)


@settings(max_examples=20, deadline=None)
@given(NAMES, DAYS)
def test_candles_are_possible_and_their_minutes_join(name: str, number: int) -> None:
    minutes = tape(name).candles(number, Interval.MINUTE_1)
    for c in minutes:
        assert 0 < c.low <= min(c.open, c.close) <= max(c.open, c.close) <= c.high
        assert 0 <= c.taker_volume <= c.volume
        assert (c.trade_count == 0) == (c.volume == 0)
        assert c.low * c.volume <= c.quote_volume * 10**8 <= c.high * c.volume
    for before, after in pairwise(minutes):
        assert before.open_time_ms < after.open_time_ms
        if after.open_time_ms == before.open_time_ms + MINUTE_MS:
            assert before.close == after.open


def test_the_days_join_and_any_day_can_be_asked_for_first() -> None:
    late_first = tape("SOLUSDT")
    expected = late_first.candles(day("2025-06-02"), Interval.DAY_1)
    both = tape("SOLUSDT")
    (before,) = both.candles(day("2025-06-01"), Interval.DAY_1)
    (after,) = both.candles(day("2025-06-02"), Interval.DAY_1)
    assert [after] == expected
    assert before.close == after.open


def test_another_seed_or_symbol_makes_another_tape() -> None:
    number = day("2024-02-03")
    tapes = (tape("SOLUSDT"), tape("SOLUSDT", seed=7), tape("BNBUSDT"))
    assert len({t.candles(number, Interval.DAY_1)[0] for t in tapes}) == 3


def test_the_first_minute_is_the_listing() -> None:
    first = tape("BTCUSDT").candles(day("2017-08-17"), Interval.MINUTE_1)[0]
    assert first.open_time_ms == 1502942400000
    assert tape("BTCUSDT").candles(day("2017-08-16"), Interval.MINUTE_1) == []


@pytest.mark.parametrize(
    ("date", "missing"),
    [("2019-05-15", 600), ("2019-11-13", 143), ("2020-02-19", 354), ("2021-02-11", 79),
     ("2023-03-24", 80), ("2018-02-08", 1411), ("2024-05-05", 0)],
)  # fmt: skip
def test_real_outages_have_no_candles(date: str, missing: int) -> None:
    assert len(tape("ETHUSDT").candles(day(date), Interval.MINUTE_1)) == 1440 - missing


def test_the_minute_in_which_an_outage_begins_is_cut_short_and_so_is_its_hour() -> None:
    number, closed = day("2018-02-08"), moment_ms("2018-02-08T00:28:14.788")
    symbol_tape = tape("BTCUSDT")
    assert symbol_tape.candles(number, Interval.MINUTE_1)[-1].close_time_ms == closed
    assert symbol_tape.candles(number, Interval.HOUR_1)[-1].close_time_ms == closed


def test_one_outage_left_a_candle_that_closes_when_it_opens() -> None:
    minutes = tape("BTCUSDT").candles(day("2017-09-06"), Interval.MINUTE_1)
    assert any(c.close_time_ms == c.open_time_ms for c in minutes)


def test_a_delisted_symbol_ends_with_its_last_minute() -> None:
    last = tape("BREAKUSDT").candles(day("2022-11-28"), Interval.MINUTE_1)[-1]
    assert last.open_time_ms == moment_ms("2022-11-28T02:59")
    assert tape("BREAKUSDT").candles(day("2022-11-29"), Interval.MINUTE_1) == []


def test_a_halted_symbol_goes_on_with_flat_empty_candles() -> None:
    symbol_tape = tape("HALTUSDT")
    halting = symbol_tape.candles(day("2026-01-15"), Interval.MINUTE_1)
    traded, flat = halting[719], halting[720:]
    later = symbol_tape.candles(day("2026-03-01"), Interval.HOUR_1)
    for c in (*flat, *later):
        assert c.open == c.high == c.low == c.close == traded.close
        assert (c.volume, c.trade_count) == (0, 0)


def test_a_quiet_symbol_has_flat_minutes_among_traded_ones() -> None:
    minutes = tape("QUIETUSDT").candles(day("2024-01-01"), Interval.MINUTE_1)
    flat = [c for c in minutes if c.trade_count == 0]
    assert 500 < len(flat) < 1200


def test_a_relisted_symbol_has_a_hole() -> None:
    assert tape("USDCUSDT").candles(day("2022-12-24"), Interval.DAY_1) == []


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=6))
def test_overlapping_outages_act_as_their_union(spans: list[tuple[int, int]]) -> None:
    outages = Outages(Outage(start, start + length) for start, length in spans)
    for moment in range(75):
        is_down = any(start <= moment < start + length for start, length in spans)
        assert outages.touch(moment, moment + 1) == is_down
