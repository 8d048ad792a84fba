"""One attempt from environment to exit code: connects the machine, Kafka and the task.

Order: configuration → Kafka reachable → topics → control listener → ``started`` → load. Every wait
here has a bound, so that the exit never hangs on what is unreachable.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from loadertask_contract.commands import Command
from loadertask_contract.parsing import (
    EnvironmentProblemsError,
    ParsedEnvironment,
    parse_environment,
)
from loadertask_contract.shards import shard_producer_id
from loadertask_contract.time_range import epoch_ms, from_epoch_ms
from loadertask_worker import lifecycle, metrics
from loadertask_worker.errors import (
    ConfigurationError,
    DeliveryUnknownError,
    LoadError,
    SinkError,
)
from loadertask_worker.health import serving_metrics
from loadertask_worker.kafka.contact import broker_connection
from loadertask_worker.kafka.control import ControlListener
from loadertask_worker.kafka.records import RecordPublisher
from loadertask_worker.kafka.security import kafka_access
from loadertask_worker.kafka.telemetry import EventSender
from loadertask_worker.kafka.terms import terms_of
from loadertask_worker.kafka.topic_settings import venue_time_problem
from loadertask_worker.kafka.topics import ensure_topic
from loadertask_worker.last_words import write_last_words
from loadertask_worker.misconfigured import end_misconfigured
from loadertask_worker.ordered import until_stop
from loadertask_worker.tasks import Task, task_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadertask_contract.environment import WorkerEnvironment
    from loadertask_worker.cursor import Cursor
    from loadertask_worker.kafka.security import KafkaAccess

log = logging.getLogger(__name__)

# What a load may take to commit what it holds, once it was asked to end; then it is aborted.
_COMMIT_S = 2.0
_LAST_EVENT_S = 3.0
_FIRST_EVENT_S = 10.0


async def run_worker(variables: Mapping[str, str]) -> int:
    """Run one attempt and return its exit code. ``variables`` is the environment, read once."""
    now = datetime.now(UTC)
    try:
        parsed = _parsed(variables, now)
        task = task_for(parsed.environment, epoch_ms(now))
        access = kafka_access(parsed.environment)
    except ConfigurationError as error:
        return await end_misconfigured(variables, error)
    async with serving_metrics(parsed.environment.metrics_port):
        return await Attempt(parsed, task, access, now).run()


def _parsed(variables: Mapping[str, str], now: datetime) -> ParsedEnvironment:
    try:
        return parse_environment(variables, now)
    except EnvironmentProblemsError as error:
        raise ConfigurationError(*error.problems) from error


class Attempt:
    """One life of a worker: feeds the machine and does what it says."""

    def __init__(
        self, parsed: ParsedEnvironment, task: Task, access: KafkaAccess, begun: datetime
    ) -> None:
        environment = parsed.environment
        self._environment, self._warnings = environment, parsed.warnings
        self._task, self._access = task, access
        self._control_since = environment.control_since or begun
        self._stop = asyncio.Event()
        self._events = EventSender(access, environment.queue_events_topic)
        self._clients: list[EventSender | RecordPublisher | ControlListener] = [self._events]
        self._state = lifecycle.Lifecycle(_identity(environment), started_s=begun.timestamp())

    async def run(self) -> int:
        """Live, say the last word wherever it can be heard, and return the exit code."""
        self._obey_signals()
        try:
            await self._live()
        except* Exception as group:
            self._fail(group)
        if self._state.final:
            write_last_words(self._state.final)
        if not await self._is_reported():
            log.warning("Kafka has not taken the last event; the termination log holds it")
        await asyncio.gather(*(client.close() for client in self._clients))
        return int(self._state.exit_code or 0)

    async def _live(self) -> None:
        connected = await until_stop(self._connect(), self._stop)
        if connected is None:
            self._give(lifecycle.LoadEnded(complete=False))
            return
        publisher, control = connected
        async with asyncio.TaskGroup() as group:
            companions = [
                group.create_task(control.listen()),
                group.create_task(self._beat()),
            ]
            try:
                complete = await self._go_on(publisher)
            finally:
                for companion in companions:
                    companion.cancel()
        self._give(lifecycle.LoadEnded(complete=complete))

    async def _connect(self) -> tuple[RecordPublisher, ControlListener]:
        environment, access, patience_s = self._environment, self._access, self._patience_s
        terms = terms_of(environment)
        async with broker_connection(access, patience_s) as broker:
            ensure = partial(ensure_topic, broker)
            await ensure("QUEUE_EVENTS_TOPIC", environment.queue_events_topic, partitions=1)
            await self._events.start(patience_s)
            await ensure("QUEUE_CONTROL_TOPIC", environment.queue_control_topic, partitions=1)
            await ensure("KAFKA_TOPIC", environment.kafka_topic)
            problem = await venue_time_problem(broker, terms)
        publisher = RecordPublisher(access, terms, on_committed=self._committed)
        control = ControlListener(
            access,
            environment.queue_control_topic,
            environment.queue_id,
            since_ms=epoch_ms(self._control_since),
            on_command=self._command,
        )
        self._clients += (publisher, control)
        async with asyncio.TaskGroup() as group:
            group.create_task(publisher.start(self._task.load_name, problem))
            group.create_task(control.start(patience_s))
        return publisher, control

    async def _go_on(self, publisher: RecordPublisher) -> bool:
        """Find where to go on, say so, and load from there; whether all of it was loaded."""
        found = await until_stop(self._found(publisher), self._stop)
        if found is None:
            return False
        (cursor,) = found
        self._announce(publisher, cursor)
        await self._events.wait_until_sent(_FIRST_EVENT_S)
        return await self._load(publisher, cursor)

    async def _found(self, publisher: RecordPublisher) -> tuple[Cursor | None]:
        return (await publisher.find_cursor(self._task.place_of),)

    async def _load(self, publisher: RecordPublisher, cursor: Cursor | None) -> bool:
        """Load; once asked to end, only as long as it takes to commit."""
        load = asyncio.create_task(self._task.load(publisher, cursor, self._stop, self))
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({load, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not load.done():
                await asyncio.wait({load}, timeout=_COMMIT_S)
            if not load.done():
                what = f"not within {_COMMIT_S:.0f} s of the request to stop"
                raise DeliveryUnknownError(publisher.unsettled, what)
            return load.result()
        finally:
            for task in (load, stopped):
                task.cancel()
            await asyncio.gather(load, stopped, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._environment.telemetry_interval_s)
            self._give(lifecycle.HeartbeatDue())

    def tell(self, text: str) -> None:
        """A sentence of the task for people; see ``tasks.Reporter``."""
        self._give(lifecycle.Told(text))

    def lag(self, lag_ms: int) -> None:
        """How far the task is behind the venue; see ``tasks.Reporter``."""
        metrics.LAG.set(lag_ms / 1000)
        self._give(lifecycle.LagMeasured(lag_ms))

    def _announce(self, publisher: RecordPublisher, cursor: Cursor | None) -> None:
        started = self._task.announce(cursor)
        warnings = (*self._warnings, *publisher.warnings, *started.warnings)
        for warning in warnings:
            log.warning("%s", warning)
        who = self._state.identity
        metrics.LOAD.labels(who.queue_id, who.symbol, who.type, publisher.mode.value).set(1)
        self._give(
            replace(
                started,
                warnings=warnings,
                delivery=publisher.mode.value,
                records=cursor.records if cursor else 0,
                loaded_through=from_epoch_ms(cursor.through_ms) if cursor else None,
            )
        )

    def _give(self, given: lifecycle.Input) -> None:
        self._state, events = lifecycle.advance(self._state, given, time.time())
        if self._state.should_stop:
            self._stop.set()
        for event in events:
            log.info("%s: %s", event.payload.status, event.payload.message)
            self._events.send(event)

    def _fail(self, group: ExceptionGroup[Exception]) -> None:
        first: Exception = group
        while isinstance(first, ExceptionGroup):
            first = first.exceptions[0]
        if not isinstance(first, LoadError):
            log.error("a bug in the loader", exc_info=first)
        if isinstance(first, SinkError):
            self._stop.set()  # it has used up the patience with Kafka
        self._give(lifecycle.LoadFailed(first))

    async def _is_reported(self) -> bool:
        """Whether Kafka has the last event: waited for with patience, shortly once asked to end."""
        try:
            sent = self._events.wait_until_sent(self._patience_s)
            if await until_stop(sent, self._stop):
                return True
            return await self._events.wait_until_sent(_LAST_EVENT_S)
        except ConfigurationError as error:
            log.warning("%s", error)
            return True

    def _committed(self, records: int, through_ms: int) -> None:
        metrics.RECORDS_COMMITTED.inc(records)
        metrics.LOADED_THROUGH.set(through_ms / 1000)
        self._give(lifecycle.RecordsCommitted(records, from_epoch_ms(through_ms)))

    def _command(self, command: Command) -> None:
        log.info("command %s", command)
        self._give(lifecycle.StopCommanded() if command is Command.STOP else lifecycle.Pinged())

    def _obey_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._terminate)

    def _terminate(self) -> None:
        self._give(lifecycle.Terminated())
        self._stop.set()  # also where the life is over and only its last event waits

    @property
    def _patience_s(self) -> float:
        return self._environment.patience_s


def _identity(environment: WorkerEnvironment) -> lifecycle.Identity:
    index, count = environment.shard_index, environment.shard_count
    return lifecycle.Identity(
        queue_id=environment.queue_id,
        symbol=environment.symbol,
        type=str(environment.load_type),
        producer=shard_producer_id(environment.producer_id, index, count),
        shard=index if count > 1 else None,
    )
