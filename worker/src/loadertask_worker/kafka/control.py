"""Commands from queue-control: read without a group, from a moment in the past, whatever comes.

Other programs write there too: what cannot be read is skipped, and no error ends the listener.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from loadertask_contract.commands import Command, parse_command
from loadertask_contract.messages import UnreadableMessageError
from loadertask_worker import metrics
from loadertask_worker.errors import ConfigurationError, SinkUnavailableError
from loadertask_worker.kafka.stopping import stop_within_bound
from loadertask_worker.patience import answer_bound_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadertask_worker.kafka.security import KafkaAccess

log = logging.getLogger(__name__)

_POLL_MS = 1_000
_PAUSE_AFTER_ERROR_S = 1.0


class ControlListener:
    """Listens for commands to one queue id or to everybody.

    Args:
        since_ms: epoch ms; a command published before is for an earlier life of this queue id.
        on_command: called for every command that is for us.

    """

    def __init__(
        self,
        access: KafkaAccess,
        topic: str,
        queue_id: str,
        *,
        since_ms: int,
        on_command: Callable[[Command], None],
    ) -> None:
        # Without a group, aiokafka assigns every partition of the topic, also later ones.
        self._consumer = AIOKafkaConsumer(
            topic,
            **access.client_options,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        self._topic, self._queue_id = topic, queue_id
        self._since_ms = since_ms
        self._begins: dict[Any, int] = {}
        self._on_command = on_command

    async def start(self, patience_s: float) -> None:
        """Connect and stand where ``since_ms`` is.

        Raises:
            ConfigurationError: we may not see the topic.
            SinkUnavailableError: no connection within the patience.

        """
        try:
            async with asyncio.timeout(answer_bound_s(patience_s)):
                await self._consumer.start()
                await self._seek()
        except TopicAuthorizationFailedError as error:
            raise self._refusal() from error
        except (TimeoutError, KafkaError) as error:
            raise SinkUnavailableError(patience_s, str(error)) from error

    async def listen(self) -> None:
        """Obey until cancelled.

        Raises:
            ConfigurationError: we may not read the topic, which only the first fetch shows.

        """
        has_read = False
        while True:
            try:
                fetched = await self._consumer.getmany(timeout_ms=_POLL_MS)
            except Exception as error:  # nothing in a shared topic may end us
                if isinstance(error, TopicAuthorizationFailedError) and not has_read:
                    raise self._refusal() from error
                log.warning("%s cannot be read just now: %r", self._topic, error)
                await asyncio.sleep(_PAUSE_AFTER_ERROR_S)
                continue
            has_read = True
            for partition, records in fetched.items():
                for record in records:
                    if not self._is_old(partition, record):
                        self._take(record.value)

    async def close(self) -> None:
        """Leave Kafka within a bound."""
        await stop_within_bound(self._consumer.stop(), "control listener")

    async def _seek(self) -> None:
        partitions = self._consumer.assignment()
        # A fetch that is under way would hold up the answers behind it: 0.5 s.
        self._consumer.pause(*partitions)
        # The ends first: a command that comes between the two questions is then not passed over.
        ends = await self._consumer.end_offsets(partitions)
        found = await self._consumer.offsets_for_times(dict.fromkeys(partitions, self._since_ms))
        for partition in partitions:
            position = found.get(partition)
            self._begins[partition] = position.offset if position else ends[partition]
            self._consumer.seek(partition, self._begins[partition])
        self._consumer.resume(*partitions)

    def _is_old(self, partition: Any, record: Any) -> bool:
        """Whether a record is from before our life.

        When the topic gets partitions, aiokafka assigns all of them anew and reads each from its
        beginning. Old are the records before the place where we began, but not in a topic that was
        deleted and made again, whose records are young.
        """
        began_later = record.offset < self._begins.get(partition, 0)
        return began_later and bool(record.timestamp < self._since_ms)

    def _take(self, value: bytes | None) -> None:
        try:
            command = parse_command(value)
        except UnreadableMessageError as error:
            metrics.MESSAGES_SKIPPED.labels(error.reason).inc()
            log.debug("skipped a message of %s: %s", self._topic, error)
            return
        if command.is_for(self._queue_id):
            metrics.COMMANDS.labels(command.command.value).inc()
            self._on_command(command.command)

    def _refusal(self) -> ConfigurationError:
        message = f"topic {self._topic} may not be read: grant the ACL Read"
        return ConfigurationError.of("QUEUE_CONTROL_TOPIC", message)
