"""Pages of klines: which rows a query gets, and their JSON text.

History is cut into blocks on the time axis; closed blocks are kept as text, so that a page is a
slice. Follows binance-spot-api-docs: filter by open time, both ends inclusive, gaps jumped.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import NamedTuple

from loadertask_contract.intervals import DAY_MS, HOUR_MS, Interval
from loadertask_devstack.venue.candles import Candle, row_texts
from loadertask_devstack.venue.history import Candles, History, Source
from loadertask_devstack.venue.rollup import open_at_or_before
from loadertask_devstack.venue.symbols import Symbol

_MAX_CACHED_ROWS = 150_000  # about 40 MB of text
_BLOCK_MS = (
    dict.fromkeys(Interval, DAY_MS)
    | {Interval.SECOND_1: HOUR_MS}
    | dict.fromkeys((i for i in Interval if i.endswith("h")), 30 * DAY_MS)
    | dict.fromkeys((i for i in Interval if i[-1] in "dwM"), 360 * DAY_MS)
)


@dataclass(frozen=True, slots=True)
class KlinesQuery:
    """A checked query; times in epoch milliseconds, inclusive, None where not sent."""

    symbol: Symbol
    interval: Interval
    start_ms: int | None
    end_ms: int | None
    limit: int
    offset_ms: int = 0
    microseconds: bool = False


class Page(NamedTuple):
    """The JSON text of an answer, its number of rows and where they come from."""

    text: str
    rows: int
    source: Source


class Block:
    """The rows of one stretch of history; text is made once if the stretch is closed."""

    def __init__(self, candles: Candles, *, microseconds: bool, is_closed: bool) -> None:
        self.opens = [candle.open_time_ms for candle in candles.rows]
        self._sources = candles.sources
        self._microseconds = microseconds
        self._candles = [] if is_closed else candles.rows
        self._texts = self._rendered(candles.rows) if is_closed else None

    def texts(self, rows: range) -> list[str]:
        """The JSON text of each of these rows."""
        if self._texts is not None:
            return self._texts[rows.start : rows.stop]
        return self._rendered(self._candles[rows.start : rows.stop])

    def sources_of(self, rows: range) -> set[int]:
        """The sources that occur in these rows."""
        return set(self._sources[rows.start : rows.stop])

    def _rendered(self, candles: list[Candle]) -> list[str]:
        return row_texts(candles, microseconds=self._microseconds)


class PageReader:
    """Answers queries from the histories of all symbols; keeps recent closed blocks."""

    def __init__(self, history_of: Callable[[Symbol], History]) -> None:
        self._history_of = history_of
        self._blocks: OrderedDict[tuple[object, ...], Block] = OrderedDict()
        self._cached_rows = 0

    def forget(self) -> None:
        """Drop every kept block: the histories have changed."""
        self._blocks.clear()
        self._cached_rows = 0

    def page(self, query: KlinesQuery, now_ms: int) -> Page:
        """The rows that the venue would answer at ``now_ms``."""
        first_ms, last_ms = _bounds(query, now_ms)
        if last_ms < first_ms:
            return Page("[]", 0, Source(0))
        block_ms = _BLOCK_MS[query.interval]
        indexes = range(first_ms // block_ms, last_ms // block_ms + 1)
        is_forward = query.start_ms is not None
        blocks = (self._block(query, i, now_ms) for i in (indexes if is_forward else indexes[::-1]))
        pick = _oldest if is_forward else _newest
        slices = list(pick(blocks, first_ms, last_ms, query.limit))
        texts = [text for block, rows in slices for text in block.texts(rows)]
        sources = {source for block, rows in slices for source in block.sources_of(rows)}
        return Page(f"[{','.join(texts)}]", len(texts), Source(reduce(or_, sources, 0)))

    def _block(self, query: KlinesQuery, index: int, now_ms: int) -> Block:
        key = (query.symbol.name, query.interval, query.offset_ms, query.microseconds, index)
        if block := self._blocks.get(key):
            self._blocks.move_to_end(key)
            return block
        length_ms = _BLOCK_MS[query.interval]
        start_ms, end_ms = index * length_ms, (index + 1) * length_ms
        candles = self._history_of(query.symbol).candles(
            query.interval, start_ms, end_ms, now_ms, query.offset_ms
        )
        is_closed = end_ms <= open_at_or_before(query.interval, now_ms, query.offset_ms)
        block = Block(candles, microseconds=query.microseconds, is_closed=is_closed)
        if is_closed:
            self._keep(key, block)
        return block

    def _keep(self, key: tuple[object, ...], block: Block) -> None:
        self._blocks[key] = block
        self._cached_rows += len(block.opens)
        while self._cached_rows > _MAX_CACHED_ROWS and len(self._blocks) > 1:
            _, oldest = self._blocks.popitem(last=False)
            self._cached_rows -= len(oldest.opens)


def _bounds(query: KlinesQuery, now_ms: int) -> tuple[int, int]:
    symbol = query.symbol
    born_ms = open_at_or_before(query.interval, symbol.listed_ms, query.offset_ms)
    dead_ms = now_ms if symbol.closed_ms is None else min(now_ms, symbol.closed_ms - 1)
    start_ms = born_ms if query.start_ms is None else max(query.start_ms, born_ms)
    return start_ms, dead_ms if query.end_ms is None else min(query.end_ms, dead_ms)


def _oldest(
    blocks: Iterator[Block], first_ms: int, last_ms: int, limit: int
) -> Iterator[tuple[Block, range]]:
    for block in blocks:
        start = bisect_left(block.opens, first_ms)
        stop = min(bisect_right(block.opens, last_ms), start + limit)
        if stop > start:
            yield block, range(start, stop)
            limit -= stop - start
        if limit == 0:
            return


def _newest(
    blocks: Iterator[Block], first_ms: int, last_ms: int, limit: int
) -> Iterator[tuple[Block, range]]:
    found: list[tuple[Block, range]] = []
    for block in blocks:
        stop = bisect_right(block.opens, last_ms)
        start = max(bisect_left(block.opens, first_ms), stop - limit)
        if stop > start:
            found.append((block, range(start, stop)))
            limit -= stop - start
        if limit == 0:
            break
    yield from reversed(found)
