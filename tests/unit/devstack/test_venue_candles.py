"""Candles keep every digit between archive line, REST row and exact integers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadertask_devstack.venue.candles import (
    Candle,
    csv_text,
    parse_fields,
    parse_units,
    row_text,
    row_texts,
    units_text,
)

LINE = (
    "1577836800000,7195.24000000,7196.25000000,7183.14000000,7186.68000000,51.64281200,"
    "1577836859999,371233.51835535,493,19.59823000,140888.41428273,0"
)
amounts = st.integers(min_value=0, max_value=10**18)


@settings(deadline=None)
@given(amounts)
def test_units_and_text_are_inverse(units: int) -> None:
    assert parse_units(units_text(units)) == units


@pytest.mark.parametrize(
    ("text", "units"), [("0", 0), ("1", 10**8), ("0.5", 5 * 10**7), ("12.00000001", 1200000001)]
)
def test_decimals_of_any_length_up_to_eight_are_read(text: str, units: int) -> None:
    assert parse_units(text) == units


@pytest.mark.parametrize("text", ["", "-1", "1e5", "1.123456789", "abc", "1,5", "1..0000000"])
def test_what_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_units(text)


def test_an_archive_line_round_trips() -> None:
    assert csv_text(parse_fields(LINE.split(","))) == LINE


def test_a_row_has_integers_at_0_6_and_8_and_strings_elsewhere() -> None:
    row = json.loads(row_text(parse_fields(LINE.split(","))))
    assert row == [
        1577836800000, "7195.24000000", "7196.25000000", "7183.14000000", "7186.68000000",
        "51.64281200", 1577836859999, "371233.51835535", 493, "19.59823000", "140888.41428273", "0",
    ]  # fmt: skip


def test_microseconds_end_in_999999() -> None:
    row = json.loads(row_text(parse_fields(LINE.split(",")), microseconds=True))
    assert (row[0], row[6]) == (1577836800000000, 1577836859999999)


def test_a_row_in_microseconds_is_told_by_its_magnitude() -> None:
    fields = LINE.split(",")
    fields[0], fields[6] = fields[0] + "000", fields[6] + "999"
    assert csv_text(parse_fields(fields)) == LINE


@settings(deadline=None)
@given(st.lists(st.tuples(*[amounts] * 11).map(Candle._make), max_size=5))
def test_many_rows_at_once_are_the_rows_one_by_one(candles: list[Candle]) -> None:
    assert row_texts(candles) == [row_text(candle) for candle in candles]
    parsed = [parse_fields(json.loads(text)) for text in row_texts(candles)]
    assert [c[1:6] for c in parsed] == [c[1:6] for c in candles]
