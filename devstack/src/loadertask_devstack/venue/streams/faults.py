"""Faults of streams on demand: which frame or connection gets which one. Pure and seeded.

A rule is asked about every data frame of every connection; some kinds harm the frame, others the
connection from this frame on. The latter can also be ordered at once, without a frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from pydantic import Field

from loadertask_devstack.venue.faults import Chance, Strict, Trigger


class StreamFaultKind(StrEnum):
    """What can go wrong.

    With the frame: ``drop``, ``duplicate``, ``swap`` (comes after the next one of its stream),
    ``not_json`` and ``unknown_event`` (a strange frame comes before it), ``huge`` (a field of
    ``size_bytes`` is added), ``fragment`` (in ``count`` frames and writes).
    With the connection: ``reset`` (TCP reset, half a frame before it), ``end`` (closed without a
    close frame), ``close`` (close frame with ``code``), ``half_open`` (nothing any more, not even
    pings), ``silence`` (no data for ``delay_s``, but pings and answers), ``slow`` (all writes held
    back for ``delay_s``, then at once), ``shutdown`` (serverShutdown, closed after ``delay_s``).
    """

    DROP = "drop"
    DUPLICATE = "duplicate"
    SWAP = "swap"
    NOT_JSON = "not_json"
    UNKNOWN_EVENT = "unknown_event"
    HUGE = "huge"
    FRAGMENT = "fragment"
    RESET = "reset"
    END = "end"
    CLOSE = "close"
    HALF_OPEN = "half_open"
    SILENCE = "silence"
    SLOW = "slow"
    SHUTDOWN = "shutdown"


FRAME_KINDS = frozenset(
    {
        StreamFaultKind.DROP,
        StreamFaultKind.DUPLICATE,
        StreamFaultKind.SWAP,
        StreamFaultKind.NOT_JSON,
        StreamFaultKind.UNKNOWN_EVENT,
        StreamFaultKind.HUGE,
        StreamFaultKind.FRAGMENT,
    }
)


class StreamFault(Strict):
    """A fault; fields that its kind does not need are ignored."""

    kind: StreamFaultKind
    delay_s: float = Field(default=0, ge=0, le=3600)
    code: int = Field(default=1001, ge=1000, le=4999)
    size_bytes: int = Field(default=2**20, ge=1, le=2**26)
    count: int = Field(default=3, ge=2, le=1000)
    text: str = '{"e":"trade","E":17'


class FrameMatch(Chance):
    """Which frames: of a stream, of a connection (its number in the audit), from the nth on."""

    stream: str | None = None
    connection: int | None = None


class StreamFaultRule(Strict):
    """A fault for matching frames, at most ``times`` times (without end if not given)."""

    match: FrameMatch = FrameMatch()
    fault: StreamFault
    times: int | None = Field(default=None, ge=1)


class StreamOrder(Strict):
    """A fault for connections at once: for one, for those with a stream, or for all."""

    fault: StreamFault
    connection: int | None = None
    stream: str | None = None


class StreamFaultPlan:
    """The rules in force and how often each has matched and fired."""

    def __init__(self) -> None:
        self._rules: list[_ArmedRule] = []

    def __bool__(self) -> bool:
        return bool(self._rules)

    def add(self, rules: Iterable[StreamFaultRule]) -> None:
        """Put more rules behind those in force."""
        self._rules.extend(_ArmedRule(rule) for rule in rules)

    def clear(self) -> None:
        """End all faults; what a connection suffers already stays."""
        self._rules.clear()

    def choose(self, stream: str, connection: int) -> StreamFault | None:
        """The fault for this frame: that of the first rule that fires. Counts the frame."""
        fired = [armed.rule.fault for armed in self._rules if armed.fires(stream, connection)]
        return fired[0] if fired else None

    def described(self) -> list[dict[str, object]]:
        """The rules with their counters, for the control interface."""
        return [
            armed.rule.model_dump(mode="json", exclude_defaults=True)
            | {"matched": armed.trigger.matched, "fired": armed.trigger.fired}
            for armed in self._rules
        ]


class _ArmedRule:
    def __init__(self, rule: StreamFaultRule) -> None:
        self.rule = rule
        self.trigger = Trigger(rule.match, rule.times)

    def fires(self, stream: str, connection: int) -> bool:
        match = self.rule.match
        if match.stream not in (None, stream) or match.connection not in (None, connection):
            return False
        return self.trigger.pull()
