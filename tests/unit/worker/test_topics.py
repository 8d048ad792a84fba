from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from loadertask_contract.environment import SecurityProtocol
from loadertask_worker.errors import ConfigurationError, SinkUnavailableError
from loadertask_worker.kafka import contact
from loadertask_worker.kafka.contact import broker_connection
from loadertask_worker.kafka.security import KafkaAccess
from loadertask_worker.kafka.topics import ensure_topic

ACCESS = KafkaAccess(
    (("kafka", 9092),), SecurityProtocol.PLAINTEXT, None, "loader", "secret", "test"
)
READY = (0, [(0, 0, 1, [1], [1])])
ABSENT: tuple[int, list[Any]] = (3, [])
NO_LEADER = (0, [(5, 0, -1, [1], [2])])
CREATED, FORBIDDEN = 0, 29
BREAK = KafkaConnectionError("gone")


class Broker:
    """What a broker answers about one topic, in turn; the last answer stays."""

    def __init__(self, *sights: Any, created: int = CREATED) -> None:
        self.sights, self.created = list(sights), created
        self.creations = self.connections = 0
        self.is_internal = False

    async def connect(self, *_: object, **__: object) -> Broker:
        self.connections += 1
        return self

    async def send(self, request: Any) -> Any:
        if "Create" in type(request).__name__:
            self.creations += 1
            return SimpleNamespace(topic_errors=[("t", self.created, "no")])
        sight = self.sights.pop(0) if len(self.sights) > 1 else self.sights[0]
        if isinstance(sight, Exception):
            raise sight
        code, partitions = sight
        return SimpleNamespace(topics=[(code, "t", self.is_internal, partitions)])

    def close(self) -> None:
        pass


async def ensured(
    monkeypatch: pytest.MonkeyPatch, broker: Broker, patience_s: float = 5, topic: str = "t"
) -> None:
    monkeypatch.setattr(contact, "create_conn", broker.connect)
    async with asyncio.timeout(60), broker_connection(ACCESS, patience_s) as connection:
        await ensure_topic(connection, "KAFKA_TOPIC", topic)


@pytest.mark.parametrize(
    ("topic", "is_internal"), [("__consumer_offsets", False), ("__to_come", True)]
)
async def test_a_topic_of_kafkas_own_is_refused(
    monkeypatch: pytest.MonkeyPatch, topic: str, is_internal: bool
) -> None:
    broker = Broker(ABSENT)
    broker.is_internal = is_internal
    with pytest.raises(ConfigurationError, match=f"KAFKA_TOPIC: topic {topic} is one of Kafka's"):
        await ensured(monkeypatch, broker, topic=topic)
    assert broker.creations == 0


@pytest.mark.parametrize(
    ("sights", "creations"),
    [
        ((READY,), 0),
        ((NO_LEADER, NO_LEADER, READY), 0),
        (((5, []), READY), 0),
        ((ABSENT, READY), 1),
        ((ABSENT, ABSENT, NO_LEADER, READY), 1),
    ],
)
async def test_only_an_absent_topic_is_created_and_leaders_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, sights: tuple[Any, ...], creations: int
) -> None:
    broker = Broker(*sights)
    await ensured(monkeypatch, broker)
    assert broker.creations == creations


async def test_an_absent_topic_that_may_not_be_created_names_the_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigurationError, match=r"does not exist and is closed .* ACL Create"):
        await ensured(monkeypatch, Broker(ABSENT, created=FORBIDDEN))


async def test_a_topic_without_a_leader_ends_with_try_again_after_the_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = Broker(NO_LEADER, created=FORBIDDEN)
    with pytest.raises(SinkUnavailableError, match="unreachable for 1 s: topic t is not ready"):
        await ensured(monkeypatch, broker, patience_s=0)
    assert broker.creations == 0


async def test_a_connection_that_breaks_is_made_anew_within_the_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = Broker(BREAK, BREAK, READY)
    await ensured(monkeypatch, broker)
    assert broker.connections == 3


async def test_a_connection_that_always_breaks_ends_with_the_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SinkUnavailableError):
        await ensured(monkeypatch, Broker(BREAK), patience_s=1)
