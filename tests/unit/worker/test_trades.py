from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadertask_contract.environment import Trades
from loadertask_contract.records import parse_trade
from loadertask_worker.binance.trades import TradeParser
from loadertask_worker.errors import ProtocolViolatedError, SourceError, SourceUnavailableError
from loadertask_worker.seams import CANCELLED, Rows

AGGREGATE = TradeParser("BTCUSDT", Trades.AGGREGATE)
RAW = TradeParser("BTCUSDT", Trades.RAW)
AGG_TRADE: dict[str, Any] = {
    "a": 202790190, "p": "7139.89000000", "q": "0.06702300", "f": 222825297, "l": 222825298,
    "T": 1577977823305, "m": False, "M": True,
}  # fmt: skip
RAW_TRADE: dict[str, Any] = {
    "id": 222825297, "price": "7139.89000000", "qty": "0.06702300", "quoteQty": "478.53684747",
    "time": 1577977823305, "isBuyerMaker": True, "isBestMatch": True,
}  # fmt: skip

_decimals = st.from_regex(r"\A(0|[1-9][0-9]{0,9})(\.[0-9]{1,12})?\Z")
_whole = st.integers(0, 10**15)
_times = st.integers(10**12, 10**13 - 1)
_agg_trades = st.lists(
    st.fixed_dictionaries(
        {"a": _whole, "p": _decimals, "q": _decimals, "f": _whole, "l": _whole, "T": _times,
         "m": st.booleans(), "M": st.booleans()}
    ),
    max_size=5,
)  # fmt: skip


def usual(rows: Any) -> bytes:
    return json.dumps(rows, separators=(",", ":")).encode()


def test_an_aggregate_becomes_a_record_with_the_digits_of_the_venue() -> None:
    assert AGGREGATE.parse(usual([AGG_TRADE])) == Rows(
        [202790190],
        [1577977823305],
        [
            b'{"trade_id":202790190,"price":7139.89000000,"quantity":0.06702300,'
            b'"timestamp":1577977823305,"is_buyer_maker":false,"symbol":"BTCUSDT"}'
        ],
    )


def test_a_raw_trade_becomes_a_record_without_its_value_in_quote() -> None:
    assert RAW.parse(usual([RAW_TRADE])) == Rows(
        [222825297],
        [1577977823305],
        [
            b'{"trade_id":222825297,"price":7139.89000000,"quantity":0.06702300,'
            b'"timestamp":1577977823305,"is_buyer_maker":true,"symbol":"BTCUSDT"}'
        ],
    )


@pytest.mark.parametrize("parser", [AGGREGATE, RAW])
def test_no_trades_are_no_records(parser: TradeParser) -> None:
    assert parser.parse(b"[]") == Rows([], [], [])


def test_a_cancelled_duplicate_keeps_its_id_and_is_not_published() -> None:
    cancelled = {**AGG_TRADE, "a": 202790191, "p": "0", "q": "0", "f": -1, "l": -1}
    after = {**AGG_TRADE, "a": 202790192}
    rows = AGGREGATE.parse(usual([AGG_TRADE, cancelled, after]))
    assert rows.positions == [202790190, 202790191, 202790192]
    assert rows.records[1] == CANCELLED
    assert rows.published().positions == [202790190, 202790192]


@given(_agg_trades)
def test_every_digit_arrives_whatever_the_spelling_of_the_json(
    trades: list[dict[str, Any]],
) -> None:
    rows = AGGREGATE.parse(usual(trades))
    assert rows == AGGREGATE.parse(json.dumps(trades, indent=1, sort_keys=True).encode())
    assert rows.positions == [trade["a"] for trade in trades]
    for trade, time_ms, record in zip(trades, rows.times_ms, rows.records, strict=True):
        found = parse_trade(record)
        assert (found.trade_id, found.timestamp, time_ms) == (trade["a"], trade["T"], trade["T"])
        assert (found.price, found.quantity) == (Decimal(trade["p"]), Decimal(trade["q"]))
        assert f'"price":{trade["p"]},"quantity":{trade["q"]},'.encode() in record
        assert (found.is_buyer_maker, found.symbol) == (trade["m"], "BTCUSDT")


def test_names_that_the_venue_may_add_are_passed_over() -> None:
    more = {"new": [1], **AGG_TRADE}
    assert AGGREGATE.parse(usual([more])) == AGGREGATE.parse(usual([AGG_TRADE]))


@pytest.mark.parametrize("body", [b"", b"<html>", usual([AGG_TRADE])[:-1], b"\xff", b"[" * 100_000])
def test_what_is_not_json_may_be_tried_again(body: bytes) -> None:
    with pytest.raises(SourceUnavailableError, match="not JSON"):
        AGGREGATE.parse(body)


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("a", "1", "'1'"),
        ("a", -1, "'-1'"),
        ("a", 1.5, "'1.5'"),
        ("p", "NaN", "'NaN'"),
        ("p", 7139.89, "'7139.89'"),
        ("q", "1e5", "'1e5'"),
        ("q", "-0.1", "'-0.1'"),
        ("f", -2, "'-2'"),
        ("l", None, "'None'"),
        ("T", "1577977823305", "'1577977823305'"),
        ("T", 1577977823305123, "'1577977823305123'"),
        ("T", 1577977823, "'1577977823'"),
        ("m", "true", "'true'"),
        ("m", 1, "'1'"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_name(field: str, value: Any, shown: str) -> None:
    with pytest.raises(ProtocolViolatedError, match=f"row 1: {field} is {shown}"):
        AGGREGATE.parse(usual([AGG_TRADE, {**AGG_TRADE, field: value}]))


@pytest.mark.parametrize(
    ("body", "what"), [(b"{}", "not a list"), (b"[1]", "row 0"), (b"[{}]", "row 0: a is 'None'")]
)
def test_an_answer_of_another_shape_is_refused(body: bytes, what: str) -> None:
    with pytest.raises(ProtocolViolatedError, match=what):
        AGGREGATE.parse(body)


@given(st.data())
def test_a_damaged_answer_never_passes_for_another_page(data: st.DataObject) -> None:
    """One byte changed: the page is refused, or it is what a JSON parser reads there."""
    body = bytearray(usual([AGG_TRADE, {**AGG_TRADE, "a": 202790191}]))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        rows = AGGREGATE.parse(bytes(body))
    except SourceError:
        return
    trades = json.loads(body)
    assert rows.positions == [trade["a"] for trade in trades]
    assert rows.times_ms == [trade["T"] for trade in trades]
    for trade, record in zip(trades, rows.records, strict=True):
        assert f'"price":{trade["p"]},"quantity":{trade["q"]},'.encode() in record
