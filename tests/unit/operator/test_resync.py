from __future__ import annotations

from dataclasses import replace

from tests.unit.operator.worlds import make_job, make_task

from loadertask_operator.resync import WatchCheck
from loadertask_operator.store import Presence, Store


def listed(**versions: int) -> list[Presence]:
    return [Presence(None, 1000, frozenset(versions), versions)]


class World:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.store = Store()
        self.task = replace(make_task(), uid="task", resource_version=5)
        self.job = replace(make_job(), uid="job", resource_version=5)
        self.store.remember_task(self.task)
        self.store.remember_job(self.job)
        self.check = WatchCheck(self.store, 10, lambda: self.now_s)


def test_a_version_that_no_watch_tells_of_is_a_problem_after_the_limit():
    world = World()
    for moment_s in (0, 10):
        world.now_s = moment_s
        world.check.compare(listed(task=5, job=6))
        assert world.check.problem() is None
    world.now_s = 11
    assert world.check.problem() == "the watches have not told of 1 objects for 11 s"
    world.store.remember_job(replace(world.job, resource_version=6))
    world.check.compare(listed(task=5, job=6))
    assert world.check.problem() is None


def test_an_object_that_was_never_told_of_is_a_problem_as_well():
    world = World()
    world.check.compare(listed(task=5, job=5, new=6))
    world.now_s = 11
    world.check.compare(listed(task=5, job=5, new=6))
    assert world.check.problem()


def test_an_object_that_changes_all_the_time_and_is_told_of_late_is_none():
    world = World()
    for version in range(6, 30):
        world.now_s += 5
        world.check.compare(listed(task=version, job=5))
        world.store.remember_task(replace(world.task, resource_version=version))
        assert world.check.problem() is None


def test_an_object_that_is_gone_is_not_waited_for():
    world = World()
    world.check.compare(listed(task=5, job=9))
    world.now_s = 11
    world.check.compare(listed(task=5))
    assert world.check.problem() is None
