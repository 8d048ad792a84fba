"""The venue's request limits, kept before they are broken. Pure: every call is given the time.

Limits count in fixed windows of the venue's clock (a minute restarts at second 00), per address,
and failed requests count too. The used-weight header is the truth for the whole address: our own
count and what it shows of others (``company``) stand in for it between two answers. Nothing here
lowers a count inside a window, so that answers which overtake each other cannot make room that is
not there. The less room is left, the fewer requests are under way at once, at last one by one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadertask_worker.binance.company import Company, own_target

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Limit:
    """``capacity`` units in each window of ``window_s`` seconds."""

    capacity: int
    window_s: float = MINUTE_S


# How long to wait for an answer of our own before asking again whether to send.
_UNTIL_AN_ANSWER_S = 0.05

# The documented limits, until exchangeInfo tells the present ones.
REQUEST_WEIGHT = Limit(6_000)
RAW_REQUESTS = Limit(61_000, 300.0)


@dataclass(frozen=True, slots=True)
class Admission:
    """A request that may be sent: its weight and the start of the window it was counted in."""

    weight: int
    window_start_s: float


@dataclass(slots=True)
class _Count:
    """Use of one limit in the present window; ``own`` is ours, ``company`` knows the others'."""

    limit: Limit
    share: float
    start_s: float = 0.0
    own: int = 0
    carried: int = 0
    """What of our own is left over from the window before: its answers tell nothing of this one."""
    is_answered: bool = False
    company: Company = field(default_factory=Company)

    @property
    def own_capacity(self) -> int:
        return int(own_target(self.limit.capacity) * self.share)

    def room(self, units: int) -> int:
        """What everybody may still use, us included, before those who send ``units`` stop."""
        target = self.company.target(self.limit.capacity, self.own, units)
        return target - self.own - self.company.used

    def has_room(self, units: int) -> bool:
        return units <= self.room(units) and self.own + units <= self.own_capacity

    def may_join(self, units: int, outstanding: int) -> bool:
        """Whether to send while ``outstanding`` units are under way; one request always may.

        Until the first answer of a window nobody knows what the others have used of it.
        """
        if not outstanding or self.own == self.carried:
            return True
        room = self.room(units) + outstanding
        return self.is_answered and outstanding + units <= self.company.most_under_way(
            room, self.own
        )

    def begin(self, start_s: float, carried: int) -> None:
        self.start_s, self.own, self.carried, self.is_answered = start_s, carried, carried, False
        self.company.begin_window()

    def window_start_s(self, now_s: float) -> float:
        return now_s // self.limit.window_s * self.limit.window_s

    def next_window_s(self) -> float:
        return self.start_s + self.limit.window_s


@dataclass(slots=True)
class RequestLimiter:
    """Says when a request may be sent.

    Args:
        share: part of the address's request weight that this worker may use, in (0, 1].

    Times are epoch seconds of the venue's clock, estimated never ahead of it and at most
    ``clock_slack_s`` behind: a request of our minute is then never counted in an earlier minute of
    the venue, and only the last ones of a minute can be counted in the next.

    """

    share: float = 1.0
    clock_slack_s: float = 1.0
    outstanding_weight: int = 0
    outstanding_requests: int = 0
    held_until_s: float = 0.0
    _weight: _Count = field(init=False)
    _requests: _Count = field(init=False)
    _settled: deque[tuple[float, int]] = field(init=False, default_factory=deque)

    def __post_init__(self) -> None:
        self._weight = _Count(REQUEST_WEIGHT, self.share)
        self._requests = _Count(RAW_REQUESTS, self.share)

    def learn(self, weight: Limit, requests: Limit) -> None:
        """Take the limits of exchangeInfo."""
        self._weight.limit, self._requests.limit = weight, requests

    def admit(self, weight: int, now_s: float) -> Admission | float:
        """Count a request that is about to be sent, or say until when to wait (epoch s)."""
        self._enter(now_s)
        if now_s < self.held_until_s:
            return self.held_until_s
        if not self._weight.has_room(weight):
            return self._weight.next_window_s()
        if not self._requests.has_room(1):
            return self._requests.next_window_s()
        if not self._weight.may_join(weight, self.outstanding_weight):
            return now_s + _UNTIL_AN_ANSWER_S
        self._weight.own += weight
        self._requests.own += 1
        self.outstanding_weight += weight
        self.outstanding_requests += 1
        return Admission(weight, self._weight.start_s)

    def settle(self, admission: Admission, used_weight: int | None, now_s: float) -> None:
        """A request is over. ``used_weight`` is the header's value, None without an answer.

        The header of a request from an earlier window may speak of that window: it is ignored.
        """
        self._enter(now_s)
        self._settled.append((now_s, admission.weight))
        self.outstanding_weight -= admission.weight
        self.outstanding_requests -= 1
        if admission.window_start_s != self._weight.start_s:
            return
        self._weight.is_answered = True
        if used_weight is not None:
            self._weight.company.see(used_weight, self._weight.own, admission.weight)

    def hold(self, retry_after_s: float | None, now_s: float) -> None:
        """Nobody sends for ``retry_after_s`` seconds (None: until the next minute)."""
        next_minute_s = (now_s // MINUTE_S + 1) * MINUTE_S
        until_s = next_minute_s if retry_after_s is None else now_s + retry_after_s
        self.held_until_s = max(self.held_until_s, until_s)

    def correct_clock(self, by_s: float, now_s: float) -> None:
        """The clock was set by ``by_s`` and shows ``now_s``: moments move, what is used stays."""
        self.held_until_s += by_s
        self._settled = deque((at_s + by_s, weight) for at_s, weight in self._settled)
        for count in (self._weight, self._requests):
            count.start_s = min(count.start_s, count.window_start_s(now_s))

    def _enter(self, now_s: float) -> None:
        """Begin new windows, each with what the venue may already count in it."""
        for count in (self._weight, self._requests):
            start_s = count.window_start_s(now_s)
            if start_s <= count.start_s:
                continue
            late = [
                weight for at_s, weight in self._settled if at_s >= start_s - self.clock_slack_s
            ]
            if count is self._weight:
                carried = self.outstanding_weight + sum(late)
            else:
                carried = self.outstanding_requests + len(late)
            count.begin(start_s, carried)
        while self._settled and self._settled[0][0] < now_s - MINUTE_S - self.clock_slack_s:
            self._settled.popleft()

    @property
    def own_capacity(self) -> int:
        """The request weight that we may use in one window; a heavier request is never sent."""
        return self._weight.own_capacity

    def requests_in_flight(self, weight: int, most: int) -> int:
        """How many requests of ``weight`` may sensibly be under way at once, at least one."""
        return max(1, min(most, self.own_capacity // (weight * 10)))


def strictest(limits: Sequence[Limit], default: Limit) -> Limit:
    """Of several limits of one kind, the one that allows the least per second."""
    return min(limits, key=lambda limit: limit.capacity / limit.window_s, default=default)
