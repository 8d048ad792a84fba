"""One minute of the trade tape: its trades and aggregate trades with their ids. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from loadertask_devstack.venue.candles import UNITS_PER_ONE, Candle
from loadertask_devstack.venue.minute_trades import Grain, MinuteTrades, minute_trades


class Trade(NamedTuple):
    """One trade; price and amounts in units of 1e-8."""

    id: int
    price: int
    quantity: int
    quote_quantity: int
    time_ms: int
    is_buyer_maker: bool


class AggTrade(NamedTuple):
    """The trades ``first_id`` to ``last_id`` of one taker's order at one price."""

    id: int
    price: int
    quantity: int
    first_id: int
    last_id: int
    time_ms: int
    is_buyer_maker: bool


class Counts(NamedTuple):
    """Numbers of trades and of aggregate trades; those before a moment are its first ids."""

    trades: int
    aggregates: int


class TapeMinute(NamedTuple):
    """A minute and the first ids in it."""

    minute: Candle
    grain: Grain
    first: Counts

    @property
    def columns(self) -> MinuteTrades:
        """Its trades, relative to it."""
        return minute_trades(self.minute, self.grain)

    def before(self, time_ms: int) -> Counts:
        """How many trades and aggregates of this minute come before a moment."""
        columns = self.columns
        trades = bisect_left(columns.times_ms, time_ms - self.minute.open_time_ms)
        return Counts(trades, bisect_left(columns.firsts, trades))

    def trades(self, first_id: int, stop_id: int) -> Iterator[Trade]:
        """Those of its trades whose id is in [first_id, stop_id)."""
        columns, (price, step) = self.columns, self.grain
        opened, open_ms, shift = self.minute.open, self.minute.open_time_ms, self.first.trades
        indexes = slice(max(first_id - shift, 0), max(stop_id - shift, 0))
        picked = (column[indexes] for column in columns[:4])
        number = max(first_id, shift)
        for id_, (time_ms, offset, amount, is_sell) in enumerate(zip(*picked, strict=True), number):
            at, quantity = opened + offset * price, amount * step
            quote = at * quantity // UNITS_PER_ONE
            yield Trade(id_, at, quantity, quote, open_ms + time_ms, bool(is_sell))

    def aggregates(self, first_id: int, stop_id: int) -> Iterator[AggTrade]:
        """Those of its aggregate trades whose id is in [first_id, stop_id)."""
        columns, (price, step) = self.columns, self.grain
        opened, open_ms, (shift, number) = self.minute.open, self.minute.open_time_ms, self.first
        last = len(columns.firsts) - 1
        for index in range(max(first_id - number, 0), min(stop_id - number, last)):
            first, stop = columns.firsts[index], columns.firsts[index + 1]
            yield AggTrade(
                number + index,
                opened + columns.prices[first] * price,
                sum(columns.amounts[first:stop]) * step,
                shift + first,
                shift + stop - 1,
                open_ms + columns.times_ms[first],
                bool(columns.sells[first]),
            )
