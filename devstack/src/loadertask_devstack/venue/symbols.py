"""The symbols of the replay and what ``exchangeInfo`` says about them.

The list has every status a client may meet, a quiet pair, a relisted one and a Unicode name.
Pure; the shapes are the venue's (binance-spot-api-docs, rest-api.md and enums.md).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from loadertask_devstack.venue.candles import UNITS_PER_ONE, units_text
from loadertask_devstack.venue.outages import Outage, moment_ms


class SymbolStatus(StrEnum):
    """The venue's names."""

    TRADING = "TRADING"
    HALT = "HALT"
    BREAK = "BREAK"
    CANCEL_ONLY = "CANCEL_ONLY"


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol; prices count in ticks of 10**-price_decimals, amounts in 10**-amount_decimals.

    ``closed`` ends its candles (delisted, or cancel-only); after ``halted`` they are flat. All
    minutes of a ``busy`` symbol are alike, with so many trades a second.
    """

    name: str
    base: str
    quote: str
    listed: str
    price: int
    price_decimals: int
    amount_decimals: int
    status: SymbolStatus = SymbolStatus.TRADING
    closed: str | None = None
    halted: str | None = None
    quiet_percent: int = 0
    busy: int = 0
    outages: tuple[Outage, ...] = field(default=())

    @property
    def listed_ms(self) -> int:
        """Open time of its first minute, epoch milliseconds."""
        return moment_ms(self.listed)

    @property
    def closed_ms(self) -> int | None:
        """End of its last minute (exclusive), None while it has candles."""
        return moment_ms(self.closed) if self.closed else None

    @property
    def halted_ms(self) -> int | None:
        """Since when its candles are flat."""
        return moment_ms(self.halted) if self.halted else None

    @property
    def tick_units(self) -> int:
        """One price tick in units of 1e-8."""
        return int(UNITS_PER_ONE // 10**self.price_decimals)

    @property
    def step_units(self) -> int:
        """One amount step in units of 1e-8."""
        return int(UNITS_PER_ONE // 10**self.amount_decimals)


# ``price`` is where the synthetic price starts, in ticks.
SYMBOLS: dict[str, Symbol] = {
    symbol.name: symbol
    for symbol in (
        Symbol("BTCUSDT", "BTC", "USDT", "2017-08-17T04:00", 2_600_000, 2, 5),
        Symbol("ETHUSDT", "ETH", "USDT", "2017-08-17T04:00", 180_000, 2, 4),
        Symbol("ETHBTC", "ETH", "BTC", "2017-07-14T04:00", 50_000, 6, 2),
        Symbol("BNBBTC", "BNB", "BTC", "2017-07-14T04:00", 60_000, 7, 1, quiet_percent=10),
        Symbol("BNBUSDT", "BNB", "USDT", "2017-11-06T03:00", 45_000, 2, 3),
        Symbol("ADAUSDT", "ADA", "USDT", "2018-04-17T04:00", 48_000, 5, 1),
        Symbol("XRPUSDT", "XRP", "USDT", "2018-05-04T08:00", 62_000, 5, 0),
        Symbol("DOGEUSDT", "DOGE", "USDT", "2019-07-05T12:00", 81_000, 6, 0),
        Symbol("SOLUSDT", "SOL", "USDT", "2020-08-11T06:00", 52_000, 3, 3),
        Symbol("LINKUSDT", "LINK", "USDT", "2019-01-16T10:00", 71_000, 4, 2),
        Symbol("LTCUSDT", "LTC", "USDT", "2017-12-13T03:32", 93_000, 3, 3),
        Symbol(
            "USDCUSDT", "USDC", "USDT", "2018-12-15T03:00", 99_980, 5, 0,
            outages=(Outage(moment_ms("2022-09-29T03:00"), moment_ms("2023-03-12T06:00")),),
        ),
        Symbol("QUIETUSDT", "QUIET", "USDT", "2023-01-01T00:00", 40_000, 4, 1, quiet_percent=60),
        Symbol(
            "HALTUSDT", "HALT", "USDT", "2021-05-01T10:00", 64_000, 4, 1,
            SymbolStatus.HALT, halted="2026-01-15T12:00",
        ),
        Symbol(
            "BREAKUSDT", "BREAK", "USDT", "2019-03-01T08:00", 77_000, 4, 1,
            SymbolStatus.BREAK, closed="2022-11-28T03:00",
        ),
        Symbol(
            "CANCELUSDT", "CANCEL", "USDT", "2020-02-03T09:00", 58_000, 4, 1,
            SymbolStatus.CANCEL_ONLY, closed="2026-07-07T07:00",
        ),
        Symbol("BUSYUSDT", "BUSY", "USDT", "2026-01-01T00:00", 250_000, 2, 5, busy=2000),
        Symbol("币安人生USDT", "币安人生", "USDT", "2026-01-07T14:00", 90_000, 5, 1),
    )
}  # fmt: skip


def symbol_info(symbol: Symbol, *, with_permission_sets: bool = True) -> dict[str, Any]:
    """The symbol's object in ``exchangeInfo``, with keys that a client does not know."""
    return {
        "symbol": symbol.name,
        "status": symbol.status,
        "baseAsset": symbol.base,
        "baseAssetPrecision": 8,
        "quoteAsset": symbol.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "TAKE_PROFIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": True,
        "replayUnknownFlag": {"addedLater": True},
        "isSpotTradingAllowed": symbol.status is SymbolStatus.TRADING,
        "isMarginTradingAllowed": False,
        "filters": _filters(symbol),
        "permissions": [],
        "permissionSets": [["SPOT", "TRD_GRP_004", "TRD_GRP_005"]] if with_permission_sets else [],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }


def exchange_info(
    symbols: Collection[Symbol],
    *,
    server_time: int,
    weight_per_minute: int,
    raw_per_five_minutes: int,
    with_permission_sets: bool = True,
) -> dict[str, Any]:
    """The whole answer; ``server_time`` is in the unit that the caller asked for."""
    limits = (
        ("REQUEST_WEIGHT", "MINUTE", 1, weight_per_minute),
        ("ORDERS", "SECOND", 10, 100),
        ("ORDERS", "DAY", 1, 200_000),
        ("RAW_REQUESTS", "MINUTE", 5, raw_per_five_minutes),
    )
    names = ("rateLimitType", "interval", "intervalNum", "limit")
    return {
        "timezone": "UTC",
        "serverTime": server_time,
        "rateLimits": [dict(zip(names, limit, strict=True)) for limit in limits],
        "exchangeFilters": [],
        "symbols": [
            symbol_info(symbol, with_permission_sets=with_permission_sets) for symbol in symbols
        ],
    }


def _filters(symbol: Symbol) -> list[dict[str, Any]]:
    tick, step = units_text(symbol.tick_units), units_text(symbol.step_units)
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000",
         "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000000.00000000",
         "stepSize": step},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True,
         "maxNotional": "9000000.00000000", "applyMaxToMarket": False, "avgPriceMins": 5},
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
    ]  # fmt: skip
