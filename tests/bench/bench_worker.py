"""How fast the worker is, against the loop it replaces, and how much memory it takes.

    python tests/bench/bench_worker.py [--rounds 3] [--days 120] [--long-days 730]

Both load one-minute candles from a local venue replay (weight limit raised) into a real Kafka over
SASL_SSL with acks=all, in turns; the broker runs with its full compiler. Nothing else should run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import aiohttp
from aiokafka import AIOKafkaProducer

from loadertask_contract.environment import WorkerEnvironment
from loadertask_contract.events import EventStatus, parse_event
from loadertask_contract.records import CANDLE_FIELDS
from loadertask_devstack.kafka import Kafka, running_kafka, topics
from loadertask_devstack.stack import free_port
from loadertask_worker.kafka.security import kafka_access

FIRST_DAY = date(2021, 1, 1)
LOOP_PAGES = 4
WARM_UPS = 4
UNLIMITED_WEIGHT = 100_000_000
MEBIBYTE = 1024


@dataclass(frozen=True)
class Run:
    """One measured load."""

    records: int
    seconds: float
    peak_rss_mb: float = 0.0
    first_record_s: float = 0.0

    @property
    def rate(self) -> float:
        return self.records / self.seconds


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bench-worker-") as folder:
        venue = _start_venue()
        try:
            with running_kafka(Path(folder) / "kafka", full_jit=True) as kafka:
                _measure(kafka, venue[1], options)
        finally:
            venue[0].terminate()
            venue[0].wait(10)
    return 0


def _measure(kafka: Kafka, url: str, options: argparse.Namespace) -> None:
    print("warming up: the broker compiles what it runs often", flush=True)
    for _ in range(WARM_UPS):
        _run_worker(kafka, url, options.days)
    asyncio.run(_run_loop(kafka, url))
    workers, loops = [], []
    for number in range(1, options.rounds + 1):
        workers.append(_run_worker(kafka, url, options.days))
        loops.append(asyncio.run(_run_loop(kafka, url)))
        print(
            f"round {number}: worker {workers[-1].rate:,.0f}/s, loop {loops[-1].rate:,.0f}/s",
            flush=True,
        )
    long = _run_worker(kafka, url, options.long_days)
    _print_table(workers, loops, long)


def _print_table(workers: list[Run], loops: list[Run], long: Run) -> None:
    rates = {
        "await send_and_wait per record": statistics.median(run.rate for run in loops),
        "loadertask_worker": statistics.median(run.rate for run in workers),
    }
    base = rates["await send_and_wait per record"]
    print(f"\n{'REST pages -> Kafka, SASL_SSL, acks=all':42}{'records/s':>12}{'ratio':>9}")
    for name, rate in rates.items():
        print(f"{name:42}{rate:>12,.0f}{rate / base:>8.1f}x")
    print(f"{f'loadertask_worker, {long.records:,} records':42}{long.rate:>12,.0f}"
          f"{long.rate / base:>8.1f}x")  # fmt: skip
    usual_mb = statistics.median(run.peak_rss_mb for run in workers)
    print(f"\nworker's peak RSS: {usual_mb:.0f} MB for {workers[0].records:,} records,")
    print(f"                   {long.peak_rss_mb:.0f} MB for {long.records:,}")
    first = statistics.median(run.first_record_s for run in workers)
    print(f"process start -> first record: {first:.2f} s (median)")


def _run_worker(kafka: Kafka, url: str, days: int) -> Run:
    """From the ``started`` to the ``finished`` event; memory and first record of the process."""
    variables = _variables(kafka, url, days)
    begun_s = time.time()
    worker = subprocess.Popen(
        [sys.executable, "-m", "loadertask_worker"],
        env={"PATH": os.environ["PATH"], **variables},
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(worker.pid, 0)
    worker.returncode = os.waitstatus_to_exitcode(status)
    if worker.returncode:
        raise SystemExit(f"the worker ended with exit code {worker.returncode}")
    key = variables["QUEUE_ID"].encode()
    found = topics.read_records(kafka.plain, "queue-events")
    events = [parse_event(each.value, each.headers).payload for each in found if each.key == key]
    first, last = events[0], events[-1]
    if last.status is not EventStatus.FINISHED or first.timestamp is None or not last.timestamp:
        raise SystemExit(f"the worker ended with {last}")
    records = topics.read_records(kafka.plain, variables["KAFKA_TOPIC"], limit=1)
    topics.delete_topic(kafka.plain, variables["KAFKA_TOPIC"])
    return Run(
        last.records_written,
        last.timestamp - first.timestamp,
        usage.ru_maxrss / MEBIBYTE,
        records[0].timestamp_ms / 1000 - begun_s,
    )


async def _run_loop(kafka: Kafka, url: str) -> Run:
    """As the platform's loaders do: floats, one dictionary, one await for each record."""
    variables = _variables(kafka, url, 1)
    topics.create_topic(kafka.plain, variables["KAFKA_TOPIC"])
    access = kafka_access(WorkerEnvironment.model_validate(variables))
    params = {"symbol": "BTCUSDT", "interval": "1m", "limit": "1000", "startTime": "1609459200000"}
    records = 0
    async with (
        AIOKafkaProducer(**access.client_options, acks="all") as producer,
        aiohttp.ClientSession() as session,
    ):
        begun_s = time.perf_counter()
        for _ in range(LOOP_PAGES):
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


def _variables(kafka: Kafka, url: str, days: int) -> dict[str, str]:
    queue_id = f"bench-{secrets.token_hex(4)}"
    return {
        "QUEUE_ID": queue_id,
        "SYMBOL": "BTCUSDT",
        "TYPE": "api_candles_1m",
        "TIME_RANGE": f"{FIRST_DAY}:{FIRST_DAY + timedelta(days=days)}",
        "KAFKA_TOPIC": f"{queue_id}-data",
        "TELEMETRY_PRODUCER_ID": queue_id,
        "KAFKA_BOOTSTRAP_SERVERS": kafka.secure,
        "KAFKA_USER_PRODUCER": "loader",
        "KAFKA_PASSWORD_PRODUCER": kafka.password("loader"),
        "CA_PATH": str(kafka.ca_path),
        "BINANCE_API_URL": url,
    }


def _start_venue() -> tuple[subprocess.Popen[str], str]:
    port = free_port()
    command = [sys.executable, "-m", "loadertask_devstack.venue", "--port", str(port)]
    command += ["--weight-limit", str(UNLIMITED_WEIGHT), "--raw-limit", str(UNLIMITED_WEIGHT)]
    venue = subprocess.Popen([*command, "--no-gzip"], stdout=subprocess.PIPE, text=True)
    assert venue.stdout is not None
    for line in venue.stdout:
        if "venue replay on" in line:
            return venue, f"http://127.0.0.1:{port}"
    raise SystemExit("the venue replay did not start")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--days", type=int, default=100, help="of the measured loads")
    parser.add_argument("--long-days", type=int, default=730, help="of the load for memory")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
