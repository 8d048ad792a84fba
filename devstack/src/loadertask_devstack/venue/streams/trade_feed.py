"""The events of one trade or aggregate trade stream: each a millisecond after its trade. Pure."""

from __future__ import annotations

from collections.abc import Callable

from loadertask_devstack.venue.streams import payloads
from loadertask_devstack.venue.streams.feeds import Event
from loadertask_devstack.venue.streams.payloads import TimeUnit
from loadertask_devstack.venue.trade_tape import TradeTape

EVENT_DELAY_MS = 1


class TradeFeed:
    """``<symbol>@trade``."""

    def __init__(self, symbol: str, tape: Callable[[], TradeTape]) -> None:
        self._symbol, self._tape = symbol, tape

    def events(self, after_ms: int, until_ms: int, unit: TimeUnit) -> list[Event]:
        """All trades in (after_ms, until_ms]."""
        first_ms, end_ms = after_ms + 1 - EVENT_DELAY_MS, until_ms + 1 - EVENT_DELAY_MS
        return [
            Event(
                event_ms := trade.time_ms + EVENT_DELAY_MS,
                payloads.trade(self._symbol, trade, event_ms, unit),
            )
            for trade in self._tape().trades_between(first_ms, end_ms)
        ]


class AggregateFeed:
    """``<symbol>@aggTrade``."""

    def __init__(self, symbol: str, tape: Callable[[], TradeTape]) -> None:
        self._symbol, self._tape = symbol, tape

    def events(self, after_ms: int, until_ms: int, unit: TimeUnit) -> list[Event]:
        """All aggregate trades in (after_ms, until_ms]."""
        first_ms, end_ms = after_ms + 1 - EVENT_DELAY_MS, until_ms + 1 - EVENT_DELAY_MS
        return [
            Event(
                event_ms := trade.time_ms + EVENT_DELAY_MS,
                payloads.aggregate(self._symbol, trade, event_ms, unit),
            )
            for trade in self._tape().agg_between(first_ms, end_ms)
        ]
