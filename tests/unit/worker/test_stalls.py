"""What is said while Kafka acknowledges nothing."""

from __future__ import annotations

import asyncio

import pytest

from loadertask_worker.kafka import stalls
from loadertask_worker.kafka.stalls import StallWatch


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> StallWatch:
    monkeypatch.setattr(stalls, "_STALLED_S", 0.02)
    return StallWatch("kafka-1:9093, kafka-2:9093", 60)


async def test_a_stall_is_told_once_with_the_brokers_and_once_when_it_is_over(
    watch: StallWatch, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        watch.sent()
        await asyncio.sleep(0.05)
    watch.acknowledged()
    watch.acknowledged()
    begun, over = (record.getMessage() for record in caplog.records)
    assert begun.startswith("Kafka (kafka-1:9093, kafka-2:9093) has acknowledged nothing for 0.")
    assert over.startswith("Kafka acknowledges again, after 0.")


async def test_batches_that_are_acknowledged_or_fail_are_no_stall(
    watch: StallWatch, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(10):
        watch.sent()
        await asyncio.sleep(0.005)
        watch.acknowledged()
    watch.sent()
    watch.failed()
    await asyncio.sleep(0.05)
    assert caplog.records == []


async def test_a_stall_after_an_idle_while_begins_with_its_own_batch(
    watch: StallWatch, caplog: pytest.LogCaptureFixture
) -> None:
    watch.sent()
    watch.acknowledged()
    await asyncio.sleep(0.05)
    watch.sent()
    assert caplog.records == []
    await asyncio.sleep(0.1)
    assert len(caplog.records) == 1
