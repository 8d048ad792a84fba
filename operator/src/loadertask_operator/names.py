"""Names the operator gives: API group, labels, finalizer, Jobs, producer ids, queue ids.

Deterministic from the task alone, so that a restarted operator finds what it made.
"""

from __future__ import annotations

import hashlib

from loadertask_contract.task_types import TaskType

GROUP = "streamforge.io"
VERSION = "v1alpha1"
PLURAL = "loadertasks"
KIND = "LoaderTask"
API_VERSION = f"{GROUP}/{VERSION}"

COMPONENT = "loadertask-operator"
FINALIZER = f"{GROUP}/graceful-stop"
SKIP_GRACEFUL_STOP_ANNOTATION = f"{GROUP}/skip-graceful-stop"

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
TASK_LABEL = f"{GROUP}/task"
ATTEMPT_LABEL = f"{GROUP}/attempt"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
OWN_OBJECTS_SELECTOR = f"{MANAGED_BY_LABEL}={COMPONENT}"

SHARD_LABEL = "batch.kubernetes.io/job-completion-index"
"""Which shard a pod of an Indexed Job loads; given by Kubernetes."""
JOB_UID_LABEL = "batch.kubernetes.io/controller-uid"
"""Which Job made a pod; given by Kubernetes, and kept by a pod that outlives its Job."""

CONTAINER = "loader"
DISRUPTION = "DisruptionTarget"
"""The condition of a pod that Kubernetes ends for reasons of its own."""
CA_DIRECTORY = "/certs"
CA_PATH = f"{CA_DIRECTORY}/ca.crt"


def job_name(task_name: str, attempt: int) -> str:
    """The name of the Job of an attempt."""
    return f"{task_name}-{attempt}"


def producer_id(uid: str, attempt: int, task_type: TaskType) -> str:
    """How the worker of an attempt signs its events; unique per attempt (design contract §1)."""
    digest = hashlib.sha256(f"{uid}/{attempt}".encode()).hexdigest()[:6]
    prefix = "loader-ws-candles" if task_type is TaskType.WS_CANDLES else "loader-producer"
    return f"{prefix}__{digest}"


def default_queue_id(task_name: str, uid: str) -> str:
    """The queue id of a task that names none: a new object of an old name is a new workflow."""
    return f"{task_name}-{uid[:8]}"


def labels(task_name: str, attempt: int) -> dict[str, str]:
    """Labels of the Job and its pod: ours only, the parent's would travel with their meaning."""
    return {
        MANAGED_BY_LABEL: COMPONENT,
        TASK_LABEL: task_name,
        ATTEMPT_LABEL: str(attempt),
    }
