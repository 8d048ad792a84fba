"""The shapes of data records (design contract §2).

Numbers keep the digits that the venue sent: they are put into the JSON text as they came, never
through binary floating point.
"""

from __future__ import annotations

import json
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


def candle_template(symbol: str, interval: Interval) -> str:
    """A ``%`` template that turns the eleven values of CANDLE_FIELDS into a record's JSON.

    The values must be JSON numbers already (text or int): the caller has checked them.
    """
    numbers = ",".join(f'"{field}":%s' for field in CANDLE_FIELDS)
    tail = f'"symbol":{json.dumps(symbol)},"interval":{json.dumps(interval.value)}'.replace(
        "%", "%%"
    )
    return f"{{{numbers},{tail}}}"


def parse_candle(value: bytes) -> Candle:
    """Read a candle record without losing a digit.

    Raises:
        ValueError: it is not a candle record.

    """
    return Candle.model_validate(json.loads(value, parse_float=Decimal))
