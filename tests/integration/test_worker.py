"""The worker process against a real Kafka and the strict venue replay: loads and their ends."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Producer
from tests.integration.stopwatch import Stopwatch
from tests.integration.worker_process import (
    KLINES,
    LONG,
    Task,
    candle_task,
    command,
    eventually,
    publish,
    run_worker,
    running_worker,
    slow_klines,
)

from loadertask_contract.commands import Command
from loadertask_contract.events import EventStatus
from loadertask_contract.time_range import parse_time_range
from loadertask_devstack.kafka import Kafka, topics
from loadertask_devstack.venue.faults import Fault, FaultKind, FaultRule, Match
from loadertask_devstack.venue.recordings import committed_recordings
from loadertask_devstack.venue.server import RunningVenue, running_venue
from loadertask_devstack.venue.state import VenueSettings

pytestmark = pytest.mark.integration

DAY = "2020-01-01:2020-01-02"
NOWHERE = "127.0.0.1:1"
PATIENCE_S = 20
"""The patience of the tasks here: what ends sooner has not used it up."""
PAGES_IN_FLIGHT = 8
LEAVING_S = 1.0
"""What Python and this machine may take to end a process whose last word is said."""


@pytest.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    async with running_venue(VenueSettings()) as running:
        yield running


@pytest.fixture
def task(kafka: Kafka, venue: RunningVenue, unique: Callable[[str], str]) -> Task:
    return candle_task(kafka, venue.url, unique("wf-Bulk"), DAY)


def break_klines(venue: RunningVenue, kind: FaultKind, **how: Any) -> None:
    times = how.pop("times", None)
    match = Match(path=KLINES, nth=how.pop("nth", 1))
    fault = Fault(kind=kind, **how)
    venue.state.faults.add([FaultRule(match=match, fault=fault, times=times)])


def recorded_day() -> list[bytes]:
    """2020-01-01 from the committed recording, spelled by the contract."""
    (recording,) = [r for r in committed_recordings() if r.symbol == "BTCUSDT"]
    day = datetime(2020, 1, 1, tzinfo=UTC).timestamp() // 86_400

    def text(units: int) -> str:
        return f"{units // 10**8}.{units % 10**8:08d}"

    return [
        (
            f'{{"open_time":{c.open_time_ms},"open":{text(c.open)},"high":{text(c.high)},'
            f'"low":{text(c.low)},"close":{text(c.close)},"volume":{text(c.volume)},'
            f'"close_time":{c.close_time_ms},"quote_asset_volume":{text(c.quote_volume)},'
            f'"number_of_trades":{c.trade_count},'
            f'"taker_buy_base_asset_volume":{text(c.taker_volume)},'
            f'"taker_buy_quote_asset_volume":{text(c.taker_quote_volume)},'
            '"symbol":"BTCUSDT","interval":"1m"}'
        ).encode()
        for c in recording.candles(int(day))
    ]


async def assert_whole_day(task: Task) -> None:
    records = await task.records()
    assert [record.value for record in records] == recorded_day()


async def test_a_day_arrives_digit_for_digit(task: Task) -> None:
    begun_ms = time.time_ns() // 1_000_000
    ended = await run_worker(task.variables)
    ended_ms = time.time_ns() // 1_000_000
    assert ended.exit_code == 0, ended.stderr

    await assert_whole_day(task)
    records = await task.records()
    assert len(records) == 1440
    assert {record.key for record in records} == {b"BTCUSDT"}
    assert {record.headers for record in records} == {()}
    assert all(begun_ms <= record.timestamp_ms <= ended_ms for record in records)

    events = await task.events()
    assert events[0].payload.status is EventStatus.STARTED
    assert events[0].progress.total == 1440
    assert events[0].progress.delivery == "effectively_once"
    last = events[-1]
    assert last.payload.model_dump(exclude={"timestamp"}) == {
        "queue_id": task.queue_id,
        "symbol": "BTCUSDT",
        "type": "api_candles_1m",
        "status": EventStatus.FINISHED,
        "message": "Loaded and published 1440 records",
        "records_written": 1440,
        "finished": True,
        "producer": task.variables["TELEMETRY_PRODUCER_ID"],
    }
    assert last.progress.done == 1440
    assert last.progress.loaded_through == datetime(2020, 1, 2, tzinfo=UTC)
    assert [e.payload.status for e in events].count(EventStatus.FINISHED) == 1
    assert task.variables["KAFKA_PASSWORD_PRODUCER"] not in ended.stderr


async def test_a_topic_of_several_partitions_keeps_a_symbol_in_the_one_of_its_key(
    task: Task,
) -> None:
    topic = task.variables["KAFKA_TOPIC"]
    topics.create_topic(task.kafka.plain, topic, partitions=6)
    ended = await run_worker(task.variables)
    assert ended.exit_code == 0, ended.stderr
    await assert_whole_day(task)
    probe = Producer({"bootstrap.servers": task.kafka.plain, "partitioner": "murmur2_random"})
    probe.produce(topic, b"probe", key=b"BTCUSDT")
    assert probe.flush(10) == 0
    assert len({record.partition for record in await task.records()}) == 1


async def test_a_range_in_which_no_candle_opens_is_finished_with_the_reason(task: Task) -> None:
    hour = {
        "TYPE": "api_candles",
        "INTERVAL": "1d",
        "TIME_RANGE": "2020-01-01T10:00/2020-01-01T11:00",
    }
    ended = await run_worker(task.but(**hour).variables)
    assert ended.exit_code == 0, ended.stderr
    last = (await task.events())[-1]
    assert last.payload.status is EventStatus.FINISHED
    assert last.payload.message == (
        "Loaded and published 0 records. No 1d candle of BTCUSDT opens in"
        " [2020-01-01T10:00:00Z, 2020-01-01T11:00:00Z): the next one does at 2020-01-02T00:00:00Z"
    )


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": FaultKind.HTML_5XX},
        {"kind": FaultKind.EMPTY_5XX},
        {"kind": FaultKind.TRUNCATE},
        {"kind": FaultKind.TRUNCATE, "keep_bytes": 0},
        {"kind": FaultKind.RESET},
        {"kind": FaultKind.STATUS, "status": 500, "code": -1001},
        {"kind": FaultKind.STATUS, "status": 429, "code": -1003, "retry_after_s": 1},
        {"kind": FaultKind.STATUS, "status": 400, "code": -1007},
        {"kind": FaultKind.HANG},
    ],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
async def test_trouble_in_the_middle_costs_time_and_nothing_else(
    task: Task, venue: RunningVenue, fault: dict[str, Any]
) -> None:
    break_klines(venue, **fault, nth=2, times=2)
    # A request that hangs is given up after 15 s or the patience.
    patience = "3" if fault["kind"] is FaultKind.HANG else "20"
    times = 1 if fault["kind"] is FaultKind.HANG else 2
    if times == 1:
        venue.state.faults.clear()
        break_klines(venue, **fault, nth=2, times=1)
        patience = "32"
    ended = await run_worker(task.but(LOADER_PATIENCE_SECONDS=patience).variables)
    assert ended.exit_code == 0, ended.stderr
    assert sum(int(rule["fired"]) for rule in venue.state.faults.described()) == times  # type: ignore[call-overload]
    await assert_whole_day(task)


async def test_a_stop_ends_a_load_at_once_and_in_order(task: Task, venue: RunningVenue) -> None:
    slow_klines(venue)
    async with running_worker(task.but(TIME_RANGE=LONG).variables) as worker:
        await worker.has_loaded()
        with Stopwatch() as watch:
            publish(task.kafka, "queue-control", command(Command.STOP, task.queue_id))
            ended = await worker.ended()
    assert ended.exit_code == 0, ended.stderr
    assert watch.took_s < 2 + LEAVING_S
    assert await task.statuses() == [EventStatus.STARTED, EventStatus.INTERRUPTED]
    records = await task.records()
    last = (await task.events())[-1]
    assert 0 < last.payload.records_written == len(records)
    times = [json.loads(record.value or b"")["open_time"] for record in records]
    first_ms = parse_time_range(LONG).start_ms
    assert times[0] == first_ms
    assert times == sorted(set(times))
    assert last.progress.loaded_through is not None
    assert times[-1] < last.progress.loaded_through.timestamp() * 1000 <= times[-1] + 7 * 3_600_000


async def test_a_stop_from_before_the_start_is_not_lost(task: Task, venue: RunningVenue) -> None:
    slow_klines(venue)
    since = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    publish(task.kafka, "queue-control", command(Command.STOP, task.queue_id))
    ended = await run_worker(task.but(LOADER_CONTROL_SINCE=since, TIME_RANGE=LONG).variables)
    assert ended.exit_code == 0, ended.stderr
    assert await task.statuses() == [EventStatus.STARTED, EventStatus.INTERRUPTED]


async def test_a_stop_of_an_earlier_life_is_not_for_us(task: Task) -> None:
    publish(task.kafka, "queue-control", command(Command.STOP, task.queue_id))
    await asyncio.sleep(0.1)  # the worker's life begins in a later millisecond
    ended = await run_worker(task.variables)
    assert ended.exit_code == 0, ended.stderr
    assert await task.statuses() == [EventStatus.STARTED, EventStatus.FINISHED]


@pytest.mark.parametrize("wildcard", ["*", "all"])
async def test_a_wildcard_stops_everybody(
    task: Task, venue: RunningVenue, wildcard: str, unique: Callable[[str], str]
) -> None:
    control = unique("control")
    slow_klines(venue)
    variables = task.but(TIME_RANGE=LONG, QUEUE_CONTROL_TOPIC=control).variables
    async with running_worker(variables) as worker:
        await worker.says("started:")
        publish(task.kafka, control, command(Command.STOP, wildcard))
        ended = await worker.ended()
    assert ended.exit_code == 0, ended.stderr
    assert await task.statuses() == [EventStatus.STARTED, EventStatus.INTERRUPTED]


async def test_foreign_messages_in_queue_control_change_nothing(
    task: Task, venue: RunningVenue, unique: Callable[[str], str]
) -> None:
    control = unique("control")
    topics.create_topic(task.kafka.plain, control, configs={"max.message.bytes": "2000000"})
    slow_klines(venue)
    variables = task.but(TIME_RANGE=LONG, QUEUE_CONTROL_TOPIC=control).variables
    async with running_worker(variables) as worker:
        await worker.says("started:")
        publish(
            task.kafka,
            control,
            b"",
            b"\xff\xfe\x00",
            b"stop",
            b"[" * 50_000,
            b'{"command":"stop"}',
            b'{"command":"stop","queue_id":7}',
            b'{"command":"dance","queue_id":"*"}',
            command(Command.STOP, task.queue_id + "-other"),
            b'{"queue_id":"*","command":"stop","x":"' + b"y" * 1_000_000 + b'"}',
            command(Command.PING, task.queue_id),
        )
        await worker.says("command ping")
        before = len(worker.lines)
        await eventually(lambda: any("loading" in line for line in worker.lines[before:]))
        publish(task.kafka, control, command(Command.STOP, task.queue_id))
        ended = await worker.ended()
    assert ended.exit_code == 0, ended.stderr
    assert await task.statuses() == [EventStatus.STARTED, EventStatus.INTERRUPTED]


async def test_sigterm_commits_and_asks_to_be_tried_again(task: Task, venue: RunningVenue) -> None:
    slow_klines(venue)
    async with running_worker(task.but(TIME_RANGE=LONG).variables) as worker:
        await worker.has_loaded()
        with Stopwatch() as watch:
            worker.terminate()
            ended = await worker.ended()
    assert ended.exit_code == 75, ended.stderr
    assert watch.took_s < 3 + LEAVING_S
    assert await task.statuses() == [EventStatus.STARTED]
    last = (await task.events())[-1]
    assert last.payload.status is EventStatus.LOADING
    assert last.progress.reason == "Terminated"
    assert 0 < last.payload.records_written == len(await task.records())


async def test_heartbeats_go_on_while_the_venue_hangs(task: Task, venue: RunningVenue) -> None:
    break_klines(venue, FaultKind.HANG)
    hanging = task.but(TELEMETRY_INTERVAL="0.2", LOADER_PATIENCE_SECONDS="60")
    async with running_worker(hanging.variables) as worker:
        await worker.says("started:")
        await eventually(lambda: sum("loading:" in line for line in worker.lines) >= 8)
        publish(task.kafka, "queue-control", command(Command.STOP, task.queue_id))
        ended = await worker.ended()
    assert ended.exit_code == 0, ended.stderr
    statuses = await task.statuses(without_loading=False)
    assert statuses.count(EventStatus.LOADING) >= 8
    assert statuses[-1] is EventStatus.INTERRUPTED


async def test_an_unknown_symbol_is_refused_for_good(task: Task) -> None:
    ended = await run_worker(task.but(SYMBOL="NOPEUSDT").variables)
    assert ended.exit_code == 65, ended.stderr
    last = (await task.events())[-1]
    assert last.payload.status is EventStatus.ERROR
    assert last.progress.reason == "RefusedByVenue"
    assert "symbol NOPEUSDT: Invalid symbol" in last.payload.message
    assert "Traceback" not in ended.stderr


async def test_a_closed_region_is_refused_for_good(task: Task, venue: RunningVenue) -> None:
    break_klines(venue, FaultKind.RESTRICTED_451)
    ended = await run_worker(task.variables)
    assert ended.exit_code == 65, ended.stderr
    assert "restricted location" in (await task.events())[-1].payload.message


async def test_a_ban_is_reported_with_its_end_and_nothing_more_is_asked(
    task: Task, venue: RunningVenue
) -> None:
    # The first page is tried again and again while another meets the ban; where the first candle
    # is, was asked before, twice.
    start = {"startTime": str(parse_time_range(LONG).start_ms)}
    first_page = Match(path=KLINES, params=start, nth=3)
    trouble = FaultRule(match=first_page, fault=Fault(kind=FaultKind.EMPTY_5XX))
    venue.state.faults.add([trouble])
    break_klines(venue, FaultKind.STATUS, status=418, code=-1003, retry_after_s=300, nth=3)
    before = datetime.now(UTC)
    ended = await run_worker(task.but(TIME_RANGE=LONG).variables)
    assert ended.exit_code == 69, ended.stderr
    assert ended.took_s < PATIENCE_S
    last = (await task.events())[-1]
    assert last.payload.status is EventStatus.ERROR
    assert last.progress.reason == "Banned"
    assert last.progress.banned_until is not None
    wait_s = (last.progress.banned_until - before).total_seconds()
    assert 300 <= wait_s < 300 + PATIENCE_S
    # Each further request would prolong the ban: only those on their way may still arrive.
    asked: Any = venue.state.audit.described()["requests"]
    banned = next(number for number, each in enumerate(asked) if each["status"] == 418)
    assert len(asked) - banned <= PAGES_IN_FLIGHT


async def test_what_was_taken_before_an_error_of_the_venue_is_in_the_topic_and_counted(
    task: Task, venue: RunningVenue
) -> None:
    # That is page 18, behind two requests for the beginning: the tenth was taken before.
    break_klines(venue, FaultKind.STATUS, status=400, code=-1100, nth=20)
    ended = await run_worker(task.but(TIME_RANGE=LONG).variables)
    assert ended.exit_code == 65, ended.stderr
    records, last = await task.records(), (await task.events())[-1]
    assert len(records) >= 10 * 999
    assert len(records) % 999 == 0
    assert last.payload.records_written == len(records)
    last_open_ms = json.loads(records[-1].value or b"")["open_time"]
    assert last.progress.loaded_through is not None
    assert last.progress.loaded_through.timestamp() * 1000 == last_open_ms + 60_000


async def test_a_venue_that_is_down_is_waited_for_and_then_tried_again_later(task: Task) -> None:
    variables = task.but(BINANCE_API_URL=f"http://{NOWHERE}", LOADER_PATIENCE_SECONDS="2").variables
    ended = await run_worker(variables)
    assert ended.exit_code == 75, ended.stderr
    assert 2 <= ended.took_s < PATIENCE_S
    last = (await task.events())[-1]
    assert (last.payload.status, last.progress.reason) == (EventStatus.ERROR, "VenueUnavailable")


async def test_an_end_in_the_future_is_cut_and_said(task: Task) -> None:
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    asked = f"{start.isoformat()}/{(start + timedelta(days=1)).isoformat()}"
    ended = await run_worker(task.but(TIME_RANGE=asked, SYMBOL="ETHUSDT").variables)
    assert ended.exit_code == 0, ended.stderr
    records = await task.records()
    assert 178 <= len(records) <= 182
    closed = json.loads(records[-1].value or b"")["close_time"]
    assert closed < time.time() * 1000
    assert "cut to the last closed candle" in (await task.events())[0].payload.message


async def test_the_clock_of_the_venue_decides_what_is_closed(
    task: Task, venue: RunningVenue
) -> None:
    venue.state.clock.step(skew_ms=3 * 3_600_000)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    asked = f"{(now - timedelta(hours=2)).isoformat()}/{(now + timedelta(hours=1)).isoformat()}"
    ended = await run_worker(task.but(TIME_RANGE=asked, SYMBOL="ETHUSDT").variables)
    assert ended.exit_code == 0, ended.stderr
    assert len(await task.records()) == 180


async def test_a_load_without_any_patience_can_finish(task: Task) -> None:
    ended = await run_worker(task.but(LOADER_PATIENCE_SECONDS="0").variables)
    assert ended.exit_code == 0, ended.stderr
    await assert_whole_day(task)


async def test_an_outage_of_the_venue_is_a_gap_and_no_error(task: Task) -> None:
    day = "2023-03-24:2023-03-25"
    ended = await run_worker(task.but(TIME_RANGE=day).variables)
    assert ended.exit_code == 0, ended.stderr
    assert len(await task.records()) == 1440 - 80
    assert (await task.events())[-1].payload.records_written == 1360


BAD_ENVIRONMENTS: list[tuple[str, dict[str, str | None], list[str]]] = [
    ("no symbol", {"SYMBOL": None}, ["SYMBOL"]),
    ("no topic", {"KAFKA_TOPIC": None}, ["KAFKA_TOPIC"]),
    ("malformed symbol", {"SYMBOL": "btc/usdt"}, ["SYMBOL"]),
    ("unknown type", {"TYPE": "api_dreams"}, ["TYPE"]),
    ("unknown interval", {"INTERVAL": "7m", "TYPE": "api_candles"}, ["INTERVAL"]),
    ("no range", {"TIME_RANGE": None}, ["TIME_RANGE"]),
    ("reversed range", {"TIME_RANGE": "2024-01-02:2024-01-01"}, ["TIME_RANGE"]),
    ("future range", {"TIME_RANGE": "2999-01-01:2999-01-02"}, ["TIME_RANGE"]),
    ("nonsense range", {"TIME_RANGE": "yesterday"}, ["TIME_RANGE"]),
    ("bad number", {"TELEMETRY_INTERVAL": "often"}, ["TELEMETRY_INTERVAL"]),
    ("bad share", {"LOADER_WEIGHT_SHARE": "2"}, ["LOADER_WEIGHT_SHARE"]),
    ("bad address", {"BINANCE_API_URL": "binance"}, ["BINANCE_API_URL"]),
    ("bad port", {"BINANCE_API_URL": "http://h:99999"}, ["BINANCE_API_URL"]),
    ("open bracket", {"BINANCE_API_URL": "http://[::1"}, ["BINANCE_API_URL"]),
    ("port of letters", {"BINANCE_API_URL": "http://h:x"}, ["BINANCE_API_URL"]),
    ("empty label", {"BINANCE_API_URL": "http://a..b"}, ["BINANCE_API_URL"]),
    ("only a user", {"BINANCE_API_URL": "http://user@:1"}, ["BINANCE_API_URL"]),
    (
        "before all time",
        {"LOADER_CONTROL_SINCE": "0001-01-01T00:00:00+14:00"},
        ["LOADER_CONTROL_SINCE"],
    ),
    ("no text", {"SYMBOL": "\udcff"}, ["SYMBOL"]),
    (
        "shards of a stream",
        {"TYPE": "ws_trades", "LOADER_SHARD_COUNT": "2", "LOADER_SHARD_INDEX": "1"},
        ["LOADER_SHARD_COUNT"],
    ),
    (
        "everything at once",
        {"SYMBOL": "?", "TYPE": "?", "TIME_RANGE": "?", "KAFKA_TOPIC": "a b", "DEBUG": "perhaps"},
        ["SYMBOL", "TYPE", "TIME_RANGE", "KAFKA_TOPIC", "DEBUG"],
    ),
]


@pytest.mark.parametrize(
    ("changes", "named"),
    [row[1:] for row in BAD_ENVIRONMENTS],
    ids=[row[0] for row in BAD_ENVIRONMENTS],
)
async def test_a_bad_environment_ends_at_once_naming_every_variable(
    task: Task, changes: dict[str, str | None], named: list[str]
) -> None:
    ended = await run_worker(task.but(**changes).variables)
    assert ended.exit_code == 78, ended.stderr
    assert ended.took_s < PATIENCE_S
    lines = ended.stderr.splitlines()
    assert sorted(line.split(": ")[1] for line in lines) == sorted(named)
    (event,) = await task.events()
    assert (event.payload.status, event.progress.reason) == (EventStatus.ERROR, "BadConfiguration")
    assert all(variable in event.payload.message for variable in named)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"KAFKA_PASSWORD_PRODUCER": "wrong-PASSWORD"}, "KAFKA_PASSWORD_PRODUCER"),
        ({"KAFKA_USER_PRODUCER": "nobody"}, "KAFKA_PASSWORD_PRODUCER"),
        ({"CA_PATH": "/nowhere/ca.crt"}, "CA_PATH"),
        ({"CA_PATH": __file__}, "CA_PATH"),
        ({"CA_PATH": None}, "CA_PATH"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "localhost"}, "KAFKA_BOOTSTRAP_SERVERS"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:99999"}, "KAFKA_BOOTSTRAP_SERVERS"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "a..b:9093"}, "KAFKA_BOOTSTRAP_SERVERS"),
        ({"KAFKA_PASSWORD_PRODUCER": None}, "KAFKA_PASSWORD_PRODUCER"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
async def test_a_login_that_cannot_work_is_named_and_not_waited_for(
    task: Task, changes: dict[str, str | None], named: str
) -> None:
    ended = await run_worker(task.but(**changes).variables)
    assert ended.exit_code == 78, ended.stderr
    assert ended.took_s < PATIENCE_S
    assert f"{named}:" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "wrong-PASSWORD" not in ended.stderr


@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
async def test_a_listener_of_another_protocol_is_suspected_aloud(task: Task, protocol: str) -> None:
    broker = task.kafka.plain if protocol == "SASL_SSL" else task.kafka.secure
    ended = await run_worker(
        task.but(
            KAFKA_BOOTSTRAP_SERVERS=broker,
            KAFKA_SECURITY_PROTOCOL=protocol,
            LOADER_PATIENCE_SECONDS="2",
        ).variables
    )
    assert ended.exit_code == 75, ended.stderr
    assert ended.took_s < PATIENCE_S
    assert "KAFKA_SECURITY_PROTOCOL" in ended.stderr


async def test_kafka_that_is_down_is_waited_for_and_then_tried_again_later(task: Task) -> None:
    variables = task.but(KAFKA_BOOTSTRAP_SERVERS=NOWHERE, LOADER_PATIENCE_SECONDS="2").variables
    ended = await run_worker(variables)
    assert ended.exit_code == 75, ended.stderr
    assert 2 <= ended.took_s < PATIENCE_S
    assert "Traceback" not in ended.stderr


async def test_sigterm_while_waiting_for_kafka_ends_at_once(task: Task) -> None:
    async with running_worker(task.but(KAFKA_BOOTSTRAP_SERVERS=NOWHERE).variables) as worker:
        await worker.says("not reachable yet")
        with Stopwatch() as watch:
            worker.terminate()
            ended = await worker.ended()
    assert ended.exit_code == 75, ended.stderr
    assert watch.took_s < 5
