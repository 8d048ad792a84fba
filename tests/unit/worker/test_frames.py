"""Frames of the venue as records: real ones, and everything that is none."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources import SHARED_DATA

from loadertask_contract.intervals import Interval
from loadertask_contract.records import parse_candle, parse_trade
from loadertask_worker.binance.frames import FrameParser, Ignored, is_shutdown_notice
from loadertask_worker.errors import ProtocolViolatedError, SourceError, SourceUnavailableError
from loadertask_worker.live.updates import BookUpdate, CandleUpdate, TradeUpdate

KLINE = (
    b'{"e":"kline","E":1790000062015,"s":"BTCUSDT","k":{"t":1790000040000,"T":1790000099999,'
    b'"s":"BTCUSDT","i":"1m","f":15000010,"L":15000066,"o":"101.20000000","c":"101.30000000",'
    b'"h":"101.40000000","l":"101.10000000","v":"8.12000000","n":57,"x":false,'
    b'"q":"822.30000000","V":"4.01000000","Q":"406.10000000","B":"0"}}'
)
AGG_TRADE = (
    b'{"e":"aggTrade","E":1790000000123,"s":"BTCUSDT","a":9000001,"p":"101.25000000",'
    b'"q":"0.40000000","f":15000010,"l":15000012,"T":1790000000100,"m":true,"M":true}'
)
TRADE = (
    b'{"e":"trade","E":1790000000123,"s":"BTCUSDT","t":15000010,"p":"101.25000000",'
    b'"q":"0.10","T":1790000000100,"m":false,"M":true}'
)
DEPTH = (
    b'{"e":"depthUpdate","E":1790000000200,"s":"BTCUSDT","U":157,"u":160,'
    b'"b":[["0.0024","10"]],"a":[["0.0026","0.00000000"]]}'
)

trades = FrameParser("BTCUSDT")
candles = FrameParser("BTCUSDT", Interval.MINUTE_1)


def enveloped(payload: bytes) -> bytes:
    return b'{"stream":"btcusdt@any","data":%s}' % payload


def test_a_kline_becomes_a_candle_with_the_digits_in_the_right_fields() -> None:
    update = candles.parse(KLINE)

    assert update == CandleUpdate(
        event_ms=1790000062015,
        open_ms=1790000040000,
        is_closed=False,
        trade_count=57,
        record=(
            b'{"open_time":1790000040000,"open":101.20000000,"high":101.40000000,'
            b'"low":101.10000000,"close":101.30000000,"volume":8.12000000,'
            b'"close_time":1790000099999,"quote_asset_volume":822.30000000,'
            b'"number_of_trades":57,"taker_buy_base_asset_volume":4.01000000,'
            b'"taker_buy_quote_asset_volume":406.10000000,"symbol":"BTCUSDT","interval":"1m"}'
        ),
    )


@pytest.mark.parametrize(
    ("frame", "trade_id", "quantity", "is_buyer_maker"),
    [(AGG_TRADE, 9000001, "0.40000000", True), (TRADE, 15000010, "0.10", False)],
)
def test_a_trade_of_either_kind_becomes_a_trade(
    frame: bytes, trade_id: int, quantity: str, is_buyer_maker: bool
) -> None:
    update = trades.parse(frame)

    assert isinstance(update, TradeUpdate)
    assert (update.trade_id, update.time_ms) == (trade_id, 1790000000100)
    trade = parse_trade(update.record)
    assert (str(trade.price), str(trade.quantity)) == ("101.25000000", quantity)
    assert trade.is_buyer_maker is is_buyer_maker


def test_a_depth_update_is_published_byte_for_byte() -> None:
    assert trades.parse(DEPTH) == BookUpdate(1790000000200, 157, 160, DEPTH)


@pytest.mark.parametrize("frame", [KLINE, AGG_TRADE, TRADE, DEPTH])
def test_an_envelope_changes_nothing(frame: bytes) -> None:
    assert candles.parse(enveloped(frame)) == candles.parse(frame)


def test_a_shutdown_is_noticed_in_both_shapes() -> None:
    notice = b'{"e":"serverShutdown","E":1790000000000}'

    assert is_shutdown_notice(notice)
    assert is_shutdown_notice(b'{"stream":"!serverShutdown","data":%s}' % notice)
    assert not is_shutdown_notice(AGG_TRADE)


@pytest.mark.parametrize("event", ["kline", "aggTrade", "trade", "depthUpdate"])
def test_a_stream_brings_one_kind_of_event(event: str) -> None:
    parser = FrameParser("BTCUSDT", Interval.MINUTE_1, event=event)

    for frame in (KLINE, AGG_TRADE, TRADE, DEPTH):
        is_ours = b'"%s"' % event.encode() in frame
        assert isinstance(parser.parse(frame), Ignored) is not is_ours


@pytest.mark.parametrize(
    "frame",
    [
        b'{"result":null,"id":11}',
        b'{"e":"24hrTicker","E":1,"s":"BTCUSDT"}',
        b'{"u":1,"s":"BTCUSDT","b":"1","B":"1","a":"1","A":"1"}',
        b"{}",
    ],
)
def test_what_carries_no_record_of_ours_is_ignored(frame: bytes) -> None:
    assert isinstance(trades.parse(frame), Ignored)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"code":2,"msg":"Invalid request: invalid stream"}',
        b'{"error":{"code":2,"msg":"Invalid request: invalid stream"},"id":3}',
    ],
)
def test_an_error_of_the_server_is_told_in_its_words(frame: bytes) -> None:
    with pytest.raises(SourceUnavailableError, match="invalid stream"):
        trades.parse(frame)


@pytest.mark.parametrize(
    "frame",
    [b"", b"<html>", AGG_TRADE[:-1], AGG_TRADE + b"}", b"\xff\xfe", b"[" * 100_000,
     b'{"e":' + b"9" * 1_000_000 + b"}"],
)  # fmt: skip
def test_what_is_not_json_is_no_usable_answer(frame: bytes) -> None:
    with pytest.raises(SourceUnavailableError, match="not JSON"):
        trades.parse(frame)


@pytest.mark.parametrize(
    ("frame", "was", "becomes"),
    [
        (AGG_TRADE, b"9000001", b'"9000001"'),
        (AGG_TRADE, b"9000001", b"-1"),
        (AGG_TRADE, b"9000001", b"true"),
        (AGG_TRADE, b'"101.25000000"', b"101.25"),
        (AGG_TRADE, b"101.25000000", b"NaN"),
        (AGG_TRADE, b"101.25000000", b"1e5"),
        (AGG_TRADE, b'"m":true', b'"m":1'),
        (AGG_TRADE, b"BTCUSDT", b"ETHUSDT"),
        (KLINE, b'"x":false', b'"x":"false"'),
        (KLINE, b'"i":"1m"', b'"i":"1M"'),
        (KLINE, b'"t":1790000040000', b'"t":1790000040000000'),
        (KLINE, b'"t":1790000040000', b'"t":1799000040000'),
        (AGG_TRADE, b'"T":1790000000100', b'"T":1790000000100000'),
        (DEPTH, b'"E":1790000000200', b'"E":1790000000200000'),
        (KLINE, b'"n":57', b'"n":"57"'),
        (KLINE, b'"h":"101.40000000"', b'"h":null'),
        (DEPTH, b'"U":157', b'"U":161'),
        (DEPTH, b'"10"', b'"ten"'),
        (DEPTH, b'["0.0024","10"]', b'["0.0024"]'),
        (DEPTH, b',"a":[["0.0026","0.00000000"]]', b""),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(frame: bytes, was: bytes, becomes: bytes) -> None:
    assert was in frame

    with pytest.raises(ProtocolViolatedError):
        candles.parse(frame.replace(was, becomes))


KEYS = ("e", "E", "s", "k", "a", "b", "U", "u", "stream", "data", "error")
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(st.binary(max_size=200) | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_raise_anything_but_a_source_error(frame: bytes) -> None:
    with suppress(SourceError):
        candles.parse(frame)


@given(st.sampled_from([KLINE, AGG_TRADE, DEPTH]), st.data())
def test_a_damaged_frame_is_refused_or_still_made_of_numbers(
    frame: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(frame) - 1))
    damaged = frame[:at] + data.draw(st.binary(max_size=3)) + frame[at + 1 :]
    try:
        update = candles.parse(damaged)
    except SourceError:
        return
    if isinstance(update, CandleUpdate):
        parse_candle(update.record)
    elif isinstance(update, TradeUpdate):
        parse_trade(update.record)


@pytest.mark.skipif(not SHARED_DATA.exists(), reason="the recorded data is not beside the checkout")
def test_recorded_trades_and_changes_of_the_book_continue_each_other() -> None:
    next_trade = next_change = None
    seen = 0
    with gzip.open(SHARED_DATA / "ws" / "spot_btcusdt_20240808.gz") as lines:
        for line in lines:
            frame = line.split(b" ", 1)[1].rstrip()
            if b"depthUpdate" not in frame and b'"trade"' not in frame:
                continue
            update = trades.parse(frame)
            seen += 1
            if isinstance(update, TradeUpdate):
                assert next_trade in (None, update.trade_id)
                next_trade = update.trade_id + 1
            elif isinstance(update, BookUpdate):
                assert next_change in (None, update.first_id)
                next_change = update.last_id + 1
                assert update.record in frame
    assert seen == 3451 + 9757


@pytest.mark.skipif(not SHARED_DATA.exists(), reason="the recorded data is not beside the checkout")
def test_recorded_candles_are_read() -> None:
    closed = 0
    lines = (SHARED_DATA / "ws" / "ws_kline_frames_cryptofeed.jsonl").read_text().splitlines()
    for line in lines:
        frame = json.loads(line)["raw"]
        symbol = json.loads(frame)["data"]["s"]
        update = FrameParser(symbol, Interval.MINUTE_1).parse(frame.encode())
        assert isinstance(update, CandleUpdate)
        candle = parse_candle(update.record)
        assert candle.low <= min(candle.open, candle.close)
        assert max(candle.open, candle.close) <= candle.high
        closed += update.is_closed
    assert closed == 9
