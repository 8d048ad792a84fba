"""Trades of one symbol, aggregates or raw: over REST by id, and as the archive has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadertask_contract.time_range import from_epoch_ms
from loadertask_worker.binance.archive_rows import TradeReader
from loadertask_worker.binance.trade_pages import FirstTrade, TradePages, absent_words
from loadertask_worker.errors import BannedError, ProtocolViolatedError
from loadertask_worker.kafka.records import Page
from loadertask_worker.seams import ANYWHERE, Hole, Rows, Seam, every_position
from loadertask_worker.windows import ROWS_PER_REQUEST

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from loadertask_contract.environment import Trades
    from loadertask_worker.binance.rest import BinanceRest
    from loadertask_worker.tasks import Reporter

_MOST_PAGES_IN_FLIGHT = 8
_EMPTY_ANSWERS = 2
# The venue counts from 0, some of its pairs from 1: nothing was there before.
_HIGHEST_FIRST_ID = 1


class TradeSource:
    """See ``history.Source``; the position of a trade is its id."""

    def __init__(self, venue: BinanceRest, symbol: str, kind: Trades, reporter: Reporter) -> None:
        self._pages = TradePages(venue, symbol, kind)
        self._reporter = reporter
        self._first = FirstTrade(0, 0)
        self._begins_ms = 0
        self._keeps_all_before_first = False
        # Of the pages under way: ids that are absent, and how far none is there; of those gone by,
        # the gap that may not be over yet.
        self._absent: dict[int, list[Hole]] = {}
        self._absent_until = 0
        self._gap: Hole | None = None
        self.reader = TradeReader(symbol, kind)
        self.seam = Seam(0, every_position, 1)
        self.pages_in_flight = venue.limiter.requests_in_flight(
            self._pages.weight, _MOST_PAGES_IN_FLIGHT
        )

    async def begin_at(self, time_ms: int) -> None:
        """Begin with the first trade at a moment; the archive may know an earlier one.

        A ban leaves open which one that is: the archive's file of that day shows it.
        """
        self._begins_ms = time_ms
        self.seam = Seam(ANYWHERE, every_position, 1, is_sure=False)
        try:
            await self._find_first()
        except BannedError:
            self._reporter.tell(
                "The first trade cannot be asked for during a ban: the archive shows it"
            )

    def go_on_at(self, trade_id: int, time_ms: int = 0) -> None:
        """Begin with a trade; nothing from before ``time_ms`` is missing."""
        self._begins_ms = time_ms
        self.seam = Seam(trade_id, every_position, 1)

    async def position_at(self, time_ms: int) -> int:
        """The id after the last trade before a moment, as far as REST knows."""
        if self.seam.is_open:  # the archive has no file of the first day
            await self._find_first()
        if time_ms <= self._first.time_ms:
            return 0
        return await self._pages.end_at(time_ms)

    async def kept_instead(self, end_ms: int) -> str | None:
        """What REST keeps, where that is no longer what comes next; asked each time: it moves."""
        if end_ms <= self._begins_ms:
            return None
        if self.seam.is_open:
            await self._find_first()
        # The first one that REST knows proves that it keeps what was before, if it keeps another.
        due = self.seam.due if self.seam.is_sure else self._first.trade_id - 1
        if self._keeps_all_before_first and end_ms <= self._first.time_ms:
            return None  # there is nothing that it could forget
        oldest = await self._pages.oldest()
        if oldest is None:
            return "nothing of it"
        if oldest.trade_id <= max(due, _HIGHEST_FIRST_ID):
            self._keeps_all_before_first = True
            return None
        return f"nothing from before {from_epoch_ms(oldest.time_ms):%FT%TZ}"

    def unheld(self, until_ms: int) -> str:
        """The trades due from before a moment, where nobody has them."""
        if self.seam.is_sure:
            until = from_epoch_ms(until_ms)
            return f"trades from id {self.seam.due} on, of before {until:%FT%TZ}"
        begin, until = map(from_epoch_ms, (self._begins_ms, min(until_ms, self._first.time_ms)))
        return f"trades of [{begin:%FT%TZ}, {until:%FT%TZ})"

    def rest_pages(self, start: int, end: int) -> Iterator[Coroutine[None, None, Page]]:
        """A page for each thousand ids, and one for all that is passed over at once."""
        self._absent_until = start
        while start < end:
            stop = min(start + ROWS_PER_REQUEST, end)
            yield self._page(start, stop)
            # What is under way by now may have shown that nothing follows for long.
            start = max(stop, min(self._absent_until, end))
            if start > stop:
                yield self._nothing(stop, start)

    def passed(self, start: int, page: Page | None) -> list[str]:
        """The ids that REST passes over, joined over the borders of pages."""
        over: list[Hole] = []
        for hole in self._absent.pop(start, ()) if page else ():
            if self._gap and self._gap.end == hole.start:
                self._gap = Hole(self._gap.start, hole.end)
                continue
            over += [self._gap] if self._gap else []
            self._gap = hole
        if self._gap and (page is None or self._gap.end < page.next_position):
            over.append(self._gap)
            self._gap = None
        return [absent_words(gap) for gap in over]

    def page(self, rows: Rows, end_ms: int) -> Page:
        """Rows of a file."""
        return _page_of(rows, self.seam.floor)

    def end_page(self, end_ms: int) -> Page:
        """No rows."""
        return Page([], [], [], self.seam.floor, end_ms)

    async def _find_first(self) -> None:
        self._first = await self._pages.first_at(self._begins_ms)
        self.seam.begin(self._first.trade_id)

    async def _page(self, start: int, end: int) -> Page:
        """All trades with ids in [start, end): one request, more where an answer is short."""
        found, empty_answers = Rows([], [], []), 0
        absent = self._absent[start] = []
        while start < end:
            page = await self._pages.between(start, end)
            if page.end == start:
                empty_answers += 1
                if empty_answers >= _EMPTY_ANSWERS:
                    if await self._pages.oldest() is None:  # REST keeps nothing at all
                        absent.append(Hole(start, end))
                        break
                    what = f"no trades from id {start} on, though there is {end - 1}"
                    raise ProtocolViolatedError(what)
            absent.extend(page.absent)
            self._absent_until = max(self._absent_until, page.absent_until)
            found.positions.extend(page.rows.positions)
            found.times_ms.extend(page.rows.times_ms)
            found.records.extend(page.rows.records)
            start = page.end
        return _page_of(found.published(), end)

    async def _nothing(self, start: int, end: int) -> Page:
        """The page of ids that are known to be absent."""
        self._absent[start] = [Hole(start, end)]
        return Page([], [], [], end, 0)


def _page_of(rows: Rows, next_position: int) -> Page:
    through_ms = rows.times_ms[-1] if len(rows) else 0
    return Page(rows.records, rows.positions, rows.times_ms, next_position, through_ms)
