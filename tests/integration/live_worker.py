"""A live worker under test: its process, its venue and its topic, compared with REST."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from confluent_kafka import Producer
from tests.integration.venue_stream_client import StreamVenue
from tests.integration.venue_truth import SYMBOL, assert_same, true_candles, true_trades
from tests.integration.worker_process import Task, WorkerProcess, running_worker

from loadertask_contract.commands import Command, ControlCommand, encode_command
from loadertask_contract.events import EventStatus
from loadertask_contract.intervals import DAY_MS
from loadertask_devstack.kafka import Kafka
from loadertask_devstack.kafka.topics import Record

REST = ("source", b"rest")
TRADE_PACE = 100
"""The replay's pairs trade once in some seconds."""


async def hurry(venue: StreamVenue) -> None:
    """Let the venue's clock run faster, from a day ago on: it does not reach the future."""
    clock = {"now_ms": time.time_ns() // 1_000_000 - DAY_MS, "rate": TRADE_PACE}
    await venue.control("PUT", "clock", clock)


def live_task(kafka: Kafka, venue: StreamVenue, queue_id: str, kind: str, **more: str) -> Task:
    """A live task as the operator would order it from the second image: the smaller environment."""
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


class Live:
    """A running worker, its venue, and what is in its topic."""

    def __init__(self, task: Task, worker: WorkerProcess, venue: StreamVenue) -> None:
        self.task, self.worker, self.venue = task, worker, venue

    async def has(
        self, is_enough: Callable[[list[Record]], bool], timeout_s: float = 60
    ) -> list[Record]:
        """Wait until the topic holds enough; everything there is then."""
        deadline_s = time.monotonic() + timeout_s
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
    assert_same([record.value for record in records], true[: len(records)])


def is_closed(record: Record) -> bool:
    return ("is_closed", b"true") in record.headers


async def assert_true_candles(
    venue: StreamVenue, records: list[Record], interval: str = "1s"
) -> None:
    """Every candle between the first and the last is closed once, in its turn, as REST has it."""
    closed = [record.value for record in records if is_closed(record)]
    opens = [json.loads(value)["open_time"] for value in closed]
    candles = true_candles(venue.get, interval, opens[0], opens[-1] + 1)
    assert_same(closed, [candle async for candle in candles])
