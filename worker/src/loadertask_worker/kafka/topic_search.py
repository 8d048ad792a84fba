"""Looks in the topic itself for the records that the cursor does not count.

Only what is committed counts. Memory is bounded: records are looked at and let go.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from loadertask_worker.cursor import advanced
from loadertask_worker.errors import ConfigurationError, SinkUnavailableError
from loadertask_worker.kafka.stopping import stop_within_bound
from loadertask_worker.patience import answer_bound_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiokafka import TopicPartition

    from loadertask_contract.messages import Headers
    from loadertask_worker.cursor import Cursor, Place
    from loadertask_worker.kafka.delivery import Beginning
    from loadertask_worker.kafka.security import KafkaAccess
    from loadertask_worker.kafka.terms import Terms

    PlaceOf = Callable[[bytes, Headers], Place | None]

log = logging.getLogger(__name__)

_POLL_MS = 500
# Some milliseconds of work: heartbeats and commands get their turn in between.
_RECORDS_AT_ONCE = 2_000
# A transaction of somebody else in the same partition hides what follows it until it ends.
_FOREIGN_TRANSACTION_S = 65.0


async def searched(
    access: KafkaAccess, terms: Terms, beginning: Beginning, place_of: PlaceOf
) -> Cursor | None:
    """The cursor at the end of the topic.

    Raises:
        ConfigurationError: the topic may not be read.
        SinkUnavailableError: it cannot be read to its end within the patience.

    """
    kept = beginning.kept
    search = TopicSearch(access, kept.partition, terms.patience_s)
    return await search.cursor_after(kept.offset, beginning.end, kept.note.cursor, place_of)


class TopicSearch:
    """Reads one partition from an offset to where its end is now."""

    def __init__(self, access: KafkaAccess, partition: TopicPartition, patience_s: float) -> None:
        self._consumer = AIOKafkaConsumer(
            **access.client_options,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        self._partition, self._patience_s = partition, patience_s

    async def cursor_after(
        self, first: int, end: int, cursor: Cursor | None, place_of: PlaceOf
    ) -> Cursor | None:
        """``cursor`` moved by the records in [first, end) that have a place.

        Raises:
            ConfigurationError: the topic may not be read.
            SinkUnavailableError: it cannot be read to its end within the patience.

        """
        try:
            async with asyncio.timeout(answer_bound_s(self._patience_s)):
                await self._consumer.start()
                self._consumer.assign([self._partition])
                self._consumer.seek(self._partition, first)
            return await self._read(end, cursor, place_of)
        except TopicAuthorizationFailedError as error:
            message = f"topic {self._partition.topic} may not be read: grant the ACL Read"
            raise ConfigurationError.of("KAFKA_TOPIC", message) from error
        except (TimeoutError, KafkaError) as error:
            what = f"topic {self._partition.topic} cannot be read to its end: {error}"
            raise SinkUnavailableError(self._patience_s, what) from error
        finally:
            await stop_within_bound(self._consumer.stop(), "reader of the topic")

    async def _read(self, end: int, cursor: Cursor | None, place_of: PlaceOf) -> Cursor | None:
        consumer, partition = self._consumer, self._partition
        longest_s = max(self._patience_s, _FOREIGN_TRANSACTION_S)
        reached, since_s = -1, time.monotonic()
        while (position := await consumer.position(partition)) < end:
            if position > reached:
                reached, since_s = position, time.monotonic()
            elif time.monotonic() - since_s > longest_s:
                raise TimeoutError(f"nothing after offset {position} for {longest_s:.0f} s")
            fetched = await consumer.getmany(
                partition, timeout_ms=_POLL_MS, max_records=_RECORDS_AT_ONCE
            )
            for record in fetched.get(partition, ()):
                if record.offset < end and record.value is not None:
                    cursor = advanced(cursor, place_of(record.value, record.headers))
            await asyncio.sleep(0)
        return cursor
