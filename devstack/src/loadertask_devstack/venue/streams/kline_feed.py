"""The events of one kline stream: the open candle while it changes, each closed one once. Pure.

Frames keep to a grid of their stream, one second for ``1s`` and two for all others; the closing
frame comes between 2 and 40 ms after the boundary, before the first frame of the next candle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from zlib import crc32

from loadertask_contract.intervals import MINUTE_MS, SECOND_MS, Interval
from loadertask_devstack.venue.candles import Candle
from loadertask_devstack.venue.history import History
from loadertask_devstack.venue.rollup import open_after, open_at_or_before
from loadertask_devstack.venue.streams import payloads
from loadertask_devstack.venue.streams.feeds import Event
from loadertask_devstack.venue.streams.names import Stream
from loadertask_devstack.venue.streams.payloads import TimeUnit

_FIRST_CLOSING_MS, _LAST_CLOSING_MS = 2, 40
_FIRST_UPDATE_MS = 100
_LONGEST_SILENCE = 60  # candles without a trade after which a late closing frame never comes

FirstTradeId = Callable[[int], int]


class KlineFeed:
    """One stream; ``first_trade_id`` gives the id of the first trade at or after a moment.

    ``quiet_closes`` off: a closing frame waits for the next trade, an empty candle has none.
    """

    def __init__(
        self,
        stream: Stream,
        history: Callable[[], History],
        first_trade_id: FirstTradeId,
        quiet_closes: Callable[[], bool] = lambda: True,
    ) -> None:
        self._stream, self._interval = stream, stream.interval
        self._history, self._first_trade_id = history, first_trade_id
        self._quiet_closes = quiet_closes
        self._step_ms = SECOND_MS if stream.interval is Interval.SECOND_1 else 2 * SECOND_MS
        room_ms = self._step_ms - 2 * _FIRST_UPDATE_MS
        self._phase_ms = _FIRST_UPDATE_MS + crc32(stream.name.encode()) % room_ms

    def events(self, after_ms: int, until_ms: int, unit: TimeUnit) -> list[Event]:
        """All frames in (after_ms, until_ms]."""
        closings = self._closings if self._quiet_closes() else self._late_closings
        frames = [
            (time_ms, candle, True)
            for time_ms, candle in closings(after_ms, until_ms)
            if after_ms < time_ms <= until_ms
        ]
        frames += [
            (time_ms, candle, False) for time_ms, candle in self._updates(after_ms, until_ms)
        ]
        frames.sort(key=lambda frame: frame[0])
        return [
            Event(time_ms, self._text(candle, time_ms, unit, is_closed=is_closed))
            for time_ms, candle, is_closed in frames
        ]

    def _updates(self, after_ms: int, until_ms: int) -> Iterator[tuple[int, Candle]]:
        step, phase = self._step_ms, self._phase_ms
        first_ms = after_ms - (after_ms - phase) % step + step
        before: Candle | None = None
        for time_ms in range(first_ms, until_ms + 1, step):
            before = self._standing(time_ms - step) if time_ms == first_ms else before
            now = self._standing(time_ms)
            if now is not None and now != before and now.trade_count:
                yield time_ms, now
            before = now

    def _closings(self, after_ms: int, until_ms: int) -> Iterator[tuple[int, Candle]]:
        boundary_ms = self._open_at(after_ms - _LAST_CLOSING_MS)
        while boundary_ms < until_ms:
            if candle := self._closed_at(boundary_ms):
                yield boundary_ms + self._delay_ms(boundary_ms), candle
            boundary_ms = self._next(boundary_ms)

    def _late_closings(self, after_ms: int, until_ms: int) -> Iterator[tuple[int, Candle]]:
        """Of each candle with trades, after the first trade of the next such candle."""
        open_ms = self._open_at(after_ms - _LAST_CLOSING_MS)
        while open_ms < until_ms:
            trade_ms = self._first_trade_ms(open_ms, until_ms)
            if trade_ms is not None and (candle := self._last_traded(open_ms)):
                yield trade_ms + self._delay_ms(open_ms), candle
            open_ms = self._next(open_ms)

    def _first_trade_ms(self, open_ms: int, until_ms: int) -> int | None:
        end_ms = min(self._next(open_ms), until_ms + 1)
        for minute_ms in range(open_ms, end_ms, MINUTE_MS):
            seconds = self._history().candles(
                Interval.SECOND_1, minute_ms, min(minute_ms + MINUTE_MS, end_ms), until_ms
            )
            for second in seconds.rows:
                if second.trade_count:
                    return second.open_time_ms
        return None

    def _last_traded(self, open_ms: int) -> Candle | None:
        boundary_ms = open_ms
        for _ in range(_LONGEST_SILENCE):
            candle = self._closed_at(boundary_ms)
            if candle is not None and candle.trade_count:
                return candle
            boundary_ms = self._open_at(boundary_ms - 1)
        return None

    def _standing(self, now_ms: int) -> Candle | None:
        return self._candle(self._open_at(now_ms), now_ms)

    def _closed_at(self, boundary_ms: int) -> Candle | None:
        return self._candle(self._open_at(boundary_ms - 1), boundary_ms)

    def _candle(self, open_ms: int, now_ms: int) -> Candle | None:
        rows = self._history().candles(
            self._interval, open_ms, open_ms + 1, now_ms, self._stream.offset_ms
        ).rows  # fmt: skip
        return rows[0] if rows else None

    def _open_at(self, time_ms: int) -> int:
        return open_at_or_before(self._interval, time_ms, self._stream.offset_ms)

    def _next(self, open_ms: int) -> int:
        return open_after(self._interval, open_ms, self._stream.offset_ms)

    def _delay_ms(self, boundary_ms: int) -> int:
        spread_ms = _LAST_CLOSING_MS - _FIRST_CLOSING_MS + 1
        return _FIRST_CLOSING_MS + crc32(f"{self._stream.name}{boundary_ms}".encode()) % spread_ms

    def _text(self, candle: Candle, event_ms: int, unit: TimeUnit, *, is_closed: bool) -> str:
        first_id = self._first_trade_id(candle.open_time_ms) if candle.trade_count else -1
        return payloads.kline(
            self._stream.symbol.name, self._interval, candle, first_id, event_ms, unit,
            is_closed=is_closed,
        )  # fmt: skip
