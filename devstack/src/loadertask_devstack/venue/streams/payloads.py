"""The JSON text of every event, fields in the venue's order (web-socket-streams.md). Pure.

Times are handed in as epoch milliseconds and written in the unit that the connection asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from loadertask_contract.intervals import Interval
from loadertask_devstack.venue.candles import Candle, units_text
from loadertask_devstack.venue.trade_tape import AggTrade, Trade

Levels = Iterable[tuple[int, int]]
_SPELLED = lru_cache(maxsize=65_536)(units_text)  # prices and amounts repeat


@dataclass(frozen=True, slots=True)
class TimeUnit:
    """How times are written: ``scale`` per millisecond; ``rest`` fills a last instant up."""

    scale: int
    rest: int


MILLISECONDS, MICROSECONDS = TimeUnit(1, 0), TimeUnit(1000, 999)


def kline(
    symbol: str,
    interval: Interval,
    candle: Candle,
    first_id: int,
    event_ms: int,
    unit: TimeUnit,
    *,
    is_closed: bool,
) -> str:
    """A candle as it stands; without trades both ids are -1."""
    count = candle.trade_count
    first, last = (first_id, first_id + count - 1) if count else (-1, -1)
    return (
        f'{{"e":"kline","E":{event_ms * unit.scale},"s":"{symbol}","k":{{'
        f'"t":{candle.open_time_ms * unit.scale},'
        f'"T":{candle.close_time_ms * unit.scale + unit.rest},'
        f'"s":"{symbol}","i":"{interval.value}","f":{first},"L":{last},'
        f'"o":"{_SPELLED(candle.open)}","c":"{_SPELLED(candle.close)}",'
        f'"h":"{_SPELLED(candle.high)}","l":"{_SPELLED(candle.low)}",'
        f'"v":"{units_text(candle.volume)}","n":{count},"x":{"true" if is_closed else "false"},'
        f'"q":"{units_text(candle.quote_volume)}","V":"{units_text(candle.taker_volume)}",'
        f'"Q":"{units_text(candle.taker_quote_volume)}","B":"0"}}}}'
    )


def trade(symbol: str, trade: Trade, event_ms: int, unit: TimeUnit) -> str:
    """One trade."""
    return (
        f'{{"e":"trade","E":{event_ms * unit.scale},"s":"{symbol}","t":{trade.id},'
        f'"p":"{_SPELLED(trade.price)}","q":"{_SPELLED(trade.quantity)}",'
        f'"T":{trade.time_ms * unit.scale},"m":{_boolean(trade.is_buyer_maker)},"M":true}}'
    )


def aggregate(symbol: str, trade: AggTrade, event_ms: int, unit: TimeUnit) -> str:
    """One aggregate trade with the ids of its first and last trade."""
    return (
        f'{{"e":"aggTrade","E":{event_ms * unit.scale},"s":"{symbol}","a":{trade.id},'
        f'"p":"{_SPELLED(trade.price)}","q":"{_SPELLED(trade.quantity)}",'
        f'"f":{trade.first_id},"l":{trade.last_id},'
        f'"T":{trade.time_ms * unit.scale},"m":{_boolean(trade.is_buyer_maker)},"M":true}}'
    )


def depth_update(
    symbol: str,
    first_update: int,
    last_update: int,
    bids: Levels,
    asks: Levels,
    event_ms: int,
    unit: TimeUnit,
) -> str:
    """What changed in the book; an amount of zero removes a level."""
    return (
        f'{{"e":"depthUpdate","E":{event_ms * unit.scale},"s":"{symbol}","U":{first_update},'
        f'"u":{last_update},"b":{levels_text(bids)},"a":{levels_text(asks)}}}'
    )


def book(last_update: int, bids: Levels, asks: Levels) -> str:
    """A snapshot of the book, of REST and of the partial streams alike."""
    return f'{{"lastUpdateId":{last_update},"bids":{levels_text(bids)},"asks":{levels_text(asks)}}}'


def book_ticker(symbol: str, update: int, bid: tuple[int, int], ask: tuple[int, int]) -> str:
    """The best prices; it carries no time."""
    (bid_price, bid_amount), (ask_price, ask_amount) = bid, ask
    return (
        f'{{"u":{update},"s":"{symbol}","b":"{_SPELLED(bid_price)}","B":"{_SPELLED(bid_amount)}",'
        f'"a":"{_SPELLED(ask_price)}","A":"{_SPELLED(ask_amount)}"}}'
    )


def shutdown(event_ms: int, unit: TimeUnit) -> str:
    """The venue is about to close this connection."""
    return f'{{"e":"serverShutdown","E":{event_ms * unit.scale}}}'


def enveloped(stream: str, text: str) -> str:
    """The text as a combined connection carries it."""
    return f'{{"stream":"{stream}","data":{text}}}'


def levels_text(levels: Levels) -> str:
    """Price levels as pairs of strings."""
    pairs = (f'["{_SPELLED(price)}","{_SPELLED(amount)}"]' for price, amount in levels)
    return f"[{','.join(pairs)}]"


def _boolean(value: bool) -> str:
    return "true" if value else "false"
