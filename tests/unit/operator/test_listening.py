"""A silence is evidence for one who has listened, and a broken connection no excuse for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.operator.test_reconcile import Harness
from tests.unit.operator.test_refusals import running
from tests.unit.operator.worlds import NOW, after

from loadertask_operator.conditions import is_terminal
from loadertask_operator.listening import Listening

GRACE = timedelta(seconds=60)


def changes(*times: float) -> Listening:
    """Reachable, unreachable, reachable … at ``times``, in seconds."""
    listening = Listening(NOW, GRACE)
    for number, at in enumerate(times):
        assert listening.note(after(at), is_reachable=number % 2 == 0)
    return listening


def test_at_first_nothing_is_in_the_way_and_nothing_was_read():
    listening = Listening(NOW, GRACE)
    assert listening.is_possible
    assert not listening.has_caught_up
    assert listening.since == NOW


def test_each_change_begins_the_silence_anew_and_what_is_known_is_no_change():
    listening = changes(1, 1000)
    assert not listening.is_possible
    assert listening.since == after(1000)
    assert not listening.note(after(1010), is_reachable=False)
    assert listening.since == after(1000)


def test_a_long_outage_leaves_a_worker_its_time_to_speak():
    assert changes(0, 70, 86_400).since == after(86_400)


def test_after_some_returns_that_did_not_last_further_ones_do_not_count():
    listening = changes(*range(0, 11 * 50, 50))
    assert listening.has_caught_up
    assert listening.since == after(400)
    for number in range(100):
        listening.note(after(550 + 50 * number), is_reachable=bool(number % 2))
    assert listening.since == after(400)


def test_a_return_that_lasts_makes_the_next_change_count_again():
    listening = changes(*range(0, 11 * 50, 50))
    listening.note(after(500 + 60), is_reachable=False)
    assert listening.since == after(560)


@pytest.mark.parametrize(("up_s", "down_s"), [(50, 50), (10, 70), (1, 1), (59, 600)])
@pytest.mark.parametrize("kind", ["disappeared", "no pod", "mute worker", "standstill"])
async def test_a_connection_that_never_lasts_holds_no_state_for_ever(kind, up_s, down_s):
    world = Harness(backoffLimit=0)
    await world.settle()
    if kind in {"disappeared", "standstill"}:
        world.say("started")
        await world.settle()
    if kind == "disappeared":
        world.api.jobs.clear()
        world.store.forget_job("loads", "btc-1", "uid-btc-1")
    if kind in {"mute worker", "standstill"}:
        world.pod(None)
    for number in range(4000):
        if is_terminal(world.status):
            return
        world.now += timedelta(seconds=down_s if number % 2 else up_s)
        world.reconciler.note_broker(number % 2 == 1)
        await world.settle()
    raise AssertionError(f"after {world.now - NOW} still {world.status.phase}")


async def test_a_short_outage_kills_no_worker_that_speaks_when_it_is_over():
    world = Harness(backoffLimit=0)
    await world.settle()
    world.say("started")
    world.pod(None)
    await world.settle()
    for _ in range(20):
        world.now += timedelta(seconds=100)
        world.reconciler.note_broker(False)
        await world.settle()
        world.now += timedelta(seconds=290)
        world.reconciler.note_broker(True)
        await world.settle()
        world.now += timedelta(seconds=59)
        world.say("loading", written=len(world.topic))
        await world.settle()
        assert world.status.phase == "Running"


async def goes_away(world: Harness, outage_s: float) -> None:
    """Kafka, for so long, and is back."""
    world.reconciler.note_broker(False)
    await world.settle()
    world.now += timedelta(seconds=outage_s)
    world.reconciler.note_broker(True)
    await world.settle()


async def speaks(world: Harness, written: int) -> None:
    """The worker, five seconds later."""
    world.now += timedelta(seconds=5)
    world.say("loading", written=written)
    await world.settle()


async def test_a_broker_that_crashes_in_a_loop_ends_no_load_whose_worker_speaks():
    world = await running(backoffLimit=0)
    for outage_s in (10, 20, 40, 80, 160, 300, 300, 300):  # as the kubelet restarts a pod
        world.now += timedelta(seconds=15)
        await goes_away(world, outage_s)
        assert world.status.phase == "Running"
        await speaks(world, len(world.topic))
        assert world.status.phase == "Running"


async def test_telemetry_that_comes_and_goes_with_the_broker_is_not_told_each_time():
    world = await running(progressDeadlineSeconds=86_400)
    before = len(world.api.events)
    for number in range(40):
        await goes_away(world, 25)
        await speaks(world, number)
        world.now += timedelta(seconds=15)
    told = [event.reason for event in world.api.events[before:]]
    assert told.count("Stale") <= 1
