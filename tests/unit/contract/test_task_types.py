from __future__ import annotations

import pytest

from loadertask_contract.intervals import Interval
from loadertask_contract.task_types import LoadType, TaskType, parse_load_type


@pytest.mark.parametrize(
    ("text", "task_type", "interval"),
    [
        ("api_candles", "api_candles", None),
        ("api_candles_1m", "api_candles", "1m"),
        ("api_candles_1M", "api_candles", "1M"),
        ("api_trades", "api_trades", None),
        ("ws_candles", "ws_candles", None),
        ("ws_candles_4h", "ws_candles", "4h"),
        ("ws_trades", "ws_trades", None),
        ("ws_orderbook", "ws_orderbook", None),
        ("ws_depth", "ws_orderbook", None),
    ],
)
def test_every_type_of_the_contract_parses(text: str, task_type: str, interval: str | None) -> None:
    expected = LoadType(TaskType(task_type), Interval(interval) if interval else None)
    assert parse_load_type(text) == expected
    assert parse_load_type(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "candles", "api_trades_1m", "ws_depth_1m", "API_CANDLES"])
def test_an_unknown_type_is_refused_with_the_list_of_known_ones(text: str) -> None:
    with pytest.raises(ValueError, match="use one of api_candles, api_trades"):
        parse_load_type(text)


def test_a_wrong_suffix_is_named() -> None:
    with pytest.raises(ValueError, match="'9m' is not an interval"):
        parse_load_type("api_candles_9m")


def test_live_types_and_candle_types_are_told_apart() -> None:
    assert [t for t in TaskType if t.is_live] == ["ws_candles", "ws_trades", "ws_orderbook"]
    assert [t for t in TaskType if t.has_candles] == ["api_candles", "ws_candles"]
