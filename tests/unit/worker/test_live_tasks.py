"""The live types before they follow anything: what they announce, and where records stand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from loadertask_contract.environment import WorkerEnvironment
from loadertask_contract.intervals import Interval
from loadertask_contract.messages import Headers
from loadertask_contract.parsing import parse_environment
from loadertask_contract.records import CANDLE_FIELDS, candle_template, trade_template
from loadertask_contract.time_range import epoch_ms
from loadertask_worker.cursor import Cursor, Place
from loadertask_worker.errors import ConfigurationError
from loadertask_worker.live.updates import CLOSED, KIND_GAP, KIND_SNAPSHOT, OPEN, SOURCE_REST
from loadertask_worker.tasks import Task, task_for

NOW = datetime(2024, 2, 1, tzinfo=UTC)
MINUTE = 60_000


def environment(**changes: str) -> WorkerEnvironment:
    # The smaller environment of the second image, and no more.
    variables = {
        "QUEUE_ID": "wf-live-20240801-a1b2c3",
        "SYMBOL": "BTCUSDT",
        "TYPE": "ws_candles",
        "INTERVAL": "1m",
        "KAFKA_TOPIC": "wf-live-20240801-a1b2c3-data",
        "TELEMETRY_PRODUCER_ID": "loader-ws-candles__a1b2c3",
    }
    return parse_environment(variables | changes, NOW).environment


def task(**changes: str) -> Task:
    return task_for(environment(**changes), epoch_ms(NOW))


@pytest.mark.parametrize(
    ("changes", "cursor", "plan"),
    [
        ({}, None, "Following candles of BTCUSDT 1m, from the candle under way on"),
        (
            {"LOADER_CLOSED_ONLY": "true"},
            Cursor(epoch_ms(NOW), 0, 1),
            "Following closed candles of BTCUSDT 1m, going on at 2024-02-01T00:00:00Z",
        ),
        (
            {"TYPE": "ws_trades"},
            None,
            "Following aggregate trades of BTCUSDT, from the next trade on",
        ),
        (
            {"TYPE": "ws_trades", "LOADER_TRADES": "raw"},
            Cursor(17, 0, 1),
            "Following raw trades of BTCUSDT, going on at trade 17",
        ),
        ({"TYPE": "ws_depth"}, None, "Following the order book of BTCUSDT"),
        (
            {"TYPE": "ws_orderbook"},
            Cursor(17, 0, 1),
            "Following the order book of BTCUSDT, going on after change 16",
        ),
    ],
)
def test_a_stream_is_announced_without_a_number(
    changes: dict[str, str], cursor: Cursor | None, plan: str
) -> None:
    started = task(**changes).announce(cursor)

    assert (started.plan, started.total, started.source) == (plan, None, "stream")


def test_every_stream_has_a_name_of_its_own() -> None:
    others = [
        {},
        {"SYMBOL": "ETHUSDT"},
        {"INTERVAL": "5m"},
        {"LOADER_CLOSED_ONLY": "true"},
        {"TYPE": "ws_trades"},
        {"TYPE": "ws_trades", "LOADER_TRADES": "raw"},
        {"TYPE": "ws_orderbook"},
    ]

    assert len({task(**other).load_name for other in others}) == len(others)


def test_a_stream_cannot_be_divided() -> None:
    with pytest.raises(ConfigurationError, match="LOADER_SHARD_COUNT: ws_trades follows one"):
        task(TYPE="ws_trades", LOADER_SHARD_COUNT="2")


def candle(open_ms: int, symbol: str = "BTCUSDT") -> bytes:
    values = (open_ms, *[1] * (len(CANDLE_FIELDS) - 1))
    return (candle_template(symbol, Interval.MINUTE_1) % values).encode()


@pytest.mark.parametrize(
    ("value", "headers", "place"),
    [
        (candle(MINUTE), CLOSED, Place(MINUTE, 2 * MINUTE, MINUTE)),
        (candle(MINUTE), (*CLOSED, *SOURCE_REST), Place(MINUTE, 2 * MINUTE, MINUTE)),
        (candle(MINUTE), OPEN, Place(MINUTE, MINUTE, MINUTE)),
        (
            candle(5 * MINUTE),
            (*CLOSED, ("resume", b"60000")),
            Place(5 * MINUTE, MINUTE, 5 * MINUTE),
        ),
        (candle(MINUTE + 14_789), CLOSED, Place(MINUTE + 14_789, 2 * MINUTE, MINUTE + 14_789)),
        (candle(MINUTE, "ETHUSDT"), CLOSED, None),
        (candle(MINUTE), (), None),  # of a historical load into the same topic
        (b"{}", CLOSED, None),
    ],
)
def test_a_candle_of_the_topic_says_where_to_go_on(
    value: bytes, headers: Headers, place: Place | None
) -> None:
    assert task().place_of(value, headers) == place


def trade(trade_id: int, symbol: str = "BTCUSDT") -> bytes:
    return (trade_template(symbol) % (trade_id, "1.5", "2", 99, "false")).encode()


@pytest.mark.parametrize(
    ("value", "headers", "place"),
    [
        (trade(7), (), Place(7, 8, 99)),
        (trade(7), (("resume", b"5"),), Place(7, 5, 99)),
        (trade(7), (("resume", b"no number"),), Place(7, 8, 99)),
        (trade(7, "ETHUSDT"), (), None),
        (trade(7)[1:], (), None),
    ],
)
def test_a_trade_of_the_topic_says_where_to_go_on(
    value: bytes, headers: Headers, place: Place | None
) -> None:
    assert task(TYPE="ws_trades").place_of(value, headers) == place


DIFF = b'{"e":"depthUpdate","E":99,"s":"BTCUSDT","U":5,"u":8,"b":[],"a":[]}'
GAP = b'{"symbol":"BTCUSDT","expected_update_id":9,"got_update_id":12,"got_event_time":99}'


@pytest.mark.parametrize(
    ("value", "headers", "place"),
    [
        (DIFF, (), Place(5, 9, 99)),
        (DIFF.replace(b"BTC", b"ETH"), (), None),
        (b'{"lastUpdateId":8,"bids":[],"asks":[]}', KIND_SNAPSHOT, Place(9, 9, 0)),
        (GAP, KIND_GAP, Place(9, 12, 99)),
        (GAP.replace(b"BTC", b"ETH"), KIND_GAP, None),
        (GAP, (), None),
        (b"[]", (), None),
        (b"", (), None),
    ],
)
def test_a_record_of_a_book_says_where_to_go_on(
    value: bytes, headers: Headers, place: Place | None
) -> None:
    assert task(TYPE="ws_depth").place_of(value, headers) == place
