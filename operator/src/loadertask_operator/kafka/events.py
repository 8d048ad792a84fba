"""Reads queue-events for ever and commits what is settled; it does not look into the records.

Partitions are assigned by hand: a killed member of a consumer group would hold up its successor
(design operator §8). Every wait is bounded; after any failure a new client is made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from loadertask_operator.inbox import Inbox, Record
from loadertask_operator.kafka.access import first_of, why_unreachable
from loadertask_operator.kafka.partitions import (
    TopicChangedError,
    TopicMissingError,
    partitions_of,
)
from loadertask_operator.metrics import Metrics

logger = logging.getLogger(__name__)

_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 5.0
_PROBE_INTERVAL_S = 2.0
_PROBE_TIMEOUT_S = 5.0
# Asking for the partitions takes a client of its own: one assigned by hand knows only its own.
_PARTITIONS_INTERVAL_S = 30.0
_COMMIT_INTERVAL_S = 1.0
_COMMIT_TIMEOUT_S = 10.0
_POLL_MS = 1000
_MAX_RECORDS = 500
# More than this is not kept in memory while no status can be written; the topic keeps the rest.
_MAX_UNSETTLED_EVENTS = 20_000
_PAUSE_S = 0.1
# Between two looks at what came, while something comes: a fetch and a wake of the tasks for each
# event costs more than its folding. The client fetches no further meanwhile.
_GATHER_S = 0.1
_BACKOFF_S = (0.5, 1, 2, 5, 10)
# The broker hands out at least one batch, whatever its size; more than a foreign 1 MB in one go
# saves round trips.
_MAX_FETCH_BYTES = 4 * 1024 * 1024


class EventsConsumer:
    """One reader of all partitions."""

    def __init__(
        self,
        arguments: dict[str, Any],
        topic: str,
        group_id: str,
        inbox: Inbox,
        metrics: Metrics,
        on_reachable: Callable[[bool], None],
    ) -> None:
        self._arguments = arguments
        self._topic = topic
        self._group_id = group_id
        self._inbox = inbox
        self._metrics = metrics
        self._on_reachable = on_reachable
        self._committed: dict[int, int] = {}
        self._beat: Callable[[], None] = lambda: None

    async def run(self, beat: Callable[[], None] = lambda: None) -> None:
        """Read until cancelled, whatever happens to the brokers; ``beat`` is called each round."""
        self._beat = beat
        failures = 0
        while True:
            begun_s = asyncio.get_running_loop().time()
            beat()
            try:
                await self._session()
            except* (
                KafkaError,
                OSError,
                TimeoutError,
                TopicMissingError,
                TopicChangedError,
            ) as group:
                reason = await self._reason(group)
                logger.warning("%s cannot be read: %s", self._topic, reason)
            except* Exception:
                # aiokafka lets errors of its own parsing through; the next session may do better.
                logger.exception("%s cannot be read", self._topic)
            # A session that lasted is no reason to wait long before the next.
            lasted_s = asyncio.get_running_loop().time() - begun_s
            failures = 0 if lasted_s > 60 else failures + 1
            await asyncio.sleep(_BACKOFF_S[min(max(failures - 1, 0), len(_BACKOFF_S) - 1)])

    async def _reason(self, group: BaseExceptionGroup[BaseException]) -> str:
        """What to log: "Unable to bootstrap" says nothing of a wrong password or CA."""
        if group.subgroup(KafkaConnectionError) and (why := await why_unreachable(self._arguments)):
            return why
        return first_of(group)

    async def _session(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._arguments,
            group_id=self._group_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_MAX_FETCH_BYTES,
            retry_backoff_ms=200,
        )
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await consumer.start()
            partitions = await partitions_of(self._topic, self._arguments)
            consumer.assign(partitions)
            ends = await self._ends(consumer, partitions)
            self._seek(consumer, ends)
            logger.info("reading %s, partitions %s", self._topic, [p.partition for p in partitions])
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(consumer, ends))
                group.create_task(self._commit(consumer))
                group.create_task(self._probe(consumer, partitions))
                group.create_task(self._watch_partitions(partitions))
        finally:
            # At once: to find out why may take long.
            self._set_reachable(False)
            await asyncio.wait({asyncio.create_task(consumer.stop())}, timeout=_STOP_TIMEOUT_S)

    def _seek(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> None:
        """Go on where the last session ended, if the log still is what it was."""
        for partition, end in ends.items():
            known = self._inbox.ledger.next_offset(partition.partition)
            if known is not None and known > end:
                self._restart(partition)
                # The group's committed offset is one of the old log.
                consumer.seek(partition, 0)
            elif known is not None:
                consumer.seek(partition, known)

    def _restart(self, partition: TopicPartition) -> None:
        logger.warning(
            "%s, partition %d was made anew or truncated: it is read from its beginning",
            self._topic,
            partition.partition,
        )
        self._inbox.ledger.restart(partition.partition)

    async def _read(self, consumer: AIOKafkaConsumer, behind: dict[TopicPartition, int]) -> None:
        while True:
            self._beat()
            if behind and not (behind := await self._behind(consumer, behind)):
                self._set_reachable(True)
            if len(self._inbox) >= _MAX_UNSETTLED_EVENTS:
                await asyncio.sleep(_PAUSE_S)
                continue
            batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
            now = datetime.now(UTC)
            for partition, records in batches.items():
                # Within a session only the client's own reset leads back, to a log made anew.
                if records[0].offset < (self._next_offsets([partition])[partition] or 0):
                    self._restart(partition)
                for record in records:
                    self._inbox.receive(_record(record, now), now)
            is_full = sum(map(len, batches.values())) >= _MAX_RECORDS
            await asyncio.sleep(_GATHER_S if batches and not (behind or is_full) else 0)

    async def _ends(
        self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]
    ) -> dict[TopicPartition, int]:
        # Not wait_for: in Python 3.11 it swallows a cancellation that meets the answer.
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        return ends

    async def _behind(
        self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """The partitions with events from before the session that were not read yet."""
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            return {p: end for p, end in ends.items() if await consumer.position(p) < end}

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        """Reading does without commits: a failed one is tried again with the next offsets."""
        has_failed = False
        while True:
            await asyncio.sleep(_COMMIT_INTERVAL_S)
            try:
                async with asyncio.timeout(_COMMIT_TIMEOUT_S):
                    await self._commit_once(consumer)
            except (KafkaError, OSError, TimeoutError) as error:
                level = logging.DEBUG if has_failed else logging.WARNING
                logger.log(level, "offsets not committed: %s %s", type(error).__name__, error)
                has_failed = True
            else:
                has_failed = False

    async def _commit_once(self, consumer: AIOKafkaConsumer) -> None:
        offsets = {
            partition: offset
            for partition, offset in self._inbox.ledger.committable().items()
            if self._committed.get(partition) != offset
        }
        if offsets:
            await consumer.commit({TopicPartition(self._topic, p): o for p, o in offsets.items()})
            self._committed |= offsets

    async def _probe(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        """Notice what the fetcher hides: it retries in silence when brokers are gone."""
        while True:
            # First ours, then the broker's: reading goes on meanwhile.
            read = self._next_offsets(partitions)
            ends = await self._ends(consumer, partitions)
            if any((read[partition] or 0) > end for partition, end in ends.items()):
                raise TopicChangedError("it ends before what was read already")
            self._metrics.consumer_lag.set(self._lag(ends))
            await asyncio.sleep(_PROBE_INTERVAL_S)

    async def _watch_partitions(self, assigned: list[TopicPartition]) -> None:
        """Notice partitions that were added: nobody assigns them to us."""
        while True:
            await asyncio.sleep(_PARTITIONS_INTERVAL_S)
            if await partitions_of(self._topic, self._arguments) != assigned:
                raise TopicChangedError("it has other partitions than before")

    def _lag(self, ends: dict[TopicPartition, int]) -> int:
        """Records not read yet; a partition that nothing was read from does not count."""
        read = self._next_offsets(ends)
        return sum(max(0, end - (read[p] or end)) for p, end in ends.items())

    def _next_offsets(
        self, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int | None]:
        return {p: self._inbox.ledger.next_offset(p.partition) for p in partitions}

    def _set_reachable(self, is_reachable: bool) -> None:
        self._metrics.broker_reachable.set(int(is_reachable))
        self._on_reachable(is_reachable)


def _record(record: Any, now: datetime) -> Record:
    try:
        time = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    except (OverflowError, OSError, ValueError, TypeError):
        time = now
    return Record(record.partition, record.offset, record.value, tuple(record.headers), time)
