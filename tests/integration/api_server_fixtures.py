"""A real API server for the session, with the CRD of LoaderTask in it; and kubectl and helm for it.

Every test takes a namespace of its own. Pods are never run here.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loadertask_devstack import toolchain
from loadertask_devstack.cluster.control_plane import control_plane
from loadertask_devstack.processes import wait_until
from loadertask_devstack.stack import cache_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
CRD = ROOT / "crds/loadertasks.yaml"
_COMMAND_TIMEOUT_S = 60
_DISCOVERY_TIMEOUT_S = 60


@dataclass(frozen=True)
class ApiServer:
    """A running API server in which LoaderTasks can be created."""

    kubeconfig: Path
    """Of somebody who may do everything."""
    kubectl_program: Path
    home: Path
    """Holds kubectl's caches, so that no other cluster's discovery is read."""

    def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        """What kubectl prints on both streams; with check, an AssertionError where it fails."""
        result = subprocess.run(
            [self.kubectl_program, "--kubeconfig", self.kubeconfig, *arguments],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_COMMAND_TIMEOUT_S,
            env=os.environ | {"HOME": str(self.home)},
        )
        assert not check or result.returncode == 0, result.stdout
        return result.stdout

    def knows_loadertasks(self) -> bool:
        """Whether discovery and OpenAPI have them, which follow "Established" by seconds."""
        # kubectl would keep for hours what it discovered too early.
        self.kubectl("api-resources", "--cached=false", check=False)
        return "symbol" in self.kubectl("explain", "lt.spec", check=False)


@pytest.fixture(scope="session")
def clients() -> dict[str, Path]:
    """The programs kubectl and helm, by name."""
    return dict(toolchain.ensure_programs(cache_directory(os.environ), [toolchain.CLIENTS]))


@pytest.fixture(scope="session")
def api_server(
    tmp_path_factory: pytest.TempPathFactory, clients: dict[str, Path]
) -> Iterator[ApiServer]:
    """The session's API server; the CRD is Established."""
    directory = tmp_path_factory.mktemp("api-server")
    with control_plane(directory) as plane:
        server = ApiServer(plane.kubeconfig, clients["kubectl"], directory)
        server.kubectl("apply", "--server-side", "-f", str(CRD))
        established = ("--for=condition=Established", "--timeout=50s")
        server.kubectl("wait", *established, "crd/loadertasks.streamforge.io")
        wait_until(server.knows_loadertasks, _DISCOVERY_TIMEOUT_S, "kubectl knows loadertasks")
        yield server


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    """A fresh namespace; the server forgets it with the session."""
    name = f"test-{secrets.token_hex(4)}"
    api_server.kubectl("create", "namespace", name)
    return name
