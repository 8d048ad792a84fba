"""How long steps tell a person that they go on.

A progress is a function that takes one line of text; where the line ends up is its own business.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

Progress = Callable[[str], None]

_INTERVAL_S = 10.0


def silent(_text: str) -> None:
    """The progress of callers that want none."""


@contextlib.contextmanager
def elapsed(
    progress: Progress, what: str, state: Callable[[], str] = str, interval_s: float = _INTERVAL_S
) -> Iterator[None]:
    """Say `what` at once, then with the elapsed time and `state()` at each interval, then the end.

    The end is said only where it took an interval or longer, and nothing after an exception.
    """
    began = time.monotonic()
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(interval_s):
            progress(_line(what, time.monotonic() - began, state()))

    progress(what)
    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()
    if (duration_s := time.monotonic() - began) >= interval_s:
        progress(_line(what, duration_s, "done"))


def _line(what: str, duration_s: float, state: str) -> str:
    minutes, seconds = divmod(int(duration_s), 60)
    time_text = f"{minutes}:{seconds:02d} min" if minutes else f"{seconds} s"
    return f"{what}: {time_text}{', ' if state else ''}{state}"
