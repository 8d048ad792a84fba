"""The trade tape: trades that rebuild their candles, ids without a hole, aggregates as runs."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadertask_contract.intervals import DAY_MS, MINUTE_MS, SECOND_MS, Interval
from loadertask_devstack.venue.candles import UNITS_PER_ONE, Candle
from loadertask_devstack.venue.history import History
from loadertask_devstack.venue.minute_trades import (
    Grain,
    fitting,
    minute_trades,
    order_count,
    relative,
)
from loadertask_devstack.venue.outages import REAL_OUTAGES, moment_ms
from loadertask_devstack.venue.recordings import committed_recordings
from loadertask_devstack.venue.rollup import roll_up
from loadertask_devstack.venue.seconds import minute_so_far, seconds_of
from loadertask_devstack.venue.symbols import SYMBOLS
from loadertask_devstack.venue.synthetic import DEFAULT_SEED, SyntheticTape
from loadertask_devstack.venue.tape_minutes import Trade
from loadertask_devstack.venue.trade_tape import TradeTape

OPEN_MS = moment_ms("2020-01-01")
NOW_MS = moment_ms("2026-11-21T13:37:42.5")
NAMES = st.sampled_from(sorted(SYMBOLS.keys() - {"BUSYUSDT"}))
MINUTES = st.integers(moment_ms("2017-08-20") // MINUTE_MS, NOW_MS // MINUTE_MS - 1)
GRAIN = Grain(10**6, 10**3)


def history(name: str) -> History:
    recordings = [r for r in committed_recordings() if r.symbol == name]
    return History(SyntheticTape(SYMBOLS[name], REAL_OUTAGES), recordings)


HISTORIES = {name: history(name) for name in SYMBOLS}
TAPES = {name: TradeTape(HISTORIES[name], DEFAULT_SEED) for name in SYMBOLS}


def candle_of(trades: list[Trade], open_ms: int, close_ms: int) -> Candle:
    prices = [trade.price for trade in trades]
    taken = [trade for trade in trades if not trade.is_buyer_maker]
    return Candle(
        open_ms, prices[0], max(prices), min(prices), prices[-1],
        sum(t.quantity for t in trades), close_ms, sum(t.quote_quantity for t in trades),
        len(trades), sum(t.quantity for t in taken), sum(t.quote_quantity for t in taken),
    )  # fmt: skip


@settings(deadline=None, max_examples=15)
@given(NAMES, MINUTES, st.sampled_from([Interval.MINUTE_1, Interval.SECOND_1]))
def test_the_trades_of_a_minute_or_second_rebuild_its_candle(
    name: str, minute: int, interval: Interval
) -> None:
    start_ms = minute * MINUTE_MS
    candles = HISTORIES[name].candles(interval, start_ms, start_ms + MINUTE_MS, NOW_MS)
    for candle in candles.rows:
        end_ms = candle.close_time_ms + 1
        trades = TAPES[name].trades_between(candle.open_time_ms, end_ms)
        if trades:
            rebuilt = candle_of(trades, candle.open_time_ms, candle.close_time_ms)
            assert rebuilt == candle
        else:
            assert candle.trade_count == candle.volume == 0


def test_the_trades_of_a_recorded_day_rebuild_its_recorded_minutes() -> None:
    symbol_tape, whole = TAPES["BTCUSDT"], 0
    minutes = symbol_tape.minutes(OPEN_MS // DAY_MS)
    for minute in minutes:
        candle, first = minute.minute, minute.first.trades
        trades = list(minute.trades(first, first + candle.trade_count))
        rebuilt = candle_of(trades, candle.open_time_ms, candle.close_time_ms)
        whole += rebuilt == candle
        # The quotes cannot always come out: the trades that made them are not recorded.
        quotes = {"quote_volume": 0, "taker_quote_volume": 0}
        assert rebuilt._replace(**quotes) == candle._replace(**quotes)
        assert abs(rebuilt.quote_volume - candle.quote_volume) < 10**-6 * candle.quote_volume
    assert whole > 0.999 * len(minutes)


@st.composite
def minutes(draw: st.DrawFn) -> Candle:
    """Any minute that trades can have made."""
    steps, cents = 10**3, 10**6
    trades = draw(st.lists(
        st.tuples(st.integers(1, 10**4), st.integers(1, 10**6), st.booleans()), min_size=1,
        max_size=60,
    ))  # fmt: skip
    cut_ms = draw(st.sampled_from([MINUTE_MS - 1, 41_600, 14_788, 0]))
    made = [
        Trade(0, p * cents, a * steps, p * cents * a * steps // UNITS_PER_ONE, 0, is_sell)
        for p, a, is_sell in trades
    ]
    return candle_of(made, OPEN_MS, OPEN_MS + cut_ms)


@settings(deadline=None)
@given(minutes())
def test_count_prices_and_volumes_of_any_possible_minute_come_out_exactly(minute: Candle) -> None:
    grain = fitting(minute, GRAIN)
    columns = minute_trades(minute, grain)
    prices = [minute.open + price * grain.price for price in columns.prices]
    taken = [a for a, sells in zip(columns.amounts, columns.sells, strict=True) if not sells]
    assert [prices[0], max(prices), min(prices), prices[-1]] == list(minute[1:5])
    assert len(prices) == minute.trade_count
    assert min(columns.amounts) >= 1
    assert sum(columns.amounts) * grain.amount == minute.volume
    assert sum(taken) * grain.amount == minute.taker_volume
    assert list(columns.times_ms) == sorted(columns.times_ms)
    assert 0 <= columns.times_ms[0] <= columns.times_ms[-1]
    assert OPEN_MS + columns.times_ms[-1] <= minute.close_time_ms
    assert len(columns.firsts) - 1 == order_count(relative(minute, grain))


@settings(deadline=None)
@given(minutes())
def test_the_seconds_of_a_minute_roll_up_to_exactly_that_minute(minute: Candle) -> None:
    seconds = seconds_of(minute, fitting(minute, GRAIN))
    assert roll_up(seconds, OPEN_MS, OPEN_MS + MINUTE_MS) == minute
    for c in seconds:
        assert c.low <= min(c.open, c.close) <= max(c.open, c.close) <= c.high


@settings(deadline=None)
@given(minutes())
def test_a_second_without_trades_is_flat_and_empty(minute: Candle) -> None:
    for c in seconds_of(minute, fitting(minute, GRAIN))[:-1]:
        if c.trade_count == 0:
            assert c.open == c.high == c.low == c.close
            assert (c.volume, c.quote_volume, c.taker_volume, c.taker_quote_volume) == (0, 0, 0, 0)


@settings(deadline=None)
@given(minutes(), st.integers(0, MINUTE_MS - 1), st.integers(0, MINUTE_MS - 1))
def test_an_open_minute_only_grows(minute: Candle, first: int, second: int) -> None:
    grain = fitting(minute, GRAIN)
    before, after = (minute_so_far(minute, grain, OPEN_MS + ms) for ms in sorted((first, second)))
    assert before.volume <= after.volume <= minute.volume
    assert before.high <= after.high <= minute.high
    assert before.close_time_ms == OPEN_MS + MINUTE_MS - 1


def test_an_open_minute_holds_the_trades_up_to_now_and_no_other() -> None:
    open_ms = NOW_MS // MINUTE_MS * MINUTE_MS
    ethusdt = HISTORIES["ETHUSDT"]
    for now_ms in range(open_ms, open_ms + MINUTE_MS, 7777):
        trades = TAPES["ETHUSDT"].trades_between(open_ms, now_ms + 1)
        (candle,) = ethusdt.candles(Interval.MINUTE_1, open_ms, now_ms + 1, now_ms).rows
        if trades:
            assert candle_of(trades, open_ms, open_ms + MINUTE_MS - 1) == candle
        assert candle.trade_count == len(trades)


@pytest.mark.parametrize("around", ["2023-03-24T12:30", "2020-01-02T23:30", "2021-04-25T04:00"])
def test_ids_are_consecutive_over_midnight_outage_and_recording(around: str) -> None:
    start_ms = moment_ms(around)
    symbol_tape = TAPES["BTCUSDT"]
    trades = symbol_tape.trades_between(start_ms, start_ms + 6 * 60 * MINUTE_MS)
    assert len(trades) > 1000
    assert all(b.id == a.id + 1 for a, b in pairwise(trades))
    assert all(b.time_ms >= a.time_ms for a, b in pairwise(trades))
    aggregates = symbol_tape.agg_between(start_ms, start_ms + 6 * 60 * MINUTE_MS)
    assert all(b.id == a.id + 1 for a, b in pairwise(aggregates))
    assert all(b.first_id == a.last_id + 1 for a, b in pairwise(aggregates))


def test_ids_count_every_trade_since_the_listing() -> None:
    symbol_tape, now_ms = TAPES["币安人生USDT"], moment_ms("2026-01-20T11:11:11.111")
    first = symbol_tape.trades_from(0, 1, now_ms)[0]
    assert (first.id, first.time_ms // MINUTE_MS) == (0, moment_ms("2026-01-07T14:00") // MINUTE_MS)
    minutes = HISTORIES["币安人生USDT"].candles(Interval.MINUTE_1, 0, now_ms, now_ms).rows
    assert symbol_tape.before(now_ms + 1).trades == sum(c.trade_count for c in minutes)


@settings(deadline=None, max_examples=20)
@given(NAMES, MINUTES)
def test_an_aggregate_is_a_run_of_trades_of_one_price_side_and_instant(
    name: str, minute: int
) -> None:
    start_ms = minute * MINUTE_MS
    trades = {t.id: t for t in TAPES[name].trades_between(start_ms, start_ms + MINUTE_MS)}
    covered = []
    for aggregate in TAPES[name].agg_between(start_ms, start_ms + MINUTE_MS):
        run = [trades[id_] for id_ in range(aggregate.first_id, aggregate.last_id + 1)]
        covered += [trade.id for trade in run]
        assert {(t.price, t.time_ms, t.is_buyer_maker) for t in run} == {
            (aggregate.price, aggregate.time_ms, aggregate.is_buyer_maker)
        }
        assert sum(t.quantity for t in run) == aggregate.quantity
    assert covered == list(trades)


def test_several_aggregates_share_one_millisecond() -> None:
    start_ms = moment_ms("2024-05-05T10:00")
    rows = TAPES["BTCUSDT"].agg_between(start_ms, start_ms + 60 * MINUTE_MS)
    assert any(a.time_ms == b.time_ms for a, b in pairwise(rows))


@settings(deadline=None, max_examples=20)
@given(NAMES, MINUTES, st.integers(1, 300))
def test_a_page_by_id_is_the_tape_from_that_id_on(name: str, minute: int, limit: int) -> None:
    symbol_tape, start_ms = TAPES[name], minute * MINUTE_MS
    following = symbol_tape.agg_between(start_ms, start_ms + 5 * MINUTE_MS)
    if following:
        first_id = following[0].id
        page = symbol_tape.agg_from(first_id, limit, NOW_MS)
        newest = symbol_tape.before(NOW_MS + 1).aggregates
        assert len(page) == min(limit, newest - first_id)
        both = min(len(page), len(following))
        assert page[:both] == following[:both]


def test_no_trade_comes_after_now() -> None:
    newest = TAPES["BTCUSDT"].before(NOW_MS + 1).trades
    assert TAPES["BTCUSDT"].trades_from(newest - 5, 1000, NOW_MS)[-1].time_ms <= NOW_MS
    assert len(TAPES["BTCUSDT"].trades_from(newest - 5, 1000, NOW_MS)) == 5


def test_the_busy_symbol_has_two_thousand_trades_in_every_second() -> None:
    for second in range(3):
        start_ms = NOW_MS // MINUTE_MS * MINUTE_MS + second * SECOND_MS
        trades = TAPES["BUSYUSDT"].trades_between(start_ms, start_ms + SECOND_MS)
        assert 1950 < len(trades) < 2050


def test_a_tape_goes_on_from_what_another_has_counted() -> None:
    other = TradeTape(HISTORIES["SOLUSDT"], DEFAULT_SEED)
    middle_ms = moment_ms("2022-02-02")
    expected = other.before(middle_ms), TAPES["SOLUSDT"].before(NOW_MS)
    symbol_tape = TradeTape(HISTORIES["SOLUSDT"], DEFAULT_SEED)
    symbol_tape.take_counts(other)
    assert (symbol_tape.before(middle_ms), symbol_tape.before(NOW_MS)) == expected
