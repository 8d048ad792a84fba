"""What can go wrong on the replay's streams: life and death of connections, and damaged frames."""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio
import websockets
from tests.integration.venue_stream_client import Listener, StreamVenue, stream_venue

BUSY = "busyusdt@trade"
DEPTH = "btcusdt@depth@100ms"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replay() -> AsyncIterator[StreamVenue]:
    async with stream_venue() as venue:
        yield venue


@pytest_asyncio.fixture(loop_scope="module")
async def venue(replay: StreamVenue) -> StreamVenue:
    """The module's replay as if it were new: starting one costs more than most tests."""
    await replay.as_new()
    return replay


async def ids(stream: Listener, count: int = 40) -> list[int]:
    """The ids of the next trades."""
    return [message["t"] for message in await stream.take(count)]


async def test_the_venue_pings_with_a_payload_and_ends_who_does_not_answer(
    venue: StreamVenue,
) -> None:
    await venue.rules(ping_interval_s=0.1, pong_timeout_s=0.4, messages_per_second=100)
    async with venue.stream("/ws") as answering:
        reader, writer = await handshake(venue, "/ws")
        started_s = time.monotonic()
        opcode, payload = await frame(reader)
        assert (opcode, payload.isdigit()) == (0x9, True)
        writer.write(b"\x8a\x80\x00\x00\x00\x00")  # an unsolicited pong, empty and masked
        while (await frame(reader))[0] == 0x9:
            pass
        assert time.monotonic() - started_s > 0.3
        assert (await answering.ask("LIST_SUBSCRIPTIONS"))["result"] == []
    ends = {c["end"] for c in await venue.connections()}
    assert ends == {"client", "no pong"}
    writer.close()


async def test_connections_opened_together_end_together_at_the_end_of_their_life(
    venue: StreamVenue,
) -> None:
    await venue.rules(lifetime_s=0.6)
    async with venue.stream(f"/ws/{BUSY}") as one, venue.stream(f"/ws/{BUSY}") as other:
        ends = await asyncio.gather(one.end(), other.end())
        assert [code for code, _ in ends] == [1001, 1001]
    await venue.control("PUT", "streams/rules", {"lifetime_s": 0.3, "closes_with_frame": False})
    async with venue.stream(f"/ws/{BUSY}") as abrupt:
        assert (await abrupt.end())[0] is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/ws/btcusdt@trade", lambda m: m["e"] == "serverShutdown"),
        (
            "/stream?streams=btcusdt@trade",
            lambda m: (m["stream"], m["data"]["e"]) == ("!serverShutdown", "serverShutdown"),
        ),
    ],
)
async def test_a_shutdown_is_announced_and_comes(
    venue: StreamVenue, path: str, expected: Any
) -> None:
    async with venue.stream(path) as stream:
        await venue.order("shutdown", delay_s=0.2)
        code, seen = await stream.end()
        assert code == 1001
        assert len([message for message in seen if expected(message)]) == 1


async def test_dropped_trades_are_missing_for_one_connection_only(venue: StreamVenue) -> None:
    async with venue.stream(f"/ws/{BUSY}") as harmed, venue.stream(f"/ws/{BUSY}") as whole:
        (number, _) = [c["number"] for c in await venue.connections()]
        await venue.fault("drop", {"stream": BUSY, "connection": number, "nth": 5})
        seen, lost = set(await ids(harmed)), set[int]()
        while not lost:
            seen |= set(await ids(harmed))
            lost = set(range(min(seen), max(seen))) - seen
        assert len(lost) == 1
        also = await ids(whole)
        while also[-1] < max(lost):
            also += await ids(whole)
        assert also == list(range(also[0], also[0] + len(also)))
        told = await venue.control("GET", "streams/faults")
        assert told[0]["fired"] == 1


