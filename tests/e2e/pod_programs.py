"""The programs of pods as processes of this machine, to be killed as a crash would."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# Operator and worker are both `python -m loadertask_...`; the pause container is not.
_OURS = b"-m\0loadertask_"


def kill_program(pod: Mapping[str, Any]) -> None:
    """SIGKILL to the program of a pod; AssertionError where none runs on this machine."""
    killed = [pid for pid in _programs_of(pod["metadata"]["uid"]) if _kill(pid)]
    assert killed, f"no program of pod {pod['metadata']['name']} was found"


def _programs_of(pod_uid: str) -> list[int]:
    """Its processes as this machine counts: a pod's cgroup is named by its uid, here and only here.

    The driver for systemd writes the uid with underscores.
    """
    names = (pod_uid.encode(), pod_uid.replace("-", "_").encode())
    return [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if _OURS in _content(path)
        and any(name in _content(path.parent / "cgroup") for name in names)
    ]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
