"""The venue's REST interface under its own endpoint names: sends within the limits, retries.

A single request is ``requests``'. Rows are parsed elsewhere; what to ask for is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from loadertask_worker import metrics
from loadertask_worker.binance.answers import error_of
from loadertask_worker.binance.exchange_info import (
    ExchangeInfo,
    parse_exchange_info,
    parse_server_time,
)
from loadertask_worker.binance.klines import KlinePage, KlineParser
from loadertask_worker.binance.limiter import Admission, RequestLimiter
from loadertask_worker.binance.requests import answer_to, counted, venue_session
from loadertask_worker.binance.waits import OnWait, Waits, untold
from loadertask_worker.errors import (
    BannedError,
    ConfigurationError,
    ProtocolViolatedError,
    RateLimitedError,
    RejectedError,
    SourceUnavailableError,
)
from loadertask_worker.patience import Patience
from loadertask_worker.windows import ROWS_PER_REQUEST, check_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import aiohttp

    from loadertask_contract.intervals import Interval
    from loadertask_worker.binance.requests import Params
    from loadertask_worker.windows import Window

log = logging.getLogger(__name__)
T = TypeVar("T")

KLINES_WEIGHT = 2
EXCHANGE_INFO_WEIGHT = 20
TIME_WEIGHT = 1

# The venue itself gives up on a request after 10 s (error -1007).
_LONGEST_REQUEST_S = 15.0
_SHORTEST_REQUEST_S = 0.5
# Each one lasts up to a minute; an address that is always over its limit needs fewer workers.
_RATE_LIMITS_IN_A_ROW = 5
# An impossible answer, or a refusal in nobody's words, may come from a single bad server or proxy.
_DOUBTS_IN_A_ROW = 2
# Clocks of computers part by some 50 µs each second.
_CLOCK_HOLDS_S = 300.0


class BinanceRest:
    """One address's access to the venue, with its limiter."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        limiter: RequestLimiter,
        patience_s: float,
        on_wait: OnWait = untold,
    ) -> None:
        self._session = session
        self._patience_s = patience_s
        self.limiter = limiter
        self._waits = Waits(on_wait)
        self._ban: BannedError | None = None
        # Venue time minus this machine's monotonic clock.
        self._clock_offset_s = time.time() - time.monotonic()
        self._clock_set_s = time.monotonic()

    async def exchange_info(self, symbol: str) -> ExchangeInfo:
        """GET exchangeInfo of one symbol; the limiter and the clock take what it says.

        Raises:
            SourceError: as every call here.

        """
        params: Params = {"symbol": symbol, "showPermissionSets": "false"}
        info = await self._get("exchangeInfo", EXCHANGE_INFO_WEIGHT, params, parse_exchange_info)
        self.limiter.learn(info.weight, info.requests)
        metrics.WEIGHT_LIMIT.set(info.weight.capacity * 60 / info.weight.window_s)
        self._set_clock(info.server_time_ms)
        return info

    async def server_time(self) -> None:
        """GET time; the clock takes it."""
        self._set_clock(await self._get("time", TIME_WEIGHT, {}, parse_server_time))

    async def klines(
        self, symbol: str, interval: Interval, window: Window, parser: KlineParser
    ) -> KlinePage:
        """GET klines that open in a window, at most a page of them; others are refused."""

        def parse(body: bytes) -> KlinePage:
            page = parser.parse(body)
            check_page(window, page.opens)
            return page

        params: Params = {
            "symbol": symbol,
            "interval": interval.value,
            "startTime": window.start_ms,
            "endTime": window.end_ms - 1,
            "limit": ROWS_PER_REQUEST,
        }
        return await self.get("klines", KLINES_WEIGHT, params, parse)

    async def get(
        self, endpoint: str, weight: int, params: Params, parse: Callable[[bytes], T]
    ) -> T:
        """GET an endpoint that weighs ``weight``, again as long as the patience lasts."""
        if self._ban and datetime.now(UTC) < self._ban.until:
            raise self._ban
        if time.monotonic() - self._clock_set_s > _CLOCK_HOLDS_S:
            self._clock_set_s = time.monotonic()
            await self.server_time()
        return await self._get(endpoint, weight, params, parse)

    def venue_time_s(self) -> float:
        """Now by the venue's clock (epoch seconds), never ahead of it once it is known."""
        return time.monotonic() + self._clock_offset_s

    def _set_clock(self, server_time_ms: int) -> None:
        # The answer was made before it arrived: this clock is never ahead of the venue's.
        self._clock_set_s = time.monotonic()
        offset_s = server_time_ms / 1000 - self._clock_set_s
        correction_s = offset_s - self._clock_offset_s
        self._clock_offset_s = offset_s
        self.limiter.correct_clock(correction_s, self.venue_time_s())

    async def _get(
        self, endpoint: str, weight: int, params: Params, parse: Callable[[bytes], T]
    ) -> T:
        patience = Patience(self._patience_s)
        rate_limits = doubts = 0
        while True:
            admission = await self._admission(weight)
            begun_s = time.monotonic()
            try:
                with counted(endpoint):
                    answer = parse(await self._body(endpoint, params, admission, patience))
            except BannedError as error:
                self._ban = error
                self._hold_until(error.until)
                raise
            except RateLimitedError as error:
                self.limiter.hold(error.retry_after_s, self.venue_time_s())
                rate_limits += 1
                if rate_limits >= _RATE_LIMITS_IN_A_ROW:
                    raise
                wait_s = self.limiter.held_until_s - self.venue_time_s()
                log.warning("%s: %s; again in %d s", endpoint, error, max(1, math.ceil(wait_s)))
                self._waits.rest(error, wait_s)
            except (SourceUnavailableError, ProtocolViolatedError, RejectedError) as error:
                if not isinstance(error, SourceUnavailableError):
                    doubts += 1
                    if doubts > _DOUBTS_IN_A_ROW or not error.may_pass:
                        raise
                took_s = time.monotonic() - begun_s
                delay_s = patience.delay_after_failure(took_s, random.random())  # noqa: S311
                if delay_s is None:
                    raise
                log.warning("%s: %s; again in %.1f s", endpoint, error, delay_s)
                self._waits.retry(error, delay_s, patience)
                await asyncio.sleep(delay_s)
            else:
                self._waits.answered()
                return answer

    def _hold_until(self, moment: datetime) -> None:
        """Nobody sends before: each further request would prolong a ban."""
        left_s = (moment - datetime.now(UTC)).total_seconds()
        self.limiter.hold(max(left_s, 0.0), self.venue_time_s())

    async def _admission(self, weight: int) -> Admission:
        if weight > (capacity := self.limiter.own_capacity):
            message = f"leaves {capacity} of the request weight, and one request weighs {weight}"
            raise ConfigurationError.of("LOADER_WEIGHT_SHARE", message)
        while True:
            admission = self.limiter.admit(weight, self.venue_time_s())
            if isinstance(admission, Admission):
                return admission
            wait_s = max(admission - self.venue_time_s(), 0.001)
            metrics.WEIGHT_WAIT_SECONDS.inc(wait_s)
            if admission > self.limiter.held_until_s:  # why it is held, was told
                self._waits.rest("the venue's limit of requests is used up", wait_s)
            await asyncio.sleep(wait_s)

    async def _body(
        self, endpoint: str, params: Params, admission: Admission, patience: Patience
    ) -> bytes:
        used_weight = None
        try:
            limit_s = max(_SHORTEST_REQUEST_S, min(_LONGEST_REQUEST_S, patience.left_s))
            answer = await answer_to(self._session, endpoint, params, limit_s)
            used_weight = answer.used_weight
            if used_weight is not None:
                metrics.WEIGHT_USED.set(used_weight)
        finally:
            self.limiter.settle(admission, used_weight, self.venue_time_s())
        asked = f"{endpoint} of symbol {params['symbol']}" if "symbol" in params else endpoint
        if error := error_of(answer, asked, datetime.now(UTC)):
            raise error
        return answer.body


@asynccontextmanager
async def binance_rest(
    base_url: str, *, patience_s: float, weight_share: float, on_wait: OnWait = untold
) -> AsyncIterator[BinanceRest]:
    """Access to the venue at ``base_url``; honours the proxy variables of the environment."""
    async with venue_session(base_url) as session:
        yield BinanceRest(session, RequestLimiter(weight_share), patience_s, on_wait)
