"""The newest known version of every task, Job and pod, fed by watches and by our own writes.

A watch may lag behind our writes: an older resourceVersion never replaces a newer one. It makes
no request and no decision.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

from loadertask_operator.bans import Bans
from loadertask_operator.conditions import is_terminal
from loadertask_operator.neighbours import Neighbours
from loadertask_operator.observed import JobState, PodState, task_key_of
from loadertask_operator.schema import LoaderTask, TaskKey


class _Versioned(Protocol):
    @property
    def namespace(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def resource_version(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Presence:
    """Which objects a list of the API server held; ``namespace`` None stands for all."""

    namespace: str | None
    resource_version: int
    """Of the list as a whole: what was changed after it may rightly be missing."""
    uids: frozenset[str]
    versions: Mapping[str, int] = field(default_factory=dict)
    """The resourceVersion of each of them by its uid."""

    def disproves(self, known: _Versioned) -> bool:
        """Whether an object that was seen before is gone."""
        return (
            self.namespace in {None, known.namespace}
            and known.resource_version <= self.resource_version
            and known.uid not in self.uids
        )


class Store:
    """What the cluster was last seen to hold."""

    def __init__(self) -> None:
        self._tasks: dict[TaskKey, LoaderTask] = {}
        self._jobs: dict[tuple[str, str], JobState] = {}
        self._pods: defaultdict[tuple[TaskKey, int], dict[int | None, PodState]] = defaultdict(dict)
        self._by_queue_id: defaultdict[str, set[TaskKey]] = defaultdict(set)
        self._neighbours = Neighbours()
        self.bans = Bans()
        self._by_producer: defaultdict[str, set[TaskKey]] = defaultdict(set)

    def task(self, key: TaskKey) -> LoaderTask | None:
        """The task of a key."""
        return self._tasks.get(key)

    def tasks(self) -> Iterator[LoaderTask]:
        """All tasks."""
        return iter(tuple(self._tasks.values()))

    def active_keys(self) -> list[TaskKey]:
        """Tasks that have not ended, or that are being deleted, or that end by their age."""
        return [key for key, task in self._tasks.items() if _is_active(task)]

    def has_no_attempt(self, key: TaskKey) -> bool:
        """Whether a task is known for which no Job was ever meant."""
        task = self._tasks.get(key)
        return task is not None and task.status.current_attempt is None

    def job(self, namespace: str, name: str) -> JobState | None:
        """The Job of a name."""
        return self._jobs.get((namespace, name))

    def pods(self, key: TaskKey, attempt: int) -> tuple[PodState, ...]:
        """The youngest pod of an attempt, of each shard where the load is split."""
        return tuple(self._pods.get((key, attempt), {}).values())

    def tasks_beside(self, task: LoaderTask) -> list[LoaderTask]:
        """Other unfinished tasks that may overlap with it."""
        return [self._tasks[key] for key in self._neighbours.of(task)]

    def keys_of_event(self, queue_id: str | None, producer: str) -> tuple[TaskKey, ...]:
        """The tasks an event concerns: by queue id, else by the producer's name."""
        if queue_id is not None:
            return tuple(self._by_queue_id.get(queue_id, ()))
        # A shard appends its number to the name of the attempt.
        whole = producer.rpartition("-")[0]
        keys = self._by_producer.get(producer) or self._by_producer.get(whole, set())
        # Producer ids are short: two tasks may share one, and then neither can claim the event.
        return tuple(keys) if len(keys) == 1 else ()

    def remember_task(self, task: LoaderTask) -> None:
        """Keep ``task`` unless a newer version is known."""
        known = self._tasks.get(task.key)
        if known and known.uid == task.uid and known.resource_version > task.resource_version:
            return
        if known:
            self._unindex(known)
        self._tasks[task.key] = task
        self._by_queue_id[task.queue_id].add(task.key)
        self._neighbours.note(task)
        self.bans.note(task)
        if task.status.current_attempt:
            self._by_producer[task.status.current_attempt.producer_id].add(task.key)

    def forget_task(self, key: TaskKey, uid: str) -> bool:
        """Drop a deleted task; a successor of the same name stays. Whether it was known."""
        known = self._tasks.get(key)
        if known is None or known.uid != uid:
            return False
        self._unindex(known)
        self._neighbours.forget(key)
        del self._tasks[key]
        return True

    def remember_job(self, job: JobState) -> None:
        """Keep ``job`` unless a newer version is known."""
        known = self._jobs.get((job.namespace, job.name))
        if known and known.uid == job.uid and known.resource_version > job.resource_version:
            return
        self._jobs[job.namespace, job.name] = job

    def forget_job(self, namespace: str, name: str, uid: str) -> None:
        """Drop a deleted Job."""
        known = self._jobs.get((namespace, name))
        if known and known.uid == uid:
            del self._jobs[namespace, name]

    def remember_pod(self, pod: PodState) -> None:
        """Keep ``pod`` unless a younger pod or a newer version is known."""
        shards = self._pods[task_key_of(pod), pod.attempt]
        known = shards.get(pod.shard)
        if known and known.uid == pod.uid and known.resource_version > pod.resource_version:
            return
        if known and known.uid != pod.uid and known.created_at > pod.created_at:
            return
        shards[pod.shard] = pod

    def forget_pod(self, pod: PodState) -> None:
        """Drop a deleted pod."""
        place = (task_key_of(pod), pod.attempt)
        known = self._pods.get(place, {}).get(pod.shard)
        if known and known.uid == pod.uid:
            del self._pods[place][pod.shard]
            if not self._pods[place]:
                del self._pods[place]

    def versions(self) -> dict[str, int]:
        """The known resourceVersion of every task and Job by its uid."""
        known: tuple[_Versioned, ...] = (*self._tasks.values(), *self._jobs.values())
        return {one.uid: one.resource_version for one in known}

    def forget_absent_tasks(self, present: Presence) -> set[TaskKey]:
        """Drop the tasks that a list disproves: a watch that was cut never reports their end."""
        gone = [task for task in self._tasks.values() if present.disproves(task)]
        for task in gone:
            self.forget_task(task.key, task.uid)
        return {task.key for task in gone}

    def forget_absent_jobs(self, present: Presence) -> set[TaskKey]:
        """Drop the Jobs that a list disproves; the tasks they worked for."""
        gone = [job for job in self._jobs.values() if present.disproves(job)]
        for job in gone:
            self.forget_job(job.namespace, job.name, job.uid)
        return {task_key_of(job) for job in gone}

    def forget_absent_pods(self, present: Presence) -> set[TaskKey]:
        """Drop the pods that a list disproves; the tasks they worked for."""
        pods = chain.from_iterable(shards.values() for shards in self._pods.values())
        gone = [pod for pod in pods if present.disproves(pod)]
        for pod in gone:
            self.forget_pod(pod)
        return {task_key_of(pod) for pod in gone}

    def _unindex(self, task: LoaderTask) -> None:
        _discard(self._by_queue_id, task.queue_id, task.key)
        if task.status.current_attempt:
            _discard(self._by_producer, task.status.current_attempt.producer_id, task.key)


def _discard(index: dict[str, set[TaskKey]], name: str, key: TaskKey) -> None:
    index[name].discard(key)
    if not index[name]:
        del index[name]


def _is_active(task: LoaderTask) -> bool:
    has_ttl = task.spec is not None and task.spec.ttl_seconds_after_finished is not None
    return (
        not is_terminal(task.status)
        or task.deletion_time is not None
        or task.has_finalizer
        or has_ttl
    )
