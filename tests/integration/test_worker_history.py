"""History as a worker loads it: trades, shards, and the archive with everything wrong in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.integration.worker_process import (
    TRANSACTIONAL,
    Task,
    candle_task,
    run_worker,
    running_worker,
    source_candles,
)

from loadertask_contract.environment import Trades
from loadertask_contract.records import trade_template
from loadertask_contract.time_range import parse_time_range
from loadertask_devstack.kafka import Kafka
from loadertask_devstack.venue.candles import units_text
from loadertask_devstack.venue.faults import Fault, FaultKind, FaultRule, Match
from loadertask_devstack.venue.server import RunningVenue, running_venue
from loadertask_devstack.venue.state import VenueSettings
from loadertask_devstack.venue.symbols import SYMBOLS, Symbol

pytestmark = pytest.mark.integration

HOUR = "2021-01-01T10:00/2021-01-01T11:00"
BTCUSDT, QUIET = SYMBOLS["BTCUSDT"], SYMBOLS["QUIETUSDT"]
QUIET_HOUR = "2023-01-02T10:00/2023-01-02T11:00"
AGG_TRADES = "/api/v3/aggTrades"


@pytest.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    async with running_venue(VenueSettings()) as running:
        yield running


@pytest.fixture
def candles(kafka: Kafka, venue: RunningVenue, unique: Callable[[str], str]) -> Task:
    return candle_task(kafka, venue.url, unique("wf-history"), "2020-01-01:2020-01-02")


@pytest.fixture
def trades(candles: Task) -> Task:
    return candles.but(TYPE="api_trades", INTERVAL=None, TIME_RANGE=HOUR)


def break_path(venue: RunningVenue, path: str, kind: FaultKind, **how: Any) -> None:
    match = Match(path=path, nth=how.pop("nth", 1))
    rule = FaultRule(match=match, times=how.pop("times", None), fault=Fault(kind=kind, **how))
    venue.state.faults.add([rule])


def source_trades(
    venue: RunningVenue, time_range: str, kind: Trades, symbol: Symbol = BTCUSDT
) -> list[bytes]:
    """The trades on the replay's tape, spelled by the contract."""
    asked, tape = parse_time_range(time_range), venue.state.tape(symbol)
    between = tape.agg_between if kind is Trades.AGGREGATE else tape.trades_between
    template = trade_template(symbol.name)
    return [
        (
            template
            % (
                each.id, units_text(each.price), units_text(each.quantity), each.time_ms,
                str(each.is_buyer_maker).lower(),
            )
        ).encode()
        for each in between(asked.start_ms, asked.end_ms)
    ]  # fmt: skip


@pytest.mark.parametrize("kind", Trades)
async def test_the_trades_of_an_hour_arrive_once_in_the_order_of_their_ids(
    trades: Task, venue: RunningVenue, kind: Trades
) -> None:
    ended = await run_worker(trades.but(LOADER_TRADES=kind).variables)
    assert ended.exit_code == 0, ended.stderr
    expected = source_trades(venue, HOUR, kind)
    assert len(expected) > 2000
    assert await trades.values() == expected
    last = (await trades.events())[-1]
    assert last.payload.records_written == len(expected)
    assert last.progress.loaded_through == parse_time_range(HOUR).end
    assert last.progress.total is None


async def test_cancelled_trades_are_left_out_and_leave_no_hole(
    trades: Task, venue: RunningVenue
) -> None:
    first = venue.state.tape(BTCUSDT).before(parse_time_range(HOUR).start_ms).aggregates
    venue.state.cancel_aggregates({"BTCUSDT": [first, first + 5, first + 1500, first + 1501]})
    ended = await run_worker(trades.variables)
    assert ended.exit_code == 0, ended.stderr
    records = [
        value
        for value in source_trades(venue, HOUR, Trades.AGGREGATE)
        if b'"price":0.0000' not in value
    ]
    assert await trades.values() == records
    assert "REST has no trades" not in ended.stderr


async def test_shards_of_one_load_add_up_to_it(candles: Task, venue: RunningVenue) -> None:
    shards = [
        candles.but(
            LOADER_SHARD_COUNT="3", LOADER_SHARD_INDEX=str(index),
            TIME_RANGE="2020-01-01T00:00/2020-01-01T10:01",
        )
        for index in range(3)
    ]  # fmt: skip
    ended = await asyncio.gather(*(run_worker(shard.variables) for shard in shards))
    assert [each.exit_code for each in ended] == [0, 0, 0]
    expected = await source_candles(venue, "2020-01-01T00:00/2020-01-01T10:01")
    assert sorted(await candles.values()) == expected
    totals = {
        event.payload.producer: event.payload.records_written for event in await candles.events()
    }
    assert sum(totals.values()) == len(expected) == 601
    assert len(totals) == 3


