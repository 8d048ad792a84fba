"""Heartbeats never stop while a worker lives, whatever it is busy with."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from itertools import pairwise

import pytest
from tests.integration.stopwatch import Stopwatch
from tests.integration.worker_process import (
    KLINES,
    candle_task,
    eventually,
    run_worker,
    running_worker,
)

from loadertask_contract.events import EventStatus
from loadertask_devstack.kafka import Kafka
from loadertask_devstack.venue import Venue
from loadertask_devstack.venue.faults import Fault, FaultKind, FaultRule, Match
from loadertask_devstack.venue.server import RunningVenue, running_venue
from loadertask_devstack.venue.state import VenueSettings
from loadertask_worker.binance.rest import binance_rest

pytestmark = pytest.mark.integration

INTERVAL_S = 0.2
# A heartbeat waits for one piece of a file at most; the rest is for a machine that is busy.
LONGEST_SILENCE_S = 2.0


async def test_heartbeats_go_on_while_whole_months_of_the_archive_are_read(
    kafka: Kafka, venue: Venue, unique: Callable[[str], str]
) -> None:
    task = candle_task(kafka, venue.url, unique("wf-Beats"), "2022-01-01:2022-07-01").but(
        LOADER_ARCHIVE_URL=venue.url, TELEMETRY_INTERVAL=str(INTERVAL_S)
    )
    with Stopwatch() as watch:
        ended = await run_worker(task.variables)
    assert ended.exit_code == 0, ended.stderr
    events = [event.payload for event in await task.events()]
    moments = [event.timestamp for event in events if event.timestamp is not None]
    silences = [later - earlier for earlier, later in pairwise(moments)]
    assert max(silences) < LONGEST_SILENCE_S + watch.stood_still_s, silences
    beats = sum(event.status is EventStatus.LOADING for event in events)
    assert beats >= (moments[-1] - moments[0] - watch.stood_still_s) / INTERVAL_S / 4
    assert events[-1].records_written == (31 + 28 + 31 + 30 + 31 + 30) * 1440


@pytest.fixture
async def faulty() -> AsyncIterator[RunningVenue]:
    async with running_venue(VenueSettings()) as running:
        yield running


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (
            Fault(kind=FaultKind.HTML_403),
            "the venue limits the rate of requests (HTTP 403); waiting until ",
        ),
        (
            Fault(kind=FaultKind.STATUS, status=429, code=-1003, retry_after_s=100),
            "the venue limits the rate of requests (HTTP 429); waiting until ",
        ),
        (
            Fault(kind=FaultKind.EMPTY_5XX),
            "the venue gives no usable answer: HTTP 500; trying again until ",
        ),
    ],
    ids=["403", "429", "500"],
)
async def test_heartbeats_tell_what_the_venue_lets_the_worker_wait_for(
    kafka: Kafka, faulty: RunningVenue, unique: Callable[[str], str], fault: Fault, told: str
) -> None:
    # The second page never comes, so that neither the wait nor the load ends before it was told.
    page = Match(path=KLINES, nth=2)
    faulty.state.faults.add([FaultRule(match=page, fault=fault)])
    task = candle_task(kafka, faulty.url, unique("wf-Waits"), "2020-01-01:2020-01-02").but(
        TELEMETRY_INTERVAL=str(INTERVAL_S), LOADER_PATIENCE_SECONDS="100"
    )
    async with running_worker(task.variables) as worker:
        await worker.says(rf"loading: Loaded and published \d+ records; {re.escape(told)}\d{{4}}-")


async def test_an_answer_ends_what_was_told_of_the_tries_before(faulty: RunningVenue) -> None:
    faulty.state.faults.add([FaultRule(fault=Fault(kind=FaultKind.EMPTY_5XX))])
    told: list[tuple[str, float]] = []
    async with binance_rest(
        faulty.url, patience_s=100, weight_share=1, on_wait=lambda *wait: told.append(wait)
    ) as rest:
        asking = asyncio.create_task(rest.server_time())
        await eventually(lambda: told)
        faulty.state.faults.clear()
        async with asyncio.timeout(60):
            await asking
    *tries, over = told
    assert all(for_s > 0 for _, for_s in tries)
    assert over == ("", 0.0)
