"""Carries out faults: answers in place of the true one, and damage to the connection itself."""

from __future__ import annotations

import asyncio
import socket
import struct
from http import HTTPStatus

from aiohttp import web

from loadertask_devstack.venue import answers
from loadertask_devstack.venue.faults import FILE_FAULTS, ROW_FAULTS, Fault, FaultKind
from loadertask_devstack.venue.row_faults import damaged_json

_BACKEND_TIMEOUT_S = 10.0
_SLOW_S = 1.0
_LONGEST_HANG_S = 3600.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, 0 s: closing sends RST instead of FIN
_BREAKING = frozenset({FaultKind.SLOW, FaultKind.TRUNCATE, FaultKind.RESET})
_CHANGING = FILE_FAULTS | {FaultKind.ZIP_CUT, FaultKind.ZIP_CORRUPT, FaultKind.WRONG_CHECKSUM}
_REPLACING = frozenset(FaultKind) - _BREAKING - _CHANGING


def replaces_answer(fault: Fault) -> bool:
    """Whether the true answer is not needed at all."""
    return fault.kind in _REPLACING


async def replacement(fault: Fault) -> web.Response:
    """The answer of a fault that replaces the true one."""
    await asyncio.sleep(_delay_s(fault))
    status = fault.status or 500
    match fault.kind:
        case FaultKind.HTML_403:
            response = answers.html(403, "403 Forbidden")
        case FaultKind.HTML_200:
            response = answers.html(200, "Data Collection")
        case FaultKind.EMPTY_404:
            response = answers.empty(404)
        case FaultKind.RESTRICTED_451:
            response = answers.restricted()
        case FaultKind.HTML_5XX:
            response = answers.html(status, f"{status} {_phrase(status)}")
        case FaultKind.EMPTY_5XX:
            response = answers.empty(status)
        case FaultKind.BACKEND_TIMEOUT:
            message = "Timeout waiting for response from backend server."
            response = answers.error(-1007, message, fault.status or 504)
        case _:
            response = answers.error(fault.code, fault.msg, status)
    if fault.retry_after_s is not None:
        response.headers["Retry-After"] = str(fault.retry_after_s)
    return response


def change_rows(response: web.Response, fault: Fault) -> None:
    """Damage the rows of a JSON page in place; all other answers stay as they are."""
    is_json = response.headers.get("Content-Type", "").startswith("application/json")
    if fault.kind in ROW_FAULTS and is_json and isinstance(response.body, bytes):
        response.body = damaged_json(response.body.decode(), fault).encode()


async def damage(request: web.Request, response: web.Response, fault: Fault) -> web.StreamResponse:
    """Delay the true answer, or begin to send it and break the connection inside its body."""
    if fault.kind is FaultKind.SLOW:
        await asyncio.sleep(_delay_s(fault))
        return response
    if fault.kind not in {FaultKind.TRUNCATE, FaultKind.RESET}:
        return response
    body = response.body if isinstance(response.body, bytes) else b""
    kept_bytes = len(body) // 2 if fault.keep_bytes is None else fault.keep_bytes
    broken = web.StreamResponse(status=response.status, headers=response.headers)
    broken.content_length = len(body)
    await broken.prepare(request)
    await broken.write(body[:kept_bytes])
    _cut(request, with_reset=fault.kind is FaultKind.RESET)
    return broken


async def before_handshake(request: web.Request, fault: Fault) -> None:
    """Delay a WebSocket handshake, or break the connection instead of it."""
    if fault.kind is FaultKind.SLOW:
        await asyncio.sleep(_delay_s(fault))
    elif fault.kind in {FaultKind.TRUNCATE, FaultKind.RESET}:
        _cut(request, with_reset=fault.kind is FaultKind.RESET)


def reset_on_close(transport: asyncio.BaseTransport) -> None:
    """Let the end of this connection be a TCP reset."""
    plug = transport.get_extra_info("socket")
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


def _cut(request: web.Request, *, with_reset: bool) -> None:
    transport = request.transport
    if transport is None:
        return
    if with_reset:
        reset_on_close(transport)
        transport.abort()
    else:
        transport.close()


def _delay_s(fault: Fault) -> float:
    if fault.delay_s is not None:
        return fault.delay_s
    usual = {
        FaultKind.BACKEND_TIMEOUT: _BACKEND_TIMEOUT_S,
        FaultKind.SLOW: _SLOW_S,
        FaultKind.HANG: _LONGEST_HANG_S,
    }
    return usual.get(fault.kind, 0.0)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
