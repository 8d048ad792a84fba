"""All candles of one symbol as they stand at a moment, each labelled recorded or synthetic.

The open candle is rolled up from what has happened so far. A day is served by its finest recording
that is no coarser than the interval asked for (minutes, else hours, else days); all else comes
from the synthetic tape, and seconds always do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntFlag
from functools import lru_cache, reduce
from operator import or_
from typing import NamedTuple

from loadertask_contract.intervals import DAY_MS, MINUTE_MS, Interval
from loadertask_devstack.venue.candles import Candle
from loadertask_devstack.venue.minute_trades import Grain, fitting
from loadertask_devstack.venue.recordings import Recording
from loadertask_devstack.venue.rollup import open_after, open_at_or_before, roll_up, roll_up_all
from loadertask_devstack.venue.seconds import minute_so_far, seconds_so_far
from loadertask_devstack.venue.synthetic import SyntheticTape
from loadertask_devstack.venue.templates import DayShape

_ORDER = {interval: place for place, interval in enumerate(Interval)}
_GRAINS = (Interval.MINUTE_1, Interval.HOUR_1, Interval.DAY_1)
_FINEST = (Interval.MINUTE_1,)


class Source(IntFlag):
    """Where a candle comes from; a page or a week may have both."""

    RECORDED = 1
    SYNTHETIC = 2

    @property
    def label(self) -> str:
        """The value of ``X-Replay-Source``."""
        return ", ".join(str(flag.name).lower() for flag in self) or "none"


class Candles(NamedTuple):
    """Candles in ascending order, and for each the value of its `Source`."""

    rows: list[Candle]
    sources: list[int]

    def extend(self, rows: list[Candle], source: int) -> None:
        """Add rows of one source at the end."""
        self.rows.extend(rows)
        self.sources.extend([source] * len(rows))

    @property
    def source(self) -> int:
        """All sources together."""
        return reduce(or_, set(self.sources), 0)


class History:
    """The candles of one symbol; times in epoch milliseconds, offsets in milliseconds of UTC."""

    def __init__(self, tape: SyntheticTape, recordings: Iterable[Recording]) -> None:
        self._tape = tape
        self._recorded: dict[tuple[Interval, int], Recording] = {}
        for recording in recordings:
            for day in recording.days:
                self._recorded.setdefault((recording.interval, day), recording)
        self.symbol = tape.symbol
        self._finest = Grain(self.symbol.tick_units, self.symbol.step_units)
        self._minutes = lru_cache(maxsize=8)(self._read_minutes)

    def minutes(self, day: int) -> list[Candle]:
        """All minutes of a UTC day, as if it were over."""
        return self._minutes(day)

    def grain(self, minute: Candle) -> Grain:
        """The units in which the trades of a minute are counted."""
        day = minute.open_time_ms // DAY_MS
        if self._has_recorded_minutes(day):
            return fitting(minute, self._finest)
        return self._tape.grain(day)

    def shape(self, day: int) -> DayShape | None:
        """The shape of a synthetic day; None for a day of recorded minutes."""
        return None if self._has_recorded_minutes(day) else self._tape.shape(day)

    def is_undisturbed(self, day: int) -> bool:
        """Whether the day is the whole of its shape."""
        return not self._has_recorded_minutes(day) and self._tape.is_undisturbed(day)

    def _has_recorded_minutes(self, day: int) -> bool:
        return (Interval.MINUTE_1, day) in self._recorded

    def candles(
        self, interval: Interval, start_ms: int, end_ms: int, now_ms: int, offset_ms: int = 0
    ) -> Candles:
        """The candles that open in [start_ms, end_ms) and not after now."""
        if interval is Interval.SECOND_1:
            return self._seconds(start_ms, end_ms, now_ms)
        open_ms = open_at_or_before(interval, now_ms, offset_ms)
        candles = self._closed(interval, start_ms, min(end_ms, open_ms), offset_ms)
        if start_ms <= open_ms < end_ms:
            end_ms = open_after(interval, open_ms, offset_ms)
            parts = self._so_far(open_ms, now_ms)
            for candle in _joined(parts, open_ms, end_ms):
                candles.extend([candle._replace(close_time_ms=end_ms - 1)], parts.source)
        return candles

    def _closed(self, interval: Interval, start_ms: int, end_ms: int, offset_ms: int) -> Candles:
        if offset_ms == 0 and _ORDER[interval] <= _ORDER[Interval.DAY_1]:
            return self._span(start_ms, end_ms, interval, interval)
        grains = _GRAINS if offset_ms == 0 else _FINEST
        candles = Candles([], [])
        opened = open_at_or_before(interval, start_ms, offset_ms)
        while opened < end_ms:
            following = open_after(interval, opened, offset_ms)
            if opened >= start_ms:
                parts = self._parts(opened, following, grains)
                candles.extend(_joined(parts, opened, following), parts.source)
            opened = following
        return candles

    def _so_far(self, open_ms: int, now_ms: int) -> Candles:
        minute_ms = now_ms // MINUTE_MS * MINUTE_MS
        parts = self._parts(open_ms, minute_ms, _FINEST)
        current = self._parts(minute_ms, minute_ms + MINUTE_MS, _FINEST)
        so_far = [minute_so_far(minute, self.grain(minute), now_ms) for minute in current.rows]
        parts.extend(so_far, current.source)
        return parts

    def _parts(self, start_ms: int, end_ms: int, grains: Sequence[Interval]) -> Candles:
        quarter_ms = 15 * MINUTE_MS
        is_quartered = start_ms % quarter_ms == end_ms % quarter_ms == 0
        edge = Interval.MINUTE_15 if is_quartered else Interval.MINUTE_1
        return self._span(start_ms, end_ms, Interval.DAY_1, edge, grains)

    def _span(
        self,
        start_ms: int,
        end_ms: int,
        whole: Interval,
        edge: Interval,
        grains: Sequence[Interval] = _GRAINS,
    ) -> Candles:
        """All that opens in [start_ms, end_ms): whole days in one interval, the rest in another."""
        candles = Candles([], [])
        for day in range(start_ms // DAY_MS, -(-end_ms // DAY_MS)):
            if start_ms <= day * DAY_MS and (day + 1) * DAY_MS <= end_ms:
                candles.extend(*self._day(day, whole, grains))
            else:
                rows, source = self._day(day, edge, grains)
                candles.extend([c for c in rows if start_ms <= c.open_time_ms < end_ms], source)
        return candles

    def _seconds(self, start_ms: int, end_ms: int, now_ms: int) -> Candles:
        first_ms = start_ms // MINUTE_MS * MINUTE_MS
        end_ms = min(end_ms, now_ms + 1)
        minutes = self._span(first_ms, end_ms, Interval.MINUTE_1, Interval.MINUTE_1).rows
        seconds = [
            second
            for minute in minutes
            for second in seconds_so_far(minute, self.grain(minute), now_ms)
        ]
        candles = Candles([], [])
        candles.extend(
            [s for s in seconds if start_ms <= s.open_time_ms < end_ms], Source.SYNTHETIC.value
        )
        return candles

    def _day(
        self, day: int, interval: Interval, grains: Sequence[Interval]
    ) -> tuple[list[Candle], int]:
        for grain in grains:
            recording = self._recorded.get((grain, day))
            if recording and _ORDER[grain] <= _ORDER[interval]:
                parts = self._minutes(day) if grain is Interval.MINUTE_1 else recording.candles(day)
                rolled = parts if grain is interval else roll_up_all(parts, interval)
                return rolled, Source.RECORDED.value
        if interval is Interval.MINUTE_1:
            return self._minutes(day), Source.SYNTHETIC.value
        return self._tape.candles(day, interval), Source.SYNTHETIC.value

    def _read_minutes(self, day: int) -> list[Candle]:
        recording = self._recorded.get((Interval.MINUTE_1, day))
        if recording:
            return recording.candles(day)
        return self._tape.candles(day, Interval.MINUTE_1)


def _joined(parts: Candles, open_ms: int, end_ms: int) -> list[Candle]:
    return [roll_up(parts.rows, open_ms, end_ms)] if parts.rows else []
