from __future__ import annotations

import io
import json
import zipfile
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources import recorded_day

from loadertask_contract.environment import Trades
from loadertask_contract.intervals import Interval
from loadertask_contract.records import parse_candle, parse_trade
from loadertask_worker.binance.archive_rows import (
    PIECE_BYTES,
    ArchiveFileError,
    CandleReader,
    TradeReader,
    pieces,
)
from loadertask_worker.binance.klines import KlineParser
from loadertask_worker.seams import CANCELLED

STEM = "BTCUSDT-1m-2023-01-01"
CANDLES = CandleReader("BTCUSDT", Interval.MINUTE_1)
AGGREGATES = TradeReader("BTCUSDT", Trades.AGGREGATE)
RAW = TradeReader("BTCUSDT", Trades.RAW)
CANDLE = (
    b"1672531200000,16541.77000000,16544.76000000,16538.45000000,16543.67000000,83.08143000,"
    b"1672531259999,1374268.84886160,2687,40.18369000,664706.01106360,0\n"
)
IN_MICROSECONDS = CANDLE.replace(b"1672531200000", b"1672531200000000").replace(
    b"1672531259999", b"1672531259999999"
)
AGG_TRADE = b"202790190,7139.89000000,0.06702300,222825297,222825298,1577977823305,False,True\n"
RAW_TRADE = b"222825297,7139.89000000,0.06702300,478.53684747,1577977823305,True,True\n"
HEADER = b"open_time,open,high,low,close,volume,close_time,quote_volume,count,a,b,ignore\n"


def zipped(text: bytes, name: str = f"{STEM}.csv") -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(name, text)
    file.seek(0)
    return file


def test_a_recorded_day_gives_the_records_that_rest_would_give() -> None:
    _, rows = recorded_day()
    body = json.dumps(
        [[int(v) if i in (0, 6, 8) else v for i, v in enumerate(row)] + ["0"] for row in rows]
    ).encode()
    page = KlineParser("BTCUSDT", Interval.MINUTE_1).parse(body)
    found = CANDLES.rows("".join(f"{','.join(row)},0\n" for row in rows).encode())
    assert found.records == page.records
    assert found.positions == found.times_ms == page.opens


@pytest.mark.parametrize("line", [CANDLE, IN_MICROSECONDS, CANDLE.replace(b"\n", b"\r\n")])
def test_times_are_milliseconds_whatever_the_file_has(line: bytes) -> None:
    rows = CANDLES.rows(line)
    candle = parse_candle(rows.records[0])
    assert (candle.open_time, candle.close_time) == (1672531200000, 1672531259999)
    assert rows.positions == [1672531200000]


@pytest.mark.parametrize(
    ("reader", "line", "trade_id", "maker"),
    [(AGGREGATES, AGG_TRADE, 202790190, False), (RAW, RAW_TRADE, 222825297, True)],
)
@pytest.mark.parametrize("unit", [b"", b"123"])
def test_a_trade_becomes_a_record_with_the_digits_of_the_file(
    reader: TradeReader, line: bytes, trade_id: int, maker: bool, unit: bytes
) -> None:
    rows = reader.rows(line.replace(b"1577977823305", b"1577977823305" + unit))
    assert (rows.positions, rows.times_ms) == ([trade_id], [1577977823305])
    assert rows.records == [
        b'{"trade_id":%d,"price":7139.89000000,"quantity":0.06702300,"timestamp":1577977823305,'
        b'"is_buyer_maker":%b,"symbol":"BTCUSDT"}' % (trade_id, str(maker).lower().encode())
    ]
    assert parse_trade(rows.records[0]).price == Decimal("7139.89000000")


def test_a_cancelled_duplicate_keeps_its_id_alone() -> None:
    rows = AGGREGATES.rows(AGG_TRADE + b"202790191,0,0,-1,-1,1577977823305,False,True\n")
    assert rows.positions == [202790190, 202790191]
    assert rows.records[1] == CANCELLED


