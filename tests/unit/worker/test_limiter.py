from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadertask_worker.binance.limiter import (
    RAW_REQUESTS,
    Admission,
    Limit,
    RequestLimiter,
    strictest,
)

MINUTE_S = 60.0
NOON_S = 1_700_000_040.0  # second 00 of a minute


def admitted(limiter: RequestLimiter, weight: int, now_s: float) -> Admission:
    admission = limiter.admit(weight, now_s)
    assert isinstance(admission, Admission)
    return admission


def filled(limiter: RequestLimiter, now_s: float) -> float:
    """Send until told to wait; when the wait ends."""
    while isinstance(given_ := limiter.admit(2, now_s), Admission):
        limiter.settle(given_, None, now_s)
    return given_


def test_noon_begins_a_minute() -> None:
    assert NOON_S % MINUTE_S == 0


def test_a_full_minute_waits_for_the_next() -> None:
    limiter = RequestLimiter()
    assert filled(limiter, NOON_S + 30) == NOON_S + MINUTE_S
    admitted(limiter, 2, NOON_S + MINUTE_S)


def test_a_share_leaves_room_for_others() -> None:
    limiter = RequestLimiter(share=0.25)
    limiter.learn(Limit(100), RAW_REQUESTS)
    sent = 0
    while isinstance(given_ := limiter.admit(2, NOON_S), Admission):
        limiter.settle(given_, None, NOON_S)
        sent += 1
    assert sent == 12  # of 48: a quarter of the 96 % that are aimed for


def test_the_header_counts_what_others_of_the_address_used() -> None:
    limiter = RequestLimiter()
    limiter.settle(admitted(limiter, 2, NOON_S), 5_700, NOON_S + 1)
    assert limiter.admit(2, NOON_S + 2) == NOON_S + MINUTE_S


def test_an_older_header_makes_no_room() -> None:
    limiter = RequestLimiter()
    limiter.settle(admitted(limiter, 2, NOON_S), 2, NOON_S)
    first, second = (admitted(limiter, 2, NOON_S) for _ in range(2))
    limiter.settle(second, 5_700, NOON_S + 1)
    limiter.settle(first, 4, NOON_S + 1)
    assert limiter.admit(2, NOON_S + 2) == NOON_S + MINUTE_S


def test_the_header_of_a_request_from_the_last_minute_is_not_of_this_one() -> None:
    limiter = RequestLimiter()
    late = admitted(limiter, 2, NOON_S + 59.9)
    limiter.settle(late, 5_700, NOON_S + 60.1)
    admitted(limiter, 2, NOON_S + 60.2)


def test_requests_under_way_count_in_the_minute_they_may_arrive_in() -> None:
    limiter = RequestLimiter()
    limiter.learn(Limit(60), RAW_REQUESTS)
    limiter.settle(admitted(limiter, 2, NOON_S), 2, NOON_S)
    for _ in range(5):
        admitted(limiter, 2, NOON_S + 59.9)
    limiter.learn(Limit(11), RAW_REQUESTS)
    assert limiter.admit(2, NOON_S + 60) == NOON_S + 120


def test_everybody_waits_for_retry_after() -> None:
    limiter = RequestLimiter()
    limiter.hold(17, NOON_S)
    assert limiter.admit(1, NOON_S + 16.9) == NOON_S + 17
    admitted(limiter, 1, NOON_S + 17)


def test_without_retry_after_the_next_minute_is_waited_for() -> None:
    limiter = RequestLimiter()
    limiter.hold(None, NOON_S + 20)
    assert limiter.admit(1, NOON_S + 21) == NOON_S + 60


def test_a_shorter_hold_does_not_end_a_longer_one() -> None:
    limiter = RequestLimiter()
    limiter.hold(60, NOON_S)
    limiter.hold(1, NOON_S)
    assert limiter.admit(1, NOON_S + 2) == NOON_S + 60


def test_a_limit_of_another_window_begins_anew_when_that_is_over() -> None:
    limiter = RequestLimiter()
    limiter.learn(Limit(3, 10), RAW_REQUESTS)
    limiter.settle(admitted(limiter, 2, NOON_S), None, NOON_S)
    assert limiter.admit(2, NOON_S + 9) == NOON_S + 10
    admitted(limiter, 2, NOON_S + 10)


def test_the_number_of_requests_has_a_limit_of_its_own() -> None:
    limiter = RequestLimiter()
    limiter.learn(Limit(10**6), Limit(4, 300))
    for _ in range(3):
        limiter.settle(admitted(limiter, 1, NOON_S), None, NOON_S)
    start_s = NOON_S // 300 * 300
    assert limiter.admit(1, NOON_S + 30) == start_s + 300


