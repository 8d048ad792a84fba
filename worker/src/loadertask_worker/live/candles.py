"""Candles of a stream: every update in order, every candle closed once. A machine without I/O.

A candle is final with its closing frame, or, where that never comes (a reconnect, a quiet pair),
with the row that REST shows once the candle is over. Newer updates wait (bounded) for it. A row
proves that no candle exists between it and the one expected: an outage of the venue leaves none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadertask_contract.intervals import next_open, open_at_or_before
from loadertask_worker.live.debts import Debts
from loadertask_worker.live.updates import (
    CLOSED,
    OPEN,
    SOURCE_REST,
    CandleUpdate,
    HoldBounds,
    Release,
    Span,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadertask_contract.intervals import Interval
    from loadertask_contract.messages import Headers

# The venue's database may lag its streams by a second or two, and closing frames come up to two
# seconds after the close.
SETTLE_MS = 2_000
OVERDUE_MS = 5_000
# A row without a later one may be what the database had before it fell behind.
ALONE_MS = 30_000
# What REST does not show by then does not exist.
ABSENT_MS = 60_000
_FIRST_PAUSE_MS = 500
_LONGEST_PAUSE_MS = 30_000

Row = tuple[int, bytes]
"""Open time (ms) and record of a candle as REST shows it."""


class CandleSequence:
    """``next_open_ms`` is the candle to begin with; None: whichever comes first."""

    def __init__(
        self,
        interval: Interval,
        next_open_ms: int | None,
        bounds: HoldBounds,
        *,
        closed_only: bool,
    ) -> None:
        self._interval = interval
        self._next_ms = next_open_ms
        self._bounds = bounds
        self._closed_only = closed_only
        self._held: dict[int, list[CandleUpdate]] = {}
        self._held_records = 0
        self._held_bytes = 0
        self._waiting_since_ms = 0
        self._ask_from_ms = 0
        self._pause_ms = _FIRST_PAUSE_MS
        self._debts = Debts()
        # Of the candle under way: the latest update, for it may come over two connections.
        self._latest = (0, 0, 0)
        self.newest_event_ms = 0
        self.repeated = 0

    @property
    def position(self) -> int | None:
        """Open time at which a load goes on after everything released; None before the first."""
        return None if self._next_ms is None else self._debts.resume_at(self._next_ms)

    @property
    def through_ms(self) -> int:
        """Before this, every candle is final and released."""
        return self.position or 0

    @property
    def newest(self) -> tuple[int, ...]:
        """Open time and trades of the newest update: a row beyond it proves the stream silent."""
        open_ms, _, trade_count = self._latest
        return (open_ms, trade_count) if open_ms else ()

    @property
    def held_bytes(self) -> int:
        """Size of the records that wait."""
        return self._held_bytes

    @property
    def owes(self) -> bool:
        """Whether holes were left behind."""
        return self._debts.first is not None

    def take(self, update: CandleUpdate, now_ms: int) -> Sequence[Release]:
        """A frame of the stream."""
        self.newest_event_ms = max(self.newest_event_ms, update.event_ms)
        if self._next_ms is None:
            self._next_ms = update.open_ms
        if update.open_ms < self._next_ms or self._is_repeated(update):
            self.repeated += 1
            return ()
        self._latest = (update.open_ms, update.event_ms, update.trade_count)
        if update.open_ms == self._next_ms and not self._held:
            return self._release(update)
        self._hold(update, now_ms)
        released = self._run()
        return [*released, *self.expire(now_ms)]

    def wanted(self, now_ms: int) -> Span | None:
        """The open times to ask REST for now, the candle under way included as evidence."""
        if self._next_ms is None or now_ms < self._ask_from_ms:
            return None
        end_ms = self._end(self._next_ms)
        front = Span(self._next_ms, self._end(now_ms))
        if self._held and now_ms >= end_ms + SETTLE_MS:
            return front
        if self._debts.first:
            return self._debts.first
        return front if now_ms >= end_ms + OVERDUE_MS else None

    def fill(self, span: Span, rows: Sequence[Row], asked_ms: int) -> Sequence[Release]:
        """REST's answer for ``span`` to a request sent at ``asked_ms``."""
        before, debt = self._next_ms, self._debts.first
        released: Sequence[Release] = ()
        if debt and self._next_ms is not None and span.start == debt.start:
            # All of them closed long ago.
            found = [Release(record, open_ms, open_ms, CLOSED) for open_ms, record in rows]
            released = self._debts.pay(span.end, found, self._next_ms)
        elif self._next_ms is not None and span.start <= self._next_ms < span.end:
            released = self._fill_front(rows, asked_ms)
            if span.end + ABSENT_MS <= asked_ms and span.end > self._next_ms:
                released = [*released, *self._advance_to(span.end)]
        has_advanced = self._next_ms != before or self._debts.first != debt
        self._pause_ms = _FIRST_PAUSE_MS if has_advanced else self._pause_ms * 2
        self._pause_ms = min(self._pause_ms, _LONGEST_PAUSE_MS)
        self._ask_from_ms = asked_ms if has_advanced else asked_ms + self._pause_ms
        return released

    def expire(self, now_ms: int) -> Sequence[Release]:
        """What may wait no longer: the candles before it are owed."""
        released: list[Release] = []
        while self._held and self._next_ms is not None:
            waited_ms = now_ms - self._waiting_since_ms
            if not self._bounds.are_broken(waited_ms, self._held_records, self._held_bytes):
                break
            first_ms = min(self._held)
            if first_ms > self._next_ms:
                self._debts.owe(Span(self._next_ms, first_ms))
            self._next_ms = first_ms
            released += self._run()
        return released

    def _fill_front(self, rows: Sequence[Row], asked_ms: int) -> Sequence[Release]:
        released: list[Release] = []
        last_open_ms = rows[-1][0] if rows else 0
        for open_ms, record in rows:
            if self._next_ms is None or open_ms < self._next_ms:
                continue
            released += self._advance_to(open_ms)
            if open_ms < self._next_ms:
                continue  # its closing frame was waiting
            end_ms = self._end(open_ms)
            settles_ms = SETTLE_MS if open_ms < last_open_ms else ALONE_MS
            if end_ms + settles_ms > asked_ms:
                break  # not final yet
            released.append(self._final(open_ms, record, SOURCE_REST))
            self._next_ms = end_ms
        return [*released, *self._run()]

    def _advance_to(self, open_ms: int) -> list[Release]:
        """No candle exists between the expected one and this, but what the stream brought."""
        released: list[Release] = []
        for held_ms in sorted(each for each in self._held if each <= open_ms):
            self._next_ms = held_ms
            released += self._run()
        self._next_ms = max(self._next_ms or 0, open_ms)
        return released

    def _is_repeated(self, update: CandleUpdate) -> bool:
        open_ms, event_ms, _ = self._latest
        return not update.is_closed and (update.open_ms, update.event_ms) <= (open_ms, event_ms)

    def _hold(self, update: CandleUpdate, now_ms: int) -> None:
        if not self._held:
            self._waiting_since_ms = now_ms
        self._held.setdefault(update.open_ms, []).append(update)
        self._held_records += 1
        self._held_bytes += len(update.record)

    def _run(self) -> list[Release]:
        """Everything held that follows the last final candle."""
        released: list[Release] = []
        while self._next_ms is not None and (updates := self._held.pop(self._next_ms, None)):
            open_ms = self._next_ms
            self._held_records -= len(updates)
            self._held_bytes -= sum(len(update.record) for update in updates)
            for update in updates:
                if self._next_ms == open_ms:
                    released += self._release(update)
        return released

    def _release(self, update: CandleUpdate) -> Sequence[Release]:
        if update.is_closed:
            self._next_ms = self._end(update.open_ms)
            return (self._final(update.open_ms, update.record, ()),)
        if self._closed_only:
            return ()
        return (self._placed(update.open_ms, update.record, OPEN),)

    def _final(self, open_ms: int, record: bytes, more: Headers) -> Release:
        return self._placed(open_ms, record, (*CLOSED, *more))

    def _placed(self, open_ms: int, record: bytes, headers: Headers) -> Release:
        return self._debts.placed(Release(record, open_ms, open_ms, headers))

    def _end(self, open_ms: int) -> int:
        """When the candle that contains ``open_ms`` ends: the next one's open time."""
        return next_open(self._interval, open_at_or_before(self._interval, open_ms))
