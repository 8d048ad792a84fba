"""Brings the events of the feeds to the connections, when the venue's clock says so.

One task for all streams. Each stream is computed once per time unit, however many listen, and a
little ahead; the text becomes a frame once for raw and once for combined connections.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from loadertask_devstack.venue.streams import frames, payloads
from loadertask_devstack.venue.streams.connection import Connection, ConnectionRecord
from loadertask_devstack.venue.streams.faults import StreamFaultPlan
from loadertask_devstack.venue.streams.feeds import Event, Feed
from loadertask_devstack.venue.streams.payloads import TimeUnit
from loadertask_devstack.venue.streams.rules import ConnectLimit, StreamRules

_LOOK_AHEAD_MS = 200
_LONGEST_CATCH_UP_MS = 300_000  # a clock that is stepped further leaves a hole in the streams
_SHORTEST_SLEEP_S, _LONGEST_SLEEP_S = 0.002, 0.01
_KEEP_EVERY_S = 0.05
_KEPT_RECORDS = 2000


class _Channel:
    """One stream in one time unit, for all who listen."""

    def __init__(self, name: str, feed: Feed, unit: TimeUnit, now_ms: int) -> None:
        self.name = name
        self.listeners: dict[Connection, None] = {}
        self._feed, self._unit = feed, unit
        self._pending: deque[Event] = deque()
        self._horizon_ms = now_ms

    def due(self, now_ms: int) -> list[Event]:
        """The events up to now that were not taken yet."""
        if now_ms - self._horizon_ms > _LONGEST_CATCH_UP_MS:
            self._horizon_ms = now_ms
        if now_ms >= self._horizon_ms:
            until_ms = now_ms + _LOOK_AHEAD_MS
            self._pending.extend(self._feed.events(self._horizon_ms, until_ms, self._unit))
            self._horizon_ms = until_ms
        due = []
        while self._pending and self._pending[0].time_ms <= now_ms:
            due.append(self._pending.popleft())
        return due

    def next_ms(self) -> int:
        """When to ask again."""
        return self._pending[0].time_ms if self._pending else self._horizon_ms


class Broadcast:
    """All connections and what they listen to."""

    def __init__(
        self,
        clock_ms: Callable[[], int],
        feed_of: Callable[[str], Feed | None],
        rules: StreamRules,
    ) -> None:
        self.rules = rules
        self.faults = StreamFaultPlan()
        self.connects = ConnectLimit()
        self.connections: dict[int, Connection] = {}
        self.records: deque[ConnectionRecord] = deque(maxlen=_KEPT_RECORDS)
        self.latest_lateness_ms = self.largest_lateness_ms = 0
        self._clock_ms, self.feed_of = clock_ms, feed_of
        self._channels: dict[tuple[str, TimeUnit], _Channel] = {}
        self._has_connections = asyncio.Event()
        self._numbers = 0

    def now_ms(self) -> int:
        """The venue's clock."""
        return self._clock_ms()

    def new_record(self, client: str, path: str) -> ConnectionRecord:
        """What the audit will keep of a connection that begins now."""
        self._numbers += 1
        record = ConnectionRecord(self._numbers, client, path, self._clock_ms())
        self.records.append(record)
        return record

    def forget(self) -> None:
        """Forget ended connections, attempts to connect and lateness."""
        kept = [record for record in self.records if record.number in self.connections]
        self.records.clear()
        self.records.extend(kept)
        self.connects.forgive()
        self.latest_lateness_ms = self.largest_lateness_ms = 0

    def join(self, connection: Connection) -> None:
        """Begin to serve a connection."""
        self.connections[connection.record.number] = connection
        self._has_connections.set()

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        self.unsubscribe(connection, list(connection.streams))
        del self.connections[connection.record.number]
        if not self.connections:
            self._has_connections.clear()

    def subscribe(self, connection: Connection, names: Iterable[str]) -> None:
        """Let it hear these streams from now on; names without a stream stay silent."""
        for name in names:
            connection.streams[name] = None
            key = name, connection.unit
            if key not in self._channels and (feed := self.feed_of(name)):
                self._channels[key] = _Channel(name, feed, connection.unit, self._clock_ms())
            if channel := self._channels.get(key):
                channel.listeners[connection] = None

    def unsubscribe(self, connection: Connection, names: Iterable[str]) -> None:
        """Let it hear these streams no more."""
        for name in names:
            connection.streams.pop(name, None)
            key = name, connection.unit
            if channel := self._channels.get(key):
                channel.listeners.pop(connection, None)
                if not channel.listeners:
                    del self._channels[key]

    async def run(self) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        kept_s = 0.0
        while True:
            await self._has_connections.wait()
            now_ms = self._clock_ms()
            for channel in list(self._channels.values()):
                if events := channel.due(now_ms):
                    self._deliver(channel, events, now_ms)
            if loop.time() - kept_s >= _KEEP_EVERY_S:
                kept_s = loop.time()
                for connection in list(self.connections.values()):
                    connection.keep(self.rules, now_ms)
            await asyncio.sleep(self._pause_s(now_ms))

    def _pause_s(self, now_ms: int) -> float:
        next_ms = min((c.next_ms() for c in self._channels.values()), default=now_ms + 1000)
        return min(max((next_ms - now_ms) / 1000, _SHORTEST_SLEEP_S), _LONGEST_SLEEP_S)

    def _deliver(self, channel: _Channel, events: list[Event], now_ms: int) -> None:
        self.latest_lateness_ms = now_ms - events[0].time_ms
        self.largest_lateness_ms = max(self.largest_lateness_ms, self.latest_lateness_ms)
        written: dict[bool, bytes] = {}
        for connection in list(channel.listeners):
            if self.faults:
                for event in events:
                    fault = self.faults.choose(channel.name, connection.record.number)
                    connection.deliver_harmed(channel.name, event, fault)
                continue
            is_combined = connection.combined
            if is_combined not in written:
                written[is_combined] = _framed(channel.name, events, is_combined=is_combined)
            connection.deliver(channel.name, events, written[is_combined])


def _framed(name: str, events: list[Event], *, is_combined: bool) -> bytes:
    texts = (event.text for event in events)
    if is_combined:
        texts = (payloads.enveloped(name, text) for text in texts)
    return b"".join([frames.frame(text.encode()) for text in texts])
