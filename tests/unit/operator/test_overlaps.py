"""Of tasks that would write the same records, one runs at a time: the older one first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.operator.test_decide import condition
from tests.unit.operator.test_reconcile import KEY, Harness
from tests.unit.operator.worlds import NOW, UID, after, make_task

from loadertask_operator.errors import RefusedError
from loadertask_operator.manifests.environment import environment_of
from loadertask_operator.observed import JobOutcome
from loadertask_operator.overlaps import is_older, why_overlapping
from loadertask_operator.schema import TaskKey
from loadertask_operator.status import Status, TurnStatus
from loadertask_operator.store import Store
from loadertask_operator.turns import Turns

QUEUE = "btc-11112222"  # that of the events in worlds
SAME = {"kafka": {"topic": "t"}}
LIVE = {"type": "ws_candles_1m", "timeRange": None, "kafka": {"topic": "t"}}


def other_task(status=None, *, name="eth", uid="9999", born=1.0, **spec):
    """A task that came ``born`` seconds after the one of the other tests."""
    task = make_task(status, **spec)
    created = task.creation_time + timedelta(seconds=born)
    return replace(task, name=name, uid=uid, creation_time=created)


@pytest.mark.parametrize(
    ("first", "second", "shares"),
    [
        ({"queueId": "q"}, {"queueId": "q", "symbol": "ETHUSDT"}, "queue id q"),
        (SAME, SAME, "topic t"),
        (SAME, SAME | {"timeRange": "2023-01-01T12:00:00Z/2023-02-01T00:00:00Z"}, "topic t"),
        (SAME, SAME | {"timeRange": "2023-01-02:2023-01-03"}, None),
        (SAME, SAME | {"timeRange": "2022-12-31:2023-01-01"}, None),
        (SAME, SAME | {"symbol": "ETHUSDT"}, None),
        (SAME, SAME | {"type": "api_candles_1h"}, None),
        (SAME, SAME | {"type": "api_candles"}, "topic t"),
        (SAME, SAME | {"type": "api_trades"}, None),
        (SAME, {"kafka": {"topic": "t", "bootstrapServers": "k:1"}}, "topic t"),
        (SAME, {"kafka": {"topic": "t", "bootstrapServers": "other:1"}}, None),
        (SAME, {"kafka": {"topic": "u"}}, None),
        (LIVE, LIVE, "topic t"),
        (LIVE, LIVE | {"type": "ws_candles", "interval": "1m"}, "topic t"),
        ({}, {}, None),
        ({"queueId": "q"}, {"queueId": "q", "symbol": None}, None),
    ],
)
def test_tasks_overlap_by_queue_or_by_what_they_write(first, second, shares):
    one, two = make_task(**first), other_task(**second)
    for pair in ((one, two), (two, one)):
        why = why_overlapping(*pair, "k:1")
        assert (why is None) if shares is None else (why is not None and shares in why)


def test_the_older_goes_first_and_in_the_same_second_the_smaller_uid():
    task = make_task()
    assert is_older(task, other_task(born=1))
    assert not is_older(task, other_task(born=-1))
    assert is_older(task, other_task(born=0, uid="9")) != is_older(
        other_task(born=0, uid="9"), task
    )


class Pair(Harness):
    """Two tasks of one queue in one cluster, whose API refuses two workers at a time."""

    def __init__(self, born=1.0, **spec):
        super().__init__(queueId=QUEUE, **spec)
        self.other = other_task(queueId=QUEUE, born=born, **spec)
        self.woken = []
        self.reconciler._turns._wake = self.woken.append

    def appear(self):
        self.api.tasks[self.other.key] = self.other

    def status_of(self, key):
        return self.api.tasks[key].status

    async def look(self, key, rounds=12):
        for _ in range(rounds):
            self.sync()
            wait_s = await self.reconciler.reconcile(key)
            if wait_s is None or wait_s > 0:
                return
        raise AssertionError("no rest")


async def test_the_younger_task_waits_names_the_other_and_runs_when_that_has_ended():
    world = Pair()
    world.appear()
    await world.look(KEY)
    await world.look(world.other.key)
    status = world.status_of(world.other.key)
    assert condition(status, "Accepted") == ("False", "Overlaps")
    assert "loads/btc" in status.message
    assert condition(status, "Stalled")[0] == "False"
    assert world.api.created == ["btc-1"]
    world.say("finished")
    world.job_ends()
    await world.look(KEY)
    assert world.woken == [world.other.key]
    await world.look(world.other.key)
    assert world.api.created == ["btc-1", "eth-1"]
    assert condition(world.status_of(world.other.key), "Accepted") == ("True", "Valid")
    assert [notice.reason for notice in world.api.events].count("Overlaps") == 1


async def test_a_task_that_is_at_work_is_waited_for_even_by_an_older_one():
    world = Pair(born=-1)
    await world.look(KEY)
    world.appear()
    await world.look(world.other.key)
    assert condition(world.status_of(world.other.key), "Accepted") == ("False", "Overlaps")
    await world.look(KEY)
    assert world.status_of(KEY).phase == "Starting"


def control_since(world, key):
    """The moment that the worker of a task would be told."""
    task = world.api.tasks[key]
    variables = environment_of(task, world.configuration, task.status.current_attempt)
    return variables.control_since


async def _stopped(world, how):
    """The first task is asked to end while the second one waits, and ends 100 s later."""
    if how == "delete":
        world.api._store(replace(world.task, deletion_time=world.now))
    else:
        world.change(**{how: True})
    await world.look(KEY)
    assert set(world.sender.sent) == {QUEUE}
    world.now += timedelta(seconds=20)
    world.say("interrupted")
    world.job_ends()
    await world.look(KEY)
    for key in {KEY} - set(world.api.tasks):
        world.store.forget_task(key, UID)
        await world.reconciler.reconcile(key)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("how", ["delete", "stop"])
async def test_the_stop_of_a_task_is_not_for_the_one_that_waited_for_it(how, restarts):
    world = Pair()
    world.api.set_job_ttl = _with_ttl(world.api)
    world.appear()
    await world.look(KEY)
    world.say("started")
    await world.look(KEY)
    await world.look(world.other.key)
    assert world.status_of(world.other.key).turn == TurnStatus(waiting_for="loads/btc")
    world.now += timedelta(seconds=100)
    await _stopped(world, how)
    if restarts:
        world.start()
    world.now += timedelta(seconds=5)
    await world.look(world.other.key)
    assert world.api.created == ["btc-1", "eth-1"]
    assert world.status_of(world.other.key).turn == TurnStatus(since=after(125))
    assert control_since(world, world.other.key) == after(127)
    world.job_ends(JobOutcome.FAILED, "eth-1")
    for _ in range(2):  # until nobody will say why, and then until the retry is due
        world.now += timedelta(seconds=61)
        await world.look(world.other.key)
    assert world.api.created[-1] == "eth-2"
    assert control_since(world, world.other.key) == after(127)  # what came since is for this one


async def test_commands_are_for_a_task_that_waits_for_one_of_another_queue():
    world = Pair()
    world.other = other_task(queueId="other", kafka={"topic": f"{QUEUE}-data"})
    world.appear()
    await world.look(KEY)
    await world.look(world.other.key)
    assert condition(world.status_of(world.other.key), "Accepted") == ("False", "Overlaps")
    world.say("finished")
    world.job_ends()
    await world.look(KEY)
    world.now += timedelta(seconds=100)
    await world.look(world.other.key)
    assert world.api.created == ["btc-1", "eth-1"]
    assert world.status_of(world.other.key).turn is None
    assert control_since(world, world.other.key) == world.other.creation_time


@pytest.mark.parametrize("born", [0, -1])
async def test_a_task_made_anew_in_the_second_of_a_stop_does_not_obey_it(born):
    world = Harness(queueId=QUEUE)
    await world.settle()
    world.say("started")
    await world.settle()
    world.now = after(100.7)
    world.api._store(replace(world.task, deletion_time=world.now))
    await world.settle()
    assert world.sender.sent == [QUEUE]
    world.say("interrupted")
    world.job_ends()
    await world.settle()
    world.store.forget_task(KEY, UID)
    await world.reconciler.reconcile(KEY)
    world.api.jobs.clear()
    anew = replace(make_task(queueId=QUEUE), name="eth", uid="9", creation_time=after(100 - born))
    world.api.tasks[anew.key] = anew
    world.sync()
    for _ in range(4):
        await world.reconciler.reconcile(anew.key)
    assert world.api.created == ["btc-1", "eth-1"]
    assert control_since(world, anew.key) == (after(102) if born == 0 else anew.creation_time)


def test_stops_are_remembered_for_an_hour():
    turns = Turns(Store(), "k:1", lambda key: None)
    first, second = make_task(queueId="q"), other_task(queueId="q")
    turns.note_stop(first, after(0))
    turns.note_stop(make_task(queueId="other"), after(5))
    assert turns.other_stopped_at(second) == after(0)
    assert turns.other_stopped_at(first) is None
    turns.note_stop(second, after(9))
    turns.note_stop(first, after(60))
    assert turns.other_stopped_at(first) == after(9)
    turns.note_stop(make_task(queueId="other"), after(3660))
    assert turns.other_stopped_at(second) is None
    assert list(turns._stops) == ["other"]


async def test_a_stop_of_a_task_that_took_the_turn_of_a_retry_is_not_for_that():
    world = Pair(born=-1, retryBackoff={"initialSeconds": 600, "maxSeconds": 600})
    await world.look(KEY)
    world.say("started")
    world.pod(1)
    world.job_ends(JobOutcome.FAILED)
    await world.look(KEY)
    assert world.status.phase == "Retrying"
    world.appear()
    await world.look(world.other.key)
    assert world.api.created == ["btc-1", "eth-1"]
    other = world.status_of(world.other.key).current_attempt.producer_id
    world.say("started", producer=other)
    spec = world.other.spec.model_copy(update={"stop": True})
    world.api._store(replace(world.api.tasks[world.other.key], spec=spec))
    world.now = after(60)
    await world.look(world.other.key)
    world.say("interrupted", producer=other)
    world.job_ends(name="eth-1")
    await world.look(world.other.key)
    world.now = after(700)
    await world.look(KEY)
    assert world.api.created[-1] == "btc-2"
    assert control_since(world, KEY) == after(62)


async def test_of_two_that_come_together_the_one_that_is_told_late_of_the_older_makes_way():
    world = Pair(born=-1)
    get_task = world.api.get_task

    async def told_late(key):
        world.api.get_task = get_task
        world.appear()
        world.store.remember_task(world.other)
        return await get_task(key)

    world.api.get_task = told_late
    await world.look(KEY)
    assert world.api.created == []
    assert condition(world.status_of(KEY), "Accepted") == ("False", "Overlaps")
    await world.look(world.other.key)
    assert world.api.created == ["eth-1"]


async def test_an_older_task_seen_while_the_job_of_a_younger_is_being_made_waits_for_it():
    world = Pair(born=-1)
    create_job = world.api.create_job

    async def seen_meanwhile(manifest):
        world.api.create_job = create_job
        world.appear()
        await world.look(world.other.key)
        return await create_job(manifest)

    world.api.create_job = seen_meanwhile
    await world.look(KEY)
    assert world.api.created == ["btc-1"]
    assert condition(world.status_of(world.other.key), "Accepted") == ("False", "Overlaps")


async def test_a_task_whose_job_was_refused_lets_the_older_one_go_first():
    world = Pair(born=-1)
    create_job = world.api.create_job

    async def refused(manifest):
        world.api.create_job = create_job
        world.appear()
        await world.look(world.other.key)
        raise RefusedError(403, "quota")

    world.api.create_job = refused
    await world.look(KEY)
    assert world.other.key in world.woken
    await world.look(world.other.key)
    assert world.api.created == ["eth-1"]


async def test_a_task_that_can_never_run_stands_in_nobodys_way():
    world = Pair(born=-1, kafka={"bootstrapServers": "no-port"})
    world.appear()
    await world.look(world.other.key)
    assert condition(world.status_of(world.other.key), "Accepted") == ("False", "InvalidSpec")
    world.api.tasks[KEY] = replace(
        make_task(queueId=QUEUE), resource_version=world.task.resource_version + 1
    )
    await world.look(KEY)
    assert world.api.created == ["btc-1"]


async def test_when_the_other_is_deleted_the_one_that_waits_is_woken():
    world = Pair()
    world.appear()
    await world.look(KEY)
    await world.look(world.other.key)
    world.store.forget_task(KEY, world.task.uid)
    await world.reconciler.reconcile(KEY)
    assert world.woken == [world.other.key]


async def test_a_worker_that_outlives_its_attempt_is_waited_for():
    world = Pair(retryBackoff={"initialSeconds": 600, "maxSeconds": 600}, born=-1)
    await world.look(KEY)
    world.pod(None)
    world.now += timedelta(seconds=300)
    await world.look(KEY)
    assert world.status.phase == "Retrying"
    world.appear()
    await world.look(world.other.key)
    assert condition(world.status_of(world.other.key), "Accepted") == ("False", "Overlaps")
    world.api.end_deletions()
    world.pod(143)
    await world.look(KEY)
    assert world.woken[-1] == world.other.key
    await world.look(world.other.key)
    assert world.api.created == ["btc-1", "eth-1"]


async def test_a_task_that_has_failed_is_waited_for_until_its_job_is_gone():
    world = Pair(activeDeadlineSeconds=60)
    world.appear()
    await world.look(KEY)
    await world.look(world.other.key)
    world.now += timedelta(seconds=60)
    await world.look(KEY)
    assert world.status.phase == "Failed"
    await world.look(world.other.key)
    assert world.api.created == ["btc-1"]
    world.api.end_deletions()
    await world.look(KEY)
    await world.look(world.other.key)
    assert world.api.created == ["btc-1", "eth-1"]


ENDED = {"Succeeded", "Stopped"}
_KEYS = (KEY, TaskKey("loads", "eth"))
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["look", "finish", "crash", "suspend", "resume", "restart", "stop"]),
        st.sampled_from(_KEYS),
    ),
    max_size=30,
)


async def _live(world, step, key):
    status = world.status_of(key)
    attempt = status.current_attempt
    job = world.api.jobs.get(attempt.job_name) if attempt else None
    if job and not job.outcome:
        world.say("started", producer=attempt.producer_id)
    if step in ("suspend", "resume", "stop"):
        task = world.api.tasks[key]
        wish = {"stop": True} if step == "stop" else {"suspend": step == "suspend"}
        spec = task.spec.model_copy(update=wish)
        world.api._store(replace(task, spec=spec))
    elif step == "restart":
        world.start()
        world.reconciler._turns._wake = world.woken.append
    elif step in ("finish", "crash") and job and not job.outcome:
        if step == "finish":
            world.say("finished", producer=attempt.producer_id)
        world.job_ends(JobOutcome.COMPLETE if step == "finish" else JobOutcome.FAILED, job.name)
    world.now += timedelta(seconds=20)
    world.api.end_deletions()
    await world.look(key)


@settings(max_examples=50, deadline=None)
@given(_STEPS, st.sampled_from([-1.0, 0.0, 1.0]))
async def test_two_tasks_of_one_queue_never_run_at_once_and_both_end(steps, born):
    """MemoryApi asserts that no second Job comes beside one that may run, nor after its stop."""
    world = Pair(born=born, backoffLimit=20, startupDeadlineSeconds=86400)
    world.api.set_job_ttl = _with_ttl(world.api)
    world.appear()
    for key in _KEYS:  # as the operator looks at all there is, at once
        await world.look(key)
    for step, key in steps:
        await _live(world, step, key)
    for _ in range(8):
        for key in _KEYS:
            await _live(world, "resume", key)
            world.now += timedelta(seconds=700)
            await _live(world, "finish", key)
    for key in _KEYS:
        wants_more = not world.api.tasks[key].spec.stop
        assert world.status_of(key).phase in ({"Succeeded"} if wants_more else ENDED)


def _with_ttl(api):
    async def set_job_ttl(job, ttl_s):
        api.jobs[job.name] = replace(job, ttl_s=ttl_s)
        return api.jobs[job.name]

    return set_job_ttl


_MOMENTS = st.datetimes(datetime(2019, 12, 1), datetime(2021, 2, 1)).map(
    lambda moment: moment.replace(microsecond=0)
)
_RANGES = st.tuples(_MOMENTS, _MOMENTS).filter(lambda ends: ends[0] < ends[1])


@given(st.lists(_RANGES, min_size=2, max_size=6))
def test_every_task_that_overlaps_is_found_among_the_neighbours(ranges):
    tasks = [
        other_task(name=f"t{n}", uid=str(n), timeRange=f"{a.isoformat()}/{b.isoformat()}", **SAME)
        for n, (a, b) in enumerate(ranges)
    ]
    store = Store()
    for task in tasks:
        store.remember_task(task)
        store.remember_task(task)
    for task in tasks:
        overlapping = {other.key for other in tasks if why_overlapping(task, other, "k:1")}
        assert overlapping - {task.key} <= {other.key for other in store.tasks_beside(task)}


def test_a_task_that_has_ended_or_is_gone_is_nobodys_neighbour():
    task, other = make_task(**SAME), other_task(**SAME)
    store = Store()
    store.remember_task(task)
    store.remember_task(other)
    assert store.tasks_beside(task) == [other]
    condition = {"type": "Complete", "status": "True", "reason": "x", "last_transition_time": NOW}
    ended = Status.model_validate({"conditions": [condition]})
    store.remember_task(replace(other, status=ended))
    assert store.tasks_beside(task) == []
    store.forget_task(KEY, task.uid)
    assert store.tasks_beside(replace(other, name="third")) == []
