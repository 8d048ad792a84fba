from __future__ import annotations

from tests.unit.operator.worlds import make_job, make_task, task_body

from loadertask_operator import sightings
from loadertask_operator.schema import TaskKey
from loadertask_operator.sightings import Sightings
from loadertask_operator.status import Phase, Status
from loadertask_operator.store import Store

KEY = TaskKey("loads", "btc")


class World:
    def __init__(self) -> None:
        self.store, self.woken = Store(), list[TaskKey]()
        self.sightings = Sightings(self.store, self.woken.append)


def test_a_task_is_remembered_and_woken_until_it_is_gone():
    world = World()
    world.sightings.task(task_body(), False)
    assert world.store.task(KEY) == make_task()
    world.sightings.task(task_body(), True)
    assert world.store.task(KEY) is None
    assert world.woken == [KEY, KEY]


def test_the_echo_of_our_own_write_wakes_the_task_without_being_read(monkeypatch):
    world = World()
    world.store.remember_task(make_task(Status(phase=Phase.RUNNING)))
    monkeypatch.setattr(sightings, "parse_task", lambda body: 1 / 0)
    world.sightings.task(task_body(), False)
    assert world.woken == [KEY]
    task = world.store.task(KEY)
    assert task
    assert task.status.phase is Phase.RUNNING


def test_a_successor_of_the_same_name_and_version_is_read():
    world = World()
    world.store.remember_task(make_task())
    body = task_body()
    body["metadata"]["uid"] = "another"
    world.sightings.task(body, False)
    task = world.store.task(KEY)
    assert task
    assert task.uid == "another"


def test_a_job_of_nobody_wakes_nobody():
    world = World()
    job = make_job()
    body = {
        "metadata": {
            "namespace": job.namespace,
            "name": job.name,
            "uid": job.uid,
            "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T12:00:00Z",
            "labels": {"streamforge.io/task": "btc", "streamforge.io/attempt": "1"},
        }
    }
    world.sightings.job(body, False)
    assert world.woken == []
    world.store.remember_task(make_task())
    world.sightings.job(body, False)
    assert world.woken == [KEY]
