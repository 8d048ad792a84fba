"""Reconcile against an API server in memory: order of effects, crashes between them, refusals."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.operator.worlds import NOW, UID, make_event, make_task, task_body

from loadertask_contract.events import encode_event
from loadertask_operator.conditions import TERMINAL_TYPES, is_terminal
from loadertask_operator.configuration import read_configuration
from loadertask_operator.effects import Surroundings
from loadertask_operator.errors import (
    ApiError,
    ConflictError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    api_error,
)
from loadertask_operator.inbox import Inbox, Record
from loadertask_operator.metrics import Metrics
from loadertask_operator.names import FINALIZER
from loadertask_operator.observed import JobOutcome, JobState, PodEnd, PodState, parse_job
from loadertask_operator.plan import Notice, Propagation
from loadertask_operator.reconcile import Reconciler
from loadertask_operator.resync import forget_vanished
from loadertask_operator.schema import LoaderTask, TaskKey, parse_task
from loadertask_operator.status import Phase, Status, StopStatus, render_status
from loadertask_operator.store import Presence, Store

KEY = TaskKey("loads", "btc")


class CrashError(Exception):
    """SIGKILL of the operator, as seen by nobody."""


class LostAnswerError(UnavailableError):
    """The request was carried out, and its answer did not come."""


class MemoryApi:
    """The API server's rules that matter here: versions, names, finalizers, the latch."""

    def __init__(self, task: LoaderTask) -> None:
        self.tasks = {task.key: task}
        self.jobs: dict[str, JobState] = {}
        self.pods: dict[str, PodState] = {}
        self.created: list[str] = []
        self.deleted: list[tuple[str, Propagation]] = []
        self.events: list[Notice] = []
        self.writes = 0
        self.refused_pods: dict[str, str] = {}
        self.refusal_lists = 0
        self.clock = lambda: NOW
        self.stops: list[tuple[str, datetime]] = []
        """What lies in queue-control: a new worker obeys what is as young as it is told."""
        self.failures: list[Exception | None] = []
        """What the next requests raise; a crash or a lost answer comes after the effect."""

    def _request(self) -> Exception | None:
        failure = self.failures.pop(0) if self.failures else None
        if failure and not isinstance(failure, CrashError | LostAnswerError):
            raise failure
        return failure

    @staticmethod
    def _end(failure: Exception | None) -> None:
        if failure:
            raise failure

    async def get_task(self, key: TaskKey) -> LoaderTask:
        self._end(self._request())
        if key not in self.tasks:
            raise NotFoundError(404, "gone")
        return self.tasks[key]

    def _current(self, task: LoaderTask) -> LoaderTask:
        live = self.tasks.get(task.key)
        if live is None:
            raise NotFoundError(404, "gone")
        if live.resource_version != task.resource_version:
            raise ConflictError(409, "changed")
        return live

    async def put_status(self, task: LoaderTask, status: Status) -> LoaderTask:
        failure = self._request()
        live = self._current(task)
        for kind in TERMINAL_TYPES:
            assert not live.status.is_true(kind) or status.is_true(kind), "an end was undone"
        rendered = parse_task(task_body() | {"status": render_status(status)}).status
        assert rendered == status, "what is stored is what was decided"
        self.writes += 1
        return self._store(replace(live, status=status), failure)

    def _store(self, task: LoaderTask, failure: Exception | None = None) -> LoaderTask:
        task = replace(task, resource_version=task.resource_version + 1)
        if task.deletion_time and not task.finalizers:
            self.tasks.pop(task.key, None)
        else:
            self.tasks[task.key] = task
        self._end(failure)
        return task

    async def set_finalizer(self, task: LoaderTask, *, present: bool) -> LoaderTask:
        failure = self._request()
        live = self._current(task)
        self.writes += 1
        return self._store(replace(live, finalizers=(FINALIZER,) if present else ()), failure)

    async def delete_task(self, task: LoaderTask) -> None:
        failure = self._request()
        del self.tasks[task.key]
        self._end(failure)

    async def get_job(self, namespace: str, name: str) -> JobState:
        self._end(self._request())
        if name not in self.jobs:
            raise NotFoundError(404, "gone")
        return self.jobs[name]

    async def create_job(self, manifest: dict[str, Any]) -> JobState:
        failure = self._request()
        name = manifest["metadata"]["name"]
        if name in self.jobs:
            raise ConflictError(409, "exists")
        assert name not in self.created, "one attempt, one Job"
        assert not any(map(self._may_run, self.jobs.values())), "one Job at a time"
        assert not any(pod.may_run for pod in self.pods.values()), "one worker at a time"
        assert not list(self._stops_for(manifest)), "no stop of another is for the new worker"
        body = manifest | {"status": {}}
        body["metadata"] = body["metadata"] | {
            "uid": f"uid-{name}",
            "resourceVersion": "1",
            "creationTimestamp": self.clock().replace(microsecond=0).isoformat(),
        }
        self.jobs[name] = parse_job(body)
        self.created.append(name)
        self.writes += 1
        self._end(failure)
        return self.jobs[name]

    def _stops_for(self, manifest: dict[str, Any]) -> Iterable[datetime]:
        variables = manifest["spec"]["template"]["spec"]["containers"][0]["env"]
        told = {item["name"]: item.get("value") for item in variables}
        since = datetime.fromisoformat(told["LOADER_CONTROL_SINCE"])
        return (at for queue, at in self.stops if queue == told["QUEUE_ID"] and at >= since)

    async def set_job_ttl(self, job: JobState, ttl_s: int) -> JobState:
        failure = self._request()
        assert is_terminal(self.tasks[KEY].status) or self.tasks[KEY].status.attempt_history
        self.jobs[job.name] = replace(job, ttl_s=ttl_s)
        self.writes += 1
        self._end(failure)
        return self.jobs[job.name]

    async def pod_refusals(self, namespace: str) -> dict[str, str]:
        self.refusal_lists += 1
        return self.refused_pods

    async def delete_job(self, job: JobState, propagation: Propagation) -> JobState | None:
        failure = self._request()
        self.deleted.append((job.name, propagation))
        live = self.jobs.get(job.name)
        if live is None:
            raise NotFoundError(404, "gone")
        if propagation is Propagation.BACKGROUND:
            del self.jobs[job.name]
        elif not live.is_deleting:
            version = live.resource_version + 1
            self.jobs[job.name] = replace(
                live, is_deleting=True, deleted_at=self.clock(), resource_version=version
            )
        self._end(failure)
        return self.jobs.get(job.name)

    async def delete_pod(self, pod: PodState) -> PodState | None:
        failure = self._request()
        live = self.pods.get(pod.name)
        if live is None or live.uid != pod.uid:
            raise NotFoundError(404, "gone")
        assert live.deleted_at is None, "a pod is asked to end once"
        gone_at, version = self.clock() + timedelta(seconds=30), live.resource_version + 1
        self.pods[pod.name] = replace(live, deleted_at=gone_at, resource_version=version)
        self._end(failure)
        return self.pods[pod.name]

    def end_deletions(self) -> None:
        """The garbage collector and the kubelet have come to what waits for them."""
        self.jobs = {name: job for name, job in self.jobs.items() if not job.is_deleting}
        self.pods = {name: pod for name, pod in self.pods.items() if not pod.deleted_at}

    def _may_run(self, job: JobState) -> bool:
        hangs = job.deleted_at and self.clock() >= job.deleted_at + timedelta(seconds=90)
        return job.outcome is None and not hangs

    async def present_tasks(self, namespace: str | None) -> Presence:
        return self._presence(task.uid for task in self.tasks.values())

    async def present_jobs(self, namespace: str | None) -> Presence:
        return self._presence(job.uid for job in self.jobs.values())

    async def present_pods(self, namespace: str | None) -> Presence:
        return self._presence(pod.uid for pod in self.pods.values())

    def _presence(self, uids: Iterable[str]) -> Presence:
        self._end(self._request())
        return Presence(None, 10**6, frozenset(uids))

    async def post_event(self, task: LoaderTask, notice: Notice) -> None:
        self.events.append(notice)


