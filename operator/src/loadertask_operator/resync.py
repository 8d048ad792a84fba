"""Forget what vanished while no watch was looking. It decides nothing.

kopf lists anew after a watch was cut (410 Gone) and reports what is there, never what is gone.
"""

from __future__ import annotations

from typing import Protocol

from loadertask_operator.schema import TaskKey
from loadertask_operator.store import Presence, Store


class Lister(Protocol):
    """Tells which objects there are; all raise ``errors.ApiError``."""

    async def present_tasks(self, namespace: str | None) -> Presence:
        """The tasks of a namespace, or of all."""

    async def present_jobs(self, namespace: str | None) -> Presence:
        """Our Jobs of a namespace, or of all."""

    async def present_pods(self, namespace: str | None) -> Presence:
        """Pods of our Jobs of a namespace, or of all."""


async def forget_vanished(
    lister: Lister, store: Store, namespaces: tuple[str, ...]
) -> set[TaskKey]:
    """Drop from ``store`` what is gone; the tasks that this concerns."""
    concerned: set[TaskKey] = set()
    for namespace in namespaces or (None,):
        concerned |= store.forget_absent_pods(await lister.present_pods(namespace))
        concerned |= store.forget_absent_jobs(await lister.present_jobs(namespace))
        concerned |= store.forget_absent_tasks(await lister.present_tasks(namespace))
    return concerned
