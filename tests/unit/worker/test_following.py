"""One turn of the loop that follows a stream: what is looked at first, and what that decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from loadertask_worker.binance.frames import FrameParser
from loadertask_worker.binance.rest import BinanceRest
from loadertask_worker.binance.streams import Stream
from loadertask_worker.kafka.records import Page, RecordPublisher
from loadertask_worker.live.buffer import Frame, FrameBuffer
from loadertask_worker.live.trades import TradeSequence
from loadertask_worker.live.updates import (
    SOURCE_REST,
    HoldBounds,
    Span,
    TradeUpdate,
)
from loadertask_worker.tasks.following import Followed, Follower
from loadertask_worker.tasks.live_source import Answer, Question

BOUNDS = HoldBounds()


def frame(trade_id: int) -> Frame:
    text = (
        '{"e":"aggTrade","E":1672531200123,"s":"BTCUSDT","a":%d,"p":"101.25","q":"1.5","f":1,'
        '"l":2,"T":1672531200120,"m":true,"M":true}'
    )
    return Frame(1, (text % trade_id).encode())


class Trades:
    """A source whose REST answers at once."""

    def __init__(self, next_id: int) -> None:
        self.sequence = TradeSequence(next_id, 0, BOUNDS)

    def behind(self, now_ms: int) -> Question | None:
        return None

    def question(self, now_ms: int) -> Question | None:
        span = self.sequence.wanted(now_ms)
        return self._ask(span) if span else None

    async def newest_at_venue(self) -> tuple[int, ...]:
        return ()

    def went_backwards(self, at_venue: tuple[int, ...]) -> None:
        pass

    async def _ask(self, span: Span) -> Answer:
        ids = range(span.start, span.end)
        found = [TradeUpdate(0, each, 1672531200120, b"%d" % each) for each in ids]
        return lambda now_ms: self.sequence.fill(span, found, now_ms)


class Surroundings:
    """What a follower needs of the venue's clock, of Kafka and of people."""

    def __init__(self) -> None:
        self.now_s = 1672531200.0
        self.pages: list[Page] = []

    def venue_time_s(self) -> float:
        return self.now_s

    async def publish(self, page: Page) -> None:
        self.pages.append(page)

    def tell(self, text: str) -> None:
        raise AssertionError(text)

    def lacks(self, text: str) -> None:
        self.tell(text)

    def waits(self, why: str, for_s: float) -> None:
        raise AssertionError(why)

    def lag(self, lag_ms: int) -> None:
        pass


@asynccontextmanager
async def following(
    source: Trades, around: Surroundings
) -> AsyncIterator[tuple[Follower, FrameBuffer]]:
    buffer = FrameBuffer(1_000_000)
    stream = Stream("ws://venue.example", buffer, patience_s=1)
    followed = Followed(stream, buffer, FrameParser("BTCUSDT", event="aggTrade"), source)
    venue, publisher = cast(BinanceRest, around), cast(RecordPublisher, around)
    follower = Follower(followed, venue, publisher, asyncio.Event(), around, patience_s=1)
    try:
        yield follower, buffer
    finally:
        await follower._repairs.close()
        await follower._silence.close()


async def test_an_answer_that_came_while_kafka_took_its_time_is_not_late() -> None:
    around, source = Surroundings(), Trades(next_id=5)
    async with following(source, around) as (follower, buffer):
        buffer.offer(frame(7))
        await follower._turn()
        assert source.sequence.held_bytes > 0, "trade 7 waits for 5 and 6"
        buffer.wake.clear()
        async with asyncio.timeout(10):
            await buffer.wake.wait()  # the answer is there

        around.now_s += BOUNDS.longest_ms / 1000 + 1
        buffer.offer(frame(8))
        await follower._turn()

    (page,) = around.pages
    assert page.positions == [5, 6, 7, 8]
    assert page.headers == [SOURCE_REST, SOURCE_REST, (), ()]
    assert not source.sequence.owes
