"""The worker against a Kafka that refuses, or goes away in the middle."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.integration.stopwatch import Stopwatch
from tests.integration.worker_process import (
    LONG,
    TRANSACTIONAL,
    Task,
    candle_task,
    run_worker,
    running_worker,
    slow_klines,
)

from loadertask_contract.events import EventStatus
from loadertask_devstack.kafka import Kafka, access, broker, running_kafka, topics
from loadertask_devstack.kafka.access import AccessRule
from loadertask_devstack.venue.server import RunningVenue, running_venue
from loadertask_devstack.venue.state import VenueSettings

pytestmark = pytest.mark.integration

DAY = "2020-01-01:2020-01-02"


@pytest.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    async with running_venue(VenueSettings()) as running:
        slow_klines(running)
        yield running


@pytest.fixture
def task(kafka: Kafka, venue: RunningVenue, unique: Callable[[str], str]) -> Task:
    return candle_task(kafka, venue.url, unique("wf-Kafka"), DAY)


@pytest.mark.parametrize(
    ("operation", "variable", "acl", "reports"),
    [
        ("CREATE", "KAFKA_TOPIC", "Create", True),
        ("DESCRIBE", "KAFKA_TOPIC", "Describe", True),
        ("WRITE", "KAFKA_TOPIC", "Write", True),
        ("READ", "QUEUE_CONTROL_TOPIC", "Read", True),
        ("WRITE", "QUEUE_EVENTS_TOPIC", "Write", False),
    ],
)
async def test_a_missing_right_is_named_at_once(
    task: Task, unique: Callable[[str], str], operation: str, variable: str, acl: str, reports: bool
) -> None:
    name = unique("closed")
    if operation != "CREATE":
        topics.create_topic(task.kafka.plain, name)
    rule = AccessRule("loader", "topic", operation, name, is_allowed=False)  # type: ignore[arg-type]
    access.add_rules(task.kafka.plain, [rule])
    ended = await run_worker(task.but(**{variable: name}).variables)
    assert ended.exit_code == 78, ended.stderr
    assert ended.took_s < 18, "not waited for with the patience of 20 s"
    assert name in ended.stderr
    assert f"ACL {acl}" in ended.stderr
    assert "Traceback" not in ended.stderr
    events = await task.events()
    if reports:
        assert events[-1].payload.status is EventStatus.ERROR
        assert name in events[-1].payload.message
    else:
        assert events == []


async def test_records_above_the_limit_of_the_topic_fail_the_load(task: Task) -> None:
    topic = task.variables["KAFKA_TOPIC"]
    topics.create_topic(task.kafka.plain, topic, configs={"max.message.bytes": "1000"})
    ended = await run_worker(task.variables)
    assert ended.exit_code == 78, ended.stderr
    last = (await task.events())[-1]
    assert last.progress.reason == "RefusedByKafka"
    assert "max.message.bytes" in last.payload.message
    assert last.payload.records_written == 0
    assert await task.records() == []


@pytest.mark.parametrize("user", ["loader", TRANSACTIONAL])
async def test_a_broker_that_dies_and_returns_costs_time_and_nothing_else(
    tmp_path: Path, venue: RunningVenue, unique: Callable[[str], str], user: str
) -> None:
    with running_kafka(tmp_path) as kafka:
        range_ = "2021-01-01:2021-02-01"
        task = candle_task(kafka, venue.url, unique("wf-Crash"), range_).as_user(user)
        task = task.but(LOADER_PATIENCE_SECONDS="60")  # a broker starts in seconds, or in many
        async with running_worker(task.variables) as worker:
            await worker.has_loaded()
            await asyncio.to_thread(broker.kill, tmp_path)
            await asyncio.to_thread(broker.start, tmp_path)
            ended = await worker.ended()
        assert ended.exit_code == 0, ended.stderr
        values = [record.value for record in await task.records()]
        assert len(values) == 31 * 1440
        assert values == sorted(set(values), key=lambda value: value or b"")
        assert (await task.events())[-1].payload.records_written == len(values)


@pytest.mark.parametrize(
    ("asked", "user"),
    [("nothing", TRANSACTIONAL), ("to terminate", TRANSACTIONAL), ("to terminate", "loader")],
)
async def test_a_broker_that_stays_away_ends_the_worker_within_bounds(
    tmp_path: Path, venue: RunningVenue, unique: Callable[[str], str], asked: str, user: str
) -> None:
    with running_kafka(tmp_path) as kafka:
        task = candle_task(kafka, venue.url, unique("wf-Gone"), LONG).as_user(user)
        async with running_worker(task.but(LOADER_PATIENCE_SECONDS="6").variables) as worker:
            await worker.has_loaded()
            await asyncio.to_thread(broker.kill, tmp_path)
            with Stopwatch() as watch:
                if asked == "to terminate":
                    worker.terminate()
                ended = await worker.ended()
        assert ended.exit_code == 75, ended.stderr
        assert "Traceback" not in ended.stderr
        if asked == "to terminate":
            # 2 s to commit, 1 s for the event, 2 s to leave; the rest is this machine's.
            assert watch.took_s < 8
            assert " error: " not in ended.stderr
        else:
            assert watch.took_s < 25
            warning = rf"Kafka \({kafka.secure}\) has acknowledged nothing for \d+\.\d s"
            assert re.search(warning, ended.stderr)
