"""That the topics exist before anything is sent: an absent one costs aiokafka 40 s of retries."""

from __future__ import annotations

import asyncio
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

if TYPE_CHECKING:
    from loadertask_worker.kafka.security import KafkaAccess

_CREATION_S = 15.0
_POLL_S = 0.05
_BROKER_DEFAULT = -1


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


async def ensure_topic(
    connection: Any,
    access: KafkaAccess,
    variable: str,
    topic: str,
    *,
    partitions: int = _BROKER_DEFAULT,
) -> None:
    """Make sure that ``topic``, named by ``variable``, exists and has leaders.

    Raises:
        ConfigurationError: it is not there and may not be created, or may not be seen.
        SinkUnavailableError: the broker does not answer, or no leader is elected.

    """
    try:
        async with asyncio.timeout(_CREATION_S):
            if await _is_absent(connection, access, variable, topic):
                await _create(connection, access, variable, topic, partitions)
                await _leaders(connection, access, variable, topic)
    except (TimeoutError, KafkaError, OSError) as error:
        raise SinkUnavailableError(_CREATION_S, f"topic {topic}: {error!r}") from error


async def _leaders(connection: Any, access: KafkaAccess, variable: str, topic: str) -> None:
    # The broker tells nobody when a leader is elected.
    while await _is_absent(connection, access, variable, topic):  # noqa: ASYNC110
        await asyncio.sleep(_POLL_S)


async def _is_absent(connection: Any, access: KafkaAccess, variable: str, topic: str) -> bool:
    answer = await connection.send(MetadataRequest([topic], allow_auto_topic_creation=False))
    (error_code, _, _, partitions) = answer.topics[0]
    error = for_code(error_code)
    if error is NoError:
        return any(partition[2] < 0 for partition in partitions)
    if error in (UnknownTopicOrPartitionError, LeaderNotAvailableError):
        return True
    raise _refusal(error, access, variable, topic, "Describe")


async def _create(
    connection: Any, access: KafkaAccess, variable: str, topic: str, partitions: int
) -> None:
    answer = await connection.send(_CreateTopics(topic, partitions))
    (_, error_code, text) = answer.topic_errors[0]
    error = for_code(error_code)
    # Two workers may start at once.
    if error not in (NoError, TopicAlreadyExistsError):
        raise _refusal(error, access, variable, topic, "Create", text)


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
