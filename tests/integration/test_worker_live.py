"""Live types as real processes against the replay and a real Kafka: compared with REST."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from confluent_kafka import Producer
from tests.integration.venue_stream_client import StreamVenue, stream_venue
from tests.integration.venue_truth import SYMBOL, kinds_of_book, true_candles, true_trades
from tests.integration.worker_process import (
    Task,
    WorkerProcess,
    run_worker,
    running_worker,
)

from loadertask_contract.commands import Command, ControlCommand, encode_command
from loadertask_contract.events import EventStatus
from loadertask_contract.exit_codes import ExitCode
from loadertask_devstack.kafka import Kafka
from loadertask_devstack.kafka.topics import Record

pytestmark = pytest.mark.integration

REST = ("source", b"rest")


# The replay's pairs trade once in some seconds: its clock runs faster where trades are followed,
# from a day ago on, so that it does not reach the future.
TRADE_PACE = 100
DAY_MS = 86_400_000


@pytest.fixture
async def venue(request: pytest.FixtureRequest) -> AsyncIterator[StreamVenue]:
    async with stream_venue() as running:
        if "trades" in request.node.name:
            clock = {"now_ms": time.time_ns() // 1_000_000 - DAY_MS, "rate": TRADE_PACE}
            await running.control("PUT", "clock", clock)
        yield running


@pytest.fixture
def new_task(kafka: Kafka, venue: StreamVenue, unique: Callable[[str], str]) -> Callable[..., Task]:
    """A live task as the operator would order it from the second image: the smaller environment."""

    def task(kind: str, **more: str) -> Task:
        queue_id = unique("ws-Live")
        return Task(
            kafka,
            {
                "QUEUE_ID": queue_id,
                "SYMBOL": SYMBOL,
                "TYPE": kind,
                "KAFKA_TOPIC": f"{queue_id}-data",
                "TELEMETRY_PRODUCER_ID": f"loader-ws__{queue_id[-6:]}",
                "KAFKA_BOOTSTRAP_SERVERS": kafka.secure,
                "KAFKA_USER_PRODUCER": "loader",
                "KAFKA_PASSWORD_PRODUCER": kafka.password("loader"),
                "CA_PATH": str(kafka.ca_path),
                "BINANCE_WS_URL": venue.url.replace("http", "ws", 1) + "/ws",
                "BINANCE_API_URL": venue.url,
                "LOADER_METRICS_PORT": "0",
                **more,
            },
        )

    return task


class Live:
    """A running worker, its venue, and what is in its topic."""

    def __init__(self, task: Task, worker: WorkerProcess, venue: StreamVenue) -> None:
        self.task, self.worker, self.venue = task, worker, venue

    async def has(self, is_enough: Callable[[list[Record]], bool]) -> list[Record]:
        """Wait until the topic holds enough; everything there is then."""
        deadline_s = time.monotonic() + 30
        while not is_enough(records := await self.task.records()):
            assert time.monotonic() < deadline_s, "".join(self.worker.lines)
            await asyncio.sleep(0.05)
        return records

    async def grows(self, by: int = 8) -> list[Record]:
        """Wait until there are so many more records."""
        wanted = len(await self.task.records()) + by
        return await self.has(lambda records: len(records) >= wanted)

    async def suffers(self, kind: str, **fields: Any) -> None:
        """A fault of the next frame, or of the connection, and what the worker makes of it."""
        await self.venue.fault(kind, **fields)
        await self.grows()

    async def connections(self) -> int:
        """How often the worker has connected to the stream."""
        return len(await self.venue.connections())

    async def stop(self) -> list[Record]:
        """Stop by command, as the operator does; everything there is then."""
        command = encode_command(ControlCommand(Command.STOP, self.task.queue_id))
        producer = Producer({"bootstrap.servers": self.task.kafka.plain})
        producer.produce("queue-control", command.value)
        assert producer.flush(10) == 0
        ended = await self.worker.ended()
        assert ended.exit_code == 0, ended.stderr
        assert (await self.task.statuses())[-1] is EventStatus.INTERRUPTED
        return await self.task.records()


@asynccontextmanager
async def following(task: Task, venue: StreamVenue, first: int = 1) -> AsyncIterator[Live]:
    """The worker of a task once it has published something."""
    async with running_worker(task.variables) as worker:
        await worker.says("started: ")
        live = Live(task, worker, venue)
        await live.grows(first)
        yield live


async def assert_true_trades(venue: StreamVenue, records: list[Record]) -> None:
    """Every trade between the first and the last is there, once, in order, digit for digit."""
    first_id = json.loads(records[0].value)["trade_id"]
    true = [record async for _, _, record in true_trades(venue.get, first_id)]
    assert [record.value for record in records] == true[: len(records)]


async def test_trades_arrive_once_and_in_order_whatever_the_stream_suffers(
    new_task: Callable[..., Task], venue: StreamVenue
) -> None:
    task = new_task("ws_trades")
    async with following(task, venue) as live:
        for kind in ("drop", "duplicate", "swap", "unknown_event", "fragment"):
            await live.suffers(kind)
        assert await live.connections() == 1
        for kind in ("not_json", "huge", "reset", "end"):
            await live.suffers(kind)
        assert await live.connections() == 5
        await live.suffers("shutdown", delay_s=0.5)
        await live.worker.kill()

    async with following(task, venue) as live:
        await live.has(lambda records: records[-1].headers == ())  # the stream has gone on
        begun_s = time.monotonic()
        records = await live.stop()
        assert time.monotonic() - begun_s < 2

    await assert_true_trades(venue, records)
    assert {record.key for record in records} == {SYMBOL.encode()}
    assert {record.headers for record in records} == {(), (REST,)}
    events = await task.events()
    assert events[0].progress.delivery == "effectively_once"
    assert events[-1].payload.records_written == len(records)
    assert events[-1].progress.lag_ms is not None


async def test_trades_outlast_a_ban_of_rest_and_a_stream_that_falls_silent(
    new_task: Callable[..., Task], venue: StreamVenue
) -> None:
    await asyncio.gather(_outlast_a_ban(new_task, venue), _outlast_silence(new_task, venue))


async def _outlast_a_ban(new_task: Callable[..., Task], venue: StreamVenue) -> None:
    """Raw trades: the hole waits for the end of the ban."""
    async with following(new_task("ws_trades", LOADER_TRADES="raw"), venue, first=3) as live:
        ban = {"kind": "status", "status": 418, "code": -1003, "retry_after_s": 2}
        rule = {"match": {"path": "/api/v3/historicalTrades"}, "fault": ban, "times": 1}
        await venue.control("POST", "faults", [rule])
        await venue.fault("drop", {"stream": "btcusdt@trade"})
        await live.has(lambda records: any(REST in record.headers for record in records))
        await live.grows()
        records = await live.stop()

    ids = [json.loads(record.value)["trade_id"] for record in records]
    assert ids == list(range(ids[0], ids[-1] + 1))
    assert "banned" in "".join(live.worker.lines)


async def _outlast_silence(new_task: Callable[..., Task], venue: StreamVenue) -> None:
    """Aggregate trades: REST proves that there was something to say."""
    async with following(new_task("ws_trades"), venue) as live:
        order = {"fault": {"kind": "silence", "delay_s": 60}, "stream": "btcusdt@aggTrade"}
        await venue.control("POST", "streams/orders", order)
        await live.grows()
        records = await live.stop()

    assert "the stream is silent" in "".join(live.worker.lines)
    await assert_true_trades(venue, records)


def is_closed(record: Record) -> bool:
    return ("is_closed", b"true") in record.headers


async def assert_true_candles(
    venue: StreamVenue, records: list[Record], interval: str = "1s"
) -> None:
    """Every candle between the first and the last is closed once, in its turn, as REST has it."""
    closed = [record.value for record in records if is_closed(record)]
    opens = [json.loads(value)["open_time"] for value in closed]
    candles = true_candles(venue.get, interval, opens[0], opens[-1] + 1)
    assert closed == [candle async for candle in candles]


async def test_candles_are_closed_once_each_whatever_frames_are_lost(
    new_task: Callable[..., Task], venue: StreamVenue
) -> None:
    task = new_task("ws_candles_1s", LOADER_CLOSED_ONLY="true")
    async with following(task, venue, first=2) as live:
        await venue.fault("drop")
        await live.has(lambda records: any(REST in record.headers for record in records))
        await venue.order("reset")
        await live.grows(by=2)
        await live.worker.kill()

    async with following(task, venue, first=2) as live:
        records = await live.stop()

    assert all(is_closed(record) for record in records)
    await assert_true_candles(venue, records)


async def test_an_order_book_begins_with_a_snapshot_and_again_after_each_gap(
    new_task: Callable[..., Task], venue: StreamVenue
) -> None:
    task = new_task("ws_depth")
    async with following(task, venue, first=3) as live:
        await live.suffers("duplicate")
        await live.suffers("swap")
        await live.suffers("drop")
        await venue.order("shutdown", delay_s=1)
        await live.grows()
        await venue.order("reset")
        await live.grows()
        await live.worker.kill()

    async with following(task, venue, first=3) as live:
        records = await live.stop()

    kinds = kinds_of_book(records)
    runs = [kind for kind, before in zip(kinds, ["", *kinds], strict=False) if kind != before]
    # A new connection after the reset may be there before the next change.
    gaps = kinds.count("gap")
    assert gaps in (3, 4), "swap, drop, perhaps reset, restart"
    assert runs == ["snapshot", "diff", *["gap", "snapshot", "diff"] * gaps]
    changes = [
        json.loads(r.value) for r, kind in zip(records, kinds, strict=True) if kind == "diff"
    ]
    stream = "btcusdt@depth@100ms"
    events = await venue.events(stream, changes[0]["E"], changes[-1]["E"] + 1)
    assert [change for change in changes if change not in events] == []


@pytest.mark.parametrize(
    ("change", "exit_code", "reason"),
    [
        ({"SYMBOL": "NOSUCHUSDT"}, ExitCode.REFUSED_BY_VENUE, "RefusedByVenue"),
        ({"BINANCE_WS_URL": "ws://127.0.0.1:1/ws"}, ExitCode.TRY_AGAIN, "VenueUnavailable"),
    ],
)
async def test_a_stream_that_cannot_be_ends_the_attempt(
    new_task: Callable[..., Task], change: dict[str, str], exit_code: ExitCode, reason: str
) -> None:
    task = new_task("ws_candles_1s", LOADER_PATIENCE_SECONDS="1", **change)

    ended = await run_worker(task.variables)

    assert ended.exit_code == exit_code, ended.stderr
    assert (await task.events())[-1].progress.reason == reason


async def test_a_symbol_that_does_not_trade_is_followed_with_a_word_about_it(
    new_task: Callable[..., Task],
) -> None:
    task = new_task("ws_trades", SYMBOL="BREAKUSDT")
    async with running_worker(task.variables) as worker:
        await worker.says("BREAKUSDT does not trade now: the venue says BREAK")
        worker.terminate()
        ended = await worker.ended()
    assert ended.exit_code == ExitCode.TRY_AGAIN, ended.stderr
    assert any("does not trade" in event.payload.message for event in await task.events())
