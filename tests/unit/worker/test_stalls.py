"""What is said while Kafka acknowledges nothing."""

from __future__ import annotations

import asyncio
import time

import pytest

from loadertask_worker.kafka.stalls import StallWatch


class Clock:
    """The clock of the event loop and of the watch, moved by the test alone."""

    def __init__(self) -> None:
        self._now_s = time.monotonic()

    def __call__(self) -> float:
        return self._now_s

    async def goes_on(self, seconds: float) -> None:
        self._now_s += seconds
        for _ in range(3):  # whatever was due has its turn
            await asyncio.sleep(0)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.fixture
def watch() -> StallWatch:
    return StallWatch("kafka-1:9093, kafka-2:9093", 60)


async def test_a_stall_is_told_once_with_the_brokers_and_once_when_it_is_over(
    watch: StallWatch, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        watch.sent()
        await clock.goes_on(3.5)
    watch.acknowledged()
    watch.acknowledged()
    begun, over = (record.getMessage() for record in caplog.records)
    assert begun.startswith("Kafka (kafka-1:9093, kafka-2:9093) has acknowledged nothing for 3.5 s")
    assert over.startswith("Kafka acknowledges again, after 7.0 s")


async def test_a_block_that_waits_for_kafka_is_watched_until_it_ends_or_fails(
    watch: StallWatch, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with watch.under_way():
        await clock.goes_on(3.5)
    with pytest.raises(RuntimeError), watch.under_way():
        raise RuntimeError
    await clock.goes_on(3.5)
    begun, over = (record.getMessage() for record in caplog.records)
    assert "has acknowledged nothing for 3.5 s" in begun
    assert over.startswith("Kafka acknowledges again, after 3.5 s")


async def test_batches_that_are_acknowledged_or_fail_are_no_stall(
    watch: StallWatch, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(10):
        watch.sent()
        await clock.goes_on(2.9)
        watch.acknowledged()
    watch.sent()
    watch.failed()
    await clock.goes_on(5)
    assert caplog.records == []


async def test_a_stall_after_an_idle_while_begins_with_its_own_batch(
    watch: StallWatch, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    watch.sent()
    watch.acknowledged()
    await clock.goes_on(5)
    watch.sent()
    await clock.goes_on(2.9)
    assert caplog.records == []
    await clock.goes_on(0.2)
    assert len(caplog.records) == 1
