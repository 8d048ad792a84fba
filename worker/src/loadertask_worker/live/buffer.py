"""The frames between the reader of a stream and its publisher: bounded by bytes, never dropped.

The reader offers and never waits; what is not taken is its business (it stops reading, and what
is lost shows as a hole). One event wakes the publisher, for frames and for anything else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from itertools import islice

# What Python keeps beside the bytes of a short frame.
_FRAME_OVERHEAD_BYTES = 160
_MOST_FRAMES_TAKEN = 1_000


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame and the number of the connection that brought it."""

    connection: int
    payload: bytes


class FrameBuffer:
    """Holds at most ``most_bytes`` of frames."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._frames: deque[Frame] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self.size_bytes = 0
        self.wake = asyncio.Event()

    def offer(self, frame: Frame) -> bool:
        """Take a frame, or say that there is no room for it."""
        size_bytes = len(frame.payload) + _FRAME_OVERHEAD_BYTES
        if self.size_bytes + size_bytes > self._most_bytes:
            self._room.clear()
            self.wake.set()
            return False
        self._frames.append(frame)
        self.size_bytes += size_bytes
        self.wake.set()
        return True

    def take(self) -> list[Frame]:
        """Some of the frames, in order; the event stays set while there are more."""
        taken = list(islice(self._frames, _MOST_FRAMES_TAKEN))
        for frame in taken:
            self._frames.popleft()
            self.size_bytes -= len(frame.payload) + _FRAME_OVERHEAD_BYTES
        if self._frames:
            self.wake.set()
        if self.size_bytes <= self._most_bytes // 2:
            self._room.set()
        return taken

    async def has_room(self) -> None:
        """Wait until half of it is free again."""
        await self._room.wait()
