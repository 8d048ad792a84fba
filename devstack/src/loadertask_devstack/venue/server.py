"""Puts the replay together; runs it in this process for tests, or until a signal as a daemon."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from loadertask_devstack.venue import archive, control, depth, rest, trades
from loadertask_devstack.venue.guard import guard
from loadertask_devstack.venue.rest import STATE
from loadertask_devstack.venue.state import VenueSettings, VenueState, wall_clock_ms
from loadertask_devstack.venue.streams import service as streams
from loadertask_devstack.venue.streams.rules import StreamRules
from loadertask_devstack.venue.symbols import SYMBOLS

LOOPBACK = "127.0.0.1"
_HOLDS_LOOPBACK = (LOOPBACK, "0.0.0.0")
_SHUTDOWN_TIMEOUT_S = 0.5


@dataclass(frozen=True, slots=True)
class RunningVenue:
    """A replay in this process."""

    url: str
    state: VenueState


def application(state: VenueState, rules: StreamRules | None = None) -> web.Application:
    """The web application of a replay; ``rules`` are those of its streams."""
    app = web.Application(middlewares=[guard])
    app[STATE] = state
    app.add_routes(rest.routes())
    app.add_routes(depth.routes())
    app.add_routes(trades.routes())
    archive.install(app)
    app.add_routes(control.routes())
    streams.install(app, rules or StreamRules())
    return app


@asynccontextmanager
async def running_venue(
    settings: VenueSettings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    clock_ms: Callable[[], int] = wall_clock_ms,
    stream_rules: StreamRules | None = None,
) -> AsyncIterator[RunningVenue]:
    """A replay on a port of its own (0: any free one) for the time of the block.

    It listens on loopback too where ``host`` is another address, so this machine always finds it.

    Raises:
        DevstackError: recordings are missing or damaged.
        OSError: the port is taken.

    """
    state = VenueState(settings or VenueSettings(), clock_ms)
    runner = web.AppRunner(
        application(state, stream_rules),
        access_log=None,
        shutdown_timeout=_SHUTDOWN_TIMEOUT_S,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound_port = runner.addresses[0][1]
        if host not in _HOLDS_LOOPBACK:
            await web.TCPSite(runner, LOOPBACK, bound_port).start()
        yield RunningVenue(f"http://{LOOPBACK}:{bound_port}", state)
    finally:
        await runner.cleanup()


async def serve(
    settings: VenueSettings, host: str, port: int, stream_rules: StreamRules | None = None
) -> None:
    """Run until SIGTERM or SIGINT; the first lines on standard output say what is served."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with running_venue(settings, host=host, port=port, stream_rules=stream_rules) as venue:
        for recording in venue.state.recordings:
            print(f"recorded: {recording}")
        print(
            "SYNTHETIC: every other symbol, interval and range is invented "
            f"(seed {settings.seed}); see the header {rest.SOURCE_HEADER}"
        )
        print(f"venue replay on {venue.url} ({host}), control under {control.PREFIX}", flush=True)
        counting = asyncio.create_task(_count_ahead(venue.state))
        await stopped.wait()
        counting.cancel()


async def _count_ahead(state: VenueState) -> None:
    """Count the trades of recorded symbols, which takes seconds, in at most half of the time."""
    loop = asyncio.get_running_loop()
    for name in SYMBOLS.keys() & {recording.symbol for recording in state.recordings}:
        began = loop.time()
        for _ in state.tape(SYMBOLS[name]).count_ahead(state.clock()):
            await asyncio.sleep(loop.time() - began)
            began = loop.time()
