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
from typing import TYPE_CHECKING

from loadertask_contract.commands import Command
from loadertask_contract.parsing import (
    EnvironmentProblemsError,
    ParsedEnvironment,
    parse_environment,
)
from loadertask_contract.time_range import epoch_ms, from_epoch_ms
from loadertask_worker import inputs, metrics
from loadertask_worker.errors import (
    ConfigurationError,
    DeliveryUnknownError,
    FencedError,
    LoadError,
    SinkError,
)
from loadertask_worker.health import serving_metrics
from loadertask_worker.kafka.clients import KafkaClients
from loadertask_worker.kafka.security import kafka_access
from loadertask_worker.last_words import write_last_words
from loadertask_worker.lifecycle import Identity, Lifecycle, advance
from loadertask_worker.misconfigured import end_misconfigured
from loadertask_worker.ordered import boxed, until_stop
from loadertask_worker.tasks import Task, task_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadertask_worker.cursor import Cursor
    from loadertask_worker.kafka.security import KafkaAccess

log = logging.getLogger(__name__)

# What a load may take to commit what it holds, once it was asked to end; then it is aborted.
_COMMIT_S = 2.0
_LAST_EVENT_S = 3.0
# An event that is not terminal decides nothing: with Kafka gone, the pod has to go all the same.
_LAST_LOADING_S = 1.0
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
        self._environment, self._warnings = parsed.environment, parsed.warnings
        self._task = task
        self._stop = asyncio.Event()
        self._kafka = KafkaClients(
            parsed.environment,
            access,
            begun,
            on_committed=self._committed,
            on_command=self._command,
        )
        self._events, self._publisher = self._kafka.events, self._kafka.publisher
        self._state = Lifecycle(Identity.of(parsed.environment), started_s=begun.timestamp())

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
        await self._kafka.close()
        return int(self._state.exit_code or 0)

    async def _live(self) -> None:
        starting = boxed(self._kafka.start(self._task.load_name))
        if await until_stop(starting, self._stop) is None:
            self._give(inputs.LoadEnded(complete=False))
            return
        async with asyncio.TaskGroup() as group:
            companions = [
                group.create_task(self._kafka.control.listen()),
                group.create_task(self._beat()),
            ]
            try:
                complete = await self._go_on()
            finally:
                for companion in companions:
                    companion.cancel()
        self._give(inputs.LoadEnded(complete=complete))

    async def _go_on(self) -> bool:
        """Find where to go on, say so, and load from there; whether all of it was loaded."""
        finding = boxed(self._publisher.find_cursor(self._task.place_of))
        if (found := await until_stop(finding, self._stop)) is None:
            return False
        (cursor,) = found
        self._announce(cursor)
        await until_stop(self._events.wait_until_sent(_FIRST_EVENT_S), self._stop)
        return await self._load(cursor)

    async def _load(self, cursor: Cursor | None) -> bool:
        """Load; once asked to end, only as long as it takes to commit."""
        publisher = self._publisher
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
            self._give(inputs.HeartbeatDue())

    def tell(self, text: str) -> None:
        """A sentence of the task for people; see ``tasks.Reporter``."""
        self._give(inputs.Told(text))

    def lacks(self, text: str) -> None:
        """What nobody has; see ``tasks.Reporter``."""
        self._give(inputs.Told(text, is_gap=True))

    def waits(self, why: str, for_s: float) -> None:
        """What nothing comes for; see ``tasks.Reporter``."""
        self._give(inputs.Waiting(why, for_s))

    def lag(self, lag_ms: int) -> None:
        """How far the task is behind the venue; see ``tasks.Reporter``."""
        metrics.LAG.set(lag_ms / 1000)
        self._give(inputs.LagMeasured(lag_ms))

    def _announce(self, cursor: Cursor | None) -> None:
        started, publisher = self._task.announce(cursor), self._publisher
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

    def _give(self, given: inputs.Input) -> None:
        self._state, events = advance(self._state, given, time.time())
        if self._state.should_stop:
            self._stop.set()
        is_heartbeat = isinstance(given, inputs.HeartbeatDue | inputs.Pinged)
        for event in events:
            log.info("%s: %s", event.payload.status, event.payload.message)
            self._events.send(event, is_heartbeat=is_heartbeat)

    def _fail(self, group: ExceptionGroup[Exception]) -> None:
        first: Exception = group
        while isinstance(first, ExceptionGroup):
            first = first.exceptions[0]
        if not isinstance(first, LoadError):
            log.error("a bug in the loader", exc_info=first)
        if isinstance(first, FencedError):
            log.warning("%s", first)  # no event says so
        if isinstance(first, SinkError):
            self._stop.set()  # it has used up the patience with Kafka
        self._give(inputs.LoadFailed(first))

    async def _is_reported(self) -> bool:
        """Whether Kafka has the last event: waited for with patience, shortly once asked to end."""
        try:
            sent = self._events.wait_until_sent(self._environment.patience_s)
            if await until_stop(sent, self._stop):
                return True
            final = self._state.final
            is_terminal = final is not None and final.payload.status.is_terminal
            limit_s = _LAST_EVENT_S if is_terminal else _LAST_LOADING_S
            return await self._events.wait_until_sent(limit_s)
        except ConfigurationError as error:
            log.warning("%s", error)
            return True

    def _committed(self, records: int, through_ms: int) -> None:
        metrics.RECORDS_COMMITTED.inc(records)
        metrics.LOADED_THROUGH.set(through_ms / 1000)
        self._give(inputs.RecordsCommitted(records, from_epoch_ms(through_ms)))

    def _command(self, command: Command) -> None:
        log.info("command %s", command)
        self._give(inputs.StopCommanded() if command is Command.STOP else inputs.Pinged())

    def _obey_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._terminate)

    def _terminate(self) -> None:
        self._give(inputs.Terminated())
        self._stop.set()  # also where the life is over and only its last event waits
