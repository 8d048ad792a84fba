"""When to connect again, when to doubt a silent stream, and a buffer that never grows too large."""

from __future__ import annotations

import asyncio
from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from loadertask_worker.live.buffer import Frame, FrameBuffer
from loadertask_worker.live.pacing import CONNECT_WINDOW_S, ConnectPacer, SilenceWatch


@given(st.lists(st.floats(0, 20), max_size=300))
def test_connects_stay_far_below_what_the_venue_allows_an_address(pauses_s: list[float]) -> None:
    pacer, now_s = ConnectPacer(), 1_000.0
    connects_s: list[float] = []
    for pause_s in pauses_s:
        now_s += pause_s
        now_s += pacer.delay_s(now_s)
        pacer.connect(now_s)
        connects_s.append(now_s)

    for index, end_s in enumerate(connects_s):
        within = index + 1 - bisect_left(connects_s, end_s - CONNECT_WINDOW_S + 0.001)
        assert within <= 60


def test_the_first_connects_of_a_window_are_not_delayed() -> None:
    pacer = ConnectPacer()
    for _ in range(20):
        assert pacer.delay_s(5.0) == 0
        pacer.connect(5.0)
    assert pacer.delay_s(5.0) > 0


def test_a_quiet_market_is_doubted_ever_less_often() -> None:
    watch = SilenceWatch(first_doubt_s=5, longest_doubt_s=30)
    watch.heard(100)

    doubts = [now_s for now_s in range(100, 250) if watch.is_doubtful(now_s)]

    assert doubts == [105, 115, 135, 165, 195, 225]
    watch.heard(250)
    assert not watch.is_doubtful(254)
    assert watch.is_doubtful(255)


async def test_a_full_buffer_takes_nothing_until_half_of_it_is_free() -> None:
    buffer = FrameBuffer(10_000)
    taken = 0
    while buffer.offer(Frame(1, b"x" * 840)):
        taken += 1
    waiting = asyncio.create_task(buffer.has_room())
    await asyncio.sleep(0)

    assert (taken, waiting.done()) == (10, False)
    assert buffer.size_bytes == 10_000
    assert [frame.payload for frame in buffer.take()] == [b"x" * 840] * 10
    await waiting
    assert buffer.size_bytes == 0


async def test_a_frame_wakes_the_publisher_until_all_of_them_are_taken() -> None:
    buffer = FrameBuffer(10**9)
    for number in range(1_500):
        buffer.offer(Frame(1, b"%d" % number))

    buffer.wake.clear()
    first = buffer.take()
    assert buffer.wake.is_set()
    buffer.wake.clear()
    rest = buffer.take()

    assert not buffer.wake.is_set()
    assert [int(frame.payload) for frame in first + rest] == list(range(1_500))
