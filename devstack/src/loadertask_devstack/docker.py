"""What devstack asks of a Docker daemon, where one answers: to build images and archive them."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from loadertask_devstack.errors import DevstackError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ANSWER_TIMEOUT_S = 10.0
_TAIL_LINES = 25
_INDEX_SETTINGS = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
"""How this machine reaches a package index: handed to the build, by name, never kept."""


def answers() -> bool:
    """Whether there is a Docker client and a daemon behind it."""
    if shutil.which("docker") is None:
        return False
    try:
        command = ["docker", "info", "--format", "{{.ServerVersion}}"]
        done = subprocess.run(command, capture_output=True, check=False, timeout=_ANSWER_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def build(context: Path, dockerfile: str, name: str, archive: Path) -> None:
    """Build an image and write it as a docker-archive. Raises DevstackError."""
    path = str(context / dockerfile)
    arguments = build_arguments(os.environ)
    run_build(["docker", "build", *arguments, "--file", path, "--tag", name, str(context)])
    run_build(["docker", "save", "--output", str(archive), name])


def build_arguments(
    environ: Mapping[str, str], names: tuple[str, ...] = _INDEX_SETTINGS
) -> list[str]:
    """The settings that are there, as build arguments; ARG in the Dockerfile takes them."""
    return [
        part
        for name in names
        if (value := environ.get(name))
        for part in ("--build-arg", f"{name}={value}")
    ]


def run_build(command: list[str]) -> None:
    """Run a command that builds or stores an image; raises DevstackError with its last words."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-_TAIL_LINES:])
        raise DevstackError(
            f"`{' '.join(command)}` ended with {done.returncode}:\n{tail}",
            "where the package index is not reached: set PIP_INDEX_URL, PIP_CERT or HTTPS_PROXY",
        )
