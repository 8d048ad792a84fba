"""A cluster as the rest of devstack sees it, wherever it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Provider = Literal["built", "kind", "existing"]


@dataclass(frozen=True)
class Cluster:
    """A running Kubernetes cluster with DNS."""

    provider: Provider
    kubeconfig: Path
    """Of somebody who may do everything."""
    host_address: str
    """Where pods reach processes of this machine."""
    load_image: Callable[[Path], None]
    """Makes the image in a docker-archive known to the nodes; raises DevstackError."""
