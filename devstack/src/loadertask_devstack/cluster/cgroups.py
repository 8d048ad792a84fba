"""The folders of the kernel's cgroup hierarchies below which one stack's pods go."""

from __future__ import annotations

import os
import time
from pathlib import Path

from loadertask_devstack.errors import DevstackError

_POLL_S = 0.05


def cgroup_name(stack_name: str) -> str:
    """The name of the folder, right below the root of each hierarchy."""
    return f"devstack-{stack_name}"


def hierarchies(mounts: str) -> list[Path]:
    """Where cgroup hierarchies (v1 and v2) are mounted, out of the text of /proc/mounts."""
    fields = (line.split() for line in mounts.splitlines())
    return [Path(field[1]) for field in fields if field[2] in ("cgroup", "cgroup2")]


def create_cgroups(name: str) -> None:
    """Make the folders; the kubelet refuses a root that is not there."""
    for hierarchy in _mounted():
        (hierarchy / name).mkdir(exist_ok=True)


def remove_cgroups(name: str, timeout_s: float) -> None:
    """Remove the folders and all below, once their last process is gone; DevstackError if not."""
    deadline = time.monotonic() + timeout_s
    for root in (hierarchy / name for hierarchy in _mounted()):
        while not _is_removed(root):
            if time.monotonic() >= deadline:
                raise DevstackError(
                    f"the cgroup {root} still has processes after {timeout_s:.0f} s",
                    f"see which: find {root} -name cgroup.procs -exec cat {{}} +",
                )
            time.sleep(_POLL_S)


def _mounted() -> list[Path]:
    return hierarchies(Path("/proc/self/mounts").read_text())


def _is_removed(root: Path) -> bool:
    # Files of a cgroup go with their folder, so bottom-up rmdir is all it takes.
    for folder, _, _ in os.walk(root, topdown=False):
        try:
            Path(folder).rmdir()
        except FileNotFoundError:
            continue
        except OSError:  # EBUSY: a process is still dying in it
            return False
    return True
