"""What every request of the venue passes: limits, faults, errors, common headers, the audit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import uuid4

from aiohttp import web

from loadertask_devstack.venue import answers, fault_effects
from loadertask_devstack.venue.archive_names import is_archive_path
from loadertask_devstack.venue.audit import AuditedRequest
from loadertask_devstack.venue.control import PREFIX
from loadertask_devstack.venue.errors import VenueError
from loadertask_devstack.venue.faults import Fault
from loadertask_devstack.venue.limits import Verdict, weight_of
from loadertask_devstack.venue.rest import FAULT, ROWS, SOURCE_HEADER, STATE
from loadertask_devstack.venue.streams.handshake import is_stream_path

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_ARCHIVED = Verdict(200, 0)  # another host, without limits
_COMMON_HEADERS = {
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "0",
    "Access-Control-Allow-Origin": "*",
}


@web.middleware
async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Serve a request as the venue would; the control interface and the streams pass untouched."""
    if request.path.startswith(PREFIX) or is_stream_path(request.path):
        return await handler(request)
    state = request.app[STATE]
    verdict = _ARCHIVED
    if not is_archive_path(request.path):
        verdict = state.charge(request.remote or "", weight_of(request.path, request.query))
    fault = None
    if verdict.status == 200:
        fault = state.faults.choose(request.path, dict(request.query))
    # Noted before it is sent: whoever has the answer finds it in the audit.
    response = await _answer(request, handler, verdict, fault)
    _finish(request, response, verdict)
    state.audit.add(_audited(request, response, verdict, fault))
    return await fault_effects.damage(request, response, fault) if fault else response


async def _answer(
    request: web.Request, handler: _Handler, verdict: Verdict, fault: Fault | None
) -> web.Response:
    if verdict.status != 200:
        return answers.limited(verdict)
    if fault and fault_effects.replaces_answer(fault):
        return await fault_effects.replacement(fault)
    if fault:
        request[FAULT] = fault
    try:
        response = await handler(request)
    except VenueError as refused:
        return answers.refusal(refused)
    except web.HTTPException:  # no such route, or not with this method
        return answers.unknown_path(request.headers.get("Accept", ""))
    if not isinstance(response, web.Response):
        raise TypeError(f"{request.path} answered with a {type(response).__name__}")
    if fault:
        fault_effects.change_rows(response, fault)
    return response


def _finish(request: web.Request, response: web.Response, verdict: Verdict) -> None:
    if verdict is _ARCHIVED:
        return
    response.headers.update(_COMMON_HEADERS)
    response.headers["X-MBX-UUID"] = str(uuid4())
    response.headers["X-MBX-USED-WEIGHT"] = str(verdict.used_weight)
    response.headers["X-MBX-USED-WEIGHT-1M"] = str(verdict.used_weight)
    if request.app[STATE].settings.compress:
        answers.compressed(response, request.headers.get("Accept-Encoding", ""))


def _audited(
    request: web.Request, response: web.Response, verdict: Verdict, fault: Fault | None
) -> AuditedRequest:
    return AuditedRequest(
        time_ms=request.app[STATE].clock(),
        client=request.remote or "",
        method=request.method,
        path=request.path,
        params=dict(request.query),
        status=response.status,
        weight=0 if verdict is _ARCHIVED else weight_of(request.path, request.query),
        used_weight=verdict.used_weight,
        rows=request.get(ROWS, 0),
        source=response.headers.get(SOURCE_HEADER, ""),
        fault=fault.kind.value if fault else None,
    )
