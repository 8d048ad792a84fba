"""One connection to a stream of the venue: reads frames into the buffer, and says when it leaves.

The reader never waits for anybody: a buffer without room ends the reading, and what is lost then
shows as a hole in the ids.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from loadertask_worker import metrics
from loadertask_worker.binance.answers import Answer, error_of
from loadertask_worker.binance.frames import is_shutdown_notice
from loadertask_worker.errors import ConfigurationError, SourceError, SourceUnavailableError
from loadertask_worker.live.buffer import Frame, FrameBuffer

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

log = logging.getLogger(__name__)

# Ours beside the server's: a connection that died without a word is noticed, and the server
# answers a ping of 20 s well below its 5 messages a second.
_PING_S = 20.0
_OPEN_S = 10.0
_CLOSE_S = 1.0


class Leaving(StrEnum):
    """Why a connection is given up, in the words of the metric."""

    PLANNED = "planned"
    SHUTDOWN = "shutdown"
    SILENT = "silent"
    LOST = "lost"
    GAP = "gap"


class Connection:
    """Reads until it is closed; ``number`` tells its frames from those of others.

    ``ended`` says why it was closed before we did.
    """

    def __init__(self, socket: ClientConnection, number: int, buffer: FrameBuffer) -> None:
        self._socket = socket
        self._number = number
        self._buffer = buffer
        self._begun_s = time.monotonic()
        self._leaving: asyncio.Future[Leaving] = asyncio.get_running_loop().create_future()
        self.has_frames = asyncio.Event()
        self.ended = ""
        self.reading = asyncio.create_task(self._read())

    @property
    def age_s(self) -> float:
        """How long ago it was opened."""
        return time.monotonic() - self._begun_s

    def leave(self, why: Leaving) -> None:
        """Ask for another connection; the first reason counts."""
        if not self._leaving.done():
            self._leaving.set_result(why)

    async def leaving(self, longest_s: float) -> Leaving:
        """Wait until it is to be replaced, at the latest at the age of ``longest_s``."""
        await asyncio.wait({self._leaving}, timeout=max(0.0, longest_s - self.age_s))
        self.leave(Leaving.PLANNED)
        return self._leaving.result()

    async def close(self) -> None:
        """Stop reading and hang up, within a bound; at once where this is cancelled."""
        self.reading.cancel()
        closing = asyncio.create_task(self._socket.close())
        try:
            await asyncio.wait({self.reading, closing}, timeout=2 * _CLOSE_S)
        finally:
            closing.cancel()
            self._socket.transport.abort()  # whoever does not answer is left
        await asyncio.gather(self.reading, closing, return_exceptions=True)

    async def _read(self) -> None:
        try:
            while True:
                payload = await self._socket.recv(decode=False)
                if is_shutdown_notice(payload):
                    log.info("the venue is going to close the stream")
                    self.leave(Leaving.SHUTDOWN)
                    continue
                self.has_frames.set()
                if not self._buffer.offer(Frame(self._number, payload)):
                    metrics.OVERFLOWS.inc()
                    log.warning("Kafka is slower than the stream: reading stops for a while")
                    self.leave(Leaving.GAP)
                    return
        except ConnectionClosed as error:
            self.ended = str(error)
            log.info("the stream has ended: %s", error)
        finally:
            self.leave(Leaving.LOST)


async def open_connection(
    url: str, number: int, buffer: FrameBuffer, max_frame_bytes: int
) -> Connection:
    """Connect and begin to read. The stream is subscribed to by its address.

    Raises:
        SourceError: the venue refuses, or cannot be reached.
        ConfigurationError: ``url`` is no address.

    """
    try:
        opening = connect(
            url,
            max_size=max_frame_bytes,
            compression=None,
            open_timeout=_OPEN_S,
            close_timeout=_CLOSE_S,
            ping_interval=_PING_S,
            ping_timeout=_PING_S,
            user_agent_header="loadertask-worker",
        )
    except (InvalidURI, ValueError) as error:
        raise ConfigurationError.of("BINANCE_WS_URL", f"is no address: {error}") from error
    try:
        socket = await opening
    except InvalidStatus as error:
        raise _refusal(error) from error
    except (InvalidURI, ValueError) as error:  # our own address was none of these before
        what = f"the stream leads to what is no address: {error}; is BINANCE_WS_URL right?"
        raise SourceUnavailableError(what) from error
    except (WebSocketException, OSError, TimeoutError) as error:
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        raise SourceUnavailableError(f"the stream (BINANCE_WS_URL): {what}") from error
    return Connection(socket, number, buffer)


def _refusal(error: InvalidStatus) -> SourceError:
    response = error.response
    answer = Answer(response.status_code, response.headers, bytes(response.body or b""))
    meaning = error_of(answer, "the stream", datetime.now(UTC), "BINANCE_WS_URL")
    return meaning or SourceUnavailableError(f"the stream: HTTP {response.status_code}")
