"""That no password, key or secret is in anything that a worker says, whatever goes wrong."""

from __future__ import annotations

import base64
import http.client
from collections.abc import AsyncIterator, Callable, Iterator
from urllib.parse import quote

import pytest
from tests.integration.worker_process import (
    LONG,
    Task,
    candle_task,
    run_worker,
    running_worker,
    slow_klines,
)

from loadertask_contract.messages import EncodedMessage
from loadertask_contract.termination import encode_termination
from loadertask_devstack.kafka import Kafka, topics
from loadertask_devstack.stack import free_port
from loadertask_devstack.venue.faults import Fault, FaultKind, FaultRule, Match
from loadertask_devstack.venue.server import RunningVenue, running_venue
from loadertask_devstack.venue.state import VenueSettings

pytestmark = pytest.mark.integration

KEY, SECRET = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zv", "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP"
WRONG_PASSWORD, PROXY_PASSWORD = "wrong-PASSWORD-9sX2", "proxy-PASSWORD-4fQ7"
NOWHERE = "127.0.0.1:1"


@pytest.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    async with running_venue(VenueSettings()) as running:
        yield running


@pytest.fixture
def task(kafka: Kafka, venue: RunningVenue, unique: Callable[[str], str]) -> Task:
    return candle_task(kafka, venue.url, unique("wf-Secrets"), "2020-01-01:2020-01-02").but(
        DEBUG="true",
        BINANCE_API_KEY=KEY,
        BINANCE_API_SECRET=SECRET,
    )


def secrets_of(task: Task) -> Iterator[bytes]:
    """Every secret that the worker was given, also as a protocol would encode it."""
    given = (task.variables.get("KAFKA_PASSWORD_PRODUCER", ""), KEY, SECRET)
    for text in (*given, task.kafka.password("loader"), WRONG_PASSWORD, PROXY_PASSWORD):
        for form in (text, quote(text), base64.b64encode(text.encode()).decode().rstrip("=")):
            if form:
                yield form.encode()


async def assert_discreet(task: Task, *said: str) -> None:
    events = await task.events()
    messages: list[bytes] = [text.encode() for text in said]
    for record in topics.read_records(task.kafka.plain, "queue-events"):
        encoded = EncodedMessage(record.key or b"", record.value or b"", record.headers)
        messages += [encoded.key, encoded.value, *(value for _, value in encoded.headers)]
    messages += [encode_termination(event) for event in events]
    for secret in secrets_of(task):
        assert not [message for message in messages if secret in message]


@pytest.mark.parametrize(
    ("changes", "exit_code"),
    [
        ({}, 0),
        ({"KAFKA_PASSWORD_PRODUCER": WRONG_PASSWORD}, 78),
        ({"KAFKA_BOOTSTRAP_SERVERS": NOWHERE}, 75),
        ({"BINANCE_API_URL": f"http://{NOWHERE}"}, 75),
        ({"BINANCE_API_URL": f"http://user:{PROXY_PASSWORD}@{NOWHERE}"}, 78),
        (
            {
                "BINANCE_API_URL": "http://venue.test",
                "http_proxy": f"http://user:{PROXY_PASSWORD}@{NOWHERE}",
            },
            75,
        ),
        ({"TYPE": "ws_trades", "BINANCE_WS_URL": f"ws://{NOWHERE}"}, 75),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}, 75),
        ({"BINANCE_API_SECRET": None, "SYMBOL": "?", "TYPE": "?", "TIME_RANGE": "?"}, 78),
        ({"KAFKA_USER_PRODUCER": None, "QUEUE_ID": "a b"}, 78),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
async def test_no_way_to_end_tells_a_secret(
    task: Task, changes: dict[str, str | None], exit_code: int
) -> None:
    # The patience is waited for where something is not there.
    changed = task.but(LOADER_PATIENCE_SECONDS="2" if exit_code == 75 else "20", **changes)
    ended = await run_worker(changed.variables)
    assert ended.exit_code == exit_code, ended.stderr
    await assert_discreet(changed, ended.stderr)


async def test_neither_a_load_in_trouble_nor_its_metrics_tell_a_secret(
    task: Task, venue: RunningVenue
) -> None:
    for number, fault in enumerate(
        (
            Fault(kind=FaultKind.HTML_5XX),
            Fault(kind=FaultKind.TRUNCATE),
            Fault(kind=FaultKind.RESET),
            Fault(kind=FaultKind.STATUS, status=429, code=-1003, retry_after_s=1),
        )
    ):
        match = Match(path="/api/v3/klines", nth=3 * number + 3)
        venue.state.faults.add([FaultRule(match=match, fault=fault, times=1)])
    slow_klines(venue)
    port = free_port()
    busy = task.but(TIME_RANGE=LONG, LOADER_METRICS_PORT=str(port))
    async with running_worker(busy.variables) as worker:
        await worker.says("HTTP 429")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/metrics")
        metrics = connection.getresponse().read().decode()
        connection.close()
        topics.delete_topic(task.kafka.plain, task.variables["KAFKA_TOPIC"])
        worker.terminate()
        ended = await worker.ended()
    assert "loadertask_worker_requests_total" in metrics
    await assert_discreet(busy, ended.stderr, metrics)
