"""When the silence of a stream is taken for a fault of the stream, and when for a quiet market."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from loadertask_contract.environment import WorkerEnvironment
from loadertask_contract.intervals import Interval, next_open, open_at_or_before
from loadertask_worker.binance.klines import KlinePage, KlineParser
from loadertask_worker.binance.rest import BinanceRest
from loadertask_worker.cursor import Cursor
from loadertask_worker.errors import SourceUnavailableError
from loadertask_worker.live.trades import TradeSequence
from loadertask_worker.live.updates import (
    KIND_GAP,
    BookUpdate,
    CandleUpdate,
    HoldBounds,
    Release,
    TradeUpdate,
)
from loadertask_worker.tasks import silence
from loadertask_worker.tasks.live_source import LiveSource, Question
from loadertask_worker.tasks.silence import Silence
from loadertask_worker.tasks.ws_candles import LiveCandles
from loadertask_worker.tasks.ws_orderbook import LiveBook
from loadertask_worker.windows import Window

T0 = 1_672_531_200_000
PATIENCE_S = 60.0


class Run:
    """A source whose stream is watched; a second passes with each look."""

    def __init__(self, source: LiveSource, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(silence, "_GRACE_S", 0.0)
        self.now_s = 1_000.0
        self.renewed_s: list[float] = []
        self._silence = Silence(
            source,
            PATIENCE_S,
            asyncio.Event(),
            lambda: self.renewed_s.append(self.now_s),
            lambda: self.now_s,
        )

    async def listens(self, seconds: int, each: Callable[[], object] = lambda: None) -> None:
        for _ in range(seconds):
            self.now_s += 1
            each()
            self._silence.look()
            if doubting := self._silence._doubting:
                await asyncio.wait({doubting})
                self._silence.look()


class Trades:
    """Trades of a stream, and the newest id that REST shows (0: none)."""

    def __init__(self, next_id: int | None = None) -> None:
        self.sequence = TradeSequence(next_id, 0, HoldBounds())
        self.at_venue = 0

    def behind(self, now_ms: int) -> Question | None:
        return None

    def question(self, now_ms: int) -> Question | None:
        return None

    async def newest_at_venue(self) -> tuple[int, ...]:
        return (self.at_venue,) if self.at_venue else ()

    def went_backwards(self, at_venue: tuple[int, ...]) -> None:
        pass

    def trade(self) -> None:
        """One that the stream does not bring."""
        self.at_venue += 1

    def hear(self) -> None:
        """One that it does."""
        self.at_venue += 1
        self.sequence.take(TradeUpdate(T0, self.at_venue, T0, b"{}"), T0)


async def test_a_market_without_trades_is_no_silent_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Trades()
    source.hear()
    run = Run(source, monkeypatch)

    await run.listens(3_000)

    assert run.renewed_s == []


async def test_what_was_missed_at_a_reconnect_is_held_against_the_stream_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = Trades()
    run = Run(source, monkeypatch)
    source.hear()
    source.trade()

    await run.listens(3_000)

    assert len(run.renewed_s) == 1


async def test_what_happened_before_the_first_frame_is_held_against_no_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cursor knows what there was when it was kept, and a quiet market has nothing new."""
    source = Trades(next_id=100)
    source.at_venue = 150
    run = Run(source, monkeypatch)

    await run.listens(3_000)

    assert run.renewed_s == []


@pytest.mark.parametrize("next_id", [None, 1])
@pytest.mark.parametrize("every_s", [1, 7])
async def test_a_stream_that_leaves_out_what_goes_on_happening_is_given_up(
    monkeypatch: pytest.MonkeyPatch, next_id: int | None, every_s: int
) -> None:
    source = Trades(next_id)
    run = Run(source, monkeypatch)

    def goes_on() -> None:
        if run.now_s % every_s == 0:
            source.trade()

    with pytest.raises(SourceUnavailableError, match="the stream is silent"):
        await run.listens(300, goes_on)

    assert len(run.renewed_s) >= 2
    assert run.now_s - run.renewed_s[0] > PATIENCE_S


