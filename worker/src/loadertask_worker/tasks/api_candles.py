"""``api_candles``: the closed candles of a range of time, page by page over REST, in order."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from loadertask_contract.environment import Delivery
from loadertask_contract.time_range import from_epoch_ms
from loadertask_worker.binance.klines import KlineParser
from loadertask_worker.binance.rest import KLINES_WEIGHT, BinanceRest, binance_rest
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

log = logging.getLogger(__name__)

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

    def announce(self) -> LoadStarted:
        """The plan by this machine's clock."""
        plan = self._announced
        span = f"[{from_epoch_ms(plan.start_ms):%FT%TZ}, {from_epoch_ms(plan.end_ms):%FT%TZ})"
        return LoadStarted(
            plan=f"Loading {plan.total} candles of {self._symbol} {plan.interval} in {span}",
            total=plan.total,
            delivery=Delivery.AT_LEAST_ONCE.value,
            source="rest",
            warnings=self._warnings(),
        )

    async def load(self, publisher: RecordPublisher, stop: asyncio.Event) -> bool:
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
        return Page(records, times_ms, window.end_ms)

    def _warnings(self) -> tuple[str, ...]:
        plan = self._announced
        if plan.end_ms == self._asked.end_ms:
            return ()
        end = f"{from_epoch_ms(plan.end_ms):%FT%TZ}"
        return (f"END {self._asked.end.isoformat()} is cut to the last closed candle: {end}",)
