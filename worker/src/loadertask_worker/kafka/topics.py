"""That the topics exist before anything is sent: an absent one costs aiokafka 40 s of retries."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    KafkaError,
    LeaderNotAvailableError,
    NoError,
    PolicyViolationError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.admin import CreateTopicsRequest_v3, CreateTopicsResponse_v3
from aiokafka.protocol.api import Request
from aiokafka.protocol.metadata import MetadataRequest

from loadertask_worker.errors import ConfigurationError, SinkUnavailableError
from loadertask_worker.patience import answer_bound_s

if TYPE_CHECKING:
    from loadertask_worker.kafka.contact import BrokerConnection
    from loadertask_worker.kafka.security import KafkaAccess

_CREATION_S = 15.0
_POLL_S = 0.05
_BROKER_DEFAULT = -1
# Brokers that have not needed them yet do not know them as internal.
_KAFKAS_OWN = frozenset({"__consumer_offsets", "__transaction_state", "__share_group_state"})


# aiokafka has no types: its classes are Any to mypy.
class _CreateTopicsResponse_v4(CreateTopicsResponse_v3):  # type: ignore[misc]  # noqa: N801
    API_VERSION = 4


class _CreateTopicsRequest_v4(CreateTopicsRequest_v3):  # type: ignore[misc]  # noqa: N801
    """The first version in which -1 asks for the broker's default; aiokafka 0.14 stops at 3."""

    API_VERSION = 4
    RESPONSE_TYPE = _CreateTopicsResponse_v4


class _CreateTopics(Request[_CreateTopicsRequest_v4]):  # type: ignore[misc]
    API_KEY = 19

    def __init__(self, topic: str, partitions: int) -> None:
        self._topic: tuple[str, int, int, list[Any], list[Any]] = (
            topic,
            partitions,
            _BROKER_DEFAULT,
            [],
            [],
        )

    def build(self, request_struct_class: type[_CreateTopicsRequest_v4]) -> Any:
        return request_struct_class([self._topic], int(_CREATION_S * 1000), False)


class _Sight(Enum):
    ABSENT = auto()
    LEADERLESS = auto()
    READY = auto()


async def ensure_topic(
    broker: BrokerConnection, variable: str, topic: str, *, partitions: int = _BROKER_DEFAULT
) -> None:
    """Make sure that ``topic``, named by ``variable``, exists and has leaders.

    Raises:
        ConfigurationError: it is not there and may not be created, or may not be seen.
        SinkUnavailableError: within the patience, no broker answers or no leader is elected.

    """
    bound_s = answer_bound_s(broker.patience_s)
    try:
        async with asyncio.timeout(bound_s):
            sight = await _sight(broker, variable, topic)
            if sight is _Sight.ABSENT:
                await _create(broker, variable, topic, partitions)
            # The broker tells nobody when a leader is elected.
            while sight is not _Sight.READY:
                await asyncio.sleep(_POLL_S)
                sight = await _sight(broker, variable, topic)
    except (TimeoutError, KafkaError) as error:
        what = f"topic {topic} is not ready: {str(error) or 'no leader or no answer'}"
        raise SinkUnavailableError(bound_s, what) from error


async def _sight(broker: BrokerConnection, variable: str, topic: str) -> _Sight:
    answer = await broker.ask(MetadataRequest([topic], allow_auto_topic_creation=False))
    (error_code, _, is_internal, partitions) = answer.topics[0]
    if is_internal or topic in _KAFKAS_OWN:
        raise ConfigurationError.of(variable, f"topic {topic} is one of Kafka's own")
    error = for_code(error_code)
    if error is UnknownTopicOrPartitionError:
        return _Sight.ABSENT
    if error is LeaderNotAvailableError or any(partition[2] < 0 for partition in partitions):
        return _Sight.LEADERLESS
    if error is NoError:
        return _Sight.READY
    raise _refusal(error, broker.access, variable, topic, "Describe")


async def _create(broker: BrokerConnection, variable: str, topic: str, partitions: int) -> None:
    answer = await broker.ask(_CreateTopics(topic, partitions))
    (_, error_code, text) = answer.topic_errors[0]
    error = for_code(error_code)
    # Two workers may start at once.
    if error not in (NoError, TopicAlreadyExistsError):
        raise _refusal(error, broker.access, variable, topic, "Create", text)


def _refusal(
    error: type[KafkaError],
    access: KafkaAccess,
    variable: str,
    topic: str,
    operation: str,
    text: str | None = None,
) -> ConfigurationError | KafkaError:
    who = f"user {access.user!r}" if access.user else "this client"
    if error in (TopicAuthorizationFailedError, ClusterAuthorizationFailedError):
        absent = " does not exist and" if operation == "Create" else ""
        message = (
            f"topic {topic}{absent} is closed to {who}:"
            f" grant the ACL {operation} on topic {topic}, or create it"
        )
        return ConfigurationError.of(variable, message)
    if error in (InvalidTopicError, PolicyViolationError):
        return ConfigurationError.of(variable, f"topic {topic} cannot be created: {text}")
    return error(text or topic)
