"""The worker's side of a stream against the replay's: connections that replace each other."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

import pytest
from tests.integration.venue_stream_client import StreamVenue, stream_venue
from tests.integration.worker_process import eventually

from loadertask_worker.binance import streams
from loadertask_worker.binance.connection import Leaving
from loadertask_worker.binance.streams import Stream, StreamLimits
from loadertask_worker.binance.waits import OnWait, untold
from loadertask_worker.errors import BannedError, RejectedError, SourceUnavailableError
from loadertask_worker.live import pacing
from loadertask_worker.live.buffer import FrameBuffer

pytestmark = pytest.mark.integration

BUSY = "busyusdt@trade"


@pytest.fixture
async def venue() -> AsyncIterator[StreamVenue]:
    async with stream_venue() as running:
        yield running


class Read:
    """A stream under way and the trade ids that it has brought."""

    def __init__(self, stream: Stream, buffer: FrameBuffer, running: asyncio.Task[None]) -> None:
        self.stream, self.buffer, self.running = stream, buffer, running
        self.ids: list[int] = []

    async def until(self, is_enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not is_enough():
                waking = asyncio.create_task(self.buffer.wake.wait())
                await asyncio.wait({waking, self.running}, return_when=asyncio.FIRST_COMPLETED)
                waking.cancel()
                if self.running.done():
                    self.running.result()
                self.buffer.wake.clear()
                self.ids += [json.loads(frame.payload)["t"] for frame in self.buffer.take()]

    async def more(self, count: int = 100) -> None:
        """Read so many more frames."""
        wanted = len(self.ids) + count
        await self.until(lambda: len(self.ids) >= wanted)

    def twice(self) -> int:
        return len(self.ids) - len(set(self.ids))

    def holes(self) -> list[tuple[int, int]]:
        return [(a, b) for a, b in pairwise(sorted(set(self.ids))) if b != a + 1]


@asynccontextmanager
async def reading(
    url: str,
    limits: StreamLimits | None = None,
    *,
    buffer_bytes: int = 10**8,
    patience_s: float = 2,
    on_wait: OnWait = untold,
) -> AsyncIterator[Read]:
    buffer = FrameBuffer(buffer_bytes)
    stream = Stream(url, buffer, patience_s=patience_s, limits=limits, on_wait=on_wait)
    running = asyncio.create_task(stream.run())
    try:
        yield Read(stream, buffer, running)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError, SourceUnavailableError, RejectedError):
            await running


def address(venue: StreamVenue, stream: str = BUSY) -> str:
    return f"{venue.url.replace('http', 'ws', 1)}/ws/{stream}"


async def connects(venue: StreamVenue) -> int:
    return len(await venue.connections())


async def test_a_connection_that_grows_old_is_replaced_without_losing_a_frame(
    venue: StreamVenue,
) -> None:
    limits = StreamLimits(max_age_s=0.5, overlap_s=2, settle_s=0.1)
    async with reading(address(venue), limits) as read:
        while await connects(venue) < 4:
            await read.more()
        await read.more()

    assert read.holes() == []
    assert read.twice() > 0, "for a moment both connections deliver"


async def test_a_shutdown_is_answered_by_another_connection_before_the_end(
    venue: StreamVenue,
) -> None:
    async with reading(address(venue), StreamLimits(settle_s=0.1)) as read:
        await read.more()
        await venue.order("shutdown", delay_s=1)
        while not (await venue.connections())[0]["end"]:
            await read.more()
        await read.more()

    assert read.holes() == []
    assert read.twice() > 0
    assert await connects(venue) == 2


async def test_no_second_connection_is_tried_while_the_venue_bans_the_address(
    venue: StreamVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_STANDBY_RETRY_S", 0.01)
    with pytest.raises(BannedError):
        await outlive_a_ban(venue)

    assert await refused(venue) == 1, "the end of the old one does not end the ban"


async def outlive_a_ban(venue: StreamVenue) -> None:
    """Read a stream that cannot be replaced, until it ends."""
    async with reading(address(venue), StreamLimits(max_age_s=0.1)) as read:
        await read.more()
        await refuse(venue, status=418, code=-1003, retry_after_s=3_600)
        while not await refused(venue):
            await read.more()
        for _ in range(10):
            await read.more()
        assert await refused(venue) == 1
        assert read.holes() == []
        await venue.order("end")
        await read.until(lambda: False)


async def test_a_second_connection_is_tried_again_once_a_ban_is_over(
    venue: StreamVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_STANDBY_RETRY_S", 0.01)
    async with reading(address(venue), StreamLimits(max_age_s=0.1, settle_s=0.1)) as read:
        await read.more()
        await refuse(venue, status=418, code=-1003, retry_after_s=1)
        while not await refused(venue):
            await read.more()
        before = await connects(venue)
        await venue.control("DELETE", "faults")
        while await connects(venue) == before:
            await read.more()

    assert read.holes() == []


async def test_a_refused_second_connection_is_tried_again_when_the_first_has_ended(
    venue: StreamVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_STANDBY_RETRY_S", 0.01)
    async with reading(address(venue), StreamLimits(max_age_s=0.1)) as read:
        await read.more()
        await refuse(venue, status=400, code=-1100)
        while not await refused(venue):
            await read.more()
        for _ in range(10):
            await read.more()
        assert await refused(venue) == 1
        assert read.holes() == []
        await venue.control("DELETE", "faults")
        before = await connects(venue)
        await venue.order("end")
        while await connects(venue) == before:
            await read.more()
        await read.more()


async def refuse(venue: StreamVenue, **how: object) -> None:
    """Refuse every further connection to the stream."""
    rule = {"match": {"path": f"/ws/{BUSY}"}, "fault": {"kind": "status", **how}}
    await venue.control("POST", "faults", [rule])


async def refused(venue: StreamVenue) -> int:
    """How many connections were refused."""
    asked = (await venue.control("GET", "audit"))["requests"]
    return sum(each["status"] >= 400 for each in asked)


async def test_a_buffer_without_room_ends_the_reading_until_there_is_some(
    venue: StreamVenue,
) -> None:
    async with reading(address(venue), buffer_bytes=100_000) as read:
        async with asyncio.timeout(10):
            # The end is the replay's, which sets no event of ours.
            while not [each for each in await venue.connections() if each["end"]]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await connects(venue) == 1
        assert 99_000 < read.buffer.size_bytes <= 100_000
        while await connects(venue) < 2:
            await read.more(1)
        await read.more()

    assert len(read.holes()) == 1, "what was not read shows as a hole"
    assert read.twice() == 0


async def test_a_stream_is_left_when_its_silence_is_proved(venue: StreamVenue) -> None:
    async with reading(address(venue)) as read:
        await read.more()
        await venue.order("half_open")
        read.stream.renew(Leaving.SILENT)
        while len(read.holes()) == 0:
            await read.more(1)

    assert await connects(venue) == 2


async def test_a_venue_that_refuses_the_stream_is_told_at_once(venue: StreamVenue) -> None:
    url = address(venue).replace("/ws/", "/nosuchpath/")
    with pytest.raises(RejectedError, match=r": .*\(HTTP 404\); is BINANCE_WS_URL right\?$"):
        async with reading(url) as read:
            await read.until(lambda: False)


async def test_frames_that_are_too_large_are_named_as_the_cause(venue: StreamVenue) -> None:
    limits = StreamLimits(max_frame_bytes=10)
    with pytest.raises(SourceUnavailableError, match=r"end as they begin: .*1009.*too big"):
        async with reading(address(venue), limits, patience_s=0.5) as read:
            await read.until(lambda: False)


async def test_the_wait_that_is_told_is_the_wait_of_the_pacer(
    venue: StreamVenue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # One connect in a window of 300 s is free, a second one comes at its end.
    monkeypatch.setattr(pacing, "_FREE_CONNECTS", 1)
    monkeypatch.setattr(pacing, "_MOST_CONNECTS", 2)
    await venue.control("POST", "streams/faults", [{"fault": {"kind": "end"}, "match": {}}])
    async with reading(address(venue)):
        await eventually(lambda: "again in" in caplog.text, 10)
    assert re.search(r"end as they begin.*; again in (2\d\d\.\d|300\.0) s", caplog.text)


async def test_a_rest_that_the_venue_asks_for_is_told(venue: StreamVenue) -> None:
    await venue.rules(connects_per_five_minutes=0)
    told: list[tuple[str, float]] = []
    async with reading(address(venue), on_wait=lambda *wait: told.append(wait)):
        await eventually(lambda: told)
    assert told == [("the venue limits the rate of requests (HTTP 429); waiting", 60)]


async def test_tries_to_reach_the_venue_are_told_as_long_as_they_last(venue: StreamVenue) -> None:
    told: list[tuple[str, float]] = []
    rule = {"fault": {"kind": "end"}, "match": {}}
    await venue.control("POST", "streams/faults", [rule])
    async with reading(address(venue), patience_s=100, on_wait=lambda *wait: told.append(wait)):
        # It is connected again, if only for a moment.
        await eventually(lambda: ("", 0.0) in told)
    why, for_s = told[0]
    assert "end as they begin" in why
    assert why.endswith("; trying again")
    assert 0 < for_s <= 100


async def test_streams_that_end_as_they_begin_use_up_the_patience(venue: StreamVenue) -> None:
    rule = {"fault": {"kind": "end"}, "match": {}}
    await venue.control("POST", "streams/faults", [rule])
    with pytest.raises(SourceUnavailableError, match="end as they begin"):
        async with reading(address(venue), patience_s=0.5) as read:
            await read.until(lambda: False)
