from __future__ import annotations

from datetime import UTC, datetime

import pytest

from loadertask_contract.environment import Delivery
from loadertask_contract.parsing import parse_environment
from loadertask_worker.kafka.terms import HISTORY, LIVE, Terms, terms_of

GIVEN = {
    "QUEUE_ID": "wf-1",
    "SYMBOL": "BTCUSDT",
    "TYPE": "api_candles_1m",
    "TIME_RANGE": "2024-01-01:2024-01-02",
    "KAFKA_TOPIC": "wf-1-data",
    "TELEMETRY_PRODUCER_ID": "loader__1",
}
EXACTLY, EFFECTIVELY, AT_LEAST = Delivery


def terms(**changes: str) -> Terms:
    return terms_of(parse_environment({**GIVEN, **changes}, datetime.now(UTC)).environment)


@pytest.mark.parametrize(
    ("kind", "demanded", "wanted"),
    [
        ("api_candles_1m", "", [EXACTLY, EFFECTIVELY, AT_LEAST]),
        ("api_candles_1m", "effectively_once", [EFFECTIVELY, AT_LEAST]),
        ("api_candles_1m", "at_least_once", [AT_LEAST]),
        ("ws_trades", "", [EFFECTIVELY, AT_LEAST]),
        ("ws_trades", "exactly_once", [EXACTLY, EFFECTIVELY, AT_LEAST]),
    ],
)
def test_the_best_way_is_tried_first_and_transactions_of_live_loads_only_on_demand(
    kind: str, demanded: str, wanted: list[Delivery]
) -> None:
    demand = {"LOADER_DELIVERY": demanded} if demanded else {}
    assert list(terms(TYPE=kind, **demand).wanted) == wanted


def test_names_are_the_same_in_every_attempt_and_differ_between_shards() -> None:
    first, second = (terms(LOADER_SHARD_COUNT="2", LOADER_SHARD_INDEX=n) for n in "01")
    assert (first.transactional_id, first.group) == ("wf-1-0", "loader-wf-1-0")
    assert (second.transactional_id, second.group) == ("wf-1-1", "loader-wf-1-1")
    assert terms().cursor_name == terms(LOADER_CONTROL_SINCE="2024-01-05").cursor_name == "wf-1-0"


def test_the_creation_of_the_task_bounds_the_search_unless_timestamps_are_the_venues() -> None:
    since = {"LOADER_TASK_SINCE": "2024-01-05T00:00:00Z"}
    assert terms().since_ms is None
    assert terms(**since).since_ms == 1_704_412_800_000
    assert terms(**since, LOADER_RECORD_TIME="venue").since_ms is None


def test_a_live_load_takes_no_records_for_its_own_that_a_history_may_have_left() -> None:
    assert terms().adopts
    assert not terms(TYPE="ws_trades").adopts


def test_a_live_load_sends_small_batches_soon() -> None:
    assert terms().pace is HISTORY
    assert terms(TYPE="ws_trades").pace is LIVE
    assert (LIVE.batch_bytes, LIVE.linger_s, LIVE.transaction_s) == (256_000, 0.02, 1.0)
    assert LIVE.idle_linger_s < LIVE.linger_s


def test_the_oldest_record_of_a_live_load_is_of_now() -> None:
    assert terms().oldest_ms == 1704067200000
    assert terms(TYPE="ws_trades").oldest_ms is None
