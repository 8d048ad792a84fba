"""Trades of a stream in the order of their ids: no hole, no repetition. A machine without I/O.

Ids are consecutive, so that a hole shows itself: newer trades wait (bounded) until REST has given
the missing ones. Beyond the bounds the newer ones go on, the hole becomes a debt that is paid
later, and its trades are marked late (``debts``). An id below the one expected is a repetition,
whichever connection brings it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadertask_worker.live.debts import Debts
from loadertask_worker.live.updates import (
    SOURCE_REST,
    HoldBounds,
    Release,
    Span,
    TradeUpdate,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadertask_contract.messages import Headers

_ASK_AGAIN_MS = 500


class TradeSequence:
    """``next_id`` is the trade to begin with; None: whichever comes first."""

    def __init__(self, next_id: int | None, through_ms: int, bounds: HoldBounds) -> None:
        self._next_id = next_id
        self._newest_id = None if next_id is None else next_id - 1
        self._bounds = bounds
        self._held: dict[int, TradeUpdate] = {}
        self._held_bytes = 0
        self._waiting_since_ms = 0
        self._ask_from_ms = 0
        self._debts = Debts()
        self.through_ms = through_ms
        self.newest_event_ms = 0
        self.repeated = 0

    @property
    def position(self) -> int | None:
        """Where a load goes on after everything released; None before the first trade."""
        return None if self._next_id is None else self._debts.resume_at(self._next_id)

    @property
    def newest(self) -> tuple[int, ...]:
        """The highest id known: a higher one in REST's answer proves the stream silent."""
        return () if self._newest_id is None else (self._newest_id,)

    @property
    def held_bytes(self) -> int:
        """Size of the records that wait."""
        return self._held_bytes

    @property
    def owes(self) -> bool:
        """Whether holes were left behind."""
        return self._debts.first is not None

    def take(self, update: TradeUpdate, now_ms: int) -> Sequence[Release]:
        """A trade of the stream."""
        self.newest_event_ms = max(self.newest_event_ms, update.event_ms)
        if self._next_id is None:
            self._next_id = update.trade_id
        if update.trade_id < self._next_id or update.trade_id in self._held:
            self.repeated += 1
            return ()
        self._newest_id = max(self._newest_id or 0, update.trade_id)
        if update.trade_id == self._next_id and not self._held:
            return (self._release(update, ()),)
        self._hold(update, now_ms)
        released = self._run()
        return [*released, *self.expire(now_ms)]

    def wanted(self, now_ms: int) -> Span | None:
        """The ids to ask REST for now: those of the hole in front, then those owed."""
        if now_ms < self._ask_from_ms:
            return None
        if self._held and self._next_id is not None:
            return Span(self._next_id, min(self._held))
        return self._debts.first

    def fill(self, span: Span, updates: Sequence[TradeUpdate], now_ms: int) -> Sequence[Release]:
        """REST's answer: the trades of ``span``, whose other ids do not exist at the venue."""
        self._ask_from_ms = now_ms if span.end > span.start else now_ms + _ASK_AGAIN_MS
        if self._next_id is None:
            return ()
        if (debt := self._debts.first) and span.start <= debt.start < span.end:
            found = (Release(each.record, each.trade_id, each.time_ms) for each in updates)
            return self._debts.pay(span.end, found, self._next_id)
        if not span.start <= self._next_id < span.end:
            return ()
        self._waiting_since_ms = now_ms
        answered = {update.trade_id: update for update in updates}
        released = []
        waiting = [trade_id for trade_id in self._held if trade_id < span.end]
        for trade_id in sorted({*answered, *waiting}):
            if trade_id >= span.end:
                break
            if update := self._take_held(trade_id):
                released.append(self._release(update, ()))
            elif trade_id >= self._next_id:
                released.append(self._release(answered[trade_id], SOURCE_REST))
        self._next_id = span.end
        return [*released, *self._run()]

    def expire(self, now_ms: int) -> Sequence[Release]:
        """What may wait no longer: the holes before it are owed."""
        released: list[Release] = []
        while self._held and self._next_id is not None:
            waited_ms = now_ms - self._waiting_since_ms
            if not self._bounds.are_broken(waited_ms, len(self._held), self._held_bytes):
                break
            first_id = min(self._held)
            self._debts.owe(Span(self._next_id, first_id))
            self._next_id = first_id
            released += self._run()
        return released

    def _hold(self, update: TradeUpdate, now_ms: int) -> None:
        if not self._held:
            self._waiting_since_ms = now_ms
        self._held[update.trade_id] = update
        self._held_bytes += len(update.record)

    def _take_held(self, trade_id: int) -> TradeUpdate | None:
        update = self._held.pop(trade_id, None)
        if update:
            self._held_bytes -= len(update.record)
        return update

    def _run(self) -> list[Release]:
        """Everything held that follows without a hole."""
        released = []
        while self._next_id is not None and (update := self._take_held(self._next_id)):
            released.append(self._release(update, ()))
        return released

    def _release(self, update: TradeUpdate, headers: Headers) -> Release:
        self._next_id = update.trade_id + 1
        self._newest_id = max(self._newest_id or 0, update.trade_id)
        self.through_ms = max(self.through_ms, update.time_ms)
        release = Release(update.record, update.trade_id, update.time_ms, headers)
        return self._debts.placed(release)
