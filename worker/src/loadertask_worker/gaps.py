"""Which candles of the grid the venue does not have, joined over the borders of pages. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadertask_contract.intervals import (
    Interval,
    count_opens,
    next_open,
    open_at_or_after,
    open_at_or_before,
)
from loadertask_contract.time_range import from_epoch_ms
from loadertask_worker.windows import Window

if TYPE_CHECKING:
    from collections.abc import Sequence


class Gaps:
    """Follows windows in their order; a gap is told once it is over."""

    def __init__(self, interval: Interval) -> None:
        self._interval = interval
        self._begun_ms: int | None = None
        self._reached_ms = 0

    def after(self, window: Window, opens: Sequence[int]) -> list[Window]:
        """The gaps that are known to be over after another window and its rows."""
        over = [] if window.start_ms == self._reached_ms else self.ended()
        self._reached_ms = window.end_ms
        # Candles of the outages of 2018 stand beside the grid: each fills the place before it.
        there = {open_at_or_before(self._interval, each) for each in opens}
        at_ms = open_at_or_after(self._interval, window.start_ms)
        if not there:  # perhaps years of them
            if self._begun_ms is None and at_ms < window.end_ms:
                self._begun_ms = at_ms
            return over
        if len(there) >= count_opens(self._interval, at_ms, window.end_ms):
            return over + self._over(at_ms)
        while at_ms < window.end_ms:
            if at_ms in there:
                over += self._over(at_ms)
            elif self._begun_ms is None:
                self._begun_ms = at_ms
            at_ms = next_open(self._interval, at_ms)
        return over

    def ended(self) -> list[Window]:
        """The gap at the end of the last window, if there is one."""
        return self._over(self._reached_ms)

    def told(self, gap: Window) -> str:
        """A gap in words."""
        count = count_opens(self._interval, gap.start_ms, gap.end_ms)
        start, end = from_epoch_ms(gap.start_ms), from_epoch_ms(gap.end_ms)
        what = "1 candle is" if count == 1 else f"{count} candles are"
        return f"{what} missing in [{start:%FT%TZ}, {end:%FT%TZ}): the venue has none"

    def _over(self, end_ms: int) -> list[Window]:
        begun_ms, self._begun_ms = self._begun_ms, None
        return [] if begun_ms is None else [Window(begun_ms, end_ms)]
