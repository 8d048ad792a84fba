"""The routes ``aggTrades``, ``trades``, ``historicalTrades`` of ``/api/v3``; always synthetic."""

from __future__ import annotations

from aiohttp import web

from loadertask_devstack.venue import answers, errors
from loadertask_devstack.venue.history import Source
from loadertask_devstack.venue.parameters import (
    microseconds_asked,
    moment_of,
    number_of,
    page_limit,
    parse_pairs,
    symbol_in,
)
from loadertask_devstack.venue.rest import ROWS, SOURCE_HEADER, STATE
from loadertask_devstack.venue.trade_pages import (
    TradesQuery,
    agg_page,
    agg_text,
    trades_page,
    trades_text,
)


def routes() -> list[web.RouteDef]:
    """The routes; the application must hold the state under STATE."""
    return [
        web.get("/api/v3/aggTrades", _agg_trades, allow_head=False),
        web.get("/api/v3/trades", _trades, allow_head=False),
        web.get("/api/v3/historicalTrades", _historical_trades, allow_head=False),
    ]


async def _agg_trades(request: web.Request) -> web.Response:
    state = request.app[STATE]
    query = _query(request, ("symbol", "fromId", "startTime", "endTime", "limit"))
    now_ms = state.rest_clock()
    rows = agg_page(query, state.tape(query.symbol), state.oldest_trade_ms(), now_ms)
    return _answer(request, agg_text(rows, microseconds=query.microseconds), len(rows))


async def _trades(request: web.Request) -> web.Response:
    return _raw_trades(request, ("symbol", "limit"))


async def _historical_trades(request: web.Request) -> web.Response:
    return _raw_trades(request, ("symbol", "fromId", "limit"))


def _raw_trades(request: web.Request, known: tuple[str, ...]) -> web.Response:
    state, query = request.app[STATE], _query(request, known)
    now_ms = state.rest_clock()
    rows = trades_page(query, state.tape(query.symbol), state.oldest_trade_ms(), now_ms)
    return _answer(request, trades_text(rows, microseconds=query.microseconds), len(rows))


def _query(request: web.Request, known: tuple[str, ...]) -> TradesQuery:
    """The checked query; raises VenueError as the venue would refuse it."""
    microseconds = microseconds_asked(request.headers.get("X-MBX-TIME-UNIT"))
    values = parse_pairs(request.rel_url.raw_query_string, known)
    symbol = symbol_in(values)
    names = ("fromId", "startTime", "endTime", "limit")
    first_id, start, end, limit = (number_of(name, values) for name in names)
    if first_id is not None and (start, end) != (None, None):
        raise errors.bad_combination()
    now_ms = request.app[STATE].clock()
    return TradesQuery(
        symbol=symbol,
        limit=page_limit(limit),
        first_id=first_id,
        start_ms=moment_of(start, now_ms, round_up=True),
        end_ms=moment_of(end, now_ms, round_up=False),
        microseconds=microseconds,
    )


def _answer(request: web.Request, text: str, rows: int) -> web.Response:
    request[ROWS] = rows
    response = answers.json_text(text)
    response.headers[SOURCE_HEADER] = Source.SYNTHETIC.label if rows else Source(0).label
    return response
