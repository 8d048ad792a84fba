"""Data records on their way to Kafka: filled into big batches, every batch accounted for.

A batch that Kafka refuses, or whose fate is unknown, fails the load: nothing is skipped. Memory is
bounded by aiokafka's queue of one waiting batch beside the one being filled and the one sent.
Records are not compressed: existing consumers without a zstd library must keep reading them.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

from loadertask_worker.errors import (
    DeliveryUnknownError,
    LoadError,
    SinkRejectedError,
)
from loadertask_worker.kafka.delivery import Way, open_way
from loadertask_worker.kafka.parcels import Parcel
from loadertask_worker.kafka.topic_search import searched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from loadertask_contract.environment import Delivery
    from loadertask_contract.messages import Headers
    from loadertask_contract.parsing import Problem
    from loadertask_worker.cursor import Cursor
    from loadertask_worker.kafka.security import KafkaAccess
    from loadertask_worker.kafka.terms import Terms
    from loadertask_worker.kafka.topic_search import PlaceOf

_FIRST_LINGER_S = 0.05
# aiokafka's builder takes nothing but a list; it is only read.
_NO_HEADERS: list[tuple[str, bytes]] = []


@dataclass(frozen=True, slots=True)
class Page:
    """Records in order, where each stands in the source, and where the source goes on after them.

    Times are epoch milliseconds of the venue. ``positions`` are those of the records themselves:
    to go on AT one of them is to publish it (again). ``next_position`` follows the whole page, and
    no record from before ``through_ms`` is missing then. ``headers`` are those of each record;
    historical records carry none.
    """

    records: Sequence[bytes]
    positions: Sequence[int]
    times_ms: Sequence[int]
    next_position: int
    through_ms: int
    headers: Sequence[Headers] | None = None


class RecordPublisher:
    """Publishes the records of one symbol to the partition of its key.

    Args:
        on_committed: called with the number of records and the data time through which
            everything is in the topic, each time some are there for good.

    """

    def __init__(
        self, access: KafkaAccess, terms: Terms, *, on_committed: Callable[[int, int], None]
    ) -> None:
        self._access, self._terms = access, terms
        self._key = terms.key.encode()
        self._on_committed = on_committed
        self._way: Way | None = None
        self._found: tuple[str, ...] = ()
        self._batch: Any = None
        self._value_bytes = 0
        self._position, self._through_ms, self._committed_through_ms = 0, 0, 0
        # The first records of a life show at once that it loads.
        self._linger_s = min(_FIRST_LINGER_S, terms.pace.linger_s)
        self._linger: asyncio.TimerHandle | None = None
        self._filling = asyncio.Lock()
        self._lingering: set[asyncio.Task[None]] = set()
        self._failure: LoadError | None = None

    async def start(self, load_name: str, known_problem: Problem | None = None) -> None:
        """Open the best way of delivery; quick, for it reads no records.

        Raises:
            ConfigurationError: ``known_problem``, or the way that is demanded is closed to us.
            SinkError: Kafka does not answer within the patience.

        """
        self._way = await open_way(
            self._access, self._terms, load_name, self._committed, known_problem
        )
        self._batch = self._way.shipper.empty_batch()

    async def find_cursor(self, place_of: PlaceOf) -> Cursor | None:
        """Where to go on; reads the topic where the cursor kept there does not know its end.

        Raises:
            LoadError: the topic cannot be read.

        """
        beginning = self._opened.beginning
        if beginning is None:
            return None
        cursor = beginning.kept.note.cursor
        if beginning.must_search:
            cursor = await searched(self._access, self._terms, beginning, place_of)
            if cursor and beginning.kept.note.cursor is None:
                where = f"of this load were found in topic {self._terms.topic}, and no cursor"
                self._found = (f"{cursor.records} records {where}",)
        self._opened.shipper.go_on_at(cursor)
        return cursor

    @property
    def mode(self) -> Delivery:
        """What is promised."""
        return self._opened.mode

    @property
    def warnings(self) -> tuple[str, ...]:
        """What people should know about the delivery of this attempt."""
        return (*self._opened.warnings, *self._found)

    @property
    def unsettled(self) -> int:
        """How many records were sent and are not known to be in the topic for good."""
        return self._way.shipper.unsettled if self._way else 0

    async def publish(self, page: Page) -> None:
        """Take a page; returns when it is in batches, of which few wait for Kafka.

        Raises:
            SinkError: an earlier batch failed, or Kafka takes no more within the patience.

        """
        async with self._filling:
            self._raise_failure()
            await self._fill(page)
            self._position, self._through_ms = page.next_position, page.through_ms
            self._expect_linger()

    async def flush(self) -> None:
        """Send what is there and wait until all of it is in the topic, its cursor beside it.

        Raises:
            SinkError: something is not.

        """
        async with self._filling:
            self._raise_failure()
            await self._send()
            await self._opened.shipper.settle()
            if self._through_ms > self._committed_through_ms:
                # The last pages held no records, and those before them were told of already.
                self._committed(0, self._through_ms)

    async def close(self) -> None:
        """Leave Kafka, within a bound; what was not acknowledged stays unknown."""
        if self._linger:
            self._linger.cancel()
        for task in self._lingering:
            task.cancel()
        if self._way:
            await self._way.shipper.close()

    async def _fill(self, page: Page) -> None:
        """Put records into the batch, and send it whenever it is full."""
        now_ms = time.time_ns() // 1_000_000
        times_ms: Iterable[int] = page.times_ms if self._terms.has_venue_time else repeat(now_ms)
        headers = map(list, page.headers) if page.headers is not None else repeat(_NO_HEADERS)
        append, key = self._batch.append, self._key
        # Of the page, the records from `begin` on are in the batch, after `before` of others.
        begin, before = 0, self._batch.record_count()
        for record, time_ms, marks in zip(page.records, times_ms, headers, strict=False):
            if append(timestamp=time_ms, key=key, value=record, headers=marks) is None:
                index = begin + self._batch.record_count() - before
                self._value_bytes += sum(map(len, page.records[begin:index]))
                self._position, self._through_ms = page.positions[index], page.times_ms[index]
                await self._send()
                begin, before, append = index, 0, self._batch.append
                if append(timestamp=time_ms, key=key, value=record, headers=marks) is None:
                    raise SinkRejectedError(self._terms.topic, f"{len(record)} bytes in one record")
        self._value_bytes += sum(map(len, page.records[begin:]))

    async def _send(self) -> None:
        """Hand the present batch over and begin a new one."""
        batch, records = self._batch, self._batch.record_count()
        if self._linger:
            self._linger.cancel()
            self._linger = None
        if records == 0:
            return
        parcel = Parcel(records, batch.size(), self._value_bytes, self._position, self._through_ms)
        batch.close()
        self._batch, self._value_bytes = self._opened.shipper.empty_batch(), 0
        self._linger_s = self._terms.pace.linger_s
        try:
            await self._opened.shipper.send(batch, parcel)
        except LoadError as error:
            self._failure = self._failure or error
            raise
        except BaseException as error:
            # Nothing may follow a batch that is lost, least of all a cursor.
            is_cut_short = isinstance(error, asyncio.CancelledError)
            what = "cut short" if is_cut_short else f"a bug in the loader: {error!r}"
            self._failure = self._failure or DeliveryUnknownError(records, what)
            raise

    @property
    def _opened(self) -> Way:
        assert self._way is not None, "start() comes first"  # noqa: S101
        return self._way

    def _raise_failure(self) -> None:
        if self._failure:
            raise self._failure
        self._opened.shipper.raise_failure()

    def _committed(self, records: int, through_ms: int) -> None:
        """Some are there for good; if those were all, what has been kept back meanwhile may go."""
        self._committed_through_ms = through_ms
        self._on_committed(records, through_ms)
        if self._linger and not self.unsettled:
            due_s = asyncio.get_running_loop().time() + self._terms.pace.idle_linger_s
            if due_s < self._linger.when():
                self._linger.cancel()
                self._linger = None
                self._expect_linger()

    def _expect_linger(self) -> None:
        if self._linger is None and self._batch.record_count() > 0:
            delay_s = self._linger_s
            if not self.unsettled:
                delay_s = min(delay_s, self._terms.pace.idle_linger_s)
            loop = asyncio.get_running_loop()
            self._linger = loop.call_later(delay_s, self._begin_lingering_send)

    def _begin_lingering_send(self) -> None:
        self._linger = None
        task = asyncio.create_task(self._send_lingering())
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)

    async def _send_lingering(self) -> None:
        async with self._filling:
            with suppress(Exception):  # whoever publishes next meets it
                await self._send()
