"""The chart: a real API server accepts what it renders, and it refuses values it cannot use."""

from __future__ import annotations

import json
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.integration.api_server_fixtures import CRD, ROOT, ApiServer

from loadertask_operator.configuration import Configuration

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

CHART = ROOT / "charts/loadertask-operator"
# A helm built from its module does not know which Kubernetes it was made for.
RENDER = ("template", "loadertask-operator", str(CHART), "--kube-version", "1.36.0")
EVERYTHING: dict[str, Any] = {
    "image": {"tag": "dev", "pullPolicy": "Never"},
    "replicas": 2,
    "imagePullSecrets": ["registry"],
    "kafka": {
        "bootstrapServers": "a:9093,b:9093",
        "securityProtocol": "SASL_SSL",
        "credentialsSecret": {"name": "kafka-operator", "userKey": "u", "passwordKey": "p"},
        "caSecret": {"name": "kafka-ca", "key": "root.pem"},
        "controlTopic": "control",
        "eventsTopic": "events",
        "groupId": "group",
    },
    "worker": {
        "image": "worker:dev",
        "kafka": {
            "bootstrapServers": "c:9093",
            "credentialsSecret": {"name": "kafka-loader", "userKey": "wu", "passwordKey": "wp"},
            "caSecret": {"name": "worker-ca", "key": "worker.pem"},
        },
        "binance": {
            "apiUrl": "http://replay:8080",
            "wsUrl": "ws://replay:8080/ws",
            "archiveUrl": "http://replay:8080",
            "credentialsSecret": "binance",
        },
    },
    "graceSeconds": 1.5,
    "resyncSeconds": 2,
    "statusWriteSeconds": 0,
    "log": {"level": "debug", "format": "text"},
}