@pytest.mark.parametrize(
    ("given_text", "cut"),
    [(CANDLE * 3, CANDLE * 3), (HEADER + CANDLE, CANDLE), (CANDLE[:-1], CANDLE), (b"", b""),
     (CANDLE + CANDLE[:-1], CANDLE * 2), (HEADER, b"")],
)  # fmt: skip
def test_a_file_is_its_lines_without_a_header(given_text: bytes, cut: bytes) -> None:
    assert b"".join(pieces(zipped(given_text), STEM)) == cut


def test_a_large_file_comes_in_pieces_of_whole_lines() -> None:
    lines = CANDLE * 10_000
    found = list(pieces(zipped(lines), STEM))
    assert b"".join(found) == lines
    assert len(found) > 4
    assert all(piece.endswith(b"\n") and len(piece) < PIECE_BYTES * 2 for piece in found)


@pytest.mark.parametrize(
    ("file", "what"),
    [
        (io.BytesIO(b""), "no sound zip"),
        (io.BytesIO(b"<html>blocked</html>"), "no sound zip"),
        (io.BytesIO(zipped(CANDLE * 99).getvalue()[:150]), "no sound zip"),
        (zipped(CANDLE, "other.csv"), "holds other.csv, not"),
        (zipped(b"7" * 5000), "a line of more than 4096 bytes"),
        (zipped(b"7" * PIECE_BYTES * 3), "a line of more than 4096 bytes"),
    ],
)
def test_a_file_that_is_none_of_the_venues_is_refused(file: io.BytesIO, what: str) -> None:
    with pytest.raises(ArchiveFileError, match=what):
        list(pieces(file, STEM))


@given(st.data())
def test_a_zip_damaged_anywhere_is_refused_or_still_whole(data: st.DataObject) -> None:
    text = CANDLE * 20
    damaged = bytearray(zipped(text).getvalue())
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = b"".join(pieces(io.BytesIO(bytes(damaged)), STEM))
    except ArchiveFileError:
        return
    assert found == text


@pytest.mark.parametrize(
    "line",
    [
        CANDLE.replace(b"16541.77000000", b"NaN"),
        CANDLE.replace(b"16541.77000000", b"1e5"),
        CANDLE.replace(b"16541.77000000", b"-1"),
        CANDLE.replace(b"16541.77000000", b""),
        CANDLE.replace(b"16541.77000000", b"016541.77"),
        CANDLE.replace(b"16541.77000000", b"16541."),
        CANDLE.replace(b"16541.77000000", b'"16541.77"'),
        CANDLE.replace(b"1672531200000", b"1672531200"),
        CANDLE.replace(b"1672531200000", b"16725312000000"),
        CANDLE.replace(b"2687", b"2687.0"),
        CANDLE.replace(b",0\n", b"\n"),
        CANDLE.replace(b",0\n", b",0,0\n"),
        b"\n",
        b"<html>\n",
        AGG_TRADE,
    ],
)
def test_a_line_that_is_no_candle_is_refused_and_shown(line: bytes) -> None:
    with pytest.raises(ArchiveFileError, match="no row of numbers: "):
        CANDLES.rows(CANDLE + line + CANDLE)


@pytest.mark.parametrize(
    "line",
    [
        AGG_TRADE.replace(b"False", b"no"),
        AGG_TRADE.replace(b"False", b"0"),
        AGG_TRADE.replace(b"202790190", b"-1"),
        AGG_TRADE.replace(b"222825297", b"-2"),
        AGG_TRADE.replace(b"0.06702300", b"6e-2"),
        RAW_TRADE,
        CANDLE,
    ],
)
def test_a_line_that_is_no_aggregate_is_refused_and_shown(line: bytes) -> None:
    with pytest.raises(ArchiveFileError, match="no row of numbers: "):
        AGGREGATES.rows(AGG_TRADE + line + AGG_TRADE)


@given(st.data())
def test_a_damaged_line_is_refused_or_reads_as_it_stands(data: st.DataObject) -> None:
    """One byte changed: what passes carries exactly the digits of the line."""
    line = bytearray(CANDLE)
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    try:
        rows = CANDLES.rows(bytes(line))
    except ArchiveFileError:
        return
    cells: list[Any] = bytes(line).decode().strip().split(",")
    texts = list(json.loads(rows.records[0], parse_float=str, parse_int=str).values())
    assert texts[:11] == cells[:11]
