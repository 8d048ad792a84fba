"""``ws_orderbook``: the changes of an order book as received, snapshots and marks of gaps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from loadertask_worker.binance import depth
from loadertask_worker.binance.frames import FrameParser
from loadertask_worker.cursor import Cursor, Place
from loadertask_worker.inputs import LoadStarted
from loadertask_worker.live.book import BookSequence
from loadertask_worker.live.updates import KIND_GAP, KIND_SNAPSHOT, HoldBounds
from loadertask_worker.tasks.live_task import LiveTask

if TYPE_CHECKING:
    from loadertask_contract.environment import WorkerEnvironment
    from loadertask_contract.messages import Headers
    from loadertask_worker.binance.rest import BinanceRest
    from loadertask_worker.tasks import Reporter
    from loadertask_worker.tasks.live_source import Answer, LiveSource, Question

# Changes further behind than these, with none newer, are those of another book.
_LARGEST_LAG = 10_000


class OrderBookTask(LiveTask):
    """The order book of one symbol, at the venue's highest speed."""

    def __init__(self, environment: WorkerEnvironment, now_ms: int) -> None:
        stream = f"{environment.symbol.lower()}@depth@100ms"
        super().__init__(environment, stream, FrameParser(environment.symbol, event="depthUpdate"))
        self.load_name = f"ws_orderbook {environment.symbol}"

    def announce(self, cursor: Cursor | None) -> LoadStarted:
        """See ``tasks.Task``."""
        begins = f", going on after change {cursor.position - 1}" if cursor else ""
        plan = f"Following the order book of {self._symbol}{begins}"
        return LoadStarted(plan=plan, total=None, source="stream")

    def place_of(self, value: bytes, headers: Headers) -> Place | None:
        """See ``tasks.Task``."""
        try:
            found = json.loads(value)
            if KIND_SNAPSHOT[0] in headers:
                next_id = int(found["lastUpdateId"]) + 1
                return Place(next_id, next_id, 0)
            if KIND_GAP[0] in headers:
                if found["symbol"] != self._symbol:
                    return None
                expected_id, got_id = found["expected_update_id"], found["got_update_id"]
                return Place(int(expected_id), int(got_id), int(found["got_event_time"]))
            if found["e"] != "depthUpdate" or found["s"] != self._symbol:
                return None
            return Place(int(found["U"]), int(found["u"]) + 1, int(found["E"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def source(self, venue: BinanceRest, cursor: Cursor | None, reporter: Reporter) -> LiveSource:
        """The sequence of changes and the REST interface that gives snapshots."""
        return LiveBook(venue, self._symbol, cursor)


class LiveBook:
    """See ``live_source.LiveSource``."""

    def __init__(self, venue: BinanceRest, symbol: str, cursor: Cursor | None) -> None:
        self._venue, self._symbol = venue, symbol
        next_id = cursor.position if cursor else None
        self.sequence = BookSequence(symbol, next_id, HoldBounds())

    def behind(self, now_ms: int) -> Question | None:
        """Changes that were missed cannot be fetched: the first frame shows the gap."""
        return None

    def question(self, now_ms: int) -> Question | None:
        """A snapshot."""
        return self._ask() if self.sequence.wanted(now_ms) else None

    async def newest_at_venue(self) -> tuple[int, ...]:
        """The id of the last change."""
        return (await depth.newest_change(self._venue, self._symbol),)

    def went_backwards(self, at_venue: tuple[int, ...]) -> None:
        """A venue that counts anew has another book: it begins with a gap."""
        known = self.sequence.newest
        if known and at_venue[0] < known[0] - _LARGEST_LAG:
            self.sequence.begin_anew()

    async def _ask(self) -> Answer:
        found = await depth.snapshot(self._venue, self._symbol)
        return lambda now_ms: self.sequence.fill(found.last_id, found.record, now_ms)
