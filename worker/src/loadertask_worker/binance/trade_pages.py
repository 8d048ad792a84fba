"""Pages of the venue's trades over REST: by id, and the ids that belong to moments.

Trades are paged by id alone, since many of them share a millisecond; a moment is asked for once.
Raw trades cannot be asked for by time: the aggregates know the ids of the trades in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadertask_contract.environment import Trades
from loadertask_worker.binance.cells import integer_cell, json_list
from loadertask_worker.binance.trades import NO_TRADE, TradeParser
from loadertask_worker.errors import ProtocolViolatedError
from loadertask_worker.windows import ROWS_PER_REQUEST

if TYPE_CHECKING:
    from loadertask_worker.binance.rest import BinanceRest, Params
    from loadertask_worker.seams import Rows

AGG_TRADES_WEIGHT = 4
HISTORICAL_TRADES_WEIGHT = 25


@dataclass(frozen=True, slots=True)
class _Aggregate:
    """The ids of an aggregate: its own, and of the first and the last trade in it."""

    own: int
    first: int
    last: int


class TradePages:
    """The trades of one symbol, aggregates or raw ones."""

    def __init__(self, venue: BinanceRest, symbol: str, kind: Trades) -> None:
        self._venue, self._symbol, self._kind = venue, symbol, kind
        self._parser = TradeParser(symbol, kind)

    @property
    def weight(self) -> int:
        """What one page weighs."""
        if self._kind is Trades.AGGREGATE:
            return AGG_TRADES_WEIGHT
        return HISTORICAL_TRADES_WEIGHT

    async def from_id(self, trade_id: int) -> Rows:
        """GET a page of trades: those with the lowest ids from ``trade_id`` on."""
        params: Params = {"symbol": self._symbol, "fromId": trade_id, "limit": ROWS_PER_REQUEST}
        endpoint = "aggTrades" if self._kind is Trades.AGGREGATE else "historicalTrades"
        return await self._venue.get(endpoint, self.weight, params, self._parser.parse)

    async def first_id_at(self, time_ms: int) -> int:
        """The id of the first trade at or after a moment; the next one's where there is none yet.

        A venue that keeps no trades from so early answers with the oldest it has.
        """
        for aggregate in await self._aggregates(startTime=time_ms):
            return aggregate.own if self._kind is Trades.AGGREGATE else aggregate.first
        latest = await self._aggregates()
        if not latest:
            return 0
        return 1 + (latest[-1].own if self._kind is Trades.AGGREGATE else latest[-1].last)

    async def _aggregates(self, **selection: int) -> list[_Aggregate]:
        params: Params = {"symbol": self._symbol, **selection, "limit": ROWS_PER_REQUEST}
        return await self._venue.get("aggTrades", AGG_TRADES_WEIGHT, params, _aggregates)


def _aggregates(body: bytes) -> list[_Aggregate]:
    """The aggregates of an answer that hold trades: cancelled ones do not."""
    found = []
    for number, row in enumerate(json_list(body, "trades")):
        if not isinstance(row, dict):
            raise ProtocolViolatedError(f"row {number} is not a trade")
        if row.get("f") == NO_TRADE.decode():
            continue
        own, first, last = (int(integer_cell(number, name, row.get(name))) for name in "afl")
        found.append(_Aggregate(own, first, last))
    return found
