"""A cluster by kind (https://kind.sigs.k8s.io), where a Docker daemon answers and kind is there."""

from __future__ import annotations

import functools
import ipaddress
import json
import shutil
import subprocess
from typing import TYPE_CHECKING

from loadertask_devstack import docker
from loadertask_devstack.cluster.model import Cluster
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.progress import Progress, elapsed

if TYPE_CHECKING:
    from pathlib import Path

    from loadertask_devstack.stack import Stack

_READY_TIMEOUT = "180s"
_NETWORK = "kind"


def is_available() -> bool:
    """Whether kind is there, and the Docker daemon that it needs."""
    return shutil.which("kind") is not None and docker.answers()


def find(stack: Stack) -> Cluster | None:
    """The stack's running cluster; None if there is none."""
    if not _kubeconfig(stack).exists() or not is_available():
        return None
    return _cluster(stack) if stack.name in _kind("get", "clusters").split() else None


def start(stack: Stack, progress: Progress) -> Cluster:
    """Create it and wait for its node and its DNS, about a minute. Raises DevstackError."""
    kubeconfig = str(_kubeconfig(stack))
    stack.directory.mkdir(parents=True, exist_ok=True)
    with elapsed(progress, "creating a cluster by kind"):
        create = ("create", "cluster", f"--name={stack.name}", f"--kubeconfig={kubeconfig}")
        _kind(*create, f"--wait={_READY_TIMEOUT}")
        cluster = _cluster(stack)
        # Not by `clients`: kind has brought its own kubectl into the node.
        node = f"{stack.name}-control-plane"
        wait = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "rollout", "status")
        which = ("--namespace=kube-system", "deployment/coredns", f"--timeout={_READY_TIMEOUT}")
        _run("docker", "exec", node, *wait, *which)
    return cluster


def stop(stack: Stack) -> None:
    """Delete it; harmless where there is none. Raises DevstackError."""
    if _kubeconfig(stack).exists() and is_available():
        _kind("delete", "cluster", f"--name={stack.name}", f"--kubeconfig={_kubeconfig(stack)}")
    _kubeconfig(stack).unlink(missing_ok=True)


def gateway(inspected: str) -> str:
    """The host's IPv4 address in a network, out of `docker network inspect`; DevstackError."""
    for network in json.loads(inspected):
        for configuration in network["IPAM"]["Config"]:
            address = configuration.get("Gateway", "")
            if address and ipaddress.ip_address(address).version == 4:
                return str(address)
    raise DevstackError(
        f"Docker's network {_NETWORK} has no IPv4 gateway",
        f"look at `docker network inspect {_NETWORK}`; delete it and kind makes a new one",
    )


def _cluster(stack: Stack) -> Cluster:
    address = gateway(_run("docker", "network", "inspect", _NETWORK))
    return Cluster("kind", _kubeconfig(stack), address, functools.partial(_load_image, stack.name))


def _load_image(name: str, archive: Path) -> None:
    _kind("load", "image-archive", str(archive), f"--name={name}")


def _kubeconfig(stack: Stack) -> Path:
    return stack.directory / "kind.kubeconfig"


def _kind(*arguments: str) -> str:
    return _run("kind", *arguments)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DevstackError(
            f"`{' '.join(command)}` failed: {done.stderr.strip()}",
            "try it by hand; or stop the Docker daemon, and a cluster is built here instead",
        )
    return done.stdout
