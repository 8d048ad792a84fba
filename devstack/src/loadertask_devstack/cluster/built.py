"""The cluster that is built here from its Go modules and runs in namespaces of its own.

What lives on the host is one process, one end of a veth pair, a route, empty cgroup folders and
a directory; `stop` removes them, whatever state they are in.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from loadertask_devstack import prerequisites, processes, toolchain
from loadertask_devstack.cluster import clients, daemons, dns
from loadertask_devstack.cluster.api import is_ready
from loadertask_devstack.cluster.cgroups import cgroup_name, create_cgroups, remove_cgroups
from loadertask_devstack.cluster.credentials import create_credentials
from loadertask_devstack.cluster.inside import (
    credentials_of,
    import_command,
    kubernetes_directory,
)
from loadertask_devstack.cluster.model import Cluster
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.progress import Progress, elapsed
from loadertask_devstack.stack import cache_directory

if TYPE_CHECKING:
    from loadertask_devstack.processes import Process
    from loadertask_devstack.stack import Stack

_PROCESS = "kubernetes"
_READY_TIMEOUT_S = 120.0
_END_TIMEOUT_S = 30.0
_CABLE_TIMEOUT_S = 1.0
_LAST_METRIC = "4096"
_NAMESPACES = ("--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


def find(stack: Stack) -> Cluster | None:
    """The stack's running and complete cluster; None if there is none."""
    if processes.find(stack.directory, _PROCESS) is None or not _ready_mark(stack).exists():
        return None
    return _cluster(stack)


def prepare(cache: Path, progress: Progress) -> None:
    """Install the packages and build the programs it takes: minutes, once. DevstackError."""
    if os.geteuid() != 0:
        raise DevstackError(
            "a cluster in namespaces of its own needs root",
            "run this as root (sudo), or start a Docker daemon and install kind, or name a "
            "cluster of your own by DEVSTACK_KUBECONFIG",
        )
    needs = (prerequisites.CLUSTER, prerequisites.RUNC_BUILD)
    prerequisites.ensure_packages(*needs, progress=progress)
    toolchain.ensure_programs(cache, progress=progress)


def start(stack: Stack, progress: Progress) -> Cluster:
    """Bring it up, in about 10 s; programs not built yet are built first (minutes).

    Raises DevstackError; nothing is left running then, only the logs.
    """
    prepare(cache_directory(os.environ), progress)
    stop(stack)
    try:
        with elapsed(progress, "starting Kubernetes"):
            return _start(stack)
    except BaseException:
        _end(stack)
        raise


def stop(stack: Stack) -> None:
    """Remove every trace of it; harmless where there is none. Raises DevstackError."""
    if kubernetes_directory(stack).exists():  # made before all else, removed after it
        _end(stack)
        shutil.rmtree(kubernetes_directory(stack))


def _start(stack: Stack) -> Cluster:
    cache, address = cache_directory(os.environ), str(stack.node_address)
    url = f"https://{address}:{daemons.API_PORT}"
    kubernetes_directory(stack).mkdir(parents=True)
    create_credentials(kubernetes_directory(stack) / "credentials", url, address)
    create_cgroups(cgroup_name(stack.name))
    inside = [sys.executable, "-m", "loadertask_devstack.cluster.inside"]
    process = processes.start(
        stack.directory,
        _PROCESS,
        ["unshare", *_NAMESPACES, *inside, stack.name, str(stack.directory), str(cache)],
        environ=daemons.environment(os.environ),
    )
    _connect(stack, process)
    cluster = _cluster(stack)
    processes.wait_until(
        lambda: is_ready(cluster.kubeconfig),
        _READY_TIMEOUT_S,
        "the API is ready",
        process=process,
    )
    clients.apply(cluster, dns.dns_objects(address))
    processes.wait_until(
        lambda: _has_ready_node(cluster),
        _READY_TIMEOUT_S,
        "the node is ready",
        process=process,
    )
    processes.wait_until(
        lambda: _is_dns_ready(address),
        _READY_TIMEOUT_S,
        "DNS is ready",
        process=process,
    )
    _ready_mark(stack).touch()
    return cluster


