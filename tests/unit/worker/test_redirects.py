"""Whoever answers for the venue and leads to what is no address: the address given is not wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from loadertask_worker.binance.connection import open_connection
from loadertask_worker.binance.requests import answer_to, venue_session
from loadertask_worker.errors import ConfigurationError, SourceUnavailableError
from loadertask_worker.live.buffer import FrameBuffer

NO_ADDRESSES = ["http://[::1", "ftp://login.example/", f"http://{'a' * 70}.example/", "//a..b/"]


@asynccontextmanager
async def leading_to(location: str) -> AsyncIterator[str]:
    """An address, without its scheme, whose server sends everybody somewhere else."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("location", NO_ADDRESSES)
async def test_a_request_led_nowhere_is_tried_again(location: str) -> None:
    async with leading_to(location) as host, venue_session(f"http://{host}") as session:
        with pytest.raises(SourceUnavailableError, match="is BINANCE_API_URL right"):
            await answer_to(session, "time", {}, limit_s=30)


@pytest.mark.parametrize("location", [*NO_ADDRESSES, "https://login.example/"])
async def test_a_stream_led_nowhere_is_tried_again(location: str) -> None:
    location = location.replace("http://", "ws://")
    async with leading_to(location) as host:
        with pytest.raises(SourceUnavailableError, match="is BINANCE_WS_URL right"):
            await open_connection(f"ws://{host}/ws/x@trade", 1, FrameBuffer(1), 1)


async def test_an_address_that_is_none_is_not_tried_again() -> None:
    with pytest.raises(ConfigurationError, match=r"^BINANCE_WS_URL: is no address: "):
        await open_connection("http://venue.example/ws/x@trade", 1, FrameBuffer(1), 1)
