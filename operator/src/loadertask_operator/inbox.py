"""Events of queue-events between their receipt and the write of the status they led to.

Sorts records to tasks, keeps them until they are settled; nothing that comes over the topic can
raise here. It knows no Kafka client and no API.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from loadertask_contract.events import EventStatus, parse_event
from loadertask_contract.messages import UnreadableMessageError
from loadertask_operator.ledger import OffsetLedger, Receipt
from loadertask_operator.metrics import Metrics
from loadertask_operator.observed import TRUSTED_CLOCK, ReceivedEvent
from loadertask_operator.schema import TaskKey
from loadertask_operator.store import Store

logger = logging.getLogger(__name__)

# Of one task; a write of its status is forced long before.
_MAX_WAITING = 1000
# So many wait for a task whose status cannot be written, before progress is given up; fewer when
# all tasks together come near to what stops the reader (decision 088).
_MANY = 100
_CROWDED = 10_000


@dataclass(frozen=True, slots=True)
class Record:
    """A raw record of queue-events; ``time`` is the record's own timestamp."""

    partition: int
    offset: int
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    time: datetime


@dataclass(frozen=True, slots=True)
class _Waiting:
    event: ReceivedEvent
    receipt: Receipt


class Inbox:
    """Unsettled events by task."""

    def __init__(self, store: Store, metrics: Metrics, wake: Callable[[TaskKey], None]) -> None:
        self._store = store
        self._metrics = metrics
        self._wake = wake
        self._events: defaultdict[TaskKey, list[_Waiting]] = defaultdict(list)
        self._count = 0
        self._has_caught_up = False
        self.ledger = OffsetLedger()

    def __len__(self) -> int:
        """How many events wait, over all tasks."""
        return self._count

    def note_reader(self, has_caught_up: bool) -> None:
        """Whether all there was has been read: what comes then was sent just now."""
        self._has_caught_up = has_caught_up

    def receive(self, record: Record, now: datetime) -> None:
        """Sort a record to the tasks it concerns; count and drop what concerns none."""
        received = self._read(record, now)
        keys: tuple[TaskKey, ...] = ()
        if received:
            payload = received.event.payload
            keys = self._store.keys_of_event(payload.queue_id, payload.producer)
            if not keys:
                self._metrics.events_discarded.labels("unknown_queue").inc()
        receipt = self.ledger.receive(record.partition, record.offset, len(keys))
        if receipt is None or received is None:
            return
        for key in keys:
            waiting = self._events[key]
            is_awaited = bool(waiting) and _is_more_of_the_same(waiting[-1].event, received)
            waiting.append(_Waiting(received, receipt))
            self._count += 1
            if len(waiting) > _MAX_WAITING:
                self._give_up(key)
            if not is_awaited:
                self._wake(key)

    def pending(self, key: TaskKey) -> tuple[ReceivedEvent, ...]:
        """Unsettled events of a task, in order of receipt."""
        return tuple(waiting.event for waiting in self._events.get(key, ()))

    def settle(self, key: TaskKey, events: Iterable[ReceivedEvent]) -> None:
        """What these events led to is stored, or will never be."""
        settled = set(map(id, events))
        if not settled:
            return
        waiting = self._events.get(key, [])
        left = [one for one in waiting if id(one.event) not in settled]
        self._leave(key, left)
        if left:
            # They came during the look that ends here, perhaps without a wake of their own.
            self._wake(key)

    def drop(self, key: TaskKey) -> None:
        """The task is gone, and its events with it."""
        self.settle(key, self.pending(key))

    def relieve(self, key: TaskKey) -> None:
        """What the events of a task led to cannot be stored now: they must not crowd out others."""
        if len(self._events.get(key, ())) > _MANY or self._count > _CROWDED:
            self._give_up(key)

    def _give_up(self, key: TaskKey) -> None:
        """Settle progress that later progress has overtaken, and what is the oldest of too much."""
        waiting = self._events.get(key, [])
        latest = {_voice(one.event): one for one in waiting if _is_progress(one.event)}
        left = [
            one
            for one in waiting
            if not _is_progress(one.event) or latest[_voice(one.event)] is one
        ]
        given_up = len(waiting) - self._leave(key, left[-_MANY:])
        if given_up:
            self._metrics.events_discarded.labels("given_up").inc(given_up)
            message = "too many events wait for one status: %d of them were given up"
            logger.warning(message, given_up, extra={"task": str(key)})

    def _leave(self, key: TaskKey, left: list[_Waiting]) -> int:
        """Let ``left`` wait on, some of those that do, and settle the others; how many are left."""
        kept = set(map(id, left))
        for one in self._events.pop(key, ()):
            if id(one) not in kept:
                self.ledger.settle(one.receipt)
                self._count -= 1
        if left:
            self._events[key] = left
        return len(left)

    def _read(self, record: Record, now: datetime) -> ReceivedEvent | None:
        try:
            event = parse_event(record.value, record.headers)
        except UnreadableMessageError as error:
            self._metrics.events_discarded.labels(error.reason).inc()
            return None
        time = record.time if abs(record.time - now) < TRUSTED_CLOCK else now
        is_old = not self._has_caught_up
        return ReceivedEvent(record.partition, record.offset, time, event, now, is_old)


def _is_more_of_the_same(last: ReceivedEvent, received: ReceivedEvent) -> bool:
    """Whether a look is due for the one before that will see this one as well: mere progress."""
    is_same_voice = last.event.payload.producer == received.event.payload.producer
    return is_same_voice and _is_progress(last) and _is_progress(received)


def _is_progress(received: ReceivedEvent) -> bool:
    return received.event.payload.status is EventStatus.LOADING


def _voice(received: ReceivedEvent) -> tuple[str, int]:
    return received.event.payload.producer, received.partition
