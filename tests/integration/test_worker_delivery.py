"""What the worker promises of its records, whatever happens: real Kafka, real rights, real kills.

The committed topic is compared with the source record by record.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka.admin import AdminClient
from tests.integration.stopwatch import Stopwatch
from tests.integration.worker_process import (
    LONG,
    TRANSACTIONAL,
    Task,
    candle_task,
    endless,
    eventually,
    run_worker,
    running_worker,
    set_topic,
    slow_klines,
    source_candles,
)

from loadertask_contract.commands import Command
from loadertask_contract.events import EventStatus
from loadertask_contract.time_range import parse_time_range
from loadertask_devstack.kafka import Kafka, access, topics
from loadertask_devstack.kafka.access import AccessRule
from loadertask_devstack.venue.server import RunningVenue, running_venue
from loadertask_devstack.venue.state import VenueSettings

pytestmark = pytest.mark.integration

DAY = "2020-01-01:2020-01-02"
TWO_DAYS = "2020-01-01:2020-01-03"
MONTH = "2021-01-01:2021-02-01"


@pytest.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    async with running_venue(VenueSettings()) as running:
        yield running


@pytest.fixture
def task(kafka: Kafka, venue: RunningVenue, unique: Callable[[str], str]) -> Task:
    return candle_task(kafka, venue.url, unique("wf-Once"), DAY).as_user(TRANSACTIONAL)


def rule(resource: str, operation: str, name: str, *, is_allowed: bool = False) -> AccessRule:
    return AccessRule(TRANSACTIONAL, resource, operation, name, is_allowed=is_allowed)  # type: ignore[arg-type]


@contextmanager
def in_force(kafka: Kafka, *rules: AccessRule) -> Iterator[None]:
    access.add_rules(kafka.plain, rules)
    try:
        yield
    finally:
        access.remove_rules(kafka.plain, rules)


async def mode(task: Task) -> str | None:
    starts = [e for e in await task.events() if e.payload.status is EventStatus.STARTED]
    return starts[-1].progress.delivery


@pytest.mark.parametrize(
    ("user", "delivery"), [(TRANSACTIONAL, "exactly_once"), ("loader", "effectively_once")]
)
async def test_a_worker_killed_at_random_points_loses_and_doubles_nothing(
    task: Task, venue: RunningVenue, user: str, delivery: str
) -> None:
    source = await source_candles(venue, MONTH)
    long = endless(venue, task.as_user(user).but(TIME_RANGE=MONTH))
    for _ in range(3):
        async with running_worker(long.variables) as worker:
            await worker.says("started:")
            await asyncio.sleep(random.uniform(0.1, 1.0))
            await worker.kill()
    venue.state.faults.clear()
    ended = await run_worker(long.variables)
    assert ended.exit_code == 0, ended.stderr
    assert await long.values() == source
    last = (await long.events())[-1]
    assert last.payload.records_written == len(source)
    assert await mode(long) == delivery


async def test_a_stop_commits_within_two_seconds_and_the_next_life_goes_on(
    task: Task, venue: RunningVenue
) -> None:
    source = await source_candles(venue, MONTH)
    long = endless(venue, task.but(TIME_RANGE=MONTH))
    async with running_worker(long.variables) as worker:
        await worker.has_loaded()
        with Stopwatch() as watch:
            long.command(Command.STOP)
            await worker.says("interrupted:")
        assert watch.took_s < 2
        ended = await worker.ended()
    assert ended.exit_code == 0, ended.stderr
    some = await long.values()
    assert 0 < len(some) < len(source)
    assert some == source[: len(some)]
    assert (await long.events())[-1].payload.records_written == len(some)
    venue.state.faults.clear()
    again = await run_worker(long.variables)
    assert again.exit_code == 0, again.stderr
    assert await long.values() == source


@pytest.mark.parametrize(
    ("resource", "operation", "named", "delivery"),
    [
        ("transactional-id", "WRITE", "ACL Write on transactional id", "effectively_once"),
        ("group", "READ", "ACL Read on group loader-", "at_least_once"),
        ("topic", "READ", "ACL Read on topic", "at_least_once"),
    ],
)
async def test_a_missing_right_is_named_and_the_next_best_is_delivered(
    task: Task, resource: str, operation: str, named: str, delivery: str
) -> None:
    topic = task.variables["KAFKA_TOPIC"]
    names = {"topic": topic, "group": f"loader-{task.queue_id}-0"}
    name = names.get(resource, f"{task.queue_id}-0")
    topics.create_topic(task.kafka.plain, topic)
    with in_force(task.kafka, rule(resource, operation, name)):
        ended = await run_worker(task.variables)
    assert ended.exit_code == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "never retrieved" not in ended.stderr
    assert await mode(task) == delivery
    started = (await task.events())[0].payload.message
    assert f"delivery {delivery}" in started
    assert f"{named}" in started
    assert name in started
    assert len(await task.values()) == 1440


async def test_without_any_cursor_a_load_begins_again_and_loses_nothing(
    task: Task, venue: RunningVenue
) -> None:
    source = await source_candles(venue, MONTH)
    long = endless(venue, task.but(TIME_RANGE=MONTH))
    with in_force(task.kafka, rule("group", "READ", f"loader-{task.queue_id}-0")):
        async with running_worker(long.variables) as worker:
            await worker.has_loaded()
            await worker.kill()
        venue.state.faults.clear()
        ended = await run_worker(long.variables)
    assert ended.exit_code == 0, ended.stderr
    values = await long.values()
    before = values.index(source[0], 1)
    assert values[:before] == source[:before]
    assert values[before:] == source


@pytest.mark.parametrize(
    ("demanded", "resources", "named"),
    [
        ("exactly_once", ["transactional-id"], ["ACL Write on transactional id"]),
        (
            "exactly_once",
            ["transactional-id", "group"],
            ["ACL Write on transactional id", "ACL Read on group"],
        ),
        ("effectively_once", ["group"], ["ACL Read on group"]),
    ],
)
async def test_a_demanded_mode_that_is_closed_is_refused_naming_every_right(
    task: Task, demanded: str, resources: list[str], named: list[str]
) -> None:
    names = {"group": f"loader-{task.queue_id}-0", "transactional-id": f"{task.queue_id}-0"}
    rules = [rule(each, "READ" if each == "group" else "WRITE", names[each]) for each in resources]
    with in_force(task.kafka, *rules):
        asked = task.but(LOADER_DELIVERY=demanded, LOADER_RECORD_TIME="venue")
        ended = await run_worker(asked.variables)
    assert ended.exit_code == 78, ended.stderr
    (event,) = await task.events()
    for text in ("LOADER_DELIVERY", "LOADER_RECORD_TIME", *named):
        assert text in event.payload.message
    assert await task.values() == []


@pytest.mark.parametrize("demanded", ["exactly_once", "effectively_once", "at_least_once"])
async def test_a_demanded_mode_is_the_one_delivered(task: Task, demanded: str) -> None:
    ended = await run_worker(task.but(LOADER_DELIVERY=demanded).variables)
    assert ended.exit_code == 0, ended.stderr
    assert await mode(task) == demanded
    assert len(await task.values()) == 1440


@pytest.mark.parametrize("user", [TRANSACTIONAL, "loader"])
async def test_a_cursor_that_expired_is_found_again_in_the_topic(
    task: Task, venue: RunningVenue, user: str
) -> None:
    ended = await run_worker(task.as_user(user).variables)
    assert ended.exit_code == 0, ended.stderr
    admin = AdminClient({"bootstrap.servers": task.kafka.plain})
    (gone,) = admin.delete_consumer_groups([f"loader-{task.queue_id}-0"]).values()
    await asyncio.to_thread(gone.result, 10)
    more = task.as_user(user).but(TIME_RANGE=TWO_DAYS)
    ended = await run_worker(more.variables)
    assert ended.exit_code == 0, ended.stderr
    assert await more.values() == await source_candles(venue, TWO_DAYS)
    events = await more.events()
    assert any("1440 records of this load were found" in e.payload.message for e in events)
    assert events[-1].payload.records_written == 2880


async def test_records_from_before_the_task_was_made_are_not_taken_for_its_own(
    task: Task, venue: RunningVenue, unique: Callable[[str], str]
) -> None:
    ended = await run_worker(task.variables)
    assert ended.exit_code == 0, ended.stderr
    last_ms = (await task.records())[-1].timestamp_ms
    created = datetime.fromtimestamp((last_ms + 1) / 1000, UTC).isoformat()
    other = task.but(QUEUE_ID=unique("wf-Other"), LOADER_TASK_SINCE=created)
    ended = await run_worker(other.variables)
    assert ended.exit_code == 0, ended.stderr
    assert await other.values() == 2 * await source_candles(venue, DAY)


@pytest.mark.parametrize("user", [TRANSACTIONAL, "loader"])
async def test_a_topic_that_was_made_anew_is_loaded_from_the_beginning(
    task: Task, venue: RunningVenue, user: str
) -> None:
    topic = task.variables["KAFKA_TOPIC"]
    assert (await run_worker(task.as_user(user).variables)).exit_code == 0
    topics.delete_topic(task.kafka.plain, topic)
    await eventually(lambda: topic not in _topics(task.kafka))
    topics.create_topic(task.kafka.plain, topic)
    ended = await run_worker(task.as_user(user).variables)
    assert ended.exit_code == 0, ended.stderr
    assert await task.values() == await source_candles(venue, DAY)
    assert (await task.events())[-1].payload.records_written == 1440


def _topics(kafka: Kafka) -> set[str]:
    return set(AdminClient({"bootstrap.servers": kafka.plain}).list_topics(timeout=10).topics)


async def test_the_cursor_of_another_load_is_not_used(task: Task, venue: RunningVenue) -> None:
    assert (await run_worker(task.variables)).exit_code == 0
    other = task.but(TIME_RANGE="2019-12-31:2020-01-02")
    ended = await run_worker(other.variables)
    assert ended.exit_code == 0, ended.stderr
    values = await other.values()
    assert values[:1440] == await source_candles(venue, DAY)
    assert values[1440:] == await source_candles(venue, "2019-12-31:2020-01-02")
    events = await other.events()
    assert any("begun anew" in event.payload.message for event in events)
    assert events[-1].payload.records_written == 2880


async def test_a_second_pod_takes_over_and_the_first_says_nothing_more(
    task: Task, venue: RunningVenue
) -> None:
    slow_klines(venue)
    long = task.but(TIME_RANGE=LONG)
    async with running_worker(long.variables) as first:
        await first.has_loaded()
        async with running_worker(long.variables) as second:
            fenced = await first.ended()
            await second.has_loaded()
            long.command(Command.STOP)
            ended = await second.ended()
    assert fenced.exit_code == 75, fenced.stderr
    assert "another worker delivers as" in fenced.stderr
    assert "Traceback" not in fenced.stderr
    assert ended.exit_code == 0, ended.stderr
    opens = [json.loads(value)["open_time"] for value in await long.values()]
    first_ms = parse_time_range(LONG).start_ms
    assert opens == [first_ms + 60_000 * number for number in range(len(opens))]
    assert await long.statuses() == [
        EventStatus.STARTED, EventStatus.STARTED, EventStatus.INTERRUPTED
    ]  # fmt: skip
    assert (await long.events())[-1].payload.records_written == len(opens)


async def test_a_topic_that_vanishes_ends_the_attempt_when_the_patience_is_over(
    task: Task, venue: RunningVenue
) -> None:
    slow_klines(venue)
    long = task.but(TIME_RANGE=LONG, LOADER_PATIENCE_SECONDS="6")
    async with running_worker(long.variables) as worker:
        await worker.has_loaded()
        topics.delete_topic(task.kafka.plain, task.variables["KAFKA_TOPIC"])
        ended = await worker.ended()
    assert ended.exit_code == 75, ended.stderr
    assert f"topic {task.variables['KAFKA_TOPIC']} is gone" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_refused_batch_takes_its_whole_transaction_with_it(
    task: Task, venue: RunningVenue
) -> None:
    source = await source_candles(venue, MONTH)
    # Slow enough that there is much to refuse when it is refused.
    slow_klines(venue, delay_s=2)
    long = task.but(TIME_RANGE=MONTH)
    topic = task.variables["KAFKA_TOPIC"]
    async with running_worker(long.variables) as worker:
        await worker.has_loaded()
        await set_topic(task.kafka, topic, "max.message.bytes", 1_000)
        ended = await worker.ended()
    assert ended.exit_code == 78, ended.stderr
    some = await long.values()
    assert some == source[: len(some)]
    last = (await long.events())[-1]
    assert (last.progress.reason, last.payload.records_written) == ("RefusedByKafka", len(some))
    await set_topic(task.kafka, topic, "max.message.bytes", 1_048_588)
    venue.state.faults.clear()
    again = await run_worker(long.variables)
    assert again.exit_code == 0, again.stderr
    assert await long.values() == source


async def test_records_carry_the_venues_time_where_the_topic_keeps_it(task: Task) -> None:
    topic = task.variables["KAFKA_TOPIC"]
    topics.create_topic(task.kafka.plain, topic, configs={"retention.ms": "-1"})
    asked = task.but(LOADER_RECORD_TIME="venue")
    with in_force(task.kafka, rule("topic", "DESCRIBE_CONFIGS", topic, is_allowed=True)):
        ended = await run_worker(asked.variables)
        assert ended.exit_code == 0, ended.stderr
        records = await task.records()
        assert len(records) == 1440
        assert all(
            record.timestamp_ms == json.loads(record.value or b"")["open_time"]
            for record in records
        )
        await set_topic(task.kafka, topic, "retention.ms", 86_400_000)
        ended = await run_worker(asked.variables)
    assert ended.exit_code == 78, ended.stderr
    assert "LOADER_RECORD_TIME: " in ended.stderr
    assert "retention.ms=86400000" in ended.stderr
    refused = await run_worker(asked.variables)
    assert refused.exit_code == 78, refused.stderr
    assert f"ACL DescribeConfigs on topic {topic}" in refused.stderr


async def test_a_search_of_the_topic_silences_neither_heartbeats_nor_commands(task: Task) -> None:
    topic = task.variables["KAFKA_TOPIC"]
    topics.create_topic(task.kafka.plain, topic)
    # The open transaction of another program hides what follows it: the search has to wait.
    foreign = AIOKafkaProducer(
        bootstrap_servers=task.kafka.plain, transactional_id=f"{topic}-foreign"
    )
    await foreign.start()
    try:
        await foreign.begin_transaction()
        await foreign.send_and_wait(topic, b"not ours")
        async with running_worker(task.but(TELEMETRY_INTERVAL="0.2").variables) as worker:
            await worker.says("loading: Looking for where to go on")
            task.command(Command.STOP)
            ended = await worker.ended()
        await foreign.abort_transaction()
    finally:
        await foreign.stop()
    assert ended.exit_code == 0, ended.stderr
    assert await task.statuses() == [EventStatus.INTERRUPTED]
    ended = await run_worker(task.variables)
    assert ended.exit_code == 0, ended.stderr
    assert len(await task.values()) == 1440
