"""The operator as a real process, and its world seen from outside, for integration tests.

There is no kubelet: a test says what the pod of an attempt did, the real controllers do the rest.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka import Producer
from kubernetes import client, config

from loadertask_contract.commands import parse_command
from loadertask_contract.events import Event, Progress, QueueEvent, encode_event
from loadertask_devstack.cluster.control_plane import control_plane
from loadertask_devstack.kafka import Kafka, topics
from loadertask_devstack.stack import free_port
from loadertask_operator import names

ROOT = Path(__file__).resolve().parents[2]
_GROUP = (names.GROUP, names.VERSION)
_LOG_SHOWN = 20_000
CANDLES = {"symbol": "BTCUSDT", "type": "api_candles_1m", "timeRange": "2023-01-01:2023-01-02"}


def eventually(look: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """The first true value of ``look``; an AssertionError with the last one after the timeout."""
    deadline_s = time.monotonic() + timeout_s
    while not (value := look()):
        assert time.monotonic() < deadline_s, f"still {value!r} after {timeout_s} s"
        time.sleep(0.02)
    return value


@contextmanager
def cluster_with_crd(directory: Path) -> Iterator[Path]:
    """An API server with controllers and our CRD; the kubeconfig of one who may do everything."""
    with control_plane(directory, controllers=True) as plane:
        api_client = config.new_client_from_config(str(plane.kubeconfig))
        crds = client.ApiextensionsV1Api(api_client)
        crd = yaml.safe_load((ROOT / "crds/loadertasks.yaml").read_text())
        crds.create_custom_resource_definition(crd)
        tasks = client.CustomObjectsApi(api_client)
        eventually(lambda: _is_served(tasks))
        yield plane.kubeconfig


def _is_served(tasks: client.CustomObjectsApi) -> bool:
    try:
        tasks.list_namespaced_custom_object(*_GROUP, "default", names.PLURAL)
    except client.ApiException:
        return False
    return True


class OperatorProcess:
    """One running ``python -m loadertask_operator``."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def twin(self, log: Path, **variables: str) -> OperatorProcess:
        """Another one beside it, not started."""
        ports = {"HEALTH_PORT": str(free_port()), "METRICS_PORT": str(free_port())}
        return OperatorProcess(self._environment | ports | variables, log)

    def signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    def wait(self, timeout_s: float = 60) -> int:
        """The exit code."""
        assert self._process
        return self._process.wait(timeout_s)

    def use_kubeconfig(self, path: Path) -> None:
        self._environment["KUBECONFIG"] = str(path)

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "loadertask_operator"], env=self._environment, stderr=log
            )
        eventually(self._is_ready)

    def kill(self) -> None:
        """SIGKILL: no line of the operator runs any more."""
        assert self._process
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(60)

    def terminate(self, timeout_s: float = 60) -> int:
        assert self._process
        self._process.terminate()
        return self._process.wait(timeout_s)

    def close(self) -> None:
        if self._process and self._process.poll() is None:
            self.kill()

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def is_healthy(self) -> bool:
        return self.get("HEALTH_PORT", "/healthz") == (200, "ok")

    def get(self, port_variable: str, path: str, timeout_s: float = 30) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self._environment[port_variable]}{path}"
        try:
            with urllib.request.urlopen(url, timeout=timeout_s) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        _, text = self.get("METRICS_PORT", "/metrics")
        lines = (line for line in text.splitlines() if line.startswith(name))
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def _is_ready(self) -> bool:
        assert self._process
        assert self._process.poll() is None, self.log()
        try:
            return self.get("HEALTH_PORT", "/readyz")[0] == 200
        except OSError:
            return False


