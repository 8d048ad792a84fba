"""The end of a worker whose environment cannot be used: every problem said, nothing loaded."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from loadertask_contract.parsing import EnvironmentProblemsError, parse_environment
from loadertask_contract.shards import shard_producer_id
from loadertask_contract.task_types import parse_load_type
from loadertask_contract.topics import parse_queue_id
from loadertask_worker.errors import ConfigurationError
from loadertask_worker.inputs import LoadFailed
from loadertask_worker.kafka.contact import broker_connection
from loadertask_worker.kafka.security import kafka_access
from loadertask_worker.kafka.telemetry import EventSender
from loadertask_worker.last_words import write_last_words
from loadertask_worker.lifecycle import Identity, Lifecycle, advance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadertask_contract.environment import WorkerEnvironment
    from loadertask_contract.events import Event

log = logging.getLogger(__name__)

_REPORT_S = 3.0

# What it takes to know which shard speaks,
_SHARD = ("LOADER_SHARD_INDEX", "LOADER_SHARD_COUNT", "JOB_COMPLETION_INDEX")
# ... what it takes to send an event ...
_REPORTING = (
    "QUEUE_ID",
    "QUEUE_EVENTS_TOPIC",
    "KAFKA_BOOTSTRAP_SERVERS",
    "KAFKA_SECURITY_PROTOCOL",
    "KAFKA_USER_PRODUCER",
    "KAFKA_PASSWORD_PRODUCER",
    "CA_PATH",
    "KAFKA_CA_PATH",
)
# ... of which these cannot be left out: without its CA, a broker would look wrong that is not,
_INDISPENSABLE = {"KAFKA_BOOTSTRAP_SERVERS", "CA_PATH"}
# ... and stand-ins for the rest: a live type needs no other variable.
_STAND_INS = {
    "SYMBOL": "UNKNOWN",
    "TYPE": "ws_trades",
    "KAFKA_TOPIC": "unknown",
    "TELEMETRY_PRODUCER_ID": "unknown",
}


async def end_misconfigured(variables: Mapping[str, str], error: ConfigurationError) -> int:
    """Say every problem on stderr, in the termination log and, where possible, in one event."""
    for problem in error.problems:
        log.error("%s", problem)
    now_s = time.time()
    state = Lifecycle(_identity(variables), started_s=now_s)
    state, (event,) = advance(state, LoadFailed(error), now_s)
    write_last_words(event)
    if environment := reporting_environment(variables, error):
        try:
            async with asyncio.timeout(_REPORT_S):
                await _report(environment, event)
        except Exception as trouble:  # the environment is wrong: no trouble here says more
            log.warning("the error event could not be sent: %s", str(trouble) or "no answer")
    return int(state.exit_code or 0)


def reporting_environment(
    variables: Mapping[str, str], error: ConfigurationError
) -> WorkerEnvironment | None:
    """What is usable of an environment, if that is enough to send an event by."""
    wrong = {problem.variable for problem in error.problems}
    if wrong & _INDISPENSABLE:
        return None
    usable = {name: variables[name] for name in _REPORTING if name in variables.keys() - wrong}
    try:
        return parse_environment(usable | _STAND_INS, datetime.now(UTC)).environment
    except EnvironmentProblemsError:
        return None


async def _report(environment: WorkerEnvironment, event: Event) -> None:
    access = kafka_access(environment)
    async with broker_connection(access, _REPORT_S):
        pass
    sender = EventSender(access, environment.queue_events_topic)
    sender.send(event)
    try:
        await sender.start(_REPORT_S)
        await sender.wait_until_sent(_REPORT_S)
    finally:
        await sender.close()


def _identity(variables: Mapping[str, str]) -> Identity:
    """Who we are as far as told; what is malformed is repeated, so that it can be recognised."""
    index, count = _shard(variables)
    return Identity(
        queue_id=_queue_id(_text(variables, "QUEUE_ID")),
        symbol=_text(variables, "SYMBOL")[:64],
        type=_type(_text(variables, "TYPE"))[:64],
        producer=_producer(_text(variables, "TELEMETRY_PRODUCER_ID"), index, count)[:249],
        shard=index if count > 1 else None,
    )


def _queue_id(text: str) -> str:
    try:
        return parse_queue_id(text)
    except ValueError:
        return ""


def _type(text: str) -> str:
    """By the name that other workers give it, which know one name for each."""
    try:
        return str(parse_load_type(text))
    except ValueError:
        return text


def _shard(variables: Mapping[str, str]) -> tuple[int, int]:
    """Which shard of how many; the only one where that cannot be told."""
    told = {name: variables[name] for name in _SHARD if name in variables}
    try:
        found = parse_environment(_STAND_INS | {"QUEUE_ID": "unknown"} | told, datetime.now(UTC))
    except EnvironmentProblemsError:
        return 0, 1
    return found.environment.shard_index, found.environment.shard_count


def _producer(text: str, index: int, count: int) -> str:
    try:
        return shard_producer_id(text, index, count)
    except ValueError:
        return text


def _text(variables: Mapping[str, str], name: str) -> str:
    # Bytes of the environment that are no UTF-8 come as lone surrogates.
    return variables.get(name, "").strip().encode(errors="replace").decode()