def test_a_small_budget_has_few_requests_in_flight() -> None:
    limiter = RequestLimiter()
    assert limiter.requests_in_flight(2, 8) == 8
    limiter.learn(Limit(44), RAW_REQUESTS)
    assert limiter.requests_in_flight(2, 8) == 2
    limiter.learn(Limit(1), RAW_REQUESTS)
    assert limiter.requests_in_flight(2, 8) == 1


def test_the_strictest_of_several_limits_counts() -> None:
    assert strictest([Limit(100), Limit(10, 1)], Limit(1)) == Limit(100)
    assert strictest([], Limit(1)) == Limit(1)


def test_a_clock_that_was_ahead_loses_no_count_and_no_hold() -> None:
    limiter = RequestLimiter()
    limiter.learn(Limit(100), RAW_REQUESTS)
    ahead_s = 600.0
    filled(limiter, NOON_S + ahead_s)
    limiter.hold(17, NOON_S + ahead_s)
    limiter.correct_clock(-ahead_s, NOON_S + 1)
    assert limiter.held_until_s == NOON_S + 17
    assert limiter.admit(2, NOON_S + 20) == NOON_S + MINUTE_S
    admitted(limiter, 2, NOON_S + MINUTE_S)


def test_the_header_counts_again_after_the_clock_was_set_back() -> None:
    limiter = RequestLimiter()
    limiter.settle(admitted(limiter, 20, NOON_S + 600), 20, NOON_S + 600)
    limiter.correct_clock(-600.0, NOON_S)
    limiter.settle(admitted(limiter, 2, NOON_S), 5_700, NOON_S + 1)
    assert limiter.admit(2, NOON_S + 2) == NOON_S + MINUTE_S


def test_only_one_request_asks_what_others_have_used_of_a_window() -> None:
    limiter = RequestLimiter()
    first = admitted(limiter, 2, NOON_S)
    assert limiter.admit(2, NOON_S) == pytest.approx(NOON_S + 0.05)
    limiter.settle(first, None, NOON_S)
    for _ in range(8):
        admitted(limiter, 2, NOON_S)


def test_the_less_room_is_left_the_fewer_requests_are_under_way() -> None:
    limiter = RequestLimiter()
    limiter.settle(admitted(limiter, 25, NOON_S), 5_000, NOON_S)
    admitted(limiter, 25, NOON_S)
    assert limiter.admit(25, NOON_S) == pytest.approx(NOON_S + 0.05)


_steps = st.lists(
    st.tuples(
        st.floats(0, 20),  # seconds until this request may be sent
        st.sampled_from([1, 2, 20]),  # its weight
        st.floats(0, 3),  # the way to the venue
        st.floats(0, 3),  # the way back
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=300)
@given(_steps, st.floats(0, 1), st.integers(30, 80))
def test_no_request_ever_exceeds_the_limit_of_the_venue(
    steps: list[tuple[float, int, float, float]], behind_s: float, capacity: int
) -> None:
    """A venue with fixed minutes and a clock that is ahead of ours, alone on the address."""
    limiter = RequestLimiter()
    limiter.learn(Limit(capacity), RAW_REQUESTS)
    used: dict[int, int] = {}
    arrivals: list[tuple[float, float, Admission]] = []
    now_s = NOON_S

    def deliver(until_s: float) -> None:
        """Let the venue count what has arrived, and us hear what has come back."""
        happenings = sorted(
            [(arrives, 0, index) for index, (arrives, _, _) in enumerate(arrivals)]
            + [(returns, 1, index) for index, (_, returns, _) in enumerate(arrivals)]
        )
        for time_s, kind, index in happenings:
            if time_s > until_s or (kind, index) in delivered:
                continue
            delivered.add((kind, index))
            admission = arrivals[index][2]
            minute = int((arrivals[index][0] + behind_s) // MINUTE_S)
            if kind == 0:
                used[minute] = used.get(minute, 0) + admission.weight
                assert used[minute] <= capacity
                headers[index] = used[minute]
            else:
                limiter.settle(admission, headers[index], time_s)

    delivered: set[tuple[int, int]] = set()
    headers: dict[int, int] = {}
    for wait_s, weight, out_s, back_s in steps:
        now_s += wait_s
        deliver(now_s)
        if isinstance(given_ := limiter.admit(weight, now_s), Admission):
            arrivals.append((now_s + out_s, now_s + out_s + back_s, given_))
    deliver(now_s + 10)


def test_what_is_left_over_from_the_minute_before_holds_up_no_request() -> None:
    limiter = RequestLimiter()
    hanging = limiter.admit(2, 58.5)
    assert isinstance(hanging, Admission)
    first = limiter.admit(2, 61.0)
    assert isinstance(first, Admission)
    # Nobody knows yet what others have used of this minute.
    assert not isinstance(limiter.admit(2, 61.1), Admission)
    limiter.settle(first, 2, 61.2)
    assert isinstance(limiter.admit(2, 61.2), Admission)
