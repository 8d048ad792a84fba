"""What is installed into a local cluster: the operator by its chart, Secrets for its workers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from loadertask_devstack import images, processes
from loadertask_devstack.cluster import clients
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.kafka.configuration import POD_BOOTSTRAP
from loadertask_devstack.local_manifest import CA_SECRET, CREDENTIALS_SECRET
from loadertask_devstack.stack import CHECKOUT

if TYPE_CHECKING:
    from loadertask_devstack.cluster import Cluster
    from loadertask_devstack.kafka import Kafka

OPERATOR_NAMESPACE = "streamforge"
RELEASE = "loadertask-operator"
_VENUE = "binance-replay.venue:8080"
VENUE_URL = f"http://{_VENUE}"
VENUE_STREAMS_URL = f"ws://{_VENUE}/ws"
_DISCOVERY_TIMEOUT_S = 30.0
_OPERATOR_SECRET = "kafka-operator"  # noqa: S105 - the name of a Secret


def open_namespace(cluster: Cluster, kafka: Kafka, namespace: str) -> None:
    """A namespace in which tasks can run: it has the Secrets that their workers refer to."""
    credentials = _credentials(kafka, namespace, CREDENTIALS_SECRET, "loader")
    clients.apply(cluster, [_namespace(namespace), credentials, _certificate(kafka, namespace)])


def install_operator(cluster: Cluster, kafka: Kafka) -> None:
    """Install or upgrade the chart, with the values that fit the local Kafka and venue."""
    credentials = _credentials(kafka, OPERATOR_NAMESPACE, _OPERATOR_SECRET, "operator")
    certificate = _certificate(kafka, OPERATOR_NAMESPACE)
    clients.apply(cluster, [_namespace(OPERATOR_NAMESPACE), credentials, certificate])
    clients.helm(
        cluster,
        *("upgrade", RELEASE, str(CHECKOUT / "charts" / "loadertask-operator"), "--install"),
        *("--namespace", OPERATOR_NAMESPACE, "--wait", "--timeout", "120s", "--values", "-"),
        text=json.dumps(_chart_values()),
    )
    # Helm installs a CRD but never upgrades it: this is what the chart tells its users to do.
    crd = str(CHECKOUT / "crds" / "loadertasks.yaml")
    clients.kubectl(cluster, "apply", "--server-side", "--force-conflicts", "--filename", crd)
    processes.wait_until(lambda: _is_served(cluster), _DISCOVERY_TIMEOUT_S, "the API of LoaderTask")


def restart_operator(cluster: Cluster) -> None:
    """Let the operator run the image that was loaded last: its tag stays the same."""
    operator = (f"deployment/{RELEASE}", f"--namespace={OPERATOR_NAMESPACE}")
    clients.kubectl(cluster, "rollout", "restart", *operator)
    clients.kubectl(cluster, "rollout", "status", *operator, "--timeout=120s")


def _is_served(cluster: Cluster) -> bool:
    """Discovery follows the CRD by seconds, and kubectl remembers what it looked up too early."""
    try:
        clients.kubectl(cluster, "explain", "loadertask.spec")
    except DevstackError:
        return False
    return True


def _chart_values() -> dict[str, Any]:
    certificate = {"name": CA_SECRET}
    return {
        "image": {"tag": "dev", "pullPolicy": "IfNotPresent"},
        "kafka": {
            "bootstrapServers": POD_BOOTSTRAP,
            "credentialsSecret": {"name": _OPERATOR_SECRET},
            "caSecret": certificate,
        },
        "worker": {
            "image": images.WORKER.name,
            "kafka": {"credentialsSecret": {"name": CREDENTIALS_SECRET}, "caSecret": certificate},
            "binance": {
                "apiUrl": VENUE_URL,
                "archiveUrl": VENUE_URL,
                "wsUrl": VENUE_STREAMS_URL,
            },
        },
        "statusWriteSeconds": 1,
    }


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _credentials(kafka: Kafka, namespace: str, name: str, user: str) -> dict[str, Any]:
    return _secret(namespace, name, {"user": user, "password": kafka.password(user)})


def _certificate(kafka: Kafka, namespace: str) -> dict[str, Any]:
    return _secret(namespace, CA_SECRET, {"ca.crt": kafka.ca_path.read_text()})


def _secret(namespace: str, name: str, content: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": namespace, "name": name},
        "stringData": content,
    }
