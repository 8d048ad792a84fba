"""Parse a worker's environment: all problems at once, each naming its variable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import ValidationError

from loadertask_contract.addresses import without_login
from loadertask_contract.environment import (
    ALIASES,
    SECRET_VARIABLES,
    VARIABLES,
    WorkerEnvironment,
)
from loadertask_contract.shards import shard_producer_id
from loadertask_contract.task_types import LoadType, parse_load_type
from loadertask_contract.time_range import parse_time_range
from loadertask_contract.topics import QUEUE_CONTROL_TOPIC, QUEUE_EVENTS_TOPIC

_NEEDED = {
    "QUEUE_ID": "the identity of the workflow",
    "SYMBOL": "the trading pair, as BTCUSDT",
    "TYPE": "what to load, as api_candles_1m",
    "KAFKA_TOPIC": "where the records go",
    "TELEMETRY_PRODUCER_ID": "this worker's name in queue-events",
}


class Problem(NamedTuple):
    """One thing that is wrong with the environment."""

    variable: str
    message: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.message}"


class EnvironmentProblemsError(ValueError):
    """The environment cannot be used; ``problems`` holds every reason, by variable."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class ParsedEnvironment:
    """A usable environment and what was odd about it, for the log and the ``started`` event."""

    environment: WorkerEnvironment
    warnings: tuple[str, ...] = ()


def parse_environment(variables: Mapping[str, str], now: datetime) -> ParsedEnvironment:
    """Parse the variables of a worker; an empty variable counts as absent.

    Args:
        variables: all variables of the process, others than ours are ignored.
        now: an aware datetime; a range that starts after it is refused.

    Raises:
        EnvironmentProblemsError: with every problem found.

    """
    given = _without_aliases(variables)
    ignored = _ignored(given)
    given = {name: text for name, text in given.items() if name not in ignored}
    problems = _cross_problems(given, now)
    try:
        environment = WorkerEnvironment.model_validate(given)
    except ValidationError as error:
        problems = [*map(_problem, error.errors()), *problems]
    if problems:
        raise EnvironmentProblemsError(tuple(sorted(set(problems))))
    resolved, warnings = _resolved(environment)
    return ParsedEnvironment(resolved, (*warnings, *ignored.values()))


def _without_aliases(variables: Mapping[str, str]) -> dict[str, str]:
    # Ours alone: the model knows its fields by other names too, which are no variables.
    texts = {name: variables.get(name, "").strip() for name in VARIABLES}
    given = {name: text for name, text in texts.items() if text}
    for alias, variable in ALIASES.items():
        if alias in given:
            given.setdefault(variable, given[alias])
    return given


def _ignored(given: Mapping[str, str]) -> dict[str, str]:
    """Variables that mean nothing to the type, each with what is said of it; not even parsed."""
    load_type = _load_type(given)
    if load_type is None:
        return {}
    ignored = {}
    if "INTERVAL" in given and not load_type.task_type.has_candles:
        ignored["INTERVAL"] = f"INTERVAL is ignored: TYPE {load_type} has no candles"
    if "TIME_RANGE" in given and load_type.task_type.is_live:
        ignored["TIME_RANGE"] = f"TIME_RANGE is ignored: TYPE {load_type} is live"
    return ignored


def _cross_problems(given: Mapping[str, str], now: datetime) -> list[Problem]:
    """What no single variable shows; a variable that is wrong by itself is reported elsewhere."""
    return [
        *_range_problems(given, now),
        *_interval_problems(given),
        *_access_problems(given),
        *_shard_problems(given),
        *_topic_problems(given),
    ]


def _range_problems(given: Mapping[str, str], now: datetime) -> list[Problem]:
    load_type = _load_type(given)
    if load_type is None or load_type.task_type.is_live:
        return []
    if "TIME_RANGE" not in given:
        return [Problem("TIME_RANGE", f"is required for TYPE {load_type}: set START:END")]
    try:
        time_range = parse_time_range(given["TIME_RANGE"])
    except ValueError:
        return []
    if time_range.start > now:
        latest = f"{now.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        message = f"{time_range} starts in the future: set START before {latest}"
        return [Problem("TIME_RANGE", message)]
    return []


