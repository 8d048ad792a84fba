"""Metrics and health of a worker as a real process."""

from __future__ import annotations

import asyncio
import fcntl
import http.client
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.worker_process import (
    LONG,
    Task,
    candle_task,
    run_worker,
    running_worker,
    slow_klines,
)

from loadertask_devstack.kafka import Kafka
from loadertask_devstack.kafka.state import TRANSACTIONAL_USER
from loadertask_devstack.stack import free_port
from loadertask_devstack.venue.server import RunningVenue, running_venue
from loadertask_devstack.venue.state import VenueSettings

pytestmark = pytest.mark.integration

_PIPE_BYTES = 4096


@pytest.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    async with running_venue(VenueSettings()) as running:
        slow_klines(running)
        yield running


@pytest.fixture
def task(kafka: Kafka, venue: RunningVenue, unique: Callable[[str], str]) -> Task:
    return candle_task(kafka, venue.url, unique("wf-Metrics"), LONG).but(
        LOADER_METRICS_PORT=str(free_port()),
        KAFKA_USER_PRODUCER=TRANSACTIONAL_USER,
        KAFKA_PASSWORD_PRODUCER=kafka.password(TRANSACTIONAL_USER),
    )


def ask(task: Task, path: str) -> tuple[int, str]:
    port = int(task.variables["LOADER_METRICS_PORT"])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


async def health(task: Task) -> int:
    try:
        return (await asyncio.to_thread(ask, task, "/healthz"))[0]
    except OSError:
        return 0


async def until_health(task: Task, status: int) -> None:
    async with asyncio.timeout(30):
        while await health(task) != status:  # noqa: ASYNC110 - another process sets no event
            await asyncio.sleep(0.1)


async def scraped(task: Task) -> dict[str, float]:
    """Samples by name and values of their labels by name, as in ``frames_total taken``."""
    _, text = await asyncio.to_thread(ask, task, "/metrics")
    return {
        " ".join(
            [
                sample.name.removeprefix("loadertask_worker_"),
                *dict(sorted(sample.labels.items())).values(),
            ]
        ): (sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_scrape_shows_how_the_load_goes(task: Task) -> None:
    async with running_worker(task.variables) as worker:
        await worker.has_loaded()
        seen = await scraped(task)
        assert await health(task) == 200
    assert seen["records_committed_total"] >= 999
    assert seen["record_bytes_committed_total"] > 200 * seen["records_committed_total"]
    assert seen["records_read_total rest"] >= seen["records_committed_total"]
    assert seen[f"load_info exactly_once {task.queue_id} BTCUSDT api_candles_1m"] == 1
    assert seen["transactions_total committed"] >= 1
    assert seen["requests_total klines ok"] >= 1
    assert seen["requests_total exchangeInfo ok"] == 1
    assert seen["weight_limit"] == 6000
    assert 0 < seen["weight_used"] <= 6000  # of this minute, which may have just begun
    assert seen["events_sent_total started"] == 1
    assert seen["process_resident_memory_bytes"] > 10_000_000


async def test_a_scrape_shows_how_a_stream_is_followed(task: Task, venue: RunningVenue) -> None:
    live = task.but(
        TYPE="ws_orderbook",
        INTERVAL=None,
        TIME_RANGE=None,
        BINANCE_WS_URL=venue.url.replace("http", "ws", 1) + "/ws",
    )
    async with running_worker(live.variables) as worker:
        await worker.has_loaded()
        seen = await scraped(live)
    assert seen["frames_total taken"] >= seen["records_read_total stream"] > 0
    assert seen["records_committed_total"] > 0
    assert seen["stream_connects_total first"] == 1
    assert -2 < seen["lag_seconds"] < 30
    assert seen["buffer_bytes stream"] < 16_000_000
    assert seen["acknowledgement_seconds_count"] > 0


async def test_a_port_that_is_taken_is_said_and_the_load_goes_on(task: Task) -> None:
    async with running_worker(task.variables) as first:
        await first.says("started:")
        second = task.but(QUEUE_ID=f"{task.queue_id}-2", TIME_RANGE="2020-01-01:2020-01-02")
        ended = await run_worker(second.variables)
    assert ended.exit_code == 0, ended.stderr
    port = task.variables["LOADER_METRICS_PORT"]
    assert f"LOADER_METRICS_PORT {port} cannot be served" in ended.stderr


async def test_a_worker_whose_log_nobody_takes_is_unhealthy_until_somebody_does(task: Task) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    os.write(writer, b"." * _PIPE_BYTES)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadertask_worker",
        env={"PATH": os.environ["PATH"], **task.variables},
        stderr=writer,
    )  # fmt: skip
    os.close(writer)
    try:
        await until_health(task, 200)
        await until_health(task, 503)
        threading.Thread(target=_take_all, args=(reader,)).start()
        await until_health(task, 200)
    finally:
        process.kill()
        await process.wait()


def _take_all(reader: int) -> None:
    with os.fdopen(reader, "rb") as log:
        log.read()
