"""The control interface under ``/_replay/``: what tests and people switch at run time.

Not part of the venue: no limits, no weights, never in the audit. Bodies and answers are JSON.

    GET    /_replay/                what is served: recordings, limits, skew
    POST   /_replay/faults          add: [{"match": {...}, "fault": {"kind": ...}, "times": 1}]
    GET    /_replay/faults          the rules in force, how often each matched and fired
    DELETE /_replay/faults          end all faults
    GET    /_replay/audit           totals, weight per minute, every request with its parameters
    DELETE /_replay/audit           forget them
    DELETE /_replay/limits          forget used weights and bans
    PUT    /_replay/clock           {"skew_ms": 1500}: step the venue's clock
    PUT    /_replay/outages         [{"start_ms": ..., "end_ms": ...}]: more holes, synthetic only
"""

from __future__ import annotations

from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from loadertask_devstack.venue.faults import FaultRule
from loadertask_devstack.venue.outages import Outage
from loadertask_devstack.venue.rest import STATE
from loadertask_devstack.venue.state import VenueState

PREFIX = "/_replay/"


class ClockStep(BaseModel):
    """How far the venue's clock is ahead of this machine's, in milliseconds."""

    model_config = ConfigDict(extra="forbid")
    skew_ms: int


class OutageWindow(BaseModel):
    """[start_ms, end_ms), epoch milliseconds."""

    model_config = ConfigDict(extra="forbid")
    start_ms: int
    end_ms: int


_RULES = TypeAdapter(list[FaultRule])
_WINDOWS = TypeAdapter(list[OutageWindow])
_CLOCK = TypeAdapter(ClockStep)


def routes() -> list[web.RouteDef]:
    """The routes; the application must hold the state under STATE."""
    return [
        web.get(PREFIX, _overview),
        web.post(f"{PREFIX}faults", _add_faults),
        web.get(f"{PREFIX}faults", _faults),
        web.delete(f"{PREFIX}faults", _clear_faults),
        web.get(f"{PREFIX}audit", _audit),
        web.delete(f"{PREFIX}audit", _clear_audit),
        web.delete(f"{PREFIX}limits", _forgive),
        web.put(f"{PREFIX}clock", _set_clock),
        web.put(f"{PREFIX}outages", _set_outages),
    ]


async def _overview(request: web.Request) -> web.Response:
    state = _state(request)
    return web.json_response(
        {
            "service": "loadertask-venue-replay",
            "recordings": [str(recording) for recording in state.recordings],
            "everything_else": "synthetic",
            "weight_per_minute": state.settings.rules.weight_per_minute,
            "skew_ms": state.clock.skew_ms,
        }
    )


async def _add_faults(request: web.Request) -> web.Response:
    _state(request).faults.add(await _read(request, _RULES))
    return await _faults(request)


async def _faults(request: web.Request) -> web.Response:
    return web.json_response(_state(request).faults.described())


async def _clear_faults(request: web.Request) -> web.Response:
    _state(request).faults.clear()
    return web.Response(status=204)


async def _audit(request: web.Request) -> web.Response:
    return web.json_response(_state(request).audit.described())


async def _clear_audit(request: web.Request) -> web.Response:
    _state(request).audit.clear()
    return web.Response(status=204)


async def _forgive(request: web.Request) -> web.Response:
    _state(request).forgive()
    return web.Response(status=204)


async def _set_clock(request: web.Request) -> web.Response:
    step: ClockStep = await _read(request, _CLOCK)
    _state(request).clock.skew_ms = step.skew_ms
    return web.json_response({"skew_ms": step.skew_ms})


async def _set_outages(request: web.Request) -> web.Response:
    windows: list[OutageWindow] = await _read(request, _WINDOWS)
    _state(request).set_extra_outages(Outage(w.start_ms, w.end_ms) for w in windows)
    return web.json_response([window.model_dump() for window in windows])


async def _read(request: web.Request, shape: TypeAdapter[Any]) -> Any:
    try:
        return shape.validate_json(await request.read())
    except ValidationError as error:
        raise web.HTTPBadRequest(text=f"{request.path}: {error}\n") from error


def _state(request: web.Request) -> VenueState:
    return request.app[STATE]
