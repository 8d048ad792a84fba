"""Decoders of what the venue says: every digit as it came, or an error of ours."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tests.fuzz.decoder import Decoder, strict

from loadertask_contract.environment import Trades
from loadertask_contract.intervals import Interval
from loadertask_contract.records import CANDLE_FIELDS
from loadertask_worker.binance.answers import Answer, error_of
from loadertask_worker.binance.archive_rows import (
    ArchiveFileError,
    CandleReader,
    RowReader,
    TradeReader,
    pieces,
)
from loadertask_worker.binance.depth import parse_snapshot
from loadertask_worker.binance.exchange_info import parse_exchange_info, parse_server_time
from loadertask_worker.binance.frames import FrameParser, Ignored
from loadertask_worker.binance.klines import KlineParser
from loadertask_worker.binance.trades import NO_TRADE, TradeParser
from loadertask_worker.errors import SourceError
from loadertask_worker.seams import CANCELLED

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_KLINES = KlineParser("BTCUSDT", Interval.MINUTE_1)
_AGGREGATE = TradeParser("BTCUSDT", Trades.AGGREGATE)
_RAW = TradeParser("BTCUSDT", Trades.RAW)
_FRAMES = FrameParser("BTCUSDT", Interval.MINUTE_1)
_CANDLE_FILE = CandleReader("BTCUSDT", Interval.MINUTE_1)
_AGGREGATE_FILE = TradeReader("BTCUSDT", Trades.AGGREGATE)
_RAW_FILE = TradeReader("BTCUSDT", Trades.RAW)

_KLINE = (
    b'[1672531200000,"16541.77000000","16545.70000000","16508.39000000","16529.67000000",'
    b'"4364.83570000",1672531259999,"72146293.51000000",149854,"2179.94772000","36032482.97","0"]'
)
_AGG_TRADE = (
    b'{"a":1,"p":"16541.77000000","q":"0.00200000","f":2,"l":3,"T":1672531200012,"m":true,"M":true}'
)
_RAW_TRADE = (
    b'{"id":1,"price":"16541.77","qty":"0.002","quoteQty":"33.08","time":1672531200012,'
    b'"isBuyerMaker":false,"isBestMatch":true}'
)
_KLINE_FRAME = (
    b'{"e":"kline","E":1672531200012,"s":"BTCUSDT","k":{"t":1672531200000,"T":1672531259999,'
    b'"s":"BTCUSDT","i":"1m","f":1,"L":2,"o":"1.0","c":"2.0","h":"3.0","l":"0.5","v":"10.0",'
    b'"n":7,"x":false,"q":"20.0","V":"5.0","Q":"9.0","B":"0"}}'
)
_AGG_FRAME = (
    b'{"e":"aggTrade","E":1672531200013,"s":"BTCUSDT","a":1,"p":"16541.77","q":"0.002","f":2,'
    b'"l":3,"T":1672531200012,"m":true,"M":true}'
)
_RAW_FRAME = (
    b'{"e":"trade","E":1672531200013,"s":"BTCUSDT","t":1,"p":"16541.77","q":"0.002",'
    b'"T":1672531200012,"m":true,"M":true}'
)
_DEPTH_FRAME = (
    b'{"e":"depthUpdate","E":1672531200013,"s":"BTCUSDT","U":157,"u":160,'
    b'"b":[["0.0024","10"]],"a":[["0.0026","100"]]}'
)
_SNAPSHOT = b'{"lastUpdateId":160,"bids":[["0.0024","10"]],"asks":[["0.0026","100"]]}'
_CANDLE_LINE = (
    b"1672531200000,16541.77000000,16545.7,16508.39,16529.67,4364.8,1672531259999,72146293.5,"
    b"149854,2179.9,36032482.97,0\n"
)
_AGG_LINE = b"1,16541.77,0.002,2,3,1672531200012,True,True\n"
_RAW_LINE = b"1,16541.77,0.002,33.08,1672531200012012,False,True\n"


def check_klines(data: bytes) -> None:
    try:
        page = _KLINES.parse(data)
    except SourceError:
        return
    rows = strict(data)
    assert [str(position) for position in page.opens] == [row[0] for row in rows]
    for row, record in zip(rows, page.records, strict=True):
        said = strict(record)
        assert [said[name] for name in CANDLE_FIELDS] == row[: len(CANDLE_FIELDS)]


def check_aggregate_trades(data: bytes) -> None:
    _check_trades(_AGGREGATE, data, ("a", "p", "q", "T", "m"), first="f")


def check_raw_trades(data: bytes) -> None:
    _check_trades(_RAW, data, ("id", "price", "qty", "time", "isBuyerMaker"))


def _check_trades(parser: TradeParser, data: bytes, names: Sequence[str], first: str = "") -> None:
    try:
        page = parser.parse(data)
    except SourceError:
        return
    rows = strict(data)
    assert [str(position) for position in page.positions] == [row[names[0]] for row in rows]
    for row, record in zip(rows, page.records, strict=True):
        if first and row[first] == NO_TRADE.decode():
            assert record == CANCELLED
        else:
            assert list(strict(record).values()) == [*(row[name] for name in names), "BTCUSDT"]


def check_frame(data: bytes) -> None:
    try:
        update = _FRAMES.parse(data)
    except SourceError:
        return
    if isinstance(update, Ignored):
        return
    event, record = strict(data), strict(update.record)
    event = event["data"] if "stream" in event else event
    if event["e"] == "kline":
        kline = event["k"]
        assert record["open"] == kline["o"]
        assert record["high"] == kline["h"]
        assert record["taker_buy_quote_asset_volume"] == kline["Q"]
        assert update.is_closed is kline["x"]
    elif event["e"] == "depthUpdate":
        assert record == event
        assert (str(update.first_id), str(update.last_id)) == (event["U"], event["u"])
    else:
        assert (record["price"], record["quantity"]) == (event["p"], event["q"])
        assert record["timestamp"] == event["T"]


def check_snapshot(data: bytes) -> None:
    try:
        snapshot = parse_snapshot(data)
    except SourceError:
        return
    assert strict(snapshot.record) == strict(data)
    assert int(strict(data)["lastUpdateId"]) == snapshot.last_id


def check_candle_lines(data: bytes) -> None:
    _check_lines(_CANDLE_FILE, data, list(range(len(CANDLE_FIELDS))), times=(0, 6))


def check_aggregate_lines(data: bytes) -> None:
    _check_lines(_AGGREGATE_FILE, data, [0, 1, 2, 5, 6], times=(5,), first=3)


def check_raw_lines(data: bytes) -> None:
    _check_lines(_RAW_FILE, data, [0, 1, 2, 4, 5], times=(4,))


def _check_lines(
    reader: RowReader, data: bytes, taken: list[int], times: Sequence[int], first: int = -1
) -> None:
    lines = data + b"\n"  # a reader is given whole lines
    try:
        rows = reader.rows(lines)
    except ArchiveFileError:
        return
    found = [line.rstrip(b"\r").decode().split(",") for line in lines.split(b"\n")[:-1]]
    assert len(rows) == len(found)
    for cells, record in zip(found, rows.records, strict=True):
        if first >= 0 and cells[first] == NO_TRADE.decode():
            assert record == CANCELLED
            continue
        wanted = [cells[index][:13] if index in times else cells[index] for index in taken]
        said = [_spelled(value) for value in strict(record).values()]
        assert said[: len(taken)] == [text.lower() for text in wanted]


def _spelled(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def check_zip(data: bytes) -> None:
    try:
        lines = b"".join(pieces(io.BytesIO(data), "day"))
    except ArchiveFileError:
        return
    assert not lines or lines.endswith(b"\n")


def check_exchange_info(data: bytes) -> None:
    for parse in (parse_exchange_info, parse_server_time):
        try:
            parse(data)
        except SourceError:
            continue
    try:
        info = parse_exchange_info(data)
    except SourceError:
        return
    assert info.weight.capacity > 0 < info.requests.capacity


def check_refusal(data: bytes) -> None:
    """A status, a Retry-After and a body: whatever they are, an error of ours, with a text."""
    status = 300 + int.from_bytes(data[:2].ljust(2, b"\0"), "big") % 300
    headers = {"Retry-After": data[2:6].decode("latin-1")}
    error = error_of(Answer(status, headers, data[6:]), "klines", _NOW)
    assert isinstance(error, SourceError)
    assert str(error)


def _zip(content: bytes, name: str = "day.csv", kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as written:
        written.writestr(name, content)
    return file.getvalue()


VENUE_DECODERS = (
    Decoder("klines", check_klines, [b"[]", b"[%s,%s]" % (_KLINE, _KLINE), b"[ %s ]" % _KLINE]),
    Decoder("aggregate-trades", check_aggregate_trades, [b"[%s,%s]" % (_AGG_TRADE, _AGG_TRADE)]),
    Decoder("raw-trades", check_raw_trades, [b"[%s,%s]" % (_RAW_TRADE, _RAW_TRADE)]),
    Decoder(
        "frame",
        check_frame,
        [
            _KLINE_FRAME, _AGG_FRAME, _RAW_FRAME, _DEPTH_FRAME,
            b'{"stream":"btcusdt@depth","data":%s}' % _DEPTH_FRAME,
            b'{"result":null,"id":1}', b'{"error":{"code":2,"msg":"no"}}',
            b'{"e":"serverShutdown","E":1}',
        ],
    ),
    Decoder("snapshot", check_snapshot, [_SNAPSHOT, b" %s\n" % _SNAPSHOT]),
    Decoder("candle-lines", check_candle_lines, [_CANDLE_LINE, _CANDLE_LINE * 2]),
    Decoder("aggregate-lines", check_aggregate_lines, [_AGG_LINE, _AGG_LINE * 2]),
    Decoder("raw-lines", check_raw_lines, [_RAW_LINE, _RAW_LINE * 2]),
    Decoder(
        "zip",
        check_zip,
        [
            _zip(_CANDLE_LINE * 3), _zip(_CANDLE_LINE, "other.csv"),
            _zip(_CANDLE_LINE, kind=zipfile.ZIP_LZMA), _zip(_CANDLE_LINE, kind=zipfile.ZIP_STORED),
        ],
    ),
    Decoder(
        "exchange-info",
        check_exchange_info,
        [
            b'{"serverTime":1672531200000,"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT",'
            b'"interval":"MINUTE","intervalNum":1,"limit":6000}]}'
        ],
    ),
    Decoder(
        "refusal",
        check_refusal,
        [
            b"\x00\x76\x36\x30  "
            b'{"code":-1003,"msg":"Way too much; IP banned until 1672531200000."}',
            b"\x00\x70    <html>forbidden</html>",
        ],
    ),
)  # fmt: skip
