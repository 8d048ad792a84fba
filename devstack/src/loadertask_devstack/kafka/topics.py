"""Topics and the records in them, as tests and the demo look at them from outside.

Speaks to the PLAIN listener, whose clients are superusers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from loadertask_devstack.errors import DevstackError

if TYPE_CHECKING:
    from collections.abc import Mapping

PLATFORM_TOPICS = ("queue-events", "queue-control")

ERRORS_ONLY = 3
"""librdkafka's log level (syslog): it reports its own housekeeping to stderr otherwise."""

_DAY_MS = 24 * 60 * 60 * 1000
_TIMEOUT_S = 15.0
_POLL_S = 0.5


@dataclass(frozen=True)
class Record:
    """One record as it lies in a partition."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    """By order; one without a value is empty."""


def create_platform_topics(bootstrap: str) -> None:
    """The topics that the platform has before any task: one partition, 24 hours."""
    for topic in PLATFORM_TOPICS:
        create_topic(bootstrap, topic, configs={"retention.ms": str(_DAY_MS)}, exist_ok=True)


def create_topic(
    bootstrap: str,
    name: str,
    partitions: int = 1,
    configs: Mapping[str, str] | None = None,
    *,
    exist_ok: bool = False,
) -> None:
    """Make a topic. Raises KafkaException, also where it exists, unless `exist_ok`."""
    admin = _admin(bootstrap)  # its futures die with it
    topic = NewTopic(name, partitions, 1, config=dict(configs or {}))
    try:
        admin.create_topics([topic])[name].result(_TIMEOUT_S)
    except KafkaException as error:
        if not (exist_ok and error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS):
            raise


def delete_topic(bootstrap: str, name: str) -> None:
    """Delete a topic and its records. Raises KafkaException where there is none."""
    admin = _admin(bootstrap)
    admin.delete_topics([name])[name].result(_TIMEOUT_S)


def end_offsets(bootstrap: str, topic: str) -> dict[int, int]:
    """The offset after the last record, by partition. Raises DevstackError without the topic."""
    admin = _admin(bootstrap)
    latest = {
        partition: OffsetSpec.latest()  # type: ignore[no-untyped-call]
        for partition in _partitions(admin, topic)
    }
    futures = admin.list_offsets(latest)
    return {
        partition.partition: future.result(_TIMEOUT_S).offset
        for partition, future in futures.items()
    }


def read_records(
    bootstrap: str,
    topic: str,
    *,
    first_offset: int = OFFSET_BEGINNING,
    limit: int | None = None,
    uncommitted: bool = False,
    timeout_s: float = 30.0,
) -> list[Record]:
    """What lies in a topic now, sorted by partition and offset.

    At most `limit` records, from `first_offset` of every partition on; `uncommitted` adds those
    of open and aborted transactions. Raises DevstackError without the topic, or when the end is
    not reached in time.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "log_level": ERRORS_ONLY,
            "group.id": "devstack-reader",  # required by the library; never joined
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,  # the end of the topic is what we wait for
            "isolation.level": "read_uncommitted" if uncommitted else "read_committed",
        }
    )
    try:
        partitions = _partitions(consumer, topic)
        for partition in partitions:
            partition.offset = first_offset
        consumer.assign(partitions)
        records = _read_to_the_end(consumer, len(partitions), limit, timeout_s)
    finally:
        consumer.close()
    return sorted(records, key=lambda record: (record.partition, record.offset))


def _admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": ERRORS_ONLY})


def _partitions(client: AdminClient | Consumer, topic: str) -> list[TopicPartition]:
    metadata = client.list_topics(timeout=_TIMEOUT_S).topics.get(topic)
    if metadata is None:
        raise DevstackError(
            f"Kafka has no topic {topic!r}", "create it, or look for a typing error"
        )
    return [TopicPartition(topic, partition) for partition in sorted(metadata.partitions)]


def _read_to_the_end(
    consumer: Consumer, partitions: int, limit: int | None, timeout_s: float
) -> list[Record]:
    records: list[Record] = []
    ended = 0
    deadline = time.monotonic() + timeout_s
    while ended < partitions and (limit is None or len(records) < limit):
        message = consumer.poll(_POLL_S)
        if message is None:
            if time.monotonic() >= deadline:
                raise DevstackError(
                    f"read {len(records)} records in {timeout_s:g} s and not the end of the topic",
                    "look whether the broker runs, or give it more time",
                )
        elif (error := message.error()) is None:
            records.append(_record(message))
        elif error.code() == KafkaError._PARTITION_EOF:
            ended += 1
        else:
            raise KafkaException(error)
    return records


def _record(message: Message[bytes, bytes]) -> Record:
    partition, offset = message.partition(), message.offset()
    assert partition is not None  # noqa: S101 - only a message yet to be sent has none
    assert offset is not None  # noqa: S101
    return Record(
        partition=partition,
        offset=offset,
        timestamp_ms=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=_headers(message),
    )


def _headers(message: Message[bytes, bytes]) -> tuple[tuple[str, bytes], ...]:
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return tuple(
        (name, value.encode() if isinstance(value, str) else value or b"") for name, value in pairs
    )
