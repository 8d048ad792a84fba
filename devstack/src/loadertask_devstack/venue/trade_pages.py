"""Pages of trades: which rows a query gets, and their JSON text. Pure: the time is handed in.

Rules of binance-spot-api-docs: ``fromId`` inclusive and ascending, times inclusive, with a start
the oldest first, else the newest; an id that is no longer kept stands for the oldest kept one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loadertask_devstack.venue.candles import units_text
from loadertask_devstack.venue.symbols import Symbol
from loadertask_devstack.venue.trade_tape import AggTrade, Trade, TradeTape

_WORDS = ("false", "true")


@dataclass(frozen=True, slots=True)
class TradesQuery:
    """A checked query; times in epoch milliseconds, inclusive, None where not sent."""

    symbol: Symbol
    limit: int
    first_id: int | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    microseconds: bool = False


def agg_page(query: TradesQuery, tape: TradeTape, oldest_ms: int, now_ms: int) -> list[AggTrade]:
    """The aggregate trades that the venue would answer."""
    first, stop = _bounds(query, tape, oldest_ms, now_ms, is_aggregate=True)
    return tape.agg_from(first, max(stop - first, 0), now_ms)


def trades_page(query: TradesQuery, tape: TradeTape, oldest_ms: int, now_ms: int) -> list[Trade]:
    """The trades that the venue would answer."""
    first, stop = _bounds(query, tape, oldest_ms, now_ms, is_aggregate=False)
    return tape.trades_from(first, max(stop - first, 0), now_ms)


def agg_text(rows: Sequence[AggTrade], *, microseconds: bool) -> str:
    """The JSON array of ``aggTrades``."""
    scale = 1000 if microseconds else 1
    return _array(
        f'{{"a":{row.id},"p":"{_decimal(row.price)}","q":"{_decimal(row.quantity)}",'
        f'"f":{row.first_id},"l":{row.last_id},"T":{row.time_ms * scale},'
        f'"m":{_WORDS[row.is_buyer_maker]},"M":true}}'
        for row in rows
    )


def trades_text(rows: Sequence[Trade], *, microseconds: bool) -> str:
    """The JSON array of ``trades`` and ``historicalTrades``."""
    scale = 1000 if microseconds else 1
    return _array(
        f'{{"id":{row.id},"price":"{units_text(row.price)}","qty":"{units_text(row.quantity)}",'
        f'"quoteQty":"{units_text(row.quote_quantity)}","time":{row.time_ms * scale},'
        f'"isBuyerMaker":{_WORDS[row.is_buyer_maker]},"isBestMatch":true}}'
        for row in rows
    )


def _decimal(units: int) -> str:
    return units_text(units) if units else "0"  # a cancelled row


def _array(rows: Iterable[str]) -> str:
    return f"[{','.join(rows)}]"


def _bounds(
    query: TradesQuery, tape: TradeTape, oldest_ms: int, now_ms: int, *, is_aggregate: bool
) -> tuple[int, int]:
    """The first id and the one behind the last."""
    oldest, newest = tape.before(oldest_ms)[is_aggregate], tape.before(now_ms + 1)[is_aggregate]
    if query.end_ms is not None:
        newest = min(newest, tape.before(query.end_ms + 1)[is_aggregate])
    if query.first_id is not None:
        first = query.first_id
    elif query.start_ms is not None:
        first = tape.before(query.start_ms)[is_aggregate]
    else:
        first = newest - query.limit
    first = max(first, oldest)
    return first, min(first + query.limit, newest)
