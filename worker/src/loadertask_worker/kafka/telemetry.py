"""Events on their way to queue-events, in order, by a producer of their own.

Reporting never waits for data and never holds it up. While Kafka does not answer, a heartbeat gives
way to the next ``loading``, and what people are to be told is gathered in one; the rest is few.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from loadertask_contract.events import Event, EventStatus, encode_event
from loadertask_worker import metrics
from loadertask_worker.errors import ConfigurationError, SinkUnavailableError
from loadertask_worker.kafka.stopping import stop_within_bound
from loadertask_worker.patience import answer_bound_s

if TYPE_CHECKING:
    from loadertask_worker.kafka.security import KafkaAccess

log = logging.getLogger(__name__)

# Errors that the same event meets again, whoever sends it.
_HOPELESS = (TopicAuthorizationFailedError, MessageSizeTooLargeError, RecordListTooLargeError)
_PAUSE_AFTER_ERROR_S = 0.5
# Of one message: readers refuse events above 64 KiB, and an outage of Kafka may last for hours.
_MAX_TOLD_CHARACTERS = 4_000


class EventSender:
    """Sends the events of one worker."""

    def __init__(self, access: KafkaAccess, topic: str) -> None:
        self._access, self._topic = access, topic
        self._waiting: deque[Event] = deque()
        self._ends_in_heartbeat = False
        self._has_waiting = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._producer: AIOKafkaProducer | None = None
        self._task: asyncio.Task[None] | None = None
        self._refusal: ConfigurationError | None = None
        self._has_lost = False

    def send(self, event: Event, *, is_heartbeat: bool = False) -> None:
        """Take an event; it goes out as soon as Kafka allows.

        A heartbeat says nothing that the next one does not say better.
        """
        if _is_loading(event):
            if self._waiting and self._ends_in_heartbeat:
                self._waiting.pop()
            if self._waiting and _is_loading(self._waiting[-1]) and not is_heartbeat:
                event = _telling_both(self._waiting.pop(), event)
        self._waiting.append(event)
        self._ends_in_heartbeat = is_heartbeat
        self._has_waiting.set()
        self._is_idle.clear()

    async def start(self, patience_s: float) -> None:
        """Connect and begin to send.

        Raises:
            SinkUnavailableError: no connection within the patience.

        """
        try:
            async with asyncio.timeout(answer_bound_s(patience_s)):
                await self._new_producer()
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
        return not self._has_lost

    async def close(self) -> None:
        """Leave Kafka within a bound, with or without what is still waiting."""
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._drop_producer()

    async def _send_waiting(self) -> None:
        while True:
            await self._has_waiting.wait()
            while self._waiting:
                await self._deliver(self._waiting.popleft())
            self._has_waiting.clear()
            self._is_idle.set()

    async def _deliver(self, event: Event) -> None:
        message = encode_event(event)
        while True:
            try:
                producer = self._producer or await self._new_producer()
                await producer.send_and_wait(
                    self._topic, message.value, key=message.key, headers=list(message.headers)
                )
            except KafkaTimeoutError:
                continue  # it never left: aiokafka's own bound on waiting for the topic
            except _HOPELESS as error:
                await self._drop_producer()
                self._lose(event, error)
            except Exception as error:  # whatever it is, another producer may do better
                log.warning("an event of status %s is sent anew: %r", event.payload.status, error)
                await self._drop_producer()
                await asyncio.sleep(_PAUSE_AFTER_ERROR_S)
                continue
            else:
                metrics.EVENTS_SENT.labels(event.payload.status.value).inc()
            return

    def _lose(self, event: Event, error: KafkaError) -> None:
        self._has_lost = True
        log.error("an event of status %s was lost: %r", event.payload.status, error)
        if isinstance(error, TopicAuthorizationFailedError):
            text = f"topic {self._topic} may not be written: grant the ACL Write"
            self._refusal = ConfigurationError.of("QUEUE_EVENTS_TOPIC", text)
            self._refusal.__cause__ = error

    async def _new_producer(self) -> AIOKafkaProducer:
        self._producer = AIOKafkaProducer(**self._access.client_options, enable_idempotence=True)
        await self._producer.start()
        return self._producer

    async def _drop_producer(self) -> None:
        """End a producer: a failed batch left a gap in its sequence, which Kafka never forgives."""
        producer, self._producer = self._producer, None
        if producer:
            await stop_within_bound(producer.stop(), "event producer")


def _is_loading(event: Event) -> bool:
    return event.payload.status is EventStatus.LOADING


def _telling_both(earlier: Event, later: Event) -> Event:
    """The later event with what the earlier one tells before it, cut if that is too much."""
    now, before = later.payload.message, earlier.payload.message
    room = max(0, _MAX_TOLD_CHARACTERS - len(now) - len(" …; "))
    if len(before) > room:
        before = f"{before[:room]} …"
    payload = later.payload.model_copy(update={"message": f"{before}; {now}"})
    return replace(later, payload=payload)
