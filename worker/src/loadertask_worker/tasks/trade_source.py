"""Trades of one symbol, aggregates or raw: over REST by id, and as the archive has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadertask_worker.binance.archive_rows import TradeReader
from loadertask_worker.binance.trade_pages import FirstTrade, TradePages
from loadertask_worker.errors import ProtocolViolatedError
from loadertask_worker.kafka.records import Page
from loadertask_worker.seams import Hole, OutOfOrderError, Rows, Seam, every_position
from loadertask_worker.windows import ROWS_PER_REQUEST

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from loadertask_contract.environment import Trades
    from loadertask_worker.binance.rest import BinanceRest
    from loadertask_worker.tasks import Reporter

_MOST_PAGES_IN_FLIGHT = 8


class TradeSource:
    """See ``history.Source``; the position of a trade is its id."""

    def __init__(self, venue: BinanceRest, symbol: str, kind: Trades, reporter: Reporter) -> None:
        self._pages = TradePages(venue, symbol, kind)
        self._reporter = reporter
        self._first = FirstTrade(0, 0)
        self.reader = TradeReader(symbol, kind)
        self.seam = Seam(0, every_position, 1)
        self.pages_in_flight = venue.limiter.requests_in_flight(
            self._pages.weight, _MOST_PAGES_IN_FLIGHT
        )

    async def begin_at(self, time_ms: int) -> None:
        """Begin with the first trade at a moment; the archive may know an earlier one."""
        self._first = await self._pages.first_at(time_ms)
        self.seam = Seam(self._first.trade_id, every_position, 1, is_sure=False)

    def go_on_at(self, trade_id: int) -> None:
        """Begin with a trade."""
        self.seam = Seam(trade_id, every_position, 1)

    async def position_at(self, time_ms: int) -> int:
        """The id after the last trade before a moment, as far as REST knows."""
        if time_ms <= self._first.time_ms:
            return 0
        return await self._pages.end_at(time_ms)

    def rest_pages(self, start: int, end: int) -> Iterator[Coroutine[None, None, Page]]:
        """A page for each thousand ids."""
        for first in range(start, end, ROWS_PER_REQUEST):
            yield self._page(first, min(first + ROWS_PER_REQUEST, end))

    def page(self, rows: Rows, end_ms: int) -> Page:
        """Rows of a file."""
        return _page_of(rows, self.seam.floor)

    def end_page(self, end_ms: int) -> Page:
        """No rows."""
        return Page([], [], [], self.seam.floor, end_ms)

    async def _page(self, start: int, end: int) -> Page:
        """All trades with ids in [start, end): one request, more where an answer is short."""
        found = Rows([], [], [])
        while start < end:
            rows = await self._rows(start, end)
            found.positions.extend(rows.positions)
            found.times_ms.extend(rows.times_ms)
            found.records.extend(rows.records)
            start = rows.positions[-1] + 1 if len(rows) else end
        return _page_of(found.published(), end)

    async def _rows(self, start: int, end: int) -> Rows:
        """The rows below ``end`` of one answer; ids that it leaves out are asked for twice."""
        holes: list[Hole] = []
        for _ in range(2):
            rows = await self._pages.from_id(start)
            holes = _holes(rows, start, end)
            if not holes:
                break
        for hole in holes:
            span = f"{hole.start} to {hole.end - 1}"
            self._reporter.tell(f"The venue has no trades with the ids {span}")
        stop = next((i for i, each in enumerate(rows.positions) if each >= end), len(rows))
        return rows.part(0, stop)


def _holes(rows: Rows, start: int, end: int) -> list[Hole]:
    """The ids in [start, end) that an answer from ``start`` on passes over.

    Raises:
        ProtocolViolatedError: none at all though there are later ones, or ids out of order.

    """
    if not len(rows):
        raise ProtocolViolatedError(f"no trades from id {start} on, though there is {end - 1}")
    try:
        found = [
            piece for piece in Seam(start, every_position, 1).fit(rows) if isinstance(piece, Hole)
        ]
    except OutOfOrderError as error:
        raise ProtocolViolatedError(f"trade id {error}") from error
    return [Hole(hole.start, min(hole.end, end)) for hole in found if hole.start < end]


def _page_of(rows: Rows, next_position: int) -> Page:
    through_ms = rows.times_ms[-1] if len(rows) else 0
    return Page(rows.records, rows.positions, rows.times_ms, next_position, through_ms)
