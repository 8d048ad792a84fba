"""What may still change of a task that has ended, and what may not."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.operator.test_decide import JOBS, RULES, ended, producer
from tests.unit.operator.test_reconcile import KEY, Harness
from tests.unit.operator.worlds import after, make_event, received

from loadertask_operator.decide import decide
from loadertask_operator.observed import Observed

KEPT = replace(JOBS["complete"], ttl_s=3600)


def test_an_edit_of_an_ended_task_is_told_to_have_been_seen():
    task = replace(ended(ttlSecondsAfterFinished=3600), generation=2)
    plan = decide(Observed(task, job=KEPT), RULES, after(5))
    assert plan.status == task.status.model_copy(update={"observed_generation": 2})
    settled = decide(Observed(replace(task, status=plan.status), job=KEPT), RULES, after(6))
    assert settled.status == plan.status


async def finished() -> Harness:
    world = Harness()
    await world.settle()
    world.say("finished")
    world.job_ends()
    await world.settle()
    return world


async def test_an_edit_of_an_ended_task_costs_one_write():
    world = await finished()
    before = world.api.writes
    await world.settle()
    assert world.api.writes == before
    world.api._store(replace(world.task, generation=2))
    # The write of the end was just now: this one is coalesced with what else may come.
    world.reconciler._effects._budget.forget(KEY)
    await world.settle()
    await world.settle()
    assert world.api.writes == before + 1
    assert world.status.observed_generation == 2


def test_a_later_task_of_its_queue_moves_nothing_of_an_ended_one():
    task = ended()
    others = tuple(received(make_event("loading", f"loader__{n}"), n, after(60)) for n in range(9))
    assert decide(Observed(task, job=KEPT, events=others), RULES, after(60)).status == task.status
    late = received(make_event("error", producer(task)), 99, after(60))
    plan = decide(Observed(task, job=KEPT, events=(*others, late)), RULES, after(60))
    assert plan.status.telemetry.events_discarded == 10
    assert plan.status.conditions == task.status.conditions


async def test_events_of_a_later_task_are_settled_without_a_write():
    world = await finished()
    before = world.api.writes
    world.say("loading", producer="loader-producer__another")
    world.reconciler._effects._budget.forget(KEY)
    await world.settle()
    assert world.api.writes == before
    assert world.inbox.ledger.committable() == {0: 2}
