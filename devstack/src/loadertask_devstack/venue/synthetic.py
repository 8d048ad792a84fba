"""The synthetic tape of one symbol: any day from its listing on, made from its number alone.

Deterministic for a seed; memory does not grow with the range served. Every interval is a sum over
the same minutes. It invents numbers and says so: whoever serves them labels them synthetic.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from itertools import chain

from loadertask_contract.intervals import DAY_MS, MINUTE_MS, Interval, next_open
from loadertask_devstack.venue.candles import UNITS_PER_ONE, Candle
from loadertask_devstack.venue.minute_trades import Grain
from loadertask_devstack.venue.outages import Outage, Outages
from loadertask_devstack.venue.rollup import roll_up_all
from loadertask_devstack.venue.symbols import Symbol
from loadertask_devstack.venue.templates import (
    SHAPES_PER_DIRECTION,
    DayShape,
    day_columns,
    day_end,
)

DEFAULT_SEED = 20200101
_FOREVER_MS = 1 << 62
# One offset of a shape is this part of the starting price; the largest day is about 900 offsets.
_OFFSETS_PER_PRICE = 40_000


class SyntheticTape:
    """Candles of one symbol by UTC day (a day is its number since the epoch)."""

    def __init__(
        self, symbol: Symbol, outages: Iterable[Outage], *, seed: int = DEFAULT_SEED
    ) -> None:
        self.symbol = symbol
        self._seed = seed
        self._outages = Outages(chain(outages, symbol.outages, _outside_life(symbol)))
        self._amplitude = max(1, symbol.price // _OFFSETS_PER_PRICE)
        self._first_day = symbol.listed_ms // DAY_MS
        # Base price (ticks) of each day from the listing on; grows by one small int per day.
        self._bases = [symbol.price]

    def candles(self, day: int, interval: Interval) -> list[Candle]:
        """The candles of ``interval`` (a minute to a day) that open on ``day``, ascending."""
        if day < self._first_day or self._outages.cover(day):
            return []
        start_ms, end_ms = day * DAY_MS, (day + 1) * DAY_MS
        halts = self._halts_within(day)
        if not halts and not self._outages.touch(start_ms, end_ms):
            return self._scaled(day, self._shape(day), interval)
        minutes = self._halting_minutes(day) if halts else self._minutes(day)
        existing = self._outages.apply(minutes)
        return existing if interval is Interval.MINUTE_1 else roll_up_all(existing, interval)

    def grain(self, day: int) -> Grain:
        """The units in which the prices and amounts of a day are counted."""
        return Grain(self._amplitude * self.symbol.tick_units, self._amount_unit(day))

    def is_undisturbed(self, day: int) -> bool:
        """Whether the day has all minutes of its shape, as they are there."""
        is_touched = self._outages.touch(day * DAY_MS, (day + 1) * DAY_MS)
        return not is_touched and not self._halts_within(day)

    def shape(self, day: int) -> DayShape:
        """The shape of a day, of which outages and a halt leave only some minutes."""
        return self._drawn_shape(day) if self._halts_within(day) else self._shape(day)

    def _minutes(self, day: int) -> list[Candle]:
        return self._scaled(day, self._shape(day), Interval.MINUTE_1)

    def _scaled(self, day: int, shape: DayShape, interval: Interval) -> list[Candle]:
        tick, amount_unit = self.symbol.tick_units, self._amount_unit(day)
        base, amplitude = self._base(day) * tick, self._amplitude * tick
        # Ticks and steps are powers of ten whose product divides by 1e8: nothing is rounded.
        base_quote, quote = (price * amount_unit // UNITS_PER_ONE for price in (base, amplitude))
        shift_ms, length_ms = day * DAY_MS, next_open(interval, 0) - 1
        of = day_columns(shape, interval, self._seed)
        columns = (
            [shift_ms + minute * MINUTE_MS for minute in of.minutes],
            [base + amplitude * offset for offset in of.opens],
            [base + amplitude * offset for offset in of.highs],
            [base + amplitude * offset for offset in of.lows],
            [base + amplitude * offset for offset in of.closes],
            [amount * amount_unit for amount in of.amounts],
            [shift_ms + minute * MINUTE_MS + length_ms for minute in of.minutes],
            [base_quote * a + quote * t for a, t in zip(of.amounts, of.typicals, strict=True)],
            of.trades,
            [amount * amount_unit for amount in of.taker_amounts],
            [
                base_quote * a + quote * t
                for a, t in zip(of.taker_amounts, of.taker_typicals, strict=True)
            ],
        )
        # Columns and no per-row code: this is the replay's hottest place.
        return list(map(Candle._make, zip(*columns, strict=True)))

    def _amount_unit(self, day: int) -> int:
        return self.symbol.step_units * (1 + self._digest(day)[1] % 16)

    def _halting_minutes(self, day: int) -> list[Candle]:
        halted_ms = self.symbol.halted_ms or _FOREVER_MS
        minutes = self._scaled(day, self._drawn_shape(day), Interval.MINUTE_1)
        traded = [minute for minute in minutes if minute.open_time_ms < halted_ms]
        last = traded[-1].close
        return traded + [
            Candle(minute.open_time_ms, last, last, last, last, 0, minute.close_time_ms, 0, 0, 0, 0)
            for minute in minutes[len(traded) :]
        ]

    def _halts_within(self, day: int) -> bool:
        halted_ms = self.symbol.halted_ms
        return halted_ms is not None and day * DAY_MS < halted_ms < (day + 1) * DAY_MS

    def _shape(self, day: int) -> DayShape:
        halted_ms = self.symbol.halted_ms
        if halted_ms is not None and day * DAY_MS >= halted_ms:
            return DayShape(0, 0, 0)
        if self.symbol.busy:
            return DayShape(0, 60 * self.symbol.busy, 0)
        return self._drawn_shape(day)

    def _drawn_shape(self, day: int) -> DayShape:
        digest = self._digest(day)
        # The further from where it began, the surer the way back: the price stays near its start.
        distance = (self._base(day) - self.symbol.price) * 256 // self.symbol.price
        direction = 1 if digest[0] - 128 > distance else -1
        return DayShape(direction, digest[2] % SHAPES_PER_DIRECTION, self.symbol.quiet_percent)

    def _base(self, day: int) -> int:
        while len(self._bases) <= day - self._first_day:
            last_day = self._first_day + len(self._bases) - 1
            self._bases.append(self._bases[-1] + self._day_change(last_day))
        return self._bases[day - self._first_day]

    def _day_change(self, day: int) -> int:
        if self._halts_within(day):
            last = self._halting_minutes(day)[-1].close // self.symbol.tick_units
            return last - self._base(day)
        return self._amplitude * day_end(self._shape(day), self._seed)

    def _digest(self, day: int) -> bytes:
        text = f"{self._seed}/{self.symbol.name}/{day}"
        return blake2b(text.encode(), digest_size=4).digest()


def _outside_life(symbol: Symbol) -> list[Outage]:
    before = Outage(-_FOREVER_MS, symbol.listed_ms)
    if symbol.closed_ms is None:
        return [before]
    return [before, Outage(symbol.closed_ms, _FOREVER_MS)]
