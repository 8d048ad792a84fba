"""Finds the few tasks that one may overlap with among thousands.

It looks by queue id, and by topic, kind of record and month of data time; whether what it finds
does overlap is said by ``overlaps``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from datetime import timedelta

from loadertask_contract.time_range import TimeRange
from loadertask_operator.conditions import is_terminal
from loadertask_operator.schema import LoaderTask, TaskKey

_LAST_INSTANT = timedelta(milliseconds=1)
_Identity = tuple[str, str, str]


class Neighbours:
    """Tasks by what they load, until their worker has ended: as long they keep their finalizer.

    What defines a load never changes.
    """

    def __init__(self) -> None:
        self._keys: defaultdict[Hashable, set[TaskKey]] = defaultdict(set)
        self._places: dict[TaskKey, tuple[_Identity, frozenset[Hashable]]] = {}

    def note(self, task: LoaderTask) -> None:
        """A task was seen, perhaps in its end."""
        identity = _identity(task)
        if is_terminal(task.status) and not task.has_finalizer:
            self.forget(task.key)
        elif task.key not in self._places or self._places[task.key][0] != identity:
            self.forget(task.key)
            places = frozenset(_places(task))
            self._places[task.key] = (identity, places)
            for place in places:
                self._keys[place].add(task.key)

    def forget(self, key: TaskKey) -> None:
        """A task is gone, or has ended."""
        _, places = self._places.pop(key, (None, frozenset()))
        for place in places:
            self._keys[place].discard(key)
            if not self._keys[place]:
                del self._keys[place]

    def of(self, task: LoaderTask) -> set[TaskKey]:
        """Other unfinished tasks in any of its places."""
        found: set[TaskKey] = set()
        identity, places = self._places.get(task.key, (None, frozenset()))
        # Every look asks, and a range may touch hundreds of months.
        for place in places if identity == _identity(task) else _places(task):
            found |= self._keys.get(place, set())
        return found - {task.key}


def _identity(task: LoaderTask) -> _Identity:
    return task.uid, task.queue_id, task.topic


def _places(task: LoaderTask) -> Iterator[Hashable]:
    yield task.queue_id
    spec = task.spec
    if spec is None:
        return
    load = (task.topic, spec.symbol, spec.type.task_type, spec.effective_interval)
    for month in _months(spec.time_range):
        yield (*load, month)


def _months(span: TimeRange | None) -> range:
    """The months that a range touches; a live load stands in a place of its own."""
    if span is None:
        return range(1)
    last = span.end - _LAST_INSTANT
    first_month = span.start.year * 12 + span.start.month
    return range(first_month, last.year * 12 + last.month + 1)
