"""Which feed belongs to which stream, from the data of the running replay."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from loadertask_contract.intervals import DAY_MS
from loadertask_devstack.venue.state import VenueState
from loadertask_devstack.venue.streams.book_feed import (
    BookTickerFeed,
    DepthFeed,
    PartialDepthFeed,
)
from loadertask_devstack.venue.streams.feeds import Feed
from loadertask_devstack.venue.streams.kline_feed import KlineFeed
from loadertask_devstack.venue.streams.names import StreamKind, known_stream
from loadertask_devstack.venue.streams.rules import StreamRules
from loadertask_devstack.venue.streams.trade_feed import AggregateFeed, TradeFeed
from loadertask_devstack.venue.symbols import Symbol


def feed_of(state: VenueState, rules: Callable[[], StreamRules], name: str) -> Feed | None:
    """The feed of a stream; None for a name that never says anything."""
    stream = known_stream(name)
    if stream is None:
        return None
    symbol = stream.symbol
    match stream.kind:
        case StreamKind.KLINE:
            return KlineFeed(
                stream,
                partial(state.history, symbol),
                partial(_first_trade_id, state, symbol),
                lambda: rules().quiet_closes,
            )
        case StreamKind.TRADE:
            return TradeFeed(symbol.name, partial(state.tape, symbol))
        case StreamKind.AGG_TRADE:
            return AggregateFeed(symbol.name, partial(state.tape, symbol))
        case StreamKind.DEPTH:
            return DepthFeed(symbol.name, partial(state.book, symbol), stream.every_ms)
        case StreamKind.PARTIAL_DEPTH:
            book = partial(state.book, symbol)
            return PartialDepthFeed(book, stream.levels, stream.every_ms)
        case StreamKind.BOOK_TICKER:
            return BookTickerFeed(symbol.name, partial(state.book, symbol))


def _first_trade_id(state: VenueState, symbol: Symbol, from_ms: int) -> int:
    """The id of the first trade at or after a moment, -1 if there is none within a month."""
    tape, start_ms, span_ms = state.tape(symbol), from_ms, 1
    while start_ms < from_ms + 31 * DAY_MS:
        if trades := tape.trades_between(start_ms, start_ms + span_ms):
            return trades[0].id
        # Ever longer stretches, for a busy symbol has thousands of trades in a short one.
        start_ms, span_ms = start_ms + span_ms, min(2 * span_ms, DAY_MS)
    return -1
