"""What a live type is made of, as the loop that follows a stream sees it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from loadertask_worker.live.updates import Release

Answer = Callable[[int], Sequence[Release]]
"""Hands what REST has answered to the sequence, at a time (epoch ms), and returns what follows."""

Question = Coroutine[Any, Any, Answer]
"""A request under way."""


class Ordered(Protocol):
    """A machine of ``live``."""

    @property
    def newest_event_ms(self) -> int:
        """Of all frames, the latest time at which the venue sent one."""

    @property
    def position(self) -> int | None:
        """Where a load goes on after everything released."""

    @property
    def through_ms(self) -> int:
        """Before this, everything is released."""

    @property
    def newest(self) -> tuple[int, ...]:
        """What is known to be newest, comparable with the venue's; empty before the first."""

    @property
    def held_bytes(self) -> int:
        """Size of what waits."""

    @property
    def owes(self) -> bool:
        """Whether holes were left behind."""

    def take(self, update: Any, now_ms: int) -> Sequence[Release]:
        """A frame of the stream."""

    def expire(self, now_ms: int) -> Sequence[Release]:
        """What may wait no longer."""


class LiveSource(Protocol):
    """A sequence, and the REST interface that repairs it."""

    @property
    def sequence(self) -> Ordered:
        """The machine that puts in order."""

    def behind(self, now_ms: int) -> Question | None:
        """Before the stream: what REST has and the topic has not, as long as that is much."""

    def question(self, now_ms: int) -> Question | None:
        """What the sequence wants of REST now."""

    async def newest_at_venue(self) -> tuple[int, ...]:
        """The newest there is, to compare with that of the sequence."""

    def went_backwards(self, at_venue: tuple[int, ...]) -> None:
        """The venue is far behind what the stream brought: raise, or begin anew."""
