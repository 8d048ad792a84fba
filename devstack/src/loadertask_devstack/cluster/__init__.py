"""A Kubernetes cluster for the local system: built and run here, by kind, or one that exists."""

from loadertask_devstack.cluster.model import Cluster
from loadertask_devstack.cluster.providers import find, prepare, start, stop

__all__ = ["Cluster", "find", "prepare", "start", "stop"]
