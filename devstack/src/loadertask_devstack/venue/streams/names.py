"""Names of streams: which are well-formed, and what the well-formed ones that exist mean. Pure.

The venue acknowledges every well-formed name; one that does not exist (unknown or upper-case
symbol, unknown kind) stays silent. Names follow binance-spot-api-docs, web-socket-streams.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from loadertask_contract.intervals import HOUR_MS, Interval
from loadertask_devstack.venue.symbols import SYMBOLS, Symbol, SymbolStatus

_WELL_FORMED = re.compile(r"[^@\s/!]+(@[^@\s/]+)+|![^@\s/]+(@[^@\s/]+)*")
_KLINE = re.compile(r"kline_(?P<interval>\w+)(?P<zone>@\+08:00)?")
_DEPTH = re.compile(r"depth(?P<levels>5|10|20)?(?P<fast>@100ms)?")
_EAST_8_MS = 8 * HOUR_MS


class StreamKind(StrEnum):
    """The kinds that are replayed."""

    KLINE = "kline"
    TRADE = "trade"
    AGG_TRADE = "aggTrade"
    DEPTH = "depth"
    PARTIAL_DEPTH = "partialDepth"
    BOOK_TICKER = "bookTicker"


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream that has data; fields that its kind does not need keep their defaults.

    ``offset_ms`` is how far east of UTC its candles are cut; ``every_ms`` the pace of the book.
    """

    name: str
    symbol: Symbol
    kind: StreamKind
    interval: Interval = Interval.MINUTE_1
    offset_ms: int = 0
    levels: int = 0
    every_ms: int = 1000


def is_well_formed(name: str) -> bool:
    """Whether the venue takes this for the name of a stream, existing or not."""
    return _WELL_FORMED.fullmatch(name) is not None


def known_stream(name: str) -> Stream | None:
    """The stream of this name, None for one that never says anything."""
    lower_symbol, _, kind = name.partition("@")
    symbol = _BY_LOWER_NAME.get(lower_symbol)
    if symbol is None or symbol.status is SymbolStatus.BREAK:
        return None
    if kind in {StreamKind.TRADE, StreamKind.AGG_TRADE, StreamKind.BOOK_TICKER}:
        return Stream(name, symbol, StreamKind(kind))
    if match := _DEPTH.fullmatch(kind):
        levels = int(match["levels"] or 0)
        of = StreamKind.PARTIAL_DEPTH if levels else StreamKind.DEPTH
        return Stream(name, symbol, of, levels=levels, every_ms=100 if match["fast"] else 1000)
    match = _KLINE.fullmatch(kind)
    if match is None or symbol.status is SymbolStatus.CANCEL_ONLY:
        return None
    try:
        interval = Interval(match["interval"])
    except ValueError:
        return None
    offset_ms = _EAST_8_MS if match["zone"] else 0
    return Stream(name, symbol, StreamKind.KLINE, interval=interval, offset_ms=offset_ms)


_BY_LOWER_NAME = {symbol.name.lower(): symbol for symbol in SYMBOLS.values()}
