"""When the parts of the operator last went round, and which of them has stopped. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Part:
    limit_s: float
    beaten_at_s: float


class Vitals:
    """One pulse for each part that must go round for ever, whatever the world outside does."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._parts: dict[str, _Part] = {}

    def expect(self, name: str, limit_s: float) -> Callable[[], None]:
        """From now on ``name`` beats at least every ``limit_s``; what it has to call."""
        part = self._parts[name] = _Part(limit_s, self._clock_s())

        def beat() -> None:
            part.beaten_at_s = self._clock_s()

        return beat

    def dismiss(self, name: str) -> None:
        """It has done its work."""
        self._parts.pop(name, None)

    def problem(self) -> str | None:
        """The first part that has stopped."""
        now_s = self._clock_s()
        for name, part in self._parts.items():
            silent_s = now_s - part.beaten_at_s
            if silent_s > part.limit_s:
                return f"{name} has not gone round for {silent_s:.0f} s"
        return None
