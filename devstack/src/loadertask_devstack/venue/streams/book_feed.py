"""The events of the order book's streams: what changed, its best levels, its best prices. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from loadertask_devstack.venue.book import STEP_MS, Book
from loadertask_devstack.venue.streams import payloads
from loadertask_devstack.venue.streams.feeds import Event
from loadertask_devstack.venue.streams.payloads import TimeUnit

_TICKER_EVERY_MS = 5 * STEP_MS


class DepthFeed:
    """``<symbol>@depth``: every ``every_ms`` all levels that changed since the event before."""

    def __init__(self, symbol: str, book: Callable[[], Book], every_ms: int) -> None:
        self._symbol, self._book, self._every_ms = symbol, book, every_ms

    def events(self, after_ms: int, until_ms: int, unit: TimeUnit) -> list[Event]:
        """All events in (after_ms, until_ms]."""
        book = self._book()
        return [
            Event(
                time_ms,
                payloads.depth_update(
                    self._symbol, *book.changes(time_ms - self._every_ms, time_ms), time_ms, unit
                ),
            )
            for time_ms in _times(after_ms, until_ms, self._every_ms)
        ]


class PartialDepthFeed:
    """``<symbol>@depth5`` and the like: the best levels, told when the book has changed."""

    def __init__(self, book: Callable[[], Book], levels: int, every_ms: int) -> None:
        self._book, self._levels, self._every_ms = book, levels, every_ms

    def events(self, after_ms: int, until_ms: int, unit: TimeUnit) -> list[Event]:
        """All events in (after_ms, until_ms]; they carry no time."""
        book = self._book()
        return [
            Event(time_ms, payloads.book(*book.snapshot(time_ms, self._levels)))
            for time_ms in _times(after_ms, until_ms, self._every_ms)
        ]


class BookTickerFeed:
    """``<symbol>@bookTicker``: the best prices and amounts, when they change."""

    def __init__(self, symbol: str, book: Callable[[], Book]) -> None:
        self._symbol, self._book = symbol, book

    def events(self, after_ms: int, until_ms: int, unit: TimeUnit) -> list[Event]:
        """All events in (after_ms, until_ms]; they carry no time."""
        book = self._book()
        events = []
        for time_ms in _times(after_ms, until_ms, _TICKER_EVERY_MS):
            now = book.snapshot(time_ms, 1)
            before = book.snapshot(time_ms - _TICKER_EVERY_MS, 1)
            if now[1:] != before[1:]:
                (bid,), (ask,) = now.bids, now.asks
                text = payloads.book_ticker(self._symbol, now.last_update, bid, ask)
                events.append(Event(time_ms, text))
        return events


def _times(after_ms: int, until_ms: int, every_ms: int) -> Iterator[int]:
    yield from range((after_ms // every_ms + 1) * every_ms, until_ms + 1, every_ms)
