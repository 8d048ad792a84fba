"""The cluster that is built here: pods run, and nothing is left, whichever way it ends."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from loadertask_devstack import processes, toolchain
from loadertask_devstack.cluster import built, cgroups, clients
from loadertask_devstack.cluster.static_image import write_image
from loadertask_devstack.processes import wait_until
from loadertask_devstack.progress import silent
from loadertask_devstack.stack import Stack, cache_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadertask_devstack.cluster import Cluster

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces of their own need root"),
]

IMAGE = "docker.io/library/kubectl:test"
"""A static program that makes requests from inside a pod."""


class Greeting(BaseHTTPRequestHandler):
    """Answers every GET in the same way."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello from the host")

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


def new_stack(directory: Path) -> Stack:
    return Stack(f"lt-{secrets.token_hex(3)}", directory)


@pytest.fixture(scope="module", autouse=True)
def _prepared() -> None:
    """Whatever takes minutes the first time is no part of a test's time."""
    built.prepare(cache_directory(os.environ), print)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The stack of the tests that only look."""
    return new_stack(tmp_path_factory.mktemp("cluster"))


@pytest.fixture(scope="module")
def cluster(stack: Stack) -> Iterator[Cluster]:
    """Its cluster, with the image in it."""
    try:
        running = built.start(stack, silent)
        load_image(running, stack.directory)
        yield running
    finally:
        built.stop(stack)


def test_pods_reach_the_api_and_by_a_dns_name_this_machine(cluster: Cluster) -> None:
    with HTTPServer((cluster.host_address, 0), Greeting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        clients.service(cluster, "outside", "web", 80, server.server_port)
        version = finished_job(cluster, "api", "get", "--raw=/version")
        # Without a token kubectl asks for a name and a password.
        other = ("--server=http://web.outside", "--token=none")
        answer = finished_job(cluster, "web", "get", "--raw=/", *other)
        server.shutdown()

    assert '"gitVersion": "v1.36.3"' in version
    assert answer == "hello from the host"


def test_a_pod_that_fails_keeps_its_exit_code(cluster: Cluster) -> None:
    clients.apply(cluster, [job("failing", "get", "--raw=/", "--server=http://127.0.0.1:1")])
    clients.kubectl(cluster, "wait", "job/failing", "--for=condition=Failed", "--timeout=60s")

    code = "jsonpath={.items[0].status.containerStatuses[0].state.terminated.exitCode}"
    assert clients.kubectl(cluster, "get", "pods", "-l=job-name=failing", "-o", code) == "1"


def test_a_cluster_that_runs_is_found_and_an_image_is_loaded_once(
    cluster: Cluster, stack: Stack
) -> None:
    found = built.find(stack)

    assert found is not None
    assert found.kubeconfig == cluster.kubeconfig
    archive = stack.directory / "kubectl-test.tar"
    archive.unlink()
    found.load_image(archive)  # nothing is read: the cluster has it


def test_after_a_kill_nothing_runs_and_stop_removes_the_rest(tmp_path: Path) -> None:
    stack = new_stack(tmp_path)
    try:
        cluster = built.start(stack, silent)
        load_image(cluster, stack.directory)
        clients.apply(cluster, [job("waiting", "proxy", "--port=8001")])
        ready = ("wait", "pod", "-l=job-name=waiting", "--for=condition=Ready", "--timeout=60s")
        wait_until(lambda: "waiting" in clients.kubectl(cluster, "get", "pods"), 60, "a pod")
        clients.kubectl(cluster, *ready)
        assert pids_of(stack)
        outer = processes.find(stack.directory, "kubernetes")
        assert outer is not None
        os.kill(outer.pid, signal.SIGKILL)

        wait_until(lambda: not pids_of(stack), 60, "all processes are gone")
        wait_until(lambda: stack.host_interface not in interfaces(), 60, "the cable is gone")
        assert f"unreachable {stack.subnet}" in routes()  # no packet leaves the machine instead
        assert str(stack.directory) not in Path("/proc/self/mountinfo").read_text()
        assert built.find(stack) is None
    finally:
        built.stop(stack)

    assert cgroup_folders(stack) == []
    assert str(stack.subnet) not in routes()
    assert not (stack.directory / "kubernetes").exists()
    built.stop(stack)  # twice is harmless


def test_a_stop_leaves_no_trace(tmp_path: Path) -> None:
    stack = new_stack(tmp_path)
    mounts = Path("/proc/self/mountinfo").read_text()
    try:
        built.start(stack, silent)
        assert Path("/proc/self/mountinfo").read_text() == mounts
    finally:
        built.stop(stack)

    assert pids_of(stack) == []
    assert stack.host_interface not in interfaces()
    assert str(stack.subnet) not in routes()
    assert cgroup_folders(stack) == []


def load_image(cluster: Cluster, directory: Path) -> None:
    program = toolchain.ensure_programs(cache_directory(os.environ), [toolchain.CLIENTS])["kubectl"]
    archive = directory / "kubectl-test.tar"
    write_image(program, archive, IMAGE)
    cluster.load_image(archive)


def job(name: str, *arguments: str) -> dict[str, Any]:
    container = {
        "name": "kubectl",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": ["--cache-dir=/tmp", *arguments],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {"restartPolicy": "Never", "securityContext": security, "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def finished_job(cluster: Cluster, name: str, *arguments: str) -> str:
    """What the only pod of a new Job printed, once the Job is complete."""
    clients.apply(cluster, [job(name, *arguments)])
    ended = "jsonpath={.status.conditions[?(@.status=='True')].type}"
    wait_until(
        lambda: clients.kubectl(cluster, "get", f"job/{name}", "-o", ended) != "",
        60,
        f"Job {name} ends",
    )
    logs = clients.kubectl(cluster, "logs", f"job/{name}")
    assert "Complete" in clients.kubectl(cluster, "get", f"job/{name}", "-o", ended), logs
    return logs


def interfaces() -> set[str]:
    return {name for _, name in socket.if_nameindex()}


def routes() -> str:
    return subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout


def cgroup_folders(stack: Stack) -> list[Path]:
    name = cgroups.cgroup_name(stack.name)
    roots = cgroups.hierarchies(Path("/proc/self/mounts").read_text())
    return [root / name for root in roots if (root / name).exists()]


def pids_of(stack: Stack) -> list[int]:
    """Processes of the stack's daemons (by their command line) and pods (by their cgroup)."""
    marks = (str(stack.directory).encode(), cgroups.cgroup_name(stack.name).encode())
    return [
        int(path.name)
        for path in Path("/proc").glob("[0-9]*")
        if any(mark in _content(path / "cmdline") + _content(path / "cgroup") for mark in marks)
    ]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # gone meanwhile
        return b""
