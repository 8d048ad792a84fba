"""etcd and API server (and, if wanted, the controllers) alone on loopback, for tests of the API.

Pods are never run here. Nothing of it outlives the process that started it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadertask_devstack import processes, toolchain
from loadertask_devstack.cluster import daemons
from loadertask_devstack.cluster.api import is_ready
from loadertask_devstack.cluster.credentials import create_credentials
from loadertask_devstack.progress import Progress, silent
from loadertask_devstack.stack import cache_directory, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from loadertask_devstack.processes import Process

_LOOPBACK = "127.0.0.1"
_ETCD_TIMEOUT_S = 30.0
_READY_TIMEOUT_S = 60.0
_DIES_WITH_ITS_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")


@dataclass(frozen=True)
class ControlPlane:
    """A running API server."""

    url: str
    kubeconfig: Path
    """Of a member of system:masters, who may do everything."""
    directory: Path
    """Holds `logs/`."""


@contextlib.contextmanager
def control_plane(
    directory: Path, *, controllers: bool = False, progress: Progress = silent
) -> Iterator[ControlPlane]:
    """An API server of one's own, on free ports, with its state in `directory`; about 4 s.

    Without controllers nothing is garbage-collected, no namespace ends its deletion, and no
    namespace gets a service account. Programs not built yet are built first (minutes). To be
    entered in a thread that lives as long as it. Raises DevstackError with the end of a log.
    """
    programs = toolchain.ensure_programs(
        cache_directory(os.environ), [toolchain.CONTROL_PLANE], progress=progress
    )
    etcd_port, peer_port, api_port = free_port(), free_port(), free_port()
    url = f"https://{_LOOPBACK}:{api_port}"
    credentials = create_credentials(directory / "credentials", url, _LOOPBACK)
    with contextlib.ExitStack() as running:
        etcd = _start(
            running,
            directory,
            "etcd",
            daemons.etcd(programs["etcd"], directory / "etcd", etcd_port, peer_port),
        )
        processes.wait_until(
            lambda: _listens(etcd_port), _ETCD_TIMEOUT_S, "etcd listens", process=etcd
        )
        api = _start(
            running,
            directory,
            "kube-apiserver",
            daemons.loopback_apiserver(
                programs["kube-apiserver"], credentials, api_port=api_port, etcd_port=etcd_port
            ),
        )
        kubeconfig = credentials.kubeconfig("admin")
        processes.wait_until(
            lambda: is_ready(kubeconfig), _READY_TIMEOUT_S, "the API is ready", process=api
        )
        if controllers:
            _start(
                running,
                directory,
                "kube-controller-manager",
                daemons.controller_manager(
                    programs["kube-controller-manager"], credentials, secure_port=0
                ),
            )
        yield ControlPlane(url, kubeconfig, directory)


def _start(
    running: contextlib.ExitStack, directory: Path, name: str, command: Sequence[str]
) -> Process:
    environment = daemons.environment(os.environ)
    process = processes.start(
        directory, name, [*_DIES_WITH_ITS_PARENT, *command], environ=environment
    )
    running.callback(process.kill)
    return process


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((_LOOPBACK, port)) == 0
