"""The partitions of a topic, and what may be wrong with it. It reads no record."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 5.0


class TopicMissingError(Exception):
    """The topic does not exist, or we may not see it."""


class TopicChangedError(Exception):
    """The topic is not the one that the session began with."""


async def partitions_of(topic: str, arguments: dict[str, Any]) -> list[TopicPartition]:
    """The topic's partitions; asking for all topics never creates a missing one.

    Raises:
        TopicMissingError: it does not exist, or may not be read.
        KafkaError, OSError, TimeoutError: no broker answers.

    """
    admin = AIOKafkaAdminClient(**arguments)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await admin.start()
            listed = await admin.describe_topics()
    finally:
        await asyncio.wait({asyncio.create_task(admin.close())}, timeout=_STOP_TIMEOUT_S)
    found = [one["partitions"] for one in listed if one["topic"] == topic]
    if not found or not found[0]:
        raise TopicMissingError(f"topic {topic} does not exist or may not be read")
    numbers = sorted(partition["partition"] for partition in found[0])
    return [TopicPartition(topic, number) for number in numbers]
