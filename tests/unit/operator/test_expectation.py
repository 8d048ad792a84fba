from __future__ import annotations

import pytest
from tests.unit.operator.worlds import NOW, after, make_task

from loadertask_operator.decide import decide
from loadertask_operator.expectation import expectation
from loadertask_operator.observed import Observed
from loadertask_operator.situation import Rules


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"timeRange": "2023-01-01:2024-01-01"},
            "525600 candles expected (REST requests: 526, seconds at least: 10)",
        ),
        (
            {"timeRange": "2026-01-01:2027-01-01"},
            "720 candles expected (REST requests: 1, seconds at least: 0)",
        ),
        (
            {"type": "api_candles_1M", "timeRange": "2023-01-01:2024-01-01"},
            "12 candles expected (REST requests: 1, seconds at least: 0)",
        ),
        ({"type": "api_trades"}, ""),
        ({"type": "ws_candles", "timeRange": None}, ""),
        ({"symbol": None}, ""),
    ],
)
def test_what_a_load_will_take_is_counted_where_it_can_be(spec, said):
    assert expectation(make_task(**spec).spec, NOW) == said


def test_the_plan_is_told_with_the_acceptance_and_does_not_move_with_the_clock():
    task = make_task(timeRange="2026-01-01:2027-01-01")
    first, later = (decide(Observed(task=task), Rules(), at) for at in (NOW, after(7200)))
    for plan in (first, later):
        accepted = plan.status.condition("Accepted")
        assert accepted.status == "True"
        assert accepted.message == "719 candles expected (REST requests: 1, seconds at least: 0)"
