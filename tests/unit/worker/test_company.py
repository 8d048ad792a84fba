"""Workers that share an address and know of each other only by the venue's count."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from random import Random

import pytest

from loadertask_worker.binance.limiter import RAW_REQUESTS, Admission, Limit, RequestLimiter

CAPACITY = 6_000
MINUTE_S = 60.0
EXCHANGE_INFO_WEIGHT = 20
MOST_IN_FLIGHT = 8


class Address:
    """Some workers at full speed and the venue's count; deterministic by its seed.

    Each begins with exchangeInfo and has then up to eight requests under way. ``answer_s`` is how
    long an answer takes, the ways there and back vary by 30 %; a worker's clock is behind by up to
    a second.
    """

    def __init__(
        self, weights: list[int], answer_s: list[float], *, starts_within_s: float, seed: int
    ) -> None:
        self._weights, self._answer_s, self._random = weights, answer_s, Random(seed)
        self._limiters = [RequestLimiter() for _ in weights]
        for limiter in self._limiters:
            limiter.learn(Limit(CAPACITY), RAW_REQUESTS)
        self._behind_s = [self._random.random() for _ in weights]
        self.used: dict[int, int] = {}
        self._order = count()
        self._due: list[tuple[float, int, str, int, Admission | int, int]] = []
        for who in range(len(weights)):
            start_s = MINUTE_S + self._random.random() * starts_within_s
            self._plan(start_s, "send", who, EXCHANGE_INFO_WEIGHT)

    def run(self, minutes: int) -> None:
        while self._due and self._due[0][0] < MINUTE_S * (1 + minutes):
            now_s, _, what, who, given, header = heappop(self._due)
            if not isinstance(given, Admission):
                self._send(now_s, who, given)
            elif what == "arrive":
                minute = int(now_s // MINUTE_S)
                self.used[minute] = self.used.get(minute, 0) + given.weight
                self._plan(now_s + self._way_s(who), "return", who, given, self.used[minute])
            else:
                self._limiters[who].settle(given, header, now_s - self._behind_s[who])
                self._go_on(now_s, who, given)

    def _go_on(self, now_s: float, who: int, settled: Admission) -> None:
        weight, further = self._weights[who], 1
        if settled.weight == EXCHANGE_INFO_WEIGHT:
            further = self._limiters[who].requests_in_flight(weight, MOST_IN_FLIGHT)
        for _ in range(further):
            self._plan(now_s, "send", who, weight)

    def _send(self, now_s: float, who: int, weight: int) -> None:
        behind_s = self._behind_s[who]
        given = self._limiters[who].admit(weight, now_s - behind_s)
        if isinstance(given, Admission):
            self._plan(now_s + self._way_s(who), "arrive", who, given)
        else:
            self._plan(max(given + behind_s, now_s + 0.001), "send", who, weight)

    def _plan(
        self, at_s: float, what: str, who: int, given: Admission | int, header: int = 0
    ) -> None:
        heappush(self._due, (at_s, next(self._order), what, who, given, header))

    def _way_s(self, who: int) -> float:
        return self._answer_s[who] / 2 * self._random.uniform(0.7, 1.3)


@pytest.mark.parametrize("weight", [2, 4, 25])
def test_a_worker_alone_uses_95_percent_of_every_minute(weight: int) -> None:
    address = Address([weight], [0.1], starts_within_s=0, seed=weight)
    address.run(minutes=3)
    assert all(0.95 * CAPACITY <= used <= CAPACITY for used in address.used.values())


CROWDS = [[2] * 2, [25] * 2, [25] * 4, [25] * 12, [4] * 12, [25] + [2] * 5, [2, 4, 25] * 3]


@pytest.mark.parametrize("weights", CROWDS, ids=lambda weights: "-".join(map(str, weights)))
def test_several_workers_share_the_limit_and_never_exceed_it(weights: list[int]) -> None:
    address = Address(weights, [0.2] * len(weights), starts_within_s=50, seed=1)
    address.run(minutes=2)
    assert max(address.used.values()) <= CAPACITY
    assert address.used[2] >= 0.9 * CAPACITY


@pytest.mark.parametrize("weights", [[25] * 12, [2] + [25] * 11])
@pytest.mark.parametrize("is_near", [True, False], ids=["all near", "near and far"])
@pytest.mark.parametrize("seed", range(2))
def test_the_latest_and_the_farthest_worker_are_left_room_for(
    weights: list[int], seed: int, *, is_near: bool
) -> None:
    random = Random(seed)
    answer_s = [0.05 if is_near else random.choice([0.03, 0.1, 0.5, 1.5]) for _ in weights]
    address = Address(weights, answer_s, starts_within_s=seed, seed=seed)
    address.run(minutes=2)
    assert max(address.used.values()) <= CAPACITY
    assert address.used[2] >= 0.9 * CAPACITY
