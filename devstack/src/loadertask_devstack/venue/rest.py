"""The routes of ``/api/v3``: ping, time, exchangeInfo, klines. Limits and faults are elsewhere."""

from __future__ import annotations

from aiohttp import web

from loadertask_devstack.venue import answers
from loadertask_devstack.venue.faults import Fault
from loadertask_devstack.venue.parameters import (
    microseconds_asked,
    parse_exchange_info,
    parse_klines,
    parse_pairs,
)
from loadertask_devstack.venue.state import VenueState
from loadertask_devstack.venue.symbols import exchange_info

SOURCE_HEADER = "X-Replay-Source"
FAULT = web.RequestKey("fault", Fault)
ROWS = web.RequestKey("rows", int)
STATE = web.AppKey("state", VenueState)


def routes() -> list[web.RouteDef]:
    """The routes; the application must hold the state under STATE."""
    return [
        web.get("/api/v3/ping", _ping, allow_head=False),
        web.get("/api/v3/time", _time, allow_head=False),
        web.get("/api/v3/exchangeInfo", _exchange_info, allow_head=False),
        web.get("/api/v3/klines", _klines, allow_head=False),
    ]


async def _ping(request: web.Request) -> web.Response:
    _microseconds(request)
    parse_pairs(request.rel_url.raw_query_string, ())
    return answers.json_answer({})


async def _time(request: web.Request) -> web.Response:
    microseconds = _microseconds(request)
    parse_pairs(request.rel_url.raw_query_string, ())
    now_ms = request.app[STATE].clock()
    return answers.json_answer({"serverTime": now_ms * 1000 if microseconds else now_ms})


async def _exchange_info(request: web.Request) -> web.Response:
    microseconds = _microseconds(request)
    query = parse_exchange_info(request.rel_url.raw_query_string)
    state = request.app[STATE]
    now_ms, rules = state.clock(), state.settings.rules
    info = exchange_info(
        query.symbols,
        server_time=now_ms * 1000 if microseconds else now_ms,
        weight_per_minute=rules.weight_per_minute,
        raw_per_five_minutes=rules.raw_per_five_minutes,
        with_permission_sets=query.with_permission_sets,
    )
    return answers.json_answer(info)


async def _klines(request: web.Request) -> web.Response:
    state = request.app[STATE]
    now_ms = state.clock()
    query = parse_klines(
        request.rel_url.raw_query_string, now_ms, microseconds=_microseconds(request)
    )
    page = state.pages.page(query, state.rest_clock())
    request[ROWS] = page.rows
    response = answers.json_text(page.text)
    response.headers[SOURCE_HEADER] = page.source.label
    return response


def _microseconds(request: web.Request) -> bool:
    return microseconds_asked(request.headers.get("X-MBX-TIME-UNIT"))
