"""Weight, raw requests and bans of one address, on a clock that the test holds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadertask_devstack.venue.limits import Ledger, LimitRules, Verdict, charge

MINUTE_MS = 60_000
RULES = LimitRules(weight_per_minute=10, raw_per_five_minutes=1000, ignored_refusals=2)
START_MS = 1_800_000_000_000 // (5 * MINUTE_MS) * 5 * MINUTE_MS


def charged(times: int, now_ms: int, ledger: Ledger, weight: int = 2,
            rules: LimitRules = RULES) -> tuple[Ledger, list[Verdict]]:  # fmt: skip
    verdicts = []
    for _ in range(times):
        ledger, verdict = charge(ledger, rules, now_ms, weight)
        verdicts.append(verdict)
    return ledger, verdicts


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30_000), st.integers(1, 5)), max_size=60))
def test_no_minute_serves_more_than_its_weight(calls: list[tuple[int, int]]) -> None:
    ledger, now_ms, served = Ledger(), START_MS, dict[int, int]()
    for wait_ms, weight in calls:
        now_ms += wait_ms
        ledger, verdict = charge(ledger, RULES, now_ms, weight)
        if verdict.status == 200:
            minute = now_ms // MINUTE_MS
            served[minute] = served.get(minute, 0) + weight
    assert all(weight <= RULES.weight_per_minute for weight in served.values())


def test_the_limit_itself_is_allowed_and_one_more_is_refused_and_charged() -> None:
    _, verdicts = charged(6, START_MS, Ledger())
    assert [v.status for v in verdicts] == [200] * 5 + [429]
    assert [v.used_weight for v in verdicts] == [2, 4, 6, 8, 10, 12]


@pytest.mark.parametrize(("into_minute_ms", "wait_s"), [(0, 60), (1, 60), (58_500, 2), (59_999, 1)])
def test_retry_after_reaches_the_next_clock_minute(into_minute_ms: int, wait_s: int) -> None:
    _, verdicts = charged(6, START_MS + into_minute_ms, Ledger())
    assert verdicts[-1].retry_after_s == wait_s


def test_the_window_is_the_clock_minute_and_does_not_roll() -> None:
    ledger, _ = charged(5, START_MS + 59_000, Ledger())
    _, verdicts = charged(5, START_MS + 60_000, ledger)
    assert [v.status for v in verdicts] == [200] * 5


def test_going_on_after_refusals_leads_to_a_ban_that_outlives_the_minute() -> None:
    ledger, verdicts = charged(8, START_MS, Ledger())
    assert [v.status for v in verdicts[-3:]] == [429, 429, 418]
    assert verdicts[-1].retry_after_s == 120
    assert f"IP banned until {START_MS + 120_000}." in verdicts[-1].message
    _, (during,) = charged(1, START_MS + 119_001, ledger)
    assert (during.status, during.retry_after_s) == (418, 1)
    _, (after,) = charged(1, START_MS + 120_000, ledger)
    assert after.status == 200


def test_each_ban_is_twice_as_long_and_none_is_longer_than_three_days() -> None:
    ledger, now_ms, lengths = Ledger(), START_MS, []
    for _ in range(14):
        ledger, verdicts = charged(8, now_ms, ledger)
        lengths.append(verdicts[-1].retry_after_s)
        now_ms = ledger.banned_until_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS
    assert lengths[:4] == [120, 240, 480, 960]
    assert lengths[-1] == 3 * 86_400


def test_raw_requests_are_a_limit_of_their_own_over_five_minutes() -> None:
    rules = LimitRules(weight_per_minute=10**6, raw_per_five_minutes=3)
    ledger, _ = charged(3, START_MS + MINUTE_MS, Ledger(), rules=rules)
    ledger, (refused,) = charged(1, START_MS + 2 * MINUTE_MS, ledger, rules=rules)
    assert (refused.status, refused.retry_after_s) == (429, 180)
    _, (later,) = charged(1, START_MS + 5 * MINUTE_MS, ledger, rules=rules)
    assert later.status == 200
