"""The cursor's home: the committed offset of a consumer group that nobody joins.

Requests go over the connections of a producer's client: a start makes none of its own. Offsets of
an empty group expire (after 7 days, by the brokers' default), and those of a deleted topic vanish
with it.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaError, LeaderNotAvailableError, for_code
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.structs import TopicPartition

from loadertask_worker.cursor import Note, encode_note, parse_note
from loadertask_worker.errors import FencedError, SinkUnavailableError
from loadertask_worker.kafka.producer import MissingRightError
from loadertask_worker.kafka.refusals import missing_right
from loadertask_worker.patience import answer_bound_s

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from loadertask_worker.kafka.producer import BatchProducer
    from loadertask_worker.kafka.terms import Terms

_PAUSE_S = 0.05
_NO_GENERATION, _NO_MEMBER, _BROKERS_RETENTION = -1, "", -1
_READ_UNCOMMITTED = 0
_EARLIEST, _LATEST = -2, -1
_NO_LEADER = -1
_ATTEMPTS = 2**20


@dataclass(frozen=True, slots=True)
class Kept:
    """A note, and the offset from which on it knows nothing of the partition."""

    note: Note
    partition: TopicPartition
    offset: int


class CursorGroup:
    """The group of one shard of one load.

    Without transactions Kafka fences nobody: each attempt takes a number above all before it, and
    whoever finds a higher one than its own has been replaced.
    """

    def __init__(self, producer: BatchProducer, terms: Terms) -> None:
        self._producer, self._terms = producer, terms
        self._attempt = 0

    async def kept(self) -> Kept | None:
        """What an earlier attempt has left here.

        The topic may have got partitions since, and our key another one: the furthest note counts.

        Raises:
            MissingRightError, SinkUnavailableError: it cannot be known.

        """
        found = await self._found()
        # Two that begin at once do not take the same.
        self._attempt = _highest(found) + 1 + random.randrange(_ATTEMPTS)  # noqa: S311
        return max(found, key=self._furthest, default=None)

    async def check_ownership(self) -> None:
        """That no later attempt has begun.

        Raises:
            FencedError: one has.
            MissingRightError, SinkUnavailableError: it cannot be known.

        """
        if _highest(await self._found()) > self._attempt:
            raise FencedError(self._terms.group)

    async def _found(self) -> list[Kept]:
        answer = await self._ask_coordinator(
            OffsetFetchRequest(self._terms.group, None), code_index=3
        )
        return [
            Kept(note, TopicPartition(topic, partition), offset)
            for topic, partitions in answer.topics
            if topic == self._terms.topic
            for partition, offset, metadata, _ in partitions
            if offset >= 0 and (note := parse_note(metadata))
        ]

    async def keep(self, kept: Kept) -> None:
        """Commit a note without a transaction.

        Raises:
            MissingRightError, SinkUnavailableError: it is not committed, or nobody knows.

        """
        topic, partition = kept.partition
        note = replace(kept.note, attempt=self._attempt)
        offsets = [(topic, [(partition, kept.offset, encode_note(note))])]
        request = OffsetCommitRequest(
            self._terms.group, _NO_GENERATION, _NO_MEMBER, _BROKERS_RETENTION, offsets
        )
        await self._ask_coordinator(request, code_index=1)

    async def bounds(self, partition: TopicPartition) -> tuple[int, int]:
        """The first offset of a partition, and the one after its last record.

        Raises:
            MissingRightError, SinkUnavailableError: they cannot be known.

        """
        first = await self.offset_at(partition, _EARLIEST)
        return first, await self.offset_at(partition, _LATEST)

    def _furthest(self, kept: Kept) -> tuple[int, bool]:
        cursor = kept.note.cursor
        return cursor.records if cursor else 0, kept.partition == self._producer.partition

    async def offset_at(self, partition: TopicPartition, time_ms: int) -> int:
        """The offset of the first record of ``time_ms`` (Kafka's time) or later; -1: none.

        Raises:
            MissingRightError, SinkUnavailableError: it cannot be known.

        """
        asked = [(partition.topic, [(partition.partition, time_ms)])]
        client = self._producer.raw.client

        async def ask() -> Any:
            leader = client.cluster.leader_for_partition(partition)
            if leader in (None, _NO_LEADER):
                raise LeaderNotAvailableError(partition)
            request = OffsetRequest(-1, _READ_UNCOMMITTED, asked)
            return await client.send(leader, request)

        answer = await self._patiently(ask, code_index=1)
        ((_, ((_, _, _, offset, *_),)),) = answer.topics
        return int(offset)

    async def _ask_coordinator(self, request: Any, code_index: int) -> Any:
        client = self._producer.raw.client

        async def ask() -> Any:
            node = await client.coordinator_lookup(CoordinationType.GROUP, self._terms.group)
            return await client.send(node, request, group=ConnectionGroup.COORDINATION)

        return await self._patiently(ask, code_index)

    async def _patiently(self, ask: Callable[[], Awaitable[Any]], code_index: int) -> Any:
        """An answer without errors; ``code_index`` is where each partition's code stands in it."""
        last: BaseException | None = None
        try:
            async with asyncio.timeout(answer_bound_s(self._terms.patience_s)):
                while True:
                    try:
                        answer = await ask()
                        _raise_for(answer, code_index)
                    except KafkaError as error:
                        if right := missing_right(error, self._terms):
                            raise MissingRightError(right) from error
                        last = error
                    else:
                        return answer
                    await self._producer.raw.client.force_metadata_update()
                    await asyncio.sleep(_PAUSE_S)
        except TimeoutError as error:
            what = f"where to go on is not known: {last or 'no answer'}"
            raise SinkUnavailableError(self._terms.patience_s, what) from error


def _highest(found: list[Kept]) -> int:
    return max((kept.note.attempt for kept in found), default=0)


def _raise_for(answer: Any, code_index: int) -> None:
    codes = [getattr(answer, "error_code", 0)]
    for _, partitions in answer.topics:
        codes += [partition[code_index] for partition in partitions]
    for code in codes:
        if code:
            raise for_code(code)()
