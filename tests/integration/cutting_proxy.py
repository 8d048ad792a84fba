"""A TCP proxy whose connections a test cuts: resets, as a network in trouble sends them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_LOOPBACK = "127.0.0.1"
_CHUNK_BYTES = 256 * 1024
# Linger on, for no time: closing sends a reset instead of an end.
_RESET = struct.pack("ii", 1, 0)


class CuttingProxy:
    """Passes bytes between its own port and a target that may come later, or change."""

    def __init__(self) -> None:
        self.target: tuple[str, int] | None = None
        self.port = 0
        self.cuts = 0
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()

    @property
    def address(self) -> str:
        """Where clients connect to."""
        return f"{_LOOPBACK}:{self.port}"

    def aim_at(self, address: str) -> None:
        """Pass on to ``host:port``."""
        host, _, port = address.rpartition(":")
        self.target = (host, int(port))

    def cut(self) -> int:
        """Reset every connection, on both sides; how many there were."""
        for pair in self._pairs:
            for writer in pair:
                _reset(writer)
        self.cuts += len(self._pairs)
        return len(self._pairs)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection."""
        try:
            assert self.target is not None
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            _reset(writer)
            return
        pair = (writer, far_writer)
        self._pairs.add(pair)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass_on(reader, far_writer))
                group.create_task(_pass_on(far_reader, writer))
        finally:
            self._pairs.discard(pair)


@asynccontextmanager
async def cutting_proxy() -> AsyncIterator[CuttingProxy]:
    """A proxy for the block."""
    proxy = CuttingProxy()
    server = await asyncio.start_server(proxy.serve, _LOOPBACK, 0, limit=_CHUNK_BYTES)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    with suppress(OSError):
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