def helm(clients: dict[str, Path], *arguments: str, values: Any = None) -> tuple[int, str, str]:
    """Return code and both streams."""
    result = subprocess.run(
        [clients["helm"], *arguments, *(() if values is None else ("--values", "-"))],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return result.returncode, result.stdout, result.stderr


def rendered(
    clients: dict[str, Path], namespace: str, values: Any = None
) -> dict[str, list[dict[str, Any]]]:
    """The objects of the chart by kind."""
    code, text, errors = helm(clients, *RENDER, "--namespace", namespace, values=values)
    assert code == 0, errors
    objects: dict[str, list[dict[str, Any]]] = {}
    for one in filter(None, yaml.safe_load_all(text)):
        objects.setdefault(one["kind"], []).append(one)
    return objects


def environment(objects: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The variables of the operator's container: a text, or where the value comes from."""
    (deployment,) = objects["Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def rights(rules: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Pairs of resource and verb."""
    return {
        (resource, verb)
        for rule in rules
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_helm_finds_nothing_to_complain_about(clients: dict[str, Path]) -> None:
    code, text, errors = helm(clients, "lint", "--strict", str(CHART))
    assert code == 0, text + errors


def test_the_package_holds_the_one_crd(clients: dict[str, Path], tmp_path: Path) -> None:
    code, _, errors = helm(clients, "package", str(CHART), "--destination", str(tmp_path))
    assert code == 0, errors
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as archive:
        packed = archive.extractfile("loadertask-operator/crds/loadertasks.yaml")
        assert packed is not None
        assert packed.read() == CRD.read_bytes()


@pytest.mark.parametrize("values", [None, EVERYTHING, EVERYTHING | {"watchNamespaces": ["@"]}])
def test_the_api_server_accepts_every_object(
    clients: dict[str, Path], api_server: ApiServer, namespace: str, values: dict[str, Any] | None
) -> None:
    if values and "watchNamespaces" in values:
        values = values | {"watchNamespaces": [namespace]}
    objects = rendered(clients, namespace, values)
    items = [one for kind in objects.values() for one in kind]
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    arguments = ("apply", "--dry-run=server", "--validate=strict", "-f", "-")
    printed = api_server.kubectl(*arguments, stdin=manifest)
    assert printed.count("(server dry run)") == len(items)


def test_it_installs_and_tells_what_to_do_next(
    clients: dict[str, Path], api_server: ApiServer, namespace: str
) -> None:
    server = ("--kubeconfig", str(api_server.kubeconfig), "--namespace", namespace)
    code, text, errors = helm(clients, "install", "lo", str(CHART), *server, values=EVERYTHING)
    assert code == 0, errors
    assert "kubectl get lt -w" in text
    assert "needs the Secret kafka-loader (keys wu, wp)" in text
    assert "helm show crds" in text
    code, _, errors = helm(clients, "uninstall", "lo", *server)
    assert code == 0, errors
    assert "loadertasks" in api_server.kubectl("get", "crd", "-o", "name")


def test_every_value_reaches_the_operator(clients: dict[str, Path]) -> None:
    variables = environment(rendered(clients, "ns", EVERYTHING | {"watchNamespaces": ["a", "b"]}))
    sources = {name: value for name, value in variables.items() if isinstance(value, dict)}
    assert sources == {
        "POD_NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
        "POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
        "KAFKA_USER": {"secretKeyRef": {"name": "kafka-operator", "key": "u"}},
        "KAFKA_PASSWORD": {"secretKeyRef": {"name": "kafka-operator", "key": "p"}},
    }
    assert {name: variables[name] for name in variables.keys() - sources.keys()} == {
        "LEADER_ELECTION": "true",
        "KAFKA_BOOTSTRAP_SERVERS": "a:9093,b:9093",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "CA_PATH": "/certs/ca.crt",
        "QUEUE_CONTROL_TOPIC": "control",
        "QUEUE_EVENTS_TOPIC": "events",
        "KAFKA_GROUP_ID": "group",
        "WATCH_NAMESPACES": "a,b",
        "WORKER_IMAGE": "worker:dev",
        "WORKER_KAFKA_BOOTSTRAP_SERVERS": "c:9093",
        "WORKER_KAFKA_SECRET": "kafka-loader",
        "WORKER_KAFKA_USER_KEY": "wu",
        "WORKER_KAFKA_PASSWORD_KEY": "wp",
        "WORKER_CA_SECRET": "worker-ca",
        "WORKER_CA_KEY": "worker.pem",
        "BINANCE_API_URL": "http://replay:8080",
        "BINANCE_WS_URL": "ws://replay:8080/ws",
        "BINANCE_ARCHIVE_URL": "http://replay:8080",
        "BINANCE_SECRET": "binance",
        "GRACE_SECONDS": "1.5",
        "RESYNC_SECONDS": "2",
        "STATUS_WRITE_SECONDS": "0",
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": "text",
    }
    known = {str(field.alias) for field in Configuration.model_fields.values()}
    assert variables.keys() <= known


def test_the_operator_reads_what_the_chart_renders_by_default(clients: dict[str, Path]) -> None:
    variables = environment(rendered(clients, "ns"))
    Configuration.model_validate({k: v for k, v in variables.items() if isinstance(v, str)})


def test_the_ca_is_mounted_where_the_operator_looks(clients: dict[str, Path]) -> None:
    (deployment,) = rendered(clients, "ns", EVERYTHING)["Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    assert pod["containers"][0]["volumeMounts"][0]["mountPath"] == "/certs"
    assert pod["volumes"][0]["secret"] == {
        "secretName": "kafka-ca",
        "items": [{"key": "root.pem", "path": "ca.crt"}],
    }


def test_the_operator_runs_alone_and_with_nothing_it_does_not_need(
    clients: dict[str, Path],
) -> None:
    (deployment,) = rendered(clients, "ns")["Deployment"]
    assert deployment["spec"]["replicas"] == 1
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports["health"] == 8080
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": path, "port": "health"}


def test_one_alone_is_elected_too_and_nothing_holds_back_its_node(clients: dict[str, Path]) -> None:
    objects = rendered(clients, "ns")
    assert environment(objects)["LEADER_ELECTION"] == "true"
    assert "PodDisruptionBudget" not in objects


def test_two_are_kept_apart_and_never_both_drained(clients: dict[str, Path]) -> None:
    objects = rendered(clients, "ns", {"replicas": 2})
    (deployment,), (budget,) = objects["Deployment"], objects["PodDisruptionBudget"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["replicas"] == 2
    assert budget["spec"] == {"minAvailable": 1, "selector": {"matchLabels": labels}}
    anti_affinity = deployment["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]
    (preferred,) = anti_affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preferred["podAffinityTerm"]["labelSelector"] == {"matchLabels": labels}


TASK_RIGHTS = {
    *(("loadertasks", verb) for verb in ("get", "list", "watch", "patch", "delete")),
    *(("loadertasks/status", verb) for verb in ("patch", "update")),
    *(("jobs", verb) for verb in ("get", "list", "watch", "create", "patch", "delete")),
    *(("pods", verb) for verb in ("get", "list", "watch", "delete")),
    *(("events", verb) for verb in ("list", "create", "patch")),
}
LEASE_RIGHTS = {("leases", verb) for verb in ("get", "create", "update", "patch")}


def test_without_namespaces_the_rights_are_those_of_the_whole_cluster(
    clients: dict[str, Path],
) -> None:
    objects = rendered(clients, "ns")
    (role,) = objects["ClusterRole"]
    assert rights(role["rules"]) == TASK_RIGHTS
    (lease,) = objects["Role"]
    assert lease["metadata"]["namespace"] == "ns"
    assert rights(lease["rules"]) == LEASE_RIGHTS


def test_with_namespaces_the_rights_end_at_their_borders(clients: dict[str, Path]) -> None:
    objects = rendered(clients, "ns", {"watchNamespaces": ["a", "b"]})
    assert not {"ClusterRole", "ClusterRoleBinding"} & objects.keys()
    granted = {
        (role["metadata"]["namespace"], frozenset(rights(role["rules"])))
        for role in objects["Role"]
    }
    assert granted == {
        ("a", frozenset(TASK_RIGHTS)),
        ("b", frozenset(TASK_RIGHTS)),
        ("ns", frozenset(LEASE_RIGHTS)),
    }
    bound = {binding["metadata"]["namespace"] for binding in objects["RoleBinding"]}
    assert bound == {"a", "b", "ns"}


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"kafka": {"bootstrapServers": ""}}, "/kafka/bootstrapServers"),
        ({"kafka": {"bootstrapServers": "kafka"}}, "/kafka/bootstrapServers"),
        ({"kafka": {"bootstrapServers": None}}, "bootstrapServers"),
        ({"kafka": {"securityProtocol": "TLS"}}, "/kafka/securityProtocol"),
        ({"kafka": {"credentialsSecret": "secret"}}, "/kafka/credentialsSecret"),
        ({"kafka": {"credentialsSecret": {"password": "p"}}}, "password"),
        ({"kafka": {"eventsTopic": "a/b"}}, "/kafka/eventsTopic"),
        ({"worker": {"binance": {"apiUrl": "api.binance.com"}}}, "/worker/binance/apiUrl"),
        ({"worker": {"image": "a b"}}, "/worker/image"),
        ({"watchNamespaces": "stf"}, "/watchNamespaces"),
        ({"watchNamespaces": ["Stf"]}, "/watchNamespaces/0"),
        ({"graceSeconds": 0}, "/graceSeconds"),
        ({"resyncSeconds": "30s"}, "/resyncSeconds"),
        ({"log": {"level": "loud"}}, "/log/level"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"replicas": 0}, "/replicas"),
        ({"replica": 2}, "replica"),
    ],
)
def test_a_bad_value_is_refused_and_named(
    clients: dict[str, Path], values: dict[str, Any], where: str
) -> None:
    code, _, errors = helm(clients, *RENDER, values=values)
    assert code != 0
    assert where in errors.partition("specifications of the schema")[2]
