from __future__ import annotations

import pytest
from tests.unit.operator.worlds import NOW, make_task

from loadertask_operator.expectation import expectation


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
