"""What the reconcile needs of the world outside: the API server and a sender of commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from loadertask_operator.observed import JobState, PodState
from loadertask_operator.plan import Notice, Propagation
from loadertask_operator.schema import LoaderTask, TaskKey
from loadertask_operator.status import Status


class Api(Protocol):
    """What a reconcile asks of the API server; all raise ``errors.ApiError``."""

    async def get_task(self, key: TaskKey) -> LoaderTask:
        """The live object."""

    async def put_status(self, task: LoaderTask, status: Status) -> LoaderTask:
        """Replace the status; a ConflictError when the object has changed."""

    async def set_finalizer(self, task: LoaderTask, *, present: bool) -> LoaderTask:
        """Add or remove our finalizer."""

    async def delete_task(self, task: LoaderTask) -> None:
        """Delete this very object."""

    async def get_job(self, namespace: str, name: str) -> JobState:
        """The live Job."""

    async def create_job(self, manifest: dict[str, Any]) -> JobState:
        """Create a Job; a ConflictError when the name is taken."""

    async def set_job_ttl(self, job: JobState, ttl_s: int) -> JobState:
        """Let the cluster delete an ended Job."""

    async def delete_job(self, job: JobState, propagation: Propagation) -> JobState | None:
        """Delete this very Job; what is left of it while its deletion goes on."""

    async def delete_pod(self, pod: PodState) -> PodState | None:
        """Ask this very pod to end; what is left of it while it does."""

    async def pod_refusals(self, namespace: str) -> Mapping[str, str]:
        """By uid of a Job of anybody, why it last could not make a pod."""

    async def post_event(self, task: LoaderTask, notice: Notice) -> None:
        """Tell people, as a Kubernetes Event; failures are only logged."""


class StopSender(Protocol):
    """Sends stop commands in the background; never blocks, never raises."""

    def request_stop(self, queue_id: str) -> None:
        """Have a stop command sent."""

    def forget_stop(self, queue_id: str) -> None:
        """Send none that was asked for and is not sent yet."""
