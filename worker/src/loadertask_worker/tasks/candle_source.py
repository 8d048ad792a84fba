"""Closed candles of one symbol and interval: over REST page by page, or from files."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from loadertask_contract.intervals import Interval, count_opens, next_open, open_at_or_after
from loadertask_contract.time_range import from_epoch_ms
from loadertask_worker.binance.archive_rows import CandleReader
from loadertask_worker.binance.candle_pages import CandlePages
from loadertask_worker.binance.rest import KLINES_WEIGHT, BinanceRest
from loadertask_worker.errors import BannedError
from loadertask_worker.gaps import Gaps
from loadertask_worker.kafka.records import Page
from loadertask_worker.seams import Rows, Seam
from loadertask_worker.windows import (
    OPENS_PER_WINDOW,
    CandlePlan,
    Window,
    page_windows,
    rest_of,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from loadertask_worker.binance.klines import KlinePage

# Enough to hide the way to the venue and back; each page in flight costs about half a megabyte.
_MOST_PAGES_IN_FLIGHT = 8
_OPENS_WALKED_BLINDLY = 8 * OPENS_PER_WINDOW


class CandleSource:
    """See ``history.Source``; the position of a candle is its open time (epoch ms)."""

    def __init__(self, venue: BinanceRest, symbol: str, interval: Interval) -> None:
        self._interval = interval
        self._gaps = Gaps(interval)
        self._pages = CandlePages(venue, symbol, interval)
        self.reader = CandleReader(symbol, interval)
        self.pages_in_flight = venue.limiter.requests_in_flight(
            KLINES_WEIGHT, _MOST_PAGES_IN_FLIGHT
        )
        self.seam = self._seam_at(0)
        # Nothing in between: it was answered with nothing twice.
        self._absent_from_ms = self._absent_until_ms = 0
        self._passing_over = asyncio.Lock()

    async def begin_at(self, start_ms: int, end_ms: int) -> int:
        """Begin with the first candle there is in [start_ms, end_ms); returns where that is.

        Asked for only where the range is long enough to begin years before the symbol did.
        """
        first_ms = start_ms
        if count_opens(self._interval, start_ms, end_ms) > _OPENS_WALKED_BLINDLY:
            with suppress(BannedError):  # the archive may go on without
                first_ms = await self._first_open(Window(start_ms, end_ms))
        self.go_on_at(first_ms)
        return first_ms

    def go_on_at(self, position: int) -> None:
        """Begin with the first candle from a moment on."""
        self.seam = self._seam_at(position)

    async def _first_open(self, window: Window) -> int:
        # Twice: a part of an answer would hide all that comes before it.
        return min([await self._first_in(window) for _ in range(2)])

    def _seam_at(self, position: int) -> Seam:
        grid = partial(open_at_or_after, self._interval)
        first_ms = grid(position)
        # Months differ in length, and have no files: their step is never looked at.
        return Seam(position, grid, next_open(self._interval, first_ms) - first_ms)

    async def position_at(self, time_ms: int) -> int:
        """Candles stand where they open."""
        return time_ms

    async def kept_instead(self, end_ms: int) -> None:
        """REST keeps all candles."""

    def unheld(self, until_ms: int) -> str:
        """See ``history.Source``."""
        begin, until = from_epoch_ms(self.seam.due), from_epoch_ms(until_ms)
        return f"candles of [{begin:%FT%TZ}, {until:%FT%TZ})"

    def rest_pages(self, start: int, end: int) -> Iterator[Coroutine[None, None, Page]]:
        """A page for each window, and one for all that is passed over at once."""
        self._absent_from_ms = self._absent_until_ms = start
        while start < end:
            window = next(page_windows(CandlePlan(self._interval, start, end)))
            yield self._page(window, end)
            # What is under way by now may have shown that nothing follows for long.
            start = max(window.end_ms, min(self._absent_until_ms, end))
            if start > window.end_ms:
                yield _nothing_before(start)

    def passed(self, start: int, page: Page | None) -> list[str]:
        """What the grid has and the venue has not."""
        if page is None:
            over = self._gaps.ended()
        else:
            over = self._gaps.after(Window(start, page.next_position), page.positions)
        return [self._gaps.told(gap) for gap in over]

    def page(self, rows: Rows, end_ms: int) -> Page:
        """Rows of a file; the last one is whole, so that data until its close is there."""
        through_ms = min(max(self.seam.due, self.seam.floor), end_ms)
        return Page(rows.records, rows.positions, rows.times_ms, self.seam.floor, through_ms)

    def end_page(self, end_ms: int) -> Page:
        """No rows."""
        return Page([], [], [], end_ms, end_ms)

    async def _page(self, window: Window, end_ms: int) -> Page:
        """A whole window: one request, and more where the first came back full or empty."""
        records: list[bytes] = []
        times_ms: list[int] = []
        first = await self._pages.first(window)
        if not first.opens and await self._is_absent(window, end_ms):
            return await _nothing_before(window.end_ms)
        rest: Window | None = window
        answered: KlinePage | None = first
        while rest:
            page = await self._pages.all(rest, answered)
            records += page.records
            times_ms += page.opens
            rest, answered = rest_of(rest, page.opens), None
        return Page(records, times_ms, times_ms, window.end_ms, window.end_ms)

    async def _is_absent(self, window: Window, end_ms: int) -> bool:
        """Whether a window that was answered with nothing has nothing, and how far that goes.

        Everything that is passed over has been answered with nothing twice.
        """
        async with self._passing_over:
            if self._absent_from_ms <= window.start_ms and window.end_ms <= self._absent_until_ms:
                return True
            first_ms = await self._first_in(Window(window.start_ms, end_ms))
            if window.end_ms < first_ms:
                again_ms = await self._first_in(Window(window.end_ms, end_ms))
                first_ms = min(first_ms, again_ms)
            # Pages are answered in any order: a later one says nothing of what is before it.
            if first_ms >= self._absent_until_ms:
                self._absent_from_ms, self._absent_until_ms = window.start_ms, first_ms
            return window.end_ms <= first_ms

    async def _first_in(self, window: Window) -> int:
        page = await self._pages.first(window)
        return page.opens[0] if page.opens else window.end_ms


async def _nothing_before(end_ms: int) -> Page:
    return Page([], [], [], end_ms, end_ms)
