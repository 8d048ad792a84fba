"""What the live types have in common: they connect a stream, REST and the loop that follows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from loadertask_worker.binance.rest import binance_rest
from loadertask_worker.binance.streams import Stream
from loadertask_worker.live.buffer import FrameBuffer
from loadertask_worker.tasks.following import Followed, Follower

if TYPE_CHECKING:
    import asyncio

    from loadertask_contract.environment import WorkerEnvironment
    from loadertask_worker.binance.frames import FrameParser
    from loadertask_worker.binance.rest import BinanceRest
    from loadertask_worker.cursor import Cursor
    from loadertask_worker.kafka.records import RecordPublisher
    from loadertask_worker.tasks import Reporter
    from loadertask_worker.tasks.live_source import LiveSource

# Twenty seconds of 2 000 messages a second: longer than Kafka's hiccups, far from what a pod has.
BUFFER_BYTES = 16 * 1024 * 1024


class LiveTask(ABC):
    """Follows ``stream`` of one symbol; each type says what its frames and holes are."""

    def __init__(self, environment: WorkerEnvironment, stream: str, parser: FrameParser) -> None:
        self._environment = environment
        self._symbol = environment.symbol
        self._url = f"{environment.binance_ws_url.rstrip('/')}/{stream}"
        self._parser = parser

    @abstractmethod
    def source(self, venue: BinanceRest, cursor: Cursor | None, reporter: Reporter) -> LiveSource:
        """The sequence to begin with, and what repairs it."""

    async def load(
        self,
        publisher: RecordPublisher,
        cursor: Cursor | None,
        stop: asyncio.Event,
        reporter: Reporter,
    ) -> bool:
        """Follow until ``stop``; see ``tasks.Task``. A stream is never done."""
        environment = self._environment
        buffer = FrameBuffer(BUFFER_BYTES)
        patience_s = environment.patience_s
        stream = Stream(self._url, buffer, patience_s=patience_s, on_wait=reporter.waits)
        async with binance_rest(
            environment.binance_api_url,
            patience_s=patience_s,
            weight_share=environment.weight_share,
            on_wait=reporter.waits,
        ) as venue:
            source = self.source(venue, cursor, reporter)
            followed = Followed(stream, buffer, self._parser, source)
            follower = Follower(followed, venue, publisher, stop, reporter, patience_s)
            await follower.follow(self._symbol)
        return False