@dataclass
class World:
    """A namespace, topics and an operator of its own."""

    kubeconfig: Path
    bootstrap: str
    namespace: str
    operator: OperatorProcess
    events_topic: str
    control_topic: str
    group_id: str
    producer: Producer
    tasks: client.CustomObjectsApi
    jobs: client.BatchV1Api
    core: client.CoreV1Api
    _sent: list[int] = field(default_factory=list)

    def log(self) -> str:
        return self.operator.log()

    # the object

    def create(self, name: str, **spec: Any) -> dict[str, Any]:
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": name},
            "spec": CANDLES | spec,
        }
        return self.tasks.create_namespaced_custom_object(
            *_GROUP, self.namespace, names.PLURAL, body
        )

    def task(self, name: str) -> dict[str, Any] | None:
        try:
            return self.tasks.get_namespaced_custom_object(
                *_GROUP, self.namespace, names.PLURAL, name
            )
        except client.ApiException as error:
            assert error.status == 404, error
            return None

    def patch(self, name: str, body: dict[str, Any]) -> None:
        self.tasks.patch_namespaced_custom_object(*_GROUP, self.namespace, names.PLURAL, name, body)

    def delete(self, name: str) -> None:
        self.tasks.delete_namespaced_custom_object(*_GROUP, self.namespace, names.PLURAL, name)

    def status(self, name: str) -> dict[str, Any]:
        return (self.task(name) or {}).get("status", {})

    def condition(self, name: str, kind: str) -> tuple[str, str] | None:
        for condition in self.status(name).get("conditions", []):
            if condition["type"] == kind:
                return condition["status"], condition["reason"]
        return None

    def reaches(self, name: str, phase: str, timeout_s: float = 60.0) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            self.last = self.status(name)
            return self.last if self.last.get("phase") == phase else None

        try:
            return eventually(look, timeout_s)
        except AssertionError:
            raise AssertionError(
                f"{name} is {json.dumps(self.last, indent=1)}\n{self.operator.log()[-4000:]}"
            ) from None

    # its Jobs

    def job(self, name: str, attempt: int = 1) -> Any:
        try:
            return self.jobs.read_namespaced_job(f"{name}-{attempt}", self.namespace)
        except client.ApiException as error:
            assert error.status == 404, error
            return None

    def job_count(self, name: str) -> int:
        selector = f"{names.TASK_LABEL}={name}"
        jobs = self.jobs.list_namespaced_job(self.namespace, label_selector=selector).items
        return len(jobs)

    def running(self, name: str, **spec: Any) -> str:
        """A task whose worker has started; the producer id of its attempt."""
        self.create(name, **spec)
        eventually(lambda: self.job(name))
        producer = eventually(lambda: self.status(name).get("currentAttempt", {}))["producerId"]
        self.pod_is_running(name)
        self.say(name, "started")
        self.reaches(name, "Running")
        return producer

    # what the kubelet would report

    def pod(self, name: str, attempt: int = 1, shard: int | None = None) -> Any:
        """The youngest pod."""
        selector = f"{names.TASK_LABEL}={name},{names.ATTEMPT_LABEL}={attempt}"
        if shard is not None:
            selector += f",{names.SHARD_LABEL}={shard}"
        pods = self.core.list_namespaced_pod(self.namespace, label_selector=selector).items
        return max(pods, key=lambda pod: pod.metadata.creation_timestamp, default=None)

    def pod_is_running(self, name: str, attempt: int = 1, shard: int | None = None) -> None:
        self._report(name, attempt, "Running", {"running": {}}, shard)

    def pod_ends(
        self,
        name: str,
        exit_code: int,
        message: str = "",
        attempt: int = 1,
        shard: int | None = None,
    ) -> None:
        phase = "Failed" if exit_code else "Succeeded"
        terminated = {"exitCode": exit_code, "message": message, "reason": "Test"}
        self._report(name, attempt, phase, {"terminated": terminated}, shard)

    def pod_is_disrupted(self, name: str, attempt: int = 1) -> None:
        """The eviction API marks a pod before it ends it."""
        pod = eventually(lambda: self.pod(name, attempt))
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "EvictionByEvictionAPI",
        }
        # Without a young time the controllers take it back.
        condition["lastTransitionTime"] = datetime.now(UTC).isoformat()
        body = {"status": {"conditions": [condition]}}
        self.core.patch_namespaced_pod_status(pod.metadata.name, self.namespace, body)

    def _report(
        self, name: str, attempt: int, phase: str, state: dict[str, Any], shard: int | None
    ) -> None:
        pod = eventually(lambda: self.pod(name, attempt, shard))
        container = {"name": "loader", "image": "x", "imageID": "x", "ready": False}
        container |= {"restartCount": 0, "state": state}
        body = {"status": {"phase": phase, "containerStatuses": [container]}}
        self.core.patch_namespaced_pod_status(pod.metadata.name, self.namespace, body)

    # Kafka

    def say(
        self,
        name: str,
        status: str,
        *,
        producer: str | None = None,
        written: int = 0,
        shard: int | None = None,
        partition: int = -1,
        timestamp_ms: int = 0,
        **progress: Any,
    ) -> None:
        """Send an event as the worker of the task, or of one of its shards, would."""
        stored = self.status(name)
        if shard is not None:
            producer = f"{stored['currentAttempt']['producerId']}-{shard}"
        event = Event(
            QueueEvent(
                queue_id=stored["queueId"],
                symbol="BTCUSDT",
                type="api_candles_1m",
                status=status,
                message=f"worker says {status}",
                records_written=written,
                finished=status in {"finished", "interrupted", "error"},
                producer=producer or stored["currentAttempt"]["producerId"],
                timestamp=1.5,
            ),
            Progress(shard=shard, **progress),
        )
        message = encode_event(event)
        self.producer.produce(
            self.events_topic,
            value=message.value,
            key=message.key,
            headers=list(message.headers),
            partition=partition,
            timestamp=timestamp_ms,
            on_delivery=_taken,
        )
        assert self.producer.flush(30) == 0

    def send(
        self, value: bytes | None, headers: list[tuple[str, bytes]] | None = None, key: bytes = b"x"
    ) -> None:
        self.producer.produce(self.events_topic, value=value, key=key, headers=headers or [])
        assert self.producer.flush(30) == 0

    def stops(self, name: str) -> int:
        """How many stop commands were sent for the task."""
        queue_id = self.status(name).get("queueId") or self._queue_ids[name]
        self._queue_ids[name] = queue_id
        return len(self.stop_times(queue_id))

    def stop_times(self, queue_id: str) -> list[datetime]:
        """When stop commands were sent for a queue."""
        records = topics.read_records(self.bootstrap, self.control_topic)
        return [
            datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
            for record in records
            if parse_command(record.value).is_for(queue_id)
        ]

    _queue_ids: dict[str, str] = field(default_factory=dict)


