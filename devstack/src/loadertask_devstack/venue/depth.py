"""The route ``/api/v3/depth``: a snapshot of the order book that the depth streams continue."""

from __future__ import annotations

from aiohttp import web

from loadertask_devstack.venue import answers
from loadertask_devstack.venue.history import Source
from loadertask_devstack.venue.limits import DEPTH_PATH
from loadertask_devstack.venue.parameters import microseconds_asked, parse_depth
from loadertask_devstack.venue.rest import ROWS, SOURCE_HEADER, STATE
from loadertask_devstack.venue.streams.payloads import book


def routes() -> list[web.RouteDef]:
    """The route; the application must hold the state under STATE."""
    return [web.get(DEPTH_PATH, _depth, allow_head=False)]


async def _depth(request: web.Request) -> web.Response:
    state = request.app[STATE]
    microseconds_asked(request.headers.get("X-MBX-TIME-UNIT"))
    query = parse_depth(request.rel_url.raw_query_string)
    snapshot = state.book(query.symbol).snapshot(state.rest_clock(), query.limit)
    request[ROWS] = len(snapshot.bids) + len(snapshot.asks)
    response = answers.json_text(book(*snapshot))
    response.headers[SOURCE_HEADER] = Source.SYNTHETIC.label
    return response
