"""The past in order: the archive's files where there are any, REST where there are none.

Files are fetched ahead and published in order. Whatever a file lacks is seen at the next row, and
REST is asked for it; a file that cannot be used is replaced by REST and told, or ends the attempt
where REST no longer keeps what is in it. Nothing here knows whether it loads candles or trades:
that is the source's.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress
from typing import IO, TYPE_CHECKING, Protocol, TypeVar

from loadertask_worker import metrics
from loadertask_worker.binance.archive import Archive, Large
from loadertask_worker.binance.archive_rows import (
    ArchiveFileError,
    ArchiveLostError,
    RowReader,
    pieces,
)
from loadertask_worker.errors import ArchiveNeededError, SinkError, SourceError
from loadertask_worker.ordered import boxed, in_order, until_stop
from loadertask_worker.seams import Hole, OutOfOrderError, Rows, Seam

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterable, Sequence

    from loadertask_worker.history_plan import Segment
    from loadertask_worker.kafka.records import Page, RecordPublisher
    from loadertask_worker.tasks import Reporter

log = logging.getLogger(__name__)
T = TypeVar("T")

# Enough to hide the way to the archive; each may hold archive.SMALL_BYTES.
_FILES_AHEAD = 8

_Fetched = IO[bytes] | Large | ArchiveFileError | None


class Source(Protocol):
    """What is loaded: how REST gives it, and what a page of it is."""

    @property
    def pages_in_flight(self) -> int:
        """How many pages of REST are asked for at once."""

    @property
    def reader(self) -> RowReader:
        """Reads the lines of its files."""

    @property
    def seam(self) -> Seam:
        """Where it has got to."""

    async def position_at(self, time_ms: int) -> int:
        """A position after all rows before a moment that REST has, and before all others."""

    async def kept_instead(self, end_ms: int) -> str | None:
        """What REST keeps, in words, where it no longer keeps what comes next before a moment.

        None where it has all of that: what it does not give then, the venue never had.
        """

    def unheld(self, until_ms: int) -> str:
        """What comes next before a moment, in words: REST no longer keeps it."""

    def rest_pages(self, start: int, end: int) -> Iterable[Coroutine[None, None, Page]]:
        """Everything that REST has at positions in [start, end)."""

    def passed(self, start: int, page: Page | None) -> Sequence[str]:
        """What people should know once a page of REST from ``start`` on goes by; None: no more."""

    def page(self, rows: Rows, end_ms: int) -> Page:
        """Rows of a file that the seam has just passed, from before ``end_ms``."""

    def end_page(self, end_ms: int) -> Page:
        """No rows: everything from before ``end_ms`` was published."""


async def publish_all(pages: AsyncGenerator[Page, None], publisher: RecordPublisher) -> None:
    """Publish pages, and flush: at the end, and before an error of the source goes on.

    The last event tells what is in the topic, so what was taken goes there first.
    """
    try:
        async with aclosing(pages):
            async for page in pages:
                await publisher.publish(page)
    except SourceError:
        with suppress(SinkError):
            await publisher.flush()
        raise
    await publisher.flush()


class _StoppedError(Exception):
    """The stop came first."""


class History:
    """One load of one source's past. ``is_done`` once everything was given."""

    def __init__(
        self, source: Source, archive: Archive | None, stop: asyncio.Event, reporter: Reporter
    ) -> None:
        self._source, self._seam, self._archive = source, source.seam, archive
        self._stop, self._reporter = stop, reporter
        self._reached_ms = 0
        # How far sound files speak, and what REST keeps instead of what it is needed for.
        self._covered_ms = 0
        self._kept_instead: str | None = None
        self._archive_is_lost = False
        self.is_done = False

    async def pages(self, segments: Iterable[Segment], end_ms: int) -> AsyncGenerator[Page, None]:
        """Everything in ``segments``, which end at ``end_ms``; less where the stop comes first.

        Raises:
            SourceError: REST does not give what is needed of it.

        """
        fetched = in_order(map(self._ahead, segments), _FILES_AHEAD, self._stop)
        try:
            async with aclosing(fetched):
                async for segment, file in fetched:
                    async for page in self._segment(segment, file):
                        yield page
            self._end_if_stopped()
            async for page in self._rest_until(end_ms):
                yield page
            self._tell_unheld(end_ms)
        except _StoppedError:
            return
        yield self._source.end_page(end_ms)
        self.is_done = True

    async def _ahead(self, segment: Segment) -> tuple[Segment, _Fetched]:
        return segment, await self._fetched(segment, small_only=True)

    async def _fetched(
        self, segment: Segment, *, small_only: bool, is_needed: bool = False
    ) -> _Fetched:
        if self._archive is None or segment.file is None:
            return None
        try:
            return await self._archive.fetch(
                segment.file, small_only=small_only, is_needed=is_needed
            )
        except ArchiveFileError as error:
            return error

    async def _segment(self, segment: Segment, fetched: _Fetched) -> AsyncIterator[Page]:
        if isinstance(fetched, Large | ArchiveLostError):
            fetched = await self._unless_stopped(self._fetched(segment, small_only=False))
        try:
            if isinstance(fetched, ArchiveFileError):
                raise fetched
            if fetched is not None and not isinstance(fetched, Large):
                async for page in self._whole_file(segment, fetched):
                    yield page
                return
        except (ArchiveFileError, OutOfOrderError) as error:
            needed = await self._if_needed(segment, error)
            if needed is not None:
                async for page in self._segment(segment, needed):
                    yield page
                return
            metrics.ARCHIVE_FILES.labels("replaced").inc()
            self._tell_replaced(segment, error)
        async for page in self._rest_until(segment.end_ms):
            yield page

    async def _if_needed(self, segment: Segment, error: Exception) -> IO[bytes] | None:
        """The file once more, where only the archive can have it; None where REST stands in.

        Raises:
            ArchiveNeededError: it cannot be used, and REST does not have what is in it.

        """
        kept = await self._unless_stopped(self._source.kept_instead(segment.end_ms))
        if kept is None:
            return None
        if isinstance(error, ArchiveLostError):
            self._reporter.tell(f"Waiting for the archive's file {segment.stem}: {error}")
            asking = self._fetched(segment, small_only=False, is_needed=True)
            fetched = await self._unless_stopped(asking)
            if fetched is None:
                return None
            if not isinstance(fetched, Large | ArchiveFileError):
                return fetched
            error = fetched if isinstance(fetched, ArchiveFileError) else error
        raise ArchiveNeededError(segment.stem, str(error), kept) from error

    def _tell_replaced(self, segment: Segment, error: Exception) -> None:
        """Say which file REST stands in for, and once that it does for those that follow."""
        is_lost = isinstance(error, ArchiveLostError)
        if is_lost and not self._archive_is_lost:
            self._reporter.tell(f"REST stands in for LOADER_ARCHIVE_URL for now: {error}")
        elif not is_lost:
            self._reporter.tell(f"The archive's file {segment.stem} is replaced by REST: {error}")
        self._archive_is_lost |= is_lost

    async def _whole_file(self, segment: Segment, fetched: IO[bytes]) -> AsyncIterator[Page]:
        with fetched as file:
            async for page in self._file(segment, file):
                yield page
        metrics.ARCHIVE_FILES.labels("loaded").inc()
        self._archive_is_lost = False
        self._covered_ms = segment.end_ms

    async def _file(self, segment: Segment, file: IO[bytes]) -> AsyncIterator[Page]:
        """The file's rows that are wanted; what it lacks before and between them, by REST."""
        is_begun = False
        for lines in pieces(file, segment.stem):
            rows = self._source.reader.rows(lines)
            if not is_begun:
                rows = self._wanted(rows, segment.start_ms)
                is_begun = len(rows) > 0
            wanted = rows.part(0, _first(rows.times_ms, segment.end_ms))
            if len(wanted):
                self._resume(wanted.times_ms[0])
            for piece in self._seam.fit(wanted):
                if isinstance(piece, Hole):
                    async for page in self._lacked(self._rest(piece.start, piece.end)):
                        yield page
                else:
                    metrics.RECORDS_READ.labels("archive").inc(len(piece))
                    if len(published := piece.published()):
                        yield self._source.page(published, segment.end_ms)
            if len(wanted) < len(rows):
                async for page in self._end_before(rows.positions[len(wanted)], segment.end_ms):
                    yield page
                return
            # The piece was taken apart at one go: others have waited.
            await asyncio.sleep(0)
            self._end_if_stopped()

    def _wanted(self, rows: Rows, start_ms: int) -> Rows:
        """Without the first rows of a file, as long as they are from before where we are."""
        skipped = _first(rows.times_ms, start_ms)
        lowest = self._seam.lowest
        while skipped < len(rows) and rows.positions[skipped] < lowest:
            skipped += 1
        if skipped:
            self._seam.skip(rows.positions[skipped - 1])
        return rows.part(skipped, len(rows))

    async def _end_before(self, following: int, end_ms: int) -> AsyncIterator[Page]:
        """Come to the end, which a file's row from after it shows: ``following`` is its position.

        Where that row is the one due, REST knows no more; a hole may span the end as well.
        """
        if following <= self._seam.due:
            self._reached_ms = end_ms
            return
        async for page in self._lacked(self._rest_until(end_ms)):
            yield page

    async def _lacked(self, pages: AsyncIterator[Page]) -> AsyncIterator[Page]:
        """What REST has where a file has nothing: often nothing either, the venue was down."""
        found = 0
        async for page in pages:
            found += len(page.records)
            yield page
        if found:
            self._reporter.tell(f"{found} records that the archive lacks are taken from REST")

    async def _rest_until(self, end_ms: int) -> AsyncIterator[Page]:
        if end_ms <= self._reached_ms:
            return
        end = await self._unless_stopped(self._source.position_at(end_ms))
        if self._kept_instead is None and end_ms > self._covered_ms:
            asking = self._source.kept_instead(end_ms)
            self._kept_instead = await self._unless_stopped(asking)
        if self._seam.due < self._seam.grid(end):
            self._resume(end_ms)
            async for page in self._rest(self._seam.floor, end):
                yield page
        self._seam.reach(end)
        self._reached_ms = end_ms

    def _resume(self, until_ms: int) -> None:
        """Tell what nobody has before what comes next; where it is sure, its hole shows that."""
        if self._seam.is_sure:
            self._kept_instead = None
        self._tell_unheld(until_ms)

    def _tell_unheld(self, until_ms: int) -> None:
        kept, self._kept_instead = self._kept_instead, None
        if kept is not None:
            files = "the archive does not have them" if self._archive else "no archive is asked"
            what = self._source.unheld(until_ms)
            self._reporter.lacks(f"Nobody has the {what}: {files}, and REST keeps {kept}")

    async def _rest(self, start: int, end: int) -> AsyncIterator[Page]:
        source = self._source
        found = in_order(source.rest_pages(start, end), source.pages_in_flight, self._stop)
        async with aclosing(found):
            async for page in found:
                metrics.RECORDS_READ.labels("rest").inc(len(page.records))
                self._tell(source.passed(start, page))
                start = page.next_position
                if page.records:
                    yield page
        self._tell(source.passed(start, None))
        self._end_if_stopped()

    def _tell(self, texts: Iterable[str]) -> None:
        for text in texts:
            self._reporter.lacks(text)

    def _end_if_stopped(self) -> None:
        if self._stop.is_set():
            raise _StoppedError

    async def _unless_stopped(self, coroutine: Coroutine[None, None, T]) -> T:
        if (box := await until_stop(boxed(coroutine), self._stop)) is None:
            raise _StoppedError
        return box[0]


def _first(times_ms: list[int], time_ms: int) -> int:
    """The index of the first row at or after a moment, or the number of rows."""
    return next((i for i, each in enumerate(times_ms) if each >= time_ms), len(times_ms))
