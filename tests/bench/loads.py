"""One measured load each: a worker or two, the loop it replaces, Kafka's own performance test.

All write records of the same size into a real Kafka over SASL_SSL with acks=all. Shared by the
benchmarks; measures, prints nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import aiohttp
from aiokafka import AIOKafkaProducer

from loadertask_contract.environment import WorkerEnvironment
from loadertask_contract.events import Event, EventStatus, parse_event
from loadertask_contract.records import CANDLE_FIELDS
from loadertask_devstack.kafka import Kafka, topics
from loadertask_devstack.stack import free_port
from loadertask_worker.kafka.security import kafka_access

FIRST_DAY = date(2021, 1, 1)
RECORD_BYTES = 349
"""A one-minute candle of BTCUSDT in 2023."""

_LOOP_PAGES = 4
_UNLIMITED_WEIGHT = 100_000_000
_KIBIBYTES_PER_MB = 1024
_JAVA_LINE = re.compile(r"([0-9]+) steady state records sent, ([0-9.]+) records/sec")


@dataclass(frozen=True)
class Run:
    """One measured load."""

    records: int
    seconds: float
    peak_rss_mb: float = 0.0

    @property
    def rate(self) -> float:
        """Records per second."""
        return self.records / self.seconds


@contextmanager
def running_venue() -> Iterator[str]:
    """The URL of a replay in a process of its own, whose limits stand in nobody's way."""
    port = free_port()
    command = [sys.executable, "-m", "loadertask_devstack.venue", "--port", str(port)]
    command += ["--weight-limit", str(_UNLIMITED_WEIGHT), "--raw-limit", str(_UNLIMITED_WEIGHT)]
    venue = subprocess.Popen([*command, "--no-gzip"], stdout=subprocess.PIPE, text=True)
    try:
        assert venue.stdout is not None
        if not any("venue replay on" in line for line in venue.stdout):
            raise SystemExit("the venue replay did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        venue.terminate()
        venue.wait(10)


def candles(kafka: Kafka, url: str, days: int, **changes: str) -> dict[str, str]:
    """The variables of a worker that loads so many days of one-minute candles, exactly once."""
    queue_id = f"bench-{secrets.token_hex(4)}"
    return {
        "QUEUE_ID": queue_id,
        "SYMBOL": "BTCUSDT",
        "TYPE": "api_candles_1m",
        "TIME_RANGE": f"{FIRST_DAY}:{FIRST_DAY + timedelta(days=days)}",
        "KAFKA_TOPIC": f"{queue_id}-data",
        "TELEMETRY_PRODUCER_ID": queue_id,
        "KAFKA_BOOTSTRAP_SERVERS": kafka.secure,
        "KAFKA_USER_PRODUCER": "loader-transactional",
        "KAFKA_PASSWORD_PRODUCER": kafka.password("loader-transactional"),
        "CA_PATH": str(kafka.ca_path),
        "BINANCE_API_URL": url,
        "LOADER_DELIVERY": "exactly_once",
        "LOADER_METRICS_PORT": "0",
        **changes,
    }


def run_worker(kafka: Kafka, variables: Mapping[str, str]) -> Run:
    """A load by one worker, from its ``started`` to its ``finished`` event."""
    return run_shards(kafka, variables, 1)


def run_shards(kafka: Kafka, variables: Mapping[str, str], count: int) -> Run:
    """The same load by ``count`` workers at once; memory is that of the largest."""
    workers = [start_worker(variables, index, count) for index in range(count)]
    peaks = [_peak_of_success(worker) for worker in workers]
    events = events_of(kafka, variables["QUEUE_ID"])
    ends = [event.payload for event in events if event.payload.status is EventStatus.FINISHED]
    if len(ends) != count:
        raise SystemExit(f"{len(ends)} of {count} workers finished")
    topics.delete_topic(kafka.plain, variables["KAFKA_TOPIC"])
    return Run(
        sum(end.records_written for end in ends),
        max(_sent_s(event) for event in events) - min(_sent_s(event) for event in events),
        max(peaks),
    )


def start_worker(
    variables: Mapping[str, str], index: int = 0, count: int = 1
) -> subprocess.Popen[bytes]:
    """A worker process, one of ``count`` shards."""
    shard = {"LOADER_SHARD_INDEX": str(index), "LOADER_SHARD_COUNT": str(count)}
    return subprocess.Popen(
        [sys.executable, "-m", "loadertask_worker"],
        env={"PATH": os.environ["PATH"], **variables, **(shard if count > 1 else {})},
        stderr=subprocess.DEVNULL,
    )


def peak_rss_mb(worker: subprocess.Popen[bytes]) -> float:
    """The peak memory (MB) of a worker, once it has ended."""
    _, status, usage = os.wait4(worker.pid, 0)
    worker.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss / _KIBIBYTES_PER_MB


def _peak_of_success(worker: subprocess.Popen[bytes]) -> float:
    peak_mb = peak_rss_mb(worker)
    if worker.returncode:
        raise SystemExit(f"a worker ended with exit code {worker.returncode}")
    return peak_mb


def events_of(kafka: Kafka, queue_id: str) -> list[Event]:
    """The events of one queue, in order."""
    found = topics.read_records(kafka.plain, "queue-events")
    return [
        parse_event(each.value, each.headers) for each in found if each.key == queue_id.encode()
    ]


def _sent_s(event: Event) -> float:
    return event.payload.timestamp or 0.0


def run_loop(kafka: Kafka, url: str) -> Run:
    """As the platform's loaders do: floats, one dictionary, one await for each record."""
    return asyncio.run(_loop(kafka, url))


async def _loop(kafka: Kafka, url: str) -> Run:
    variables = candles(kafka, url, 1)
    topics.create_topic(kafka.plain, variables["KAFKA_TOPIC"])
    access = kafka_access(WorkerEnvironment.model_validate(variables))
    params = {"symbol": "BTCUSDT", "interval": "1m", "limit": "1000", "startTime": "1609459200000"}
    records = 0
    async with (
        AIOKafkaProducer(**access.client_options, acks="all") as producer,
        aiohttp.ClientSession() as session,
    ):
        begun_s = time.perf_counter()
        for _ in range(_LOOP_PAGES):
            async with session.get(f"{url}/api/v3/klines", params=params) as response:
                rows = await response.json()
            for row in rows:
                record = dict(zip(CANDLE_FIELDS, map(float, row[:11]), strict=True))
                value = json.dumps({**record, "symbol": "BTCUSDT", "interval": "1m"}).encode()
                await producer.send_and_wait(variables["KAFKA_TOPIC"], value, key=b"BTCUSDT")
                records += 1
            params["startTime"] = str(rows[-1][0] + 1)
        took_s = time.perf_counter() - begun_s
    topics.delete_topic(kafka.plain, variables["KAFKA_TOPIC"])
    return Run(records, took_s)


def run_java(kafka: Kafka, folder: Path, jars: Path, options: Sequence[str] = ()) -> Run:
    """Kafka's ``kafka-producer-perf-test``, its just-in-time compiler warm before it counts."""
    topic = f"bench-java-{secrets.token_hex(4)}"
    topics.create_topic(kafka.plain, topic)
    settings = folder / "java.properties"
    settings.write_text(_java_settings(kafka))
    tested = subprocess.run(
        [
            "java", "-Xmx512M", "-cp", f"{jars}/*", "org.apache.kafka.tools.ProducerPerformance",
            "--topic", topic, "--num-records", "600000", "--warmup-records", "200000",
            "--record-size", str(RECORD_BYTES), "--throughput", "-1",
            "--command-config", str(settings), *options,
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    topics.delete_topic(kafka.plain, topic)
    line = _JAVA_LINE.search(tested.stdout)
    if line is None:
        raise SystemExit(f"the performance test said: {tested.stdout[-500:]}")
    return Run(int(line[1]), int(line[1]) / float(line[2]))


def _java_settings(kafka: Kafka) -> str:
    module = "org.apache.kafka.common.security.scram.ScramLoginModule"
    login = f'{module} required username="loader" password="{kafka.password("loader")}";'
    return "\n".join(
        (
            f"bootstrap.servers={kafka.secure}",
            "security.protocol=SASL_SSL",
            "sasl.mechanism=SCRAM-SHA-512",
            f"sasl.jaas.config={login}",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={kafka.ca_path}",
            "acks=all",
        )
    )
