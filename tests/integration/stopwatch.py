"""Takes the time of what is promised, without what a machine under test stands still for itself."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_TICK_S = 0.02
# Later than that is no matter of scheduling any more: everything here stood still.
_LATE_S = 0.1


class Stopwatch:
    """Runs for the block; a thread that does nothing else notices where the machine stood still."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)
        self._begun_s = self._last_s = self._ended_s = 0.0
        self.stood_still_s = 0.0
        """How long the machine did nothing at all, as far as it was noticed."""

    def __enter__(self) -> Self:
        self._begun_s = self._last_s = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended_s = time.monotonic()
        self._ended.set()
        self._thread.join()

    @property
    def took_s(self) -> float:
        """The seconds of the block, once it is over."""
        return self._ended_s - self._begun_s - self.stood_still_s

    def _tick(self) -> None:
        while not self._ended.wait(_TICK_S):
            self._count()
        self._count()

    def _count(self) -> None:
        now_s = time.monotonic()
        late_s = now_s - self._last_s - _TICK_S
        if late_s > _LATE_S:
            self.stood_still_s += late_s
        self._last_s = now_s
