"""Data records on their way to Kafka: filled into big batches, every batch accounted for.

A batch that Kafka refuses, or whose fate is unknown, fails the load: nothing is skipped. Memory is
bounded by aiokafka's queue of one waiting batch beside the one being filled and the one sent.
Records are not compressed: existing consumers without a zstd library must keep reading them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)
from aiokafka.partitioner import DefaultPartitioner

from loadertask_worker.errors import (
    DeliveryUnknownError,
    LoadError,
    SinkRejectedError,
    SinkUnavailableError,
)
from loadertask_worker.kafka.stopping import stop_within_bound
from loadertask_worker.patience import answer_bound_s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadertask_contract.messages import Headers
    from loadertask_worker.kafka.security import KafkaAccess

log = logging.getLogger(__name__)

# Below the broker's default message.max.bytes of 1 MiB.
_BATCH_BYTES = 900_000
# A slow load shows its records after this, full batch or not.
_LINGER_S = 0.25


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
            everything is in the topic, each time Kafka acknowledges a batch.

    """

    def __init__(
        self,
        access: KafkaAccess,
        topic: str,
        key: str,
        *,
        patience_s: float,
        on_committed: Callable[[int, int], None],
    ) -> None:
        self._producer = AIOKafkaProducer(
            **access.client_options,
            enable_idempotence=True,
            acks="all",
            max_batch_size=_BATCH_BYTES,
            max_request_size=_BATCH_BYTES + 100_000,
        )
        self._topic, self._key = topic, key.encode()
        self._patience_s, self._bound_s = patience_s, answer_bound_s(patience_s)
        self._on_committed = on_committed
        self._partition = 0
        self._batch: Any = None
        self._through_ms = 0
        self._linger: asyncio.TimerHandle | None = None
        self._filling = asyncio.Lock()
        self._in_flight: set[asyncio.Future[Any]] = set()
        self._lingering: set[asyncio.Task[None]] = set()
        self._failure: LoadError | None = None
        self.unacknowledged = 0

    async def start(self) -> None:
        """Connect, and find the partition that Kafka's default partitioner gives our key.

        Raises:
            SinkUnavailableError: not within the patience.

        """
        try:
            async with asyncio.timeout(self._bound_s):
                await self._producer.start()
                partitions = sorted(await self._producer.partitions_for(self._topic))
        except (TimeoutError, KafkaError) as error:
            raise SinkUnavailableError(self._patience_s, str(error)) from error
        self._partition = DefaultPartitioner()(self._key, partitions, partitions)
        self._batch = self._producer.create_batch()

    async def publish(self, page: Page) -> None:
        """Take a page; returns when it is in batches, of which few wait for Kafka.

        Raises:
            SinkError: an earlier batch failed, or Kafka takes no more within the patience.

        """
        async with self._filling:
            self._raise_failure()
            now_ms = time.time_ns() // 1_000_000
            append, key = self._batch.append, self._key
            for record, time_ms in zip(page.records, page.times_ms, strict=True):
                if append(timestamp=now_ms, key=key, value=record) is None:
                    self._through_ms = time_ms
                    await self._send()
                    append = self._batch.append
                    if append(timestamp=now_ms, key=key, value=record) is None:
                        raise SinkRejectedError(self._topic, f"{len(record)} bytes in one record")
            self._through_ms = page.through_ms
            self._expect_linger()

    async def flush(self) -> None:
        """Send what is there and wait until everything is acknowledged.

        Raises:
            SinkError: something was not.

        """
        async with self._filling:
            await self._send()
        while self._in_flight and self._failure is None:
            done, _ = await asyncio.wait(
                self._in_flight,
                timeout=self._bound_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not done:
                raise SinkUnavailableError(
                    self._patience_s, f"{self.unacknowledged} records wait for acknowledgement"
                )
        self._raise_failure()

    async def close(self) -> None:
        """Leave Kafka, within a bound; what was not acknowledged stays unknown."""
        if self._linger:
            self._linger.cancel()
        for task in self._lingering:
            task.cancel()
        await stop_within_bound(self._producer.stop(), "record producer")

    async def _send(self) -> None:
        """Hand the present batch to aiokafka and begin a new one."""
        batch, records = self._batch, self._batch.record_count()
        if self._linger:
            self._linger.cancel()
            self._linger = None
        if records == 0:
            self._raise_failure()
            return
        self._batch = self._producer.create_batch()
        batch.close()
        delivery = await self._accepted(batch)
        self._in_flight.add(delivery)
        self.unacknowledged += records
        delivery.add_done_callback(partial(self._settle, records, self._through_ms))

    async def _accepted(self, batch: Any) -> asyncio.Future[Any]:
        """Aiokafka's promise for a batch; waits while another batch waits for Kafka."""
        try:
            async with asyncio.timeout(self._bound_s):
                while True:
                    try:
                        future: asyncio.Future[Any] = await self._producer.send_batch(
                            batch, self._topic, partition=self._partition
                        )
                    except KafkaTimeoutError:
                        continue  # its own bound, shorter or longer than our patience
                    return future
        except TimeoutError as error:
            raise SinkUnavailableError(self._patience_s, "it takes no more records") from error
        except KafkaError as error:
            raise self._failure or self._meaning(error, batch.record_count()) from error

    def _settle(self, records: int, through_ms: int, delivery: asyncio.Future[Any]) -> None:
        self._in_flight.discard(delivery)
        if delivery.cancelled():
            return
        if error := delivery.exception():
            self._failure = self._failure or self._meaning(error, self.unacknowledged)
            return
        self.unacknowledged -= records
        self._on_committed(records, through_ms)

    def _meaning(self, error: BaseException, records: int) -> LoadError:
        meaning: LoadError
        match error:
            case TopicAuthorizationFailedError():
                what = "the user may not write there: grant the ACL Write"
                meaning = SinkRejectedError(self._topic, what)
            case MessageSizeTooLargeError() | RecordListTooLargeError():
                what = f"its max.message.bytes is below {_BATCH_BYTES}: raise it to 1048588"
                meaning = SinkRejectedError(self._topic, what)
            case KafkaConnectionError():
                meaning = SinkUnavailableError(self._patience_s, str(error))
            case _:
                meaning = DeliveryUnknownError(records, repr(error))
        meaning.__cause__ = error
        return meaning

    def _raise_failure(self) -> None:
        if self._failure:
            raise self._failure

    def _expect_linger(self) -> None:
        if self._linger is None and self._batch.record_count() > 0:
            loop = asyncio.get_running_loop()
            self._linger = loop.call_later(_LINGER_S, self._begin_lingering_send)

    def _begin_lingering_send(self) -> None:
        self._linger = None
        task = asyncio.create_task(self._send_lingering())
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)

    async def _send_lingering(self) -> None:
        async with self._filling:
            try:
                await self._send()
            except LoadError as error:
                self._failure = self._failure or error
