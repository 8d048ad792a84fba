"""Says that Kafka acknowledges nothing, long before the patience ends, and that it does again."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

# A broker's restart with a new leader for every partition takes less.
_STALLED_S = 3.0


class StallWatch:
    """Watches what is under way to ``brokers``; a word at the beginning, a word at the end.

    A transaction's commit can wait as long as a batch: of a topic that was deleted between the two,
    brokers end no transaction.
    """

    def __init__(self, brokers: str, patience_s: float) -> None:
        self._brokers, self._patience_s = brokers, patience_s
        self._under_way = 0
        self._since_s = 0.0
        self._is_told = False
        self._look: asyncio.TimerHandle | None = None

    def sent(self) -> None:
        """A batch, or a commit, is on its way."""
        if not self._under_way:
            self._since_s = time.monotonic()
        self._under_way += 1
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(_STALLED_S, self._looked)

    def acknowledged(self) -> None:
        """It is in the topic."""
        self._under_way -= 1
        if self._is_told:
            log.warning("Kafka acknowledges again, after %.1f s", self._age_s)
            self._is_told = False
        self._since_s = time.monotonic()

    def failed(self) -> None:
        """It was refused or lost, which is told elsewhere."""
        self._under_way -= 1

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Watch a block that waits for Kafka."""
        self.sent()
        try:
            yield
        except BaseException:
            self.failed()
            raise
        self.acknowledged()

    def close(self) -> None:
        """Look no more."""
        if self._look:
            self._look.cancel()

    @property
    def _age_s(self) -> float:
        return time.monotonic() - self._since_s

    def _looked(self) -> None:
        self._look = None
        if not self._under_way or self._is_told:
            return
        if (left_s := _STALLED_S - self._age_s) > 0:
            self._look = asyncio.get_running_loop().call_later(left_s, self._looked)
            return
        self._is_told = True
        log.warning(
            "Kafka (%s) has acknowledged nothing for %.1f s; it has %g s in all",
            self._brokers, self._age_s, self._patience_s,
        )  # fmt: skip