async def test_a_stream_that_speaks_again_is_forgiven(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Trades()
    source.hear()
    run = Run(source, monkeypatch)
    for _ in range(10):
        await run.listens(20, source.trade)
        source.sequence = TradeSequence(source.at_venue + 1, 0, HoldBounds())
        source.hear()

    assert len(run.renewed_s) > 10


async def test_the_first_thing_that_ever_happened_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A symbol that has never traded, and a stream that does not say when it begins to."""
    source = Trades()
    run = Run(source, monkeypatch)
    await run.listens(20)
    source.trade()

    await run.listens(100)

    assert len(run.renewed_s) == 1


async def test_a_restarted_order_book_notices_that_the_venue_has_counted_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its changes look repeated, whose numbers lie below the cursor."""
    book = LiveBook(cast(BinanceRest, None), "BTCUSDT", Cursor(7_000_000_000, 0, 10))
    change_id = 0
    released: list[Release] = []

    async def newest() -> tuple[int, ...]:
        return (change_id,)

    def changes() -> None:
        nonlocal change_id
        change_id += 1
        released.extend(book.sequence.take(BookUpdate(T0, change_id, change_id, b"{}"), T0))

    monkeypatch.setattr(book, "newest_at_venue", newest)
    run = Run(book, monkeypatch)

    await run.listens(20, changes)

    assert run.renewed_s == []
    assert [release.headers for release in released] == [KIND_GAP]
    assert book.sequence.wanted(T0)


class Venue:
    """The klines of REST: ``trades`` by open time, every candle shown from its beginning."""

    def __init__(self, interval: Interval) -> None:
        self.interval, self.now_ms = interval, T0
        self.trades: dict[int, int] = {}
        self.asked: list[Window] = []

    def venue_time_s(self) -> float:
        return self.now_ms / 1000

    async def klines(
        self, symbol: str, interval: Interval, window: Window, parser: KlineParser
    ) -> KlinePage:
        assert (symbol, interval) == ("QUIETUSDT", self.interval)
        self.asked.append(window)
        assert window.start_ms <= self.now_ms < window.end_ms
        rows: list[list[object]] = []
        open_ms = window.start_ms
        while open_ms < min(window.end_ms, self.now_ms + 1) and len(rows) < 1000:
            rows.append(self._row(open_ms))
            open_ms = next_open(interval, open_ms)
        return parser.parse(json.dumps(rows, separators=(",", ":")).encode())

    def trade(self) -> None:
        open_ms = open_at_or_before(self.interval, self.now_ms)
        self.trades[open_ms] = self.trades.get(open_ms, 0) + 1

    def _row(self, open_ms: int) -> list[object]:
        end_ms = next_open(self.interval, open_ms)
        count = self.trades.get(open_ms, 0)
        return [open_ms, "1", "1", "1", "1", "0", end_ms - 1, "0", count, "0", "0", "0"]


def candles(venue: Venue, cursor: Cursor | None = None) -> LiveCandles:
    environment = cast(WorkerEnvironment, SimpleNamespace(closed_only=False))
    rest = cast(BinanceRest, venue)
    return LiveCandles(rest, "QUIETUSDT", venue.interval, cursor, environment)


def closed(open_ms: int, trades: int, interval: Interval) -> CandleUpdate:
    end_ms = next_open(interval, open_ms)
    return CandleUpdate(end_ms, open_ms, is_closed=True, trade_count=trades, record=b"{}")


@pytest.mark.parametrize("cursor", [None, Cursor(T0, T0, 1)])
@pytest.mark.parametrize("has_closed", [False, True])
@pytest.mark.parametrize("interval", [Interval.SECOND_1, Interval.MINUTE_5, Interval.MONTH_1])
async def test_candles_without_trades_are_no_proof(
    monkeypatch: pytest.MonkeyPatch, interval: Interval, has_closed: bool, cursor: Cursor | None
) -> None:
    venue = Venue(interval)
    source = candles(venue, cursor)
    if has_closed:
        source.sequence.take(closed(T0, 0, interval), next_open(interval, T0))
    run = Run(source, monkeypatch)

    def a_second_passes() -> None:
        venue.now_ms += 1_000

    await run.listens(1_500, a_second_passes)

    assert run.renewed_s == []
    assert len(venue.asked) > 5


@pytest.mark.parametrize("interval", [Interval.SECOND_1, Interval.MINUTE_5])
async def test_a_candle_that_traded_proves_it_whether_it_is_over_or_not(
    interval: Interval,
) -> None:
    venue = Venue(interval)
    source = candles(venue)
    source.sequence.take(closed(T0, 12, interval), next_open(interval, T0))
    venue.trades[T0] = 12
    venue.now_ms = next_open(interval, T0)
    assert await source.newest_at_venue() == source.sequence.newest == (T0, 12)

    venue.trade()
    traded = (venue.now_ms, 1)
    assert await source.newest_at_venue() == traded > source.sequence.newest
    venue.now_ms += 10_000
    assert await source.newest_at_venue() == traded
