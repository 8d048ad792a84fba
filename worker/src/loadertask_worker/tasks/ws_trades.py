"""``ws_trades``: the trades of a symbol as they happen, aggregate or raw, without a hole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadertask_contract.environment import Trades
from loadertask_worker.binance.frames import FrameParser
from loadertask_worker.binance.trade_pages import TradePages
from loadertask_worker.cursor import Cursor, Place
from loadertask_worker.errors import ProtocolViolatedError
from loadertask_worker.inputs import LoadStarted
from loadertask_worker.live.trades import TradeSequence
from loadertask_worker.live.updates import HoldBounds, Span, TradeUpdate, resume_of
from loadertask_worker.tasks.live_task import LiveTask
from loadertask_worker.tasks.own_records import trade_pattern
from loadertask_worker.windows import ROWS_PER_REQUEST

if TYPE_CHECKING:
    from loadertask_contract.environment import WorkerEnvironment
    from loadertask_contract.messages import Headers
    from loadertask_worker.binance.rest import BinanceRest
    from loadertask_worker.tasks import Reporter
    from loadertask_worker.tasks.live_source import Answer, LiveSource, Question

_EVENTS = {Trades.AGGREGATE: "aggTrade", Trades.RAW: "trade"}
# The database behind REST may lag the stream; ids further behind are those of another sequence.
_LARGEST_LAG = 10_000


class LiveTradeTask(LiveTask):
    """The trades of one symbol."""

    def __init__(self, environment: WorkerEnvironment, now_ms: int) -> None:
        self._kind = environment.trades
        event = _EVENTS[self._kind]
        stream = f"{environment.symbol.lower()}@{event}"
        super().__init__(environment, stream, FrameParser(environment.symbol, event=event))
        self.load_name = f"ws_trades {environment.symbol} {self._kind}"
        self._record = trade_pattern(environment.symbol)

    def announce(self, cursor: Cursor | None) -> LoadStarted:
        """See ``tasks.Task``."""
        begins = f"going on at trade {cursor.position}" if cursor else "from the next trade on"
        kind = "aggregate" if self._kind is Trades.AGGREGATE else "raw"
        plan = f"Following {kind} trades of {self._symbol}, {begins}"
        return LoadStarted(plan=plan, total=None, source="stream")

    def place_of(self, value: bytes, headers: Headers) -> Place | None:
        """See ``tasks.Task``."""
        if (match := self._record.fullmatch(value)) is None:
            return None
        trade_id, time_ms = int(match[1]), int(match[2])
        return Place(trade_id, resume_of(headers) or trade_id + 1, time_ms)

    def source(self, venue: BinanceRest, cursor: Cursor | None, reporter: Reporter) -> LiveSource:
        """The sequence of trades and the REST interface that fills its holes."""
        pages = TradePages(venue, self._symbol, self._kind)
        return LiveTrades(pages, cursor, reporter)


class LiveTrades:
    """See ``live_source.LiveSource``."""

    def __init__(self, pages: TradePages, cursor: Cursor | None, reporter: Reporter) -> None:
        self._pages, self._reporter = pages, reporter
        next_id, through_ms = (cursor.position, cursor.through_ms) if cursor else (None, 0)
        self.sequence = TradeSequence(next_id, through_ms, HoldBounds())
        self._is_behind = cursor is not None

    def behind(self, now_ms: int) -> Question | None:
        """The next page, until one is not full."""
        next_id = self.sequence.position
        if not self._is_behind or next_id is None:
            return None
        return self._ask(Span(next_id, next_id + ROWS_PER_REQUEST))

    def question(self, now_ms: int) -> Question | None:
        """The trades of a hole."""
        span = self.sequence.wanted(now_ms)
        return self._ask(span) if span else None

    async def newest_at_venue(self) -> tuple[int, ...]:
        """The id of the newest trade."""
        newest_id = await self._pages.newest_id()
        return () if newest_id is None else (newest_id,)

    def went_backwards(self, at_venue: tuple[int, ...]) -> None:
        """Ids that begin anew are another sequence: what is behind them cannot be known."""
        known = self.sequence.newest
        if known and at_venue and at_venue[0] < known[0] - _LARGEST_LAG:
            what = f"trade ids went backwards, from {known[0]} to {at_venue[0]}"
            raise ProtocolViolatedError(what)

    async def _ask(self, span: Span) -> Answer:
        page = await self._pages.between(span.start, span.end)
        self._is_behind = page.end >= span.end
        for text in page.told:
            self._reporter.tell(text)
        answered, rows = Span(span.start, page.end), page.rows.published()
        updates = [
            TradeUpdate(time_ms, trade_id, time_ms, record)
            for trade_id, time_ms, record in zip(
                rows.positions, rows.times_ms, rows.records, strict=True
            )
        ]
        return lambda now_ms: self.sequence.fill(answered, updates, now_ms)
