"""Whose turn it is: finds the task that another one has to wait for, and wakes who waits.

It looks at what the cluster was last seen to hold, and decides nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile

from loadertask_operator.conditions import ConditionType, Reason, is_terminal
from loadertask_operator.overlaps import Rival, is_older, why_overlapping
from loadertask_operator.schema import LoaderTask, TaskKey
from loadertask_operator.store import Store

_REMEMBERED = timedelta(hours=1)


class Turns:
    """Overlapping tasks run one after the other; ``wake`` has a task looked at again."""

    def __init__(self, store: Store, default_servers: str, wake: Callable[[TaskKey], None]) -> None:
        self._store = store
        self._default_servers = default_servers
        self._wake = wake
        self._waiting: defaultdict[TaskKey, set[TaskKey]] = defaultdict(set)
        self._starting: set[TaskKey] = set()
        self._stops: dict[str, dict[str, datetime]] = {}

    def rival_of(self, task: LoaderTask) -> Rival | None:
        """The unfinished task that ``task`` has to wait for: one at work, or an older one."""
        rivals = [
            (other, why)
            for other in self._store.tasks_beside(task)
            if (why := why_overlapping(task, other, self._default_servers))
            and self._goes_before(other, task)
        ]
        if not rivals:
            return None
        rivals.sort(key=lambda rival: (rival[0].creation_time, rival[0].uid))
        first, why = rivals[0]
        self._waiting[first.key].add(task.key)
        in_queue = (other.key for other, _ in rivals if other.queue_id == task.queue_id)
        return Rival(first.key, why, next(in_queue, None))

    def note_stop(self, task: LoaderTask, now: datetime) -> None:
        """A stop of the worker of ``task`` is sent: it lies in queue-control from now on."""
        known = self._stops.pop(task.queue_id, {})
        young = {uid: at for uid, at in known.items() if now - at < _REMEMBERED}
        # The queue of the last stop comes last: the first ones are those to be forgotten.
        self._stops[task.queue_id] = young | {task.uid: now}
        for queue_id in list(takewhile(partial(self._is_quiet, now), self._stops)):
            del self._stops[queue_id]

    def other_stopped_at(self, task: LoaderTask) -> datetime | None:
        """When a stop was last sent, lately, for another task of its queue id."""
        stops = self._stops.get(task.queue_id, {})
        return max((at for uid, at in stops.items() if uid != task.uid), default=None)

    def _is_quiet(self, now: datetime, queue_id: str) -> bool:
        return all(now - at >= _REMEMBERED for at in self._stops[queue_id].values())

    @contextmanager
    def starting(self, key: TaskKey) -> Iterator[None]:
        """While its Job is being made, a task is at work: an older one seen meanwhile waits."""
        self._starting.add(key)
        try:
            yield
        finally:
            self._starting.discard(key)

    def note_look(self, key: TaskKey) -> None:
        """A task was looked at: when it stands in nobody's way any more, the others are woken."""
        if key not in self._waiting:
            return
        task = self._store.task(key)
        if task is None or not self._is_at_work(task):
            for waiting in self._waiting.pop(key):
                self._wake(waiting)

    def _goes_before(self, other: LoaderTask, task: LoaderTask) -> bool:
        if self._is_at_work(other):
            return True
        is_waiting = not is_terminal(other.status) and not _cannot_run(other)
        return is_waiting and is_older(other, task)

    def _is_at_work(self, task: LoaderTask) -> bool:
        """Whether a worker of it may run; of one that has ended, its finalizer tells."""
        if task.key in self._starting:
            return True
        attempt = task.status.current_attempt
        if attempt is None or is_terminal(task.status):
            return task.has_finalizer and is_terminal(task.status)
        job = self._store.job(task.namespace, attempt.job_name)
        own_job = job if job and job.owner_uid == task.uid else None
        if task.status.ending_of(attempt.number) is None:
            return attempt.job_uid is not None or own_job is not None
        has_pod = any(pod.may_run for pod in self._store.pods(task.key, attempt.number))
        return has_pod or (own_job is not None and own_job.outcome is None)


def _cannot_run(task: LoaderTask) -> bool:
    """Whether it waits for a person to correct what cannot be corrected in place."""
    accepted = task.status.condition(ConditionType.ACCEPTED)
    is_invalid = accepted is not None and accepted.reason == Reason.INVALID_SPEC
    return is_invalid and task.status.current_attempt is None
