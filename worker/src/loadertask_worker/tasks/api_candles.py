"""``api_candles``: the closed candles of a range of time, page by page over REST, in order."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from loadertask_contract.records import CANDLE_FIELDS, candle_template
from loadertask_contract.time_range import from_epoch_ms
from loadertask_worker.binance.klines import KlineParser
from loadertask_worker.binance.rest import KLINES_WEIGHT, BinanceRest, binance_rest
from loadertask_worker.cursor import Cursor, Place
from loadertask_worker.errors import ConfigurationError, SinkError, SourceError
from loadertask_worker.kafka.records import Page, RecordPublisher
from loadertask_worker.lifecycle import LoadStarted
from loadertask_worker.ordered import in_order, until_stop
from loadertask_worker.windows import (
    Window,
    check_page,
    page_windows,
    plan_candles,
    rest_of,
)

if TYPE_CHECKING:
    import asyncio

    from loadertask_contract.environment import WorkerEnvironment
    from loadertask_contract.intervals import Interval
    from loadertask_contract.messages import Headers
    from loadertask_worker.tasks import Reporter

# Enough to hide the way to the venue and back; each page in flight costs about half a megabyte.
_MOST_PAGES_IN_FLIGHT = 8


class CandleTask:
    """The candles of one symbol, interval and range."""

    def __init__(self, environment: WorkerEnvironment, now_ms: int) -> None:
        if environment.interval is None or environment.time_range is None:
            raise ConfigurationError.of("TIME_RANGE", "is required with INTERVAL for candles")
        self._environment = environment
        self._symbol = environment.symbol
        self._interval = environment.interval
        self._asked = environment.time_range
        # Announced only: which candles are closed is said by the venue's clock.
        self._announced = plan_candles(self._interval, self._asked, now_ms)
        self._parser = KlineParser(environment.symbol, environment.interval)
        self._record = _record_pattern(environment.symbol, environment.interval)
        self.load_name = (
            f"api_candles {self._symbol} {self._interval} from={self._asked.start_ms}"
            f" shard={environment.shard_index}/{environment.shard_count}"
        )

    def announce(self, cursor: Cursor | None) -> LoadStarted:
        """The plan by this machine's clock."""
        plan = self._announced
        span = f"[{from_epoch_ms(plan.start_ms):%FT%TZ}, {from_epoch_ms(plan.end_ms):%FT%TZ})"
        if cursor:
            span += f", going on at {from_epoch_ms(cursor.position):%FT%TZ}"
        return LoadStarted(
            plan=f"Loading {plan.total} candles of {self._symbol} {plan.interval} in {span}",
            total=plan.total,
            source="rest",
            warnings=self._warnings(),
        )

    def place_of(self, value: bytes, headers: Headers) -> Place | None:
        """Where a record in our own spelling stands; see ``tasks.Task``."""
        match = self._record.fullmatch(value)
        if match is None:
            return None
        open_ms = int(match[1])
        if not self._asked.start_ms <= open_ms < self._asked.end_ms:
            return None
        return Place(open_ms + 1, open_ms)

    async def load(
        self,
        publisher: RecordPublisher,
        cursor: Cursor | None,
        stop: asyncio.Event,
        reporter: Reporter,
    ) -> bool:
        """Publish page after page; see ``tasks.Task``."""
        environment = self._environment
        async with binance_rest(
            environment.binance_api_url,
            patience_s=environment.patience_s,
            weight_share=environment.weight_share,
        ) as venue:
            info = await until_stop(venue.exchange_info(self._symbol), stop)
            if info is None:
                return False
            plan = plan_candles(self._interval, self._asked, info.server_time_ms)
            if cursor:
                plan = replace(plan, start_ms=max(plan.start_ms, cursor.position))
            width = venue.limiter.requests_in_flight(KLINES_WEIGHT, _MOST_PAGES_IN_FLIGHT)
            through_ms = plan.start_ms
            pages = (self._page(venue, window) for window in page_windows(plan))
            try:
                async for page in in_order(pages, width, stop):
                    await publisher.publish(page)
                    through_ms = page.through_ms
            except SourceError:
                # The last event tells what is in the topic: what was taken goes there first.
                with suppress(SinkError):
                    await publisher.flush()
                raise
            await publisher.flush()
            return through_ms >= plan.end_ms

    async def _page(self, venue: BinanceRest, window: Window) -> Page:
        """A whole window: one request, and more only where the first came back full."""
        records: list[bytes] = []
        times_ms: list[int] = []
        rest: Window | None = window
        while rest:
            page = await venue.klines(self._symbol, self._interval, rest, self._parser)
            check_page(rest, page.opens)
            records += page.records
            times_ms += page.opens
            rest = rest_of(rest, page.opens)
        return Page(
            records,
            positions=times_ms,
            times_ms=times_ms,
            next_position=window.end_ms,
            through_ms=window.end_ms,
        )

    def _warnings(self) -> tuple[str, ...]:
        plan = self._announced
        if plan.end_ms == self._asked.end_ms:
            return ()
        end = f"{from_epoch_ms(plan.end_ms):%FT%TZ}"
        return (f"END {self._asked.end.isoformat()} is cut to the last closed candle: {end}",)


def _record_pattern(symbol: str, interval: Interval) -> re.Pattern[bytes]:
    """A whole record as ``candle_template`` spells it; its group is the open time."""
    text = re.escape(candle_template(symbol, interval) % (("@",) * len(CANDLE_FIELDS)))
    return re.compile(text.replace("@", "([0-9]{1,15})", 1).replace("@", "[0-9.]+").encode())