def _cluster(stack: Stack) -> Cluster:
    return Cluster(
        provider="built",
        kubeconfig=credentials_of(stack).kubeconfig("admin"),
        host_address=str(stack.host_address),
        load_image=functools.partial(_load_image, stack),
    )


def _connect(stack: Stack, process: Process) -> None:
    """Give host and node the two ends of one cable."""
    processes.wait_until(
        lambda: _init_pid(process) is not None,
        _END_TIMEOUT_S,
        "its namespaces are there",
        process=process,
    )
    # Where the cable is gone, packets for the node must not leave by the machine's default route.
    _ip("route", "replace", "unreachable", str(stack.subnet), "metric", _LAST_METRIC)
    host, node = stack.host_interface, stack.node_interface
    peer = ("type", "veth", "peer", "name", node, "netns", str(_init_pid(process)))
    _ip("link", "add", host, *peer)
    _ip("address", "add", f"{stack.host_address}/{stack.subnet.prefixlen}", "dev", host)
    _ip("link", "set", host, "up")


def _init_pid(process: Process) -> int | None:
    """Pid 1 of the namespaces, as the host counts: the only child of unshare."""
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(children[0]) if children else None


def _load_image(stack: Stack, archive: Path) -> None:
    process = processes.find(stack.directory, _PROCESS)
    pid = None if process is None else _init_pid(process)
    if pid is None:
        raise DevstackError("the cluster does not run", "bring it up first")
    if (mark := _loaded_mark(stack, archive)).exists() and mark.read_text() == archive.name:
        return
    ctr = toolchain.ensure_programs(cache_directory(os.environ), [toolchain.CONTAINERD])["ctr"]
    enter = ["nsenter", f"--target={pid}", "--mount", "--net", "--pid"]
    with archive.open("rb") as content:
        done = subprocess.run(
            [*enter, *import_command(ctr)],
            stdin=content,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise DevstackError(
            f"the image {archive} was not taken: {done.stderr.strip()}",
            f"see {kubernetes_directory(stack)}/logs/containerd.log",
        )
    mark.parent.mkdir(exist_ok=True)
    mark.write_text(archive.name)


def _loaded_mark(stack: Stack, archive: Path) -> Path:
    """Says which archive (their names follow their content) was the last of this image."""
    image, _, _ = archive.stem.rpartition("-")
    return kubernetes_directory(stack) / "images" / (image or archive.stem)


def _end(stack: Stack) -> None:
    if process := processes.find(stack.directory, _PROCESS):
        process.kill()  # the kernel ends everything in its namespaces with it
    # The kernel removes the cable with the network namespace, which a dying connection of a pod
    # can hold for half a minute: it is not worth the wait.
    with contextlib.suppress(DevstackError):
        processes.wait_until(lambda: not _is_connected(stack), _CABLE_TIMEOUT_S, "the cable goes")
    if _is_connected(stack):
        _ip("link", "delete", stack.host_interface)
    _ip("route", "flush", "type", "unreachable", "exact", str(stack.subnet))
    remove_cgroups(cgroup_name(stack.name), _END_TIMEOUT_S)


def _ready_mark(stack: Stack) -> Path:
    return kubernetes_directory(stack) / "ready"


def _is_connected(stack: Stack) -> bool:
    return stack.host_interface in {name for _, name in socket.if_nameindex()}


def _has_ready_node(cluster: Cluster) -> bool:
    path = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
    return "True" in clients.kubectl(cluster, "get", "nodes", "-o", path)


def _is_dns_ready(address: str) -> bool:
    connection = http.client.HTTPConnection(address, dns.DNS_READY_PORT, timeout=2.0)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DevstackError(
            f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}",
            "look at `ip address`; DEVSTACK_NAME gives another stack with other interfaces",
        )
