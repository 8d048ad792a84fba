"""The worker's clients of Kafka: events at once, records and commands when reached."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from loadertask_contract.time_range import epoch_ms
from loadertask_worker.kafka.contact import broker_connection
from loadertask_worker.kafka.control import ControlListener
from loadertask_worker.kafka.records import RecordPublisher
from loadertask_worker.kafka.telemetry import EventSender
from loadertask_worker.kafka.terms import terms_of
from loadertask_worker.kafka.topic_settings import venue_time_problem
from loadertask_worker.kafka.topics import ensure_topic

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from loadertask_contract.commands import Command
    from loadertask_contract.environment import WorkerEnvironment
    from loadertask_contract.parsing import Problem
    from loadertask_worker.kafka.security import KafkaAccess


class KafkaClients:
    """``events`` can be given events at once; ``publisher`` and ``control`` serve when started.

    Args:
        begun: when the attempt began: older commands are not for it, unless the environment says
            since when they are.
        on_committed: see ``RecordPublisher``.
        on_command: see ``ControlListener``.

    """

    def __init__(
        self,
        environment: WorkerEnvironment,
        access: KafkaAccess,
        begun: datetime,
        *,
        on_committed: Callable[[int, int], None],
        on_command: Callable[[Command], None],
    ) -> None:
        self._environment, self._access = environment, access
        self._patience_s = environment.patience_s
        self._terms = terms_of(environment)
        self.events = EventSender(access, environment.queue_events_topic)
        self.publisher = RecordPublisher(access, self._terms, on_committed=on_committed)
        self.control = ControlListener(
            access,
            environment.queue_control_topic,
            environment.queue_id,
            since_ms=epoch_ms(environment.control_since or begun),
            on_command=on_command,
        )

    async def start(self, load_name: str) -> None:
        """Kafka reachable → topics → records and commands; events go out as soon as they can.

        Raises:
            ConfigurationError: something is missing that only people can give.
            SinkError: Kafka does not answer within the patience.

        """
        problem = await self._prepared()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.publisher.start(load_name, problem))
            group.create_task(self.control.start(self._patience_s))

    async def close(self) -> None:
        """Leave Kafka within a bound, started or not."""
        clients = (self.events, self.publisher, self.control)
        await asyncio.gather(*(client.close() for client in clients))

    async def _prepared(self) -> Problem | None:
        """Reach Kafka and see to the topics; what is wrong with the one of the records."""
        environment = self._environment
        async with broker_connection(self._access, self._patience_s) as broker:
            ensure = partial(ensure_topic, broker)
            await ensure("QUEUE_EVENTS_TOPIC", environment.queue_events_topic, partitions=1)
            await self.events.start(self._patience_s)
            await ensure("QUEUE_CONTROL_TOPIC", environment.queue_control_topic, partitions=1)
            await ensure("KAFKA_TOPIC", environment.kafka_topic)
            return await venue_time_problem(broker, self._terms)