async def test_a_shard_without_a_candle_finishes_at_once(candles: Task) -> None:
    alone = candles.but(
        TIME_RANGE="2020-01-01T00:00/2020-01-01T00:02", LOADER_SHARD_COUNT="8",
        LOADER_SHARD_INDEX="1",
    )  # fmt: skip
    ended = await run_worker(alone.variables)
    assert ended.exit_code == 0, ended.stderr
    assert await alone.values() == []


async def test_a_shard_of_trades_that_are_still_to_come_finishes_at_once(trades: Task) -> None:
    hour = timedelta(hours=1)
    now = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
    to_come = trades.but(
        TIME_RANGE=f"{(now - hour).isoformat()}/{(now + 3 * hour).isoformat()}",
        LOADER_SHARD_COUNT="2", LOADER_SHARD_INDEX="1",
    )  # fmt: skip
    ended = await run_worker(to_come.variables)
    assert ended.exit_code == 0, ended.stderr
    assert await to_come.values() == []


async def test_a_killed_load_of_trades_goes_on_where_it_was(
    trades: Task, venue: RunningVenue
) -> None:
    # The first pages come, the others never: it cannot end before it is killed.
    break_path(venue, AGG_TRADES, FaultKind.HANG, nth=12)
    four_hours = "2021-01-01T10:00/2021-01-01T14:00"
    task = trades.as_user(TRANSACTIONAL).but(TIME_RANGE=four_hours)
    async with running_worker(task.variables) as worker:
        await worker.has_loaded()
        await worker.close()
    venue.state.faults.clear()
    ended = await run_worker(task.variables)
    assert ended.exit_code == 0, ended.stderr
    assert "going on at trade" in ended.stderr
    assert await task.values() == source_trades(venue, four_hours, Trades.AGGREGATE)


async def test_a_load_from_the_archive_tells_of_a_bad_file_and_is_whole(
    candles: Task, venue: RunningVenue
) -> None:
    days = "2020-01-01:2020-01-04"
    path = "/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2020-01-02.zip"
    break_path(venue, path, FaultKind.WRONG_CHECKSUM)
    task = candles.as_user(TRANSACTIONAL).but(TIME_RANGE=days, LOADER_ARCHIVE_URL=venue.url)
    ended = await run_worker(task.variables)
    assert ended.exit_code == 0, ended.stderr
    assert await task.values() == await source_candles(venue, days)
    events = await task.events()
    assert events[0].progress.source == "archive, rest"
    told = [
        each.payload.message for each in events if "is replaced by REST" in each.payload.message
    ]
    assert len(told) == 1
    assert "BTCUSDT-1m-2020-01-02" in told[0]


async def test_a_load_from_the_archive_goes_on_after_a_kill(
    candles: Task, venue: RunningVenue
) -> None:
    days = "2020-01-01:2020-01-11"
    path = "/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2020-01-06.zip"
    break_path(venue, path, FaultKind.HANG)
    task = candles.as_user(TRANSACTIONAL).but(TIME_RANGE=days, LOADER_ARCHIVE_URL=venue.url)
    async with running_worker(task.variables) as worker:
        await worker.has_loaded()
        await worker.close()
    assert 0 < len(await task.values()) <= 5 * 1440
    venue.state.faults.clear()
    ended = await run_worker(task.variables)
    assert ended.exit_code == 0, ended.stderr
    assert "going on at" in ended.stderr
    assert await task.values() == await source_candles(venue, days)


def ban(venue: RunningVenue, for_s: int, times: int | None = None) -> None:
    """REST of the venue is banned from the next request on."""
    break_path(
        venue, "/api/v3/*", FaultKind.STATUS, status=418, code=-1003, retry_after_s=for_s,
        times=times,
    )  # fmt: skip


async def test_candles_that_begin_with_a_ban_come_from_the_archive(
    candles: Task, venue: RunningVenue
) -> None:
    ban(venue, 300)
    ended = await run_worker(candles.but(LOADER_ARCHIVE_URL=venue.url).variables)
    assert ended.exit_code == 0, ended.stderr
    venue.state.faults.clear()
    assert await candles.values() == await source_candles(venue, "2020-01-01:2020-01-02")


