"""Events on their way to queue-events, in order, by a producer of their own.

Reporting never waits for data and never holds it up: while Kafka does not answer, only the newest
``loading`` is kept beside the events that must not be lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, TopicAuthorizationFailedError

from loadertask_contract.events import Event, EventStatus, encode_event
from loadertask_worker.errors import ConfigurationError, SinkUnavailableError
from loadertask_worker.kafka.stopping import stop_within_bound

if TYPE_CHECKING:
    from loadertask_worker.kafka.security import KafkaAccess

log = logging.getLogger(__name__)


class EventSender:
    """Sends the events of one worker."""

    def __init__(self, access: KafkaAccess, topic: str) -> None:
        self._access, self._topic = access, topic
        self._waiting: deque[Event] = deque()
        self._has_waiting = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._producer: AIOKafkaProducer | None = None
        self._task: asyncio.Task[None] | None = None
        self._refusal: ConfigurationError | None = None

    def send(self, event: Event) -> None:
        """Take an event; it goes out as soon as Kafka allows."""
        if self._waiting and _is_loading(event) and _is_loading(self._waiting[-1]):
            self._waiting.pop()
        self._waiting.append(event)
        self._has_waiting.set()
        self._is_idle.clear()

    async def start(self, patience_s: float) -> None:
        """Connect and begin to send.

        Raises:
            SinkUnavailableError: no connection within the patience.

        """
        self._producer = AIOKafkaProducer(**self._access.client_options, enable_idempotence=True)
        try:
            async with asyncio.timeout(max(patience_s, 1.0)):
                await self._producer.start()
        except (TimeoutError, KafkaError) as error:
            raise SinkUnavailableError(patience_s, str(error)) from error
        self._task = asyncio.create_task(self._send_waiting())

    async def wait_until_sent(self, limit_s: float) -> bool:
        """Whether everything was acknowledged within ``limit_s``.

        Raises:
            ConfigurationError: we may not write to the topic.

        """
        if self._task is None:
            return self._is_idle.is_set()
        try:
            async with asyncio.timeout(limit_s):
                await self._is_idle.wait()
        except TimeoutError:
            return False
        if self._refusal:
            raise self._refusal
        return True

    async def close(self) -> None:
        """Leave Kafka within a bound, with or without what is still waiting."""
        if self._task:
            self._task.cancel()
        if self._producer:
            await stop_within_bound(self._producer.stop(), "event producer")

    async def _send_waiting(self) -> None:
        while True:
            await self._has_waiting.wait()
            while self._waiting:
                await self._deliver(self._waiting.popleft())
            self._has_waiting.clear()
            self._is_idle.set()

    async def _deliver(self, event: Event) -> None:
        assert self._producer is not None  # noqa: S101  (begun by start)
        message = encode_event(event)
        while True:
            try:
                await self._producer.send_and_wait(
                    self._topic, message.value, key=message.key, headers=list(message.headers)
                )
            except KafkaTimeoutError:
                continue
            except TopicAuthorizationFailedError as error:
                text = f"topic {self._topic} may not be written: grant the ACL Write"
                self._refusal = ConfigurationError.of("QUEUE_EVENTS_TOPIC", text)
                self._refusal.__cause__ = error
            except Exception:  # one event that cannot be sent must not end the reporting
                log.exception("an event of status %s was lost", event.payload.status)
            return


def _is_loading(event: Event) -> bool:
    return event.payload.status is EventStatus.LOADING
