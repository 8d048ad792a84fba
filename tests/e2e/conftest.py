"""The whole local system, brought up once for all e2e tests and taken down after them."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import signal
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.cluster_client import Kubectl, wait_until

from loadertask_devstack import system as local_system
from loadertask_devstack.cluster import clients
from loadertask_devstack.cluster.cgroups import cgroup_name
from loadertask_devstack.installation import OPERATOR_NAMESPACE, open_namespace
from loadertask_devstack.kafka.topics import Record, read_records
from loadertask_devstack.stack import Stack, current_stack

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from loadertask_devstack.system import System

_OPERATOR_COMMAND = b"-m\0loadertask_operator"


@pytest.fixture(scope="session")
def system(request: pytest.FixtureRequest) -> Iterator[System]:
    """A system of its own, beside the developer's: it shares nothing with it but the caches.

    DEVSTACK_KEEP=1 leaves it running for a look around.
    """
    own = current_stack(os.environ)
    stack = Stack(f"{own.name}-e2e", own.directory.with_name(f"{own.name}-e2e"))
    try:
        yield local_system.start(stack, print)
    except BaseException:
        print(local_system.diagnosis(stack))
        raise
    finally:
        if not os.environ.get("DEVSTACK_KEEP"):
            local_system.stop(stack, print)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, Any]:
    """A failure carries the logs of all parts."""
    report = yield
    if report.when == "call" and report.failed and "bench" in getattr(item, "funcargs", {}):
        running: System = item.funcargs["bench"].system  # type: ignore[attr-defined]
        report.sections.append(("all parts", local_system.diagnosis(running.stack)))
    return report


@dataclass(frozen=True)
class Bench:
    """One test's place in the system: its namespace, and what it sees of Kafka and venue."""

    system: System
    kubectl: Kubectl

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
        by_rest = {"path": "/api/v3/klines", "params": {"symbol": symbol}}
        by_archive = {"path": f"/data/spot/daily/klines/{symbol}/*"}
        rules = [{"match": match, "fault": slow} for match in (by_rest, by_archive)]
        request = urllib.request.Request(  # noqa: S310 - our own replay
            f"{self.system.venue.url}/_replay/faults", json.dumps(rules).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            assert answer.status == 200

    def kill_operator(self) -> None:
        """SIGKILL to the operator's process, and wait until its container runs again."""
        operators = dataclasses.replace(self.kubectl, namespace=OPERATOR_NAMESPACE)
        before = _restarts(operators)
        killed = [pid for pid in _operator_pids(self.system) if _kill(pid)]
        assert killed, "no operator process was found"
        wait_until(lambda: _restarts(operators) > before, 60, "restart of the operator")
        operators("rollout", "status", "deployment", "--timeout=60s", timeout_s=70)


@pytest.fixture
def bench(system: System) -> Iterator[Bench]:
    """A namespace of its own, with the Secrets that workers need; gone after the test."""
    namespace = f"e2e-{secrets.token_hex(4)}"
    open_namespace(system.cluster, system.kafka, namespace)
    program = Path(clients.client_program("kubectl"))
    kubectl = Kubectl(program, system.cluster.kubeconfig, namespace)
    yield Bench(system, kubectl)
    kubectl("delete", "namespace", namespace, "--timeout=100s", timeout_s=110)


def _restarts(operators: Kubectl) -> int:
    pods = operators.get("pods")["items"]
    return sum(
        status["restartCount"] for pod in pods for status in pod["status"]["containerStatuses"]
    )


def _operator_pids(system: System) -> list[int]:
    """The operator's processes in this system's cluster and no other, as this machine counts."""
    own = cgroup_name(system.stack.name).encode()
    return [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if _OPERATOR_COMMAND in _content(path) and own in _content(path.parent / "cgroup")
    ]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
