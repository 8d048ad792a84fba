"""An idempotent or transactional producer to one partition, every wait bounded by the patience."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.partitioner import DefaultPartitioner

from loadertask_worker.errors import DeliveryUnknownError, SinkError, SinkUnavailableError
from loadertask_worker.kafka.refusals import meaning, missing_right
from loadertask_worker.kafka.stopping import stop_within_bound
from loadertask_worker.patience import answer_bound_s

if TYPE_CHECKING:
    from loadertask_worker.kafka.security import KafkaAccess
    from loadertask_worker.kafka.terms import Terms

log = logging.getLogger(__name__)

# Brokers number the records of a producer with 31 bits; aiokafka 0.14 wraps them wrongly
# (transaction_manager.py goes below zero), so a producer is replaced in time.
RECORDS_PER_PRODUCER = 1_500_000_000
# A transaction that nobody continues ends after this; it outlives an outage within the patience.
_SHORTEST_TRANSACTION_TIMEOUT_S = 60
_LONGEST_TRANSACTION_TIMEOUT_S = 900  # transaction.max.timeout.ms, the brokers' default
# What is known of the topic may be minutes old; brokers that are there tell at once.
_LAST_LOOK_S = 0.5


class MissingRightError(Exception):
    """A way of delivery is closed to us; the text names the right."""


class BatchProducer:
    """Sends batches of records with our key to the partition that Kafka gives it."""

    def __init__(self, access: KafkaAccess, terms: Terms, *, transactional: bool) -> None:
        self._access, self._terms, self._transactional = access, terms, transactional
        self._bound_s = answer_bound_s(terms.patience_s)
        self.raw = self._new()
        self.partition = TopicPartition(terms.topic, 0)
        self._records = 0

    async def start(self) -> None:
        """Connect, settle what an earlier producer of the same transactional id left open.

        Raises:
            MissingRightError: the transactional id is not ours to use.
            SinkUnavailableError: not within the patience.

        """
        try:
            async with asyncio.timeout(self._bound_s):
                await self.raw.start()
                partitions = sorted(await self.raw.partitions_for(self._terms.topic))
        except (TimeoutError, KafkaError) as error:
            if right := missing_right(error, self._terms):
                raise MissingRightError(right) from error
            raise SinkUnavailableError(self._terms.patience_s, str(error)) from error
        number = DefaultPartitioner()(self._terms.key.encode(), partitions, partitions)
        self.partition = TopicPartition(self._terms.topic, number)

    def batch(self) -> Any:
        """An empty batch."""
        return self.raw.create_batch()

    async def accepted(self, batch: Any) -> asyncio.Future[Any]:
        """The client's promise for a batch; waits while another batch waits for Kafka.

        Raises:
            SinkError: Kafka takes no more within the patience.
            KafkaError, AssertionError: the producer can send no more.

        """
        self._records += batch.record_count()
        try:
            async with asyncio.timeout(self._bound_s):
                while True:
                    try:
                        future: asyncio.Future[Any] = await self.raw.send_batch(
                            batch, self.partition.topic, partition=self.partition.partition
                        )
                    except KafkaTimeoutError:
                        continue  # its own bound, shorter or longer than our patience
                    return future
        except TimeoutError as error:
            what = "it takes no more records"
            raise await self.silence(what, batch.record_count()) from error

    async def silence(self, what: str, records: int) -> SinkError:
        """The error for no answer within the patience: brokers that are gone, or the topic."""
        cluster, topic = self.raw.client.cluster, self._terms.topic
        with suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(_LAST_LOOK_S):
                await self.raw.client.force_metadata_update()
        if topic not in cluster.topics(exclude_internal_topics=False):
            return DeliveryUnknownError(records, f"topic {topic} is gone")
        return SinkUnavailableError(self._terms.patience_s, f"{self.brokers}: {what}")

    @property
    def brokers(self) -> str:
        """Where they are, for people."""
        return ", ".join(f"{host}:{port}" for host, port in self._access.servers)

    def cause_of(self, error: BaseException) -> BaseException:
        """What ended aiokafka's sender, of which ``error`` may be a mere consequence."""
        # A producer that was fenced says so once; afterwards its state machine only asserts.
        sender: asyncio.Task[None] | None = self.raw._sender.sender_task
        if sender and sender.done() and not sender.cancelled():
            return sender.exception() or error
        return error

    @property
    def is_worn_out(self) -> bool:
        """Whether it has sent all the records that one producer may: renew it between batches."""
        return self._records >= RECORDS_PER_PRODUCER

    async def renew(self) -> None:
        """Go on with a new producer under the same name; nothing may be under way.

        Raises:
            LoadError: no connection within the patience, or no longer the right to it.

        """
        await self.close()
        self.raw, self._records = self._new(), 0
        try:
            await self.start()
        except MissingRightError as error:
            raise meaning(error.__cause__ or error, self._terms, 0) from error

    async def close(self) -> None:
        """Leave Kafka within a bound."""
        await stop_within_bound(self.raw.stop(), "record producer")

    def _new(self) -> AIOKafkaProducer:
        timeout_s = self._terms.patience_s + _SHORTEST_TRANSACTION_TIMEOUT_S / 4
        timeout_s = max(_SHORTEST_TRANSACTION_TIMEOUT_S, timeout_s)
        transactions = {
            "transactional_id": self._terms.transactional_id,
            "transaction_timeout_ms": int(min(timeout_s, _LONGEST_TRANSACTION_TIMEOUT_S) * 1000),
        }
        return AIOKafkaProducer(
            **self._access.client_options,
            **(transactions if self._transactional else {}),
            enable_idempotence=True,
            acks="all",
            max_batch_size=self._terms.pace.batch_bytes,
            max_request_size=self._terms.pace.batch_bytes + 100_000,
        )
