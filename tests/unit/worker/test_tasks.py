from __future__ import annotations

from datetime import UTC, datetime

import pytest

from loadertask_contract.environment import WorkerEnvironment
from loadertask_contract.parsing import parse_environment
from loadertask_contract.time_range import epoch_ms
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
    started = task_for(environment(), epoch_ms(NOW)).announce()
    assert started.plan == (
        "Loading 1440 candles of BTCUSDT 1m in [2024-01-01T00:00:00Z, 2024-01-02T00:00:00Z)"
    )
    assert (started.total, started.delivery, started.source) == (1440, "at_least_once", "rest")
    assert started.warnings == ()


def test_an_end_in_the_future_is_announced_as_cut() -> None:
    started = task_for(environment(TIME_RANGE="2024-01-02:2024-01-03"), epoch_ms(NOW)).announce()
    assert started.total == 720
    assert started.warnings == (
        "END 2024-01-03T00:00:00+00:00 is cut to the last closed candle: 2024-01-02T12:00:00Z",
    )


@pytest.mark.parametrize("kind", ["api_trades", "ws_candles_1m", "ws_trades", "ws_depth"])
def test_types_of_later_versions_are_named(kind: str) -> None:
    with pytest.raises(ConfigurationError, match=r"TYPE: .* this version loads api_candles only"):
        task_for(environment(TYPE=kind), epoch_ms(NOW))


def test_everything_of_later_versions_is_named_at_once() -> None:
    asked = environment(
        TYPE="api_trades",
        LOADER_DELIVERY="exactly_once",
        LOADER_RECORD_TIME="venue",
        LOADER_SHARD_COUNT="2",
    )
    with pytest.raises(ConfigurationError) as raised:
        task_for(asked, epoch_ms(NOW))
    assert [problem.variable for problem in raised.value.problems] == [
        "TYPE",
        "LOADER_DELIVERY",
        "LOADER_RECORD_TIME",
        "LOADER_SHARD_COUNT",
    ]


def test_what_this_version_delivers_may_be_demanded() -> None:
    task_for(environment(LOADER_DELIVERY="at_least_once"), epoch_ms(NOW))
