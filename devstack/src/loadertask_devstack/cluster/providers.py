"""Decides where a stack's cluster comes from: one that exists, kind, or built and run here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from loadertask_devstack import toolchain
from loadertask_devstack.cluster import built, existing, kind
from loadertask_devstack.lock import exclusive_lock
from loadertask_devstack.progress import Progress, elapsed, silent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from loadertask_devstack.cluster.model import Cluster, Provider
    from loadertask_devstack.stack import Stack


def start(stack: Stack, *, progress: Progress = silent) -> Cluster:
    """The stack's cluster, with DNS; brought up where it does not run yet. Raises DevstackError."""
    waiting = elapsed(progress, f"another command starts or stops {stack.name}: waiting for it")
    with exclusive_lock(stack.directory / "cluster.lock", waiting):
        return find(stack) or _start(stack, progress)


def _start(stack: Stack, progress: Progress) -> Cluster:
    provider = chosen_provider(os.environ)
    if provider == "existing":
        return existing.connect(os.environ)
    if provider == "kind":
        return kind.start(stack, progress)
    return built.start(stack, progress)


def find(stack: Stack) -> Cluster | None:
    """The stack's cluster if it runs; None if not. Raises DevstackError for bad settings."""
    if existing.is_configured(os.environ):
        return existing.connect(os.environ)
    return built.find(stack) or kind.find(stack)


def stop(stack: Stack) -> None:
    """Remove every trace of the stack's cluster; one that existed before is left alone."""
    with exclusive_lock(stack.directory / "cluster.lock"):
        built.stop(stack)
        kind.stop(stack)


def prepare(cache: Path, progress: Progress = silent) -> None:
    """Build what `start` will need, where it needs something built. Raises DevstackError."""
    if chosen_provider(os.environ) == "built":
        built.prepare(cache, progress)
    else:
        toolchain.ensure_programs(cache, [toolchain.CLIENTS], progress=progress)


def chosen_provider(environ: Mapping[str, str]) -> Provider:
    """Where a new cluster would come from."""
    if existing.is_configured(environ):
        return "existing"
    return "kind" if kind.is_available() else "built"
