"""Loads of every kind lose and double nothing, whatever is killed or cut, and whenever."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from confluent_kafka import Producer
from tests.integration.chaos import BLOWS_A_ROUND, Blows, Load
from tests.integration.cutting_proxy import CuttingProxy, cutting_proxy
from tests.integration.venue_stream_client import StreamVenue
from tests.integration.venue_truth import (
    assert_same,
    first_trade_id,
    kinds_of_book,
    true_candles,
    true_trades,
)
from tests.integration.worker_process import Task, candle_task

from loadertask_contract.commands import Command, ControlCommand, encode_command
from loadertask_contract.time_range import parse_time_range
from loadertask_devstack import venue as venue_replay
from loadertask_devstack.kafka import Kafka, running_kafka

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

ROUNDS = 12
"""More than a hundred blows in all."""
CALM_S, ROUND_S = 120.0, 50.0
"""Bounds for a slow machine."""
SLOW_S = 1.5
"""What a page or a file takes while blows fall, so that loads are under way when they do."""
SLOW_PATHS = ("/api/v3/klines", "/api/v3/aggTrades", "/data/*")

CANDLE_RANGE = "2021-01-01:2021-07-01"
TRADE_RANGE = "2021-01-01:2021-01-03"
Check = Callable[[StreamVenue, Task], Awaitable[None]]


@dataclass(frozen=True)
class Kind:
    """One of the loads: what is changed of a load of candles, and what must be there at the end."""

    name: str
    changes: dict[str, str | None]
    check: Check
    from_archive: bool = False
    is_live: bool = False


async def test_nothing_is_lost_or_doubled_whatever_is_killed_and_cut(
    tmp_path: Path, unique: Callable[[str], str]
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    with running_venue(tmp_path / "venue") as venue_url:
        async with (
            cutting_proxy() as to_kafka,
            proxy_to(venue_url.removeprefix("http://")) as to_venue,
            aiohttp.ClientSession(venue_url) as session,
        ):
            venue = StreamVenue(venue_url, session)
            with running_kafka(tmp_path / "kafka", advertised_secure_port=to_kafka.port) as kafka:
                to_kafka.aim_at(kafka.secure)
                proxied = dataclasses.replace(kafka, secure=to_kafka.address)
                loads = [load_of(kind, proxied, to_venue.address, unique) for kind in KINDS]
                proxies = {"Kafka": to_kafka, "the venue": to_venue}
                blows = Blows(loads, proxies, kafka, random.Random(seed))
                await weather(loads, blows, kafka, venue)
                for kind, load in zip(KINDS, loads, strict=True):
                    await kind.check(venue, load.task)


async def weather(loads: Sequence[Load], blows: Blows, kafka: Kafka, venue: StreamVenue) -> None:
    """Let it rain on the loads, then let them end in calm."""
    slow = {"kind": "slow", "delay_s": SLOW_S}
    rules = [{"match": {"path": path}, "fault": slow} for path in SLOW_PATHS]
    await venue.control("POST", "faults", rules)
    begun_s = time.monotonic()
    async with asyncio.timeout(CALM_S + ROUNDS * ROUND_S), asyncio.TaskGroup() as group:
        runs = [group.create_task(load.run()) for load in loads]
        await blows.rain(ROUNDS)
        rained_s = time.monotonic() - begun_s
        print(f"{rained_s:.0f} s, {dict(blows.dealt)}, lives {[load.lives for load in loads]}")
        over = [load.name for load, run in zip(loads, runs, strict=True) if run.done()]
        print(f"over before the rain was: {over}")
        await venue.control("DELETE", "faults")
        for load in loads:
            if load.is_live:
                stop(kafka, load.task.queue_id)


def load_of(kind: Kind, kafka: Kafka, venue: str, unique: Callable[[str], str]) -> Load:
    task = candle_task(kafka, f"http://{venue}", unique("chaos"), CANDLE_RANGE)
    user = "loader" if kind.is_live else "loader-transactional"
    task = task.but(
        KAFKA_USER_PRODUCER=user,
        KAFKA_PASSWORD_PRODUCER=kafka.password(user),
        LOADER_ARCHIVE_URL=f"http://{venue}" if kind.from_archive else None,
        BINANCE_WS_URL=f"ws://{venue}/ws",
        # As the operator sets it: a stop that comes between two lives counts for the next.
        LOADER_CONTROL_SINCE=datetime.now(UTC).isoformat(),
        **kind.changes,
    )
    return Load(kind.name, task, kind.is_live)


async def check_past_candles(venue: StreamVenue, task: Task) -> None:
    asked = parse_time_range(task.variables["TIME_RANGE"])
    candles = true_candles(venue.get, "1m", asked.start_ms, asked.end_ms)
    assert_same([record.value for record in await task.records()], [each async for each in candles])


async def check_past_trades(venue: StreamVenue, task: Task) -> None:
    asked = parse_time_range(task.variables["TIME_RANGE"])
    expected = []
    first_id = await first_trade_id(venue.get, asked.start_ms)
    async for _, time_ms, record in true_trades(venue.get, first_id):
        if time_ms >= asked.end_ms:
            break
        expected.append(record)
    assert_same([record.value for record in await task.records()], expected)


async def check_live_trades(venue: StreamVenue, task: Task) -> None:
    loaded = [record.value or b"" for record in await task.records()]
    first_id, last_id = (json.loads(loaded[end])["trade_id"] for end in (0, -1))
    expected = []
    async for trade_id, _, record in true_trades(venue.get, first_id):
        if trade_id > last_id:
            break
        expected.append(record)
    assert_same(loaded, expected)


async def check_live_candles(venue: StreamVenue, task: Task) -> None:
    loaded = [record.value or b"" for record in await task.records()]
    first_ms, last_ms = (json.loads(loaded[end])["open_time"] for end in (0, -1))
    candles = true_candles(venue.get, "1s", first_ms, last_ms + 1)
    assert_same(loaded, [each async for each in candles])


async def check_book(venue: StreamVenue, task: Task) -> None:
    kinds = kinds_of_book(await task.records())
    assert kinds[0] == "snapshot"
    assert kinds.count("diff") > ROUNDS * BLOWS_A_ROUND, "the book lived between the blows"


KINDS = (
    Kind("candles by REST", {"LOADER_DELIVERY": "exactly_once"}, check_past_candles),
    Kind(
        "candles of the archive",
        {"LOADER_DELIVERY": "exactly_once"},
        check_past_candles,
        from_archive=True,
    ),
    Kind(
        "past trades",
        {"TYPE": "api_trades", "INTERVAL": None, "TIME_RANGE": TRADE_RANGE},
        check_past_trades,
    ),
    Kind(
        "live trades",
        {"TYPE": "ws_trades", "INTERVAL": None, "TIME_RANGE": None},
        check_live_trades,
        is_live=True,
    ),
    Kind(
        "live candles",
        {
            "TYPE": "ws_candles_1s",
            "INTERVAL": None,
            "TIME_RANGE": None,
            "LOADER_CLOSED_ONLY": "true",
        },
        check_live_candles,
        is_live=True,
    ),
    Kind(
        "live order book",
        {"TYPE": "ws_orderbook", "INTERVAL": None, "TIME_RANGE": None},
        check_book,
        is_live=True,
    ),
)


def stop(kafka: Kafka, queue_id: str) -> None:
    message = encode_command(ControlCommand(Command.STOP, queue_id))
    producer = Producer({"bootstrap.servers": kafka.plain})
    producer.produce("queue-control", message.value, message.key)
    assert producer.flush(20) == 0


@contextmanager
def running_venue(directory: Path) -> Iterator[str]:
    """A replay in a process of its own: this one has enough to do."""
    try:
        yield venue_replay.start(directory, weight_limit=100_000_000, compress=False).url
    finally:
        venue_replay.stop(directory)


@asynccontextmanager
async def proxy_to(address: str) -> AsyncIterator[CuttingProxy]:
    async with cutting_proxy() as proxy:
        proxy.aim_at(address)
        yield proxy
