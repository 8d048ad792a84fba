"""Delivery without transactions: what Kafka has acknowledged is in the topic.

The cursor follows about a second behind, as a committed offset. The next attempt reads the topic
from there on, so that records of that second are not published twice. What it finds must therefore
have no hole: brokers refuse what follows a batch that they refused, by its sequence number, but
only of a producer that they know.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from loadertask_worker.cursor import Cursor, Note
from loadertask_worker.errors import FencedError, LoadError
from loadertask_worker.kafka.cursor_group import Kept
from loadertask_worker.kafka.parcels import Parcel, Shipper
from loadertask_worker.kafka.producer import MissingRightError
from loadertask_worker.kafka.stopping import stop_within_bound

if TYPE_CHECKING:
    from loadertask_worker.kafka.cursor_group import CursorGroup
    from loadertask_worker.kafka.parcels import OnCommitted
    from loadertask_worker.kafka.producer import BatchProducer
    from loadertask_worker.kafka.terms import Terms

log = logging.getLogger(__name__)

_KEEP_EVERY_S = 1.0
# A load that ends waits no longer for its cursor: the topic tells the same.
_KEEP_LAST_S = 0.5


class AcknowledgedDelivery(Shipper):
    """Parcel after parcel; ``group`` keeps the cursor (None: nothing does)."""

    def __init__(
        self,
        producer: BatchProducer,
        terms: Terms,
        load_name: str,
        on_committed: OnCommitted,
        group: CursorGroup | None,
    ) -> None:
        super().__init__(producer, terms, on_committed)
        self._load_name, self._group = load_name, group
        self._records = 0
        self._next_offset = 0
        # A cursor and the offset behind its last record: of one moment, or a search misses some.
        self._unkept: tuple[Cursor, int] | None = None
        self._in_flight: set[asyncio.Future[Any]] = set()
        self._is_known_to_brokers = False
        self._keeping: asyncio.Task[None] | None = None

    def go_on_at(self, cursor: Cursor | None) -> None:
        """Count the records of earlier attempts too."""
        self._records = cursor.records if cursor else 0

    async def send(self, batch: Any, parcel: Parcel) -> None:
        """Send; returns when aiokafka has taken the batch.

        Raises:
            SinkError: this or an earlier one failed, or Kafka takes no more within the patience.

        """
        self.raise_failure()
        if self._producer.is_worn_out:
            await self._all_acknowledged()
            await self._producer.renew()
            self._is_known_to_brokers = False
        if not self._is_known_to_brokers:
            # They would take a second batch for the first one if they refuse that.
            await self._all_acknowledged()
        promise = await self._ship(batch, parcel)
        self._in_flight.add(promise)
        promise.add_done_callback(self._in_flight.discard)

    async def settle(self) -> None:
        """Wait until everything is acknowledged, and the cursor is kept if that is quick.

        Raises:
            SinkError: something was not acknowledged.

        """
        await self._all_acknowledged()
        try:
            async with asyncio.timeout(_KEEP_LAST_S):
                await self._keep()
        except TimeoutError:
            log.warning("the cursor is left behind: the next attempt looks into the topic")
        self.raise_failure()

    async def close(self) -> None:
        """Leave Kafka, within a bound; what was not acknowledged stays unknown."""
        self._stalls.close()
        if self._keeping:
            self._keeping.cancel()
        await stop_within_bound(self._producer.raw.stop(), "record producer")

    async def _all_acknowledged(self) -> None:
        while self._in_flight and self._failure is None:
            done, _ = await asyncio.wait(
                self._in_flight, timeout=self._bound_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                what = f"{self.unsettled} records wait for acknowledgement"
                raise await self._producer.silence(what, self.unsettled)
        self.raise_failure()

    def _acknowledged(self, parcel: Parcel, offset: int) -> None:
        self._is_known_to_brokers = True
        self._records += parcel.records
        # Of a parcel that Kafka got twice, it may not remember where it is.
        self._next_offset = max(self._next_offset, offset + parcel.records)
        cursor = Cursor(parcel.position, parcel.through_ms, self._records)
        self._unkept = cursor, self._next_offset
        self._settled([parcel])
        if self._group and (self._keeping is None or self._keeping.done()):
            self._keeping = asyncio.create_task(self._keep_later())

    async def _keep_later(self) -> None:
        while self._unkept and self._failure is None:
            await asyncio.sleep(_KEEP_EVERY_S)
            await self._keep()

    async def _keep(self) -> None:
        unkept, self._unkept = self._unkept, None
        if unkept is None or self._group is None:
            return
        cursor, next_offset = unkept
        try:
            await self._group.check_ownership()
            note = Note(self._load_name, cursor, is_exact=False)
            await self._group.keep(Kept(note, self._producer.partition, next_offset))
        except FencedError as error:
            self._failure = self._failure or error
        except MissingRightError as error:
            log.warning("the cursor could not be committed: %s", error)
        except LoadError as error:
            log.warning("the cursor could not be committed, and will be tried again: %s", error)
            self._unkept = self._unkept or unkept
