"""The operator's one client of the API server: requests in, typed values and our errors out.

It speaks JSON without the models of the official client: they would cost more time than the
requests. It decides nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from kubernetes.aio import client

from loadertask_operator import names
from loadertask_operator.connection import JSON, Connection
from loadertask_operator.errors import ApiError
from loadertask_operator.observed import JobState, PodState, parse_job, parse_pod
from loadertask_operator.partial_answers import LISTED, WRITTEN
from loadertask_operator.plan import Notice, Propagation
from loadertask_operator.schema import LoaderTask, TaskKey, parse_task
from loadertask_operator.status import Status, render_status
from loadertask_operator.store import Presence

logger = logging.getLogger(__name__)

_PAGE = 500
_METADATA_ONLY = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_MERGE_PATCH = "application/merge-patch+json"


class Cluster:
    """Every request the operator makes; ``may_write`` raises where none but reads may be made."""

    def __init__(
        self, api_client: client.ApiClient, may_write: Callable[[], None] = lambda: None
    ) -> None:
        self._connection = Connection(api_client, may_write)

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def list_tasks(self, namespace: str | None) -> list[LoaderTask]:
        """All tasks of a namespace, or of all."""
        return [parse_task(item) for item in await self._list(_tasks_path(namespace))]

    async def list_jobs(self, namespace: str | None) -> list[JobState]:
        """Our Jobs of a namespace, or of all."""
        return [parse_job(item) for item in await self._list(_jobs_path(namespace), own=True)]

    async def list_pods(self, namespace: str | None) -> list[PodState]:
        """Pods of our Jobs of a namespace, or of all."""
        path = _pods_path(namespace)
        return [parse_pod(item) for item in await self._list(path, own=True)]

    async def present_tasks(self, namespace: str | None) -> Presence:
        """Which tasks there are in a namespace, or in all."""
        return await self._presence(namespace, _tasks_path(namespace))

    async def present_jobs(self, namespace: str | None) -> Presence:
        """Which of our Jobs there are in a namespace, or in all."""
        return await self._presence(namespace, _jobs_path(namespace), own=True)

    async def present_pods(self, namespace: str | None) -> Presence:
        """Which pods of our Jobs there are in a namespace, or in all."""
        return await self._presence(namespace, _pods_path(namespace), own=True)

    async def get_task(self, key: TaskKey) -> LoaderTask:
        """The live object."""
        return parse_task(await self._connection.request("GET", _task_path(key)))

    async def put_status(self, task: LoaderTask, status: Status) -> LoaderTask:
        """Replace the status; a ConflictError when the object has changed."""
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {
                "name": task.name,
                "namespace": task.namespace,
                "uid": task.uid,
                "resourceVersion": str(task.resource_version),
            },
            "status": render_status(status),
        }
        path = f"{_task_path(task.key)}/status?fieldValidation=Strict"
        answer = await self._connection.request_part(WRITTEN, "PUT", path, body)
        # Of an object that has not changed since, what was written is what is stored.
        return replace(task, resource_version=answer.metadata.resource_version, status=status)

    async def set_finalizer(self, task: LoaderTask, *, present: bool) -> LoaderTask:
        """Add or remove our finalizer."""
        finalizers = [name for name in task.finalizers if name != names.FINALIZER]
        if present:
            finalizers.append(names.FINALIZER)
        body = {
            "metadata": {
                "uid": task.uid,
                "resourceVersion": str(task.resource_version),
                "finalizers": finalizers,
            }
        }
        answer = await self._connection.request_part(
            WRITTEN, "PATCH", _task_path(task.key), body, content_type=_MERGE_PATCH
        )
        version = answer.metadata.resource_version
        return replace(task, resource_version=version, finalizers=tuple(finalizers))

    async def delete_task(self, task: LoaderTask) -> None:
        """Delete this very object."""
        options = {"preconditions": {"uid": task.uid}, "propagationPolicy": "Background"}
        await self._connection.send("DELETE", _task_path(task.key), options)

    async def get_job(self, namespace: str, name: str) -> JobState:
        """The live Job."""
        return parse_job(await self._connection.request("GET", _job_path(namespace, name)))

    async def create_job(self, manifest: dict[str, Any]) -> JobState:
        """Create a Job; a ConflictError when the name is taken."""
        path = f"{_jobs_path(manifest['metadata']['namespace'])}?fieldValidation=Strict"
        return parse_job(await self._connection.request("POST", path, manifest))

    async def set_job_ttl(self, job: JobState, ttl_s: int) -> JobState:
        """Let the cluster delete an ended Job."""
        body = {"metadata": {"uid": job.uid}, "spec": {"ttlSecondsAfterFinished": ttl_s}}
        path = _job_path(job.namespace, job.name)
        return parse_job(
            await self._connection.request("PATCH", path, body, content_type=_MERGE_PATCH)
        )

    async def delete_job(self, job: JobState, propagation: Propagation) -> JobState | None:
        """Delete this very Job; what is left of it while its deletion goes on."""
        options = {"preconditions": {"uid": job.uid}, "propagationPolicy": propagation.value}
        answer = await self._connection.request(
            "DELETE", _job_path(job.namespace, job.name), options
        )
        # The Job itself while finalizers hold it, else only that it was done.
        return parse_job(answer) if answer.get("kind") == "Job" else None

    async def delete_pod(self, pod: PodState) -> PodState | None:
        """Ask this very pod to end within its own grace period; what is left of it meanwhile."""
        path = _path("/api/v1", pod.namespace, "pods", pod.name)
        answer = await self._connection.request("DELETE", path, {"preconditions": {"uid": pod.uid}})
        return parse_pod(answer) if answer.get("kind") == "Pod" else None

    async def pod_refusals(self, namespace: str) -> dict[str, str]:
        """By uid of a Job of anybody, why it last could not make a pod."""
        selector = "involvedObject.kind=Job,reason=FailedCreate"
        events = await self._list(_path("/api/v1", namespace, "events"), fieldSelector=selector)
        events.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
        return {event["involvedObject"].get("uid", ""): event["message"] for event in events}

    async def post_event(self, task: LoaderTask, notice: Notice) -> None:
        """Tell people, as a Kubernetes Event; failures are only logged."""
        path = _path("/api/v1", task.namespace, "events")
        try:
            await self._connection.send("POST", path, _event(task, notice, datetime.now(UTC)))
        except ApiError as error:
            logger.warning("event not posted: %s", error, extra={"task": str(task.key)})

    async def _list(
        self, path: str, *, own: bool = False, **selectors: str
    ) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        query = {"limit": str(_PAGE), **selectors}
        if own:
            query["labelSelector"] = names.OWN_OBJECTS_SELECTOR
        while True:
            page = await self._connection.request("GET", f"{path}?{urlencode(query)}")
            items += page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return items
            query["continue"] = token

    async def _presence(self, namespace: str | None, path: str, *, own: bool = False) -> Presence:
        """Identities out of the API server's cache: that may lag, and its version says how far."""
        query = {"resourceVersion": "0"}
        if own:
            query["labelSelector"] = names.OWN_OBJECTS_SELECTOR
        answer = await self._connection.request_part(
            LISTED, "GET", f"{path}?{urlencode(query)}", accept=_METADATA_ONLY
        )
        versions = {i.metadata.uid: i.metadata.resource_version for i in answer.items or ()}
        listed_at = answer.metadata.resource_version
        return Presence(namespace, listed_at, frozenset(versions), versions)


def _event(task: LoaderTask, notice: Notice, now: datetime) -> dict[str, Any]:
    time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{task.name}.", "namespace": task.namespace},
        "involvedObject": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "name": task.name,
            "namespace": task.namespace,
            "uid": task.uid,
        },
        "type": "Warning" if notice.is_warning else "Normal",
        "reason": notice.reason,
        "message": notice.message[:1024],
        "source": {"component": names.COMPONENT},
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }


def _path(group: str, namespace: str | None, *rest: str) -> str:
    scope = ("namespaces", namespace) if namespace else ()
    return "/".join([group, *(quote(part, safe="") for part in (*scope, *rest))])


def _tasks_path(namespace: str | None) -> str:
    return _path(f"/apis/{names.API_VERSION}", namespace, names.PLURAL)


def _task_path(key: TaskKey) -> str:
    return f"{_tasks_path(key.namespace)}/{quote(key.name, safe='')}"


def _jobs_path(namespace: str | None) -> str:
    return _path("/apis/batch/v1", namespace, "jobs")


def _pods_path(namespace: str | None) -> str:
    return _path("/api/v1", namespace, "pods")


def _job_path(namespace: str, name: str) -> str:
    return f"{_jobs_path(namespace)}/{quote(name, safe='')}"
