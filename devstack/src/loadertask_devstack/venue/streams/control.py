"""The control interface of the streams, under ``/_replay/streams``. Bodies and answers are JSON.

GET    /_replay/streams              connections, subscriptions, what was sent, lateness
DELETE /_replay/streams              forget ended connections and the count of attempts
GET    /_replay/streams/events       ?stream=&start_ms=&end_ms=: all events in [start, end)
GET    /_replay/streams/rules        limits and timing
PUT    /_replay/streams/rules        set some of them: {"lifetime_s": 3}; {} for the usual ones
POST   /_replay/streams/faults       add: [{"match": {...}, "fault": {"kind": ...}, "times": 1}]
GET    /_replay/streams/faults       the rules in force, how often each matched and fired
DELETE /_replay/streams/faults       end all of them
POST   /_replay/streams/orders       at once: {"fault": {"kind": "reset"}, "connection": 3}
"""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web
from pydantic import TypeAdapter

from loadertask_devstack.venue.control import PREFIX, fault_routes, read_body
from loadertask_devstack.venue.streams.broadcast import Broadcast
from loadertask_devstack.venue.streams.faults import (
    FRAME_KINDS,
    StreamFaultRule,
    StreamOrder,
)
from loadertask_devstack.venue.streams.payloads import MICROSECONDS, MILLISECONDS
from loadertask_devstack.venue.streams.routes import BROADCAST
from loadertask_devstack.venue.streams.rules import StreamRules

_PREFIX = f"{PREFIX}streams"
_FAULTS = TypeAdapter(list[StreamFaultRule])
_ORDER = TypeAdapter(StreamOrder)
_RULES = TypeAdapter(StreamRules)


def routes() -> list[web.RouteDef]:
    """The routes; the application must hold the broadcast."""
    return [
        web.get(_PREFIX, _overview),
        web.delete(_PREFIX, _forget),
        web.get(f"{_PREFIX}/events", _events),
        web.get(f"{_PREFIX}/rules", _rules),
        web.put(f"{_PREFIX}/rules", _set_rules),
        *fault_routes(f"{_PREFIX}/faults", _FAULTS, lambda request: _broadcast(request).faults),
        web.post(f"{_PREFIX}/orders", _order),
    ]


async def _overview(request: web.Request) -> web.Response:
    broadcast = _broadcast(request)
    listed = []
    for record in broadcast.records:
        connection = broadcast.connections.get(record.number)
        open_now = connection.described() if connection else {"subscriptions": []}
        listed.append(asdict(record) | open_now)
    return web.json_response(
        {
            "now_ms": broadcast.now_ms(),
            "latest_lateness_ms": broadcast.latest_lateness_ms,
            "largest_lateness_ms": broadcast.largest_lateness_ms,
            "connections": listed,
        }
    )


async def _forget(request: web.Request) -> web.Response:
    _broadcast(request).forget()
    return web.Response(status=204)


async def _events(request: web.Request) -> web.Response:
    try:
        name = request.query["stream"]
        start_ms, end_ms = int(request.query["start_ms"]), int(request.query["end_ms"])
    except (KeyError, ValueError) as error:
        raise web.HTTPBadRequest(text="needs stream, start_ms and end_ms\n") from error
    feed = _broadcast(request).feed_of(name)
    unit = MICROSECONDS if request.query.get("timeUnit") else MILLISECONDS
    events = feed.events(start_ms - 1, end_ms - 1, unit) if feed else []
    return web.Response(
        text=f"[{','.join(event.text for event in events)}]", content_type="application/json"
    )


async def _rules(request: web.Request) -> web.Response:
    return web.json_response(_broadcast(request).rules.model_dump())


async def _set_rules(request: web.Request) -> web.Response:
    _broadcast(request).rules = await read_body(request, _RULES)
    return await _rules(request)


async def _order(request: web.Request) -> web.Response:
    order: StreamOrder = await read_body(request, _ORDER)
    if order.fault.kind in FRAME_KINDS:
        raise web.HTTPBadRequest(text=f"{order.fault.kind} harms a frame: add a rule for it\n")
    broadcast = _broadcast(request)
    harmed = [
        connection
        for number, connection in broadcast.connections.items()
        if order.connection in (None, number)
        and (order.stream is None or order.stream in connection.streams)
    ]
    for connection in harmed:
        connection.record.faults.append(order.fault.kind.value)
        connection.suffer(order.fault, broadcast.now_ms())
    return web.json_response({"connections": [c.record.number for c in harmed]})


def _broadcast(request: web.Request) -> Broadcast:
    return request.app[BROADCAST]
