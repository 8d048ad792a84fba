"""Whether a topic would keep records that carry the venue's time instead of their own."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from aiokafka.errors import NoError, TopicAuthorizationFailedError, for_code
from aiokafka.protocol.admin import DescribeConfigsRequest

from loadertask_contract.parsing import Problem
from loadertask_worker.errors import SinkUnavailableError
from loadertask_worker.patience import answer_bound_s

if TYPE_CHECKING:
    from loadertask_worker.kafka.contact import BrokerConnection
    from loadertask_worker.kafka.terms import Terms

_TOPIC = 2
_VARIABLE = "LOADER_RECORD_TIME"
_SETTINGS = ("retention.ms", "cleanup.policy", "message.timestamp.type")


async def venue_time_problem(broker: BrokerConnection, terms: Terms) -> Problem | None:
    """Why records cannot carry the venue's time in this topic; None if they can.

    Raises:
        LoadError: no answer within the patience.

    """
    if not terms.has_venue_time:
        return None
    request = DescribeConfigsRequest([(_TOPIC, terms.topic, list(_SETTINGS))])
    try:
        async with asyncio.timeout(answer_bound_s(terms.patience_s)):
            answer = await broker.ask(request)
    except TimeoutError as error:
        what = f"the settings of topic {terms.topic} are not told"
        raise SinkUnavailableError(terms.patience_s, what) from error
    ((code, text, _, _, entries),) = answer.resources
    refusal = for_code(code)
    if refusal is TopicAuthorizationFailedError:
        missing = f"grant the ACL DescribeConfigs on topic {terms.topic}"
        return Problem(_VARIABLE, f"whether the topic keeps old records cannot be seen: {missing}")
    if refusal is not NoError:
        raise SinkUnavailableError(terms.patience_s, f"{refusal.__name__}: {text}")
    return settings_problem(
        terms.topic, {entry[0]: entry[1] for entry in entries}, terms.oldest_ms, time.time() * 1000
    )


def settings_problem(
    topic: str, settings: dict[str, Any], oldest_ms: float | None, now_ms: float
) -> Problem | None:
    """What is wrong with the settings of a topic for records from ``oldest_ms`` (epoch ms) on."""
    if settings.get("message.timestamp.type") == "LogAppendTime":
        what = f"topic {topic} has message.timestamp.type=LogAppendTime, which replaces it"
        return Problem(_VARIABLE, what)
    retention_ms = int(settings.get("retention.ms") or -1)
    deletes = "delete" in str(settings.get("cleanup.policy", "delete"))
    age_ms = now_ms - oldest_ms if oldest_ms is not None else 0.0
    if not deletes or retention_ms < 0 or age_ms < retention_ms:
        return None
    what = f"topic {topic} would delete the range at once: its retention.ms={retention_ms}"
    return Problem(_VARIABLE, f"{what}; set it to -1")
