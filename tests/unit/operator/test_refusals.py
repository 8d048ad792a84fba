"""Requests that the API server refuses for good: what has to end ends all the same, and says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.operator.test_reconcile import KEY, Harness, LostAnswerError

from loadertask_operator.conditions import is_terminal
from loadertask_operator.errors import ApiError, RefusedError, UnavailableError, api_error
from loadertask_operator.observed import JobOutcome

REFUSALS = (403, 422, 500)
"""A missing right, an older CRD, a webhook that cannot be reached."""


def refusing(status: int) -> Callable[..., Awaitable[Any]]:
    async def refuse(*_: Any, **__: Any) -> Any:
        raise api_error(status, "refused")

    return refuse


async def running(**spec: Any) -> Harness:
    world = Harness(**spec)
    await world.settle()
    world.say("started")
    world.pod(None)
    await world.settle()
    assert world.status.phase == "Running"
    return world


def delete(world: Harness) -> None:
    world.api._store(replace(world.task, deletion_time=world.now))


async def wait(world: Harness, seconds: float) -> None:
    """One look later, as of the retry queue."""
    world.now += timedelta(seconds=seconds)
    world.sync()
    with suppress(RefusedError, UnavailableError):
        await world.reconciler.reconcile(KEY)


def told(world: Harness) -> list[str]:
    return [notice.reason for notice in world.api.events]


@pytest.mark.parametrize("status", REFUSALS)
async def test_a_deleted_task_is_let_go_when_nobody_may_delete_its_job(status):
    world = await running()
    world.api.delete_job = refusing(status)
    delete(world)
    await wait(world, 0)
    await wait(world, 60)
    assert KEY in world.api.tasks
    await wait(world, 31)
    assert KEY not in world.api.tasks
    assert "GracefulStopTimedOut" in told(world)


@pytest.mark.parametrize("status", REFUSALS)
async def test_a_deleted_task_whose_status_is_refused_is_stopped_and_let_go_in_time(status):
    world = await running()
    world.api.put_status = refusing(status)
    delete(world)
    await wait(world, 0)
    assert world.sender.sent == [world.task.queue_id]
    await wait(world, 5)
    assert len(world.sender.sent) == 2
    assert world.api.deleted == []
    await wait(world, 26)
    assert [name for name, _ in world.api.deleted] == ["btc-1"]
    world.api.end_deletions()
    world.api.pods.clear()
    await wait(world, 1)
    assert KEY not in world.api.tasks


async def test_a_deleted_task_is_let_go_even_when_status_and_job_are_refused():
    world = await running()
    world.api.put_status = world.api.delete_job = refusing(403)
    delete(world)
    for _ in range(3):
        await wait(world, 31)
    assert KEY in world.api.tasks
    await wait(world, 31)
    assert KEY not in world.api.tasks


async def test_a_stop_that_could_not_be_stored_is_forgotten_when_one_is():
    world = await running()
    accept, world.api.put_status = world.api.put_status, refusing(403)
    delete(world)
    await wait(world, 0)
    world.api.put_status = accept
    asked_at = world.now
    await wait(world, 5)
    assert world.status.stop.commands_sent == 2
    assert world.status.stop.requested_at == asked_at


async def test_a_status_that_is_refused_holds_up_a_stop_that_could_be_taken_back():
    world = await running()
    world.api.put_status = refusing(403)
    world.change(stop=True)
    await wait(world, 0)
    assert world.sender.sent == []


async def test_a_job_that_takes_no_ttl_holds_no_retry():
    world = await running()
    world.api.set_job_ttl = refusing(403)
    world.pod(1)
    world.job_ends(JobOutcome.FAILED)
    for _ in range(5):
        await wait(world, 31)
    assert world.status.attempts == 2


async def test_a_job_that_takes_no_ttl_leaves_no_finalizer():
    world = await running()
    world.api.set_job_ttl = refusing(403)
    world.say("finished")
    world.pod(0)
    world.job_ends()
    await wait(world, 1)
    await wait(world, 1)
    assert is_terminal(world.status)
    assert not world.task.finalizers


async def test_a_job_that_takes_no_ttl_does_not_keep_a_task_beyond_its_own():
    world = await running(ttlSecondsAfterFinished=60)
    world.api.set_job_ttl = refusing(500)
    world.say("finished")
    world.pod(0)
    world.job_ends()
    await wait(world, 1)
    await wait(world, 1)
    await wait(world, 61)
    assert KEY not in world.api.tasks


async def test_the_last_failure_is_the_one_to_retry_for():
    world = await running()
    world.api.delete_job = refusing(403)
    delete(world)
    await wait(world, 0)
    world.now += timedelta(seconds=200)
    world.sync()
    world.api.set_finalizer = refusing(500)
    with pytest.raises(ApiError) as caught:
        await world.reconciler.reconcile(KEY)
    assert caught.value.status == 500


@pytest.mark.parametrize("status", [403, 500])
async def test_a_task_whose_status_is_refused_does_not_stop_the_events_of_others(status):
    world = await running()
    accept, world.api.put_status = world.api.put_status, refusing(status)
    for written in range(150):
        world.say("loading", written=written)
    world.reconciler._effects._budget.forget(KEY)
    await wait(world, 1)
    assert len(world.inbox) == 1
    world.api.put_status = accept
    world.say("finished", written=150)
    await wait(world, 60)
    assert world.status.records_written == 150
    assert world.inbox.ledger.committable() == {0: len(world.topic)}


async def standing_still() -> Harness:
    """A load that ends by its deadline of progress at the next look."""
    world = await running()
    world.now += timedelta(seconds=301)
    world.sync()
    return world


async def test_the_warning_of_an_attempt_is_told_although_its_job_is_not_deleted_at_once():
    world = await standing_still()
    accept, world.api.delete_job = world.api.delete_job, refusing(500)
    await wait(world, 0)
    world.api.delete_job = accept
    await wait(world, 1)
    assert told(world).count("ProgressDeadlineExceeded") == 1


async def test_the_warning_of_a_status_whose_answer_was_lost_is_told_when_it_is_seen_stored():
    world = await standing_still()
    world.api.failures = [LostAnswerError(0, "no answer")]
    with pytest.raises(LostAnswerError):
        await world.reconciler.reconcile(KEY)
    assert world.status.phase == "Retrying"
    assert "ProgressDeadlineExceeded" not in told(world)
    # The view is still the one before: the second look finds that it is outdated.
    world.now += timedelta(seconds=2)
    assert await world.reconciler.reconcile(KEY) == 0
    await world.settle()
    assert told(world).count("ProgressDeadlineExceeded") == 1


async def test_the_warning_of_a_status_that_was_not_stored_is_told_once_it_is():
    world = await standing_still()
    world.api.failures = [UnavailableError(500, "no")]
    await wait(world, 0)
    assert "ProgressDeadlineExceeded" not in told(world)
    await world.settle()
    assert told(world).count("ProgressDeadlineExceeded") == 1


async def test_what_was_not_stored_and_is_not_so_any_more_is_not_told():
    world = await standing_still()
    world.api.failures = [UnavailableError(500, "no")]
    await wait(world, 0)
    world.say("loading", written=5)
    await world.settle()
    assert world.status.phase == "Running"
    assert "ProgressDeadlineExceeded" not in told(world)


async def test_that_a_load_was_resumed_is_told_although_its_job_is_made_later():
    world = Harness(suspend=True)
    await world.settle()
    world.change(suspend=False)
    accept, world.api.create_job = world.api.create_job, refusing(500)
    await wait(world, 1)
    assert "Resumed" not in told(world)
    world.api.create_job = accept
    await world.settle()
    assert told(world).count("Resumed") == 1


async def test_a_step_whose_status_was_not_stored_is_told_once() -> None:
    world = await running()
    world.say("interrupted")
    await world.settle()
    world.change(suspend=True)
    before, put, tries = len(world.api.events), world.api.put_status, 0

    async def refused_once(task: Any, status: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise UnavailableError(500, "for a moment")
        return await put(task, status)

    world.api.put_status = refused_once  # type: ignore[method-assign]
    with pytest.raises(UnavailableError):
        await world.settle()
    await world.settle()
    new = [(event.reason, event.message) for event in world.api.events[before:]]
    assert len(new) == len(set(new))


async def test_the_job_of_an_attempt_that_ended_goes_though_the_operator_was_away() -> None:
    world = await running()
    world.pod(1)
    world.job_ends(JobOutcome.FAILED)
    await world.settle()
    assert world.status.phase == "Retrying"
    world.now += timedelta(seconds=300)
    world.start()
    await world.settle()
    assert world.api.created == ["btc-1", "btc-2"]
    assert world.api.jobs["btc-1"].ttl_s is not None