async def test_a_dropped_event_leaves_a_gap_in_the_order_book(venue: StreamVenue) -> None:
    await venue.fault("drop", {"nth": 3})
    async with venue.stream(f"/ws/{DEPTH}") as stream:
        events = await stream.take(4)
    gaps = [after["U"] - before["u"] for before, after in itertools.pairwise(events)]
    assert sorted(gaps) == [1, 1, 21]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("duplicate", [0, 1, 1]),
        ("swap", [2, -1, 2]),
    ],
)
async def test_a_frame_can_come_twice_or_after_its_successor(
    venue: StreamVenue, kind: str, expected: list[int]
) -> None:
    async with venue.stream(f"/ws/{BUSY}") as stream:
        await stream.next()
        await venue.fault(kind)
        seen = await ids(stream, 2)
        while seen[-1] == seen[-2] + 1:
            seen += await ids(stream, 1)
        seen += await ids(stream, 2)
    steps = [after - before for before, after in itertools.pairwise(seen)]
    assert steps[-len(expected) :] == expected


async def test_strange_frames_come_between_the_true_ones(venue: StreamVenue) -> None:
    async with venue.stream(f"/ws/{BUSY}") as stream:
        await stream.next()
        await venue.fault("not_json")
        texts: list[str] = []
        while not texts or texts[-1] != '{"e":"trade","E":17':
            texts.append(str(await stream.socket.recv()))
        await venue.fault("unknown_event")
        strange = (await stream.until(lambda m: m["e"] != "trade"))[-1]
        assert strange["e"] == "somethingNew"
        seen = await ids(stream)
        assert seen == list(range(seen[0], seen[0] + 40))


async def test_a_frame_of_a_megabyte_is_still_the_event(venue: StreamVenue) -> None:
    async with venue.stream(f"/stream?streams={BUSY}", max_size=2**22) as stream:
        await venue.fault("huge")
        huge = (await stream.until(lambda m: "padding" in m["data"]))[-1]["data"]
        assert len(huge["padding"]) == 2**20
        assert (await stream.next())["data"]["t"] == huge["t"] + 1


async def test_a_fragmented_frame_is_the_same_message(venue: StreamVenue) -> None:
    reader, writer = await handshake(venue, f"/ws/{DEPTH}")
    await venue.fault("fragment", count=3)
    parts = [await raw_frame(reader) for _ in range(4)]
    while parts[-4][0] & 0x80:
        parts.append(await raw_frame(reader))
    assert [first for first, _ in parts[-4:]] == [0x01, 0x00, 0x80, 0x81]
    assert json.loads(b"".join(part for _, part in parts[-4:-1]))["e"] == "depthUpdate"
    writer.close()


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [("reset", {}, None), ("end", {}, None), ("close", {"code": 1012}, 1012)],
)
async def test_connections_end_on_demand_all_at_once_and_can_come_back(
    venue: StreamVenue, kind: str, fields: dict[str, Any], code: int | None
) -> None:
    async with venue.stream(f"/ws/{BUSY}") as one, venue.stream("/ws") as other:
        numbers = [connection["number"] for connection in await venue.connections()]
        assert (await venue.order(kind, **fields)) == {"connections": numbers}
        assert [(await stream.end())[0] for stream in (one, other)] == [code, code]
    async with venue.stream(f"/ws/{BUSY}") as again:
        assert await ids(again)


async def test_a_reset_cuts_a_frame_in_two(venue: StreamVenue) -> None:
    reader, writer = await handshake(venue, f"/ws/{DEPTH}")
    await venue.fault("reset", {"stream": DEPTH})
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await raw_frames_until_the_end(reader)
    writer.close()
    (connection,) = await venue.connections()
    assert (connection["end"], connection["faults"]) == ("reset", ["reset"])


async def test_a_half_open_connection_says_nothing_at_all(venue: StreamVenue) -> None:
    await venue.rules(ping_interval_s=0.1)
    reader, writer = await handshake(venue, f"/ws/{BUSY}")
    await raw_frame(reader)
    await venue.order("half_open")
    writer.write(b"\x89\x80\x00\x00\x00\x00")  # a ping, never answered
    with suppress(TimeoutError):  # what was on its way, then nothing
        while not reader.at_eof():
            await asyncio.wait_for(raw_frame(reader), 0.4)
    assert not reader.at_eof()
    (connection,) = await venue.connections()
    assert connection["end"] == ""
    writer.close()


async def test_a_silent_stream_still_answers_and_speaks_again(venue: StreamVenue) -> None:
    async with venue.stream(f"/ws/{BUSY}") as stream:
        before = await stream.next()
        await venue.order("silence", delay_s=0.5)
        answer = await stream.ask("LIST_SUBSCRIPTIONS")
        assert answer["result"] == [BUSY]
        after = await stream.next()
        assert after["t"] - before["t"] > 500


