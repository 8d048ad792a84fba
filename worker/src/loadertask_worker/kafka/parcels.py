"""Closed batches on their way to Kafka: what each carries, and what went wrong with any of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaError

from loadertask_worker import metrics
from loadertask_worker.kafka.refusals import meaning
from loadertask_worker.kafka.stalls import StallWatch
from loadertask_worker.patience import answer_bound_s

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from loadertask_worker.errors import LoadError
    from loadertask_worker.kafka.producer import BatchProducer
    from loadertask_worker.kafka.terms import Terms

    OnCommitted = Callable[[int, int], None]

_BUFFERED = metrics.BUFFER_BYTES.labels("publish")


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is known of a closed batch; the batch itself is let go when Kafka has it.

    After its last record the load stands at ``position``, and before ``through_ms`` (data time)
    nothing is missing once the parcel and all before it are in the topic. ``size_bytes`` is what
    the batch takes, ``value_bytes`` its values alone.
    """

    records: int
    size_bytes: int
    value_bytes: int
    position: int
    through_ms: int


class Shipper:
    """What every way of delivery does with a parcel.

    ``unsettled`` counts the records that were sent and are not known to be in the topic.
    """

    def __init__(self, producer: BatchProducer, terms: Terms, on_committed: OnCommitted) -> None:
        self._producer, self._terms = producer, terms
        self._bound_s = answer_bound_s(terms.patience_s)
        self._on_committed = on_committed
        self._failure: LoadError | None = None
        self._stalls = StallWatch(producer.brokers, terms.patience_s)
        self.unsettled = 0

    def raise_failure(self) -> None:
        """Raise what went wrong, in this call or behind its back.

        Raises:
            LoadError: something did.

        """
        if self._failure:
            raise self._failure

    def empty_batch(self) -> Any:
        """A batch to fill."""
        return self._producer.batch()

    async def _ship(self, batch: Any, parcel: Parcel) -> asyncio.Future[Any]:
        """Hand a batch to aiokafka; its promise is looked at also if nobody awaits it."""
        try:
            promise = await self._producer.accepted(batch)
        except (KafkaError, AssertionError) as error:
            raise self._failed(error) from error
        self.unsettled += parcel.records
        _BUFFERED.inc(parcel.size_bytes)
        self._stalls.sent()
        promise.add_done_callback(partial(self._answered, parcel, time.monotonic()))
        return promise

    def _answered(self, parcel: Parcel, sent_s: float, promise: asyncio.Future[Any]) -> None:
        _BUFFERED.dec(parcel.size_bytes)
        if promise.cancelled():
            self._stalls.failed()
            return
        if error := promise.exception():
            self._stalls.failed()
            self._failed(error)
            return
        self._stalls.acknowledged()
        metrics.ACKNOWLEDGEMENT_SECONDS.observe(time.monotonic() - sent_s)
        self._acknowledged(parcel, promise.result().offset)

    def _acknowledged(self, parcel: Parcel, offset: int) -> None:
        """Kafka has written a parcel, its first record at ``offset``."""

    def _failed(self, error: BaseException) -> LoadError:
        """The load's first failure, which explains those that follow."""
        if self._failure is None:
            cause = self._producer.cause_of(error)
            self._failure = meaning(cause, self._terms, self.unsettled)
        return self._failure

    def _settled(self, parcels: list[Parcel]) -> None:
        """Parcels are in the topic for good."""
        records = sum(parcel.records for parcel in parcels)
        self.unsettled -= records
        metrics.RECORD_BYTES_COMMITTED.inc(sum(parcel.value_bytes for parcel in parcels))
        self._on_committed(records, parcels[-1].through_ms)
