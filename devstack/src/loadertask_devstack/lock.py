"""A lock between processes, so that two commands do not make the same thing at the same time."""

from __future__ import annotations

import fcntl
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def exclusive_lock(
    path: Path, waiting: AbstractContextManager[None] | None = None
) -> Iterator[None]:
    """Hold the lock file for the block; waits for its holder, and ends with the process.

    `waiting` is entered only where it has to wait, to tell so.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with waiting or nullcontext():
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