class Sender:
    """Every stop that is asked for comes into the topic at once."""

    def __init__(self, api: MemoryApi) -> None:
        self._api = api
        self.sent: list[str] = []
        self.forgotten: list[str] = []

    def request_stop(self, queue_id: str) -> None:
        self.sent.append(queue_id)
        self._api.stops.append((queue_id, self._api.clock()))

    def forget_stop(self, queue_id: str) -> None:
        self.forgotten.append(queue_id)


class Harness:
    """An operator that can be killed and started again over the same API server and topic."""

    def __init__(self, **spec: Any) -> None:
        self.now = NOW
        self.api = MemoryApi(make_task(**spec))
        self.api.clock = lambda: self.now
        self.sender = Sender(self.api)
        self.topic: list[Record] = []
        self.committed = 0
        self.sees_jobs = self.sees_deletions = True
        self.start()

    def start(self) -> None:
        """List, then read from the committed offset."""
        self.store, metrics = Store(), Metrics()
        self.inbox = Inbox(self.store, metrics, lambda key: None)
        self.configuration = configuration = read_configuration({"KAFKA_BOOTSTRAP_SERVERS": "k:1"})
        around = Surroundings(
            self.api, self.store, self.inbox, self.sender, configuration, metrics, lambda: self.now
        )
        self.reconciler = Reconciler(around)
        self.sync()
        for record in self.topic[self.committed :]:
            self.inbox.receive(record, self.now)
        self.reconciler.note_broker(True)

    def sync(self) -> None:
        """What the watches show."""
        for task in self.api.tasks.values():
            self.store.remember_task(task)
        for pod in self.api.pods.values():
            self.store.remember_pod(pod)
        for job in self.api.jobs.values() if self.sees_jobs else ():
            self.store.remember_job(job)
        for name in self.api.created if self.sees_deletions else ():
            if name not in self.api.jobs:
                self.store.forget_job("loads", name, f"uid-{name}")
        if self.sees_deletions:
            seen = frozenset(pod.uid for pod in self.api.pods.values())
            self.store.forget_absent_pods(Presence(None, 10**6, seen))

    @property
    def task(self) -> LoaderTask:
        return self.api.tasks[KEY]

    @property
    def status(self) -> Status:
        return self.task.status

    def change(self, **fields: Any) -> None:
        """Somebody edits the spec."""
        spec = self.task.spec
        assert spec
        self.api._store(replace(self.task, spec=spec.model_copy(update=fields)))

    async def sweep(self) -> None:
        self.api.failures = []
        await forget_vanished(self.api, self.store, ())

    async def settle(self, rounds: int = 12) -> None:
        """Reconcile until nothing is due now."""
        for _ in range(rounds):
            self.sync()
            wait_s = await self.reconciler.reconcile(KEY)
            if wait_s is None or wait_s > 0:
                return
        raise AssertionError("no rest")

    def say_shard(self, index: int, status: str) -> None:
        attempt = self.status.current_attempt
        if attempt:
            self.say(status, producer=f"{attempt.producer_id}-{index}")

    def say(
        self, status: str, *, producer: str | None = None, written: int = 0, **progress: Any
    ) -> None:
        attempt = self.status.current_attempt
        sender = producer or (attempt.producer_id if attempt else "x")
        event = make_event(status, sender, **progress)
        payload = event.payload.model_copy(update={"records_written": written})
        message = encode_event(type(event)(payload, event.progress))
        record = Record(0, len(self.topic), message.value, message.headers, self.now)
        self.topic.append(record)
        self.inbox.receive(record, self.now)

    def commit(self) -> None:
        self.committed = self.inbox.ledger.committable().get(0, self.committed)

    def job_ends(self, outcome: JobOutcome = JobOutcome.COMPLETE, name: str = "btc-1") -> None:
        job = self.api.jobs[name]
        self.api.jobs[name] = replace(
            job, outcome=outcome, ended_at=self.now, resource_version=job.resource_version + 1
        )

    def pod(self, exit_code: int | None, *, is_disrupted: bool = False) -> None:
        attempt = self.status.current_attempt
        number = attempt.number if attempt else 1
        end = None if exit_code is None else PodEnd(exit_code)
        phase, version = ("Failed", 9) if end else ("Running", 1)
        pod = PodState(
            "loads", f"p{number}", f"p{number}", version, "btc", number, NOW, phase, end=end
        )
        pod = replace(pod, is_disrupted=is_disrupted, job_uid=f"uid-btc-{number}")
        self.api.pods[pod.name] = pod
        self.store.remember_pod(pod)


