"""The running operator: makes the parts, connects them, and ends them together."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

from loadertask_operator.clock import Clock
from loadertask_operator.cluster import Cluster
from loadertask_operator.configuration import Configuration
from loadertask_operator.connection import load_access
from loadertask_operator.effects import Surroundings
from loadertask_operator.errors import ApiError
from loadertask_operator.handlers import build_registry, watch
from loadertask_operator.health import serve
from loadertask_operator.inbox import Inbox
from loadertask_operator.kafka.access import client_arguments
from loadertask_operator.kafka.commands import CommandSender
from loadertask_operator.kafka.events import EventsConsumer
from loadertask_operator.leadership import Leadership
from loadertask_operator.logs import begin_reconcile
from loadertask_operator.metrics import Metrics
from loadertask_operator.reconcile import Reconciler
from loadertask_operator.resync import WatchCheck, forget_vanished, remember_all
from loadertask_operator.schema import TaskKey
from loadertask_operator.sightings import Sightings
from loadertask_operator.status import Phase
from loadertask_operator.store import Store
from loadertask_operator.vitals import Vitals
from loadertask_operator.workqueue import Workqueue

logger = logging.getLogger(__name__)

# They wait for the API server, mostly: where many create tasks at once, as few as 16 get so small a
# share of its answers that Jobs fall behind (decision 070).
_WORKERS = 64
_STUCK_AFTER_S = 300.0
# The longest round of the reader of events: a broker that accepts connections and never answers.
_POLL_LIMIT_S = 120.0
_ELECTION_LIMIT_S = 60.0
_LOOP_INTERVAL_S = 0.5
_LOOP_LIMIT_S = 10.0
_MISSED_SWEEPS = 4
_ENDING_S = 10.0


class Operator:
    """All parts of one operator process."""

    def __init__(
        self, configuration: Configuration, cluster: Cluster, leadership: Leadership | None = None
    ) -> None:
        self._configuration = configuration
        self._cluster = cluster
        self._leadership = leadership
        self._metrics = Metrics()
        self._vitals = Vitals()
        self._clock = clock = Clock()
        self._store = Store()
        self._queue: Workqueue[TaskKey] = Workqueue(
            self._reconcile,
            workers=_WORKERS,
            expected=(ApiError,),
            goes_first=self._store.has_no_attempt,
        )
        self._inbox = Inbox(self._store, self._metrics, self._queue.add)
        self._watch_check = WatchCheck(self._store, _MISSED_SWEEPS * configuration.resync_s)
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
        around = Surroundings(
            cluster, self._store, self._inbox, self._commands, configuration, self._metrics, clock
        )
        self._reconciler = Reconciler(around, self._queue.add)
        self._is_ready = False
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
            if self._leadership:
                stack.push_async_callback(self._leadership.release)
            parts = [asyncio.create_task(self._feel_the_loop(), name="loop")]
            stack.push_async_callback(_end, parts)
            if self._leadership:
                await self._win(self._leadership)
                parts.append(asyncio.create_task(self._leadership.keep(), name="leadership"))
            self._metrics.is_leader.set(1)
            await self._list_all()
            parts += [asyncio.create_task(work, name=name) for name, work in self._works()]
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            # The parts need each other: the end of one is the end of all.
            await _end(parts)
            for part in done:
                part.result()

    async def _win(self, leadership: Leadership) -> None:
        """Wait for the Lease; as a standby we are as ready as can be: rollouts go on."""
        beat = self._vitals.expect("the election", _ELECTION_LIMIT_S)
        self._is_ready = True
        await leadership.acquire(beat)
        self._is_ready = False
        self._vitals.dismiss("the election")

    def _works(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        sightings = Sightings(self._store, self._queue.add)
        registry = build_registry(sightings.task, sightings.job, sightings.pod)
        events_beat = self._vitals.expect("the reader of queue-events", _POLL_LIMIT_S)
        return [
            ("reconcile", self._queue.run()),
            ("events", self._events.run(events_beat)),
            ("commands", self._commands.run()),
            ("sweep", self._sweep()),
            ("watch", watch(registry, self._configuration.watch_namespaces)),
        ]

    async def _list_all(self) -> None:
        """Know every task before the first event is read: none may look like a stranger's."""
        await remember_all(self._cluster, self._store, self._configuration.watch_namespaces)
        for task in self._store.tasks():
            self._queue.add(task.key)
        self._is_ready = True

    async def _reconcile(self, key: TaskKey) -> float | None:
        begin_reconcile()
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
            self._wake_active(self._configuration.resync_s / 2)
            phases = Counter(task.status.phase or Phase.PENDING for task in self._store.tasks())
            for phase in Phase:
                self._metrics.phase.labels(phase.value).set(phases[phase])

    async def _forget_vanished(self) -> None:
        namespaces = self._configuration.watch_namespaces
        try:
            concerned = await forget_vanished(
                self._cluster, self._store, namespaces, self._watch_check
            )
        except ApiError as error:
            logger.warning("nothing can be listed, vanished objects stay known: %s", error)
            return
        for key in concerned:
            self._queue.add(key)

    def _wake_active(self, within_s: float = 0.0) -> None:
        """Have all that may still change looked at, spread over ``within_s`` seconds.

        At once, thousands would stand before a task that somebody waits for.
        """
        keys = self._store.active_keys()
        for number, key in enumerate(keys):
            self._queue.add_after(key, within_s * number / len(keys))

    async def _feel_the_loop(self) -> None:
        """Measure how late the event loop is; while it is stuck no probe is answered at all.

        Raises:
            ClockSetError: the time of day made a step.

        """
        beat = self._vitals.expect("the event loop", _LOOP_LIMIT_S)
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + _LOOP_INTERVAL_S
            await asyncio.sleep(_LOOP_INTERVAL_S)
            self._metrics.loop_lag.observe(max(0.0, loop.time() - due_s))
            self._clock()
            beat()

    def _on_broker(self, is_reachable: bool) -> None:
        if self._reconciler.note_broker(is_reachable):
            self._wake_active()

    def _liveness(self) -> str | None:
        idle_s = time.monotonic() - self._progress_at_s
        if len(self._queue) and idle_s > _STUCK_AFTER_S:
            return f"{len(self._queue)} tasks wait, none was finished for {idle_s:.0f} s"
        return self._vitals.problem() or self._watch_check.problem()

    def _readiness(self) -> str | None:
        return None if self._is_ready else "the tasks are not listed yet"


async def run_operator(configuration: Configuration) -> None:
    """Connect to the cluster and run until a signal.

    Raises:
        LostLeadershipError: another operator may lead.
        ApiError: the API server does not do what is needed at the start.

    """
    _end_on_signal()
    access = await load_access()
    leadership = None
    if configuration.leader_election:
        leadership = Leadership(access, configuration.pod_namespace, configuration.pod_name)
    cluster = Cluster(access, leadership.require) if leadership else Cluster(access)
    try:
        await Operator(configuration, cluster, leadership).run()
    except asyncio.CancelledError:
        logger.info("ended by a signal before there was anything to end")
    finally:
        await cluster.close()


def _end_on_signal() -> None:
    """Until kopf runs and takes the signals, they cancel what waits."""
    running = asyncio.current_task()
    if running is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, running.cancel)


async def _end(parts: list[asyncio.Task[None]]) -> None:
    """Cancel all parts and wait for them, within bounds."""
    for part in parts:
        part.cancel()
    await asyncio.wait(parts, timeout=_ENDING_S)
