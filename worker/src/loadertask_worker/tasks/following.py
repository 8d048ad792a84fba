"""Follows a stream: frames through a sequence to Kafka, and REST for what the stream left out.

One loop does everything in its turn and waits for nothing but its wake-up and Kafka; the stream is
read, REST is asked and silence is doubted beside it.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from loadertask_worker import metrics
from loadertask_worker.binance.connection import Leaving
from loadertask_worker.binance.frames import Ignored
from loadertask_worker.errors import BannedError, SinkError, SourceError
from loadertask_worker.kafka.records import Page
from loadertask_worker.live.updates import (
    KIND_GAP,
    KIND_SNAPSHOT,
    LATE,
    SOURCE_REST,
    Release,
)
from loadertask_worker.ordered import until_stop
from loadertask_worker.tasks.repairs import Repairs
from loadertask_worker.tasks.silence import Silence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadertask_worker.binance.frames import FrameParser
    from loadertask_worker.binance.rest import BinanceRest
    from loadertask_worker.binance.streams import Stream
    from loadertask_worker.kafka.records import RecordPublisher
    from loadertask_worker.live.buffer import Frame, FrameBuffer
    from loadertask_worker.tasks import Reporter
    from loadertask_worker.tasks.live_source import LiveSource

log = logging.getLogger(__name__)

# How often what depends on time alone is looked at.
_TICK_S = 0.1
_LAG_EVERY_MS = 200


@dataclass(frozen=True)
class Followed:
    """A stream, the buffer it fills, the parser of its frames and the source they belong to."""

    stream: Stream
    buffer: FrameBuffer
    parser: FrameParser
    source: LiveSource


class Follower:
    """Publishes what one stream says, until it is stopped."""

    def __init__(
        self,
        followed: Followed,
        venue: BinanceRest,
        publisher: RecordPublisher,
        stop: asyncio.Event,
        reporter: Reporter,
        patience_s: float,
    ) -> None:
        self._followed, self._venue = followed, venue
        self._publisher, self._stop, self._reporter = publisher, stop, reporter
        self._source, self._sequence = followed.source, followed.source.sequence
        wake = self._wake = followed.buffer.wake
        self._repairs = Repairs(self._source, wake, reporter)
        renew = partial(followed.stream.renew, Leaving.SILENT)
        self._silence = Silence(self._source, patience_s, wake, renew)
        self._lag_told_ms = 0
        self._waits = False
        self._broken = 0

    async def follow(self, symbol: str) -> None:
        """Catch up over REST, then follow the stream; returns when asked to stop.

        Raises:
            LoadError: it cannot go on; what was taken is published.

        """
        try:
            await self._begin(symbol)
            await self._follow()
        except SourceError:
            # The last event tells what is in the topic: what was taken goes there first.
            with suppress(SinkError):
                await self._publisher.flush()
            raise

    async def _begin(self, symbol: str) -> None:
        """Make sure that the symbol exists, for a wrong one is silent for ever; then catch up."""
        try:
            info = await until_stop(self._venue.exchange_info(symbol), self._stop)
            if info is None:
                return
            if not info.trades:
                self._reporter.tell(f"{symbol} does not trade now: the venue says {info.status}")
            while question := self._source.behind(self._now_ms()):
                answer = await until_stop(question, self._stop)
                if answer is None:
                    return
                await self._publish(answer(self._now_ms()))
        except BannedError as error:
            self._reporter.tell(f"the stream is followed, what it lacks follows later: {error}")

    async def _follow(self) -> None:
        stream = asyncio.create_task(self._followed.stream.run())
        stopping = asyncio.create_task(self._stop.wait())
        stream.add_done_callback(lambda _: self._wake.set())
        stopping.add_done_callback(lambda _: self._wake.set())
        ticking = asyncio.create_task(self._tick())
        try:
            while not self._stop.is_set():
                await self._wake.wait()
                self._wake.clear()
                await self._turn()
                if stream.done():
                    stream.result()
            # First of all, for a busy stream takes a second to close.
            await self._publisher.flush()
        finally:
            companions: list[asyncio.Task[Any]] = [stream, stopping, ticking]
            for each in companions:
                each.cancel()
            await asyncio.gather(*companions, return_exceptions=True)
            await self._repairs.close()
            await self._silence.close()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._wake.set()

    async def _turn(self) -> None:
        now_ms = self._now_ms()
        released: list[Release] = []
        # Before any bound is looked at: an answer that is here, however long Kafka took for the
        # last turn, is not late.
        if answer := self._repairs.answer():
            released += answer(now_ms)
        for frame in self._followed.buffer.take():
            released += self._taken(frame, now_ms)
        metrics.BUFFER_BYTES.labels("stream").set(
            self._followed.buffer.size_bytes + self._sequence.held_bytes
        )
        released += self._sequence.expire(now_ms)
        self._repairs.ask(now_ms)
        self._silence.look()
        await self._publish(released)

    def _taken(self, frame: Frame, now_ms: int) -> Sequence[Release]:
        try:
            update = self._followed.parser.parse(frame.payload)
        except SourceError as error:
            metrics.FRAMES.labels("malformed").inc()
            if frame.connection != self._broken:  # one word about each, however many follow
                log.warning("a frame cannot be used, the stream is connected anew: %s", error)
            self._broken = frame.connection
            self._followed.stream.renew(Leaving.GAP, frame.connection)
            return ()
        if isinstance(update, Ignored):
            metrics.FRAMES.labels("ignored").inc()
            log.debug("ignored: %s", update.what)
            return ()
        metrics.FRAMES.labels("taken").inc()
        self._followed.stream.works()
        return self._sequence.take(update, now_ms)

    async def _publish(self, released: Sequence[Release]) -> None:
        self._count(released)
        position = self._sequence.position
        if not released or position is None:
            return
        await self._publisher.publish(
            Page(
                [each.record for each in released],
                positions=[each.position for each in released],
                times_ms=[each.time_ms for each in released],
                next_position=position,
                through_ms=self._sequence.through_ms,
                headers=[each.headers for each in released],
            )
        )
        now_ms = self._now_ms()
        if now_ms - self._lag_told_ms >= _LAG_EVERY_MS and self._sequence.newest_event_ms:
            self._lag_told_ms = now_ms
            self._reporter.lag(max(0, now_ms - self._sequence.newest_event_ms))

    def _count(self, released: Sequence[Release]) -> None:
        from_rest = sum(SOURCE_REST[0] in each.headers for each in released)
        marked = sum(each.headers == KIND_GAP for each in released)
        snapshots = sum(each.headers == KIND_SNAPSHOT for each in released)
        metrics.RECORDS_READ.labels("rest").inc(from_rest + snapshots)
        metrics.RECORDS_READ.labels("stream").inc(len(released) - from_rest - snapshots - marked)
        metrics.GAP_RECORDS.inc(from_rest)
        if marked:
            metrics.GAPS.labels("marked").inc(marked)
        waits = self._sequence.held_bytes > 0
        if self._waits and not waits and from_rest:
            is_late = any(LATE[0] in each.headers for each in released)
            metrics.GAPS.labels("late" if is_late else "filled").inc()
        self._waits = waits

    def _now_ms(self) -> int:
        return int(self._venue.venue_time_s() * 1000)
