"""The venue's request limits, kept before they are broken. Pure: every call is given the time.

Limits count in fixed windows of the venue's clock (a minute restarts at second 00), per address,
and failed requests count too. The used-weight header is the truth for the whole address; between
two answers our own count stands in for it. Nothing here lowers a count inside a window, so that
answers which overtake each other cannot make room that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Limit:
    """``capacity`` units in each window of ``window_s`` seconds."""

    capacity: int
    window_s: float = MINUTE_S


# The documented limits, until exchangeInfo tells the present ones.
REQUEST_WEIGHT = Limit(6_000)
RAW_REQUESTS = Limit(61_000, 300.0)


@dataclass(frozen=True, slots=True)
class Admission:
    """A request that may be sent: its weight and the window it was counted in."""

    weight: int
    window: int


@dataclass(slots=True)
class _Count:
    """Use of one limit in the present window; ``used`` is everybody's, ``own`` is ours."""

    limit: Limit
    share: float
    window: int = 0
    used: int = 0
    own: int = 0

    def enter(self, now_s: float, outstanding: int) -> None:
        """Begin a new window if it is time: answers not yet in may be counted in it."""
        window = int(now_s // self.limit.window_s)
        if window > self.window:
            self.window, self.used, self.own = window, outstanding, outstanding

    def has_room(self, units: int) -> bool:
        own_capacity = int(self.limit.capacity * self.share)
        return self.used + units <= self.limit.capacity and self.own + units <= own_capacity

    def charge(self, units: int) -> None:
        self.used += units
        self.own += units

    def next_window_s(self) -> float:
        return (self.window + 1) * self.limit.window_s


@dataclass(slots=True)
class RequestLimiter:
    """Says when a request may be sent.

    Args:
        share: part of the address's request weight that this worker may use, in (0, 1].

    Times are epoch seconds of the venue's clock, estimated never ahead of it: a request counted
    in our minute is then never counted in an earlier one of the venue.

    """

    share: float = 1.0
    outstanding_weight: int = 0
    outstanding_requests: int = 0
    held_until_s: float = 0.0
    _weight: _Count = field(init=False)
    _requests: _Count = field(init=False)

    def __post_init__(self) -> None:
        self._weight = _Count(REQUEST_WEIGHT, self.share)
        self._requests = _Count(RAW_REQUESTS, self.share)

    def learn(self, weight: Limit, requests: Limit) -> None:
        """Take the limits of exchangeInfo."""
        self._weight.limit, self._requests.limit = weight, requests

    def admit(self, weight: int, now_s: float) -> Admission | float:
        """Count a request that is about to be sent, or say until when to wait (epoch s)."""
        self._weight.enter(now_s, self.outstanding_weight)
        self._requests.enter(now_s, self.outstanding_requests)
        if now_s < self.held_until_s:
            return self.held_until_s
        if not self._weight.has_room(weight):
            return self._weight.next_window_s()
        if not self._requests.has_room(1):
            return self._requests.next_window_s()
        self._weight.charge(weight)
        self._requests.charge(1)
        self.outstanding_weight += weight
        self.outstanding_requests += 1
        return Admission(weight, self._weight.window)

    def settle(self, admission: Admission, used_weight: int | None, now_s: float) -> None:
        """A request is over. ``used_weight`` is the header's value, None without an answer.

        The header of a request from an earlier window may speak of that window: it is ignored.
        """
        self._weight.enter(now_s, self.outstanding_weight)
        self._requests.enter(now_s, self.outstanding_requests)
        self.outstanding_weight -= admission.weight
        self.outstanding_requests -= 1
        if used_weight is not None and admission.window == self._weight.window:
            self._weight.used = max(self._weight.used, used_weight + self.outstanding_weight)

    def hold(self, retry_after_s: float | None, now_s: float) -> None:
        """Nobody sends for ``retry_after_s`` seconds (None: until the next minute)."""
        next_minute_s = (now_s // MINUTE_S + 1) * MINUTE_S
        until_s = next_minute_s if retry_after_s is None else now_s + retry_after_s
        self.held_until_s = max(self.held_until_s, until_s)

    def requests_in_flight(self, weight: int, most: int) -> int:
        """How many requests of ``weight`` may sensibly be under way at once, at least one."""
        own_capacity = int(self._weight.limit.capacity * self.share)
        return max(1, min(most, own_capacity // (weight * 10)))


def strictest(limits: Sequence[Limit], default: Limit) -> Limit:
    """Of several limits of one kind, the one that allows the least per second."""
    return min(limits, key=lambda limit: limit.capacity / limit.window_s, default=default)
