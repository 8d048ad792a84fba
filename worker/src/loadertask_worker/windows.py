"""Which pages make up a range of candles, and whether a page is what was asked for. Pure.

A window spans 999 opens of the interval's grid while a request may return 1000 rows: a page that
comes back full may therefore have lost rows (off-grid candles of the 2018 outages are extra), and
the rest of its window is asked for. Rows need not lie on the grid, and rows may be missing (no
candles exist for an outage); what is refused is a row outside its window, twice, or out of order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from loadertask_contract.intervals import (
    Interval,
    count_opens,
    next_open,
    open_at_or_after,
    open_at_or_before,
)
from loadertask_contract.time_range import from_epoch_ms
from loadertask_worker.errors import ProtocolViolatedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadertask_contract.time_range import TimeRange

ROWS_PER_REQUEST = 1000
"""What the venue returns at most (klines `limit`)."""

OPENS_PER_WINDOW = ROWS_PER_REQUEST - 1

# The venue's database may lag its matching engine: a candle that closed just now can be absent or
# not final for a second or two.
SETTLE_MS = 2_000


@dataclass(frozen=True, slots=True)
class Window:
    """Candles that open in [start_ms, end_ms), epoch milliseconds."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class CandlePlan:
    """The candles of [start_ms, end_ms); ``total`` is what the grid holds, outages not counted."""

    interval: Interval
    start_ms: int
    end_ms: int

    @property
    def total(self) -> int:
        """How many candles are expected at most."""
        return count_opens(self.interval, self.start_ms, self.end_ms)

    def until_closed(self, now_ms: int) -> CandlePlan:
        """The part whose candles are closed and settled at ``now_ms`` of the venue's clock."""
        first_open_one_ms = open_at_or_before(self.interval, now_ms - SETTLE_MS)
        return replace(self, end_ms=max(self.start_ms, min(self.end_ms, first_open_one_ms)))


def plan_candles(interval: Interval, time_range: TimeRange, now_ms: int) -> CandlePlan:
    """The plan for a range, cut to closed candles."""
    return CandlePlan(interval, time_range.start_ms, time_range.end_ms).until_closed(now_ms)


def page_windows(plan: CandlePlan) -> Iterator[Window]:
    """Windows that cover the plan without gap or overlap, in order.

    The first begins where the plan begins and not on the grid: off-grid candles count.
    """
    start_ms = plan.start_ms
    while start_ms < plan.end_ms:
        end_ms = min(_window_end(plan.interval, start_ms), plan.end_ms)
        yield Window(start_ms, end_ms)
        start_ms = end_ms


def rest_of(window: Window, opens: Sequence[int]) -> Window | None:
    """What a page may not have shown of its window: nothing unless the page was full."""
    if len(opens) < ROWS_PER_REQUEST or opens[-1] + 1 >= window.end_ms:
        return None
    return Window(opens[-1] + 1, window.end_ms)


def check_page(window: Window, opens: Sequence[int]) -> None:
    """Refuse rows that were not asked for.

    Raises:
        ProtocolViolatedError: a row outside the window, repeated, or out of order.

    """
    if not opens:
        return
    for earlier, later in pairwise(opens):
        if later <= earlier:
            raise ProtocolViolatedError(f"open time {later} comes after open time {earlier}")
    for open_ms in (opens[0], opens[-1]):
        if not window.start_ms <= open_ms < window.end_ms:
            asked = f"[{from_epoch_ms(window.start_ms)}, {from_epoch_ms(window.end_ms)})"
            raise ProtocolViolatedError(f"open time {open_ms} is outside {asked}")


def _window_end(interval: Interval, start_ms: int) -> int:
    first_ms = open_at_or_after(interval, start_ms)
    second_ms = next_open(interval, first_ms)
    if interval is Interval.MONTH_1:
        # The venue is younger than 999 months: all of them fit into one page.
        return first_ms + OPENS_PER_WINDOW * 28 * 86_400_000
    return first_ms + OPENS_PER_WINDOW * (second_ms - first_ms)
