from __future__ import annotations

from typing import Any

import pytest
from aiokafka.errors import (
    KafkaTimeoutError,
    OutOfOrderSequenceNumber,
    TopicAuthorizationFailedError,
)

from loadertask_contract.environment import SecurityProtocol
from loadertask_contract.events import Event, EventStatus, Progress, QueueEvent
from loadertask_worker.errors import ConfigurationError
from loadertask_worker.kafka import telemetry
from loadertask_worker.kafka.security import KafkaAccess
from loadertask_worker.kafka.telemetry import EventSender

ACCESS = KafkaAccess((("kafka", 9092),), SecurityProtocol.PLAINTEXT, None, None, None, "test")
LAST = Event(QueueEvent(queue_id="wf-1", status=EventStatus.FINISHED), Progress())


class Kafka:
    """What becomes of each sending, in turn, whichever producer does it; then all succeed."""

    def __init__(self, *outcomes: Exception) -> None:
        self.outcomes = list(outcomes)
        self.sent: list[bytes] = []
        self.started = self.stopped = 0

    def producer(self, **_: Any) -> Kafka:
        return self

    async def start(self) -> None:
        self.started += 1

    async def stop(self) -> None:
        self.stopped += 1

    async def send_and_wait(self, _topic: str, value: bytes, **_: Any) -> None:
        if self.outcomes:
            raise self.outcomes.pop(0)
        self.sent.append(value)


async def sender_to(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> EventSender:
    monkeypatch.setattr(telemetry, "AIOKafkaProducer", kafka.producer)
    monkeypatch.setattr(telemetry, "_PAUSE_AFTER_ERROR_S", 0)
    sender = EventSender(ACCESS, "queue-events")
    await sender.start(1)
    return sender


@pytest.mark.parametrize(
    ("outcomes", "producers"),
    [
        ((), 1),
        ((KafkaTimeoutError(), KafkaTimeoutError()), 1),
        ((OutOfOrderSequenceNumber(),), 2),
        ((OutOfOrderSequenceNumber(), RuntimeError("a bug of theirs")), 3),
    ],
)
async def test_an_event_is_sent_until_it_is_taken_by_a_producer_that_can(
    monkeypatch: pytest.MonkeyPatch, outcomes: tuple[Exception, ...], producers: int
) -> None:
    kafka = Kafka(*outcomes)
    sender = await sender_to(kafka, monkeypatch)
    sender.send(LAST)
    assert await sender.wait_until_sent(5)
    assert (len(kafka.sent), kafka.started) == (1, producers)
    await sender.close()
    assert kafka.stopped == producers


async def test_a_missing_right_is_said_and_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(TopicAuthorizationFailedError("queue-events"))
    sender = await sender_to(kafka, monkeypatch)
    sender.send(LAST)
    with pytest.raises(ConfigurationError, match="grant the ACL Write"):
        await sender.wait_until_sent(5)
    assert kafka.sent == []
    await sender.close()
