"""The worker as a real process, and what it leaves in Kafka, for integration tests."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import groupby

import aiohttp
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from loadertask_contract.commands import Command, ControlCommand, encode_command
from loadertask_contract.events import Event, EventStatus, parse_event
from loadertask_contract.intervals import Interval
from loadertask_contract.records import CANDLE_FIELDS, candle_template
from loadertask_contract.time_range import parse_time_range
from loadertask_devstack.kafka import Kafka, topics
from loadertask_devstack.kafka.topics import Record
from loadertask_devstack.venue.faults import Fault, FaultKind, FaultRule, Match
from loadertask_devstack.venue.server import RunningVenue

EXIT_TIMEOUT_S = 60.0
LONG = "2021-10-01:2023-03-01"
"""Without outages, and with `slow_klines` three quarters of a minute: no test waits for its end."""
_POLL_S = 0.05
_LINES_SHOWN = 60
_STAMP = re.compile(r"^\S+Z ")


@dataclass(frozen=True)
class Ended:
    """How a worker ended."""

    exit_code: int
    stderr: str
    took_s: float


class WorkerProcess:
    """One running ``python -m loadertask_worker``."""

    def __init__(self, process: asyncio.subprocess.Process, begun_s: float) -> None:
        self._process = process
        self._begun_s = begun_s
        self._stderr = asyncio.create_task(self._read())
        self.lines: list[str] = []

    def terminate(self) -> None:
        assert self._process.returncode is None, "ended before"
        self._process.terminate()

    async def kill(self) -> None:
        """End it, while it still runs, without a chance to say or commit anything."""
        assert self._process.returncode is None, "ended before"
        self._process.kill()
        await self._process.wait()

    def log(self) -> str:
        """The last of what it said; of lines that differ in their time alone, the last one."""
        shown: list[str] = []
        for _, alike in groupby(self.lines, lambda line: _STAMP.sub("", line)):
            *before, last = alike
            shown += [f"({len(before) + 1} times:) {last}" if before else last]
        return "".join(shown[-_LINES_SHOWN:])

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ended(self, timeout_s: float = EXIT_TIMEOUT_S) -> Ended:
        """How it ended; TimeoutError if it does not."""
        try:
            async with asyncio.timeout(timeout_s):
                exit_code = await self._process.wait()
                took_s = time.monotonic() - self._begun_s
                await self._stderr
        except TimeoutError:
            raise TimeoutError(f"still there after {timeout_s} s") from None
        return Ended(exit_code, "".join(self.lines), took_s)

    async def says(self, pattern: str, timeout_s: float = 60.0) -> None:
        """Wait until a log line matches somewhere; fail at once when it has ended without it."""

        def said() -> bool:
            return any(re.search(pattern, line) for line in self.lines)

        try:
            await eventually(lambda: said() or self._stderr.done(), timeout_s)
        except TimeoutError:
            raise TimeoutError(f"no {pattern!r} in {timeout_s} s") from None
        assert said(), f"ended without saying {pattern!r}"

    async def has_loaded(self) -> None:
        """Wait until it has reported acknowledged records while loading."""
        await self.says("loading: Loaded and published [1-9]")

    async def close(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._stderr

    async def _read(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.lines.append(line.decode())


@asynccontextmanager
async def running_worker(variables: Mapping[str, str]) -> AsyncIterator[WorkerProcess]:
    """A worker with exactly these variables, killed at the end of the block if it still runs.

    What it said is in the output of a test that fails.
    """
    begun_s = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadertask_worker",
        env={"PATH": os.environ["PATH"], **variables},
        stderr=asyncio.subprocess.PIPE,
        limit=1024 * 1024,
    )  # fmt: skip
    worker = WorkerProcess(process, begun_s)
    try:
        yield worker
    finally:
        await worker.close()
        print(f"--- worker {worker.pid} ---\n{worker.log()}")


async def run_worker(variables: Mapping[str, str], timeout_s: float = EXIT_TIMEOUT_S) -> Ended:
    """Run a worker to its end."""
    async with running_worker(variables) as worker:
        return await worker.ended(timeout_s)


async def eventually(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(timeout_s):
        # The conditions are of other processes, which set no event of ours.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)


async def set_topic(kafka: Kafka, topic: str, setting: str, value: int) -> None:
    """Change a setting of a topic while it is in use."""
    change = ConfigEntry(setting, str(value), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])
    admin = AdminClient({"bootstrap.servers": kafka.plain})
    (altered,) = admin.incremental_alter_configs([resource]).values()
    await asyncio.to_thread(altered.result, 10)

    def is_in_force() -> bool:
        (described,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
        return described.result(10)[setting].value == str(value)

    while not await asyncio.to_thread(is_in_force):  # noqa: ASYNC110 - the broker sets no event
        await asyncio.sleep(_POLL_S)


def publish(kafka: Kafka, topic: str, *values: bytes) -> None:
    """Write messages as any other program could, without a key."""
    producer = Producer({"bootstrap.servers": kafka.plain, "message.max.bytes": 2_000_000})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(10) == 0


def command(word: Command, queue_id: str) -> bytes:
    """A message of queue-control."""
    return encode_command(ControlCommand(word, queue_id)).value


KLINES = "/api/v3/klines"


def slow_klines(venue: RunningVenue, delay_s: float = 0.5) -> None:
    """Give a test time to intervene: a month, eight pages at a time, is six times this."""
    slow = Fault(kind=FaultKind.SLOW, delay_s=delay_s)
    venue.state.faults.add([FaultRule(match=Match(path=KLINES), fault=slow)])


def endless(venue: RunningVenue, task: Task) -> Task:
    """The task at a slow venue where its load cannot end, until the venue's faults are cleared.

    The last page never comes. Two requests with the same end come before: where the range begins
    is asked twice.
    """
    end_ms = parse_time_range(task.variables["TIME_RANGE"]).end_ms
    last_page = Match(path=KLINES, params={"endTime": str(end_ms - 1)}, nth=3)
    rule = FaultRule(match=last_page, fault=Fault(kind=FaultKind.HANG))
    venue.state.faults.add([rule])
    slow_klines(venue)
    return task.but(LOADER_PATIENCE_SECONDS="100")


async def source_candles(venue: RunningVenue, time_range: str) -> list[bytes]:
    """The one-minute candles of BTCUSDT as the venue has them, spelled by the contract."""
    asked = parse_time_range(time_range)
    template = candle_template("BTCUSDT", Interval.MINUTE_1)
    params = {"symbol": "BTCUSDT", "interval": "1m", "limit": "1000"}
    records: list[bytes] = []
    start_ms = asked.start_ms
    async with aiohttp.ClientSession(venue.url) as session:
        while start_ms < asked.end_ms:
            span = {"startTime": str(start_ms), "endTime": str(asked.end_ms - 1)}
            async with session.get(KLINES, params=params | span) as response:
                rows = await response.json()
            if not rows:
                break
            records += [(template % tuple(row[: len(CANDLE_FIELDS)])).encode() for row in rows]
            start_ms = rows[-1][0] + 1
    return records


@dataclass(frozen=True)
class Task:
    """One task of a test: its variables, and what its worker left in Kafka."""

    kafka: Kafka
    variables: Mapping[str, str]

    @property
    def queue_id(self) -> str:
        return self.variables["QUEUE_ID"]

    def but(self, **changes: str | None) -> Task:
        """The same with other variables; None leaves one out."""
        changed = {**self.variables, **changes}
        return Task(self.kafka, {k: v for k, v in changed.items() if v is not None})

    def as_user(self, user: str) -> Task:
        """The same with the rights of another user."""
        password = self.kafka.password(user)
        return self.but(KAFKA_USER_PRODUCER=user, KAFKA_PASSWORD_PRODUCER=password)

    def command(self, word: Command) -> None:
        """Send a command to this queue."""
        publish(self.kafka, "queue-control", command(word, self.queue_id))

    async def values(self) -> list[bytes]:
        """The values of the committed records, in order."""
        return [record.value or b"" for record in await self.records()]

    async def records(self) -> list[Record]:
        return await asyncio.to_thread(
            topics.read_records, self.kafka.plain, self.variables["KAFKA_TOPIC"]
        )

    async def events(self) -> list[Event]:
        """The events of this queue, in order."""
        found = await asyncio.to_thread(topics.read_records, self.kafka.plain, "queue-events")
        key = self.queue_id.encode()
        return [parse_event(each.value, each.headers) for each in found if each.key == key]

    async def statuses(self, *, without_loading: bool = True) -> list[EventStatus]:
        return [
            event.payload.status
            for event in await self.events()
            if not (without_loading and event.payload.status is EventStatus.LOADING)
        ]


TRANSACTIONAL = "loader-transactional"


def candle_task(kafka: Kafka, venue_url: str, queue_id: str, time_range: str) -> Task:
    """One-minute candles of BTCUSDT, as the operator would order them."""
    return Task(
        kafka,
        {
            "QUEUE_ID": queue_id,
            "SYMBOL": "BTCUSDT",
            "TYPE": "api_candles_1m",
            "INTERVAL": "1m",
            "TIME_RANGE": time_range,
            "KAFKA_TOPIC": f"{queue_id}-data",
            "TELEMETRY_PRODUCER_ID": f"loader-producer__{queue_id[-6:]}",
            "KAFKA_BOOTSTRAP_SERVERS": kafka.secure,
            "KAFKA_USER_PRODUCER": "loader",
            "KAFKA_PASSWORD_PRODUCER": kafka.password("loader"),
            "CA_PATH": str(kafka.ca_path),
            "BINANCE_API_URL": venue_url,
            "TELEMETRY_INTERVAL": "0.5",
            "LOADER_PATIENCE_SECONDS": "20",
            "LOADER_METRICS_PORT": "0",  # several workers share this machine
        },
    )
