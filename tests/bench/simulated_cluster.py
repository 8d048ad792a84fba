"""Clusters for the benchmark of the operator: etcd and API server alone, or all of it with kwok."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from kubernetes import client, config
from tests.integration.operator_process import ROOT, eventually

from loadertask_devstack import processes, toolchain
from loadertask_devstack.cluster import daemons
from loadertask_devstack.cluster.control_plane import control_plane
from loadertask_devstack.cluster.credentials import Credentials
from loadertask_devstack.progress import Progress
from loadertask_devstack.stack import cache_directory
from loadertask_operator import names

STAGES = Path(__file__).with_name("kwok-stages.yaml")
NODES = 5


@contextmanager
def api_server_alone(directory: Path) -> Iterator[Path]:
    """etcd and API server with our CRD; the kubeconfig of one who may do everything."""
    with control_plane(directory) as plane:
        _install_crd(plane.kubeconfig)
        yield plane.kubeconfig


@contextmanager
def whole_cluster(directory: Path, progress: Progress) -> Iterator[Path]:
    """With controllers, scheduler and simulated nodes, whose pods run at once and for ever."""
    builds = [toolchain.CONTROL_PLANE, toolchain.KWOK]
    programs = toolchain.ensure_programs(cache_directory(os.environ), builds, progress=progress)
    with control_plane(directory, controllers=True) as plane:
        credentials = Credentials(directory / "credentials")
        environment = daemons.environment(os.environ)
        commands = {
            "kube-scheduler": daemons.scheduler(programs["kube-scheduler"], credentials),
            "kwok": [
                str(programs["kwok"]),
                f"--kubeconfig={plane.kubeconfig}",
                f"--config={STAGES}",
                "--manage-all-nodes=true",
                "--node-lease-duration-seconds=40",
                "--server-address=127.0.0.1:0",
            ],
        }
        started = [
            processes.start(
                directory,
                name,
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                environ=environment,
            )
            for name, command in commands.items()
        ]
        try:
            _install_crd(plane.kubeconfig)
            _make_nodes(plane.kubeconfig)
            yield plane.kubeconfig
        finally:
            for process in started:
                process.kill()


def _install_crd(kubeconfig: Path) -> None:
    api_client = config.new_client_from_config(str(kubeconfig))
    crd = yaml.safe_load((ROOT / "crds/loadertasks.yaml").read_text())
    client.ApiextensionsV1Api(api_client).create_custom_resource_definition(crd)
    tasks = client.CustomObjectsApi(api_client)

    def is_served() -> bool:
        try:
            tasks.list_cluster_custom_object(names.GROUP, names.VERSION, names.PLURAL)
        except client.ApiException:
            return False
        return True

    eventually(is_served)


def _make_nodes(kubeconfig: Path) -> None:
    core = client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))
    for number in range(NODES):
        core.create_node({"metadata": {"name": f"simulated-{number}"}})

    def are_ready() -> bool:
        conditions = [n.status.conditions or [] for n in core.list_node().items]
        return all(any(c.type == "Ready" and c.status == "True" for c in cs) for cs in conditions)

    eventually(are_ready, 60)
