"""The whole local system: Kafka, venue replay, Kubernetes, images, operator, in that order.

Each part is started by its own module; here is what they need of each other.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loadertask_devstack import cluster as clusters
from loadertask_devstack import diagnose, images, venue
from loadertask_devstack import kafka as kafka_broker
from loadertask_devstack.cluster import clients
from loadertask_devstack.errors import DevstackError
from loadertask_devstack.installation import install_operator, open_namespace, restart_operator
from loadertask_devstack.stack import cache_directory

if TYPE_CHECKING:
    from loadertask_devstack.cluster import Cluster
    from loadertask_devstack.kafka import Kafka
    from loadertask_devstack.progress import Progress
    from loadertask_devstack.stack import Stack
    from loadertask_devstack.venue import Venue

TASK_NAMESPACE = "default"


@dataclass(frozen=True)
class System:
    """The running parts."""

    stack: Stack
    cluster: Cluster
    kafka: Kafka
    venue: Venue


def prepare(progress: Progress) -> None:
    """Build and fetch what is kept between runs: the long part, once per machine."""
    cache = cache_directory(os.environ)
    kafka_broker.prepare(progress)
    clusters.prepare(cache, progress)
    images.prepare(cache, progress)


def start(stack: Stack, progress: Progress) -> System:
    """The whole system, ready for `kubectl apply` in `TASK_NAMESPACE`; what runs already stays.

    Raises DevstackError naming the part that failed and what to do.
    """
    was_running = clusters.find(stack) is not None
    cluster = clusters.start(stack, progress=progress)
    kafka = kafka_broker.start(
        stack.directory, host_address=cluster.host_address, progress=progress
    )
    venue_port = stack.port("venue")
    # Bound to this machine's end of the wire to the pods, and to nothing else.
    replay = venue.start(stack.directory, host=cluster.host_address, port=venue_port)
    system = System(stack, cluster, kafka, replay)
    progress("images from Dockerfile.operator and Dockerfile.worker")
    for image in images.build_all(cache_directory(os.environ), progress):
        cluster.load_image(image)
    clients.service(cluster, "kafka", "kafka-bootstrap", 9093, kafka.pods_port)
    clients.service(cluster, "venue", "binance-replay", 8080, venue_port)
    progress("the operator, by its chart")
    install_operator(cluster, kafka)
    if was_running:
        restart_operator(cluster)
    open_namespace(cluster, kafka, TASK_NAMESPACE)
    return system


def stop(stack: Stack, progress: Progress) -> None:
    """Stop every part of the stack and remove its state; what is built and fetched is kept."""
    progress(f"stopping {stack.name}")
    clusters.stop(stack)
    venue.stop(stack.directory)
    kafka_broker.stop(stack.directory)
    shutil.rmtree(stack.directory, ignore_errors=True)


def shell_variables(stack: Stack) -> dict[str, str]:
    """What a shell needs to talk to the running cluster. Raises DevstackError without one."""
    cluster = clusters.find(stack)
    if cluster is None:
        raise DevstackError("no cluster runs for this checkout", "start it with: make up")
    programs = Path(clients.client_program("kubectl")).parent
    return {
        "KUBECONFIG": str(cluster.kubeconfig),
        "PATH": f"{programs}:$PATH",
        "NO_PROXY": f"{stack.node_address},${{NO_PROXY:-}}",
    }


def diagnosis(stack: Stack) -> str:
    """The logs of all parts, and what the cluster says about its objects, in one text."""
    cluster = clusters.find(stack)
    if cluster is None:
        return diagnose.collected(stack.directory)
    kubectl = clients.client_program("kubectl")
    return diagnose.collected(stack.directory, cluster.kubeconfig, kubectl)
