"""What the historical types have in common: they open REST and the archive, and walk the past."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadertask_worker.binance.archive import binance_archive
from loadertask_worker.binance.rest import binance_rest
from loadertask_worker.errors import BannedError
from loadertask_worker.ordered import until_stop
from loadertask_worker.tasks.history import History, publish_all

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from loadertask_contract.environment import WorkerEnvironment
    from loadertask_worker.binance.archive import Archive
    from loadertask_worker.binance.rest import BinanceRest
    from loadertask_worker.cursor import Cursor
    from loadertask_worker.history_plan import Segment
    from loadertask_worker.kafka.records import RecordPublisher
    from loadertask_worker.tasks import Reporter
    from loadertask_worker.tasks.history import Source

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Past:
    """A source that stands where to begin, and what it is to be loaded from, to before ``end_ms``.

    The segments are of the archive, and not looked at where there is none.
    """

    source: Source
    segments: Iterable[Segment]
    end_ms: int


class HistoryTask(ABC):
    """Loads a range of time; each type says where it begins and what it is made of."""

    def __init__(self, environment: WorkerEnvironment) -> None:
        self._environment = environment
        self._symbol = environment.symbol

    @property
    def sources(self) -> str:
        """Where records come from, for people."""
        return "archive, rest" if self._environment.archive_url else "rest"

    @abstractmethod
    async def past(
        self,
        venue: BinanceRest,
        archive: Archive | None,
        cursor: Cursor | None,
        reporter: Reporter,
    ) -> Past:
        """What is to be loaded, by the venue's clock.

        Raises:
            SourceError: the venue does not say.

        """

    async def venue_clock(self, venue: BinanceRest, archive: Archive | None) -> int:
        """The venue's clock (epoch ms), from the answer that tells its limits too.

        Raises:
            SourceError: the venue does not say, and no archive goes on without.

        """
        try:
            return (await venue.exchange_info(self._symbol)).server_time_ms
        except BannedError as error:
            if archive is None:
                raise
            # The archive is no part of the ban: it goes on until REST is needed.
            log.warning("%s; loading from the archive as far as it goes", error)
            return int(venue.venue_time_s() * 1000)

    async def load(
        self,
        publisher: RecordPublisher,
        cursor: Cursor | None,
        stop: asyncio.Event,
        reporter: Reporter,
    ) -> bool:
        """Publish page after page; see ``tasks.Task``."""
        environment = self._environment
        async with AsyncExitStack() as opened:
            rest = binance_rest(
                environment.binance_api_url,
                patience_s=environment.patience_s,
                weight_share=environment.weight_share,
                on_wait=reporter.waits,
            )
            venue = await opened.enter_async_context(rest)
            archive: Archive | None = None
            if url := environment.archive_url:
                files = binance_archive(url, environment.patience_s)
                archive = await opened.enter_async_context(files)
            past = await until_stop(self.past(venue, archive, cursor, reporter), stop)
            if past is None:
                return False
            history = History(past.source, archive, stop, reporter)
            segments = past.segments if archive else ()
            await publish_all(history.pages(segments, past.end_ms), publisher)
            return history.is_done
