"""Stretches that REST has nothing of: passed over in a few requests, and nothing behind an answer
that shows less than the other one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from loadertask_contract.environment import Trades
from loadertask_contract.intervals import DAY_MS, SECOND_MS, Interval
from loadertask_worker.binance.candle_pages import CandlePages
from loadertask_worker.binance.limiter import RequestLimiter
from loadertask_worker.binance.rest import BinanceRest
from loadertask_worker.kafka.records import Page
from loadertask_worker.ordered import in_order
from loadertask_worker.tasks.candle_source import CandleSource
from loadertask_worker.tasks.history import Source
from loadertask_worker.tasks.trade_source import TradeSource
from loadertask_worker.windows import Window

BEGIN_MS = 1_600_000_000_000
MONTH_MS = 30 * DAY_MS
OLDEST_ID = 437_921_759


class Body:
    """An answer of aiohttp."""

    status = 200

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.headers = dict[str, str]()

    @property
    def content(self) -> Body:
        return self

    async def iter_any(self) -> AsyncIterator[bytes]:
        yield self._body


class Venue:
    """What aiohttp would have brought: bodies made of the parameters of a request."""

    def __init__(self, answer: Callable[[dict[str, Any]], Iterable[str]]) -> None:
        self.asked: list[dict[str, Any]] = []
        self._answer = answer
        session: Any = self
        self.rest = BinanceRest(session, RequestLimiter(1.0), patience_s=1.0)

    @asynccontextmanager
    async def get(self, path: str, params: dict[str, Any]) -> AsyncIterator[Body]:
        self.asked.append(params)
        await asyncio.sleep(0)
        yield Body(f"[{','.join(self._answer(params))}]".encode())


class Silent:
    """A reporter; a source tells it of a ban alone."""

    def tell(self, text: str) -> None:
        raise AssertionError(text)

    def lacks(self, text: str) -> None:
        raise AssertionError(text)

    def waits(self, why: str, for_s: float) -> None:
        raise AssertionError(why)

    def lag(self, lag_ms: int) -> None:
        raise AssertionError(lag_ms)


async def walked(
    source: Source, start: int, end: int, width: int = 1
) -> tuple[list[int], list[str]]:
    """The positions that a walk gives, ``width`` pages at a time, and what it tells."""
    positions: list[int] = []
    told: list[str] = []
    pages: AsyncIterator[Page] = in_order(source.rest_pages(start, end), width, asyncio.Event())
    async for page in pages:
        told += source.passed(start, page)
        positions += page.positions
        assert start < page.next_position <= end
        start = page.next_position
    assert start == end
    return positions, told + list(source.passed(start, None))


def candle(open_ms: int) -> str:
    numbers = '"1.0","1.0","1.0","1.0","1.0"'
    return f'[{open_ms},{numbers},{open_ms + 999},"1.0",1,"1.0","1.0","0"]'


def candles(*opens_ms: int) -> Callable[[dict[str, Any]], Iterable[str]]:
    return lambda asked: (
        candle(each) for each in opens_ms if asked["startTime"] <= each <= asked["endTime"]
    )


def trade(trade_id: int) -> str:
    of = f'"f":{trade_id},"l":{trade_id}'
    return f'{{"a":{trade_id},"p":"1.0","q":"1.0",{of},"T":{BEGIN_MS},"m":true,"M":true}}'


async def test_a_month_without_candles_is_three_requests_and_one_gap() -> None:
    venue = Venue(candles())
    source = CandleSource(venue.rest, "GONEUSDT", Interval.SECOND_1)
    positions, told = await walked(source, BEGIN_MS, BEGIN_MS + MONTH_MS)
    assert positions == []
    assert len(venue.asked) == 3
    (gap,) = told
    assert gap.startswith(f"{MONTH_MS // SECOND_MS} candles are missing in ")


async def test_candles_that_one_answer_does_not_show_are_not_passed_over() -> None:
    middle_ms, last_ms = BEGIN_MS + MONTH_MS // 2, BEGIN_MS + MONTH_MS - SECOND_MS
    everything, half = candles(middle_ms, last_ms), candles(last_ms)
    # The second answer is the first one about all that follows.
    venue = Venue(lambda asked: (half if len(venue.asked) == 2 else everything)(asked))
    source = CandleSource(venue.rest, "GONEUSDT", Interval.SECOND_1)
    positions, told = await walked(source, BEGIN_MS, BEGIN_MS + MONTH_MS)
    assert positions == [middle_ms, last_ms]
    assert len(told) == 2


async def test_an_empty_answer_that_was_wrong_passes_nothing_over() -> None:
    opens_ms = range(BEGIN_MS, BEGIN_MS + 2_500 * SECOND_MS, SECOND_MS)
    nothing, everything = candles(), candles(*opens_ms)
    venue = Venue(
        lambda asked: list((nothing if len(venue.asked) == 2 else everything)(asked))[:1000]
    )
    source = CandleSource(venue.rest, "BTCUSDT", Interval.SECOND_1)
    positions, told = await walked(source, BEGIN_MS, opens_ms.stop)
    assert positions == list(opens_ms)
    assert told == []


async def test_a_late_and_wrongly_empty_answer_is_not_covered_by_what_follows_it() -> None:
    opens_ms = range(BEGIN_MS, BEGIN_MS + 999 * SECOND_MS, SECOND_MS)
    show = candles(*opens_ms)
    is_wrong = True

    def answer(asked: dict[str, Any]) -> Iterable[str]:
        nonlocal is_wrong
        if is_wrong and asked["startTime"] == BEGIN_MS:
            is_wrong = False
            return ()
        return show(asked)

    class LateVenue(Venue):
        @asynccontextmanager
        async def get(self, path: str, params: dict[str, Any]) -> AsyncIterator[Body]:
            is_late = is_wrong and params["startTime"] == BEGIN_MS
            for _ in range(1_000 * is_late):  # the month behind it is asked for twice meanwhile
                await asyncio.sleep(0)
            async with super().get(path, params) as body:
                yield body

    venue = LateVenue(answer)
    source = CandleSource(venue.rest, "GONEUSDT", Interval.SECOND_1)
    # One answer in its minute, or the limiter sends one request at a time.
    before = Window(BEGIN_MS - SECOND_MS, BEGIN_MS)
    await CandlePages(venue.rest, "GONEUSDT", Interval.SECOND_1).first(before)
    positions, told = await walked(source, BEGIN_MS, BEGIN_MS + MONTH_MS, width=8)
    assert positions == list(opens_ms)
    assert len(told) == 1


async def test_millions_of_ids_that_are_not_kept_are_two_requests_and_one_gap() -> None:
    venue = Venue(lambda asked: map(trade, range(OLDEST_ID, OLDEST_ID + 3)))
    source = TradeSource(venue.rest, "DOGEUSDT", Trades.AGGREGATE, Silent())
    positions, told = await walked(source, 5, 3_000_000)
    assert positions == []
    assert told == ["REST has no trades with the ids 5 to 2999999"]
    assert len(venue.asked) == 2


async def test_of_two_answers_that_lack_trades_the_one_with_more_counts() -> None:
    def answer(asked: dict[str, Any]) -> Iterable[str]:
        first = asked["fromId"]
        ids = [each for each in range(first, first + 1000) if each not in (7, 8)]
        return map(trade, ids[500:] if len(venue.asked) == 2 else ids)

    venue = Venue(answer)
    source = TradeSource(venue.rest, "DOGEUSDT", Trades.AGGREGATE, Silent())
    positions, told = await walked(source, 5, 1_500)
    assert positions == [each for each in range(5, 1_500) if each not in (7, 8)]
    assert told == ["REST has no trades with the ids 7 to 8"]


async def test_two_answers_that_each_lack_something_are_joined() -> None:
    def answer(asked: dict[str, Any]) -> Iterable[str]:
        first = asked["fromId"]
        ids = list(range(first, first + 1000))
        if first == 5 and len(venue.asked) == 1:
            ids = [each for each in ids if not 50 <= each < 100]
        elif first == 5:
            ids = ids[:500]
        return map(trade, ids)

    venue = Venue(answer)
    source = TradeSource(venue.rest, "DOGEUSDT", Trades.AGGREGATE, Silent())
    positions, told = await walked(source, 5, 2_000)
    assert positions == list(range(5, 2_000))
    assert told == []


async def test_a_hole_is_told_once_where_rest_keeps_nothing_at_all() -> None:
    venue = Venue(lambda asked: ())
    source = TradeSource(venue.rest, "DOGEUSDT", Trades.AGGREGATE, Silent())
    positions, told = await walked(source, 5, 900)
    assert (positions, told) == ([], ["REST has no trades with the ids 5 to 899"])


async def test_what_rest_keeps_is_not_asked_again_for_each_day_before_the_first_trade() -> None:
    venue = Venue(lambda asked: [trade(0)])
    source = TradeSource(venue.rest, "NEWUSDT", Trades.AGGREGATE, Silent())
    await source.begin_at(BEGIN_MS - 1_000 * DAY_MS)
    for day in range(999, 0, -1):
        assert await source.kept_instead(BEGIN_MS - day * DAY_MS) is None
    assert len(venue.asked) < 10
