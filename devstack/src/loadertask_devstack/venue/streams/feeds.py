"""What a stream says: events as a pure function of the venue's time. Knows no connection.

Whoever asks for the same stretch of time gets the same events, so what was emitted can be asked for
afterwards, whether anybody listened or not.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from loadertask_devstack.venue.streams.payloads import TimeUnit


class Event(NamedTuple):
    """One message: when the venue emits it (epoch ms of its clock) and its text."""

    time_ms: int
    text: str


class Feed(Protocol):
    """The events of one stream."""

    def events(self, after_ms: int, until_ms: int, unit: TimeUnit) -> list[Event]:
        """All events in (after_ms, until_ms], in their order."""
