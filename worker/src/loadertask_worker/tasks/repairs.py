"""One question to REST at a time, beside the stream; its failures do not end the stream at once.

A ban or an outage of REST delays what is missing. Only when REST has given nothing for an hour
beyond a ban, or refuses what is asked, the load ends: the cursor stands at the oldest hole.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from loadertask_worker.errors import (
    BannedError,
    ProtocolViolatedError,
    RejectedError,
    SourceError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadertask_worker.tasks import Reporter
    from loadertask_worker.tasks.live_source import Answer, LiveSource

log = logging.getLogger(__name__)

LONGEST_TROUBLE_S = 3_600.0
_PAUSE_S = 1.0
_IMPOSSIBLE_ANSWERS = 5


class Repairs:
    """Asks what the source wants; ``wake`` is set when an answer is there."""

    def __init__(
        self,
        source: LiveSource,
        wake: asyncio.Event,
        reporter: Reporter,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._wake, self._reporter = source, wake, reporter
        self._clock_s = clock_s
        self._asking: asyncio.Task[Answer] | None = None
        self._ask_from_s = 0.0
        self._trouble_until_s: float | None = None
        self._impossible = 0

    def ask(self, now_ms: int) -> None:
        """Ask REST, unless a question is under way."""
        if self._asking or self._clock_s() < self._ask_from_s:
            return
        if question := self._source.question(now_ms):
            self._asking = asyncio.create_task(question)
            self._asking.add_done_callback(lambda _: self._wake.set())

    def answer(self) -> Answer | None:
        """The answer, once there is one.

        Raises:
            SourceError: REST refuses, or has given nothing for too long.

        """
        if self._asking is None or not self._asking.done():
            return None
        asked, self._asking = self._asking, None
        try:
            answer = asked.result()
        except SourceError as error:
            self._bear(error)
            return None
        self._trouble_until_s, self._impossible = None, 0
        return answer

    async def close(self) -> None:
        """Ask no more."""
        if self._asking:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    def _bear(self, error: SourceError) -> None:
        """Go on without an answer for now, or raise what cannot be borne."""
        now_s = self._clock_s()
        self._ask_from_s = now_s + _PAUSE_S
        if isinstance(error, RejectedError):
            raise error
        if isinstance(error, ProtocolViolatedError):
            self._impossible += 1
            if self._impossible >= _IMPOSSIBLE_ANSWERS:
                raise error
        if self._trouble_until_s is None:
            self._trouble_until_s = now_s + LONGEST_TROUBLE_S
            self._reporter.tell(f"the stream goes on, what it lacks follows later: {error}")
        if isinstance(error, BannedError):
            left_s = (error.until - datetime.now(UTC)).total_seconds()
            self._trouble_until_s = max(self._trouble_until_s, now_s + left_s + LONGEST_TROUBLE_S)
        log.warning("REST does not fill what the stream lacks: %s", error)
        if now_s > self._trouble_until_s:
            raise error