def _interval_problems(given: Mapping[str, str]) -> list[Problem]:
    load_type = _load_type(given)
    if load_type is None or not load_type.task_type.has_candles:
        return []
    if load_type.interval is None and "INTERVAL" not in given:
        return [Problem("INTERVAL", f"is required for TYPE {load_type}: set it, as 1h")]
    return []


def _access_problems(given: Mapping[str, str]) -> list[Problem]:
    pairs = (
        ("KAFKA_USER_PRODUCER", "KAFKA_PASSWORD_PRODUCER"),
        ("BINANCE_API_KEY", "BINANCE_API_SECRET"),
    )
    problems = []
    for first, second in pairs:
        if (first in given) != (second in given):
            missing, present = (second, first) if first in given else (first, second)
            problems.append(Problem(missing, f"is missing while {present} is set"))
    protocol = given.get("KAFKA_SECURITY_PROTOCOL", "")
    if protocol.startswith("SASL_") and "KAFKA_USER_PRODUCER" not in given:
        problems.append(
            Problem("KAFKA_USER_PRODUCER", f"is required by KAFKA_SECURITY_PROTOCOL {protocol}")
        )
    return problems


def _shard_problems(given: Mapping[str, str]) -> list[Problem]:
    try:
        index = int(given.get("LOADER_SHARD_INDEX", "0"))
        count = int(given.get("LOADER_SHARD_COUNT", "1"))
    except ValueError:
        return []
    if index >= max(count, 1):
        return [Problem("LOADER_SHARD_INDEX", f"{index} is not below LOADER_SHARD_COUNT {count}")]
    try:
        # The last index: whether the name fits must not depend on the shard.
        shard_producer_id(given.get("TELEMETRY_PRODUCER_ID", ""), max(count, 1) - 1, max(count, 1))
    except ValueError as error:
        return [Problem("TELEMETRY_PRODUCER_ID", str(error))]
    return []


def _topic_problems(given: Mapping[str, str]) -> list[Problem]:
    """What lies in a topic of events or commands is read as such by the whole platform."""
    control = given.get("QUEUE_CONTROL_TOPIC", QUEUE_CONTROL_TOPIC)
    events = given.get("QUEUE_EVENTS_TOPIC", QUEUE_EVENTS_TOPIC)
    topic = given.get("KAFKA_TOPIC")
    problems = [
        Problem("KAFKA_TOPIC", f"is {variable} too: records need a topic of their own")
        for variable, other in (("QUEUE_CONTROL_TOPIC", control), ("QUEUE_EVENTS_TOPIC", events))
        if topic == other
    ]
    if control == events:
        # The one that was set is the one to change; the other may be a default.
        wrong, other = "QUEUE_CONTROL_TOPIC", "QUEUE_EVENTS_TOPIC"
        if other in given:
            wrong, other = other, wrong
        problems.append(Problem(wrong, f"is {other} too ({events}): each needs its own topic"))
    return problems


def _load_type(given: Mapping[str, str]) -> LoadType | None:
    try:
        return parse_load_type(given.get("TYPE", ""))
    except ValueError:
        return None


def _problem(error: object) -> Problem:
    """A problem in our words from pydantic's; the value of a secret is never repeated."""
    details: Mapping[str, object] = error  # type: ignore[assignment]
    location = details["loc"]
    variable = str(location[0]) if isinstance(location, tuple) and location else "environment"
    if details["type"] == "missing":
        return Problem(variable, f"is required: {_NEEDED.get(variable, 'set it')}")
    message = str(details["msg"]).removeprefix("Value error, ")
    shown = repr(without_login(given) if isinstance(given := details["input"], str) else given)
    if variable in SECRET_VARIABLES or shown in message:
        return Problem(variable, message)
    return Problem(variable, f"{message} (it is {shown})")


def _resolved(environment: WorkerEnvironment) -> tuple[WorkerEnvironment, tuple[str, ...]]:
    """With the interval in force: the suffix wins over INTERVAL, and a difference is said."""
    suffix = environment.load_type.interval
    if suffix is None or environment.interval in {None, suffix}:
        return environment.model_copy(update={"interval": suffix or environment.interval}), ()
    warning = (
        f"TYPE {environment.load_type} and INTERVAL {environment.interval} differ:"
        f" {suffix} is loaded"
    )
    return environment.model_copy(update={"interval": suffix}), (warning,)
