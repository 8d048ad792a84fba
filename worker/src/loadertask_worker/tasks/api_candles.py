"""``api_candles``: the closed candles of a range of time, in order, from the archive and REST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadertask_contract.intervals import next_open, open_at_or_after
from loadertask_contract.time_range import from_epoch_ms
from loadertask_worker.cursor import Cursor, Place
from loadertask_worker.errors import ConfigurationError
from loadertask_worker.history_plan import candle_segments
from loadertask_worker.inputs import LoadStarted
from loadertask_worker.shards import Slice, shard_slice
from loadertask_worker.tasks.candle_source import CandleSource
from loadertask_worker.tasks.history_task import HistoryTask, Past
from loadertask_worker.tasks.own_records import candle_pattern
from loadertask_worker.windows import CandlePlan

if TYPE_CHECKING:
    from loadertask_contract.environment import WorkerEnvironment
    from loadertask_contract.messages import Headers
    from loadertask_worker.binance.archive import Archive
    from loadertask_worker.binance.rest import BinanceRest
    from loadertask_worker.tasks import Reporter


class CandleTask(HistoryTask):
    """The candles of one symbol, interval and range."""

    def __init__(self, environment: WorkerEnvironment, now_ms: int) -> None:
        if environment.interval is None or environment.time_range is None:
            raise ConfigurationError.of("TIME_RANGE", "is required with INTERVAL for candles")
        super().__init__(environment)
        self._interval = environment.interval
        asked = environment.time_range
        index, count = environment.shard_index, environment.shard_count
        self._slice = shard_slice(Slice(asked.start_ms, asked.end_ms), index, count, self._interval)
        # Announced only: which candles are closed is said by the venue's clock.
        self._announced = self._plan(now_ms)
        self._record = candle_pattern(environment.symbol, environment.interval)
        self.load_name = (
            f"api_candles {self._symbol} {self._interval} from={self._slice.start_ms}"
            f" shard={index}/{count}"
        )

    def announce(self, cursor: Cursor | None) -> LoadStarted:
        """The plan by this machine's clock."""
        plan = self._announced
        if plan.total == 0:
            return LoadStarted(plan=self._why_nothing(), total=0, source=self.sources)
        span = _span(plan.start_ms, plan.end_ms)
        if cursor:
            span += f", going on at {from_epoch_ms(cursor.position):%FT%TZ}"
        return LoadStarted(
            plan=f"Loading {plan.total} candles of {self._symbol} {plan.interval} in {span}",
            total=plan.total,
            source=self.sources,
            warnings=self._warnings(),
        )

    def place_of(self, value: bytes, headers: Headers) -> Place | None:
        """Where a record in our own spelling stands; see ``tasks.Task``."""
        match = self._record.fullmatch(value)
        if match is None or headers:  # only live records have any
            return None
        open_ms = int(match[1])
        if not self._slice.start_ms <= open_ms < self._slice.end_ms:
            return None
        return Place(open_ms, open_ms + 1, open_ms)

    async def past(
        self,
        venue: BinanceRest,
        archive: Archive | None,
        cursor: Cursor | None,
        reporter: Reporter,
    ) -> Past:
        """The closed candles from the cursor on, or from the first one there is."""
        now_ms = await self.venue_clock(venue, archive)
        plan = self._plan(now_ms)
        source = CandleSource(venue, self._symbol, self._interval)
        if cursor:
            start_ms = max(plan.start_ms, cursor.position)
            source.go_on_at(start_ms)
        else:
            start_ms = await source.begin_at(plan.start_ms, plan.end_ms)
        segments = candle_segments(self._symbol, self._interval, start_ms, plan.end_ms, now_ms)
        return Past(source, segments, plan.end_ms)

    def _plan(self, now_ms: int) -> CandlePlan:
        plan = CandlePlan(self._interval, self._slice.start_ms, self._slice.end_ms)
        return plan.until_closed(now_ms)

    def _why_nothing(self) -> str:
        """No error: a long range may be loaded in parts, and a week has six days without a 1w."""
        start_ms, end_ms = self._slice.start_ms, self._slice.end_ms
        none = f"No {self._interval} candle of {self._symbol}"
        if start_ms == end_ms:
            return f"{none} is left for this shard: the others load all there are in the range"
        open_ms = open_at_or_after(self._interval, start_ms)
        if open_ms >= end_ms:
            opens = from_epoch_ms(open_ms)
            return f"{none} opens in {_span(start_ms, end_ms)}: the next one does at {opens:%FT%TZ}"
        closes = from_epoch_ms(next_open(self._interval, open_ms))
        span = _span(start_ms, end_ms)
        return f"{none} that opens in {span} has closed yet: the first one does at {closes:%FT%TZ}"

    def _warnings(self) -> tuple[str, ...]:
        plan, end_ms = self._announced, self._slice.end_ms
        if plan.end_ms == end_ms:
            return ()
        cut, end = from_epoch_ms(plan.end_ms), from_epoch_ms(end_ms)
        return (f"END {end:%FT%TZ} is cut to the last closed candle: {cut:%FT%TZ}",)


def _span(start_ms: int, end_ms: int) -> str:
    return f"[{from_epoch_ms(start_ms):%FT%TZ}, {from_epoch_ms(end_ms):%FT%TZ})"
