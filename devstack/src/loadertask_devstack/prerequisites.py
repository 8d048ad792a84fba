"""Debian packages that the local system needs beside what is built, and how they get here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from loadertask_devstack.errors import DevstackError
from loadertask_devstack.progress import Progress, elapsed, silent

if TYPE_CHECKING:
    from collections.abc import Iterable

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TAIL_LINES = 15

RUNC_BUILD = {"gcc": "gcc", "pkg-config": "pkg-config", "/usr/include/seccomp.h": "libseccomp-dev"}
CLUSTER = {
    "unshare": "util-linux",
    "mount": "mount",
    "ip": "iproute2",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
IMAGES = {
    "unshare": "util-linux",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}
"""What is needed by program name or absolute path, and the Debian package that has it."""


def missing_packages(needs: Iterable[tuple[str, str]]) -> list[str]:
    """The packages of those programs and files that are not there, sorted."""
    return sorted({package for need, package in needs if not _is_there(need)})


def ensure_packages(*groups: dict[str, str], progress: Progress = silent) -> None:
    """Install what is missing. Raises DevstackError with the command where that takes root."""
    needs = [need for group in groups for need in group.items()]
    missing = missing_packages(needs)
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise DevstackError(
            f"missing on this machine: {', '.join(missing)}",
            f"install them: sudo apt-get update && sudo {' '.join(command)} (names of Debian and "
            "Ubuntu; other systems name them alike)",
        )
    with elapsed(progress, f"installing Debian packages: {', '.join(missing)}"):
        _run_apt(["apt-get", "update"])
        _run_apt(command)
    if still_missing := missing_packages(needs):
        raise DevstackError(
            f"installed, yet what they should bring is not there: {', '.join(still_missing)}",
            f"look for it: dpkg -L {' '.join(still_missing)}",
        )


def _is_there(need: str) -> bool:
    if need.startswith("/"):
        return Path(need).exists()
    return shutil.which(need, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}") is not None


def _run_apt(command: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, errors="replace"
    )
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-_TAIL_LINES:])
        raise DevstackError(
            f"`{' '.join(command)}` ended with {done.returncode}:\n{tail}",
            "the packages come from the machine's Debian mirror (/etc/apt/sources.list)",
        )
