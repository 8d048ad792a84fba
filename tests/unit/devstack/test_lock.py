from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from loadertask_devstack.lock import exclusive_lock

if TYPE_CHECKING:
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


def seen_by_another_process(path: Path) -> str:
    command = [sys.executable, "-c", TRY_LOCK, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_lock_is_held_for_the_block_only(tmp_path: Path) -> None:
    path = tmp_path / "not-yet-there" / "lock"
    with exclusive_lock(path):
        assert seen_by_another_process(path) == "held"
    assert seen_by_another_process(path) == "free"