async def test_a_whole_life_costs_eight_writes_at_most():
    world = Harness()
    await world.settle()
    world.say("started")
    await world.settle()
    world.say("finished", written=1440)
    world.job_ends()
    await world.settle()
    assert world.status.phase == "Succeeded"
    assert not world.task.finalizers
    assert world.api.jobs["btc-1"].ttl_s == 3600
    assert world.api.writes <= 8
    assert world.inbox.ledger.committable() == {0: 2}


async def test_no_job_is_made_while_the_one_before_is_leaving_unseen():
    world = Harness()
    await world.settle()
    world.now += timedelta(seconds=700)
    await world.settle()
    assert world.api.jobs["btc-1"].is_deleting
    world.sees_jobs = False
    world.store.forget_job("loads", "btc-1", "uid-btc-1")
    world.now += timedelta(seconds=30)
    await world.settle()
    assert world.api.created == ["btc-1"]
    world.api.end_deletions()
    world.store.forget_job("loads", "btc-1", "uid-btc-1")
    await world.settle()
    assert world.api.created == ["btc-1", "btc-2"]


async def test_nothing_is_written_when_nothing_changed():
    world = Harness()
    await world.settle()
    before = world.api.writes
    for _ in range(5):
        await world.settle()
    assert world.api.writes == before


