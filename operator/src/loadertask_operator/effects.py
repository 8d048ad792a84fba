"""Carry out a plan: store the intent, then act, then clean up. No decision is made here.

A crash between any two lines is repaired by the next reconcile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from loadertask_operator.announcements import Announcements
from loadertask_operator.cleanup import Cleanup
from loadertask_operator.conditions import EventReason, is_terminal
from loadertask_operator.configuration import Configuration
from loadertask_operator.errors import ConflictError, InvalidError, RefusedError, UnavailableError
from loadertask_operator.expectation import expectation
from loadertask_operator.inbox import Inbox
from loadertask_operator.lifetimes import Lifetimes
from loadertask_operator.manifests.job import render_job
from loadertask_operator.metrics import Metrics
from loadertask_operator.observed import Observed
from loadertask_operator.plan import Notice, Plan
from loadertask_operator.ports import Api, StopSender
from loadertask_operator.schema import LoaderTask, TaskKey
from loadertask_operator.status import CurrentAttempt, Status, StopStatus
from loadertask_operator.store import Store
from loadertask_operator.turns import Turns
from loadertask_operator.writes import WriteBudget

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every reconcile works with, for the life of the process."""

    api: Api
    store: Store
    inbox: Inbox
    stop_sender: StopSender
    configuration: Configuration
    metrics: Metrics
    clock: Callable[[], datetime]


