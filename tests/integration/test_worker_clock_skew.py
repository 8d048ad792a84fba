"""A machine whose clock is ten seconds off the venue's loads what the venue says is there."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

import pytest
from tests.integration.live_worker import (
    Live,
    assert_true_candles,
    assert_true_trades,
    following,
    live_task,
)
from tests.integration.venue_stream_client import StreamVenue, stream_venue
from tests.integration.venue_truth import (
    first_trade_id,
    kinds_of_book,
    true_candles,
    true_trades,
)
from tests.integration.worker_process import Task, candle_task, run_worker

from loadertask_contract.time_range import from_epoch_ms, parse_time_range
from loadertask_devstack.kafka import Kafka
from loadertask_devstack.kafka.topics import Record

pytestmark = pytest.mark.integration

STREAMS = ("btcusdt@aggTrade", CANDLES := "btcusdt@kline_1s", "btcusdt@depth@100ms")
SKEW_MS = 10_000
CLOSING_MS = 8_000
"""The worker leaves out the last two seconds; the rest is for a slow machine."""


@pytest.fixture(params=[SKEW_MS, -SKEW_MS], ids=["ahead", "behind"])
async def venue(request: pytest.FixtureRequest) -> AsyncIterator[StreamVenue]:
    """A venue whose clock is ahead of this machine's, or behind it."""
    async with stream_venue() as running:
        await running.control("PUT", "clock", {"skew_ms": request.param})
        yield running


@pytest.fixture
def past(kafka: Kafka, venue: StreamVenue, unique: Callable[[str], str]) -> Task:
    """A range that begins five minutes ago and ends in an hour."""
    now_ms = time.time_ns() // 1_000_000
    start, end = (from_epoch_ms(now_ms + each) for each in (-300_000, 3_600_000))
    time_range = f"{start:%FT%TZ}/{end:%FT%TZ}"
    task = candle_task(kafka, venue.url, unique("wf-Skew"), time_range)
    return task.but(TYPE="api_candles_1s", INTERVAL="1s")


async def asked_ms(venue: StreamVenue, what: str) -> list[int]:
    """When the worker asked for something, by the venue's clock."""
    asked = (await venue.control("GET", "audit"))["requests"]
    return [int(each["time_ms"]) for each in asked if each["path"].endswith(what)]


def numbers(values: list[bytes], name: str) -> list[int]:
    return [json.loads(value)[name] for value in values]


async def test_past_candles_are_those_that_the_venue_has_closed(
    past: Task, venue: StreamVenue
) -> None:
    ended = await run_worker(past.variables)

    assert ended.exit_code == 0, ended.stderr
    values, begun_ms = await past.values(), (await asked_ms(venue, "exchangeInfo"))[0]
    first_ms, last_ms = (numbers(values, "open_time")[end] for end in (0, -1))
    assert begun_ms - CLOSING_MS <= last_ms + 1000 <= max(await asked_ms(venue, "klines"))
    assert len(values) == (last_ms - first_ms) // 1000 + 1 > 250
    candles = true_candles(venue.get, "1s", first_ms, last_ms + 1)
    assert values == [each async for each in candles]


async def test_past_trades_are_those_that_the_venue_has(past: Task, venue: StreamVenue) -> None:
    task = past.but(TYPE="api_trades", INTERVAL=None)
    ended = await run_worker(task.variables)

    assert ended.exit_code == 0, ended.stderr
    last = (await task.events())[-1]
    assert last.progress.loaded_through is not None
    through_ms = int(last.progress.loaded_through.timestamp() * 1000)
    begun_ms = (await asked_ms(venue, "exchangeInfo"))[0]
    assert begun_ms - CLOSING_MS <= through_ms <= max(await asked_ms(venue, "aggTrades"))
    first_id = await first_trade_id(
        venue.get, parse_time_range(task.variables["TIME_RANGE"]).start_ms
    )
    expected = [
        record
        async for _, time_ms, record in true_trades(venue.get, first_id)
        if time_ms < through_ms
    ]
    assert await task.values() == expected
    assert len(expected) > 20


async def test_streams_are_whole_and_watched_and_their_lag_is_that_of_the_venue(
    kafka: Kafka, venue: StreamVenue, unique: Callable[[str], str]
) -> None:
    def task(kind: str) -> Task:
        return live_task(kafka, venue, unique("ws-Skew"), kind, TELEMETRY_INTERVAL="0.5")

    async with (
        following(task("ws_trades"), venue) as trades,
        following(task("ws_candles_1s"), venue) as candles,
        following(task("ws_orderbook"), venue) as book,
    ):
        # What is lost is asked for by time; the last frame of a candle is among these.
        drop = {"match": {"stream": CANDLES}, "fault": {"kind": "drop"}, "times": 2}
        await venue.control("POST", "streams/faults", [drop])
        await candles.grows()
        # Whether there is something new at the venue is asked by time too.
        for stream in STREAMS:
            order = {"fault": {"kind": "silence", "delay_s": 600}, "stream": stream}
            await venue.control("POST", "streams/orders", order)
        traded, closed, changed = await asyncio.gather(
            *(hears_again(each) for each in (trades, candles, book))
        )

    await assert_true_trades(venue, traded)
    await assert_true_candles(venue, closed)
    assert kinds_of_book(changed).count("gap") >= 1


async def hears_again(live: Live) -> list[Record]:
    """Wait until a silent stream is connected anew and has brought more; all there is then."""
    await live.worker.says("the stream is silent", 60)
    await live.grows(by=1)
    records = await live.stop()
    lags_ms = [event.progress.lag_ms for event in await live.task.events()]
    known_ms = [lag_ms for lag_ms in lags_ms if lag_ms is not None]
    assert 0 <= min(known_ms) < SKEW_MS, known_ms
    return records