async def test_progress_is_written_once_per_interval_and_settled_with_the_write(monkeypatch):
    world = Harness()
    await world.settle()
    world.say("started")
    await world.settle()
    before = world.api.writes
    for written in (1, 2, 3):
        world.say("loading", written=written)
        await world.settle()
    assert world.api.writes == before
    assert world.inbox.ledger.committable() == {0: 1}
    monkeypatch.setattr(world.reconciler._effects._budget, "_clock_s", lambda: 1e9)
    await world.settle()
    assert world.status.records_written == 3
    assert world.api.writes == before + 1
    assert world.inbox.ledger.committable() == {0: 4}


async def test_our_job_found_under_its_name_is_adopted():
    world = Harness()
    world.api.failures = [None, None, None, CrashError()]
    with pytest.raises(CrashError):
        await world.settle()
    assert world.api.created == ["btc-1"]
    world.start()
    await world.settle()
    assert world.status.current_attempt.job_uid == "uid-btc-1"


async def test_a_job_whose_create_was_not_answered_is_adopted_under_its_attempt():
    world = Harness()
    world.api.failures = [None, None, None, LostAnswerError(0, "timed out")]
    with pytest.raises(UnavailableError):
        await world.settle()
    intent = world.status.current_attempt
    assert (world.api.created, intent.job_uid) == (["btc-1"], None)
    await world.settle()
    assert world.api.created == ["btc-1"]
    assert world.status.current_attempt.producer_id == intent.producer_id
    assert world.status.current_attempt.job_uid == "uid-btc-1"
    assert (world.status.attempts, world.status.failures) == (1, 0)


@pytest.mark.parametrize("wish", [{"stop": True}, {"suspend": True}])
async def test_a_job_that_comes_to_be_after_its_task_has_ended_or_rests_is_deleted(wish):
    world = Harness()
    world.api.failures = [None, None, None, LostAnswerError(0, "timed out")]
    with pytest.raises(UnavailableError):
        await world.settle()
    late = world.api.jobs.pop("btc-1")  # the API server is still about to make it
    world.change(**wish)
    await world.settle()
    assert world.status.phase in {"Stopped", "Suspended"}
    world.api.jobs["btc-1"] = late
    for _ in range(3):
        await world.settle()
        world.now += timedelta(seconds=30)
    assert world.api.jobs["btc-1"].is_deleting
    world.api.end_deletions()
    await world.settle()
    assert world.status.phase in {"Stopped", "Suspended"}
    assert world.api.created == ["btc-1"]


