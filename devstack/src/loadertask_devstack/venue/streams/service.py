"""Puts the streams into a web application, and runs them as long as it runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from loadertask_devstack.venue.rest import STATE
from loadertask_devstack.venue.streams import control, routes
from loadertask_devstack.venue.streams.broadcast import Broadcast
from loadertask_devstack.venue.streams.feeds import Feed
from loadertask_devstack.venue.streams.routes import BROADCAST
from loadertask_devstack.venue.streams.rules import StreamRules
from loadertask_devstack.venue.streams.sources import feed_of


def install(app: web.Application, rules: StreamRules) -> None:
    """Add the routes and the broadcast; the application must hold the state under STATE."""
    state = app[STATE]

    def feed(name: str) -> Feed | None:
        return feed_of(state, lambda: broadcast.rules, name)

    broadcast = Broadcast(state.clock, feed, rules)
    app[BROADCAST] = broadcast
    app.add_routes(routes.routes())
    app.add_routes(control.routes())
    app.cleanup_ctx.append(_running)
    app.on_shutdown.append(_end_connections)


async def _running(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.create_task(app[BROADCAST].run(), name="venue streams")
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _end_connections(app: web.Application) -> None:
    for connection in list(app[BROADCAST].connections.values()):
        connection.wire.reset()
