from __future__ import annotations

from datetime import UTC, datetime

import pytest

from loadertask_contract.environment import WorkerEnvironment
from loadertask_contract.intervals import Interval
from loadertask_contract.parsing import parse_environment
from loadertask_contract.records import candle_template, trade_template
from loadertask_contract.time_range import epoch_ms
from loadertask_worker.cursor import Cursor, Place
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
        "END 2024-01-03T00:00:00Z is cut to the last closed candle: 2024-01-02T12:00:00Z",
    )


@pytest.mark.parametrize(
    ("changes", "plan"),
    [
        (
            {"TYPE": "api_candles_1d", "TIME_RANGE": "2024-01-02T10:00/2024-01-02T11:00"},
            "No 1d candle of BTCUSDT opens in [2024-01-02T10:00:00Z, 2024-01-02T11:00:00Z):"
            " the next one does at 2024-01-03T00:00:00Z",
        ),
        (
            {"TYPE": "api_candles_1M", "TIME_RANGE": "2023-02-02:2023-02-28"},
            "No 1M candle of BTCUSDT opens in [2023-02-02T00:00:00Z, 2023-02-28T00:00:00Z):"
            " the next one does at 2023-03-01T00:00:00Z",
        ),
        (
            {"TYPE": "api_candles_1w", "TIME_RANGE": "2024-01-01:2024-01-08"},
            "No 1w candle of BTCUSDT that opens in [2024-01-01T00:00:00Z, 2024-01-08T00:00:00Z)"
            " has closed yet: the first one does at 2024-01-08T00:00:00Z",
        ),
        (
            {"TYPE": "api_candles_1d", "LOADER_SHARD_COUNT": "2", "LOADER_SHARD_INDEX": "1"},
            "No 1d candle of BTCUSDT is left for this shard: the others load all there are in the"
            " range",
        ),
    ],
)
def test_a_range_without_a_candle_is_announced_with_the_reason(
    changes: dict[str, str], plan: str
) -> None:
    started = task_for(environment(**changes), epoch_ms(NOW)).announce(None)
    assert started.plan == plan
    assert (started.total, started.warnings) == (0, ())


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
        (candle(1704067200000), Place(1704067200000, 1704067200001, 1704067200000)),
        (candle(1704153599999), Place(1704153599999, 1704153600000, 1704153599999)),
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


@pytest.mark.parametrize("kind", ["api_candles_1m", "api_trades"])
def test_records_of_a_stream_are_not_of_a_history(kind: str) -> None:
    task = task_for(environment(TYPE=kind), epoch_ms(NOW))
    value = candle(1704067200000) if "candles" in kind else trade(7, 1704067200000)
    assert task.place_of(value, ())
    assert task.place_of(value, (("source", b"rest"),)) is None


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


def test_a_shard_announces_its_part_and_places_nothing_else() -> None:
    second = task_for(environment(LOADER_SHARD_COUNT="2", LOADER_SHARD_INDEX="1"), epoch_ms(NOW))
    assert second.announce(None).plan == (
        "Loading 720 candles of BTCUSDT 1m in [2024-01-01T12:00:00Z, 2024-01-02T00:00:00Z)"
    )
    assert second.place_of(candle(1704110400000), ()) == Place(
        1704110400000, 1704110400001, 1704110400000
    )
    assert second.place_of(candle(1704067200000), ()) is None


TRADES = {"TYPE": "api_trades", "LOADER_ARCHIVE_URL": "http://archive.test"}


def test_trades_announce_their_plan_without_a_number() -> None:
    started = task_for(environment(**TRADES), epoch_ms(NOW)).announce(None)
    assert started.plan == (
        "Loading the aggregate trades of BTCUSDT in [2024-01-01T00:00:00Z, 2024-01-02T00:00:00Z)"
    )
    assert (started.total, started.source, started.warnings) == (None, "archive, rest", ())


def test_trades_announce_where_they_go_on_and_an_end_that_is_not_there_yet() -> None:
    asked = environment(**TRADES, LOADER_TRADES="raw", TIME_RANGE="2024-01-02:2024-01-03")
    started = task_for(asked, epoch_ms(NOW)).announce(Cursor(77, 1704153600000, 5))
    assert started.plan.startswith("Loading the raw trades of BTCUSDT in ")
    assert started.plan.endswith(", going on at trade 77")
    assert started.warnings == ("END 2024-01-03T00:00:00Z is cut to the latest trade",)


def trade(trade_id: int, time_ms: int, symbol: str = "BTCUSDT") -> bytes:
    return (trade_template(symbol) % (trade_id, "42000.10", "0.5", time_ms, "true")).encode()


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (trade(7, 1704067200000), Place(7, 8, 1704067200000)),
        (trade(7, 1704153600000), None),
        (trade(7, 1704067199999), None),
        (trade(7, 1704067200000, "ETHUSDT"), None),
        (trade(7, 1704067200000)[1:], None),
        (candle(1704067200000), None),
        (b"", None),
    ],
)
def test_a_trade_of_the_topic_is_placed_if_it_is_of_this_load(
    value: bytes, place: Place | None
) -> None:
    assert task_for(environment(**TRADES), epoch_ms(NOW)).place_of(value, ()) == place


def test_kinds_of_trades_and_shards_are_loads_of_their_own() -> None:
    others = [
        {},
        {"LOADER_TRADES": "raw"},
        {"LOADER_SHARD_COUNT": "2"},
        {"LOADER_SHARD_COUNT": "2", "LOADER_SHARD_INDEX": "1"},
    ]
    names = {task_for(environment(**TRADES, **each), epoch_ms(NOW)).load_name for each in others}
    assert len(names) == 4
