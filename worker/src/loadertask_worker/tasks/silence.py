"""Doubts a stream that says nothing new: REST knows whether there was anything to say.

A stream can be open, answer pings and bring nothing (a wrong name, a broken server), which looks
like a quiet market. Only what has become new at the venue while it was silent proves it: what came
before, while it was connected anew, is missing too and says nothing of the new connection.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from loadertask_worker.errors import RejectedError, SourceError, SourceUnavailableError
from loadertask_worker.live.pacing import SilenceWatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadertask_worker.tasks.live_source import LiveSource

log = logging.getLogger(__name__)

FIRST_DOUBT_S = 5.0
_LONGEST_DOUBT_S = 300.0
# What REST shows may be on its way through the stream.
_GRACE_S = 2.0
# However short the patience: two tries of a new connection.
_SHORTEST_SILENCE_S = 30.0


class Silence:
    """Watches one stream; ``renew`` is called when its silence is proved."""

    def __init__(
        self,
        source: LiveSource,
        patience_s: float,
        wake: asyncio.Event,
        renew: Callable[[], None],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._renew, self._wake = source, renew, wake
        self._clock_s = clock_s
        self._longest_silence_s = max(patience_s, _SHORTEST_SILENCE_S)
        self._watch = SilenceWatch(FIRST_DOUBT_S, _LONGEST_DOUBT_S)
        self._watch.heard(clock_s())
        self._newest: tuple[int, ...] = source.sequence.newest
        self._begun_with = self._newest
        self._seen: tuple[int, ...] | None = None
        self._silent_since_s: float | None = None
        self._doubting: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Note what is new, or begin to doubt.

        Raises:
            SourceError: the stream stays silent, or the venue's ids go backwards.

        """
        now_s = self._clock_s()
        newest = self._source.sequence.newest
        if newest != self._newest:
            self._newest, self._silent_since_s = newest, None
            self._watch.heard(now_s)
        if self._doubting and self._doubting.done():
            doubting, self._doubting = self._doubting, None
            doubting.result()
        if self._doubting is None and self._watch.is_doubtful(now_s):
            self._doubting = asyncio.create_task(self._doubt())
            self._doubting.add_done_callback(lambda _: self._wake.set())

    async def close(self) -> None:
        """Doubt no more."""
        if self._doubting:
            self._doubting.cancel()
            await asyncio.gather(self._doubting, return_exceptions=True)

    async def _doubt(self) -> None:
        before = self._source.sequence.newest
        try:
            at_venue = await self._source.newest_at_venue()
        except RejectedError:
            raise
        except SourceError as error:
            log.info("whether the stream is silent cannot be told: %s", error)
            return
        # What the venue had at the doubt before is nothing new, nor, before a frame, at the first.
        is_first = self._seen is None
        known = max(before, self._seen or ())
        self._seen = at_venue or self._seen or ()
        if self._source.sequence.newest != before:
            return
        self._source.went_backwards(at_venue)
        if at_venue <= known or (is_first and before == self._begun_with):
            return
        await asyncio.sleep(_GRACE_S)
        if self._source.sequence.newest == before:
            self._proved(at_venue)

    def _proved(self, at_venue: tuple[int, ...]) -> None:
        now_s = self._clock_s()
        self._silent_since_s = self._silent_since_s or now_s
        if now_s - self._silent_since_s > self._longest_silence_s:
            what = f"the stream is silent, and the venue has {at_venue[-1]} as its newest"
            raise SourceUnavailableError(what)
        log.warning("the stream is silent though the venue has something new")
        self._watch.heard(now_s)
        self._renew()
