"""What a live load promises of its topic: late records are marked, transactions double nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest
from tests.integration.live_worker import (
    REST,
    assert_true_candles,
    assert_true_trades,
    following,
    hurry,
    live_task,
)
from tests.integration.venue_stream_client import StreamVenue, stream_venue
from tests.integration.venue_truth import kinds_of_book
from tests.integration.worker_process import TRANSACTIONAL, Task

from loadertask_devstack.kafka import Kafka
from loadertask_devstack.kafka.topics import Record

pytestmark = pytest.mark.integration

LATE = ("late", b"true")
HELD_S = 90.0
"""Newer records wait 30 s for older ones; the rest is for a slow machine."""


@pytest.fixture
async def venue() -> AsyncIterator[StreamVenue]:
    async with stream_venue() as running:
        yield running


@pytest.fixture
def new_task(kafka: Kafka, venue: StreamVenue, unique: Callable[[str], str]) -> Callable[..., Task]:
    def task(kind: str, **more: str) -> Task:
        return live_task(kafka, venue, unique("ws-Delivery"), kind, **more)

    return task


@pytest.mark.timeout(200)
async def test_what_comes_after_newer_records_is_marked_late(
    new_task: Callable[..., Task], venue: StreamVenue
) -> None:
    down = {"kind": "status", "status": 503}
    rules = [
        {"match": {"path": f"/api/v3/{each}"}, "fault": down} for each in ("aggTrades", "klines")
    ]
    trades = new_task("ws_trades", LOADER_PATIENCE_SECONDS="15")
    candles = new_task("ws_candles_1s", LOADER_PATIENCE_SECONDS="15", LOADER_CLOSED_ONLY="true")
    async with following(trades, venue) as trading, following(candles, venue) as closing:
        await venue.control("POST", "faults", rules)
        # Some frames of a candle do not matter, each of the trades' does.
        for stream, times in (("btcusdt@aggTrade", 1), ("btcusdt@kline_1s", 4)):
            drop = {"match": {"stream": stream}, "fault": {"kind": "drop"}, "times": times}
            await venue.control("POST", "streams/faults", [drop])
        await asyncio.gather(*(each.has(has_debt, HELD_S) for each in (trading, closing)))
        await venue.control("DELETE", "faults")
        await asyncio.gather(*(each.has(is_paid, HELD_S) for each in (trading, closing)))
        traded, closed = await asyncio.gather(trading.stop(), closing.stop())

    for records, name in ((traded, "trade_id"), (closed, "open_time")):
        assert_marked(records, name)
    await assert_true_trades(venue, in_order(traded, "trade_id"))
    await assert_true_candles(venue, in_order(closed, "open_time"))


def has_debt(records: list[Record]) -> bool:
    """Whether a record says that a load goes on before it."""
    return "resume" in dict(records[-1].headers)


def is_paid(records: list[Record]) -> bool:
    """Whether late records have come, and others after them that owe nothing."""
    return has_late(records) and "resume" not in dict(records[-1].headers)


def has_late(records: list[Record]) -> bool:
    return any(LATE in record.headers for record in records)


def position(record: Record, name: str) -> int:
    return int(json.loads(record.value or b"")[name])


def in_order(records: list[Record], name: str) -> list[Record]:
    return sorted(records, key=lambda record: position(record, name))


def assert_marked(records: list[Record], name: str) -> None:
    """A record is marked late if newer ones came before it, and only then."""
    newest = 0
    for record in records:
        own = position(record, name)
        assert (LATE in record.headers) == (own < newest), f"{own} after {newest}"
        assert REST in record.headers or LATE not in record.headers
        newest = max(newest, own)


KILLS = 2


@pytest.mark.parametrize(
    ("kind", "more", "by"),
    [
        ("ws_candles_1s", {"LOADER_CLOSED_ONLY": "true"}, 3),
        ("ws_trades", {}, 8),
        ("ws_orderbook", {}, 8),
    ],
)
async def test_a_live_load_in_transactions_that_is_killed_loses_and_doubles_nothing(
    new_task: Callable[..., Task], venue: StreamVenue, kind: str, more: dict[str, str], by: int
) -> None:
    if kind == "ws_trades":
        await hurry(venue)
    task = new_task(kind, LOADER_DELIVERY="exactly_once", **more).as_user(TRANSACTIONAL)
    for _ in range(KILLS):
        async with following(task, venue) as live:
            await live.grows(by)
            await live.worker.kill()  # in the middle of a transaction, but for moments
    async with following(task, venue) as live:
        await live.grows(by)
        records = await live.stop()

    events = await task.events()
    assert {event.progress.delivery for event in events} == {"exactly_once"}
    assert events[-1].payload.records_written == len(records)
    if kind == "ws_orderbook":
        assert kinds_of_book(records).count("gap") == KILLS
    elif kind == "ws_trades":
        await assert_true_trades(venue, records)
    else:
        await assert_true_candles(venue, records)
