"""What the end offset of a topic says of the records in it, and what it does not (decision 078)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from confluent_kafka import Consumer, TopicPartition
from tests.integration.worker_process import TRANSACTIONAL, Task, candle_task, run_worker

from loadertask_devstack.kafka import Kafka
from loadertask_devstack.venue.server import RunningVenue, running_venue
from loadertask_devstack.venue.state import VenueSettings

pytestmark = pytest.mark.integration


@pytest.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    async with running_venue(VenueSettings()) as running:
        yield running


def end_offset(kafka: Kafka, topic: str) -> int:
    """Of the one partition."""
    consumer = Consumer({"bootstrap.servers": kafka.plain, "group.id": "nobody"})
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
    finally:
        consumer.close()
    return int(end)


async def loaded(task: Task) -> tuple[int, int]:
    """Committed records by the worker's last word, and the end offset of their topic."""
    ended = await run_worker(task.variables)
    assert ended.exit_code == 0, ended.stderr
    written = (await task.events())[-1].payload.records_written
    assert written == len(await task.values())
    return written, end_offset(task.kafka, task.variables["KAFKA_TOPIC"])


async def test_the_end_offset_is_the_count_of_the_records_only_without_transactions(
    kafka: Kafka, venue: RunningVenue, unique: Callable[[str], str]
) -> None:
    task = candle_task(kafka, venue.url, unique("wf-End"), "2020-01-01:2020-01-02")
    written, end = await loaded(task)
    assert (written, end) == (1440, 1440)
    again = task.as_user(TRANSACTIONAL).but(
        QUEUE_ID=f"{task.queue_id}-t", KAFKA_TOPIC=f"{task.queue_id}-t-data"
    )
    written, end = await loaded(again)
    print(f"exactly_once: {written} records, end offset {end}")
    assert written == 1440
    assert end > written
