"""The trades of one symbol, consistent with its minutes, with ids from 0 on without a hole. Pure.

Ids count the trades of every day since the listing: a day's first id is a sum over days (cheap, for
nearly all days have one of a few shapes), a minute's a sum over its day. Always synthetic.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from operator import add
from typing import NamedTuple

from loadertask_contract.intervals import DAY_MS, MINUTE_MS, Interval
from loadertask_devstack.venue.cancelled import CancelledIds
from loadertask_devstack.venue.history import History
from loadertask_devstack.venue.minute_trades import RelativeMinute, order_count, relative
from loadertask_devstack.venue.tape_minutes import AggTrade, Counts, TapeMinute, Trade
from loadertask_devstack.venue.templates import DayShape, day_columns

__all__ = ["AggTrade", "Counts", "Trade", "TradeTape"]

_KEPT_DAYS = 6
_NONE = Counts(0, 0)


class _Day(NamedTuple):
    """The minutes of a day by their open times and by their first ids."""

    minutes: list[TapeMinute]
    opens_ms: list[int]
    first_trades: list[int]
    first_aggregates: list[int]


class TradeTape:
    """The trades of one symbol; times in epoch milliseconds."""

    def __init__(self, history: History, seed: int, cancelled: Iterable[int] = ()) -> None:
        self._history = history
        self._cancelled = CancelledIds(cancelled)
        self._seed = seed
        self._first_day = history.symbol.listed_ms // DAY_MS
        # Counts before each day from the listing on; grows by a pair per day.
        self._trades_before, self._aggregates_before = [0], [0]
        self._day = lru_cache(maxsize=_KEPT_DAYS)(self._read_day)

    def trades_between(self, start_ms: int, end_ms: int) -> list[Trade]:
        """The trades in [start_ms, end_ms), ascending."""
        return list(self._trades(self.before(start_ms).trades, self.before(end_ms).trades))

    def agg_between(self, start_ms: int, end_ms: int) -> list[AggTrade]:
        """The aggregate trades in [start_ms, end_ms), ascending."""
        first, stop = self.before(start_ms), self.before(end_ms)
        return list(self._shown(first.aggregates, stop.aggregates))

    def trades_from(self, first_id: int, limit: int, now_ms: int) -> list[Trade]:
        """At most ``limit`` trades from an id on, none after now."""
        stop_id = min(first_id + limit, self.before(now_ms + 1).trades)
        return list(self._trades(first_id, stop_id))

    def agg_from(self, first_id: int, limit: int, now_ms: int) -> list[AggTrade]:
        """At most ``limit`` aggregate trades from an id on, none after now."""
        stop_id = min(first_id + limit, self.before(now_ms + 1).aggregates)
        return list(self._shown(first_id, stop_id))

    def before(self, time_ms: int) -> Counts:
        """How many trades and aggregates come before a moment: the ids of the next ones."""
        counts = self._before(time_ms)
        return counts._replace(aggregates=self._cancelled.shown_id(counts.aggregates))

    def take_counts(self, other: TradeTape) -> None:
        """Know what another tape of the same history has counted, in whatever thread it is."""
        counted = len(other._aggregates_before)  # appended last
        if counted > len(self._trades_before):
            self._trades_before = other._trades_before[:counted]
            self._aggregates_before = other._aggregates_before[:counted]

    def count_ahead(self, now_ms: int) -> Iterator[None]:
        """Count the days up to now one by one, so that the first page need not do it."""
        for day in range(self._first_day, now_ms // DAY_MS + 1):
            self._count_up_to(day)
            yield

    def minutes(self, day: int) -> list[TapeMinute]:
        """The minutes of a UTC day with their trades, as if it were over."""
        if day < self._first_day:
            return []
        self._count_up_to(day)
        return self._day(day).minutes

    def _before(self, time_ms: int) -> Counts:
        number = time_ms // DAY_MS
        if number < self._first_day:
            return Counts(0, 0)
        self._count_up_to(number)
        day = self._day(number)
        index = bisect_right(day.opens_ms, time_ms) - 1
        if index < 0:
            place = number - self._first_day
            return Counts(self._trades_before[place], self._aggregates_before[place])
        minute = day.minutes[index]
        return Counts(*map(add, minute.first, minute.before(time_ms)))

    def _shown(self, first_id: int, stop_id: int) -> Iterator[AggTrade]:
        """Aggregates by the ids that clients see, cancelled ones among them."""
        cancelled = self._cancelled
        if not cancelled or stop_id <= first_id:
            yield from self._aggregates(first_id, stop_id)
            return
        # One row earlier: a cancelled one has the time of the true one before it.
        rows = self._aggregates(max(cancelled.tape_id(first_id) - 1, 0), cancelled.tape_id(stop_id))
        id_, time_ms = -1, 0
        for row in rows:
            shown, time_ms = cancelled.row_id(row.id), row.time_ms
            if shown >= first_id:
                yield row._replace(id=shown)
            id_ = shown + 1
            while id_ in cancelled and id_ < stop_id:
                if id_ >= first_id:
                    yield AggTrade(id_, 0, 0, -1, -1, time_ms, row.is_buyer_maker)
                id_ += 1

    def _trades(self, first_id: int, stop_id: int) -> Iterator[Trade]:
        place = bisect_right(self._trades_before, first_id) - 1
        while first_id < stop_id:
            day = self._day(self._first_day + place)
            for minute in day.minutes[max(bisect_right(day.first_trades, first_id) - 1, 0) :]:
                if minute.first.trades >= stop_id:
                    return
                yield from minute.trades(first_id, stop_id)
            place += 1
            first_id = max(first_id, self._trades_before[place])

    def _aggregates(self, first_id: int, stop_id: int) -> Iterator[AggTrade]:
        place = bisect_right(self._aggregates_before, first_id) - 1
        while first_id < stop_id:
            day = self._day(self._first_day + place)
            for minute in day.minutes[max(bisect_right(day.first_aggregates, first_id) - 1, 0) :]:
                if minute.first.aggregates >= stop_id:
                    return
                yield from minute.aggregates(first_id, stop_id)
            place += 1
            first_id = max(first_id, self._aggregates_before[place])

    def _count_up_to(self, day: int) -> None:
        """Know the counts before this day and before the day after it."""
        while len(self._trades_before) <= day - self._first_day + 1:
            counts = self._counts(self._first_day + len(self._trades_before) - 1)
            self._trades_before.append(self._trades_before[-1] + counts.trades)
            self._aggregates_before.append(self._aggregates_before[-1] + counts.aggregates)

    def _counts(self, day: int) -> Counts:
        shape = self._history.shape(day)
        if shape and self._history.is_undisturbed(day):
            return _shape_sum(shape, self._seed)
        return _sum(self._counts_by_minute(day))

    def _counts_by_minute(self, day: int) -> list[Counts]:
        minutes, shape = self._history.minutes(day), self._history.shape(day)
        if shape is None:
            likes = (relative(minute, self._history.grain(minute)) for minute in minutes)
            return [Counts(like.trades, order_count(like)) for like in likes]
        counts, start_ms = _shape_counts(shape, self._seed), day * DAY_MS
        return [
            counts[(minute.open_time_ms - start_ms) // MINUTE_MS] if minute.trade_count else _NONE
            for minute in minutes
        ]

    def _read_day(self, day: int) -> _Day:
        place = day - self._first_day
        by_minute = self._counts_by_minute(day)
        trades = list(accumulate((c.trades for c in by_minute), initial=self._trades_before[place]))
        aggregates = list(
            accumulate((c.aggregates for c in by_minute), initial=self._aggregates_before[place])
        )
        minutes = self._history.minutes(day)
        placed = zip(minutes, trades, aggregates, strict=False)
        return _Day(
            [TapeMinute(m, self._history.grain(m), Counts(t, a)) for m, t, a in placed],
            [minute.open_time_ms for minute in minutes],
            trades[:-1],
            aggregates[:-1],
        )


@lru_cache(maxsize=256)
def _shape_counts(shape: DayShape, seed: int) -> tuple[Counts, ...]:
    """The counts of each minute of a day."""
    of = day_columns(shape, Interval.MINUTE_1, seed)
    counts = []
    for trades, opened, high, low, close, amount, taken in zip(
        of.trades, of.opens, of.highs, of.lows, of.closes, of.amounts, of.taker_amounts, strict=True
    ):
        prices = high - opened, low - opened, close - opened
        like = RelativeMinute(MINUTE_MS, trades, *prices, taken, amount - taken, 0, 0)
        counts.append(Counts(trades, order_count(like)))
    return tuple(counts)


@lru_cache(maxsize=256)
def _shape_sum(shape: DayShape, seed: int) -> Counts:
    return _sum(_shape_counts(shape, seed))


def _sum(counts: Sequence[Counts]) -> Counts:
    return Counts(sum(c.trades for c in counts), sum(c.aggregates for c in counts))