async def test_a_slow_connection_gets_all_it_missed_in_one(venue: StreamVenue) -> None:
    async with venue.stream(f"/ws/{BUSY}") as stream:
        await stream.next()
        await venue.order("slow", delay_s=0.4)
        seen = await ids(stream, 1000)
        assert seen == list(range(seen[0], seen[0] + 1000))


async def test_a_client_that_does_not_read_is_dropped(venue: StreamVenue) -> None:
    await venue.rules(longest_backlog_bytes=10_000)
    await venue.fault("huge", size_bytes=2**24)  # more than the buffers of the system
    reader, writer = await handshake(venue, f"/ws/{DEPTH}")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    ends = [""]
    async with asyncio.timeout(60):
        while ends == [""]:
            ends = [connection["end"] for connection in await venue.connections()]
    assert ends == ["slow consumer"]
    assert not reader.at_eof()
    writer.close()


@pytest.mark.parametrize(
    ("fault", "status"), [({"kind": "html403"}, 403), ({"kind": "status", "status": 429}, 429)]
)
async def test_a_handshake_can_be_refused(
    venue: StreamVenue, fault: dict[str, Any], status: int
) -> None:
    rule = {"match": {"path": f"/ws/{BUSY}"}, "fault": fault, "times": 1}
    await venue.control("POST", "faults", [rule])
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with venue.stream(f"/ws/{BUSY}"):
            pass
    assert refused.value.response.status_code == status
    async with venue.stream(f"/ws/{BUSY}") as stream:
        assert await ids(stream)


async def test_a_handshake_can_end_in_a_tcp_reset(venue: StreamVenue) -> None:
    rule = {"match": {"path": "/ws"}, "fault": {"kind": "reset"}, "times": 1}
    await venue.control("POST", "faults", [rule])
    with pytest.raises((OSError, websockets.InvalidMessage)):
        async with venue.stream("/ws"):
            pass


async def test_streams_cost_no_request_weight(venue: StreamVenue) -> None:
    async with venue.stream(f"/ws/{BUSY}"), venue.session.get("/api/v3/ping") as response:
        assert response.headers["X-MBX-USED-WEIGHT-1M"] == "1"


async def test_the_audit_tells_what_each_connection_heard(venue: StreamVenue) -> None:
    async with venue.stream(f"/ws/{BUSY}") as stream:
        trades = await stream.take(100)
        await stream.ask("LIST_SUBSCRIPTIONS")
    (connection,) = await venue.connections()
    assert (connection["path"], connection["messages"]) == (f"/ws/{BUSY}", 1)
    sent = connection["sent"][BUSY]
    assert sent["first_ms"] == trades[0]["E"]
    told = await venue.events(BUSY, sent["first_ms"], sent["last_ms"] + 1)
    assert len(told) >= sent["frames"] >= 100


async def test_a_wrong_order_or_rule_is_refused_with_its_place(venue: StreamVenue) -> None:
    for path, body in (
        ("faults", [{"fault": {"kind": "explode"}}]), ("orders", {"fault": {"kind": "drop"}}),
        ("rules", {"lifetime_s": -1}),
    ):  # fmt: skip
        method = "PUT" if path == "rules" else "POST"
        async with venue.session.request(method, f"/_replay/streams/{path}", json=body) as response:
            assert response.status == 400


async def handshake(
    venue: StreamVenue, path: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection without a client library."""
    host, port = venue.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def raw_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The first byte and the payload of the next frame."""
    first, length = await reader.readexactly(2)
    if length == 126:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
    return first, await reader.readexactly(length)


async def raw_frames_until_the_end(reader: asyncio.StreamReader) -> None:
    """Read until it is no longer possible, which is an exception."""
    while True:
        await raw_frame(reader)


async def frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Opcode and payload of the next frame; opcode 0 at the end of the connection."""
    try:
        first, payload = await asyncio.wait_for(raw_frame(reader), 5)
    except asyncio.IncompleteReadError:
        return 0, b""
    return first & 0x0F, payload
