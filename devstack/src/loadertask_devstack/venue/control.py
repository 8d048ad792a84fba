"""The control interface under ``/_replay/``: what tests and people switch at run time.

Not part of the venue: no limits, no weights, never in the audit. Bodies and answers are JSON.

    GET    /_replay/                what is served: recordings, limits, skew
    POST   /_replay/faults          add: [{"match": {...}, "fault": {"kind": ...}, "times": 1}]
    GET    /_replay/faults          the rules in force, how often each matched and fired
    DELETE /_replay/faults          end all faults
    GET    /_replay/audit           totals, weight per minute, every request with its parameters
    DELETE /_replay/audit           forget them
    DELETE /_replay/limits          forget used weights and bans
    PUT    /_replay/clock           {"skew_ms": 1500} or {"now_ms": ...}, and {"rate": 60}
    PUT    /_replay/rest_lag        {"lag_ms": 1500}: let REST know later than the streams
    PUT    /_replay/retention       {"days": 90}: REST knows no older trades; null for all
    PUT    /_replay/cancelled       {"BTCUSDT": [5, 6]}: ids of cancelled aggregate trades
    PUT    /_replay/outages         [{"start_ms": ..., "end_ms": ...}]: more holes, synthetic only
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Protocol

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from loadertask_devstack.venue.faults import FaultRule
from loadertask_devstack.venue.outages import Outage
from loadertask_devstack.venue.rest import STATE
from loadertask_devstack.venue.state import VenueState

PREFIX = "/_replay/"


class ClockStep(BaseModel):
    """How far the venue's clock is to be ahead of this machine's, or its time, and its rate.

    At another rate than 1 it runs on from there, so many milliseconds for each of this machine's;
    at 0 it stands still.
    """

    model_config = ConfigDict(extra="forbid")
    skew_ms: int | None = None
    now_ms: int | None = None
    rate: float = Field(default=1, ge=0, le=100_000)


class RestLag(BaseModel):
    """How far what REST knows lies behind the streams, in milliseconds."""

    model_config = ConfigDict(extra="forbid")
    lag_ms: int = Field(ge=0)


class Retention(BaseModel):
    """How many days of trades REST knows, all if None."""

    model_config = ConfigDict(extra="forbid")
    days: int | None = Field(ge=1)


class OutageWindow(BaseModel):
    """[start_ms, end_ms), epoch milliseconds."""

    model_config = ConfigDict(extra="forbid")
    start_ms: int
    end_ms: int


class Plan(Protocol):
    """Rules in force, of requests or of frames."""

    def add(self, rules: Any) -> None:
        """Put more rules behind those in force."""

    def described(self) -> list[dict[str, object]]:
        """The rules with their counters."""

    def clear(self) -> None:
        """End all faults."""


_RULES = TypeAdapter(list[FaultRule])
_WINDOWS = TypeAdapter(list[OutageWindow])
_RETENTION = TypeAdapter(Retention)
_CANCELLED = TypeAdapter(dict[str, list[Annotated[int, Field(ge=1)]]])
_CLOCK = TypeAdapter(ClockStep)
_LAG = TypeAdapter(RestLag)


def routes() -> list[web.RouteDef]:
    """The routes; the application must hold the state under STATE."""
    return [
        web.get(PREFIX, _overview),
        *fault_routes(f"{PREFIX}faults", _RULES, lambda request: _state(request).faults),
        web.get(f"{PREFIX}audit", _audit),
        web.delete(f"{PREFIX}audit", _clear_audit),
        web.delete(f"{PREFIX}limits", _forgive),
        web.put(f"{PREFIX}clock", _set_clock),
        web.put(f"{PREFIX}rest_lag", _set_rest_lag),
        web.put(f"{PREFIX}outages", _set_outages),
        web.put(f"{PREFIX}retention", _set_retention),
        web.put(f"{PREFIX}cancelled", _set_cancelled),
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


async def _audit(request: web.Request) -> web.Response:
    return web.json_response(_state(request).audit.described())


async def _clear_audit(request: web.Request) -> web.Response:
    _state(request).audit.clear()
    return web.Response(status=204)


async def _forgive(request: web.Request) -> web.Response:
    _state(request).forgive()
    return web.Response(status=204)


async def _set_clock(request: web.Request) -> web.Response:
    step: ClockStep = await read_body(request, _CLOCK)
    clock = _state(request).clock
    clock.step(skew_ms=step.skew_ms, now_ms=step.now_ms, rate=step.rate)
    return web.json_response({"skew_ms": clock.skew_ms, "now_ms": clock(), "rate": clock.rate})


async def _set_rest_lag(request: web.Request) -> web.Response:
    lag: RestLag = await read_body(request, _LAG)
    _state(request).rest_lag_ms = lag.lag_ms
    return web.json_response({"lag_ms": lag.lag_ms})


async def _set_outages(request: web.Request) -> web.Response:
    windows: list[OutageWindow] = await read_body(request, _WINDOWS)
    _state(request).set_extra_outages(Outage(w.start_ms, w.end_ms) for w in windows)
    return web.json_response([window.model_dump() for window in windows])


async def _set_retention(request: web.Request) -> web.Response:
    retention: Retention = await read_body(request, _RETENTION)
    _state(request).retained_days = retention.days
    return web.json_response(retention.model_dump())


async def _set_cancelled(request: web.Request) -> web.Response:
    ids: dict[str, list[int]] = await read_body(request, _CANCELLED)
    _state(request).cancel_aggregates(ids)
    return web.json_response(ids)


def fault_routes(
    path: str, shape: TypeAdapter[Any], plan_of: Callable[[web.Request], Plan]
) -> list[web.RouteDef]:
    """POST rules of this shape to a plan, GET it, DELETE all of it."""

    async def add(request: web.Request) -> web.Response:
        plan_of(request).add(await read_body(request, shape))
        return await described(request)

    async def described(request: web.Request) -> web.Response:
        return web.json_response(plan_of(request).described())

    async def clear(request: web.Request) -> web.Response:
        plan_of(request).clear()
        return web.Response(status=204)

    return [web.post(path, add), web.get(path, described), web.delete(path, clear)]


async def read_body(request: web.Request, shape: TypeAdapter[Any]) -> Any:
    """The JSON body in this shape; an answer with the place of the mistake otherwise."""
    try:
        return shape.validate_json(await request.read())
    except ValidationError as error:
        raise web.HTTPBadRequest(text=f"{request.path}: {error}\n") from error


def _state(request: web.Request) -> VenueState:
    return request.app[STATE]