class Effects:
    """The writing half of a reconcile, and what it remembers between runs."""

    def __init__(self, around: Surroundings, turns: Turns) -> None:
        self._around = around
        self._turns = turns
        self._budget = WriteBudget(around.configuration.status_write_s)
        self._lifetimes = Lifetimes(around.metrics)
        self._stopped: dict[TaskKey, LoaderTask] = {}
        self._refusals: dict[TaskKey, tuple[str, datetime]] = {}
        self._announcements = Announcements(around.api)
        self._cleanup = Cleanup(around.api, around.store)
        self._unstored_stops: dict[TaskKey, tuple[str, StopStatus | None]] = {}
        """By task and its uid."""

    def as_known(self, task: LoaderTask) -> LoaderTask:
        """``task``, when it is being deleted with the stop that its status may not hold.

        Without it a status that is refused would begin the stop anew at each look.
        """
        uid, stop = self._unstored_stops.get(task.key, ("", None))
        if uid != task.uid or task.deletion_time is None:
            return task
        return replace(task, status=task.status.model_copy(update={"stop": stop}))

    async def apply(self, observed: Observed, plan: Plan) -> float | None:
        """Carry out ``plan``, in the order of its fields; the seconds until the next look."""
        task = observed.task
        if plan.needs_finalizer and not task.has_finalizer and task.deletion_time is None:
            task = await self._set_finalizer(task)
        await self._announcements.prepare(task, plan)
        try:
            task, wait_s = await self._store_status(task, plan, observed)
        except (RefusedError, UnavailableError):
            if task.deletion_time is None:
                raise
            # That it is to go is stored by the API server itself: what is done for that needs no
            # other intent, and must not depend on one that can never be stored.
            self._unstored_stops[task.key] = (task.uid, plan.status.stop)
            await self._act(task, observed, plan, None)
            raise
        return await self._act(task, observed, plan, wait_s)

    async def _act(
        self, task: LoaderTask, observed: Observed, plan: Plan, wait_s: float | None
    ) -> float | None:
        if plan.send_stop:
            self._around.stop_sender.request_stop(task.queue_id)
            self._stopped[task.key] = task
            self._turns.note_stop(task, self._around.clock())
        elif plan.status.stop is None or not plan.needs_finalizer:
            self._forget_stop(task.key)
        waits_s = [wait_s, self._seconds_until(plan.recheck_at)]
        if plan.create:
            waits_s.append(await self._create_job(task, plan.create))
        await self._announcements.tell(task)
        await self._cleanup.run(task, observed, plan)
        return min((wait for wait in waits_s if wait is not None), default=None)

    async def _store_status(
        self, task: LoaderTask, plan: Plan, observed: Observed
    ) -> tuple[LoaderTask, float | None]:
        """Write the status if it is new and due; settle its events once it is stored."""
        key, before = task.key, task.status
        if plan.status != before:
            wait_s = self._budget.seconds_to_wait(key, before, plan.status, observed.events)
            if wait_s > 0:
                return task, wait_s
            task = await self._write_status(task, plan)
            self._count_events(before, plan.status, observed)
        self._around.inbox.settle(key, observed.events)
        return task, None

    async def _write_status(self, task: LoaderTask, plan: Plan) -> LoaderTask:
        try:
            written = await self._around.api.put_status(task, plan.status)
        except InvalidError:
            # A status that the schema refuses will be refused again: its events must not hold
            # back the offsets of all others.
            self._around.inbox.drop(task.key)
            raise
        except (RefusedError, UnavailableError):
            self._around.inbox.relieve(task.key)
            raise
        self._unstored_stops.pop(task.key, None)
        self._around.store.remember_task(written)
        self._budget.note_write(task.key)
        self._around.metrics.status_writes.inc()
        self._lifetimes.note(task, plan.status, self._around.clock())
        if plan.status.phase != task.status.phase:
            attempt = plan.status.current_attempt
            logger.info(
                "%s: %s %s",
                plan.status.phase,
                plan.status.reason,
                plan.status.message,
                extra={"task": str(task.key), "attempt": attempt.number if attempt else 0},
            )
        return written

    async def _create_job(self, task: LoaderTask, attempt: CurrentAttempt) -> float | None:
        """Create the Job if the live object still wants it; a Job of that name may be ours."""
        live = await self._around.api.get_task(task.key)
        self._around.store.remember_task(live)
        wants_it = live.uid == task.uid and live.deletion_time is None
        if not wants_it or is_terminal(live.status) or live.status.current_attempt != attempt:
            return 0
        if self._turns.rival_of(live):
            # Seen since the decision was made: of two that come together, one has to wait.
            return 0
        try:
            with self._turns.starting(live.key):
                job = await self._around.api.create_job(
                    render_job(live, self._around.configuration, attempt)
                )
                self._around.store.remember_job(job)
        except ConflictError:
            # Ours is adopted, another's becomes a NameConflict, by the next look.
            return 0
        except RefusedError as error:
            return self._note_refusal(task, error)
        self._refusals.pop(task.key, None)
        self._around.metrics.submit_latency.observe(
            (self._around.clock() - task.creation_time).total_seconds()
        )
        expected = expectation(live.spec, self._around.clock())
        message = f"created Job {job.name}" + (f": {expected}" if expected else "")
        notice = Notice(EventReason.JOB_CREATED.value, message)
        await self._around.api.post_event(task, notice)
        return 0

    def _note_refusal(self, task: LoaderTask, error: RefusedError) -> float:
        until = self._around.clock() + timedelta(seconds=self._around.configuration.resync_s)
        self._refusals[task.key] = (error.message, until)
        self._budget.forget(task.key)
        # First the refusal is told, then, when it has expired, the Job is tried again.
        return 0

    async def _set_finalizer(self, task: LoaderTask) -> LoaderTask:
        changed = await self._around.api.set_finalizer(task, present=True)
        self._around.store.remember_task(changed)
        return changed

    def refusal(self, key: TaskKey) -> str | None:
        """Why the API server refused the Job of a task lately."""
        message, until = self._refusals.get(key, ("", None))
        if until is None or self._around.clock() >= until:
            return None
        return message

    def forget(self, key: TaskKey) -> None:
        """The task is gone."""
        self._around.inbox.drop(key)
        self._budget.forget(key)
        self._lifetimes.forget(key)
        self._refusals.pop(key, None)
        self._unstored_stops.pop(key, None)
        self._announcements.forget(key)
        self._forget_stop(key)

    def _forget_stop(self, key: TaskKey) -> None:
        """No stop that was not sent yet may reach the next worker, or the next task."""
        if task := self._stopped.pop(key, None):
            self._around.stop_sender.forget_stop(task.queue_id)
            # It may have been on its way since it was asked for: none comes from now on.
            self._turns.note_stop(task, self._around.clock())

    def _seconds_until(self, moment: datetime | None) -> float | None:
        return None if moment is None else max(0.0, (moment - self._around.clock()).total_seconds())

    def _count_events(self, before: Status, after: Status, observed: Observed) -> None:
        applied = _applied(after) - _applied(before)
        if applied > 0:
            self._around.metrics.events_applied.inc(applied)
        if observed.events and before.phase != after.phase:
            delay_s = (self._around.clock() - observed.events[-1].time).total_seconds()
            self._around.metrics.event_to_status.observe(max(delay_s, 0))


def _applied(status: Status) -> int:
    return status.telemetry.events_applied if status.telemetry else 0
