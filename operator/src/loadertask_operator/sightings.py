"""What watches see goes into the store, and its task is woken. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from loadertask_operator.observed import JobState, PodState, parse_job, parse_pod, task_key_of
from loadertask_operator.schema import TaskKey, parse_task
from loadertask_operator.store import Store


class Sightings:
    """Takes objects as JSON; ``is_gone`` says that this was their last version."""

    def __init__(self, store: Store, wake: Callable[[TaskKey], None]) -> None:
        self._store = store
        self._wake = wake

    def task(self, body: dict[str, Any], is_gone: bool) -> None:
        """A LoaderTask."""
        metadata = body["metadata"]
        known = self._store.task(TaskKey(metadata["namespace"], metadata["name"]))
        if known and not is_gone and _is_version_of(metadata, known.uid, known.resource_version):
            # The echo of our own write, half of all: time to look again, but nothing to read.
            self._wake(known.key)
            return
        task = parse_task(body)
        if is_gone:
            self._store.forget_task(task.key, task.uid)
        else:
            self._store.remember_task(task)
        self._wake(task.key)

    def job(self, body: dict[str, Any], is_gone: bool) -> None:
        """A Job of ours."""
        job = parse_job(body)
        if is_gone:
            self._store.forget_job(job.namespace, job.name, job.uid)
        else:
            self._store.remember_job(job)
        self._wake_owner(job)

    def pod(self, body: dict[str, Any], is_gone: bool) -> None:
        """A pod of a Job of ours."""
        pod = parse_pod(body)
        if is_gone:
            self._store.forget_pod(pod)
        else:
            self._store.remember_pod(pod)
        self._wake_owner(pod)

    def _wake_owner(self, state: JobState | PodState) -> None:
        key = task_key_of(state)
        if self._store.task(key):
            self._wake(key)


def _is_version_of(metadata: Mapping[str, Any], uid: str, version: int) -> bool:
    return bool(metadata["uid"] == uid and metadata["resourceVersion"] == str(version))
