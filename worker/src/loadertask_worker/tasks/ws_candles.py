"""``ws_candles``: the candles of a symbol as they grow, every one closed once, without a hole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loadertask_contract.intervals import next_open, open_at_or_before
from loadertask_contract.time_range import from_epoch_ms
from loadertask_worker.binance.candle_pages import CandlePages
from loadertask_worker.binance.frames import FrameParser
from loadertask_worker.cursor import Cursor, Place
from loadertask_worker.errors import ConfigurationError
from loadertask_worker.inputs import LoadStarted
from loadertask_worker.live.candles import ABSENT_MS, SETTLE_MS, CandleSequence
from loadertask_worker.live.updates import CLOSED, OPEN, HoldBounds, Span, resume_of
from loadertask_worker.tasks.live_task import LiveTask
from loadertask_worker.tasks.own_records import candle_pattern
from loadertask_worker.windows import CandlePlan, page_windows, rest_of

if TYPE_CHECKING:
    from loadertask_contract.environment import WorkerEnvironment
    from loadertask_contract.intervals import Interval
    from loadertask_contract.messages import Headers
    from loadertask_worker.binance.rest import BinanceRest
    from loadertask_worker.tasks import Reporter
    from loadertask_worker.tasks.live_source import Answer, LiveSource, Question

_TRADE_COUNT = re.compile(rb'"number_of_trades":([0-9]+)')


class LiveCandleTask(LiveTask):
    """The candles of one symbol and interval."""

    def __init__(self, environment: WorkerEnvironment, now_ms: int) -> None:
        if environment.interval is None:
            raise ConfigurationError.of("INTERVAL", "is required for candles")
        self._interval = environment.interval
        stream = f"{environment.symbol.lower()}@kline_{self._interval}"
        parser = FrameParser(environment.symbol, self._interval, event="kline")
        super().__init__(environment, stream, parser)
        closed = " closed" if environment.closed_only else ""
        self.load_name = f"ws_candles {environment.symbol} {self._interval}{closed}"
        self._record = candle_pattern(environment.symbol, self._interval)

    def announce(self, cursor: Cursor | None) -> LoadStarted:
        """See ``tasks.Task``."""
        begins = "from the candle under way on"
        if cursor:
            begins = f"going on at {from_epoch_ms(cursor.position):%FT%TZ}"
        which = "closed candles" if self._environment.closed_only else "candles"
        plan = f"Following {which} of {self._symbol} {self._interval}, {begins}"
        return LoadStarted(plan=plan, total=None, source="stream")

    def place_of(self, value: bytes, headers: Headers) -> Place | None:
        """See ``tasks.Task``; after a candle that is not closed the load goes on at it."""
        match = self._record.fullmatch(value)
        is_live = CLOSED[0] in headers or OPEN[0] in headers
        if match is None or not is_live:
            return None
        open_ms = next_ms = int(match[1])
        if CLOSED[0] in headers:
            next_ms = next_open(self._interval, open_at_or_before(self._interval, open_ms))
        return Place(open_ms, resume_of(headers) or next_ms, open_ms)

    def source(self, venue: BinanceRest, cursor: Cursor | None, reporter: Reporter) -> LiveSource:
        """The sequence of candles and the REST interface that fills its holes."""
        return LiveCandles(venue, self._symbol, self._interval, cursor, self._environment)


class LiveCandles:
    """See ``live_source.LiveSource``."""

    def __init__(
        self,
        venue: BinanceRest,
        symbol: str,
        interval: Interval,
        cursor: Cursor | None,
        environment: WorkerEnvironment,
    ) -> None:
        self._venue, self._interval = venue, interval
        self._pages = CandlePages(venue, symbol, interval)
        self.sequence = CandleSequence(
            interval,
            cursor.position if cursor else None,
            HoldBounds(),
            closed_only=environment.closed_only,
        )
        self._asked_behind: int | None = None
        self._watched_from_ms: int | None = None

    def behind(self, now_ms: int) -> Question | None:
        """The next page, until it brings nothing new or nothing is closed any more."""
        position = self.sequence.position
        under_way_ms = open_at_or_before(self._interval, now_ms - SETTLE_MS)
        if position is None or position >= under_way_ms or position == self._asked_behind:
            return None
        self._asked_behind = position
        end_ms = next_open(self._interval, under_way_ms)
        return self._ask(Span(position, end_ms), now_ms)

    def question(self, now_ms: int) -> Question | None:
        """The candles that are missing or overdue."""
        span = self.sequence.wanted(now_ms)
        return self._ask_in_time(span) if span else None

    async def newest_at_venue(self) -> tuple[int, ...]:
        """Open time and number of trades of the newest candle that has any.

        An empty one proves nothing: REST shows it once it has begun, the stream need not.
        """
        open_ms = open_at_or_before(self._interval, self._now_ms())
        newest = self.sequence.newest
        since_ms = newest[0] if newest else self._watched_from_ms or open_ms
        self._watched_from_ms = min(since_ms, open_ms)
        watched = CandlePlan(
            self._interval, self._watched_from_ms, next_open(self._interval, open_ms)
        )
        *_, window = page_windows(watched)
        page = await self._pages.first(window)
        found = zip(page.opens, map(_trade_count, page.records), strict=True)
        return max(((each_ms, trades) for each_ms, trades in found if trades), default=())

    def went_backwards(self, at_venue: tuple[int, ...]) -> None:
        """Candles are ordered by time, which does not."""

    async def _ask_in_time(self, span: Span) -> Answer:
        """Ask by a clock just set: if it were ahead, a growing candle would count as final."""
        await self._venue.server_time()
        return await self._ask(span, self._now_ms())

    async def _ask(self, span: Span, asked_ms: int) -> Answer:
        window = next(page_windows(CandlePlan(self._interval, span.start, span.end)))
        # Only a window that is long over may be left behind for what the answer lacks.
        is_over = window.end_ms + ABSENT_MS <= asked_ms
        page = await (self._pages.all(window) if is_over else self._pages.first(window))
        rest = rest_of(window, page.opens)
        answered = Span(window.start_ms, rest.start_ms if rest else window.end_ms)
        rows = list(zip(page.opens, page.records, strict=True))
        return lambda _: self.sequence.fill(answered, rows, asked_ms)

    def _now_ms(self) -> int:
        return int(self._venue.venue_time_s() * 1000)


def _trade_count(record: bytes) -> int:
    found = _TRADE_COUNT.search(record)
    return int(found[1]) if found else 0
