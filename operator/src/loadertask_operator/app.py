"""The running operator: makes the parts, connects them, and ends them together."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

from loadertask_operator.cluster import Cluster, load_access
from loadertask_operator.configuration import Configuration
from loadertask_operator.errors import ApiError
from loadertask_operator.handlers import build_registry, watch
from loadertask_operator.health import serve
from loadertask_operator.inbox import Inbox
from loadertask_operator.kafka.access import client_arguments
from loadertask_operator.kafka.commands import CommandSender
from loadertask_operator.kafka.events import EventsConsumer
from loadertask_operator.metrics import Metrics
from loadertask_operator.observed import parse_job, parse_pod, task_key_of
from loadertask_operator.reconcile import Reconciler
from loadertask_operator.resync import forget_vanished
from loadertask_operator.schema import TaskKey, parse_task
from loadertask_operator.status import Phase
from loadertask_operator.store import Store
from loadertask_operator.workqueue import Workqueue

logger = logging.getLogger(__name__)

_STUCK_AFTER_S = 300.0


class Operator:
    """All parts of one operator process."""

    def __init__(self, configuration: Configuration, cluster: Cluster) -> None:
        self._configuration = configuration
        self._cluster = cluster
        self._metrics = Metrics()
        self._store = Store()
        self._queue: Workqueue[TaskKey] = Workqueue(self._reconcile, expected=(ApiError,))
        self._inbox = Inbox(self._store, self._metrics, self._queue.add)
        arguments = client_arguments(configuration)
        self._commands = CommandSender(arguments, configuration.queue_control_topic, self._metrics)
        self._events = EventsConsumer(
            arguments,
            configuration.queue_events_topic,
            configuration.group_id,
            self._inbox,
            self._metrics,
            self._on_broker,
        )
        self._reconciler = Reconciler(
            cluster,
            self._store,
            self._inbox,
            self._commands,
            configuration,
            self._metrics,
            lambda: datetime.now(UTC),
        )
        self._is_listed = False
        self._progress_at_s = time.monotonic()

    async def run(self) -> None:
        """Run until kopf is ended by a signal, or a part fails for good."""
        async with AsyncExitStack() as stack:
            await serve(
                stack,
                health_port=self._configuration.health_port,
                metrics_port=self._configuration.metrics_port,
                liveness=self._liveness,
                readiness=self._readiness,
                metrics=self._metrics,
            )
            await self._list_all()
            parts = [
                asyncio.create_task(self._queue.run(), name="reconcile"),
                asyncio.create_task(self._events.run(), name="events"),
                asyncio.create_task(self._commands.run(), name="commands"),
                asyncio.create_task(self._sweep(), name="sweep"),
            ]
            registry = build_registry(self._on_task, self._on_job, self._on_pod)
            namespaces = self._configuration.watch_namespaces
            parts.append(asyncio.create_task(watch(registry, namespaces), name="watch"))
            await _run_until_first_ends(parts)

    async def _list_all(self) -> None:
        """Know every task before the first event is read: none may look like a stranger's."""
        for namespace in self._configuration.watch_namespaces or (None,):
            for pod in await self._cluster.list_pods(namespace):
                self._store.remember_pod(pod)
            for job in await self._cluster.list_jobs(namespace):
                self._store.remember_job(job)
            for task in await self._cluster.list_tasks(namespace):
                self._store.remember_task(task)
        for task in self._store.tasks():
            self._queue.add(task.key)
        self._is_listed = True

    async def _reconcile(self, key: TaskKey) -> float | None:
        try:
            with self._metrics.reconcile_duration.time():
                return await self._reconciler.reconcile(key)
        finally:
            # A failure is progress as well: a restart does not bring back an API server.
            self._progress_at_s = time.monotonic()

    async def _sweep(self) -> None:
        """Repair lost wake-ups and lost deletions, again and again."""
        while True:
            await asyncio.sleep(self._configuration.resync_s)
            await self._forget_vanished()
            self._wake_active()
            phases = Counter(task.status.phase or Phase.PENDING for task in self._store.tasks())
            for phase in Phase:
                self._metrics.phase.labels(phase.value).set(phases[phase])

    async def _forget_vanished(self) -> None:
        namespaces = self._configuration.watch_namespaces
        try:
            concerned = await forget_vanished(self._cluster, self._store, namespaces)
        except ApiError as error:
            logger.warning("nothing can be listed, vanished objects stay known: %s", error)
            return
        for key in concerned:
            self._queue.add(key)

    def _wake_active(self) -> None:
        for key in self._store.active_keys():
            self._queue.add(key)

    def _on_task(self, body: dict[str, Any], is_gone: bool) -> None:
        task = parse_task(body)
        if is_gone:
            self._store.forget_task(task.key, task.uid)
        else:
            self._store.remember_task(task)
        self._queue.add(task.key)

    def _on_job(self, body: dict[str, Any], is_gone: bool) -> None:
        job = parse_job(body)
        if is_gone:
            self._store.forget_job(job.namespace, job.name, job.uid)
        else:
            self._store.remember_job(job)
        self._wake(task_key_of(job))

    def _on_pod(self, body: dict[str, Any], is_gone: bool) -> None:
        pod = parse_pod(body)
        if is_gone:
            self._store.forget_pod(pod)
        else:
            self._store.remember_pod(pod)
        self._wake(task_key_of(pod))

    def _wake(self, key: TaskKey) -> None:
        if self._store.task(key):
            self._queue.add(key)

    def _on_broker(self, is_reachable: bool) -> None:
        if self._reconciler.note_broker(is_reachable):
            self._wake_active()

    def _liveness(self) -> str | None:
        idle_s = time.monotonic() - self._progress_at_s
        if len(self._queue) and idle_s > _STUCK_AFTER_S:
            return f"{len(self._queue)} tasks wait, none was finished for {idle_s:.0f} s"
        return None

    def _readiness(self) -> str | None:
        return None if self._is_listed else "the tasks are not listed yet"


async def run_operator(configuration: Configuration) -> None:
    """Connect to the cluster and run."""
    cluster = Cluster(await load_access())
    try:
        await Operator(configuration, cluster).run()
    finally:
        await cluster.close()


async def _run_until_first_ends(parts: list[asyncio.Task[None]]) -> None:
    """The parts need each other: the end of one is the end of all."""
    try:
        done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for part in parts:
            part.cancel()
        await asyncio.wait(parts, timeout=10)
    for part in done:
        if not part.cancelled():
            part.result()
