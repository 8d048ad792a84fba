from __future__ import annotations

import json
from typing import Any

import pytest

from loadertask_worker.binance.exchange_info import parse_exchange_info, parse_server_time
from loadertask_worker.binance.limiter import RAW_REQUESTS, REQUEST_WEIGHT, Limit
from loadertask_worker.errors import ProtocolViolatedError, SourceUnavailableError


def limit(kind: str, capacity: Any, number: Any = 1, interval: str = "MINUTE") -> dict[str, Any]:
    return {
        "rateLimitType": kind,
        "interval": interval,
        "intervalNum": number,
        "limit": capacity,
    }


def body(**fields: Any) -> bytes:
    return json.dumps({"serverTime": 1790000000123, "new": [1], **fields}).encode()


def test_clock_and_limits_are_read() -> None:
    limits = [limit("REQUEST_WEIGHT", 1200), limit("ORDERS", 1), limit("RAW_REQUESTS", 300_000, 5)]
    info = parse_exchange_info(body(rateLimits=limits))
    assert info.server_time_ms == 1790000000123
    assert (info.weight, info.requests) == (Limit(1200, 60), Limit(300_000, 300))


@pytest.mark.parametrize(
    "limits",
    [
        None,
        {},
        [],
        [None, 1, "x", []],
        [limit("REQUEST_WEIGHT", 0), limit("RAW_REQUESTS", -5)],
        [limit("REQUEST_WEIGHT", 10, 0), limit("RAW_REQUESTS", 10, interval="FORTNIGHT")],
        [limit("REQUEST_WEIGHT", "many")],
        [limit("REQUEST_WEIGHT", float("inf"))],
    ],
)
def test_limits_that_cannot_be_read_are_the_documented_ones(limits: Any) -> None:
    info = parse_exchange_info(body(rateLimits=limits))
    assert (info.weight, info.requests) == (REQUEST_WEIGHT, RAW_REQUESTS)


@pytest.mark.parametrize(
    ("symbols", "status", "trades"),
    [
        ([{"symbol": "BTCUSDT", "status": "TRADING"}], "TRADING", True),
        ([{"symbol": "LUNAUSDT", "status": "BREAK"}], "BREAK", False),
        ([{"symbol": "BTCUSDT", "status": "CANCEL_ONLY"}], "CANCEL_ONLY", False),
        ([{}], None, True),
        ([], None, True),
        (None, None, True),
        ("x", None, True),
    ],
)
def test_whether_the_symbol_trades_is_read(symbols: Any, status: str | None, trades: bool) -> None:
    info = parse_exchange_info(body(symbols=symbols))
    assert (info.status, info.trades) == (status, trades)


@pytest.mark.parametrize("answer", [b"", b"<html>", b"{", b"[" * 100_000])
def test_what_is_not_json_may_be_tried_again(answer: bytes) -> None:
    with pytest.raises(SourceUnavailableError):
        parse_exchange_info(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"[]", b"{}", b'{"serverTime":"1"}', b'{"serverTime":true}', b'{"serverTime":1.5}',
        b'{"serverTime":0}', b'{"serverTime":1790000000123000}',
    ],
)  # fmt: skip
def test_an_answer_without_a_clock_is_refused(answer: bytes) -> None:
    with pytest.raises(ProtocolViolatedError, match="serverTime"):
        parse_server_time(answer)
