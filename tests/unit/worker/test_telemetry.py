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


def loading(message: str, records: int = 0) -> Event:
    payload = QueueEvent(
        queue_id="wf-1", status=EventStatus.LOADING, message=message, records_written=records
    )
    return Event(payload, Progress())


async def sent_by(sender: EventSender, kafka: Kafka) -> list[QueueEvent]:
    """What reaches Kafka of that which waited for it."""
    await sender.start(1)
    assert await sender.wait_until_sent(5)
    await sender.close()
    return [QueueEvent.model_validate_json(value) for value in kafka.sent]


def waiting_sender(monkeypatch: pytest.MonkeyPatch, kafka: Kafka) -> EventSender:
    monkeypatch.setattr(telemetry, "AIOKafkaProducer", kafka.producer)
    return EventSender(ACCESS, "queue-events")


async def test_only_the_newest_heartbeat_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka()
    sender = waiting_sender(monkeypatch, kafka)
    for records in range(3):
        sender.send(loading("a heartbeat", records), is_heartbeat=True)
    assert [each.records_written for each in await sent_by(sender, kafka)] == [2]


async def test_what_people_are_to_be_told_outlives_an_outage_of_kafka(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kafka = Kafka()
    sender = waiting_sender(monkeypatch, kafka)
    sender.send(loading("file A is replaced", 1))
    sender.send(loading("a heartbeat", 2), is_heartbeat=True)
    sender.send(loading("file B is replaced", 3))
    sender.send(loading("a heartbeat", 4), is_heartbeat=True)
    sender.send(LAST)
    assert [(each.message, each.records_written) for each in await sent_by(sender, kafka)] == [
        ("file A is replaced; file B is replaced", 3),
        ("a heartbeat", 4),
        ("", 0),
    ]


async def test_what_is_told_during_a_long_outage_stays_one_short_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kafka = Kafka()
    sender = waiting_sender(monkeypatch, kafka)
    for number in range(1_000):
        sender.send(loading(f"file {number} is replaced"))
    [event] = await sent_by(sender, kafka)
    assert event.message.startswith("file 0 is replaced; file 1 is replaced; ")
    assert event.message.endswith(" …; file 999 is replaced")
    assert len(event.message) <= 4_000
