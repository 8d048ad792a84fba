"""One client's stream connection: what it hears, how it is kept alive, how it ends.

Decides nothing about the data: the broadcast hands it the events of the streams it has.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from loadertask_devstack.venue.streams import frames, payloads
from loadertask_devstack.venue.streams.faults import FRAME_KINDS, StreamFault, StreamFaultKind
from loadertask_devstack.venue.streams.feeds import Event
from loadertask_devstack.venue.streams.payloads import TimeUnit
from loadertask_devstack.venue.streams.rules import MessageLimit, StreamRules
from loadertask_devstack.venue.streams.wire import Wire

_CLOSE_PATIENCE_S = 1.0
_KEPT_PINGS = 64


@dataclass(slots=True)
class Sent:
    """How many frames of a stream a connection got, and the venue's time of both ends."""

    frames: int = 0
    first_ms: int = 0
    last_ms: int = 0


@dataclass(slots=True)
class ConnectionRecord:
    """What the audit keeps of a connection; ``end`` says how it ended, empty while it is open."""

    number: int
    client: str
    path: str
    opened_ms: int
    closed_ms: int | None = None
    end: str = ""
    messages: int = 0
    sent: dict[str, Sent] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class Connection:
    """A connection; its clock for timeouts is the event loop's."""

    def __init__(
        self, record: ConnectionRecord, wire: Wire, unit: TimeUnit, *, combined: bool
    ) -> None:
        self.record, self.wire, self.unit = record, wire, unit
        self.combined = combined
        self.streams: dict[str, None] = {}  # ordered set
        self.limit = MessageLimit()
        self._opened_s = self._last_ping_s = self._last_pong_s = _now_s()
        self._pings: deque[bytes] = deque(maxlen=_KEPT_PINGS)
        self._silent_until_s = 0.0
        self._swapped: dict[str, str] = {}

    def say(self, text: str) -> None:
        """Send a text message that belongs to no stream."""
        self.wire.write(frames.frame(text.encode()))

    def pong(self, payload: bytes) -> None:
        """Answer a ping of the client."""
        self.wire.write(frames.frame(payload, frames.PONG))

    def note_pong(self, payload: bytes) -> None:
        """Note a pong; one that answers no ping of ours counts for nothing."""
        if payload in self._pings:
            self._last_pong_s = _now_s()

    def deliver(self, name: str, events: Sequence[Event], data: bytes) -> None:
        """Send the frames of events, in one write."""
        if not self._is_silent():
            self._note(name, events)
            self.wire.write(data)

    def deliver_harmed(self, name: str, event: Event, fault: StreamFault | None) -> None:
        """Send one event, or what a fault makes of it."""
        if fault is not None:
            self.record.faults.append(fault.kind.value)
        text = self._enveloped(name, event.text)
        if fault is not None and fault.kind not in FRAME_KINDS:
            if fault.kind is StreamFaultKind.RESET:
                whole = frames.frame(text.encode())
                self.wire.write(whole[: len(whole) // 2])
            self.suffer(fault, event.time_ms)
        if self._is_silent() or self.wire.is_closed:
            return
        for data in self._harmed(name, text, fault):
            self.wire.write(data)
        if fault is None or fault.kind is not StreamFaultKind.DROP:
            self._note(name, [event])

    def suffer(self, fault: StreamFault, now_ms: int) -> None:
        """Let a fault of the whole connection begin."""
        match fault.kind:
            case StreamFaultKind.RESET:
                self.ended("reset", now_ms)
                self.wire.reset()
            case StreamFaultKind.END:
                self.ended("end", now_ms)
                self.wire.end()
            case StreamFaultKind.CLOSE:
                self.close(fault.code, "", now_ms)
            case StreamFaultKind.HALF_OPEN:
                self.wire.mute()
            case StreamFaultKind.SILENCE:
                self._silent_until_s = _now_s() + (fault.delay_s or float("inf"))
            case StreamFaultKind.SLOW:
                self.wire.hold(fault.delay_s)
            case StreamFaultKind.SHUTDOWN:
                self._shut_down(fault, now_ms)
            case kind:
                raise ValueError(f"{kind} needs a frame")

    def close(self, code: int, reason: str, now_ms: int) -> None:
        """Send a close frame; the connection ends when the client answers, or soon."""
        self.ended(f"close {code}", now_ms)
        self.wire.write(frames.close_frame(code, reason))
        asyncio.get_running_loop().call_later(_CLOSE_PATIENCE_S, self.wire.end)

    def answer_close(self, code: int, now_ms: int) -> None:
        """End after the client's close frame; it is answered unless it is an answer itself."""
        if not self.record.end:
            self.wire.write(frames.close_frame(code, ""))
        self.ended("client", now_ms)
        self.wire.end()

    def ended(self, how: str, now_ms: int) -> None:
        """Note how it ended, unless that is known already."""
        if not self.record.end:
            self.record.end, self.record.closed_ms = how, now_ms

    def keep(self, rules: StreamRules, now_ms: int) -> None:
        """Ping, and end it where its time is up; to be called several times a second."""
        now_s = _now_s()
        if self.record.end or self.wire.is_mute:
            return
        if now_s - self._opened_s >= rules.lifetime_s:
            if rules.closes_with_frame:
                self.close(1001, "", now_ms)
            else:
                self.ended("lifetime", now_ms)
                self.wire.end()
        elif now_s - self._last_pong_s >= rules.pong_timeout_s + rules.ping_interval_s:
            self.ended("no pong", now_ms)
            self.wire.end()
        elif self.wire.backlog_bytes > rules.longest_backlog_bytes:
            self.ended("slow consumer", now_ms)
            self.wire.reset()
        elif now_s - self._last_ping_s >= rules.ping_interval_s:
            self._last_ping_s = now_s
            payload = str(now_ms).encode()
            self._pings.append(payload)
            self.wire.write(frames.frame(payload, frames.PING))

    def described(self) -> dict[str, Any]:
        """For the audit."""
        return {"subscriptions": list(self.streams), "combined": self.combined}

    def _shut_down(self, fault: StreamFault, now_ms: int) -> None:
        text = payloads.shutdown(now_ms, self.unit)
        self.say(self._enveloped("!serverShutdown", text))
        asyncio.get_running_loop().call_later(fault.delay_s, self.close, fault.code, "", now_ms)

    def _harmed(self, name: str, text: str, fault: StreamFault | None) -> list[bytes]:
        payload = text.encode()
        whole = frames.frame(payload)
        behind = self._swapped.pop(name, None)
        after = [frames.frame(behind.encode())] if behind is not None else []
        match fault.kind if fault else None:
            case StreamFaultKind.DROP:
                return after
            case StreamFaultKind.SWAP:
                self._swapped[name] = text
                return after
            case StreamFaultKind.DUPLICATE:
                return [whole, whole, *after]
            case StreamFaultKind.NOT_JSON if fault:
                return [frames.frame(fault.text.encode()), whole, *after]
            case StreamFaultKind.UNKNOWN_EVENT:
                strange = self._enveloped(name, '{"e":"somethingNew","E":1,"s":"NEW","z":[1]}')
                return [frames.frame(strange.encode()), whole, *after]
            case StreamFaultKind.HUGE if fault:
                closing = "}}" if self.combined else "}"
                padded = f'{text[: -len(closing)]},"padding":"{"x" * fault.size_bytes}"{closing}'
                return [frames.frame(padded.encode()), *after]
            case StreamFaultKind.FRAGMENT if fault:
                return [*frames.fragments(payload, fault.count), *after]
            case _:
                return [whole, *after]

    def _enveloped(self, name: str, text: str) -> str:
        return payloads.enveloped(name, text) if self.combined else text

    def _is_silent(self) -> bool:
        return bool(self.record.end) or _now_s() < self._silent_until_s

    def _note(self, name: str, events: Sequence[Event]) -> None:
        if self.wire.is_mute:
            return
        sent = self.record.sent.setdefault(name, Sent(first_ms=events[0].time_ms))
        sent.frames += len(events)
        sent.last_ms = events[-1].time_ms


def _now_s() -> float:
    return asyncio.get_running_loop().time()
