"""What an access to the venue waits for, where it lasts so long that people wonder. Pure.

A wait is told with its end and is over then; only an answer that comes earlier is told too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadertask_worker.errors import SourceError
    from loadertask_worker.patience import Patience

OnWait = Callable[[str, float], None]
"""Told why nothing comes, and for how many seconds at most; see ``tasks.Reporter.waits``."""

_SHORT_S = 3.0


class Waits:
    """The waits of one access; shorter ones are nobody's business."""

    def __init__(self, on_wait: OnWait) -> None:
        self._on_wait = on_wait
        self._is_retrying = False

    def rest(self, why: object, wait_s: float) -> None:
        """Nothing is asked for ``wait_s`` seconds."""
        if wait_s >= _SHORT_S:
            self._on_wait(f"{why}; waiting", wait_s)

    def retry(self, error: SourceError, delay_s: float, patience: Patience) -> None:
        """It is asked again in ``delay_s`` seconds, and so on until the patience is over."""
        if patience.lost_s >= _SHORT_S:
            self._is_retrying = True
            self._on_wait(f"{error}; trying again", delay_s + patience.left_s)

    def answered(self) -> None:
        """An answer came: what is asked again will not take long either."""
        if self._is_retrying:
            self._is_retrying = False
            self._on_wait("", 0.0)


def untold(why: str, for_s: float) -> None:
    """For those who have nobody to tell."""
