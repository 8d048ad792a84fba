"""kubectl and helm against one cluster, and the services by which pods reach this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from loadertask_devstack import toolchain
from loadertask_devstack.cluster import daemons
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.stack import cache_directory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadertask_devstack.cluster.model import Cluster

_TIMEOUT_S = 300.0


def kubectl(cluster: Cluster, *arguments: str, text: str | None = None) -> str:
    """What kubectl prints; `text` is its standard input. Raises DevstackError with its words."""
    return _run("kubectl", cluster, arguments, text)


def helm(cluster: Cluster, *arguments: str, text: str | None = None) -> str:
    """What helm prints; `text` is its standard input. Raises DevstackError with its words."""
    return _run("helm", cluster, arguments, text)


def apply(cluster: Cluster, objects: Sequence[Mapping[str, Any]]) -> None:
    """`kubectl apply` of these objects. Raises DevstackError."""
    items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    kubectl(cluster, "apply", "--filename=-", text=json.dumps(items))


def service(cluster: Cluster, namespace: str, name: str, port: int, target_port: int) -> None:
    """Let pods reach `target_port` of this machine as `name`.`namespace`:`port`."""
    apply(cluster, service_objects(cluster.host_address, namespace, name, port, target_port))


def service_objects(
    address: str, namespace: str, name: str, port: int, target_port: int
) -> list[dict[str, Any]]:
    """A namespace, a service without selector in it, and the one endpoint of that service."""
    metadata = {"name": name, "namespace": namespace}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"ports": [{"name": "tcp", "port": port, "targetPort": target_port}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                **metadata,
                "labels": {
                    "kubernetes.io/service-name": name,
                    "endpointslice.kubernetes.io/managed-by": "loadertask-devstack",
                },
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": [{"name": "tcp", "port": target_port, "protocol": "TCP"}],
        },
    ]


def client_program(name: str) -> str:
    """The path of kubectl or helm: the built one, else the machine's own, else it is built now."""
    cache = cache_directory(os.environ)
    if toolchain.missing_builds(cache, [toolchain.CLIENTS]) and (own := shutil.which(name)):
        return own
    return str(toolchain.ensure_programs(cache, [toolchain.CLIENTS])[name])


def _run(name: str, cluster: Cluster, arguments: Sequence[str], text: str | None) -> str:
    command = [client_program(name), f"--kubeconfig={cluster.kubeconfig}", *arguments]
    try:
        done = subprocess.run(
            command,
            env=_environment(cluster),
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise DevstackError(
            f"`{name} {' '.join(arguments)}` still runs after {_TIMEOUT_S:.0f} s",
            f"try it by hand: {' '.join(command)}",
        ) from error
    if done.returncode != 0:
        raise DevstackError(
            f"`{name} {' '.join(arguments)}` failed: {done.stderr.strip()}",
            f"try it by hand: {' '.join(command)}",
        )
    return done.stdout


def _environment(cluster: Cluster) -> dict[str, str]:
    """What the clients remember of a cluster goes when the cluster goes."""
    if cluster.provider == "existing":
        return dict(os.environ)
    memory = cluster.kubeconfig.parent / "clients"
    helm_homes = {f"HELM_{kind}_HOME": str(memory) for kind in ("CACHE", "CONFIG", "DATA")}
    return {**daemons.environment(os.environ), "KUBECACHEDIR": str(memory), **helm_homes}
