"""The shapes of data records (design contract §2).

Numbers keep the digits that the venue sent: they are put into the JSON text as they came, never
through binary floating point.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from loadertask_contract.intervals import Interval

CANDLE_FIELDS = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_asset_volume",
    "number_of_trades",
    "taker_buy_base_asset_volume",
    "taker_buy_quote_asset_volume",
)
"""The numbers of a candle record, in the order of the venue's kline array (indices 0 to 10)."""


TRADE_FIELDS = ("trade_id", "price", "quantity", "timestamp", "is_buyer_maker")
"""The values of a trade record before its symbol, in the order of its template."""


class Candle(BaseModel):
    """A candle record as a reader sees it; prices and volumes are decimals, times epoch ms."""

    model_config = ConfigDict(frozen=True)

    open_time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    close_time: int
    quote_asset_volume: Decimal
    number_of_trades: int
    taker_buy_base_asset_volume: Decimal
    taker_buy_quote_asset_volume: Decimal
    symbol: str
    interval: Interval


class Trade(BaseModel):
    """A trade record as a reader sees it, aggregate or raw; the time is epoch ms."""

    model_config = ConfigDict(frozen=True)

    trade_id: int
    price: Decimal
    quantity: Decimal
    timestamp: int
    is_buyer_maker: bool
    symbol: str


def candle_template(symbol: str, interval: Interval) -> str:
    """A ``%`` template that turns the eleven values of CANDLE_FIELDS into a record's JSON.

    The values must be JSON numbers already (text or int): the caller has checked them.
    """
    return _template(CANDLE_FIELDS, {"symbol": symbol, "interval": interval.value})


def trade_template(symbol: str) -> str:
    """The same for a trade and the five values of TRADE_FIELDS: numbers, then true or false."""
    return _template(TRADE_FIELDS, {"symbol": symbol})


def _template(fields: Sequence[str], constants: Mapping[str, str]) -> str:
    values = ",".join(f'"{field}":%s' for field in fields)
    tail = ",".join(f'"{field}":{json.dumps(text)}' for field, text in constants.items())
    return f"{{{values},{tail.replace('%', '%%')}}}"


def parse_candle(value: bytes) -> Candle:
    """Read a candle record without losing a digit.

    Raises:
        ValueError: it is not a candle record.

    """
    return Candle.model_validate(json.loads(value, parse_float=Decimal))


def parse_trade(value: bytes) -> Trade:
    """Read a trade record without losing a digit; raises as `parse_candle`."""
    return Trade.model_validate(json.loads(value, parse_float=Decimal))
