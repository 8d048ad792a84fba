"""Lists: all there is at the start, then what vanished unseen or what no watch has told of.

kopf lists anew after a watch was cut (410 Gone) and reports what is there, never what is gone. It
decides nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Protocol

from loadertask_operator.observed import JobState, PodState
from loadertask_operator.schema import LoaderTask, TaskKey
from loadertask_operator.store import Presence, Store


class Lister(Protocol):
    """Tells which objects there are; all raise ``errors.ApiError``."""

    async def present_tasks(self, namespace: str | None) -> Presence:
        """The tasks of a namespace, or of all."""

    async def present_jobs(self, namespace: str | None) -> Presence:
        """Our Jobs of a namespace, or of all."""

    async def present_pods(self, namespace: str | None) -> Presence:
        """Pods of our Jobs of a namespace, or of all."""


class FullLister(Protocol):
    """Tells all about the objects there are; all raise ``errors.ApiError``."""

    async def list_tasks(self, namespace: str | None) -> list[LoaderTask]:
        """The tasks of a namespace, or of all."""

    async def list_jobs(self, namespace: str | None) -> list[JobState]:
        """Our Jobs of a namespace, or of all."""

    async def list_pods(self, namespace: str | None) -> list[PodState]:
        """Pods of our Jobs of a namespace, or of all."""


class WatchCheck:
    """For how long the lists have held versions that no watch has told of."""

    def __init__(
        self, store: Store, limit_s: float, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._limit_s = limit_s
        self._clock_s = clock_s
        self._unseen: dict[str, tuple[int, float]] = {}
        """By uid: the first version that no watch has told of, and since when it is known."""

    def compare(self, lists: Iterable[Presence]) -> None:
        """Look at lists of tasks and Jobs that were made just now."""
        now_s, known, before = self._clock_s(), self._store.versions(), self._unseen
        self._unseen = {}
        for uid, listed in chain.from_iterable(one.versions.items() for one in lists):
            seen = known.get(uid, -1)
            version, since_s = before.get(uid, (listed, now_s))
            if seen < version:
                self._unseen[uid] = (version, since_s)
            elif seen < listed:  # of a busy object there is always something newer
                self._unseen[uid] = (listed, now_s)

    def problem(self) -> str | None:
        """What is wrong with the watches, if they are."""
        oldest_s = min((since_s for _, since_s in self._unseen.values()), default=None)
        if oldest_s is None or self._clock_s() - oldest_s <= self._limit_s:
            return None
        late_s = self._clock_s() - oldest_s
        return f"the watches have not told of {len(self._unseen)} objects for {late_s:.0f} s"


async def remember_all(lister: FullLister, store: Store, namespaces: tuple[str, ...]) -> None:
    """Put everything there is into ``store``; a task comes after what belongs to it."""
    for namespace in namespaces or (None,):
        for pod in await lister.list_pods(namespace):
            store.remember_pod(pod)
        for job in await lister.list_jobs(namespace):
            store.remember_job(job)
        for task in await lister.list_tasks(namespace):
            store.remember_task(task)


async def forget_vanished(
    lister: Lister,
    store: Store,
    namespaces: tuple[str, ...],
    watch_check: WatchCheck | None = None,
) -> set[TaskKey]:
    """Drop from ``store`` what is gone; the tasks that this concerns."""
    concerned: set[TaskKey] = set()
    listed: list[Presence] = []
    for namespace in namespaces or (None,):
        concerned |= store.forget_absent_pods(await lister.present_pods(namespace))
        jobs = await lister.present_jobs(namespace)
        concerned |= store.forget_absent_jobs(jobs)
        tasks = await lister.present_tasks(namespace)
        concerned |= store.forget_absent_tasks(tasks)
        listed += (jobs, tasks)
    if watch_check:
        watch_check.compare(listed)
    return concerned