@pytest.fixture
def quiet(trades: Task, venue: RunningVenue) -> Task:
    """Trades whose files are small."""
    changes = {"SYMBOL": QUIET.name, "TIME_RANGE": QUIET_HOUR, "LOADER_ARCHIVE_URL": venue.url}
    return trades.as_user(TRANSACTIONAL).but(**changes)


async def test_trades_that_begin_with_a_ban_come_from_the_archive(
    quiet: Task, venue: RunningVenue
) -> None:
    ban(venue, 300)
    ended = await run_worker(quiet.variables)
    assert ended.exit_code == 0, ended.stderr
    expected = source_trades(venue, QUIET_HOUR, Trades.AGGREGATE, QUIET)
    assert len(expected) > 50
    assert await quiet.values() == expected


async def test_trades_that_begin_with_a_ban_await_its_end_where_the_archive_ends(
    quiet: Task, venue: RunningVenue
) -> None:
    day = "2023-01-02:2023-01-03"
    expected = source_trades(venue, day, Trades.AGGREGATE, QUIET)
    ban(venue, 300)
    ended = await run_worker(quiet.but(TIME_RANGE=day).variables)
    assert ended.exit_code == 69, ended.stderr
    assert await quiet.values() == expected, "whether there are more, only REST can say"

    venue.state.faults.clear()
    ended = await run_worker(quiet.but(TIME_RANGE=day).variables)
    assert ended.exit_code == 0, ended.stderr
    assert await quiet.values() == expected


QUIET_FILE = "/data/spot/daily/aggTrades/QUIETUSDT/QUIETUSDT-aggTrades-2023-01-0%d.zip"


@pytest.fixture
async def trimmed(venue: RunningVenue) -> RunningVenue:
    """REST keeps none of the trades any more."""
    venue.state.clock.step(now_ms=parse_time_range("2023-01-20:2023-01-21").start_ms)
    venue.state.retained_days = 3
    return venue


async def test_trades_that_only_a_bad_file_has_are_asked_for_again_by_the_next_attempt(
    quiet: Task, trimmed: RunningVenue
) -> None:
    task = quiet.but(TIME_RANGE="2023-01-02:2023-01-04")
    break_path(trimmed, QUIET_FILE % 3, FaultKind.WRONG_CHECKSUM)
    ended = await run_worker(task.variables)
    assert ended.exit_code == 75, ended.stderr
    last = (await task.events())[-1]
    assert (last.payload.status, last.progress.reason) == ("error", "ArchiveNeeded")
    assert "QUIETUSDT-aggTrades-2023-01-03 cannot be used: its sha256 is" in last.payload.message
    first_day = source_trades(trimmed, "2023-01-02:2023-01-03", Trades.AGGREGATE, QUIET)
    assert await task.values() == first_day

    trimmed.state.faults.clear()
    ended = await run_worker(task.variables)
    assert ended.exit_code == 0, ended.stderr
    both_days = source_trades(trimmed, "2023-01-02:2023-01-04", Trades.AGGREGATE, QUIET)
    assert await task.values() == both_days


async def test_trades_that_nobody_has_are_told_at_the_end(
    quiet: Task, trimmed: RunningVenue
) -> None:
    task = quiet.but(TIME_RANGE="2023-01-02:2023-01-04")
    for path in (QUIET_FILE % 3, f"{QUIET_FILE % 3}.CHECKSUM"):
        break_path(trimmed, path, FaultKind.EMPTY_404)
    ended = await run_worker(task.variables)
    assert ended.exit_code == 0, ended.stderr
    first_day = source_trades(trimmed, "2023-01-02:2023-01-03", Trades.AGGREGATE, QUIET)
    assert await task.values() == first_day
    last = (await task.events())[-1]
    assert last.payload.status == "finished"
    gap = f"; Nobody has the trades from id {json.loads(first_day[-1])['trade_id'] + 1} on, of"
    assert gap in last.payload.message


async def test_trades_whose_first_file_is_not_there_begin_with_rest_once_a_ban_is_over(
    quiet: Task, venue: RunningVenue
) -> None:
    path = "/data/spot/daily/aggTrades/QUIETUSDT/QUIETUSDT-aggTrades-2023-01-02.zip"
    ban(venue, 1, times=1)
    break_path(venue, path, FaultKind.EMPTY_404)
    break_path(venue, f"{path}.CHECKSUM", FaultKind.SLOW, delay_s=2)
    ended = await run_worker(quiet.variables)
    assert ended.exit_code == 0, ended.stderr
    assert await quiet.values() == source_trades(venue, QUIET_HOUR, Trades.AGGREGATE, QUIET)
