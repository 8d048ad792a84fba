"""The command lines and configuration files of Kubernetes' daemons. Starts and writes nothing.

Ports are the usual ones where the daemon lives in the cluster's own network namespace.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadertask_devstack.cluster.credentials import NODE_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadertask_devstack.cluster.credentials import Credentials

API_PORT = 6443
ETCD_PORT = 2379
ETCD_PEER_PORT = 2380
SERVICE_RANGE = "10.96.0.0/16"
DNS_ADDRESS = "10.96.0.10"
POD_RANGE = "10.244.0.0/24"
PAUSE_IMAGE = "registry.k8s.io/pause:local"
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")
_LOOPBACK = "127.0.0.1"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """That of daemons and their clients: no proxy stands between them, whatever the machine has."""
    return {name: value for name, value in environ.items() if name.upper() not in _PROXIES}


def etcd(program: Path, data: Path, port: int, peer_port: int) -> list[str]:
    """The store, on loopback. It never waits for the disk: the cluster need not outlive it."""
    url, peer_url = f"http://{_LOOPBACK}:{port}", f"http://{_LOOPBACK}:{peer_port}"
    return [
        str(program),
        f"--data-dir={data}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def loopback_apiserver(
    program: Path, credentials: Credentials, *, api_port: int, etcd_port: int
) -> list[str]:
    """An API server that only this machine reaches, and that has no node."""
    return [
        *_apiserver(program, credentials, etcd_port),
        f"--bind-address={_LOOPBACK}",
        f"--advertise-address={_LOOPBACK}",
        f"--secure-port={api_port}",
        "--endpoint-reconciler-type=none",  # loopback is no valid endpoint
    ]


def node_apiserver(program: Path, credentials: Credentials, node_address: str) -> list[str]:
    """The API server of a cluster with one node, open to pods and to the host."""
    kubelet_client = credentials.certificate("admin")
    return [
        *_apiserver(program, credentials, ETCD_PORT),
        "--bind-address=0.0.0.0",
        f"--advertise-address={node_address}",
        f"--secure-port={API_PORT}",
        f"--kubelet-certificate-authority={credentials.authority}",
        f"--kubelet-client-certificate={kubelet_client.certificate}",
        f"--kubelet-client-key={kubelet_client.key}",
        "--kubelet-preferred-address-types=InternalIP",  # nobody resolves the node's name
    ]


def _apiserver(program: Path, credentials: Credentials, etcd_port: int) -> list[str]:
    server, tokens = credentials.certificate("api"), credentials.certificate("service-account")
    return [
        str(program),
        f"--etcd-servers=http://{_LOOPBACK}:{etcd_port}",
        f"--client-ca-file={credentials.authority}",
        f"--tls-cert-file={server.certificate}",
        f"--tls-private-key-file={server.key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={tokens.certificate}",
        f"--service-account-signing-key-file={tokens.key}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        "--profiling=false",
    ]


def controller_manager(program: Path, credentials: Credentials, *, secure_port: int) -> list[str]:
    """All controllers; a `secure_port` of 0 opens none."""
    kubeconfig = credentials.kubeconfig("controller-manager")
    return [
        str(program),
        f"--kubeconfig={kubeconfig}",
        f"--root-ca-file={credentials.authority}",
        f"--service-account-private-key-file={credentials.certificate('service-account').key}",
        "--use-service-account-credentials",
        f"--bind-address={_LOOPBACK}",
        f"--secure-port={secure_port}",
        "--leader-elect=false",
        "--profiling=false",
    ]


def scheduler(program: Path, credentials: Credentials) -> list[str]:
    """The scheduler."""
    kubeconfig = credentials.kubeconfig("scheduler")
    return [
        str(program),
        f"--kubeconfig={kubeconfig}",
        f"--bind-address={_LOOPBACK}",
        "--leader-elect=false",
        "--profiling=false",
    ]


def containerd(program: Path, config: Path) -> list[str]:
    """The container runtime."""
    return [str(program), "--config", str(config)]


def containerd_config(
    root: Path, runtimes: Path, network_config: Path, *, may_lower_oom_score: bool
) -> str:
    """The file for `containerd`; `runtimes` is the folder of runc.

    Without CAP_SYS_RESOURCE nobody may lower a process' OOM score, and every sandbox would fail
    with "can't get final child's PID from pipe: EOF".
    """
    restricted = "false" if may_lower_oom_score else "true"
    return f"""\
version = 3
root = '{root}'
state = '/run/containerd'
[grpc]
address = '{CONTAINERD_SOCKET}'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '{PAUSE_IMAGE}'
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = {restricted}
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['/usr/lib/cni']
conf_dir = '{network_config}'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = '{runtimes / "runc"}'
SystemdCgroup = false
"""


def network_config(bridge: str) -> dict[str, Any]:
    """The CNI configuration of the pods' network."""
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": bridge,
                "isGateway": True,
                "ipMasq": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": POD_RANGE}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet(
    program: Path, credentials: Credentials, config: Path, root: Path, node_address: str
) -> list[str]:
    """The node's agent."""
    return [
        str(program),
        f"--config={config}",
        f"--kubeconfig={credentials.kubeconfig('kubelet')}",
        f"--hostname-override={NODE_NAME}",
        f"--root-dir={root}",
        f"--node-ip={node_address}",  # there is no default route to guess it from
    ]


def kubelet_config(
    credentials: Credentials, directory: Path, *, cgroup: str, node_address: str
) -> dict[str, Any]:
    """The file for `kubelet`; `cgroup` is the folder below which all pods' cgroups go."""
    server = credentials.certificate("kubelet")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node_address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(credentials.authority)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(server.certificate),
        "tlsPrivateKeyFile": str(server.key),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": "",  # pods resolve the cluster's names and no others
        "podLogsDir": str(directory / "pods"),
        "volumePluginDir": str(directory / "volume-plugins"),
        "readOnlyPort": 0,
        "maxPods": 200,
        # A development machine's disk may be nearly full, and images come from an archive, once.
        "evictionHard": {"nodefs.available": "100Mi", "imagefs.available": "100Mi"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def proxy(program: Path, credentials: Credentials) -> list[str]:
    """Routes the services' addresses, by iptables of the cluster's own network namespace."""
    return [
        str(program),
        f"--kubeconfig={credentials.kubeconfig('proxy')}",
        f"--hostname-override={NODE_NAME}",
        "--proxy-mode=iptables",
        "--masquerade-all",  # else an answer between two pods of one bridge would pass by
        "--conntrack-max-per-core=0",  # the machine's limits stay as they are
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
        f"--metrics-bind-address={_LOOPBACK}:10249",
    ]