@pytest.mark.parametrize("is_deaf", [False, True])
@pytest.mark.parametrize("requests", range(5))
async def test_a_suspension_while_the_operator_is_down_makes_no_job_twice(requests, is_deaf):
    """Killed after any request of a life; its worker answers the stop or loses its Job."""
    world = Harness()
    world.api.failures = [*[None] * requests, CrashError()]
    with pytest.raises(CrashError):
        await world.settle()
    if "btc-1" in world.api.jobs:
        world.pod(None)
    world.change(suspend=True)
    world.start()
    await world.settle()
    if world.sender.sent and not is_deaf:
        world.say("interrupted")
        world.pod(0)
        world.job_ends()
    for _ in range(2):
        world.now += timedelta(seconds=31)
        await world.settle()
        world.api.end_deletions()
        world.api.pods = {}
        await world.sweep()
    assert world.status.phase == "Suspended"
    world.change(suspend=False)
    await world.settle()
    made = len(world.api.created)
    assert world.status.attempts == made == (2 if requests > 2 else 1)


async def test_a_job_that_the_watch_does_not_show_is_looked_up_before_it_counts_as_gone():
    world = Harness()
    await world.settle()
    await _live(world, "watch", False)
    world.now += timedelta(seconds=100)
    await world.settle()
    assert world.status.phase == "Starting"


async def test_a_job_whose_deletion_no_watch_reported_is_missed_by_the_sweep():
    world = Harness(backoffLimit=0)
    await world.settle()
    world.say("started")
    await world.settle()
    world.sees_deletions = False
    del world.api.jobs["btc-1"]
    world.now += timedelta(seconds=100)
    await world.settle()
    assert world.status.phase == "Running"
    assert await forget_vanished(world.api, world.store, ()) == {KEY}
    await world.settle()
    world.now += timedelta(seconds=100)
    await world.settle()
    assert world.status.phase == "Failed"


async def test_a_task_whose_deletion_no_watch_reported_is_forgotten_with_its_events():
    world = Harness()
    await world.settle()
    world.say("started")
    del world.api.tasks[KEY]
    assert await forget_vanished(world.api, world.store, ("loads",)) == {KEY}
    await world.reconciler.reconcile(KEY)
    assert world.inbox.ledger.committable() == {0: 1}


async def test_another_writer_makes_us_look_again_instead_of_overwriting():
    world = Harness()
    world.sync()
    world.api.tasks[KEY] = replace(world.task, resource_version=99)
    assert await world.reconciler.reconcile(KEY) == 0
    await world.settle()
    assert world.status.phase == "Starting"


async def test_a_task_deleted_behind_our_back_gets_no_job():
    world = Harness()
    world.sync()
    live = replace(world.task, deletion_time=NOW, finalizers=(FINALIZER,), resource_version=50)
    world.api.tasks[KEY] = live
    await world.settle()
    assert world.api.created == []


async def test_a_refused_job_is_told_and_tried_again_later():
    world = Harness()
    world.api.failures = [None, None, None, RefusedError(403, "exceeded quota")]
    await world.settle()
    assert world.status.reason == "JobRefused"
    assert "exceeded quota" in world.status.message
    world.now += timedelta(seconds=31)
    await world.settle()
    assert world.api.created == ["btc-1"]
    assert world.status.phase == "Starting"


async def test_a_job_is_said_to_be_created_when_it_was_and_not_before():
    world = Harness()
    world.api.failures = [None, None, None, RefusedError(403, "exceeded quota")]
    await world.settle()
    assert [notice.reason for notice in world.api.events] == ["JobRefused"]
    world.now += timedelta(seconds=31)
    await world.settle()
    assert [notice.reason for notice in world.api.events] == ["JobRefused", "JobCreated"]


