"""Which requests meet a fault: matching, order, counting, seeded chance."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from loadertask_devstack.venue.faults import Fault, FaultKind, FaultPlan, FaultRule, Match

KLINES = "/api/v3/klines"
RESET = Fault(kind=FaultKind.RESET)


def fired(rule: FaultRule, requests: int) -> list[int]:
    plan = FaultPlan()
    plan.add([rule])
    return [n for n in range(1, requests + 1) if plan.choose(KLINES, {"symbol": "BTCUSDT"})]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (FaultRule(fault=RESET), [1, 2, 3, 4, 5]),
        (FaultRule(fault=RESET, times=2), [1, 2]),
        (FaultRule(fault=RESET, times=1, match=Match(nth=3)), [3]),
        (FaultRule(fault=RESET, match=Match(nth=4)), [4, 5]),
        (FaultRule(fault=RESET, match=Match(probability=0)), []),
        (FaultRule(fault=RESET, match=Match(path="/api/v3/ping")), []),
        (FaultRule(fault=RESET, match=Match(params={"symbol": "BTCUSDT"}), times=1), [1]),
        (FaultRule(fault=RESET, match=Match(params={"symbol": "ETHUSDT"})), []),
    ],
)
def test_a_rule_fires_for_its_requests_only(rule: FaultRule, expected: list[int]) -> None:
    assert fired(rule, 5) == expected


def test_chance_is_repeatable_by_its_seed() -> None:
    rules = [FaultRule(fault=RESET, match=Match(probability=0.3, seed=s)) for s in (1, 1, 2)]
    first, again, other = (fired(rule, 200) for rule in rules)
    assert first == again
    assert first != other
    assert 30 < len(first) < 90


def test_the_first_rule_that_fires_wins_and_all_count_the_request() -> None:
    plan = FaultPlan()
    plan.add([FaultRule(fault=RESET, times=1), FaultRule(fault=Fault(kind=FaultKind.HANG))])
    kinds = [fault.kind for _ in range(2) if (fault := plan.choose(KLINES, {}))]
    assert kinds == [FaultKind.RESET, FaultKind.HANG]
    assert [rule["matched"] for rule in plan.described()] == [2, 2]
    plan.clear()
    assert plan.choose(KLINES, {}) is None


@pytest.mark.parametrize(
    "rule",
    [
        {"fault": {"kind": "explode"}},
        {"fault": {"kind": "reset"}, "time": 1},
        {"fault": {"kind": "status", "status": 200}},
        {"fault": {"kind": "reset"}, "times": 0},
        {"match": {"probability": 1.5}, "fault": {"kind": "reset"}},
    ],
)
def test_a_rule_with_a_mistake_is_refused(rule: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FaultRule.model_validate(rule)
