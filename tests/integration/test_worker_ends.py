"""How a worker ends while something is stalled: events, records, host names, its own start."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.integration.stopwatch import Stopwatch
from tests.integration.worker_process import (
    LONG,
    TRANSACTIONAL,
    Task,
    candle_task,
    running_worker,
    slow_klines,
)

from loadertask_contract.commands import Command
from loadertask_contract.events import EventStatus, parse_event
from loadertask_devstack.kafka import Kafka, topics
from loadertask_devstack.venue.server import RunningVenue, running_venue
from loadertask_devstack.venue.state import VenueSettings

pytestmark = pytest.mark.integration

SOME_DAYS = "2021-01-01:2021-01-08"
PATIENT = {"LOADER_PATIENCE_SECONDS": "60"}
SILENCE_S = 40
# Read by Python before the worker: host names are answered after that.
SILENT_NAME_SERVER = f"""
import socket, sys, time
answer = socket.getaddrinfo
def getaddrinfo(host, *args, **options):
    if host == "silent.test":
        print("asking", file=sys.stderr, flush=True)
        time.sleep({SILENCE_S})
    return answer(host, *args, **options)
socket.getaddrinfo = getaddrinfo
"""
SLOW_IMPORT = f"""
import sys, time
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "loadertask_worker.runner":
            print("importing", file=sys.stderr, flush=True)
            time.sleep({SILENCE_S})
sys.meta_path.insert(0, Finder())
"""


@pytest.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    async with running_venue(VenueSettings()) as running:
        slow_klines(running)
        yield running


@pytest.fixture
def task(kafka: Kafka, venue: RunningVenue, unique: Callable[[str], str]) -> Task:
    return candle_task(kafka, venue.url, unique("wf-Ends"), SOME_DAYS)


async def test_the_last_event_is_waited_for_with_patience(
    task: Task, unique: Callable[[str], str]
) -> None:
    events = unique("events")
    topics.create_topic(task.kafka.plain, events)
    patient = task.but(QUEUE_EVENTS_TOPIC=events, **PATIENT)
    async with running_worker(patient.variables) as worker:
        await worker.says("started:")
        topics.delete_topic(task.kafka.plain, events)
        await worker.says("finished:")
        with pytest.raises(TimeoutError):
            await worker.ended(timeout_s=5)
        topics.create_topic(task.kafka.plain, events)
        ended = await worker.ended()
    assert ended.exit_code == 0, ended.stderr
    found = topics.read_records(task.kafka.plain, events)
    last = parse_event(found[-1].value, found[-1].headers)
    assert last.payload.status is EventStatus.FINISHED


async def test_sigterm_cuts_the_wait_for_the_last_event_short(
    task: Task, unique: Callable[[str], str]
) -> None:
    events = unique("events")
    topics.create_topic(task.kafka.plain, events)
    patient = task.but(QUEUE_EVENTS_TOPIC=events, **PATIENT)
    async with running_worker(patient.variables) as worker:
        await worker.says("started:")
        topics.delete_topic(task.kafka.plain, events)
        await worker.says("finished:")
        worker.terminate()
        ended = await worker.ended(timeout_s=40)
    assert ended.exit_code == 0, ended.stderr


@pytest.mark.parametrize("user", ["loader", TRANSACTIONAL])
async def test_a_stop_command_with_stalled_records_is_a_stop_and_no_error(
    task: Task, user: str
) -> None:
    long = task.as_user(user).but(TIME_RANGE=LONG, **PATIENT)
    async with running_worker(long.variables) as worker:
        await worker.has_loaded()
        topics.delete_topic(task.kafka.plain, task.variables["KAFKA_TOPIC"])
        await worker.says("has acknowledged nothing for")
        with Stopwatch() as watch:
            task.command(Command.STOP)
            ended = await worker.ended()
    assert ended.exit_code == 0, ended.stderr
    assert watch.took_s < 20
    assert await task.statuses() == [EventStatus.STARTED, EventStatus.INTERRUPTED]
    last = (await task.events())[-1]
    assert "were not acknowledged by Kafka" in last.payload.message


async def test_sigterm_with_stalled_records_ends_soon_and_is_no_error(task: Task) -> None:
    async with running_worker(task.but(TIME_RANGE=LONG, **PATIENT).variables) as worker:
        await worker.has_loaded()
        topics.delete_topic(task.kafka.plain, task.variables["KAFKA_TOPIC"])
        worker.terminate()
        ended = await worker.ended(timeout_s=40)
    assert ended.exit_code == 75, ended.stderr
    assert await task.statuses() == [EventStatus.STARTED]
    last = (await task.events())[-1]
    assert last.progress.reason in ("Terminated", "DeliveryUnknown")


@pytest.mark.parametrize("is_terminated", [False, True])
async def test_a_silent_name_server_does_not_hold_up_the_exit(
    task: Task, tmp_path: Path, is_terminated: bool
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SILENT_NAME_SERVER)
    lost = task.but(
        KAFKA_BOOTSTRAP_SERVERS="silent.test:9093",
        LOADER_PATIENCE_SECONDS="3",
        PYTHONPATH=str(tmp_path),
    )
    async with running_worker(lost.variables) as worker:
        if is_terminated:
            await worker.says("asking")
            worker.terminate()
        ended = await worker.ended(timeout_s=SILENCE_S - 5)
    assert ended.exit_code == 75, ended.stderr


async def test_sigterm_during_the_start_asks_to_be_tried_again(task: Task, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLOW_IMPORT)
    async with running_worker(task.but(PYTHONPATH=str(tmp_path)).variables) as worker:
        await worker.says("importing")
        worker.terminate()
        ended = await worker.ended(timeout_s=SILENCE_S - 5)
    assert ended.exit_code == 75, ended.stderr
