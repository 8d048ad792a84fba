"""The worker's event sender and control listener against a Kafka that changes under them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions
from tests.integration.worker_process import eventually, set_topic

from loadertask_contract.commands import Command, ControlCommand, encode_command
from loadertask_contract.environment import SecurityProtocol
from loadertask_contract.events import Event, EventStatus, Progress, QueueEvent, parse_event
from loadertask_devstack.kafka import Kafka, topics
from loadertask_worker.kafka.control import ControlListener
from loadertask_worker.kafka.security import KafkaAccess
from loadertask_worker.kafka.telemetry import EventSender

pytestmark = pytest.mark.integration


@pytest.fixture
def access(kafka: Kafka) -> KafkaAccess:
    host, _, port = kafka.plain.rpartition(":")
    return KafkaAccess(
        ((host, int(port)),), SecurityProtocol.PLAINTEXT, None, None, None, "test-worker"
    )


def event(status: EventStatus) -> Event:
    return Event(QueueEvent(queue_id="wf-1", status=status), Progress())


async def test_an_event_that_is_refused_takes_no_later_one_with_it(
    kafka: Kafka, access: KafkaAccess, topic: str
) -> None:
    sender = EventSender(access, topic)
    await sender.start(30)
    try:
        sender.send(event(EventStatus.STARTED))
        assert await sender.wait_until_sent(30)
        await set_topic(kafka, topic, "max.message.bytes", 10)
        sender.send(event(EventStatus.LOADING))
        assert not await sender.wait_until_sent(30)
        await set_topic(kafka, topic, "max.message.bytes", 1_000_000)
        sender.send(event(EventStatus.FINISHED))
        await sender.wait_until_sent(30)
    finally:
        await sender.close()
    found = topics.read_records(kafka.plain, topic)
    statuses = [parse_event(each.value, each.headers).payload.status for each in found]
    assert statuses == [EventStatus.STARTED, EventStatus.FINISHED]


def publish(kafka: Kafka, topic: str, word: Command, partition: int = 0) -> None:
    producer = Producer({"bootstrap.servers": kafka.plain})
    command = encode_command(ControlCommand(word, "wf-1"))
    producer.produce(topic, command.value, partition=partition)
    assert producer.flush(10) == 0


async def test_new_partitions_of_the_control_topic_bring_no_old_command_back(
    kafka: Kafka, access: KafkaAccess, unique: Callable[[str], str]
) -> None:
    control = unique("control")
    topics.create_topic(kafka.plain, control)
    publish(kafka, control, Command.STOP)
    await asyncio.sleep(0.01)  # our life begins in a later millisecond
    heard: list[Command] = []
    since_ms = time.time_ns() // 1_000_000
    listener = ControlListener(access, control, "wf-1", since_ms=since_ms, on_command=heard.append)
    await listener.start(30)
    listening = asyncio.create_task(listener.listen())
    try:
        admin = AdminClient({"bootstrap.servers": kafka.plain})
        (made,) = admin.create_partitions([NewPartitions(control, 2)]).values()
        await asyncio.to_thread(made.result, 10)
        async with asyncio.timeout(60):
            # aiokafka looks every five minutes; here it is asked to.
            while len(listener._consumer.assignment()) < 2:
                await listener._consumer._client.force_metadata_update()
        publish(kafka, control, Command.PING, partition=1)
        await eventually(lambda: len(heard) >= 1)
        publish(kafka, control, Command.PING, partition=0)
        await eventually(lambda: len(heard) >= 2)
    finally:
        listening.cancel()
        await listener.close()
    assert heard == [Command.PING, Command.PING]
