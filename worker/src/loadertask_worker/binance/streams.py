"""A stream of the venue kept alive: connects, replaces a connection before it ends, connects again.

A connection is replaced make-before-break: the new one delivers before the old one is left, so
that frames come twice rather than not at all. Sources: binance-spot-api-docs,
web-socket-streams.md (24 h, serverShutdown, 300 connects in 5 minutes).
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from loadertask_worker import metrics
from loadertask_worker.binance.connection import Connection, Leaving, open_connection
from loadertask_worker.binance.waits import OnWait, Waits, untold
from loadertask_worker.errors import (
    BannedError,
    RateLimitedError,
    RejectedError,
    SourceError,
    SourceUnavailableError,
)
from loadertask_worker.live.pacing import ConnectPacer
from loadertask_worker.patience import Patience

if TYPE_CHECKING:
    from loadertask_worker.live.buffer import FrameBuffer

log = logging.getLogger(__name__)

_MAKE_BEFORE_BREAK = frozenset({Leaving.PLANNED, Leaving.SHUTDOWN})
# A connection that has lived so long was a good one, whether it had anything to say or not.
_PROVEN_S = 10.0
_RATE_LIMIT_S = 60.0
_RATE_LIMITS_IN_A_ROW = 5
_LONGEST_JITTER_S = 0.1
_STANDBY_RETRY_S = 5.0


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How a stream is kept.

    ``max_age_s`` is when a connection is replaced, before the venue's 24 hours. ``overlap_s``
    bounds the wait for the first frame of the new one, ``settle_s`` is what the old one is read
    longer. A frame of more than ``max_frame_bytes`` is refused: no record of ours may be larger.
    """

    max_age_s: float = 23 * 3600.0
    overlap_s: float = 10.0
    settle_s: float = 0.5
    max_frame_bytes: int = 768 * 1024


class Stream:
    """The frames of ``url``, put into ``buffer`` by one connection or, for a moment, two."""

    def __init__(
        self,
        url: str,
        buffer: FrameBuffer,
        *,
        patience_s: float,
        limits: StreamLimits | None = None,
        on_wait: OnWait = untold,
    ) -> None:
        self._url = url
        self._buffer = buffer
        self._patience_s = patience_s
        self._patience = Patience(patience_s)
        self._waits = Waits(on_wait)
        self._limits = limits or StreamLimits()
        self._pacer = ConnectPacer()
        self._connections: dict[int, Connection] = {}
        self._number = 0

    async def run(self) -> NoReturn:
        """Keep the stream alive until cancelled.

        Raises:
            SourceError: it cannot be, for longer than the patience.
            ConfigurationError: the address is none.

        """
        try:
            connection = await self._connected("first")
            while True:
                why = await connection.leaving(self._limits.max_age_s)
                connection = await self._successor(connection, why)
        finally:
            await asyncio.gather(*(each.close() for each in self._connections.values()))

    def renew(self, why: Leaving, number: int | None = None) -> None:
        """Leave a connection (None: all there are) that is silent or brought a broken frame."""
        for each, connection in self._connections.items():
            if number in (None, each):
                connection.leave(why)

    def works(self) -> None:
        """Good frames come: what failed before is forgotten."""
        if self._patience.failures:
            self._patience = Patience(self._patience_s)

    async def _successor(self, old: Connection, why: Leaving) -> Connection:
        log.info("the stream's connection is replaced: %s", why.value)
        if why in _MAKE_BEFORE_BREAK:
            new = await self._standby(old, why.value)
            await self._overlap(old, new)
            await self._closed(old)
            return new
        await self._closed(old)
        await self._buffer.has_room()
        await self._recover(old)
        return await self._connected(why.value)

    async def _standby(self, old: Connection, cause: str) -> Connection:
        """Another connection while the old one reads; it fails only once the old one has ended."""
        while True:
            try:
                return await self._connected(cause)
            except SourceError as error:
                if old.reading.done():
                    raise
                log.warning("no second connection yet: %s", error)
                self._patience = Patience(self._patience_s)
                await self._rest(old, error)

    async def _rest(self, old: Connection, error: SourceError) -> None:
        """Try no second connection before the venue may grant it.

        Raises:
            BannedError: the old one has ended before the ban.

        """
        match error:
            case RejectedError():
                # It would refuse the next one too: what it has granted is all there is.
                await asyncio.wait({old.reading})
            case RateLimitedError(retry_after_s=wait_s):
                await asyncio.sleep(wait_s or _RATE_LIMIT_S)
            case BannedError():
                wait_s = max(_left_s(error), _STANDBY_RETRY_S)
                await asyncio.wait({old.reading}, timeout=wait_s)
                if old.reading.done() and _left_s(error) > 0:
                    raise error
            case _:
                await asyncio.wait({old.reading}, timeout=_STANDBY_RETRY_S)

    async def _overlap(self, old: Connection, new: Connection) -> None:
        """Read both until the new one has delivered, and a little longer."""
        delivered = asyncio.create_task(new.has_frames.wait())
        try:
            await asyncio.wait(
                {delivered, old.reading},
                timeout=self._limits.overlap_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            delivered.cancel()
        await asyncio.wait({old.reading}, timeout=self._limits.settle_s)

    async def _closed(self, connection: Connection) -> None:
        self._connections = {n: c for n, c in self._connections.items() if c is not connection}
        await connection.close()

    async def _recover(self, lost: Connection) -> None:
        """Wait as long as the failure asks for: hardly, unless connections end as they begin."""
        if lost.age_s >= _PROVEN_S or not self._patience.limit_s:
            self._patience = Patience(self._patience_s)
            await asyncio.sleep(random.random() * _LONGEST_JITTER_S)  # noqa: S311
            return
        what = f"streams end as they begin: {lost.ended}".rstrip(": ")
        await self._pause(0.0, SourceUnavailableError(what))

    async def _connected(self, cause: str) -> Connection:
        rate_limits = 0
        while True:
            await asyncio.sleep(self._pacer.delay_s(time.monotonic()))
            begun_s = time.monotonic()
            try:
                connection = await self._open(cause)
            except RateLimitedError as error:
                rate_limits += 1
                if rate_limits >= _RATE_LIMITS_IN_A_ROW:
                    raise
                wait_s = error.retry_after_s or _RATE_LIMIT_S
                log.warning("%s; again in %.0f s", error, wait_s)
                self._waits.rest(error, wait_s)
                await asyncio.sleep(wait_s)
            except SourceUnavailableError as error:
                await self._pause(time.monotonic() - begun_s, error)
            else:
                self._waits.answered()
                return connection

    async def _open(self, cause: str) -> Connection:
        self._pacer.connect(time.monotonic())
        self._number += 1
        connection = await open_connection(
            self._url, self._number, self._buffer, self._limits.max_frame_bytes
        )
        metrics.CONNECTS.labels(cause).inc()
        log.info("connected to the stream %s", self._url)
        self._connections[self._number] = connection
        return connection

    async def _pause(self, took_s: float, error: SourceUnavailableError) -> None:
        delay_s = self._patience.delay_after_failure(took_s, random.random())  # noqa: S311
        if delay_s is None:
            raise error
        # The pacer would wait for what is left of its own delay, without a word.
        wait_s = max(delay_s, self._pacer.delay_s(time.monotonic()))
        log.warning("%s; again in %.1f s", error, wait_s)
        self._waits.retry(error, wait_s, self._patience)
        await asyncio.sleep(wait_s)


def _left_s(banned: BannedError) -> float:
    return (banned.until - datetime.now(UTC)).total_seconds()
