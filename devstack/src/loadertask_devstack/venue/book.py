"""The order book of one symbol at any moment, and what changed in it between two. Pure.

Nothing is kept and nothing replayed: the amount at a level is a function of the level and the time,
so a snapshot and the changes since agree by construction. Time goes in steps of 20 ms, each with a
fixed number of update ids; far levels change once in 82 s, those around the price every 0.3 s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

STEP_MS = 20
UPDATES_PER_STEP = 4
_FAR_STEPS, _NEAR_STEPS = 4096, 16  # powers of two
_FAR_STRIDE, _NEAR_STRIDE = 2731, 5  # odd: neighbours change at different times
_FAR_STRIDE_INVERSE = pow(_FAR_STRIDE, -1, _FAR_STEPS)
_NEAR_LEVELS = 24
_LEVELS_BELOW_START = 10_000
_EMPTY_OF_256 = 90
_MASK = (1 << 64) - 1

Level = tuple[int, int]


class Snapshot(NamedTuple):
    """The best levels of both sides, best first; prices and amounts in units of 1e-8."""

    last_update: int
    bids: list[Level]
    asks: list[Level]


class Changes(NamedTuple):
    """All levels that changed, with what is there now (0: nothing), and the update ids."""

    first_update: int
    last_update: int
    bids: list[Level]
    asks: list[Level]


class Book:
    """A symbol's book around ``price_at`` (units of 1e-8 at an epoch millisecond)."""

    def __init__(
        self,
        start_price: int,
        tick_units: int,
        step_units: int,
        price_at: Callable[[int], int],
        seed: int,
    ) -> None:
        grid = start_price // _LEVELS_BELOW_START // tick_units * tick_units
        self._grid = max(grid, tick_units)
        self._amount_step, self._price_at, self._seed = step_units, price_at, seed
        # Both sides are finite: nothing rests at more than twice the price the symbol began with.
        self._levels = 2 * max(start_price // self._grid, 1)

    def snapshot(self, time_ms: int, limit: int) -> Snapshot:
        """The best ``limit`` levels of each side."""
        step = time_ms // STEP_MS
        middle = self._middle(step)
        bids = self._existing(range(middle, 0, -1), step, middle, limit)
        asks = self._existing(range(middle + 1, self._levels + 1), step, middle, limit)
        return Snapshot(_last_update(step), bids, asks)

    def changes(self, after_ms: int, until_ms: int) -> Changes:
        """Every level that was touched in (after_ms, until_ms], even if it is as it was."""
        first, last = after_ms // STEP_MS, until_ms // STEP_MS
        touched: set[int] = set()
        middle = self._middle(first)
        low = high = middle
        for step in range(first + 1, last + 1):
            before, middle = middle, self._middle(step)
            low, high = min(low, middle), max(high, middle)
            touched.update(self._touched(step, before, middle))
        levels = [(level * self._grid, self._amount(level, last, middle)) for level in touched]
        # A level that the price passed is told to both sides: gone from one, perhaps on the other.
        best, highest, lowest = middle * self._grid, high * self._grid, low * self._grid
        bids = [(price, q if price <= best else 0) for price, q in levels if price <= highest]
        asks = [(price, q if price > best else 0) for price, q in levels if price > lowest]
        bids.sort(reverse=True)
        asks.sort()
        return Changes(_last_update(first) + 1, _last_update(last), bids, asks)

    def _touched(self, step: int, before: int, middle: int) -> Iterator[int]:
        offset = -step * _FAR_STRIDE_INVERSE % _FAR_STEPS
        yield from range(offset or _FAR_STEPS, self._levels + 1, _FAR_STEPS)
        near = self._near(middle)
        if before == middle:
            yield from (level for level in near if (step + level * _NEAR_STRIDE) % _NEAR_STEPS == 0)
        else:
            earlier = self._near(before)
            yield from range(min(near.start, earlier.start), max(near.stop, earlier.stop))

    def _existing(self, levels: range, step: int, middle: int, limit: int) -> list[Level]:
        found: list[Level] = []
        for level in levels:
            if amount := self._amount(level, step, middle):
                found.append((level * self._grid, amount))
                if len(found) == limit:
                    break
        return found

    def _amount(self, level: int, step: int, middle: int) -> int:
        is_near = -_NEAR_LEVELS < level - middle <= _NEAR_LEVELS
        stride, steps = (_NEAR_STRIDE, _NEAR_STEPS) if is_near else (_FAR_STRIDE, _FAR_STEPS)
        drawn = self._drawn(level, (step + level * stride) // steps)
        is_best = level in (middle, middle + 1)  # somebody always offers the best prices
        if drawn & 255 < _EMPTY_OF_256 and not is_best:
            return 0
        return (1 + (drawn >> 8) % 100_000) * self._amount_step

    def _near(self, middle: int) -> range:
        start = max(middle - _NEAR_LEVELS, 1)
        return range(start, min(middle + _NEAR_LEVELS + 1, self._levels) + 1)

    def _middle(self, step: int) -> int:
        """The best bid's level; the best ask is the next one."""
        level = self._price_at(step * STEP_MS) // self._grid
        return min(max(level, 1), self._levels - 1)

    def _drawn(self, level: int, turn: int) -> int:
        # splitmix64, for it must be quick: a snapshot draws some ten thousand numbers.
        drawn = (self._seed + level * 0x9E3779B97F4A7C15 + turn * 0xD1B54A32D192ED03) & _MASK
        drawn = (drawn ^ drawn >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        drawn = (drawn ^ drawn >> 27) * 0x94D049BB133111EB & _MASK
        return drawn ^ drawn >> 31


def _last_update(step: int) -> int:
    return step * UPDATES_PER_STEP
