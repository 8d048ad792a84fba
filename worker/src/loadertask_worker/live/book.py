"""Changes of an order book without an unmarked hole. A machine without I/O.

Every frame must continue the one before it. Where it does not, a gap record says so, and a new
snapshot begins a book again: changes wait (bounded) for it and those it contains are left out. A
snapshot is used only if the changes known continue it, else another is asked for. Beyond the
bounds the changes go on as they came, and a snapshot is still asked for.
Rules: binance-spot-api-docs, "How to manage a local order book correctly" (2025-11-12).
"""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING

from loadertask_worker.live.updates import (
    KIND_GAP,
    KIND_SNAPSHOT,
    BookUpdate,
    HoldBounds,
    Release,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIRST_PAUSE_MS = 250
_LONGEST_PAUSE_MS = 10_000


class BookSequence:
    """``next_id`` is the change expected first; None: whichever comes first."""

    def __init__(self, symbol: str, next_id: int | None, bounds: HoldBounds) -> None:
        self._symbol = symbol
        self._next_id = next_id
        self._bounds = bounds
        self._held: deque[BookUpdate] = deque()
        self._held_bytes = 0
        self._waiting_since_ms = 0
        self._needs_snapshot = True
        self._begins_anew = False
        self._ask_from_ms = 0
        self._pause_ms = _FIRST_PAUSE_MS
        # The change after the last one released: a snapshot must not be older.
        self._released_id = 0
        self._newest_id = 0 if next_id is None else next_id - 1
        self.through_ms = 0
        self.newest_event_ms = 0
        self.repeated = 0
        self.gaps = 0

    @property
    def position(self) -> int | None:
        """The change with which a load goes on after everything released."""
        return self._released_id or self._next_id

    @property
    def newest(self) -> tuple[int, ...]:
        """The last change known: a newer snapshot proves the stream silent."""
        return (self._newest_id,) if self._newest_id else ()

    @property
    def held_bytes(self) -> int:
        """Size of the changes that wait."""
        return self._held_bytes

    @property
    def owes(self) -> bool:
        """Whether the changes in the topic continue no snapshot."""
        return self._needs_snapshot and not self._held

    def take(self, update: BookUpdate, now_ms: int) -> Sequence[Release]:
        """A frame of the stream."""
        self.newest_event_ms = max(self.newest_event_ms, update.event_ms)
        expected_id = update.first_id if self._next_id is None else self._next_id
        if update.last_id < expected_id and not self._begins_anew:
            self.repeated += 1
            return ()
        released: list[Release] = []
        if update.first_id > expected_id or self._begins_anew:
            released += [*self._give_up_waiting(), self._gap(expected_id, update)]
            self._needs_snapshot, self._begins_anew = True, False
            self._ask_from_ms = now_ms
        self._next_id = update.last_id + 1
        self._newest_id = update.last_id
        if not self._needs_snapshot:
            return [*released, self._release(update)]
        self._hold(update, now_ms)
        return [*released, *self.expire(now_ms)]

    def wanted(self, now_ms: int) -> bool:
        """Whether to ask REST for a snapshot now: only once a change is known that continues it."""
        return self._needs_snapshot and bool(self._held) and now_ms >= self._ask_from_ms

    def fill(self, last_id: int, record: bytes, now_ms: int) -> Sequence[Release]:
        """A snapshot that contains the changes up to ``last_id``."""
        if not self._needs_snapshot:
            return ()
        continues = not self._held or self._held[0].first_id <= last_id + 1
        if not continues or last_id + 1 < self._released_id:
            self._ask_from_ms = now_ms + self._pause_ms
            self._pause_ms = min(self._pause_ms * 2, _LONGEST_PAUSE_MS)
            return ()
        self._needs_snapshot = False
        self._pause_ms = _FIRST_PAUSE_MS
        self._released_id = last_id + 1
        self._next_id = max(self._next_id or 0, last_id + 1)
        self.through_ms = max(self.through_ms, now_ms)
        snapshot = Release(record, last_id + 1, now_ms, KIND_SNAPSHOT)
        return [snapshot, *self._release_held(after_id=last_id)]

    def expire(self, now_ms: int) -> Sequence[Release]:
        """What may wait no longer for its snapshot."""
        waited_ms = now_ms - self._waiting_since_ms
        if not self._held or not self._bounds.are_broken(
            waited_ms, len(self._held), self._held_bytes
        ):
            return ()
        return self._give_up_waiting()

    def begin_anew(self) -> None:
        """The venue counts its changes anew: whatever comes next is a gap and what follows it."""
        self._begins_anew = True
        self._newest_id = 0

    def _hold(self, update: BookUpdate, now_ms: int) -> None:
        if not self._held:
            self._waiting_since_ms = now_ms
        self._held.append(update)
        self._held_bytes += len(update.record)

    def _give_up_waiting(self) -> list[Release]:
        return self._release_held(after_id=-1)

    def _release_held(self, after_id: int) -> list[Release]:
        held = [update for update in self._held if update.last_id > after_id]
        self._held.clear()
        self._held_bytes = 0
        return [self._release(update) for update in held]

    def _release(self, update: BookUpdate) -> Release:
        self._released_id = update.last_id + 1
        self.through_ms = max(self.through_ms, update.event_ms)
        return Release(update.record, update.first_id, update.event_ms)

    def _gap(self, expected_id: int, update: BookUpdate) -> Release:
        """The record that says what is missing: changes ``expected`` to before ``got``."""
        self.gaps += 1
        self._released_id = update.first_id
        gap = {
            "symbol": self._symbol,
            "expected_update_id": expected_id,
            "got_update_id": update.first_id,
            "last_event_time": self.through_ms,
            "got_event_time": update.event_ms,
        }
        value = json.dumps(gap, separators=(",", ":")).encode()
        return Release(value, expected_id, update.event_ms, KIND_GAP)
