"""The shapes of data records (design contract §2).

Numbers keep the digits that the venue sent: they are put into the JSON text as they came, never
through binary floating point.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

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

    open_time: int = Field(description="First millisecond.", examples=["1672531200000"])
    open: Decimal = Field(description="Price of the first trade.", examples=["16541.77000000"])
    high: Decimal = Field(description="Highest price.", examples=["16545.70000000"])
    low: Decimal = Field(description="Lowest price.", examples=["16508.39000000"])
    close: Decimal = Field(description="Price of the last trade.", examples=["16529.67000000"])
    volume: Decimal = Field(
        description="Traded amount of the base asset.", examples=["4364.83570000"]
    )
    close_time: int = Field(description="Last millisecond.", examples=["1672534799999"])
    quote_asset_volume: Decimal = Field(
        description="Traded amount of the quote asset.", examples=["72146293.63590100"]
    )
    number_of_trades: int = Field(description="How many trades.", examples=["149854"])
    taker_buy_base_asset_volume: Decimal = Field(
        description="Part of `volume` that takers bought.", examples=["2179.94772000"]
    )
    taker_buy_quote_asset_volume: Decimal = Field(
        description="Part of `quote_asset_volume` that takers bought.",
        examples=["36032416.36453900"],
    )
    symbol: str = Field(description="Trading pair.", examples=['"BTCUSDT"'])
    interval: Interval = Field(description="Length of the candle.", examples=['"1h"'])


class Trade(BaseModel):
    """A trade record as a reader sees it, aggregate or raw; the time is epoch ms."""

    model_config = ConfigDict(frozen=True)

    trade_id: int = Field(
        description="The venue's id; consecutive within a symbol, of aggregate and of raw trades"
        " each.",
        examples=["1995637302"],
    )
    price: Decimal = Field(description="Price.", examples=["16541.77000000"])
    quantity: Decimal = Field(description="Amount of the base asset.", examples=["0.00200000"])
    timestamp: int = Field(
        description="When it was made, epoch milliseconds.", examples=["1672531200012"]
    )
    is_buyer_maker: bool = Field(
        description="Whether the buyer had waited in the order book.", examples=["false"]
    )
    symbol: str = Field(description="Trading pair.", examples=['"BTCUSDT"'])


class BookGap(BaseModel):
    """A marker in the topic of an order book: changes are missing here, a new snapshot follows."""

    model_config = ConfigDict(frozen=True)

    symbol: str = Field(description="Trading pair.", examples=['"BTCUSDT"'])
    expected_update_id: int = Field(description="The first change that is missing.", examples=["8"])
    got_update_id: int = Field(description="The first change that is here again.", examples=["12"])
    last_event_time: int = Field(
        description="Event time of the last change before, epoch milliseconds.",
        examples=["1672531200012"],
    )
    got_event_time: int = Field(
        description="Event time of the first change after, epoch milliseconds.",
        examples=["1672531201012"],
    )


class RecordHeaders(BaseModel):
    """Kafka headers of a data record; each is optional, and historical records have none."""

    model_config = ConfigDict(frozen=True)

    is_closed: str | None = Field(
        default=None,
        description="Live candle: `true` for its last state, `false` for one that still grows.",
        examples=["true"],
    )
    source: str | None = Field(
        default=None,
        description="Live types: `rest` for a record that was fetched to fill a hole in the"
        " stream.",
        examples=["rest"],
    )
    late: str | None = Field(
        default=None,
        description="Live types: `true` when newer records were published before this one.",
        examples=["true"],
    )
    kind: str | None = Field(
        default=None,
        description="Order book: `snapshot` or `gap`; absent on a change as the venue sent it.",
        examples=["gap"],
    )
    resume: str | None = Field(
        default=None,
        description="Live types, for the worker itself: where a load goes on after this record,"
        " where that is not with the next one (an open time, or a trade's id).",
        examples=["1672531200000"],
    )


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
    return Candle.model_validate(_numbers_kept(value))


def parse_trade(value: bytes) -> Trade:
    """Read a trade record without losing a digit; raises as `parse_candle`."""
    return Trade.model_validate(_numbers_kept(value))


def _numbers_kept(value: bytes) -> Any:
    try:
        return json.loads(value, parse_float=Decimal)
    except (RecursionError, ArithmeticError) as error:
        raise ValueError("nested deeper, or a number larger, than in any record") from error
