"""HTTP for Prometheus and the kubelet: /metrics and /healthz, on LOADER_METRICS_PORT.

Answered by a thread of its own, so that a stuck event loop can be told: a task of the loop stamps
that it lives, and the thread looks how old the stamp is.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from contextlib import asynccontextmanager
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, cast

from prometheus_client import MetricsHandler

from loadertask_worker import metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = logging.getLogger(__name__)

STUCK_AFTER_S = 10.0
"""Nothing that a load does in one go takes as long, also with a tenth of a processor."""

_STAMP_S = 0.5
_CLIENT_S = 10.0


class LoopLife:
    """When the event loop was last seen alive; stamped by the loop, read by any thread."""

    def __init__(self) -> None:
        self._stamped_s = time.monotonic()

    async def stamp(self) -> None:
        """Stamp until cancelled."""
        while True:
            self._stamped_s = time.monotonic()
            await asyncio.sleep(_STAMP_S)
            metrics.LOOP_DELAY.set(max(0.0, time.monotonic() - self._stamped_s - _STAMP_S))

    @property
    def problem(self) -> str | None:
        """What is wrong with the loop, if anything is."""
        silent_s = time.monotonic() - self._stamped_s
        if silent_s < STUCK_AFTER_S:
            return None
        return f"the event loop has been stuck for {silent_s:.0f} s"


@asynccontextmanager
async def serving_metrics(port: int) -> AsyncIterator[None]:
    """Serve while the block runs; 0 is off. A port that is taken costs the metrics, not the load.

    The load is worth more than being watched: whoever needs the metrics sees the scrape fail.
    """
    life = LoopLife()
    try:
        server = _Server(port, life) if port else None
    except OSError as error:
        log.warning("no metrics: LOADER_METRICS_PORT %d cannot be served: %s", port, error)
        server = None
    if server is None:
        yield
        return
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    stamping = asyncio.create_task(life.stamp())
    try:
        yield
    finally:
        stamping.cancel()
        await asyncio.gather(stamping, return_exceptions=True)
        # Takes up to half a second, for which no exit has to wait.
        threading.Thread(target=server.close, name="metrics-end", daemon=True).start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, life: LoopLife) -> None:
        self.life = life
        # Probes come from the node, scrapes from other pods: all addresses of both families.
        if socket.has_dualstack_ipv6():
            self.address_family = socket.AF_INET6
        super().__init__(("", port), _Handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # Not http.server's own: it asks the name server who we are, and a silent one says nothing.
        TCPServer.server_bind(self)

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(MetricsHandler):
    """The library's answer for /metrics, in the format that the scraper asks for."""

    registry = metrics.REGISTRY
    timeout = _CLIENT_S

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        path = self.path.partition("?")[0]
        if path == "/metrics":
            super().do_GET()
        elif path == "/healthz":
            problem = cast("_Server", self.server).life.problem
            self._say(503 if problem else 200, problem or "ok")
        else:
            self._say(404, "/metrics or /healthz")

    def _say(self, status: int, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
