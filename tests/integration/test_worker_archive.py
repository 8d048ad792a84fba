"""The walk over archive and REST against the replay: everything wrong in a file, row for row."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.integration.holed_archive import MissingRows, holed_archive
from tests.integration.stopwatch import Stopwatch
from tests.integration.test_worker_history import source_trades
from tests.integration.worker_process import eventually, source_candles

from loadertask_contract.environment import Trades
from loadertask_contract.intervals import DAY_MS, HOUR_MS, MINUTE_MS, Interval
from loadertask_contract.time_range import TimeRange, from_epoch_ms, parse_time_range
from loadertask_devstack.venue.faults import Fault, FaultKind, FaultRule, Match
from loadertask_devstack.venue.server import RunningVenue, running_venue
from loadertask_devstack.venue.state import VenueSettings
from loadertask_devstack.venue.symbols import SYMBOLS
from loadertask_devstack.venue.trade_tape import TradeTape
from loadertask_worker.binance.archive import Archive, binance_archive
from loadertask_worker.binance.rest import BinanceRest, binance_rest
from loadertask_worker.errors import ArchiveNeededError, BannedError, RejectedError, SourceError
from loadertask_worker.history_plan import candle_segments, trade_segments
from loadertask_worker.kafka.records import Page
from loadertask_worker.tasks.candle_source import CandleSource
from loadertask_worker.tasks.history import History
from loadertask_worker.tasks.trade_source import TradeSource

pytestmark = pytest.mark.integration

THREE_DAYS = "2020-01-01:2020-01-04"
TWO_DAYS = "2020-01-02:2020-01-04"
BROKEN_FILE = "/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2020-01-02.zip"
KLINES = "/api/v3/klines"
PATIENCE_S = 20.0
# Its tape is short and its days are small.
QUIET = SYMBOLS["QUIETUSDT"]
TRADE_DAY = "2023-01-02T10:00/2023-01-02T11:00"
END_OF_TRADES_MS = parse_time_range(TRADE_DAY).end_ms - 1
TRADE_FILE = "/data/spot/daily/aggTrades/QUIETUSDT/QUIETUSDT-aggTrades-2023-01-02.zip"


class Walk:
    """A walk over a range, what it gave and what it told; the reporter of the walk."""

    def __init__(self, venue: BinanceRest, archive: Archive | None) -> None:
        self._venue, self._archive = venue, archive
        self.stop = asyncio.Event()
        self.told: list[str] = []
        self.pages: list[Page] = []
        self.is_done = False

    def tell(self, text: str) -> None:
        self.told.append(text)

    def lacks(self, text: str) -> None:
        self.tell(text)

    def waits(self, why: str, for_s: float) -> None:
        raise AssertionError("nobody but REST waits, and it was given nobody to tell")

    def lag(self, lag_ms: int) -> None:
        raise AssertionError("history has no lag")

    @property
    def records(self) -> list[bytes]:
        return [record for page in self.pages for record in page.records]

    def _now_ms(self) -> int:
        return int(self._venue.venue_time_s() * 1000)

    async def candles(
        self, time_range: str, interval: Interval = Interval.MINUTE_1, begin_ms: int | None = None
    ) -> None:
        asked = parse_time_range(time_range)
        source = CandleSource(self._venue, "BTCUSDT", interval)
        start_ms = asked.start_ms if begin_ms is None else begin_ms
        source.go_on_at(start_ms)
        segments = candle_segments("BTCUSDT", interval, start_ms, asked.end_ms, self._now_ms())
        await self.take(History(source, self._archive, self.stop, self), segments, asked.end_ms)

    async def trades(self, time_range: str, kind: Trades, go_on_at: int | None = None) -> None:
        asked = parse_time_range(time_range)
        source = TradeSource(self._venue, QUIET.name, kind, self)
        if go_on_at is None:
            await source.begin_at(asked.start_ms)
        else:
            source.go_on_at(go_on_at)
        segments = trade_segments(QUIET.name, kind, asked.start_ms, asked.end_ms, self._now_ms())
        await self.take(History(source, self._archive, self.stop, self), segments, asked.end_ms)

    async def take(self, history: History, segments: Any, end_ms: int) -> None:
        async for page in history.pages(segments, end_ms):
            self.pages.append(page)
        self.is_done = history.is_done


@asynccontextmanager
async def walking(
    replay: RunningVenue, archive_url: str | None = None, patience_s: float = PATIENCE_S
) -> AsyncIterator[Walk]:
    url = archive_url or replay.url
    async with (
        binance_rest(replay.url, patience_s=PATIENCE_S, weight_share=1) as venue,
        binance_archive(url, patience_s) as archive,
    ):
        yield Walk(venue, archive)


@pytest.fixture
async def replay() -> AsyncIterator[RunningVenue]:
    async with running_venue(VenueSettings()) as running:
        yield running


@pytest.fixture
async def walk(replay: RunningVenue) -> AsyncIterator[Walk]:
    async with walking(replay) as walk:
        yield walk


def break_file(replay: RunningVenue, kind: FaultKind, path: str = BROKEN_FILE, **how: Any) -> None:
    times = how.pop("times", None)
    rule = FaultRule(match=Match(path=path), times=times, fault=Fault(kind=kind, **how))
    replay.state.faults.add([rule])


def requests(replay: RunningVenue, path: str) -> int:
    described: Any = replay.state.audit.described()
    return sum(each["path"] == path for each in described["requests"])


async def test_files_alone_give_what_the_venue_has(replay: RunningVenue, walk: Walk) -> None:
    await walk.candles(THREE_DAYS)
    assert walk.is_done
    assert requests(replay, KLINES) == 0
    assert walk.records == await source_candles(replay, THREE_DAYS)
    assert walk.told == []
    last = walk.pages[-1]
    assert (last.records, last.next_position) == ([], parse_time_range(THREE_DAYS).end_ms)
    for page in walk.pages[:-1]:
        assert page.positions[-1] < page.next_position <= page.through_ms


FAULTS: list[tuple[FaultKind, dict[str, Any], str]] = [
    (FaultKind.WRONG_CHECKSUM, {}, "its sha256 is"),
    (FaultKind.WRONG_CHECKSUM, {"times": 1}, ""),
    (FaultKind.ZIP_CUT, {}, "its sha256 is"),
    (FaultKind.ZIP_CORRUPT, {}, "its sha256 is"),
    (FaultKind.ZIP_CORRUPT, {"times": 1}, ""),
    (FaultKind.ZIP_EMPTY, {}, "holds nothing"),
    (FaultKind.ZIP_OTHER_FILE, {}, "holds other-"),
    (FaultKind.ZIP_BOMB, {}, ""),  # lies about its size alone
    (FaultKind.HTML_200, {}, "its sha256 is"),
    (FaultKind.HTML_403, {}, "HTTP 403"),
    (FaultKind.EMPTY_404, {}, ""),
    (FaultKind.EMPTY_5XX, {"times": 1}, ""),
    (FaultKind.TRUNCATE, {"times": 1}, ""),
    (FaultKind.RESET, {"times": 1}, ""),
    (FaultKind.ROWS_MISSING, {}, "720 records that the archive lacks"),
    (FaultKind.ROWS_DOUBLED, {}, "was due"),
    (FaultKind.ROWS_UNORDERED, {}, "was due"),
    (FaultKind.ROWS_NOT_NUMBERS, {}, "no row of numbers"),
    (FaultKind.ROWS_OFF_GRID, {}, "is not on the grid"),
    (FaultKind.ROWS_WRONG_UNIT, {}, ""),
    (FaultKind.ROWS_HEADER, {}, ""),
]


@pytest.mark.parametrize(("kind", "how", "told"), FAULTS)
async def test_whatever_is_wrong_with_a_file_the_rows_are_right_and_people_are_told(
    replay: RunningVenue, walk: Walk, kind: FaultKind, how: dict[str, Any], told: str
) -> None:
    expected = await source_candles(replay, TWO_DAYS)
    break_file(replay, kind, **how)
    await walk.candles(TWO_DAYS)
    assert walk.is_done
    assert walk.records == expected
    assert bool(walk.told) == bool(told), walk.told
    assert told in "".join(walk.told[-1:])


async def test_an_archive_that_cannot_be_reached_is_asked_once_and_done_without(
    replay: RunningVenue,
) -> None:
    async with walking(replay, "http://127.0.0.1:1", patience_s=0.2) as walk:
        await walk.candles(THREE_DAYS)
    assert walk.records == await source_candles(replay, THREE_DAYS)
    (told,) = walk.told
    assert told.startswith("REST stands in for LOADER_ARCHIVE_URL for now: the archive gives")


# A file has rows from after it. The columns of the times in files follow.
TO_THE_EVENING = "2020-01-02T00:00/2020-01-03T20:00"
KLINE_TIME, AGGREGATE_TIME, RAW_TIME = 0, 5, 4


def missing_hours(column: int, time_range: str) -> MissingRows:
    asked = parse_time_range(time_range)
    return MissingRows(column, range(asked.start_ms, asked.end_ms))


@pytest.mark.parametrize(
    ("hole", "found"),
    [
        ("2020-01-03T19:00/2020-01-03T21:00", 60),
        ("2020-01-03T19:59/2020-01-03T23:00", 1),
        ("2020-01-03T19:00/2020-01-03T20:00", 60),
        ("2020-01-03T20:00/2020-01-03T21:00", 0),
    ],
)
async def test_a_hole_of_a_file_at_the_end_of_the_range_is_asked_of_rest(
    replay: RunningVenue, hole: str, found: int
) -> None:
    holes = missing_hours(KLINE_TIME, hole)
    async with holed_archive(replay.url, holes) as url, walking(replay, url) as walk:
        await walk.candles(TO_THE_EVENING)
    assert walk.is_done
    assert walk.records == await source_candles(replay, TO_THE_EVENING)
    told = [f"{found} records that the archive lacks are taken from REST"]
    assert walk.told == (told if found else [])


@pytest.mark.parametrize("kind", Trades)
async def test_a_hole_of_a_file_of_trades_at_the_end_of_the_range_is_asked_of_rest(
    replay: RunningVenue, kind: Trades
) -> None:
    column = AGGREGATE_TIME if kind is Trades.AGGREGATE else RAW_TIME
    holes = missing_hours(column, "2023-01-02T10:30/2023-01-02T11:30")
    async with holed_archive(replay.url, holes) as url, walking(replay, url) as walk:
        await walk.trades(TRADE_DAY, kind)
    assert walk.is_done
    expected = source_trades(replay, TRADE_DAY, kind, QUIET)
    assert walk.records == expected
    found = len(source_trades(replay, "2023-01-02T10:30/2023-01-02T11:00", kind, QUIET))
    assert walk.told == [f"{found} records that the archive lacks are taken from REST"]


async def test_an_outage_of_the_venue_that_spans_the_end_is_told(
    replay: RunningVenue, walk: Walk
) -> None:
    await walk.candles("2023-03-24T00:00/2023-03-24T13:00")
    place = "[2023-03-24T12:40:00Z, 2023-03-24T13:00:00Z)"
    assert walk.told == [f"20 candles are missing in {place}: the venue has none"]


async def test_an_outage_is_confirmed_by_rest_and_told(replay: RunningVenue, walk: Walk) -> None:
    outage = "2023-03-24:2023-03-26"
    await walk.candles(outage)
    assert walk.records == await source_candles(replay, outage)
    assert len(walk.records) == 2 * 1440 - 80
    place = "[2023-03-24T12:40:00Z, 2023-03-24T14:00:00Z)"
    assert walk.told == [f"80 candles are missing in {place}: the venue has none"]
    assert requests(replay, KLINES) > 0


async def test_a_walk_goes_on_in_the_middle_of_a_file(replay: RunningVenue, walk: Walk) -> None:
    begin_ms = parse_time_range(THREE_DAYS).start_ms + 7 * 60_000 + 1
    await walk.candles(THREE_DAYS, begin_ms=begin_ms)
    assert requests(replay, KLINES) == 0
    assert walk.records == (await source_candles(replay, THREE_DAYS))[8:]


async def test_days_that_are_not_published_yet_come_from_rest(
    replay: RunningVenue, walk: Walk
) -> None:
    now_ms = replay.state.clock()
    # The file of yesterday appears some hours after midnight.
    replay.state.clock.step(now_ms=now_ms // DAY_MS * DAY_MS + HOUR_MS)
    today = now_ms // DAY_MS * DAY_MS
    asked = TimeRange(from_epoch_ms(today - 2 * DAY_MS), from_epoch_ms(today + HOUR_MS // 2))
    await walk.candles(str(asked))
    assert walk.records == await source_candles(replay, str(asked))
    assert len(walk.records) == 2 * 1440 + 30
    assert walk.told == []


async def test_whole_months_come_from_monthly_files(replay: RunningVenue, walk: Walk) -> None:
    spring = "2022-02-20:2022-04-10"
    await walk.candles(spring, Interval.MINUTE_15)
    asked = parse_time_range(spring)
    assert len(walk.records) == (asked.end_ms - asked.start_ms) // (15 * 60_000)
    opens = [position for page in walk.pages for position in page.positions]
    assert opens == list(range(asked.start_ms, asked.end_ms, 15 * 60_000))
    assert requests(replay, KLINES) > 0
    described: Any = replay.state.audit.described()
    paths = {each["path"] for each in described["requests"]}
    assert "/data/spot/monthly/klines/BTCUSDT/15m/BTCUSDT-15m-2022-03.zip" in paths


@pytest.mark.parametrize("kind", Trades)
async def test_trades_of_a_file_and_of_rest_are_the_same(
    replay: RunningVenue, walk: Walk, kind: Trades
) -> None:
    await walk.trades(TRADE_DAY, kind)
    assert walk.is_done
    assert walk.records == source_trades(replay, TRADE_DAY, kind, QUIET)
    assert len(walk.records) > 1000
    assert walk.told == []


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (FaultKind.WRONG_CHECKSUM, "its sha256 is"),
        (FaultKind.ROWS_UNORDERED, "was due"),
        (FaultKind.ROWS_DOUBLED, "was due"),
        (FaultKind.EMPTY_404, ""),
    ],
)
async def test_trades_of_a_bad_file_come_from_rest(
    replay: RunningVenue, walk: Walk, fault: FaultKind, told: str
) -> None:
    break_file(replay, fault, TRADE_FILE)
    whole = "2023-01-02:2023-01-03"
    await walk.trades(whole, Trades.AGGREGATE)
    assert walk.records == source_trades(replay, whole, Trades.AGGREGATE, QUIET)
    assert told in "".join(walk.told[-1:])


async def test_trades_that_rest_no_longer_has_come_from_the_archive() -> None:
    async with running_venue(VenueSettings(retained_days=3)) as replay, walking(replay) as walk:
        replay.state.clock.step(now_ms=parse_time_range("2023-01-10:2023-01-11").start_ms)
        await walk.trades(TRADE_DAY, Trades.AGGREGATE)
        assert walk.records == source_trades(replay, TRADE_DAY, Trades.AGGREGATE, QUIET)
        assert walk.told == []
        assert requests(replay, "/api/v3/aggTrades") == 1


# REST keeps none of these any more; the archive has a file of each day.
OLD_DAYS = "2023-01-02:2023-01-05"
OLD_FILE = "/data/spot/daily/aggTrades/QUIETUSDT/QUIETUSDT-aggTrades-2023-01-0%d.zip"
KEPT_SINCE = "2023-01-17T00:0"


@pytest.fixture
async def trimmed() -> AsyncIterator[RunningVenue]:
    async with running_venue(VenueSettings(retained_days=3)) as running:
        running.state.clock.step(now_ms=parse_time_range("2023-01-20:2023-01-21").start_ms)
        yield running


def old_trades(replay: RunningVenue, *days: int) -> list[bytes]:
    ranges = (f"2023-01-0{day}:2023-01-0{day + 1}" for day in days)
    return [
        record for each in ranges for record in source_trades(replay, each, Trades.AGGREGATE, QUIET)
    ]


@pytest.mark.parametrize(
    ("day", "fault", "why"),
    [
        (2, FaultKind.WRONG_CHECKSUM, "its sha256 is"),
        (3, FaultKind.ROWS_DOUBLED, "was due"),
        (3, FaultKind.RESET, "the archive gives no answer"),
        (4, FaultKind.WRONG_CHECKSUM, "its sha256 is"),
    ],
)
async def test_a_bad_file_of_trades_that_rest_no_longer_keeps_ends_the_attempt(
    trimmed: RunningVenue, day: int, fault: FaultKind, why: str
) -> None:
    break_file(trimmed, fault, OLD_FILE % day)
    async with walking(trimmed, patience_s=0.5) as walk:
        with pytest.raises(ArchiveNeededError) as ended:
            await walk.trades(OLD_DAYS, Trades.AGGREGATE)
    for part in (f"QUIETUSDT-aggTrades-2023-01-0{day}", why, KEPT_SINCE):
        assert part in str(ended.value)
    whole = old_trades(trimmed, *range(2, day))
    assert walk.records[: len(whole)] == whole
    rest = walk.records[len(whole) :]
    assert rest == old_trades(trimmed, day)[: len(rest)]
    assert bool(rest) == (fault is FaultKind.ROWS_DOUBLED)


async def test_a_file_that_rest_cannot_replace_is_waited_for_longer(trimmed: RunningVenue) -> None:
    # Longer than it is waited for where REST stands in; the second answer is the file.
    busy = {"status": 503, "retry_after_s": 60, "times": 1}
    break_file(trimmed, FaultKind.STATUS, OLD_FILE % 3, **busy)
    async with walking(trimmed) as walk:
        await walk.trades(OLD_DAYS, Trades.AGGREGATE)
    assert walk.is_done
    assert walk.records == old_trades(trimmed, 2, 3, 4)
    told = "Waiting for the archive's file QUIETUSDT-aggTrades-2023-01-0"
    assert [each[: len(told)] for each in walk.told] == [told] * len(walk.told)


NOBODY = "Nobody has the trades "


@pytest.mark.parametrize(
    ("day", "told"),
    [
        (2, f"{NOBODY}of [2023-01-02T00:00:00Z, 2023-01-03T00:0"),
        (3, "REST has no trades with the ids "),
        (4, f"{NOBODY}from id "),
    ],
)
async def test_trades_of_a_day_that_nobody_has_are_told(
    trimmed: RunningVenue, day: int, told: str
) -> None:
    break_file(trimmed, FaultKind.EMPTY_404, OLD_FILE % day)
    break_file(trimmed, FaultKind.EMPTY_404, f"{OLD_FILE % day}.CHECKSUM")
    async with walking(trimmed) as walk:
        await walk.trades(OLD_DAYS, Trades.AGGREGATE)
    assert walk.is_done
    assert walk.records == old_trades(trimmed, *({2, 3, 4} - {day}))
    assert walk.told
    assert walk.told[0].startswith(told)


@pytest.mark.parametrize("kind", Trades)
async def test_a_long_hole_that_rest_no_longer_keeps_is_passed_over_at_once_and_told_once(
    trimmed: RunningVenue, kind: Trades
) -> None:
    async with binance_rest(trimmed.url, patience_s=PATIENCE_S, weight_share=1) as venue:
        walk = Walk(venue, None)
        source = TradeSource(venue, QUIET.name, kind, walk)
        source.go_on_at(5)
        end_ms = parse_time_range("2023-01-17T00:00/2023-01-17T01:00").end_ms
        await walk.take(History(source, None, walk.stop, walk), (), end_ms)
    tape = trimmed.state.tape(QUIET)
    asked = parse_time_range("2023-01-17T00:00/2023-01-17T01:00")
    assert walk.records[-1:] == source_trades(trimmed, str(asked), kind, QUIET)[-1:]
    first = walk.pages[0].positions[0]
    assert walk.told == [f"REST has no trades with the ids 5 to {first - 1}"]
    positions = [each for page in walk.pages for each in page.positions]
    assert positions == list(range(first, tape_end(tape, asked.end_ms, kind)))
    assert first > 300_000
    name = "aggTrades" if kind is Trades.AGGREGATE else "historicalTrades"
    assert requests(trimmed, f"/api/v3/{name}") < 30


def tape_end(tape: TradeTape, time_ms: int, kind: Trades) -> int:
    before = tape.before(time_ms)
    return before.aggregates if kind is Trades.AGGREGATE else before.trades


async def test_without_an_archive_trades_that_rest_no_longer_keeps_are_told(
    trimmed: RunningVenue,
) -> None:
    async with binance_rest(trimmed.url, patience_s=PATIENCE_S, weight_share=1) as venue:
        walk = Walk(venue, None)
        await walk.trades(OLD_DAYS, Trades.AGGREGATE)
        assert (walk.is_done, walk.records) == (True, [])
        (told,) = walk.told
        assert told.startswith(f"{NOBODY}of [2023-01-02T00:00:00Z, 2023-01-05T00:00:00Z)")
        assert f"no archive is asked, and REST keeps nothing from before {KEPT_SINCE}" in told

        walk = Walk(venue, None)
        await walk.trades("2023-01-16:2023-01-18", Trades.AGGREGATE)
    kept = source_trades(trimmed, "2023-01-17:2023-01-18", Trades.AGGREGATE, QUIET)
    assert walk.records[-len(kept) + 5 :] == kept[5:]
    assert walk.told[0].startswith(f"{NOBODY}of [2023-01-16T00:00:00Z, {KEPT_SINCE}")


async def test_a_range_from_before_the_first_trade_lacks_nothing(replay: RunningVenue) -> None:
    async with binance_rest(replay.url, patience_s=PATIENCE_S, weight_share=1) as venue:
        walk = Walk(venue, None)
        await walk.trades("2022-12-01:2022-12-30", Trades.AGGREGATE)
        await walk.trades("2022-12-30T00:00/2023-01-01T01:00", Trades.AGGREGATE)
    first = source_trades(replay, "2023-01-01T00:00/2023-01-01T01:00", Trades.AGGREGATE, QUIET)
    assert first
    assert (walk.records, walk.told) == (first, [])


async def test_trades_go_on_in_the_middle_of_a_file(replay: RunningVenue, walk: Walk) -> None:
    expected = source_trades(replay, TRADE_DAY, Trades.AGGREGATE, QUIET)
    first = replay.state.tape(QUIET).before(parse_time_range(TRADE_DAY).start_ms).aggregates
    await walk.trades(TRADE_DAY, Trades.AGGREGATE, go_on_at=first + 1234)
    assert walk.records == expected[1234:]


async def test_a_ban_ends_the_walk_only_where_rest_is_needed(
    replay: RunningVenue, walk: Walk
) -> None:
    banned = Fault(kind=FaultKind.STATUS, status=418, retry_after_s=300)
    replay.state.faults.add([FaultRule(match=Match(path=KLINES), fault=banned)])
    with pytest.raises(BannedError):
        await walk.candles("2020-01-01T00:00/2020-01-03T01:00")
    assert len(walk.records) == 2 * 1440
    with pytest.raises(BannedError):
        await walk.candles("2020-01-05T00:00/2020-01-05T01:00")
    assert requests(replay, KLINES) == 1


async def test_a_stop_ends_the_walk_between_two_pages(replay: RunningVenue, walk: Walk) -> None:
    whole = "2020-01-01:2020-01-20"
    # It cannot end by itself.
    break_file(replay, FaultKind.HANG, BROKEN_FILE.replace("01-02", "01-12"))
    task = asyncio.create_task(walk.candles(whole))
    await eventually(lambda: len(walk.pages) >= 5)
    with Stopwatch() as watch:
        walk.stop.set()
        await task
    assert watch.took_s < 1
    assert not walk.is_done
    expected = await source_candles(replay, whole)
    assert walk.records == expected[: len(walk.records)]


# What a second request may cure, and what it does cure; the rest is refused in the end.
PASSING: list[tuple[Fault, int | None]] = [
    (Fault(kind=FaultKind.ROWS_MISSING), 1),
    (Fault(kind=FaultKind.TRUNCATE), 1),
    (Fault(kind=FaultKind.HTML_200), 1),
    *((Fault(kind=kind), times) for times in (2, None) for kind in (
        FaultKind.ROWS_DOUBLED, FaultKind.ROWS_UNORDERED,
        FaultKind.ROWS_NOT_NUMBERS, FaultKind.ROWS_WRONG_UNIT,
    )),
]  # fmt: skip


@pytest.mark.parametrize("path", ["/api/v3/aggTrades", "/api/v3/historicalTrades"])
@pytest.mark.parametrize(("fault", "times"), PASSING)
async def test_pages_of_trades_are_right_or_refused(
    replay: RunningVenue, walk: Walk, path: str, fault: Fault, times: int | None
) -> None:
    kind = Trades.AGGREGATE if "agg" in path else Trades.RAW
    # A day that has no file yet.
    replay.state.clock.step(now_ms=parse_time_range(TRADE_DAY).end_ms + HOUR_MS)
    # Neither the first moment, nor the end (two requests), nor the oldest one: a page of records.
    rule = Match(path=path, nth=5 if kind is Trades.AGGREGATE else 2)
    replay.state.faults.add([FaultRule(match=rule, times=times, fault=fault)])
    if times:
        await walk.trades(TRADE_DAY, kind)
        assert walk.records == source_trades(replay, TRADE_DAY, kind, QUIET)
        return
    with pytest.raises(SourceError, match="cannot be right"):
        await walk.trades(TRADE_DAY, kind)
    assert walk.records == source_trades(replay, TRADE_DAY, kind, QUIET)[: len(walk.records)]


async def test_an_empty_page_of_trades_is_asked_for_again(replay: RunningVenue, walk: Walk) -> None:
    replay.state.clock.step(now_ms=parse_time_range(TRADE_DAY).end_ms + HOUR_MS)
    nothing = Fault(kind=FaultKind.ROWS_MISSING, rows=1_000)
    match = Match(path="/api/v3/aggTrades", nth=5)
    replay.state.faults.add([FaultRule(match=match, times=1, fault=nothing)])
    await walk.trades(TRADE_DAY, Trades.AGGREGATE)
    assert walk.records == source_trades(replay, TRADE_DAY, Trades.AGGREGATE, QUIET)


@pytest.mark.parametrize("rows", [500, 1_000])
async def test_a_short_answer_about_the_end_leaves_no_trades_out(
    replay: RunningVenue, walk: Walk, rows: int
) -> None:
    replay.state.clock.step(now_ms=parse_time_range(TRADE_DAY).end_ms + HOUR_MS)
    match = Match(path="/api/v3/aggTrades", params={"endTime": str(END_OF_TRADES_MS)})
    short = Fault(kind=FaultKind.ROWS_MISSING, rows=rows)
    replay.state.faults.add([FaultRule(match=match, times=1, fault=short)])
    await walk.trades(TRADE_DAY, Trades.AGGREGATE)
    assert walk.records == source_trades(replay, TRADE_DAY, Trades.AGGREGATE, QUIET)


# So little is not worth a file.
MORNING = "2020-01-05T00:00/2020-01-05T12:00"


@pytest.mark.parametrize(("fault", "times"), PASSING)
async def test_pages_of_candles_are_right_or_refused(
    replay: RunningVenue, walk: Walk, fault: Fault, times: int | None
) -> None:
    replay.state.faults.add([FaultRule(match=Match(path=KLINES), times=times, fault=fault)])
    if times:
        await walk.candles(MORNING)
        assert walk.records == await source_candles(replay, MORNING)
        assert walk.told == []
        return
    with pytest.raises(SourceError, match="cannot be right"):
        await walk.candles(MORNING)
    assert walk.records == []


@pytest.mark.parametrize(("times", "is_refused"), [(2, False), (None, True)])
async def test_a_refusal_without_the_venues_words_is_doubted(
    replay: RunningVenue, walk: Walk, times: int | None, is_refused: bool
) -> None:
    empty = Fault(kind=FaultKind.EMPTY_404)
    replay.state.faults.add([FaultRule(match=Match(path=KLINES), times=times, fault=empty)])
    if is_refused:
        with pytest.raises(RejectedError):
            await walk.candles(MORNING)
        return
    await walk.candles(MORNING)
    assert walk.records == await source_candles(replay, MORNING)


async def test_candles_that_the_venue_does_not_have_are_told_once_over_all_pages(
    replay: RunningVenue, walk: Walk
) -> None:
    # Halves are missing whenever they are asked for.
    half = Fault(kind=FaultKind.ROWS_MISSING)
    replay.state.faults.add([FaultRule(match=Match(path=KLINES), fault=half)])
    await walk.candles(MORNING)
    assert walk.told == [
        "360 candles are missing in [2020-01-05T06:00:00Z, 2020-01-05T12:00:00Z): the venue has"
        " none"
    ]


# It was listed anew after 164 days.
RELISTED = "2022-09-28T00:00/2023-03-12T12:00"


async def walked(
    replay: RunningVenue, symbol: str, interval: Interval, time_range: str
) -> tuple[list[int], list[str]]:
    """Where the candles of REST open that a load gives, and what it tells."""
    asked = parse_time_range(time_range)
    async with binance_rest(replay.url, patience_s=PATIENCE_S, weight_share=1) as venue:
        walk = Walk(venue, None)
        source = CandleSource(venue, symbol, interval)
        source.go_on_at(asked.start_ms)
        await walk.take(History(source, None, walk.stop, walk), (), asked.end_ms)
    return [position for page in walk.pages for position in page.positions], walk.told


async def test_months_without_a_candle_are_passed_over_in_a_few_requests(
    replay: RunningVenue,
) -> None:
    opens, told = await walked(replay, "USDCUSDT", Interval.MINUTE_1, RELISTED)
    before = parse_time_range("2022-09-28T00:00/2022-09-29T03:00")
    after = parse_time_range("2023-03-12T06:00/2023-03-12T12:00")
    expected = [*range(before.start_ms, before.end_ms, MINUTE_MS)]
    assert opens == [*expected, *range(after.start_ms, after.end_ms, MINUTE_MS)]
    count = (after.start_ms - before.end_ms) // MINUTE_MS
    place = "[2022-09-29T03:00:00Z, 2023-03-12T06:00:00Z)"
    assert told == [f"{count} candles are missing in {place}: the venue has none"]
    # Eight windows are under way at once: each of them may be the first to ask how far nothing is.
    assert requests(replay, KLINES) < 30


async def test_years_after_the_last_candle_are_passed_over_in_a_few_requests(
    replay: RunningVenue,
) -> None:
    years = "2022-11-28T02:00/2025-11-28T00:00"
    opens, told = await walked(replay, "BREAKUSDT", Interval.SECOND_1, years)
    hour = parse_time_range("2022-11-28T02:00/2022-11-28T03:00")
    assert opens == list(range(hour.start_ms, hour.end_ms, 1000))
    assert len(told) == 1
    assert requests(replay, KLINES) < 25


async def test_years_before_the_first_candle_are_passed_at_two_requests(
    replay: RunningVenue,
) -> None:
    asked = parse_time_range("2012-01-01:2017-08-18")
    async with binance_rest(replay.url, patience_s=PATIENCE_S, weight_share=1) as venue:
        source = CandleSource(venue, "BTCUSDT", Interval.MINUTE_1)
        first_ms = await source.begin_at(asked.start_ms, asked.end_ms)
        assert from_epoch_ms(first_ms).isoformat() == "2017-08-17T04:00:00+00:00"
        before = parse_time_range("2012-01-01:2013-01-01")
        assert await source.begin_at(before.start_ms, before.end_ms) == before.end_ms
    assert requests(replay, KLINES) == 4
