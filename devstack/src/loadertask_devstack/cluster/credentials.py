"""The certificates and kubeconfigs of one cluster, all below one directory.

Names of users and groups are the ones that Kubernetes' own RBAC rules expect
(https://kubernetes.io/docs/reference/access-authn-authz/rbac/#core-component-roles).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loadertask_devstack.certificates import CertificateAuthority, CertificateFiles
from loadertask_devstack.cluster.kubeconfig import write_kubeconfig

NODE_NAME = "node"
API_SERVICE_ADDRESS = "10.96.0.1"
"""The first address of the services' range: `kubernetes.default`."""

_USERS = {
    "admin": ("admin", ("system:masters",)),
    "controller-manager": ("system:kube-controller-manager", ()),
    "scheduler": ("system:kube-scheduler", ()),
    "proxy": ("system:kube-proxy", ()),
    "dns": ("system:coredns", ()),
}
_API_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


@dataclass(frozen=True)
class Credentials:
    """Where `create_credentials` put what the parts of a cluster identify themselves with."""

    directory: Path

    @property
    def authority(self) -> Path:
        """The certificate of the CA that signed all others."""
        return self.directory / "ca.crt"

    def certificate(self, name: str) -> CertificateFiles:
        """The one of `api`, `kubelet`, `service-account` (signs their tokens) or a user."""
        return CertificateFiles(self.directory / f"{name}.crt", self.directory / f"{name}.key")

    def kubeconfig(self, name: str) -> Path:
        """The kubeconfig of `kubelet` or of a user."""
        return self.directory / f"{name}.kubeconfig"


def create_credentials(directory: Path, url: str, address: str) -> Credentials:
    """A new CA with all it has to sign for an API server at `url` on a node of that address."""
    authority = CertificateAuthority.create(directory)
    credentials = Credentials(directory)
    authority.issue(
        "api", "kube-apiserver", (), _API_NAMES, {"127.0.0.1", API_SERVICE_ADDRESS, address}
    )
    authority.issue("service-account", "service-account")
    authority.issue(
        "kubelet", f"system:node:{NODE_NAME}", ("system:nodes",), (NODE_NAME,), (address,)
    )
    for name, (user, groups) in _USERS.items():
        authority.issue(name, user, groups)
    for name in ("kubelet", *_USERS):
        write_kubeconfig(
            credentials.kubeconfig(name), url, credentials.authority, credentials.certificate(name)
        )
    return credentials
