"""A proxy before a real API server that notes requests and answers some of them badly.

For one operator: plain HTTP towards it, the credentials of the kubeconfig towards the server.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from tempfile import NamedTemporaryFile

import aiohttp
import yaml
from aiohttp import web
from yarl import URL

_CLOSING_S = 0.5
_HOP_BY_HOP = {"transfer-encoding", "content-length", "content-encoding", "connection", "host"}


class Trouble(StrEnum):
    """What happens to a request besides an answer with an HTTP status."""

    HANG = "no answer at all"
    DROP = "the connection is closed before the server sees it"
    LOSE = "the server carries it out, the connection is closed without its answer"
    SWALLOW = "the server carries it out, its answer never comes"
    STALL = "a stream stays open and silent"


@dataclass
class Fault:
    """What to do to requests that match, and how often (None: until it is taken away)."""

    method: str
    path: str
    effect: int | Trouble
    times: int | None = 1
    body: str = ""
    hits: int = 0

    def matches(self, method: str, path: str, body: str) -> bool:
        left = self.times is None or self.hits < self.times
        return bool(
            left
            and method == self.method
            and re.search(self.path, path)
            and re.search(self.body, body, re.DOTALL)
        )


@dataclass(frozen=True)
class Seen:
    """A request that reached the proxy."""

    at_s: float
    method: str
    path: str


@dataclass
class FaultyApi:
    """The running proxy; ``faults`` may be changed at any time."""

    kubeconfig: Path
    """Of the proxy."""
    faults: list[Fault] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    carried_out: list[Fault] = field(default_factory=list)
    """Those after which the server did what was asked."""

    def fault(self, method: str, path: str, body: str = "") -> Fault | None:
        """The first fault for a request."""
        return next((f for f in self.faults if f.matches(method, path, body)), None)

    def writes(self, path: str = "") -> list[Seen]:
        """The requests that were no reads."""
        return [s for s in self.seen if s.method != "GET" and re.search(path, s.path)]


@contextmanager
def faulty_api(kubeconfig: Path, directory: Path) -> Iterator[FaultyApi]:
    """A proxy before the server of ``kubeconfig``."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    own = directory / f"proxy-{port}.kubeconfig"
    body = yaml.safe_load(kubeconfig.read_text())
    cluster = body["clusters"][0]["name"]
    body["clusters"] = [{"name": cluster, "cluster": {"server": f"http://127.0.0.1:{port}"}}]
    body["users"] = [{"name": body["users"][0]["name"], "user": {}}]
    own.write_text(yaml.safe_dump(body))
    api = FaultyApi(own)
    loop = asyncio.new_event_loop()
    ready, ending = threading.Event(), asyncio.Event()
    thread = threading.Thread(
        target=loop.run_until_complete, args=(_serve(api, kubeconfig, listener, ready, ending),)
    )
    thread.start()
    try:
        assert ready.wait(60)
        yield api
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(60)
        loop.close()


async def _serve(
    api: FaultyApi,
    kubeconfig: Path,
    listener: socket.socket,
    ready: threading.Event,
    ending: asyncio.Event,
) -> None:
    url, context = access(kubeconfig)
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, auto_decompress=False
    ) as session:

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await _handle(api, session, url, request)

        server = web.Server(handle)
        runner = web.ServerRunner(server, shutdown_timeout=0.2)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        ready.set()
        await ending.wait()
        await runner.cleanup()
        hanging = asyncio.all_tasks() - {asyncio.current_task()}
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
    # aiohttp closes its TLS connections in later rounds of the loop.
    await asyncio.sleep(_CLOSING_S)


async def _handle(
    api: FaultyApi, session: aiohttp.ClientSession, url: str, request: web.BaseRequest
) -> web.StreamResponse:
    path = str(request.rel_url)
    api.seen.append(Seen(time.monotonic(), request.method, path))
    body = (await request.read()).decode()
    fault = api.fault(request.method, path, body)
    if fault is None or fault.effect is Trouble.STALL:
        return await _forward(api, session, url, request)
    fault.hits += 1
    if isinstance(fault.effect, int):
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": fault.effect}
        message = {"message": f"injected {fault.effect}"}
        return web.json_response(status | message, status=fault.effect)
    if fault.effect is Trouble.HANG:
        await asyncio.sleep(3600)
    if fault.effect in {Trouble.LOSE, Trouble.SWALLOW}:
        async with await _asked(session, url, request) as answer:
            await answer.read()
        api.carried_out.append(fault)
    if fault.effect is Trouble.SWALLOW:
        await asyncio.sleep(3600)
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _forward(
    api: FaultyApi, session: aiohttp.ClientSession, url: str, request: web.BaseRequest
) -> web.StreamResponse:
    path = str(request.rel_url)
    async with await _asked(session, url, request) as answer:
        headers = {n: v for n, v in answer.headers.items() if n.lower() not in _HOP_BY_HOP}
        response = web.StreamResponse(status=answer.status, headers=headers)
        with suppress(ConnectionResetError):  # whoever asked has gone
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                if api.fault(request.method, path) is None:
                    await response.write(chunk)
        return response


async def _asked(
    session: aiohttp.ClientSession, url: str, request: web.BaseRequest
) -> aiohttp.ClientResponse:
    target = URL(url + request.raw_path, encoded=True)
    body = await request.read() or None
    return await session.request(request.method, target, headers=_headers(request), data=body)


def _headers(request: web.BaseRequest) -> dict[str, str]:
    kept = {n: v for n, v in request.headers.items() if n.lower() not in _HOP_BY_HOP}
    return kept | {"Accept-Encoding": "identity"}


def access(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """The server, and the certificates that are in the kubeconfig."""
    body = yaml.safe_load(kubeconfig.read_text())
    cluster, user = body["clusters"][0]["cluster"], body["users"][0]["user"]
    authority = b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with NamedTemporaryFile() as pair:
        pair.write(b64decode(user["client-certificate-data"]) + b"\n")
        pair.write(b64decode(user["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    return cluster["server"], context
