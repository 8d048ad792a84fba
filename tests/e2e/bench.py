"""One test's place in the system: its namespace, what it sees of Kafka, what it breaks."""

from __future__ import annotations

import dataclasses
import json
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.e2e.cluster_client import Kubectl, wait_until
from tests.e2e.pod_programs import kill_program

from loadertask_devstack import kafka as kafka_broker
from loadertask_devstack.installation import OPERATOR_NAMESPACE, RELEASE
from loadertask_devstack.kafka.topics import Record, read_records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadertask_devstack.system import System

_KLINES = "/api/v3/klines"
_DEPLOYMENT = f"deployment/{RELEASE}"


@dataclass(frozen=True)
class Bench:
    """Everything that a test uses."""

    system: System
    kubectl: Kubectl

    @property
    def operators(self) -> Kubectl:
        """kubectl where the operator lives."""
        return dataclasses.replace(self.kubectl, namespace=OPERATOR_NAMESPACE)

    def records(self, topic: str) -> list[Record]:
        """All records of a topic."""
        return read_records(self.system.kafka.plain, topic)

    def events(self, queue_id: str) -> list[dict[str, Any]]:
        """The payloads of all events of a workflow."""
        payloads = [json.loads(record.value or b"{}") for record in self.records("queue-events")]
        return [payload for payload in payloads if payload["queue_id"] == queue_id]

    def slow_down(self, symbol: str, delay_ms: int) -> None:
        """Let the venue answer for a symbol with a delay, so that a load can be watched."""
        slow = {"kind": "slow", "delay_s": delay_ms / 1000}
        self._add_faults(
            (_klines_of(symbol), slow), ({"path": f"/data/spot/daily/klines/{symbol}/*"}, slow)
        )

    def hold_back(self, symbol: str, after_requests: int) -> None:
        """Let loads of a symbol's minutes stand still after so many requests, until `let_go`.

        There are no files of it, and REST is broken from then on: a worker with patience waits.
        """
        held = _klines_of(symbol) | {"nth": after_requests + 1}
        self._add_faults(
            ({"path": f"/data/spot/daily/klines/{symbol}/*"}, {"kind": "empty404"}),
            (held, {"kind": "empty5xx", "status": 503}),
        )

    def let_go(self) -> None:
        """End all that `slow_down` and `hold_back` began."""
        self._ask_venue("DELETE")

    def kill_operator(self) -> None:
        """SIGKILL to the operator's process, and wait until its container runs again."""
        before = self.operator_restarts()
        for pod in self.operator_pods():
            kill_program(pod)
        wait_until(lambda: self.operator_restarts() > before, 60, "restart of the operator")
        self._wait_for_operators()

    def operator_pods(self) -> list[dict[str, Any]]:
        """The pods of the operator, without those that are on their way out."""
        pods = self.operators.get("pods")["items"]
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def operator_restarts(self) -> int:
        """How often containers of the operator were started again."""
        return sum(
            status["restartCount"]
            for pod in self.operator_pods()
            for status in pod["status"].get("containerStatuses", ())
        )

    def lease(self) -> dict[str, Any]:
        """Who leads (its identity begins with the name of its pod), and since when."""
        found: dict[str, Any] = self.operators.get("lease", RELEASE)["spec"]
        return found

    def leader_and_others(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The pod of the operator that leads, and those that stand by."""
        pods: list[dict[str, Any]] = []

        def has_leader() -> bool:
            nonlocal pods
            holder = self.lease().get("holderIdentity", "")
            pods = sorted(
                self.operator_pods(), key=lambda pod: not holder.startswith(_name_of(pod))
            )
            return bool(pods) and holder.startswith(_name_of(pods[0]))

        wait_until(has_leader, 60, "operator that leads")
        return pods[0], pods[1:]

    @contextmanager
    def two_operators(self) -> Iterator[None]:
        """One more operator for the block, standing by."""
        self.scale_operators(2)
        try:
            yield
        finally:
            self.scale_operators(1)
            wait_until(
                lambda: len(self.operators.get("pods")["items"]) == 1, 60, "single operator again"
            )

    def scale_operators(self, replicas: int) -> None:
        """Let so many operators run, and wait until they are ready."""
        self.operators("scale", _DEPLOYMENT, f"--replicas={replicas}")
        self._wait_for_operators()

    @contextmanager
    def broken_kafka(self) -> Iterator[None]:
        """No broker for the block: killed at its beginning, back on the same ports at its end."""
        kafka_broker.kill(self.system.stack.directory)
        try:
            yield
        finally:
            kafka_broker.start(
                self.system.stack.directory, host_address=self.system.cluster.host_address
            )

    def _wait_for_operators(self) -> None:
        self.operators("rollout", "status", _DEPLOYMENT, "--timeout=60s", timeout_s=70)

    def _add_faults(self, *rules: tuple[dict[str, Any], dict[str, Any]]) -> None:
        body = [{"match": match, "fault": fault} for match, fault in rules]
        self._ask_venue("POST", json.dumps(body).encode())

    def _ask_venue(self, method: str, body: bytes | None = None) -> None:
        url = f"{self.system.venue.url}/_replay/faults"
        request = urllib.request.Request(url, body, method=method)  # noqa: S310 - our own replay
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            assert answer.status in (200, 204)


def _name_of(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["name"])


def _klines_of(symbol: str) -> dict[str, Any]:
    return {"path": _KLINES, "params": {"symbol": symbol}}
