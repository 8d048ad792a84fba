"""The API server for tests: it answers, it controls where asked to, and it dies with its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loadertask_devstack import toolchain
from loadertask_devstack.cluster.control_plane import control_plane
from loadertask_devstack.processes import wait_until
from loadertask_devstack.stack import cache_directory

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.integration

STARTS_ONE = """
import sys, time
from pathlib import Path
from loadertask_devstack.cluster.control_plane import control_plane
with control_plane(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    """Whatever takes minutes the first time is no part of a test's time."""
    programs = [toolchain.CONTROL_PLANE, toolchain.CLIENTS]
    toolchain.ensure_programs(cache_directory(os.environ), programs, progress=print)


def test_controllers_give_a_namespace_its_service_account(
    tmp_path: Path, clients: Mapping[str, Path]
) -> None:
    with control_plane(tmp_path, controllers=True) as plane:
        kubectl = [
            clients["kubectl"],
            f"--kubeconfig={plane.kubeconfig}",
            f"--cache-dir={tmp_path}",
        ]
        command = [*kubectl, "get", "serviceaccounts", "-n", "default", "-o", "json"]
        wait_until(
            lambda: bool(json.loads(subprocess.check_output(command))["items"]), 60, "an account"
        )
        assert processes_of(tmp_path)

    assert processes_of(tmp_path) == []


def test_nothing_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTS_ONE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        assert len(processes_of(tmp_path)) == 3  # the parent, etcd and the API server
        os.kill(parent.pid, signal.SIGKILL)

    wait_until(lambda: processes_of(tmp_path) == [], 60, "all processes are gone")


def processes_of(directory: Path) -> list[str]:
    """The command lines that name the directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:  # gone meanwhile
            continue
        if str(directory).encode() in line:
            found.append(line.decode())
    return found
