"""What one worker reports on queue-events, turned into lines for a person.

Reads by polling, from an offset taken before the worker started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadertask_contract.events import Event, EventStatus, parse_event
from loadertask_contract.messages import UnreadableMessageError
from loadertask_contract.topics import QUEUE_EVENTS_TOPIC
from loadertask_devstack.kafka.topics import end_offsets, read_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadertask_devstack.kafka import Kafka

_BAR_WIDTH = 30


class EventFollower:
    """The events of one queue id, each once, in the order of the topic's single partition."""

    def __init__(self, kafka: Kafka, queue_id: str) -> None:
        self._kafka = kafka
        self._queue_id = queue_id
        self._next_offset = end_offsets(kafka.plain, QUEUE_EVENTS_TOPIC)[0]

    def poll(self) -> list[Event]:
        """The events that came since the last call."""
        records = read_records(
            self._kafka.plain, QUEUE_EVENTS_TOPIC, first_offset=self._next_offset
        )
        if records:
            self._next_offset = records[-1].offset + 1
        events = []
        for record in records:
            try:
                event = parse_event(record.value, record.headers)
            except UnreadableMessageError:
                continue
            if event.payload.queue_id == self._queue_id:
                events.append(event)
        return events


def tell(events: list[Event], say: Callable[[str], None]) -> None:
    """One line per event."""
    for event in events:
        say(f"{event.payload.status:<11} {_bar(event)}{event.payload.message}")


def _bar(event: Event) -> str:
    done, total = event.progress.done, event.progress.total
    if event.payload.status is EventStatus.ERROR or done is None or not total:
        return ""
    filled = _BAR_WIDTH * min(done, total) // total
    return f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {100 * done // total:3d}%  "
