"""Live types as real processes against the replay and a real Kafka: compared with REST."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest
from tests.integration.live_worker import (
    REST,
    assert_true_candles,
    assert_true_trades,
    following,
    hurry,
    is_closed,
    live_task,
)
from tests.integration.stopwatch import Stopwatch
from tests.integration.venue_stream_client import StreamVenue, stream_venue
from tests.integration.venue_truth import SYMBOL, kinds_of_book
from tests.integration.worker_process import KLINES, Task, run_worker, running_worker

from loadertask_contract.exit_codes import ExitCode
from loadertask_contract.intervals import MINUTE_MS
from loadertask_devstack.kafka import Kafka
from loadertask_devstack.kafka.topics import Record

pytestmark = pytest.mark.integration

UNHURRIED_S = 180
"""Of a pair without trades there is one frame in a minute."""


@pytest.fixture
async def venue(request: pytest.FixtureRequest) -> AsyncIterator[StreamVenue]:
    async with stream_venue() as running:
        if "trades" in request.node.name:
            await hurry(running)
        yield running


@pytest.fixture
def new_task(kafka: Kafka, venue: StreamVenue, unique: Callable[[str], str]) -> Callable[..., Task]:
    def task(kind: str, **more: str) -> Task:
        return live_task(kafka, venue, unique("ws-Live"), kind, **more)

    return task


async def test_trades_arrive_once_and_in_order_whatever_the_stream_suffers(
    new_task: Callable[..., Task], venue: StreamVenue
) -> None:
    task = new_task("ws_trades")
    async with following(task, venue) as live:
        for kind in ("drop", "duplicate", "swap", "unknown_event", "fragment"):
            await live.suffers(kind)
        assert await live.connections() == 1
        for kind in ("not_json", "huge", "reset", "end"):
            await live.suffers(kind)
        # One for each of these; a machine that stands still may cost another.
        assert await live.connections() >= 5
        await live.suffers("shutdown", delay_s=0.5)
        await live.worker.kill()

    async with following(task, venue) as live:
        await live.has(lambda records: records[-1].headers == ())  # the stream has gone on
        with Stopwatch() as watch:
            records = await live.stop()
        assert watch.took_s < 2

    await assert_true_trades(venue, records)
    assert {record.key for record in records} == {SYMBOL.encode()}
    assert {record.headers for record in records} == {(), (REST,)}
    events = await task.events()
    assert events[0].progress.delivery == "effectively_once"
    assert events[-1].payload.records_written == len(records)
    assert events[-1].progress.lag_ms is not None


async def test_trades_outlast_a_ban_of_rest_and_a_stream_that_falls_silent(
    new_task: Callable[..., Task], venue: StreamVenue
) -> None:
    await asyncio.gather(_outlast_a_ban(new_task, venue), _outlast_silence(new_task, venue))


async def _outlast_a_ban(new_task: Callable[..., Task], venue: StreamVenue) -> None:
    """Raw trades: the hole waits for the end of the ban."""
    async with following(new_task("ws_trades", LOADER_TRADES="raw"), venue, first=3) as live:
        ban = {"kind": "status", "status": 418, "code": -1003, "retry_after_s": 2}
        rule = {"match": {"path": "/api/v3/historicalTrades"}, "fault": ban, "times": 1}
        await venue.control("POST", "faults", [rule])
        await venue.fault("drop", {"stream": "btcusdt@trade"})
        await live.has(lambda records: any(REST in record.headers for record in records))
        await live.grows()
        records = await live.stop()

    ids = [json.loads(record.value)["trade_id"] for record in records]
    assert ids == list(range(ids[0], ids[-1] + 1))
    assert "banned" in "".join(live.worker.lines)


async def _outlast_silence(new_task: Callable[..., Task], venue: StreamVenue) -> None:
    """Aggregate trades: REST proves that there was something to say."""
    async with following(new_task("ws_trades"), venue) as live:
        order = {"fault": {"kind": "silence", "delay_s": 60}, "stream": "btcusdt@aggTrade"}
        await venue.control("POST", "streams/orders", order)
        await live.grows()
        records = await live.stop()

    assert "the stream is silent" in "".join(live.worker.lines)
    await assert_true_trades(venue, records)


async def test_candles_are_closed_once_each_whatever_frames_are_lost(
    new_task: Callable[..., Task], venue: StreamVenue
) -> None:
    task = new_task("ws_candles_1s", LOADER_CLOSED_ONLY="true")
    async with following(task, venue, first=2) as live:
        # A candle may change before it closes: only a lost last frame leaves a hole.
        while REST not in {each for record in await task.records() for each in record.headers}:
            await venue.fault("drop")
            await live.grows(by=1)
        await venue.order("reset")
        await live.grows(by=2)
        await live.worker.kill()

    async with following(task, venue, first=2) as live:
        records = await live.stop()

    assert all(is_closed(record) for record in records)
    await assert_true_candles(venue, records)


async def test_candles_without_a_single_trade_are_closed_whether_the_stream_speaks_or_not(
    new_task: Callable[..., Task], venue: StreamVenue
) -> None:
    """REST shows a candle of which there is nothing to say: that is no proof of silence."""
    task = new_task("ws_candles_1m", SYMBOL="HALTUSDT")
    await _before_a_minute(venue)
    async with following(task, venue, first=0) as live:
        await live.has(lambda records: len(records) >= 1, UNHURRIED_S)
        await _asks_twice(venue)
        assert len(await venue.connections()) == 1
        await live.worker.kill()

    await venue.rules(quiet_closes=False)
    now_ms = await _before_a_minute(venue)
    async with following(task, venue, first=0) as live:
        under_way_ms = now_ms // MINUTE_MS * MINUTE_MS
        await live.has(lambda records: opens_of(records)[-1] >= under_way_ms, UNHURRIED_S)
        records = await live.stop()

    assert len(await venue.connections()) == 2
    assert "the stream is silent" not in "".join(live.worker.lines)
    opens = opens_of(records)
    assert opens == list(range(opens[0], opens[-1] + 1, MINUTE_MS))
    assert all(is_closed(record) for record in records)
    assert {json.loads(record.value)["number_of_trades"] for record in records} == {0}
    assert [records[index].headers[1:] for index in (0, -1)] == [(), (REST,)]


async def _before_a_minute(venue: StreamVenue) -> int:
    """Set the venue's clock forward, so that a minute ends soon; what it is then."""
    now_ms = int((await venue.control("PUT", "clock", {}))["now_ms"])
    clock = {"now_ms": (now_ms // MINUTE_MS + 2) * MINUTE_MS - 12_000}
    return int((await venue.control("PUT", "clock", clock))["now_ms"])


async def _asks_twice(venue: StreamVenue) -> None:
    """Wait until the worker has asked for candles twice more: the stream gives it no reason to."""
    before = (await venue.control("GET", "audit"))["requests"]
    async with asyncio.timeout(UNHURRIED_S):
        while True:
            asked = (await venue.control("GET", "audit"))["requests"][len(before) :]
            if sum(each["path"] == KLINES for each in asked) >= 2:
                return
            await asyncio.sleep(0.05)


def opens_of(records: list[Record]) -> list[int]:
    return [json.loads(record.value)["open_time"] for record in records]


async def test_an_order_book_begins_with_a_snapshot_and_again_after_each_gap(
    new_task: Callable[..., Task], venue: StreamVenue
) -> None:
    task = new_task("ws_depth")
    async with following(task, venue, first=3) as live:
        await live.suffers("duplicate")
        await live.suffers("swap")
        await live.suffers("drop")
        await venue.order("shutdown", delay_s=1)
        await live.grows()
        await venue.order("reset")
        await live.grows()
        await live.worker.kill()

    async with following(task, venue, first=3) as live:
        records = await live.stop()

    kinds = kinds_of_book(records)
    runs = [kind for kind, before in zip(kinds, ["", *kinds], strict=False) if kind != before]
    # A new connection after the reset may be there before the next change.
    gaps = kinds.count("gap")
    assert 3 <= gaps <= 6, "swap, drop, restart; perhaps reset, or a machine that stood still"
    assert runs == ["snapshot", "diff", *["gap", "snapshot", "diff"] * gaps]
    changes = [
        json.loads(r.value) for r, kind in zip(records, kinds, strict=True) if kind == "diff"
    ]
    stream = "btcusdt@depth@100ms"
    events = await venue.events(stream, changes[0]["E"], changes[-1]["E"] + 1)
    assert [change for change in changes if change not in events] == []


@pytest.mark.parametrize(
    ("change", "exit_code", "reason"),
    [
        ({"SYMBOL": "NOSUCHUSDT"}, ExitCode.REFUSED_BY_VENUE, "RefusedByVenue"),
        (
            {"BINANCE_WS_URL": "ws://127.0.0.1:1/ws", "LOADER_PATIENCE_SECONDS": "1"},
            ExitCode.TRY_AGAIN,
            "VenueUnavailable",
        ),
    ],
)
async def test_a_stream_that_cannot_be_ends_the_attempt(
    new_task: Callable[..., Task], change: dict[str, str], exit_code: ExitCode, reason: str
) -> None:
    task = new_task("ws_candles_1s", **change)

    ended = await run_worker(task.variables)

    assert ended.exit_code == exit_code, ended.stderr
    assert (await task.events())[-1].progress.reason == reason


async def test_a_symbol_that_does_not_trade_is_followed_with_a_word_about_it(
    new_task: Callable[..., Task],
) -> None:
    task = new_task("ws_trades", SYMBOL="BREAKUSDT")
    async with running_worker(task.variables) as worker:
        await worker.says("BREAKUSDT does not trade now: the venue says BREAK")
        worker.terminate()
        ended = await worker.ended()
    assert ended.exit_code == ExitCode.TRY_AGAIN, ended.stderr
    assert any("does not trade" in event.payload.message for event in await task.events())