async def test_pods_that_the_cluster_refuses_are_a_reason_until_they_come():
    world = Harness()
    await world.settle()
    quota = "exceeded quota: tiny, requested: pods=1"
    world.api.refused_pods = {"uid-btc-1": quota, "somebody else's": "no"}
    assert world.api.refusal_lists == 0
    world.now += timedelta(seconds=5)
    await world.settle()
    running = world.status.condition("Running")
    assert (running.status, running.reason, running.message) == ("False", "PodRefused", quota)
    assert quota in world.status.message
    world.now += timedelta(seconds=1)
    await world.settle()
    assert world.api.refusal_lists == 1
    world.pod(None)
    await world.settle()
    assert world.status.condition("Running").reason == "PodRunning"


async def test_a_refusal_that_nobody_resolves_is_named_by_the_startup_deadline():
    world = Harness(backoffLimit=0)
    await world.settle()
    world.api.refused_pods = {"uid-btc-1": "exceeded quota: tiny"}
    world.now += timedelta(seconds=300)
    await world.settle()
    assert world.status.reason == "StartupDeadlineExceeded"
    assert "exceeded quota: tiny" in world.status.message


async def test_a_job_that_was_deleted_is_known_to_be_without_the_watch():
    world = Harness()
    await world.settle()
    world.now += timedelta(seconds=300)
    world.sync()
    await world.reconciler.reconcile(KEY)
    assert world.store.job("loads", "btc-1").deleted_at == world.now
    await world.reconciler.reconcile(KEY)
    assert [name for name, _ in world.api.deleted] == ["btc-1"]


async def test_the_event_of_a_new_job_tells_what_the_load_will_take():
    world = Harness()
    await world.settle()
    told = next(notice.message for notice in world.api.events if notice.reason == "JobCreated")
    assert told == (
        "created Job btc-1: 1440 candles expected (REST requests: 2, seconds at least: 0)"
    )


async def test_an_overloaded_server_is_an_error_for_the_retry_queue():
    world = Harness()
    world.api.failures = [UnavailableError(429, "slow down")]
    with pytest.raises(UnavailableError):
        await world.reconciler.reconcile(KEY)
    await world.settle()
    assert world.status.phase == "Starting"


async def test_a_status_that_is_refused_does_not_hold_back_the_offsets_of_others():
    world = Harness()
    await world.settle()
    world.say("started")
    world.api.failures = [api_error(422, "too long")]
    with pytest.raises(RefusedError):
        await world.reconciler.reconcile(KEY)
    assert world.inbox.ledger.committable() == {0: 1}


@pytest.mark.parametrize("status", [401, 403, 405, 429, 500])
async def test_a_status_that_may_not_be_written_now_keeps_its_events(status):
    world = Harness()
    await world.settle()
    world.say("started")
    world.api.failures = [api_error(status, "no")]
    with pytest.raises(ApiError):
        await world.reconciler.reconcile(KEY)
    assert world.inbox.ledger.committable() == {0: 0}
    await world.settle()
    assert world.status.phase == "Running"


async def test_events_of_a_vanished_task_are_settled():
    world = Harness()
    await world.settle()
    world.say("started")
    del world.api.tasks[KEY]
    world.store.forget_task(KEY, UID)
    assert await world.reconciler.reconcile(KEY) is None
    assert world.inbox.ledger.committable() == {0: 1}


async def test_the_stop_is_stored_before_it_is_sent():
    world = Harness()
    await world.settle()
    world.say("started")
    await world.settle()
    stopped = make_task(stop=True)
    world.api._store(replace(world.task, spec=stopped.spec))
    world.api.failures = [CrashError()]
    with pytest.raises(CrashError):
        await world.settle()
    assert world.sender.sent == []
    assert world.status.stop.commands_sent == 1


async def test_a_stop_that_was_not_sent_does_not_reach_the_worker_of_a_resumed_load():
    world = Harness()
    await world.settle()
    world.say("started")
    await world.settle()
    world.change(suspend=True)
    await world.settle()
    assert set(world.sender.sent) == {world.task.queue_id}
    world.say("interrupted", written=5)
    world.job_ends()
    await world.settle()
    assert world.status.phase == "Suspended"
    assert not world.task.finalizers
    assert world.api.created == ["btc-1"]
    world.now += timedelta(seconds=3600)
    world.change(suspend=False)
    await world.settle()
    assert world.sender.forgotten == [world.task.queue_id]
    assert world.api.created == ["btc-1", "btc-2"]
    assert (world.status.failures, world.status.attempts) == (0, 2)


