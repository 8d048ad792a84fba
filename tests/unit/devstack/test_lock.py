from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loadertask_devstack.lock import exclusive_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRY_LOCK = """
import fcntl, sys
try:
    fcntl.flock(open(sys.argv[1], "w"), fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("held")
else:
    print("free")
"""

HOLD_LOCK = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


def seen_by_another_process(path: Path) -> str:
    command = [sys.executable, "-c", TRY_LOCK, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_lock_is_held_for_the_block_only(tmp_path: Path) -> None:
    path = tmp_path / "not-yet-there" / "lock"
    with exclusive_lock(path):
        assert seen_by_another_process(path) == "held"
    assert seen_by_another_process(path) == "free"


def test_who_has_to_wait_tells_so(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    said: list[str] = []

    @contextmanager
    def waiting() -> Iterator[None]:
        said.append("waiting")
        holder.kill()
        yield

    with exclusive_lock(path, waiting()):
        assert said == []
    holder = subprocess.Popen([sys.executable, "-c", HOLD_LOCK, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with holder, exclusive_lock(path, waiting()):
        assert said == ["waiting"]
