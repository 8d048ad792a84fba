"""Pid 1 of a cluster's own namespaces: starts the daemons there, and ends when one of them does.

All that it makes (mounts, interfaces, packet filters, processes) is gone when it is gone.
Run as `python -m loadertask_devstack.cluster.inside NAME DIRECTORY CACHE` by `built`.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from loadertask_devstack import processes, toolchain
from loadertask_devstack.cluster import daemons, dns
from loadertask_devstack.cluster.api import is_ready
from loadertask_devstack.cluster.cgroups import cgroup_name
from loadertask_devstack.cluster.credentials import Credentials
from loadertask_devstack.cluster.static_image import write_image
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from loadertask_devstack.processes import Process

_TIMEOUT_S = 120.0
_RUNTIME_FILES = Path("/run")
_WRITTEN_BY_DAEMONS = (Path("/var/lib"), Path("/var/log"))
# On the disk, yet at a path that leaves room for the names of sockets and mount options below it.
_SHORT_PATHS = {"containerd": Path("/var/lib/containerd"), "kubelet": Path("/var/lib/kubelet")}
_CAP_SYS_RESOURCE = 24  # linux/capability.h


def main(name: str, directory: str, cache: str) -> int:
    """Start everything and watch over it; returns only when a daemon has ended."""
    stack = Stack(name, Path(directory))
    programs = toolchain.ensure_programs(Path(cache))
    try:
        _prepare_mounts(stack)
        _prepare_network(stack)
        started = _start_daemons(stack, programs)
    except DevstackError as error:
        print(error, flush=True)
        return 1
    return _watch(started)


def _prepare_mounts(stack: Stack) -> None:
    """Let daemons write where they insist to without the host seeing it: on a tmpfs."""
    _run("mount", "--make-rprivate", "/")
    _run("mount", "-t", "tmpfs", "tmpfs", str(_RUNTIME_FILES))
    kept = _RUNTIME_FILES / "stack"
    kept.mkdir()
    _run("mount", "--bind", str(stack.directory), str(kept))
    for path in _WRITTEN_BY_DAEMONS:
        upper, work = (_RUNTIME_FILES / "layers" / path.name / part for part in ("upper", "work"))
        upper.mkdir(parents=True)
        work.mkdir()
        layers = f"lowerdir={path},upperdir={upper},workdir={work}"
        _run("mount", "-t", "overlay", "overlay", "-o", layers, str(path))
    # The stack's own directory may be below one of those: it stays the real one.
    _run("mount", "--bind", str(kept), str(stack.directory))
    for name, path in _SHORT_PATHS.items():
        (kubernetes_directory(stack) / name).mkdir()
        path.mkdir(parents=True, exist_ok=True)
        _run("mount", "--bind", str(kubernetes_directory(stack) / name), str(path))
    # Pids are the namespace's: their records must not be read from outside.
    records = kubernetes_directory(stack) / "run"
    records.mkdir()
    _run("mount", "-t", "tmpfs", "tmpfs", str(records))


def _prepare_network(stack: Stack) -> None:
    processes.wait_until(
        lambda: _has_interface(stack.node_interface), _TIMEOUT_S, "the host brings the interface"
    )
    address = f"{stack.node_address}/{stack.subnet.prefixlen}"
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", address, "dev", stack.node_interface)
    _run("ip", "link", "set", stack.node_interface, "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def kubernetes_directory(stack: Stack) -> Path:
    """Where the cluster keeps all its state; renewed at each start."""
    return stack.directory / "kubernetes"


def credentials_of(stack: Stack) -> Credentials:
    """The credentials that `built` made for the cluster."""
    return Credentials(kubernetes_directory(stack) / "credentials")


def _start_daemons(stack: Stack, programs: Mapping[str, Path]) -> list[Process]:
    directory, credentials = kubernetes_directory(stack), credentials_of(stack)
    address = str(stack.node_address)
    started = []

    def start(name: str, command: Sequence[str]) -> Process:
        process = processes.start(directory, name, command)
        started.append(process)
        return process

    configs = _write_configs(stack, programs)
    etcd = start(
        "etcd",
        daemons.etcd(
            programs["etcd"], directory / "etcd", daemons.ETCD_PORT, daemons.ETCD_PEER_PORT
        ),
    )
    containerd = start(
        "containerd", daemons.containerd(programs["containerd"], configs / "containerd.toml")
    )
    processes.wait_until(
        lambda: _listens(daemons.ETCD_PORT), _TIMEOUT_S, "etcd listens", process=etcd
    )
    api = start(
        "kube-apiserver", daemons.node_apiserver(programs["kube-apiserver"], credentials, address)
    )
    _import_pause_image(directory, programs, containerd)
    processes.wait_until(
        lambda: is_ready(credentials.kubeconfig("admin")),
        _TIMEOUT_S,
        "the API is ready",
        process=api,
    )
    start(
        "kubelet",
        daemons.kubelet(
            programs["kubelet"],
            credentials,
            configs / "kubelet.json",
            _SHORT_PATHS["kubelet"],
            address,
        ),
    )
    start(
        "kube-controller-manager",
        daemons.controller_manager(
            programs["kube-controller-manager"], credentials, secure_port=10257
        ),
    )
    start("kube-scheduler", daemons.scheduler(programs["kube-scheduler"], credentials))
    start("kube-proxy", daemons.proxy(programs["kube-proxy"], credentials))
    start("coredns", dns.dns(programs["coredns"], configs / "Corefile"))
    return started


def _write_configs(stack: Stack, programs: Mapping[str, Path]) -> Path:
    directory, credentials = kubernetes_directory(stack), credentials_of(stack)
    address, configs = str(stack.node_address), directory / "configuration"
    network = configs / "network"
    network.mkdir(parents=True)
    (network / "10-pods.conflist").write_text(json.dumps(daemons.network_config(stack.bridge)))
    (configs / "Corefile").write_text(dns.dns_config(credentials))
    (configs / "containerd.toml").write_text(
        daemons.containerd_config(
            _SHORT_PATHS["containerd"],
            programs["runc"].parent,
            network,
            may_lower_oom_score=_has_capability(_CAP_SYS_RESOURCE),
        )
    )
    kubelet = daemons.kubelet_config(
        credentials, directory, cgroup=cgroup_name(stack.name), node_address=address
    )
    (configs / "kubelet.json").write_text(json.dumps(kubelet))
    return configs


def _import_pause_image(directory: Path, programs: Mapping[str, Path], containerd: Process) -> None:
    archive = directory / "pause.tar"
    write_image(programs["pause"], archive, daemons.PAUSE_IMAGE)
    processes.wait_until(
        daemons.CONTAINERD_SOCKET.exists, _TIMEOUT_S, "containerd listens", process=containerd
    )
    with archive.open("rb") as content:
        _run(*import_command(programs["ctr"]), stdin=content.fileno())


def import_command(ctr: Path) -> list[str]:
    """Reads a docker-archive from standard input, inside the cluster's namespaces."""
    socket_path = str(daemons.CONTAINERD_SOCKET)
    # --local: three times as fast here as the transfer service.
    importing = ("images", "import", "--local", "-")
    return [str(ctr), "--address", socket_path, "--namespace=k8s.io", *importing]


def _watch(started: Iterable[Process]) -> int:
    """Reap what the runtime leaves to pid 1, until one of the daemons is among it."""
    names = {process.pid: process.name for process in started}
    while True:
        pid, status = os.wait()
        if name := names.get(pid):
            print(f"{name} ended with {os.waitstatus_to_exitcode(status)}", flush=True)
            return 1


def _has_interface(name: str) -> bool:
    return name in {interface for _, interface in socket.if_nameindex()}


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _has_capability(number: int) -> bool:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(line.split()[1], 16) >> number & 1)


def _run(*command: str, stdin: int = subprocess.DEVNULL) -> None:
    done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DevstackError(
            f"`{' '.join(command)}` failed: {done.stderr.strip()}",
            "the cluster needs root's capabilities SYS_ADMIN and NET_ADMIN in this machine",
        )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
