"""Pages of the venue's trades over REST: by id, and the ids that belong to moments.

Trades are paged by id alone, since many of them share a millisecond; a moment is asked for once.
Raw trades cannot be asked for by time: the aggregates know the ids of the trades in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from loadertask_contract.environment import Trades
from loadertask_worker.binance.cells import integer_cell, json_list
from loadertask_worker.binance.trades import NO_TRADE, TradeParser
from loadertask_worker.errors import ProtocolViolatedError
from loadertask_worker.seams import Hole, OutOfOrderError, Rows, Seam, every_position
from loadertask_worker.windows import ROWS_PER_REQUEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadertask_worker.binance.requests import Params
    from loadertask_worker.binance.rest import BinanceRest

AGG_TRADES_WEIGHT = 4
HISTORICAL_TRADES_WEIGHT = 25


NEVER_MS = 2**62


@dataclass(frozen=True, slots=True)
class FirstTrade:
    """The first trade at or after a moment: its id and time; one to come has no time yet."""

    trade_id: int
    time_ms: int = NEVER_MS


@dataclass(frozen=True, slots=True)
class TradePage:
    """The trades there are with ids from where was asked to before ``end``, but for ``absent``.

    Where all of them are absent, so are those before ``absent_until``, which may be beyond.
    """

    rows: Rows
    end: int
    absent: Sequence[Hole] = ()
    absent_until: int = 0

    @property
    def told(self) -> list[str]:
        """What people should know of it."""
        return [absent_words(hole) for hole in self.absent]


def absent_words(hole: Hole) -> str:
    """Ids that REST passes over, in words."""
    return f"REST has no trades with the ids {hole.start} to {hole.end - 1}"


@dataclass(frozen=True, slots=True)
class _Aggregate:
    """The ids of an aggregate: its own, and of the first and the last trade in it; its time."""

    own: int
    first: int
    last: int
    time_ms: int


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

    async def between(self, start: int, end: int) -> TradePage:
        """The trades of one answer with ids in [start, end); ids it leaves out are asked for twice.

        Raises:
            ProtocolViolatedError: ids out of order.
            SourceError: as every call of the venue.

        """
        rows = await self._from_id(start)
        until = _first_id(rows)
        if _absent(rows, start, end):
            again = await self._from_id(start)
            until = min(until, _first_id(again))
            rows = _joined(rows, again)
        absent = _absent(rows, start, end)
        reached = min(end, rows.positions[-1] + 1) if len(rows) else start
        stop = next((i for i, each in enumerate(rows.positions) if each >= end), len(rows))
        return TradePage(rows.part(0, stop), reached, absent, until if len(rows) else 0)

    async def _from_id(self, trade_id: int) -> Rows:
        """GET a page of trades: those with the lowest ids from ``trade_id`` on."""

        def parse(body: bytes) -> Rows:
            rows = self._parser.parse(body)
            _absent(rows, trade_id, NEVER_MS)
            return rows

        params: Params = {"symbol": self._symbol, "fromId": trade_id, "limit": ROWS_PER_REQUEST}
        endpoint = "aggTrades" if self._kind is Trades.AGGREGATE else "historicalTrades"
        return await self._venue.get(endpoint, self.weight, params, parse)

    async def first_at(self, time_ms: int) -> FirstTrade:
        """The first trade at or after a moment.

        A venue that keeps no trades from so early answers with the oldest it has.
        """
        is_raw = self._kind is Trades.RAW
        if found := await self._aggregates_twice(startTime=time_ms):
            return FirstTrade(found[0].first if is_raw else found[0].own, found[0].time_ms)
        newest_id = await self.newest_id()
        return FirstTrade(0 if newest_id is None else newest_id + 1)

    async def oldest(self) -> FirstTrade | None:
        """The oldest trade that pages are made of; None: REST keeps none."""
        # An id that is older than what is kept stands for the oldest kept one (#376).
        rows = await self._from_id(0)
        if not len(rows):
            rows = await self._from_id(0)
        return FirstTrade(rows.positions[0], rows.times_ms[0]) if len(rows) else None

    async def newest_id(self) -> int | None:
        """The id of the newest trade; None where there is none."""
        if latest := await self._aggregates():
            return latest[-1].last if self._kind is Trades.RAW else latest[-1].own
        return None

    async def end_at(self, time_ms: int) -> int:
        """The id after the last trade before a moment; 0 where the venue knows of none."""
        last: _Aggregate | None = None
        found = await self._aggregates_twice(endTime=time_ms - 1)
        # A short or stale answer would end the load too early: what follows must be later.
        while found:
            last = found[-1]
            following = await self._aggregates(fromId=last.own + 1)
            found = [each for each in following if each.time_ms < time_ms and each.own > last.own]
        if last is None:
            return 0
        return 1 + (last.last if self._kind is Trades.RAW else last.own)

    async def _aggregates_twice(self, **selection: int) -> list[_Aggregate]:
        """The same, asked for again before it is believed that there are none."""
        return await self._aggregates(**selection) or await self._aggregates(**selection)

    async def _aggregates(self, **selection: int) -> list[_Aggregate]:
        params: Params = {"symbol": self._symbol, **selection, "limit": ROWS_PER_REQUEST}
        return await self._venue.get("aggTrades", AGG_TRADES_WEIGHT, params, _aggregates)


def _joined(one: Rows, other: Rows) -> Rows:
    """What either of two answers has, in order: each may have left out what the other shows."""
    found = {
        id_: (time_ms, record)
        for rows in (one, other)
        for id_, time_ms, record in zip(rows.positions, rows.times_ms, rows.records, strict=True)
    }
    positions = sorted(found)
    both = [found[id_] for id_ in positions]
    return Rows(positions, [time_ms for time_ms, _ in both], [record for _, record in both])


def _first_id(rows: Rows) -> int:
    return rows.positions[0] if len(rows) else NEVER_MS


def _absent(rows: Rows, start: int, end: int) -> list[Hole]:
    """The ids in [start, end) that an answer from ``start`` on passes over."""
    try:
        pieces = list(Seam(start, every_position, 1).fit(rows))
    except OutOfOrderError as error:
        raise ProtocolViolatedError(f"trade id {error}") from error
    holes = [piece for piece in pieces if isinstance(piece, Hole) and piece.start < end]
    return [Hole(hole.start, min(hole.end, end)) for hole in holes]


def _aggregates(body: bytes) -> list[_Aggregate]:
    """The aggregates of an answer that hold trades: cancelled ones do not."""
    found = []
    for number, row in enumerate(json_list(body, "trades")):
        if not isinstance(row, dict):
            raise ProtocolViolatedError(f"row {number} is not a trade")
        if row.get("f") == NO_TRADE.decode():
            continue
        found.append(
            _Aggregate(*(int(integer_cell(number, name, row.get(name))) for name in "aflT"))
        )
    for earlier, later in pairwise(found):
        if later.own <= earlier.own:
            raise ProtocolViolatedError(f"trade id {later.own} comes after {earlier.own}")
    return found
