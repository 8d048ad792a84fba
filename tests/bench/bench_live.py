"""How long a frame of a stream takes until Kafka has acknowledged its record.

    python tests/bench/bench_live.py [--seconds 30]

Measured is one span per record: from the moment its frame has been read from the socket (offered
to the buffer) to the moment the worker learns that Kafka has acknowledged it. The worker's own
code runs in this process, without its telemetry; the replay sends 2 000 raw trades a second from a
process of its own, and the broker (full compiler, SASL_SSL, acks=all) is a third one. Delivery is
that of live types, outside transactions. The first seconds are left out: the broker compiles then.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loads import running_venue

from loadertask_contract.parsing import parse_environment
from loadertask_devstack.kafka import Kafka, running_kafka, topics
from loadertask_worker.kafka.records import RecordPublisher
from loadertask_worker.kafka.security import kafka_access
from loadertask_worker.kafka.terms import terms_of
from loadertask_worker.live.buffer import Frame, FrameBuffer
from loadertask_worker.tasks import live_task, task_for

WARM_UP_S = 8.0
TOPIC = "bench-live-data"


class Stopwatch:
    """When frames were read, and how long each record took; records come in the order of frames."""

    def __init__(self) -> None:
        self.read_s: list[float] = []
        self.took_ms: list[float] = []

    def acknowledged(self, records: int, _: int) -> None:
        """So many more records are in the topic."""
        now_s, begin = time.perf_counter(), len(self.took_ms)
        self.took_ms += [(now_s - read_s) * 1000 for read_s in self.read_s[begin : begin + records]]


class Reporter:
    """Says nothing: what a task tells is no part of the measurement."""

    def tell(self, text: str) -> None:
        """A hole would spoil the order that the stopwatch relies on."""
        raise AssertionError(text)

    def lacks(self, text: str) -> None:
        self.tell(text)

    def waits(self, why: str, for_s: float) -> None:
        """A wait shows in what is measured."""

    def lag(self, lag_ms: int) -> None:
        """Counted by the worker only."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30)
    seconds = parser.parse_args().seconds
    with (
        tempfile.TemporaryDirectory(prefix="bench-live-") as folder,
        running_venue() as url,
        running_kafka(Path(folder) / "kafka", full_jit=True) as kafka,
    ):
        topics.create_topic(kafka.plain, TOPIC)
        asyncio.run(measure(_variables(kafka, url), seconds))
    return 0


def _variables(kafka: Kafka, url: str) -> Mapping[str, str]:
    return {
        "QUEUE_ID": "bench-live",
        "SYMBOL": "BUSYUSDT",
        "TYPE": "ws_trades",
        "LOADER_TRADES": "raw",
        "KAFKA_TOPIC": TOPIC,
        "TELEMETRY_PRODUCER_ID": "bench-live",
        "KAFKA_BOOTSTRAP_SERVERS": kafka.secure,
        "KAFKA_USER_PRODUCER": "loader",
        "KAFKA_PASSWORD_PRODUCER": kafka.password("loader"),
        "CA_PATH": str(kafka.ca_path),
        "BINANCE_WS_URL": url.replace("http", "ws", 1) + "/ws",
        "BINANCE_API_URL": url,
    }


async def measure(variables: Mapping[str, str], seconds: float) -> None:
    """Follow the busy pair, then print what was measured after the warm-up."""
    environment = parse_environment(variables, datetime.now(UTC)).environment
    task, watch, stop = task_for(environment, 0), Stopwatch(), asyncio.Event()
    publisher = RecordPublisher(
        kafka_access(environment), terms_of(environment), on_committed=watch.acknowledged
    )

    class TimedBuffer(FrameBuffer):
        def offer(self, frame: Frame) -> bool:
            watch.read_s.append(time.perf_counter())
            return super().offer(frame)

    live_task.FrameBuffer = TimedBuffer  # type: ignore[misc]
    await publisher.start(task.load_name)
    loading = asyncio.create_task(task.load(publisher, None, stop, Reporter()))
    await _sleep(WARM_UP_S, loading)
    begin, cpu_s, begun_s = len(watch.took_ms), _cpu_s(), time.perf_counter()
    await _sleep(seconds, loading)
    took_ms = sorted(watch.took_ms[begin:])
    elapsed_s, busy_s = time.perf_counter() - begun_s, _cpu_s() - cpu_s
    stop.set()
    await loading
    await publisher.close()
    _print(took_ms, elapsed_s, busy_s)


async def _sleep(seconds: float, loading: asyncio.Task[Any]) -> None:
    await asyncio.wait({loading}, timeout=seconds)
    if loading.done():
        loading.result()


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _print(took_ms: list[float], elapsed_s: float, busy_s: float) -> None:
    rate = len(took_ms) / elapsed_s
    p50, p99, p999 = (took_ms[int(len(took_ms) * share)] for share in (0.5, 0.99, 0.999))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("| frame read → acknowledged | messages/s | p50 ms | p99 ms | p99.9 ms | CPU | peak MB |")
    print("|---|---|---|---|---|---|---|")
    share = f"{busy_s / elapsed_s:.0%}"
    print(
        f"| SASL_SSL, acks=all | {rate:,.0f} | {p50:.1f} | {p99:.1f} | {p999:.1f} | {share} |"
        f" {peak_mb:.0f} |"
    )


if __name__ == "__main__":
    raise SystemExit(main())