def _taken(error: object, _: object) -> None:
    assert error is None, error


@contextmanager
def operator_world(
    kubeconfig: Path, kafka: Kafka, directory: Path, *, start: bool = True, **variables: str
) -> Iterator[World]:
    """A running operator that watches one fresh namespace and topics of its own."""
    identity = f"op-{secrets.token_hex(4)}"
    api_client = config.new_client_from_config(str(kubeconfig))
    core = client.CoreV1Api(api_client)
    core.create_namespace({"metadata": {"name": identity}})
    events_topic, control_topic = f"{identity}-events", f"{identity}-control"
    for topic in (events_topic, control_topic):
        topics.create_topic(kafka.plain, topic)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "KUBECONFIG": str(kubeconfig),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.plain,
        "QUEUE_EVENTS_TOPIC": events_topic,
        "QUEUE_CONTROL_TOPIC": control_topic,
        "WATCH_NAMESPACES": identity,
        "POD_NAMESPACE": identity,
        "GRACE_SECONDS": "3",
        "RESYNC_SECONDS": "5",
        "STATUS_WRITE_SECONDS": "1",
        "WORKER_KAFKA_BOOTSTRAP_SERVERS": "kafka-bootstrap.kafka:9093",
        "WORKER_KAFKA_SECRET": "kafka-user",
        "WORKER_CA_SECRET": "kafka-ca",
        "HEALTH_PORT": str(free_port()),
        "METRICS_PORT": str(free_port()),
        **variables,
    }
    with ExitStack() as stack:
        operator = OperatorProcess(environment, directory / f"{identity}.log")
        stack.callback(lambda: print(f"--- operator ---\n{operator.log()[-_LOG_SHOWN:]}"))
        stack.callback(operator.close)
        if start:
            operator.start()
        yield World(
            kubeconfig=kubeconfig,
            bootstrap=kafka.plain,
            namespace=identity,
            operator=operator,
            events_topic=events_topic,
            control_topic=control_topic,
            group_id=f"loadertask-operator.{identity}",
            producer=Producer(
                {
                    "bootstrap.servers": kafka.plain,
                    "message.max.bytes": 2_000_000,
                    "reconnect.backoff.max.ms": 500,  # brokers of tests come back
                    "log_level": 0,
                }
            ),
            tasks=client.CustomObjectsApi(api_client),
            jobs=client.BatchV1Api(api_client),
            core=core,
        )


def restricted_kubeconfig(
    world: World, rights: list[tuple[list[str], list[str], list[str]]], directory: Path
) -> Path:
    """The kubeconfig of a service account that has only these rights, in this namespace."""
    api_client = config.new_client_from_config(str(world.kubeconfig))
    core, rbac = client.CoreV1Api(api_client), client.RbacAuthorizationV1Api(api_client)
    name = {"metadata": {"name": "operator"}}
    core.create_namespaced_service_account(world.namespace, name)
    rules = [{"apiGroups": g, "resources": r, "verbs": v} for g, r, v in rights]
    rbac.create_namespaced_role(world.namespace, name | {"rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"}
    subject = {"kind": "ServiceAccount", "name": "operator", "namespace": world.namespace}
    rbac.create_namespaced_role_binding(
        world.namespace, name | {"roleRef": role, "subjects": [subject]}
    )
    request = core.create_namespaced_service_account_token(
        "operator", world.namespace, {"spec": {"expirationSeconds": 3600}}
    )
    body = yaml.safe_load(world.kubeconfig.read_text())
    body["users"] = [{"name": body["users"][0]["name"], "user": {"token": request.status.token}}]
    path = directory / "restricted.kubeconfig"
    path.write_text(yaml.safe_dump(body))
    return path
