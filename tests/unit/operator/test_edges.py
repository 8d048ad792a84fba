"""The thin edges that need no server: names, logs, write budget, health, metrics."""

from __future__ import annotations

import json
import logging
from contextlib import AsyncExitStack

import aiohttp
import pytest
from tests.unit.operator.worlds import UID, make_task

from loadertask_contract.task_types import TaskType
from loadertask_devstack.stack import free_port
from loadertask_operator import names
from loadertask_operator.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    api_error,
)
from loadertask_operator.health import serve
from loadertask_operator.logs import JsonFormatter
from loadertask_operator.manifests.merge import merged
from loadertask_operator.metrics import Metrics
from loadertask_operator.status import Phase, Status
from loadertask_operator.writes import WriteBudget


def test_producer_ids_are_deterministic_and_differ_by_attempt_and_task():
    ids = {names.producer_id(uid, n, TaskType.API_TRADES) for uid in (UID, "b") for n in (1, 2)}
    assert len(ids) == 4
    assert names.producer_id(UID, 1, TaskType.API_TRADES) in ids
    assert names.producer_id(UID, 1, TaskType.WS_CANDLES).startswith("loader-ws-candles__")


def test_the_longest_task_name_still_makes_a_job_name():
    assert len(names.job_name("a" * 52, 9_999_999_999)) <= 63


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, NotFoundError),
        (409, ConflictError),
        (403, RefusedError),
        (405, RefusedError),
        (400, InvalidError),
        (413, InvalidError),
        (422, InvalidError),
        (401, UnavailableError),
        (429, UnavailableError),
        (500, UnavailableError),
        (503, UnavailableError),
    ],
)
def test_an_http_status_is_an_error_that_says_what_can_be_done(status, kind):
    assert type(api_error(status, "m")) is kind


def test_a_log_line_is_json_with_the_task_and_the_exception():
    record = logging.makeLogRecord({"msg": "a %s", "args": ("b",), "task": "n/t", "attempt": 2})
    line = json.loads(JsonFormatter().format(record))
    assert (line["message"], line["task"], line["attempt"]) == ("a b", "n/t", 2)
    try:
        int("bad")
    except ValueError as error:
        record.exc_info = (type(error), error, None)
    assert "ValueError: invalid" in json.loads(JsonFormatter().format(record))["exception"]


def test_progress_waits_and_a_phase_does_not():
    now_s = 100.0
    budget = WriteBudget(10, clock_s=lambda: now_s)
    key = make_task().key
    before = Status(phase=Phase.RUNNING, records_written=1)
    progress = Status(phase=Phase.RUNNING, records_written=2)
    assert budget.seconds_to_wait(key, before, progress) == 0
    budget.note_write(key)
    now_s = 104.0
    assert budget.seconds_to_wait(key, before, progress) == 6
    assert budget.seconds_to_wait(key, before, Status(phase=Phase.STOPPING)) == 0
    assert budget.seconds_to_wait(key, before, progress, range(501)) == 0
    budget.forget(key)
    assert budget.seconds_to_wait(key, before, progress) == 0


def test_templates_merge_maps_deeply_and_lists_by_name():
    base = {"a": {"x": 1, "y": 1}, "l": [{"name": "n", "v": 1}, {"name": "m"}], "s": [1]}
    overlay = {"a": {"y": 2}, "l": [{"name": "n", "w": 2}, {"name": "o"}], "s": [2]}
    assert merged(base, overlay) == {
        "a": {"x": 1, "y": 2},
        "l": [{"name": "n", "v": 1, "w": 2}, {"name": "m"}, {"name": "o"}],
        "s": [1, 2],
    }
    assert base["a"] == {"x": 1, "y": 1}


async def test_probes_answer_503_with_what_is_wrong_and_metrics_are_served():
    problem: str | None = "stuck"
    health_port, metrics_port = free_port(), free_port()
    async with AsyncExitStack() as stack, aiohttp.ClientSession() as session:
        await serve(
            stack,
            health_port=health_port,
            metrics_port=metrics_port,
            liveness=lambda: problem,
            readiness=lambda: None,
            metrics=Metrics(),
        )

        async def get(port: int, path: str) -> tuple[int, str]:
            async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                return answer.status, await answer.text()

        assert await get(health_port, "/healthz") == (503, "stuck")
        problem = None
        assert await get(health_port, "/healthz") == (200, "ok")
        assert await get(health_port, "/readyz") == (200, "ok")
        status, text = await get(metrics_port, "/metrics")
        assert status == 200
        assert "loadertask_status_writes_total" in text
