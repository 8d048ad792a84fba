"""A client of the replay's streams and of its control interface, for the tests beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import websockets

from loadertask_devstack.venue.server import running_venue

PATIENCE_S = 30


class StreamVenue:
    """A running replay as its clients see it."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url, self.session = url, session

    @asynccontextmanager
    async def stream(self, path: str, **options: Any) -> AsyncIterator[Listener]:
        """A connection to ``/ws...`` or ``/stream...``."""
        address = self.url.replace("http", "ws", 1) + path
        options = {
            "compression": None,
            "proxy": None,
            "close_timeout": 1,
            "max_queue": None,  # with one, the end waits behind data that nobody wants
        } | options
        async with websockets.connect(address, **options) as socket:
            yield Listener(socket)

    async def as_new(self) -> None:
        """Undo what a test has switched, and forget what it did."""
        for path in ("streams", "streams/faults", "faults", "limits", "audit"):
            await self.control("DELETE", path)
        for path, body in (
            ("streams/rules", {}), ("clock", {"skew_ms": 0}), ("rest_lag", {"lag_ms": 0}),
        ):  # fmt: skip
            await self.control("PUT", path, body)

    async def rules(self, **rules: object) -> None:
        """Other limits and timing than the usual ones."""
        await self.control("PUT", "streams/rules", rules)

    async def get(self, path: str) -> Any:
        """The JSON body of a request that succeeds."""
        async with self.session.get(path) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def control(self, method: str, path: str, body: object = None) -> Any:
        """A control request that succeeds."""
        async with self.session.request(method, f"/_replay/{path}", json=body) as response:
            assert response.status < 300, await response.text()
            return await response.json() if response.status == 200 else None

    async def fault(self, kind: str, match: object = None, **fields: Any) -> None:
        """A fault for the next matching frame."""
        rule = {"fault": {"kind": kind} | fields, "match": match or {}, "times": 1}
        await self.control("POST", "streams/faults", [rule])

    async def order(self, kind: str, **fields: Any) -> Any:
        """A fault for all connections at once."""
        return await self.control("POST", "streams/orders", {"fault": {"kind": kind} | fields})

    async def events(self, stream: str, start_ms: int, end_ms: int) -> list[Any]:
        """What the venue said in [start_ms, end_ms)."""
        window = f"stream={stream}&start_ms={start_ms}&end_ms={end_ms}"
        events: list[Any] = await self.control("GET", f"streams/events?{window}")
        return events

    async def connections(self) -> list[Any]:
        """The audit's connections."""
        listed: list[Any] = (await self.control("GET", "streams"))["connections"]
        return listed


class Listener:
    """The client's end of a connection."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket

    async def next(self) -> Any:
        """The next message, decoded."""
        return json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE_S))

    async def take(self, count: int) -> list[Any]:
        """The next messages."""
        return [await self.next() for _ in range(count)]

    async def until(self, is_wanted: Callable[[Any], bool]) -> list[Any]:
        """The next messages up to the first that is wanted."""
        seen = [await self.next()]
        while not is_wanted(seen[-1]):
            seen.append(await self.next())
        return seen

    async def ask(self, method: str, *params: object, identity: object = 1) -> Any:
        """The answer to a request; data that comes before it is thrown away."""
        message: dict[str, object] = {"method": method, "id": identity}
        if params:
            message["params"] = params
        await self.socket.send(json.dumps(message))
        return (await self.until(lambda m: "result" in m or "error" in m))[-1]

    async def end(self) -> tuple[int | None, list[Any]]:
        """The close code (None: without a close frame) and what came before the end."""
        seen = []
        try:
            while True:
                seen.append(await self.next())
        except websockets.ConnectionClosed as closed:
            return (closed.rcvd.code if closed.rcvd else None), seen


@asynccontextmanager
async def stream_venue() -> AsyncIterator[StreamVenue]:
    """A replay of its own."""
    timeout = aiohttp.ClientTimeout(total=60)
    async with (
        running_venue() as venue,
        aiohttp.ClientSession(venue.url, timeout=timeout) as session,
    ):
        yield StreamVenue(venue.url, session)
