"""Bring one task one step further: gather what is seen, decide, apply the plan.

It talks to the API server and to Kafka only through ``ports``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from loadertask_operator.conditions import is_terminal
from loadertask_operator.decide import decide
from loadertask_operator.effects import Effects, Surroundings
from loadertask_operator.errors import ConflictError, NotFoundError
from loadertask_operator.listening import Listening
from loadertask_operator.manifests.environment import environment_of, next_attempt
from loadertask_operator.observed import JobState, Observed
from loadertask_operator.pod_refusals import PodRefusals
from loadertask_operator.schema import LoaderTask, TaskKey
from loadertask_operator.shards import telling_pod
from loadertask_operator.situation import Rules
from loadertask_operator.status import CurrentAttempt
from loadertask_operator.turns import Turns

logger = logging.getLogger(__name__)


class Reconciler:
    """The three steps, and the little memory they need between runs."""

    def __init__(
        self, around: Surroundings, wake: Callable[[TaskKey], None] = lambda key: None
    ) -> None:
        self._around = around
        configuration = around.configuration
        interval = timedelta(seconds=configuration.resync_s)
        self._pod_refusals = PodRefusals(around.api, around.clock, interval)
        self._turns = Turns(around.store, configuration.worker_kafka_servers, wake)
        self._effects = Effects(around, self._turns)
        self._rules = Rules(grace=configuration.grace)
        self._listening = Listening(around.clock(), configuration.grace)
        self._absent_jobs: dict[TaskKey, tuple[str, str]] = {}

    def note_broker(self, is_reachable: bool) -> bool:
        """All events have been read, or none can be; whether that is news."""
        self._around.inbox.note_reader(is_reachable)
        return self._listening.note(self._around.clock(), is_reachable=is_reachable)

    async def reconcile(self, key: TaskKey) -> float | None:
        """Do what is to be done now; the seconds until time alone may change that."""
        try:
            return await self._step(key)
        finally:
            self._turns.note_look(key)

    async def _step(self, key: TaskKey) -> float | None:
        task = self._around.store.task(key)
        if task is None:
            self._forget(key)
            return None
        try:
            observed = await self._gather(task)
            plan = decide(observed, self._rules, self._around.clock())
            return await self._effects.apply(observed, plan)
        except NotFoundError:
            return await self._refresh(task)
        except ConflictError as error:
            logger.info("outdated view: %s", error.message, extra={"task": str(key)})
            return await self._refresh(task)

    async def _gather(self, task: LoaderTask) -> Observed:
        task = self._effects.as_known(task)
        attempt = task.status.current_attempt
        refusal = self._effects.refusal(task.key)
        job = await self._find_job(task, attempt) if attempt else None
        pods = self._around.store.pods(task.key, attempt.number) if attempt else ()
        return Observed(
            task=task,
            job=job,
            pod=telling_pod(pods, job),
            shard_pods=pods if task.status.shards else (),
            events=self._around.inbox.pending(task.key),
            broker_is_reachable=self._listening.is_possible,
            has_caught_up=self._listening.has_caught_up,
            listening_since=self._listening.since_for(
                task.status.telemetry.last_heartbeat_time if task.status.telemetry else None
            ),
            spec_problems=() if attempt else self._render_problems(task),
            rival=self._turns.rival_of(task) if not is_terminal(task.status) else None,
            other_stopped_at=self._turns.other_stopped_at(task),
            ban=self._around.store.bans.on(
                task.spec, self._around.configuration.binance_api_url, self._around.clock()
            ),
            pod_refusal=await self._pod_refusals.of(job, len(pods), len(task.status.shards) or 1),
            refusal=refusal,
        )

    async def _find_job(self, task: LoaderTask, attempt: CurrentAttempt) -> JobState | None:
        """The Job of the attempt; absence is believed only from the API server itself.

        Of an attempt that has ended it is asked once: its Job may still be on its way out, and no
        second one may be made meanwhile; but it never comes back.
        """
        known = self._around.store.job(task.namespace, attempt.job_name)
        if is_terminal(task.status) or (known and known.owner_uid == task.uid):
            return known
        place = (task.uid, attempt.job_name)
        has_ended = task.status.ending_of(attempt.number) is not None
        if has_ended and self._absent_jobs.get(task.key) == place:
            return known
        try:
            job = await self._around.api.get_job(task.namespace, attempt.job_name)
        except NotFoundError:
            if has_ended:
                self._absent_jobs[task.key] = place
            return None
        if job.owner_uid == task.uid:
            self._around.store.remember_job(job)
        return job

    def _render_problems(self, task: LoaderTask) -> tuple[str, ...]:
        """What the contract says against the environment that the worker would get."""
        if task.spec is None:
            return ()
        try:
            environment_of(task, self._around.configuration, next_attempt(task))
        except ValueError as error:
            return (f"spec: {error}",)
        return ()

    async def _refresh(self, task: LoaderTask) -> float | None:
        """Our view was outdated: look at the object itself."""
        try:
            live = await self._around.api.get_task(task.key)
        except NotFoundError:
            self._around.store.forget_task(task.key, task.uid)
            self._forget(task.key)
            return None
        self._around.store.remember_task(live)
        return 0

    def _forget(self, key: TaskKey) -> None:
        self._effects.forget(key)
        self._absent_jobs.pop(key, None)