async def test_the_stop_of_a_vanished_task_is_not_sent_to_its_successor():
    world = Harness()
    await world.settle()
    world.say("started")
    await world.settle()
    world.api._store(replace(world.task, spec=make_task(stop=True).spec))
    await world.settle()
    assert set(world.sender.sent) == {world.task.queue_id}
    queue_id = world.task.queue_id
    del world.api.tasks[KEY]
    world.store.forget_task(KEY, UID)
    await world.reconciler.reconcile(KEY)
    assert world.sender.forgotten == [queue_id]


_EDITS: list[dict[str, Any]] = [
    {"banned_until": NOW + timedelta(days=1000)},
    {"banned_until": None, "telemetry": None, "progress": None},
    {"stop": None},
    {"stop": StopStatus(requested_at=NOW + timedelta(days=1000), commands_sent=20)},
    {"last_event": None},
    {"phase": Phase.SUCCEEDED, "reason": "Nonsense", "message": None},
    {"attempts": 0, "failures": 10**6, "records_written": 10**12},
]
"""What somebody may write into a status by hand; the API server lets no end be undone."""

_STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("say"),
            st.sampled_from(["started", "loading", "interrupted", "error", "finished"]),
        ),
        st.tuples(
            st.just("shard"),
            st.tuples(
                st.integers(0, 2),
                st.sampled_from(["started", "loading", "interrupted", "error", "finished"]),
            ),
        ),
        st.tuples(st.just("ban"), st.sampled_from([5, 700, 10**8])),
        st.tuples(st.just("ban-of-another"), st.sampled_from([5, 700])),
        st.tuples(st.just("refuse-pods"), st.booleans()),
        st.tuples(st.just("stranger"), st.sampled_from(["finished", "error"])),
        st.tuples(st.just("job"), st.sampled_from(list(JobOutcome))),
        st.tuples(st.just("pod"), st.sampled_from([0, 1, 65, 75, 78, 137])),
        st.tuples(st.just("evict"), st.sampled_from([75, 137])),
        st.tuples(st.just("pod-runs"), st.none()),
        st.tuples(st.just("lose-job"), st.none()),
        st.tuples(st.just("lose-job-unseen"), st.none()),
        st.tuples(st.just("end-deletions"), st.none()),
        st.tuples(st.just("sweep"), st.none()),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 5, 30, 61, 700])),
        st.tuples(st.just("stop"), st.none()),
        st.tuples(st.just("suspend"), st.booleans()),
        st.tuples(st.just("delete"), st.none()),
        st.tuples(st.just("crash"), st.integers(0, 5)),
        st.tuples(st.just("fail"), st.sampled_from([409, 429, 500])),
        st.tuples(st.just("lose-answer"), st.integers(0, 5)),
        st.tuples(st.just("refuse"), st.sampled_from([403, 422])),
        st.tuples(st.just("edit-status"), st.sampled_from(range(len(_EDITS)))),
        st.tuples(st.just("commit"), st.none()),
        st.tuples(st.just("watch"), st.booleans()),
    ),
    max_size=25,
)


