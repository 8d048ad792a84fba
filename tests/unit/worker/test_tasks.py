from __future__ import annotations

from datetime import UTC, datetime

import pytest

from loadertask_contract.environment import WorkerEnvironment
from loadertask_contract.intervals import Interval
from loadertask_contract.parsing import parse_environment
from loadertask_contract.records import candle_template
from loadertask_contract.time_range import epoch_ms
from loadertask_worker.cursor import Cursor, Place
from loadertask_worker.errors import ConfigurationError
from loadertask_worker.tasks import task_for

NOW = datetime(2024, 1, 2, 12, 0, 30, tzinfo=UTC)
GIVEN = {
    "QUEUE_ID": "wf-1",
    "SYMBOL": "BTCUSDT",
    "TYPE": "api_candles_1m",
    "TIME_RANGE": "2024-01-01:2024-01-02",
    "KAFKA_TOPIC": "wf-1-data",
    "TELEMETRY_PRODUCER_ID": "loader__1",
}


def environment(**changes: str) -> WorkerEnvironment:
    return parse_environment({**GIVEN, **changes}, NOW).environment


def test_candles_announce_their_plan() -> None:
    started = task_for(environment(), epoch_ms(NOW)).announce(None)
    assert started.plan == (
        "Loading 1440 candles of BTCUSDT 1m in [2024-01-01T00:00:00Z, 2024-01-02T00:00:00Z)"
    )
    assert (started.total, started.source) == (1440, "rest")
    assert started.warnings == ()


def test_an_end_in_the_future_is_announced_as_cut() -> None:
    started = task_for(environment(TIME_RANGE="2024-01-02:2024-01-03"), epoch_ms(NOW)).announce(
        None
    )
    assert started.total == 720
    assert started.warnings == (
        "END 2024-01-03T00:00:00+00:00 is cut to the last closed candle: 2024-01-02T12:00:00Z",
    )


def test_candles_announce_where_they_go_on() -> None:
    noon = Cursor(1704110400000, 1704110400000, 720)
    started = task_for(environment(), epoch_ms(NOW)).announce(noon)
    assert started.plan.endswith(", going on at 2024-01-01T12:00:00Z")
    assert started.total == 1440


def candle(open_ms: int, symbol: str = "BTCUSDT") -> bytes:
    numbers = (open_ms, *("16541.77000000",) * 5, open_ms + 59_999, *("1.0",) * 4)
    return (candle_template(symbol, Interval.MINUTE_1) % numbers).encode()


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (candle(1704067200000), Place(1704067200001, 1704067200000)),
        (candle(1704153599999), Place(1704153600000, 1704153599999)),
        (candle(1704067199999), None),
        (candle(1704153600000), None),
        (candle(1704067200000, "ETHUSDT"), None),
        (candle(1704067200000)[:-1], None),
        (candle(1704067200000) + b" ", None),
        (b"", None),
        (b"{}", None),
    ],
)
def test_a_candle_of_the_topic_is_placed_if_it_is_of_this_load(
    value: bytes, place: Place | None
) -> None:
    assert task_for(environment(), epoch_ms(NOW)).place_of(value, ()) == place


def test_a_load_has_the_same_name_in_every_attempt_and_another_than_other_loads() -> None:
    def name(**changes: str) -> str:
        return task_for(environment(**changes), epoch_ms(NOW)).load_name

    later = datetime(2024, 2, 2, tzinfo=UTC)
    assert name() == task_for(environment(), epoch_ms(later)).load_name
    others = [
        {"SYMBOL": "ETHUSDT"},
        {"TYPE": "api_candles_5m"},
        {"TIME_RANGE": "2023-12-31:2024-01-02"},
    ]
    assert len({name(), *(name(**other) for other in others)}) == 4


@pytest.mark.parametrize("kind", ["api_trades", "ws_candles_1m", "ws_trades", "ws_depth"])
def test_types_of_later_versions_are_named(kind: str) -> None:
    with pytest.raises(ConfigurationError, match=r"TYPE: .* this version loads api_candles only"):
        task_for(environment(TYPE=kind), epoch_ms(NOW))


def test_everything_of_later_versions_is_named_at_once() -> None:
    asked = environment(TYPE="api_trades", LOADER_SHARD_COUNT="2")
    with pytest.raises(ConfigurationError) as raised:
        task_for(asked, epoch_ms(NOW))
    assert [problem.variable for problem in raised.value.problems] == [
        "TYPE",
        "LOADER_SHARD_COUNT",
    ]
