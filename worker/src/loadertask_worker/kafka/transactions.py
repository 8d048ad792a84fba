"""Delivery in transactions, each of which commits the records and the cursor behind them at once.

Every parcel is awaited before the commit: Kafka would commit the others without the one that it
refused. After any error the attempt is over, and the next one goes on at the committed cursor.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from loadertask_worker import metrics
from loadertask_worker.cursor import Cursor, Note, encode_note
from loadertask_worker.errors import LoadError
from loadertask_worker.kafka.cursor_group import Kept
from loadertask_worker.kafka.parcels import Parcel, Shipper
from loadertask_worker.kafka.stopping import stop_within_bound

if TYPE_CHECKING:
    from loadertask_worker.kafka.parcels import OnCommitted
    from loadertask_worker.kafka.producer import BatchProducer
    from loadertask_worker.kafka.terms import Terms

log = logging.getLogger(__name__)


async def commit_note(producer: BatchProducer, terms: Terms, kept: Kept) -> None:
    """Put a note into the open transaction and commit both.

    Raises:
        KafkaError, AssertionError: the transaction is not committed, or nobody knows.

    """
    offsets = {kept.partition: OffsetAndMetadata(kept.offset, encode_note(kept.note))}
    await producer.raw.send_offsets_to_transaction(offsets, terms.group)
    await producer.raw.commit_transaction()


class TransactionalDelivery(Shipper):
    """Parcel after parcel in transactions of bounded size and age.

    Filling goes on while a transaction is committed; sending waits for it.
    """

    def __init__(
        self, producer: BatchProducer, terms: Terms, load_name: str, on_committed: OnCommitted
    ) -> None:
        super().__init__(producer, terms, on_committed)
        self._load_name = load_name
        self._records = 0
        self._age_limit_s = terms.pace.first_transaction_s
        self._sending = asyncio.Lock()
        self._open: list[tuple[Parcel, asyncio.Future[Any]]] = []
        self._open_bytes = 0
        self._opened_s = 0.0
        self._due: asyncio.TimerHandle | None = None
        self._commits: set[asyncio.Task[None]] = set()

    def go_on_at(self, cursor: Cursor | None) -> None:
        """Count the records of earlier attempts too."""
        self._records = cursor.records if cursor else 0

    async def send(self, batch: Any, parcel: Parcel) -> None:
        """Send within the open transaction; returns when aiokafka has taken the batch.

        Raises:
            SinkError: this or an earlier one failed, or Kafka takes no more within the patience.

        """
        async with self._sending:
            self.raise_failure()
            if not self._open:
                await self._begin()
            self._open.append((parcel, await self._ship(batch, parcel)))
            self._open_bytes += parcel.size_bytes
            if self._open_bytes >= self._terms.pace.transaction_bytes:
                self._commit_soon()

    async def settle(self) -> None:
        """Commit what was sent.

        Raises:
            SinkError: it is not committed, or nobody knows.

        """
        async with self._sending:
            self.raise_failure()
            await self._commit()

    async def close(self) -> None:
        """Leave Kafka within a bound; an open transaction is aborted, so that no reader waits."""
        self._stalls.close()
        if self._due:
            self._due.cancel()
        for commit in self._commits:
            commit.cancel()
        await stop_within_bound(self._leave(), "record producer")

    async def _leave(self) -> None:
        if self._open:
            try:
                await self._producer.raw.abort_transaction()
                metrics.TRANSACTIONS.labels("aborted").inc()
            except (KafkaError, AssertionError) as error:
                log.warning("the open transaction is left to the brokers: %r", error)
        await self._producer.raw.stop()

    async def _begin(self) -> None:
        try:
            await self._producer.raw.begin_transaction()
        except (KafkaError, AssertionError) as error:
            raise self._failed(error) from error
        self._opened_s = time.monotonic()
        loop = asyncio.get_running_loop()
        self._due = loop.call_later(self._age_limit_s, self._commit_soon)

    def _commit_soon(self) -> None:
        commit = asyncio.create_task(self._commit_behind())
        self._commits.add(commit)
        commit.add_done_callback(self._commits.discard)

    async def _commit_behind(self) -> None:
        async with self._sending:
            try:
                self.raise_failure()
                await self._commit()
            except LoadError as error:
                self._failure = self._failure or error

    async def _commit(self) -> None:
        if not self._open:
            return
        if self._due:
            self._due.cancel()
        parcels = [parcel for parcel, _ in self._open]
        last, records = parcels[-1], self._records + sum(each.records for each in parcels)
        try:
            async with asyncio.timeout(self._bound_s):
                for _, promise in self._open:
                    offset = (await promise).offset
                cursor = Cursor(last.position, last.through_ms, records)
                note = Note(self._load_name, cursor, is_exact=True)
                kept = Kept(note, self._producer.partition, offset + last.records)
                with self._stalls.under_way():
                    await commit_note(self._producer, self._terms, kept)
        except TimeoutError as error:
            metrics.TRANSACTIONS.labels("unknown").inc()
            what = f"a transaction of {self.unsettled} records could not be committed"
            self._failure = await self._producer.silence(what, self.unsettled)
            raise self._failure from error
        except (KafkaError, AssertionError) as error:
            metrics.TRANSACTIONS.labels("unknown").inc()
            raise self._failed(error) from error
        self._records = records
        self._committed(parcels)
        if self._producer.is_worn_out:
            await self._producer.renew()

    def _committed(self, parcels: list[Parcel]) -> None:
        metrics.TRANSACTIONS.labels("committed").inc()
        metrics.TRANSACTION_SECONDS.observe(time.monotonic() - self._opened_s)
        self._open, self._open_bytes = [], 0
        self._age_limit_s = min(2 * self._age_limit_s, self._terms.pace.transaction_s)
        self._settled(parcels)
