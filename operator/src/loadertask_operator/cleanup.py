"""What a plan takes away: Job, pods, finalizer, the task itself. No decision is made here.

A step that fails holds up none of the others: a Job that nobody may delete must not keep its task.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Iterator

from loadertask_operator.errors import ApiError, NotFoundError, RefusedError
from loadertask_operator.observed import JobState, Observed, PodState
from loadertask_operator.plan import Plan, Propagation
from loadertask_operator.ports import Api
from loadertask_operator.schema import LoaderTask
from loadertask_operator.store import Store

logger = logging.getLogger(__name__)


class Cleanup:
    """The last part of each plan."""

    def __init__(self, api: Api, store: Store) -> None:
        self._api = api
        self._store = store

    async def run(self, task: LoaderTask, observed: Observed, plan: Plan) -> None:
        """Take all steps of ``plan``, whatever becomes of one of them.

        Raises:
            ApiError: a step failed, the last one of those that did.

        """
        failure: ApiError | None = None
        for step in self._steps(task, observed.own_job, plan):
            try:
                await step
            except ApiError as error:
                if failure:
                    logger.warning("also failed: %s", failure, extra={"task": str(task.key)})
                failure = error
        if failure:
            raise failure

    def _steps(
        self, task: LoaderTask, job: JobState | None, plan: Plan
    ) -> Iterator[Coroutine[None, None, None]]:
        if plan.delete_job and job:
            yield self._delete_job(job, plan.delete_job)
        for pod in plan.delete_pods:
            yield self._delete_pod(pod)
        if plan.job_ttl_s is not None and job:
            yield self._set_job_ttl(job, plan.job_ttl_s)
        yield self._release(task, plan)

    async def _delete_job(self, job: JobState, propagation: Propagation) -> None:
        try:
            left = await self._api.delete_job(job, propagation)
        except NotFoundError:
            self._store.forget_job(job.namespace, job.name, job.uid)
            return
        if left:
            # The watch may be late: nothing is deleted twice, and the bound counts from now.
            self._store.remember_job(left)

    async def _delete_pod(self, pod: PodState) -> None:
        try:
            left = await self._api.delete_pod(pod)
        except NotFoundError:
            self._store.forget_pod(pod)
            return
        except RefusedError as error:
            # An older chart lacks that right: the pod then ends by itself, or by a person.
            logger.warning("pod %s is not deleted: %s", pod.name, error.message)
            return
        if left:
            self._store.remember_pod(left)

    async def _set_job_ttl(self, job: JobState, ttl_s: int) -> None:
        try:
            self._store.remember_job(await self._api.set_job_ttl(job, ttl_s))
        except NotFoundError:
            self._store.forget_job(job.namespace, job.name, job.uid)

    async def _release(self, task: LoaderTask, plan: Plan) -> None:
        if not plan.needs_finalizer and task.has_finalizer:
            task = await self._api.set_finalizer(task, present=False)
            if task.deletion_time is None:
                self._store.remember_task(task)
        if plan.delete_task:
            await self._api.delete_task(task)
