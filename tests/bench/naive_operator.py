"""An operator as a first afternoon with kopf gives it, to compare with: handlers, timers, polling.

It makes a Job for each task and polls its status every few seconds; no events, no retries. Run by
bench_operator.py as `python -m kopf run`, with the namespace in NAMESPACE.
"""

from __future__ import annotations

from typing import Any

import kopf
from kubernetes import client, config

_PLURAL = ("streamforge.io", "v1alpha1", "loadertasks")
_POLL_S = 5.0


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    config.load_kube_config()
    settings.posting.enabled = False


@kopf.on.create(*_PLURAL)
def create(name: str, namespace: str, body: kopf.Body, **_: Any) -> None:
    container = {"name": "loader", "image": "loader"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{name}-1", "namespace": namespace},
        "spec": {"template": template},
    }
    kopf.adopt(job, owner=body)
    client.BatchV1Api().create_namespaced_job(namespace, job)


@kopf.timer(*_PLURAL, interval=_POLL_S)
def poll(name: str, namespace: str, patch: kopf.Patch, **_: Any) -> None:
    try:
        job = client.BatchV1Api().read_namespaced_job(f"{name}-1", namespace)
    except client.ApiException:
        return
    patch.status["phase"] = "Succeeded" if job.status.succeeded else "Running"
