"""The routes ``/ws`` and ``/stream``: the handshake, then the client's messages until the end."""

from __future__ import annotations

import asyncio

from aiohttp import WSMessage, WSMsgType, web

from loadertask_devstack.venue import answers, fault_effects
from loadertask_devstack.venue.audit import AuditedRequest
from loadertask_devstack.venue.errors import VenueError
from loadertask_devstack.venue.faults import Fault
from loadertask_devstack.venue.rest import STATE
from loadertask_devstack.venue.streams.broadcast import Broadcast
from loadertask_devstack.venue.streams.connection import Connection
from loadertask_devstack.venue.streams.handshake import COMBINED_PATH, RAW_PATH, Asked, asked
from loadertask_devstack.venue.streams.protocol import refused_name, reply_to
from loadertask_devstack.venue.streams.wire import Wire

BROADCAST = web.AppKey("broadcast", Broadcast)
_LARGEST_MESSAGE_BYTES = 2**20
_DEFAULT_CLOSE_CODE = 1000


def routes() -> list[web.RouteDef]:
    """The routes; the application must hold the state and the broadcast."""
    paths = (RAW_PATH, f"{RAW_PATH}/{{names:.*}}", COMBINED_PATH)
    return [web.get(path, _connect, allow_head=False) for path in paths]


async def _connect(request: web.Request) -> web.StreamResponse:
    state, broadcast = request.app[STATE], request.app[BROADCAST]
    fault = state.faults.choose(request.path, dict(request.query))
    if fault is not None:
        await fault_effects.before_handshake(request, fault)
    try:
        wanted = asked(request.rel_url.raw_path, request.rel_url.raw_query_string)
        response = await _refusal(request, wanted, fault)
    except VenueError as refused:
        response = answers.refusal(refused)
    _note(request, fault, 101 if response is None else response.status)
    if response is not None:
        return response
    socket = web.WebSocketResponse(
        autoping=False, autoclose=False, compress=False, max_msg_size=_LARGEST_MESSAGE_BYTES
    )
    await socket.prepare(request)
    transport = request.transport
    if isinstance(transport, asyncio.Transport):
        record = broadcast.new_record(request.remote or "", request.rel_url.raw_path_qs)
        connection = Connection(record, Wire(transport), wanted.unit, combined=wanted.combined)
        await _serve(socket, connection, wanted, broadcast)
    return socket


async def _refusal(
    request: web.Request, wanted: Asked, fault: Fault | None
) -> web.StreamResponse | None:
    broadcast = request.app[BROADCAST]
    rules, now_ms = broadcast.rules, request.app[STATE].clock()
    # Not documented how the venue refuses: here as it refuses requests.
    if not broadcast.connects.allows(request.remote or "", now_ms, rules.connects_per_five_minutes):
        return answers.error(-1003, "Too many connection attempts.", 429)
    if len(wanted.names) > rules.streams_per_connection:
        return answers.error(-1101, "Too many streams.", 400)
    if fault is not None and fault_effects.replaces_answer(fault):
        return await fault_effects.replacement(fault)
    return None


async def _serve(
    socket: web.WebSocketResponse, connection: Connection, wanted: Asked, broadcast: Broadcast
) -> None:
    broadcast.join(connection)
    try:
        if error := refused_name(wanted.names):
            connection.say(error)
            connection.close(_DEFAULT_CLOSE_CODE, "", broadcast.now_ms())
        else:
            broadcast.subscribe(connection, wanted.names)
        while not socket.closed:
            message = await socket.receive()
            if message.type in (WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR):
                break
            if not connection.wire.is_mute:
                _hear(message, connection, broadcast)
    finally:
        connection.ended("client", broadcast.now_ms())
        broadcast.leave(connection)


def _hear(message: WSMessage, connection: Connection, broadcast: Broadcast) -> None:
    if message.type is WSMsgType.CLOSE:
        connection.answer_close(message.data or _DEFAULT_CLOSE_CODE, broadcast.now_ms())
        return
    rules = broadcast.rules
    connection.record.messages += 1
    if not connection.limit.allows(asyncio.get_running_loop().time(), rules.messages_per_second):
        connection.close(1008, "Too many requests", broadcast.now_ms())
    elif message.type is WSMsgType.PING:
        connection.pong(message.data)
    elif message.type is WSMsgType.PONG:
        connection.note_pong(message.data)
    elif message.type is WSMsgType.TEXT:
        _answer(message.data, connection, broadcast)


def _answer(text: str, connection: Connection, broadcast: Broadcast) -> None:
    rules = broadcast.rules
    reply = reply_to(
        text,
        subscribed=connection.streams,
        combined=connection.combined,
        most_streams=rules.streams_per_connection,
    )
    broadcast.subscribe(connection, reply.subscribe)
    broadcast.unsubscribe(connection, reply.unsubscribe)
    if reply.combined is not None:
        connection.combined = reply.combined
    if reply.subscribe and rules.ack_delay_s:
        asyncio.get_running_loop().call_later(rules.ack_delay_s, connection.say, reply.text)
    else:
        connection.say(reply.text)
    if reply.closes:
        connection.close(_DEFAULT_CLOSE_CODE, "", broadcast.now_ms())


def _note(request: web.Request, fault: Fault | None, status: int) -> None:
    request.app[STATE].audit.add(
        AuditedRequest(
            time_ms=request.app[STATE].clock(),
            client=request.remote or "",
            method=request.method,
            path=request.path,
            params=dict(request.query),
            status=status,
            weight=0,
            used_weight=0,
            rows=0,
            source="",
            fault=fault.kind.value if fault else None,
        )
    )
