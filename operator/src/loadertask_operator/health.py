"""HTTP for the kubelet and Prometheus: /healthz and /readyz, and /metrics on its own port."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from aiohttp import web

from loadertask_operator.metrics import Metrics

Probe = Callable[[], str | None]


async def serve(
    stack: AsyncExitStack,
    *,
    health_port: int,
    metrics_port: int,
    liveness: Probe,
    readiness: Probe,
    metrics: Metrics,
) -> None:
    """Serve until ``stack`` is closed; a probe returns what is wrong, or None. Port 0 is off."""

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), content_type="text/plain", charset="utf-8")

    health = web.Application()
    health.router.add_get("/healthz", _handler(liveness))
    health.router.add_get("/readyz", _handler(readiness))
    scraped = web.Application()
    scraped.router.add_get("/metrics", show_metrics)
    for application, port in ((health, health_port), (scraped, metrics_port)):
        if port:
            await _listen(stack, application, port)


def _handler(probe: Probe) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.StreamResponse:
        problem = probe()
        return web.Response(text=problem or "ok", status=503 if problem else 200)

    return answer


async def _listen(stack: AsyncExitStack, application: web.Application, port: int) -> None:
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    # Probes come from the node, scrapes from other pods: all addresses.
    await web.TCPSite(runner, host="0.0.0.0", port=port).start()  # noqa: S104