async def _live(world: Harness, kind: str, value: Any) -> None:
    attempt = world.status.current_attempt
    name = attempt.job_name if attempt else "btc-1"
    if kind == "say":
        world.say(value)
    elif kind == "shard":
        world.say_shard(*value)
    elif kind == "ban":
        world.say("error", banned_until=world.now + timedelta(seconds=value))
    elif kind == "ban-of-another":
        ban = Status(banned_until=world.now + timedelta(seconds=value))
        world.store.bans.note(replace(make_task(ban), name="another"))
    elif kind == "refuse-pods":
        world.api.refused_pods = {f"uid-{name}": "exceeded quota"} if value else {}
    elif kind == "stranger":
        world.say(value, producer="sink__1")
    elif kind == "job" and name in world.api.jobs and not world.api.jobs[name].outcome:
        world.job_ends(value, name)
    elif kind == "pod" and attempt:
        world.pod(value)
    elif kind == "evict" and attempt:
        world.pod(value, is_disrupted=True)
    elif (
        kind == "pod-runs" and name in world.api.jobs and f"p{attempt.number}" not in world.api.pods
    ):
        world.pod(None)
    elif kind == "lose-job-unseen":
        world.sees_deletions = False
        world.api.jobs.pop(name, None)
    elif kind == "end-deletions":
        world.api.end_deletions()
    elif kind == "sweep":
        await world.sweep()
    elif kind == "lose-job":
        world.api.jobs.pop(name, None)
        world.store.forget_job("loads", name, f"uid-{name}")
    elif kind == "wait":
        world.now += timedelta(seconds=value)
    elif kind == "stop":
        world.change(stop=True)
    elif kind == "suspend":
        world.change(suspend=value)
    elif kind == "delete":
        world.api._store(replace(world.task, deletion_time=world.now))
    elif kind == "crash":
        world.api.failures = [None] * value + [CrashError()]
    elif kind == "fail":
        error = ConflictError if value == 409 else UnavailableError
        world.api.failures = [error(value, "no")]
    elif kind == "lose-answer":
        world.api.failures = [None] * value + [LostAnswerError(0, "no answer")]
    elif kind == "refuse":
        world.api.failures = [api_error(value, "no")]
    elif kind == "edit-status":
        edited = world.status.model_copy(update=_EDITS[value])
        world.api._store(replace(world.task, status=edited))
    elif kind == "watch":
        world.sees_jobs = value
        if not value:
            world.store.forget_job("loads", name, f"uid-{name}")
    elif kind == "commit":
        world.commit()


async def _reconcile(world: Harness) -> None:
    try:
        await world.settle()
    except CrashError:
        world.api.failures = []
        world.start()
        await world.settle()
    except (UnavailableError, RefusedError):
        await world.settle()


@settings(max_examples=150, deadline=None)
@given(_STEPS, st.sampled_from([1, 2]))
async def test_no_history_undoes_an_end_makes_a_job_twice_or_finds_no_rest(steps, shards):
    """The assertions are those of MemoryApi, and of settle."""
    world = Harness(parallelism=shards)
    await _reconcile(world)
    for kind, value in steps:
        if KEY not in world.api.tasks:
            break
        had_ended = is_terminal(world.status)
        created = len(world.api.created)
        await _live(world, kind, value)
        if KEY in world.api.tasks:
            await _reconcile(world)
        assert not had_ended or len(world.api.created) == created


@settings(max_examples=200, deadline=None)
@given(_STEPS, st.sampled_from([1, 2]), st.sampled_from([{}, {"activeDeadlineSeconds": 5000}]))
async def test_every_state_ends_in_time(steps, shards, deadline):
    """Whatever has happened: when nothing more happens, waiting alone leads to an end."""
    world = Harness(backoffLimit=1, parallelism=shards, **deadline)
    await _reconcile(world)
    for kind, value in steps:
        if KEY in world.api.tasks:
            await _live(world, kind, value)
            if KEY in world.api.tasks:
                await _reconcile(world)
    world.api.failures = []
    # A watch that was cut lists anew: it shows what is there, and not what has gone.
    world.sees_jobs = True
    if KEY in world.api.tasks:
        world.change(suspend=False)
    # Past the deadlines first, then past the longest ban.
    for wait_s in (*[301] * 40, *[21_600] * 30):
        if KEY not in world.api.tasks or is_terminal(world.status):
            return
        world.now += timedelta(seconds=wait_s)
        await world.sweep()
        await _reconcile(world)
    raise AssertionError(f"still {world.status.phase}: {world.status.message}")


def test_times_are_written_as_kubernetes_writes_them():
    status = Status(start_time=datetime.fromisoformat("2026-01-01T12:00:00.9+02:00"))
    assert re.fullmatch(r"2026-01-01T10:00:00Z", render_status(status)["startTime"])
