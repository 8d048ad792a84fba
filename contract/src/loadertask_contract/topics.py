"""Topic names of the platform and the rules for naming one."""

from __future__ import annotations

import re

QUEUE_CONTROL_TOPIC = "queue-control"
QUEUE_EVENTS_TOPIC = "queue-events"

# Queue ids of commands to everybody: ``*`` in the platform's documents, ``all`` in one loader.
WILDCARDS = frozenset({"*", "all"})

# org.apache.kafka.common.internals.Topic: its own topics, no place for records.
KAFKA_TOPICS = frozenset(
    {"__consumer_offsets", "__transaction_state", "__share_group_state", "__cluster_metadata"}
)
# The same class: legal characters and MAX_NAME_LENGTH.
_TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_QUEUE_ID = re.compile(r"[a-zA-Z0-9._-]{1,200}")


def data_topic(queue_id: str) -> str:
    """The topic of a workflow's records, unless another is given."""
    return f"{queue_id}-data"


def parse_topic(name: str) -> str:
    """``name`` when Kafka accepts it as a topic of its users.

    Raises:
        ValueError: it does not.

    """
    if name in KAFKA_TOPICS:
        raise ValueError(f"{name!r} belongs to Kafka itself: name a topic of your own")
    if not _TOPIC_NAME.fullmatch(name) or name in {".", ".."}:
        raise ValueError(f"{name!r} is not a topic name: 1-249 letters, digits, '.', '_' or '-'")
    return name


def parse_queue_id(text: str) -> str:
    """``text`` when it can identify a workflow (design contract §1).

    Raises:
        ValueError: it cannot; a stop for a wildcard would stop every worker of the platform.

    """
    if text in WILDCARDS:
        raise ValueError(f"{text!r} means every queue in a command: name one of your own")
    if not _QUEUE_ID.fullmatch(text):
        raise ValueError(f"{text!r} is not a queue id: 1-200 letters, digits, '.', '_' or '-'")
    return text
