"""The venue's candle as exact integers, and its two spellings: CSV fields and REST row.

Prices and amounts are counted in units of 1e-8, so that arithmetic is exact and every value has
one spelling with eight decimals. Knows nothing of sources, intervals or HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

UNITS_PER_ONE = 10**8
_DECIMALS = 8
# The archive changed from milliseconds to microseconds; 13 digits against 16.
_FIRST_MICROSECONDS = 10**14
_PRICES, _AMOUNT = ",".join(['"%s"'] * 4), '"%d.%08d"'
_ROW = f'[%d,{_PRICES},{_AMOUNT},%d,{_AMOUNT},%d,{_AMOUNT},{_AMOUNT},"0"]'
_LINE = _ROW.strip("[]").replace('"', "")


class Candle(NamedTuple):
    """One candle; times in epoch milliseconds, prices and amounts in units of 1e-8."""

    open_time_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    close_time_ms: int
    quote_volume: int
    trade_count: int
    taker_volume: int
    taker_quote_volume: int


def parse_units(text: str) -> int:
    """The number of 1e-8 units in a decimal string.

    Raises:
        ValueError: not a plain decimal, or more than eight decimals (a digit would be lost).

    """
    if text[-9:-8] == "." and text.replace(".", "", 1).isdecimal():
        return int(text.replace(".", "", 1))  # eight decimals, as nearly always: one third the time
    whole, _, fraction = text.partition(".")
    if len(fraction) > _DECIMALS or not whole.isdigit():
        raise ValueError(f"{text!r} is not a plain decimal with at most {_DECIMALS} decimals")
    return int(whole + fraction.ljust(_DECIMALS, "0"))


def units_text(units: int) -> str:
    """The decimal string, always with eight decimals, as the venue writes it."""
    digits = f"{units:09d}"
    return f"{digits[:-8]}.{digits[-8:]}"


def parse_fields(fields: Sequence[str | int]) -> Candle:
    """A candle from the twelve fields of an archive line or a REST row; ms or µs per row."""
    opened, *prices, volume, closed, quote, count, taker, taker_quote = map(str, fields[:11])
    first, high, low, last = map(parse_units, prices)
    return Candle(
        _milliseconds(int(opened)),
        first,
        high,
        low,
        last,
        parse_units(volume),
        _milliseconds(int(closed)),
        parse_units(quote),
        int(count),
        parse_units(taker),
        parse_units(taker_quote),
    )


def csv_text(candle: Candle) -> str:
    """The archive's line (milliseconds, no line end)."""
    amounts = [units_text(units) for units in candle[1:6]]
    tail = units_text(candle.taker_volume), units_text(candle.taker_quote_volume), "0"
    quote = units_text(candle.quote_volume)
    fields = (*amounts, str(candle.close_time_ms), quote, str(candle.trade_count), *tail)
    return ",".join((str(candle.open_time_ms), *fields))


def row_text(candle: Candle, *, microseconds: bool = False) -> str:
    """The REST row as JSON text: integers at 0, 6 and 8, strings elsewhere, the last one "0"."""
    return row_texts([candle], microseconds=microseconds)[0]


def row_texts(candles: Sequence[Candle], *, microseconds: bool = False) -> list[str]:
    """`row_text` of each; many at once cost half as much, for prices repeat within a day."""
    return _texts(_ROW, candles, microseconds=microseconds)


def csv_texts(candles: Sequence[Candle], *, microseconds: bool = False) -> list[str]:
    """`csv_text` of each, in either unit of time."""
    return _texts(_LINE, candles, microseconds=microseconds)


def _texts(form: str, candles: Sequence[Candle], *, microseconds: bool) -> list[str]:
    scale, shift = (1000, 999) if microseconds else (1, 0)
    price = {units: units_text(units) for units in {p for c in candles for p in c[1:5]}}
    one = UNITS_PER_ONE
    return [
        form
        % (
            opened * scale, price[first], price[high], price[low], price[last],
            volume // one, volume % one, closed * scale + shift, quote // one, quote % one,
            count, taker // one, taker % one, taker_quote // one, taker_quote % one,
        )
        for (
            opened, first, high, low, last, volume, closed, quote, count, taker, taker_quote,
        ) in candles
    ]  # fmt: skip


def _milliseconds(time: int) -> int:
    return time // 1000 if time >= _FIRST_MICROSECONDS else time
