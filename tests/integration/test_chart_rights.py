"""The rights that the chart gives are enough for every request of the operator, and end there."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from kubernetes.aio import client, config
from tests.integration.loader_tasks import CANDLES, LoaderTasks
from tests.integration.test_chart import CHART, helm, rendered

from loadertask_devstack.processes import wait_until
from loadertask_operator.cluster import Cluster
from loadertask_operator.configuration import Configuration
from loadertask_operator.errors import NotFoundError, RefusedError
from loadertask_operator.leadership import Leadership
from loadertask_operator.manifests.job import render_job
from loadertask_operator.observed import PodState
from loadertask_operator.plan import Notice, Propagation
from loadertask_operator.status import CurrentAttempt, Phase, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.api_server_fixtures import ApiServer

pytestmark = pytest.mark.integration

CONFIGURATION = Configuration.model_validate({"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"})
ATTEMPT = CurrentAttempt(number=1, job_name="task-1", producer_id="loader-producer__a1b2c3")


def make_pod(namespace: str) -> PodState:
    """A pod that was there a moment ago."""
    return PodState(namespace, "task-1-x", "uid", 1, "task", 1, datetime.now(UTC))


@contextlib.asynccontextmanager
async def cluster_as(api_server: ApiServer, user: str) -> AsyncIterator[Cluster]:
    """The operator's client with the rights of `user` and no others."""
    await config.load_kube_config(str(api_server.kubeconfig), persist_config=False)
    access = client.ApiClient()
    access.set_default_header("Impersonate-User", user)
    cluster = Cluster(access)
    try:
        yield cluster
    finally:
        await cluster.close()


@pytest.fixture(params=["all namespaces", "one namespace"])
def operator_user(
    request: pytest.FixtureRequest,
    clients: dict[str, Path],
    api_server: ApiServer,
    namespace: str,
) -> str:
    """The user as whom the installed operator would speak."""
    watched = [namespace] if request.param == "one namespace" else []
    values = {"watchNamespaces": watched}
    server = ("--kubeconfig", str(api_server.kubeconfig), "--namespace", namespace)
    release = ("install", "loadertask-operator", str(CHART))
    code, _, errors = helm(clients, *release, *server, values=values)
    assert code == 0, errors
    (account,) = rendered(clients, namespace, values)["ServiceAccount"]
    user = f"system:serviceaccount:{namespace}:{account['metadata']['name']}"

    def is_known() -> bool:
        """The server learns of roles and their bindings a moment after it has stored them."""
        questions = (("delete", "loadertasks"), ("create", "leases.coordination.k8s.io"))
        who = ("--as", user, "-n", namespace)
        return all(
            "yes" in api_server.kubectl("auth", "can-i", *question, *who, check=False)
            for question in questions
        )

    wait_until(is_known, 60, f"{user} has its rights")
    return user


async def test_they_are_enough_for_every_request_of_the_operator(
    api_server: ApiServer, tasks: LoaderTasks, namespace: str, operator_user: str
) -> None:
    tasks.create(CANDLES)
    async with cluster_as(api_server, operator_user) as cluster:
        (task,) = await cluster.list_tasks(namespace)
        task = await cluster.set_finalizer(task, present=True)
        task = await cluster.put_status(task, Status(phase=Phase.PENDING, current_attempt=ATTEMPT))
        job = await cluster.create_job(render_job(task, CONFIGURATION, ATTEMPT))
        assert await cluster.list_jobs(namespace) == [await cluster.get_job(namespace, "task-1")]
        job = await cluster.set_job_ttl(job, 60)
        await cluster.list_pods(namespace)
        with pytest.raises(NotFoundError):
            await cluster.delete_pod(make_pod(namespace))
        await cluster.post_event(task, Notice("JobCreated", "Job task-1 was created"))
        assert "JobCreated" in api_server.kubectl("get", "events", "-n", namespace)
        await cluster.delete_job(job, Propagation.BACKGROUND)
        task = await cluster.get_task(task.key)
        task = await cluster.set_finalizer(task, present=False)
        await cluster.delete_task(task)
        with pytest.raises(NotFoundError):
            await cluster.get_task(task.key)


async def test_they_end_at_the_borders_of_the_watched_namespaces(
    api_server: ApiServer, operator_user: str, request: pytest.FixtureRequest
) -> None:
    is_limited = "one namespace" in request.node.name
    async with cluster_as(api_server, operator_user) as cluster:
        for namespace in ("default", None):
            if is_limited:
                with pytest.raises(RefusedError):
                    await cluster.list_tasks(namespace)
            else:
                await cluster.list_tasks(namespace)


async def test_they_are_enough_to_lead_and_to_hand_over(
    api_server: ApiServer, namespace: str, operator_user: str
) -> None:
    await config.load_kube_config(str(api_server.kubeconfig), persist_config=False)
    async with client.ApiClient() as access:
        access.set_default_header("Impersonate-User", operator_user)
        first, second = (Leadership(access, namespace, name) for name in ("first", "second"))
        await first.acquire()
        await first.release()
        await second.acquire()
        assert second.is_held


def test_they_hold_nothing_about_secrets_and_make_no_pods(
    api_server: ApiServer, namespace: str, operator_user: str
) -> None:
    for right in ("get secrets", "list secrets", "create pods", "get configmaps", "get nodes"):
        question = ("auth", "can-i", *right.split(), "--as", operator_user, "-n", namespace)
        answer = api_server.kubectl(*question, check=False).split()
        assert answer[-1] == "no", right
