from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadertask_contract.intervals import Interval
from loadertask_contract.records import CANDLE_FIELDS, parse_candle
from loadertask_worker.binance.klines import KlinePage, KlineParser
from loadertask_worker.errors import ProtocolViolatedError, SourceError, SourceUnavailableError

PARSER = KlineParser("BTCUSDT", Interval.MINUTE_1)
ROW: list[Any] = [
    1672531200000, "16541.77000000", "16545.70000000", "16508.39000000", "16529.67000000",
    "4364.83570000", 1672531259999, "72146293.51000000", 149854, "2179.94772000",
    "36032482.97000000", "0",
]  # fmt: skip
FIELDS = list(CANDLE_FIELDS)

_decimals = st.from_regex(r"\A(0|[1-9][0-9]{0,9})(\.[0-9]{1,12})?\Z")
_times = st.integers(0, 10**15)
_rows = st.lists(
    st.tuples(
        _times, _decimals, _decimals, _decimals, _decimals, _decimals, _times, _decimals,
        st.integers(0, 10**9), _decimals, _decimals, st.just("0"),
    ),
    max_size=5,
)  # fmt: skip


def usual(rows: Any) -> bytes:
    return json.dumps(rows, separators=(",", ":")).encode()


def test_a_row_becomes_a_record_with_the_digits_of_the_venue() -> None:
    assert PARSER.parse(usual([ROW])) == KlinePage(
        [1672531200000],
        [
            b'{"open_time":1672531200000,"open":16541.77000000,"high":16545.70000000,'
            b'"low":16508.39000000,"close":16529.67000000,"volume":4364.83570000,'
            b'"close_time":1672531259999,"quote_asset_volume":72146293.51000000,'
            b'"number_of_trades":149854,"taker_buy_base_asset_volume":2179.94772000,'
            b'"taker_buy_quote_asset_volume":36032482.97000000,'
            b'"symbol":"BTCUSDT","interval":"1m"}'
        ],
    )


def test_no_rows_are_no_records() -> None:
    assert PARSER.parse(b"[]") == KlinePage([], [])


@given(_rows)
def test_every_digit_arrives_whatever_the_spelling_of_the_json(rows: list[tuple[Any, ...]]) -> None:
    page = PARSER.parse(usual(rows))
    assert page == PARSER.parse(json.dumps(rows, indent=1).encode())
    assert list(page.opens) == [row[0] for row in rows]
    for row, record in zip(rows, page.records, strict=True):
        texts = json.loads(record, parse_float=str, parse_int=str)
        assert [texts[field] for field in FIELDS] == [str(value) for value in row[:11]]
        assert parse_candle(record).symbol == "BTCUSDT"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'[[1672531200000,"16541.7',
        b"\xff\xfe",
        b"[" * 100_000,
        usual([ROW])[:-1],
        b"[NaN]",
    ],
)
def test_what_is_not_json_may_be_tried_again(body: bytes) -> None:
    with pytest.raises(SourceUnavailableError, match="not JSON"):
        PARSER.parse(body)


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("open", "NaN", "'NaN'"),
        ("open", "", "''"),
        ("high", "1e5", "'1e5'"),
        ("low", "-1.0", "'-1.0'"),
        ("close", "+1", "'\\+1'"),
        ("close", " 1", "' 1'"),
        ("volume", "1.", "'1.'"),
        ("volume", ".5", "'.5'"),
        ("volume", "007", "'007'"),
        ("volume", "1_000", "'1_000'"),
        ("quote_asset_volume", "٣", "'٣'"),
        ("taker_buy_base_asset_volume", None, "'None'"),
        ("taker_buy_quote_asset_volume", True, "'True'"),
        ("open", 16541.77, "'16541.77'"),
        ("open", '1"', "'1\"'"),
        ("open_time", "1672531200000", "'1672531200000'"),
        ("open_time", 1.5, "'1.5'"),
        ("open_time", -1, "'-1'"),
        ("close_time", [], r"'\[\]'"),
        ("number_of_trades", {}, "'{}'"),
        ("number_of_trades", 10**30, "'1000"),
    ],
)
def test_a_value_that_is_no_plain_number_is_refused_by_name(
    field: str, value: Any, shown: str
) -> None:
    row = [*ROW]
    row[FIELDS.index(field)] = value
    with pytest.raises(ProtocolViolatedError, match=f"row 1: {field} is {shown}"):
        PARSER.parse(usual([ROW, row]))


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"{}", "not a list"),
        (b'{"code":0,"msg":"x"}', "not a list"),
        (b"[[]]", "row 0 is not a list of 12"),
        (b"[1]", "row 0"),
        (usual([ROW, ROW[:11]]), "row 1"),
        (usual([[*ROW, 1]]), "row 0"),
    ],
)
def test_an_answer_of_another_shape_is_refused(body: bytes, what: str) -> None:
    with pytest.raises(ProtocolViolatedError, match=what):
        PARSER.parse(body)


@given(st.data())
def test_a_damaged_answer_never_passes_for_another_page(data: st.DataObject) -> None:
    """One byte changed: the page is refused, or it is what a JSON parser reads there."""
    body = bytearray(usual([ROW, [ROW[0] + 60_000, *ROW[1:]]]))
    position = data.draw(st.integers(0, len(body) - 1))
    body[position] = data.draw(st.integers(0, 255))
    try:
        page = PARSER.parse(bytes(body))
    except SourceError:
        return
    rows = json.loads(body)
    assert list(page.opens) == [row[0] for row in rows]
    for row, record in zip(rows, page.records, strict=True):
        texts = json.loads(record, parse_float=str, parse_int=str)
        assert [texts[field] for field in FIELDS] == [str(value) for value in row[:11]]


def test_rows_without_commas_between_them_are_no_page() -> None:
    row = usual(ROW)
    for between in (b"", b";", b"[", b",,", b"],["):
        with pytest.raises(SourceError):
            PARSER.parse(b"[" + row + between + row + b"]")
