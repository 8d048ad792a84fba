"""Which tasks would write the same records: together they would double them. Pure.

Two tasks overlap by their queue id, whose commands and cursor they would share, or by what they
load and where to (design operator §10).
"""

from __future__ import annotations

from dataclasses import dataclass

from loadertask_contract.time_range import TimeRange
from loadertask_operator.schema import LoaderTask, Spec, TaskKey


@dataclass(frozen=True, slots=True)
class Rival:
    """A task that another one has to wait for, and what they share."""

    key: TaskKey
    why: str
    in_queue: TaskKey | None = None
    """It or another one that goes before and has the same queue id: commands are not for us."""


def is_older(first: LoaderTask, second: LoaderTask) -> bool:
    """Whether ``first`` goes first: by creation, in the same second by uid."""
    return (first.creation_time, first.uid) < (second.creation_time, second.uid)


def why_overlapping(first: LoaderTask, second: LoaderTask, default_servers: str) -> str | None:
    """What two tasks share that they must not, or None.

    ``default_servers`` are the brokers of a task that names none.
    """
    if first.spec is None or second.spec is None:
        return None
    if first.queue_id == second.queue_id:
        return f"it has the same queue id {first.queue_id}"
    # The cheapest first: a month of a topic may be loaded by hundreds of tasks.
    if not _intersect(first.spec.time_range, second.spec.time_range):
        return None
    if first.topic != second.topic or _load(first.spec) != _load(second.spec):
        return None
    if _brokers(first.spec, default_servers) != _brokers(second.spec, default_servers):
        return None
    return f"it loads the same records into topic {first.topic}"


def _load(spec: Spec) -> tuple[object, ...]:
    return spec.symbol, spec.type.task_type, spec.effective_interval


def _brokers(spec: Spec, default_servers: str) -> frozenset[str]:
    servers = spec.kafka.bootstrap_servers or default_servers
    return frozenset(server.strip() for server in servers.split(","))


def _intersect(first: TimeRange | None, second: TimeRange | None) -> bool:
    """Live loads have no range: they follow the same stream."""
    if first is None or second is None:
        return True
    return first.start < second.end and second.start < first.end
