"""Heartbeats never stop while a worker lives, whatever it is busy with."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from tests.integration.stopwatch import Stopwatch
from tests.integration.worker_process import candle_task, run_worker

from loadertask_contract.events import EventStatus
from loadertask_devstack.kafka import Kafka
from loadertask_devstack.venue import Venue

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
