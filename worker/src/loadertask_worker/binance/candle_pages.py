"""Pages of the venue's candles over REST: what lies in a window of open times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadertask_contract.intervals import count_opens
from loadertask_worker.binance.klines import KlinePage, KlineParser
from loadertask_worker.windows import ROWS_PER_REQUEST, Window

if TYPE_CHECKING:
    from loadertask_contract.intervals import Interval
    from loadertask_worker.binance.rest import BinanceRest


class CandlePages:
    """The candles of one symbol and interval; every answer is what was asked for, or refused."""

    def __init__(self, venue: BinanceRest, symbol: str, interval: Interval) -> None:
        self._venue, self._symbol, self._interval = venue, symbol, interval
        self._parser = KlineParser(symbol, interval)

    async def first(self, window: Window) -> KlinePage:
        """GET the first candles of a window, at most a page of them.

        Raises:
            SourceError: as every call of the venue; a row that was not asked for is one.

        """
        return await self._venue.klines(self._symbol, self._interval, window, self._parser)

    async def all(self, window: Window, page: KlinePage | None = None) -> KlinePage:
        """GET the candles of a window that fits into a page; twice, where it seems to lack some.

        ``page`` is what was answered before, if it was asked for already.

        An outage of the venue leaves no candles, half an answer looks the same; only the former
        lacks them again.
        """
        if page is None:
            page = await self.first(window)
        expected = count_opens(self._interval, window.start_ms, window.end_ms)
        if len(page.opens) < min(expected, ROWS_PER_REQUEST):
            page = max(page, await self.first(window), key=lambda each: len(each.opens))
        return page
