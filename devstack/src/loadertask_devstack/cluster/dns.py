"""The cluster's DNS: CoreDNS as a process of the node, and the service by which pods find it.

Pure: starts and writes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadertask_devstack.cluster.daemons import DNS_ADDRESS

if TYPE_CHECKING:
    from pathlib import Path

    from loadertask_devstack.cluster.credentials import Credentials

DNS_READY_PORT = 8181


def dns(program: Path, config: Path) -> list[str]:
    """CoreDNS, as a process of the node."""
    return [str(program), "-conf", str(config)]


def dns_config(credentials: Credentials) -> str:
    """The Corefile: the cluster's names, and no other server to ask."""
    return f"""\
cluster.local:53 in-addr.arpa:53 {{
    errors
    ready :{DNS_READY_PORT}
    cache 5
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {credentials.kubeconfig("dns")}
        pods insecure
    }}
}}
"""


def dns_objects(node_address: str) -> list[dict[str, Any]]:
    """What CoreDNS may read, and the service by which pods reach it on the node."""
    role = {"name": "system:coredns"}
    metadata = {"name": "kube-dns", "namespace": "kube-system"}
    return [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": role,
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["endpoints", "services", "pods", "namespaces"],
                    "verbs": ["list", "watch"],
                },
                {
                    "apiGroups": ["discovery.k8s.io"],
                    "resources": ["endpointslices"],
                    "verbs": ["list", "watch"],
                },
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": role,
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": role["name"],
            },
            "subjects": [
                {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "User",
                    "name": role["name"],
                }
            ],
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**metadata, "labels": {"k8s-app": "kube-dns"}},
            "spec": {
                "clusterIP": DNS_ADDRESS,
                "ports": [
                    {"name": name, "port": 53, "protocol": protocol}
                    for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP"))
                ],
            },
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": "kube-dns"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [node_address], "conditions": {"ready": True}}],
            "ports": [
                {"name": name, "port": 53, "protocol": protocol}
                for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP"))
            ],
        },
    ]
