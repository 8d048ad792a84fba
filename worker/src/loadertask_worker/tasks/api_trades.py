"""``api_trades``: the trades of a range of time, aggregates or raw ones, in the order of ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadertask_contract.time_range import from_epoch_ms
from loadertask_worker.cursor import Cursor, Place
from loadertask_worker.errors import ConfigurationError
from loadertask_worker.history_plan import trade_segments
from loadertask_worker.inputs import LoadStarted
from loadertask_worker.shards import Slice, shard_slice
from loadertask_worker.tasks.history_task import HistoryTask, Past
from loadertask_worker.tasks.own_records import trade_pattern
from loadertask_worker.tasks.trade_source import TradeSource
from loadertask_worker.windows import SETTLE_MS

if TYPE_CHECKING:
    from loadertask_contract.environment import WorkerEnvironment
    from loadertask_contract.messages import Headers
    from loadertask_worker.binance.archive import Archive
    from loadertask_worker.binance.rest import BinanceRest
    from loadertask_worker.tasks import Reporter


class TradeTask(HistoryTask):
    """The trades of one symbol and range, or one shard's part of them."""

    def __init__(self, environment: WorkerEnvironment, now_ms: int) -> None:
        if environment.time_range is None:
            raise ConfigurationError.of("TIME_RANGE", "is required for api_trades")
        super().__init__(environment)
        self._kind, self._now_ms = environment.trades, now_ms
        asked = environment.time_range
        index, count = environment.shard_index, environment.shard_count
        self._slice = shard_slice(Slice(asked.start_ms, asked.end_ms), index, count)
        self._record = trade_pattern(environment.symbol)
        self.load_name = (
            f"api_trades {self._symbol} {self._kind} from={self._slice.start_ms}"
            f" shard={index}/{count}"
        )

    def announce(self, cursor: Cursor | None) -> LoadStarted:
        """The plan; how many trades there are is not known before."""
        start, end = (from_epoch_ms(each) for each in (self._slice.start_ms, self._slice.end_ms))
        span = f"[{start:%FT%TZ}, {end:%FT%TZ})"
        if cursor:
            span += f", going on at trade {cursor.position}"
        is_cut = self._slice.end_ms > self._now_ms
        return LoadStarted(
            plan=f"Loading the {self._kind} trades of {self._symbol} in {span}",
            total=None,
            source=self.sources,
            warnings=(f"END {end:%FT%TZ} is cut to the latest trade",) if is_cut else (),
        )

    def place_of(self, value: bytes, headers: Headers) -> Place | None:
        """Where a record in our own spelling stands; see ``tasks.Task``."""
        match = self._record.fullmatch(value)
        if match is None or headers:  # only live records have any
            return None
        trade_id, time_ms = int(match[1]), int(match[2])
        if not self._slice.start_ms <= time_ms < self._slice.end_ms:
            return None
        return Place(trade_id, trade_id + 1, time_ms)

    async def past(
        self,
        venue: BinanceRest,
        archive: Archive | None,
        cursor: Cursor | None,
        reporter: Reporter,
    ) -> Past:
        """The trades from the cursor on, or from the first one of the range."""
        now_ms = await self.venue_clock(venue, archive)
        start_ms = self._slice.start_ms
        end_ms = max(start_ms, min(self._slice.end_ms, now_ms - SETTLE_MS))
        source = TradeSource(venue, self._symbol, self._kind, reporter)
        if cursor:
            source.go_on_at(cursor.position, cursor.through_ms)
            start_ms = min(max(start_ms, cursor.through_ms), end_ms)
        else:
            await source.begin_at(start_ms)
        segments = trade_segments(self._symbol, self._kind, start_ms, end_ms, now_ms)
        return Past(source, segments, end_ms)
