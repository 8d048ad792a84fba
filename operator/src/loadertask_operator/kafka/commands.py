"""Sends stop commands to queue-control in the background.

A command that cannot be sent at once is dropped: the decision asks again until the worker reacts,
and a late one could stop the successor of the task it was meant for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from loadertask_contract.commands import Command, ControlCommand, encode_command
from loadertask_operator.metrics import Metrics

logger = logging.getLogger(__name__)

_START_TIMEOUT_S = 10.0
_SEND_TIMEOUT_S = 5.0
_STOP_TIMEOUT_S = 5.0
_MAX_AGE_S = 3.0


class CommandSender:
    """One producer, made when it is first needed and again after a failure."""

    def __init__(
        self,
        arguments: dict[str, Any],
        topic: str,
        metrics: Metrics,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._arguments = arguments
        self._topic = topic
        self._metrics = metrics
        self._clock_s = clock_s
        self._wanted_at_s: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._producer: AIOKafkaProducer | None = None

    def request_stop(self, queue_id: str) -> None:
        """Have a stop command sent; asking twice before it is sent is asking once."""
        self._wanted_at_s[queue_id] = self._clock_s()
        self._wake.set()

    def forget_stop(self, queue_id: str) -> None:
        """The task is gone: what was not sent yet must not reach its successor."""
        self._wanted_at_s.pop(queue_id, None)

    async def run(self) -> None:
        """Send what is requested until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._wanted_at_s:
                    await self._send_stop(next(iter(self._wanted_at_s)))
        finally:
            await self._close()

    async def _send_stop(self, queue_id: str) -> None:
        message = encode_command(ControlCommand(Command.STOP, queue_id))
        try:
            producer = await self._connected()
            # Taken after the wait for a connection: meanwhile it may be outdated or forgotten.
            wanted_at_s = self._wanted_at_s.pop(queue_id, None)
            if wanted_at_s is None or self._clock_s() - wanted_at_s > _MAX_AGE_S:
                return
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                await producer.send_and_wait(self._topic, key=message.key, value=message.value)
        except (KafkaError, OSError, TimeoutError) as error:
            self._wanted_at_s.pop(queue_id, None)
            logger.warning("stop for %s not sent: %s %s", queue_id, type(error).__name__, error)
            await self._close()
        else:
            self._metrics.stop_commands.inc()

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(**self._arguments, acks="all", linger_ms=0)
            # Kept before it has started, so that a failed start is closed as well.
            self._producer = producer
            async with asyncio.timeout(_START_TIMEOUT_S):
                await producer.start()
        return self._producer

    async def _close(self) -> None:
        """Close within bounds: aiokafka's stop waits for ever for a broker that is gone."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        stopping = asyncio.create_task(producer.stop())
        _, pending = await asyncio.wait({stopping}, timeout=_STOP_TIMEOUT_S)
        for task in pending:
            task.cancel()
