"""The whole local system, brought up once for all e2e tests and taken down after them."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.bench import Bench
from tests.e2e.cluster_client import Kubectl

from loadertask_devstack import system as local_system
from loadertask_devstack.cluster import clients
from loadertask_devstack.installation import open_namespace
from loadertask_devstack.stack import Stack, current_stack

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from loadertask_devstack.system import System


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


@pytest.fixture
def bench(system: System) -> Iterator[Bench]:
    """A namespace of its own, with the Secrets that workers need; gone after the test."""
    namespace = f"e2e-{secrets.token_hex(4)}"
    open_namespace(system.cluster, system.kafka, namespace)
    program = Path(clients.client_program("kubectl"))
    kubectl = Kubectl(program, system.cluster.kubeconfig, namespace)
    own = Bench(system, kubectl)
    yield own
    own.let_go()
    gone = ("--ignore-not-found", "--timeout=100s")
    kubectl("delete", "namespace", namespace, *gone, timeout_s=110)
