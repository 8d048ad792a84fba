"""What is bounded: from start to first record, from stop to ``interrupted``, the peak of memory.

    python tests/bench/bench_bounds.py [--starts 20] [--stops 50]

A start ends when a read_committed reader has the first record of a load from the archive; the
topic is there already. The stops come at random moments of such loads at full speed; the time is
between the two records in Kafka, the command and the event. All exactly once, over SASL_SSL. The
slow broker takes 2 MB/s of the user, by Kafka's own quota.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from loads import RECORD_BYTES, candles, events_of, peak_rss_mb, running_venue, start_worker

from loadertask_contract.commands import Command, ControlCommand, encode_command
from loadertask_contract.events import EventStatus
from loadertask_devstack.kafka import Kafka, broker, running_kafka, topics

SHORT_DAYS = 30
LONG_DAYS = 1_000
LONGEST_LOAD_S = 2.0
SLOW_BYTES_PER_S = 2_000_000
SLOW_S = 30.0


def main() -> int:
    options = _options()
    with (
        tempfile.TemporaryDirectory(prefix="bench-bounds-") as folder,
        running_venue() as url,
        running_kafka(Path(folder) / "kafka", full_jit=True) as kafka,
    ):
        starts_s = [asyncio.run(_start(kafka, url)) for _ in range(options.starts + 2)][2:]
        _print_times("start → first record committed", starts_s)
        took_s = [asyncio.run(_stop(kafka, url)) for _ in range(options.stops + 2)][2:]
        _print_times("stop → interrupted", took_s)
        _slow_down(kafka)
        for source in ("archive", "REST"):
            peak_mb, mb_per_s = asyncio.run(_slow_load(kafka, url, source))
            print(f"peak memory behind a broker that takes {mb_per_s:.1f} MB/s, {source}:"
                  f" {peak_mb:.0f} MB", flush=True)  # fmt: skip
    return 0


def _print_times(what: str, took_s: list[float]) -> None:
    p99 = statistics.quantiles(took_s, n=100, method="inclusive")[98]
    print(f"| {what}, s | p50 | p99 | most |\n|---|---|---|---|")
    print(f"| {len(took_s)} times | {statistics.median(took_s):.2f} | {p99:.2f} |"
          f" {max(took_s):.2f} |\n", flush=True)  # fmt: skip


async def _start(kafka: Kafka, url: str) -> float:
    """Seconds from the start of the process to its first record at a read_committed reader."""
    variables = candles(kafka, url, SHORT_DAYS, LOADER_ARCHIVE_URL=url)
    topic = variables["KAFKA_TOPIC"]
    topics.create_topic(kafka.plain, topic)
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=kafka.plain, isolation_level="read_committed",
        auto_offset_reset="earliest",
    ) as reader:  # fmt: skip
        begun_s = time.monotonic()
        worker = start_worker(variables)
        async with asyncio.timeout(30):
            await reader.getone()
        took_s = time.monotonic() - begun_s
    await asyncio.to_thread(worker.wait, 30)
    topics.delete_topic(kafka.plain, topic)
    return took_s


async def _stop(kafka: Kafka, url: str) -> float:
    """Seconds from the command to the event, by Kafka's timestamps."""
    variables = candles(kafka, url, LONG_DAYS, LOADER_ARCHIVE_URL=url, TELEMETRY_INTERVAL="0.2")
    worker = start_worker(variables)
    try:
        await _until_loading(kafka, variables)
        await asyncio.sleep(random.uniform(0, LONGEST_LOAD_S))
        sent_ms = await _send_stop(kafka, variables["QUEUE_ID"])
        await asyncio.to_thread(worker.wait, 30)
    finally:
        worker.kill()
    last = events_of(kafka, variables["QUEUE_ID"])[-1].payload
    if last.status is not EventStatus.INTERRUPTED or last.timestamp is None:
        raise SystemExit(f"the worker ended with {last}")
    topics.delete_topic(kafka.plain, variables["KAFKA_TOPIC"])
    return last.timestamp - sent_ms / 1000


async def _slow_load(kafka: Kafka, url: str, source: str) -> tuple[float, float]:
    """Peak memory, MB, and what Kafka took, MB/s."""
    archive = {"LOADER_ARCHIVE_URL": url} if source == "archive" else {}
    variables = candles(kafka, url, LONG_DAYS, **archive)
    worker = start_worker(variables)
    await asyncio.sleep(SLOW_S)
    worker.terminate()
    peak_mb = await asyncio.to_thread(peak_rss_mb, worker)
    records = events_of(kafka, variables["QUEUE_ID"])[-1].payload.records_written or 0
    return peak_mb, records * RECORD_BYTES / SLOW_S / 1e6


async def _until_loading(kafka: Kafka, variables: Mapping[str, str]) -> None:
    async with asyncio.timeout(30):
        # Of another process, which sets no event of ours.
        while not _has_records(kafka, variables["QUEUE_ID"]):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def _has_records(kafka: Kafka, queue_id: str) -> bool:
    return any(event.payload.records_written for event in events_of(kafka, queue_id))


async def _send_stop(kafka: Kafka, queue_id: str) -> int:
    message = encode_command(ControlCommand(Command.STOP, queue_id))
    async with AIOKafkaProducer(bootstrap_servers=kafka.plain) as producer:
        sent = await producer.send_and_wait("queue-control", message.value, key=message.key)
    return int(sent.timestamp)


def _slow_down(kafka: Kafka) -> None:
    java = broker.prepare()
    subprocess.run(
        [
            "java", "-cp", f"{java.jars}/*", "kafka.admin.ConfigCommand",
            "--bootstrap-server", kafka.plain, "--alter",
            "--entity-type", "users", "--entity-name", "loader-transactional",
            "--add-config", f"producer_byte_rate={SLOW_BYTES_PER_S}",
        ],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--stops", type=int, default=50)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
