"""The replay over real HTTP: what a client of Binance's REST market data sees."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from loadertask_contract.intervals import DAY_MS, MINUTE_MS, Interval, open_at_or_before
from loadertask_devstack.venue.candles import parse_fields
from loadertask_devstack.venue.outages import moment_ms
from loadertask_devstack.venue.recordings import committed_recordings
from loadertask_devstack.venue.rollup import roll_up_all
from loadertask_devstack.venue.server import RunningVenue, running_venue

NOW_MS = moment_ms("2026-11-21T13:37:42.5")
JANUARY_MS = moment_ms("2020-01-01")


class Client:
    """A client that decodes what it gets and remembers nothing."""

    def __init__(self, session: aiohttp.ClientSession, venue: RunningVenue) -> None:
        self.session, self.venue = session, venue

    async def get(self, path: str, **headers: str) -> tuple[int, Any, Any]:
        url = f"{self.venue.url}{path}"
        async with self.session.get(url, headers=headers) as response:
            is_json = "json" in response.headers.get("Content-Type", "")
            body = await response.json() if is_json else await response.text()
            return response.status, body, response.headers

    async def klines(self, query: str, symbol: str = "BTCUSDT", **headers: str) -> list[list[Any]]:
        status, rows, _ = await self.get(
            f"/api/v3/klines?symbol={quote(symbol)}&{query}", **headers
        )
        assert status == 200, rows
        return list(rows)


class Now:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.ms = NOW_MS

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
async def client(now: Now) -> AsyncIterator[Client]:
    async with running_venue(clock_ms=now) as venue, aiohttp.ClientSession() as session:
        yield Client(session, venue)


async def test_ping_and_time_answer_as_the_venue(client: Client) -> None:
    assert (await client.get("/api/v3/ping"))[:2] == (200, {})
    status, body, headers = await client.get("/api/v3/time")
    assert (status, body) == (200, {"serverTime": NOW_MS})
    assert headers["Content-Type"] == "application/json;charset=UTF-8"


async def test_recorded_minutes_come_digit_for_digit_and_say_so(client: Client) -> None:
    (recording,) = committed_recordings()
    end_ms = JANUARY_MS + 999 * MINUTE_MS
    query = f"interval=1m&startTime={JANUARY_MS}&endTime={end_ms}&limit=1000"
    rows = await client.klines(query)
    assert [parse_fields(row) for row in rows] == recording.candles(JANUARY_MS // DAY_MS)[:1000]
    assert rows[0] == [
        1577836800000, "7195.24000000", "7196.25000000", "7183.14000000", "7186.68000000",
        "51.64281200", 1577836859999, "371233.51835535", 493, "19.59823000", "140888.41428273", "0",
    ]  # fmt: skip
    _, _, headers = await client.get(f"/api/v3/klines?symbol=BTCUSDT&{query}")
    assert headers["X-Replay-Source"] == "recorded"


async def test_invented_candles_say_that_they_are_synthetic(client: Client) -> None:
    _, _, headers = await client.get("/api/v3/klines?symbol=SOLUSDT&interval=1m&limit=1")
    assert headers["X-Replay-Source"] == "synthetic"


async def test_candles_are_chosen_by_open_time_with_both_ends_inclusive(client: Client) -> None:
    start_ms, end_ms = JANUARY_MS, JANUARY_MS + 3 * MINUTE_MS
    both = await client.klines(f"interval=1m&startTime={start_ms}&endTime={end_ms}")
    assert [row[0] for row in both] == [start_ms + n * MINUTE_MS for n in range(4)]
    inside = await client.klines(f"interval=1m&startTime={start_ms + 1}&endTime={end_ms - 1}")
    assert [row[0] for row in inside] == [start_ms + MINUTE_MS, start_ms + 2 * MINUTE_MS]
    one = await client.klines(f"interval=1m&startTime={start_ms}&endTime={start_ms}")
    assert [row[0] for row in one] == [start_ms]


@pytest.mark.parametrize(("limit", "rows"), [("", 500), ("&limit=7", 7), ("&limit=1500", 1000)])
async def test_500_rows_by_default_and_never_more_than_1000(
    client: Client, limit: str, rows: int
) -> None:
    assert len(await client.klines(f"interval=1m&startTime={JANUARY_MS}{limit}")) == rows


@pytest.mark.parametrize("interval", list(Interval))
async def test_without_times_the_last_row_is_the_open_candle(
    client: Client, interval: Interval
) -> None:
    rows = await client.klines(f"interval={interval}&limit=5")
    assert len(rows) == 5
    assert rows[-1][0] == open_at_or_before(interval, NOW_MS)
    assert rows[-1][6] > NOW_MS > rows[-2][6]


async def test_the_open_candle_changes_between_calls_and_closed_ones_do_not(
    client: Client, now: Now
) -> None:
    before = await client.klines("interval=1m&limit=3")
    now.ms += 5_000
    after = await client.klines("interval=1m&limit=3")
    assert before[:2] == after[:2]
    assert before[2][0] == after[2][0]
    assert before[2] != after[2]


async def test_an_end_time_alone_gives_the_newest_up_to_it(client: Client) -> None:
    rows = await client.klines(f"interval=1m&endTime={JANUARY_MS}&limit=2", "ETHUSDT")
    assert [row[0] for row in rows] == [JANUARY_MS - MINUTE_MS, JANUARY_MS]


async def test_a_walk_jumps_over_an_outage_and_still_fills_its_page(client: Client) -> None:
    start_ms = moment_ms("2023-03-24T12:30")
    rows = await client.klines(f"interval=1m&startTime={start_ms}&limit=20", "ETHUSDT")
    assert len(rows) == 20
    assert rows[9][6] == moment_ms("2023-03-24T12:39:41.600")
    assert rows[10][0] == moment_ms("2023-03-24T14:00")


@pytest.mark.parametrize(
    ("symbol", "start", "end"),
    [
        ("SOLUSDT", "2020-01-01", "2020-02-01"),
        ("BREAKUSDT", "2023-01-01", "2023-02-01"),
        ("ETHUSDT", "2023-03-24T12:40", "2023-03-24T13:59:59"),
        ("BTCUSDT", "2020-01-02", "2020-01-01"),
        ("CANCELUSDT", "2026-08-01", "2026-08-02"),
    ],
    ids=["before listing", "after delisting", "inside an outage", "start after end", "cancel only"],
)
async def test_nothing_there_is_an_empty_list_with_200(
    client: Client, symbol: str, start: str, end: str
) -> None:
    times = f"startTime={moment_ms(start)}&endTime={moment_ms(end)}"
    assert await client.klines(f"interval=1m&{times}", symbol) == []


async def test_a_start_time_of_zero_finds_the_first_candle(client: Client) -> None:
    assert (await client.klines("interval=1m&startTime=0&limit=1"))[0][0] == 1502942400000
    assert (await client.klines("interval=1w&startTime=0&limit=1"))[0][0] == moment_ms("2017-08-14")


@pytest.mark.parametrize("interval", ["3m", "15m", "1h", "4h", "12h", "1d", "3d", "1w", "1M"])
async def test_all_intervals_are_the_same_tape(client: Client, interval: str) -> None:
    start_ms = open_at_or_before(Interval(interval), moment_ms("2024-02-07"))
    (row,) = await client.klines(f"interval={interval}&startTime={start_ms}&limit=1", "ETHUSDT")
    minutes: list[list[Any]] = []
    next_ms = start_ms
    while page := await client.klines(
        f"interval=1m&startTime={next_ms}&endTime={row[6]}&limit=1000", "ETHUSDT"
    ):
        minutes += page
        next_ms = page[-1][0] + 1
    (rolled,) = roll_up_all(map(parse_fields, minutes), Interval(interval))
    assert rolled == parse_fields(row)


async def test_microseconds_on_request_and_either_unit_in_parameters(client: Client) -> None:
    unit = {"X-MBX-TIME-UNIT": "MICROSECOND"}
    start_us = JANUARY_MS * 1000
    (row,) = await client.klines(f"interval=1m&startTime={start_us}&endTime={start_us}", **unit)
    assert (row[0], row[6]) == (start_us, start_us + 59_999_999)
    _, body, _ = await client.get("/api/v3/time", **unit)
    assert body == {"serverTime": NOW_MS * 1000}
    status, body, _ = await client.get("/api/v3/time", **{"X-MBX-TIME-UNIT": "seconds"})
    assert (status, body["code"]) == (400, -1194)


async def test_a_quiet_pair_has_flat_candles_and_a_time_zone_shifts_days(client: Client) -> None:
    rows = await client.klines("interval=1m&limit=50", "QUIETUSDT")
    flat = [row for row in rows if row[8] == 0]
    assert flat
    for row in flat:
        assert row[1] == row[2] == row[3] == row[4]
        assert row[5] == row[7] == row[9] == row[10] == "0.00000000"
    (day,) = await client.klines(f"interval=1d&timeZone=8&startTime={JANUARY_MS}&limit=1")
    assert day[0] == JANUARY_MS + 16 * 3_600_000


async def test_exchange_info_has_every_status_and_a_unicode_symbol_with_candles(
    client: Client,
) -> None:
    status, body, _ = await client.get("/api/v3/exchangeInfo?showPermissionSets=false")
    assert status == 200
    assert (body["timezone"], body["serverTime"]) == ("UTC", NOW_MS)
    statuses = {symbol["status"] for symbol in body["symbols"]}
    assert statuses == {"TRADING", "HALT", "BREAK", "CANCEL_ONLY"}
    (unicode_name,) = (s["symbol"] for s in body["symbols"] if not s["symbol"].isascii())
    assert len(await client.klines("interval=1h&limit=3", unicode_name)) == 3


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("klines?symbol=BTCUSDT&interval=1m&limit=abc", -1100),
        ("klines?symbol=btcusdt&interval=1m", -1100),
        ("klines?symbol=BTCUSDT&interval=1m&interval=1m", -1101),
        ("ping?x=1", -1101),
        ("klines?symbol=BTCUSDT", -1102),
        ("klines?symbol=%FF&interval=1m", -1102),
        ("klines?symbol=BTCUSDT&interval=1m&unknown=1", -1104),
        ("klines?symbol=&interval=1m", -1105),
        ("klines?symbol=BTCUSDT&interval=1x", -1120),
        ("klines?symbol=NOSUCH&interval=1m", -1121),
        ("exchangeInfo?symbol=NOSUCH", -1121),
        ("exchangeInfo?symbol=BTCUSDT&symbolStatus=HALT", -1128),
        ("klines?symbol=BTCUSDT&interval=1m&timeZone=99", -1130),
    ],
)
async def test_a_bad_request_is_400_with_the_venues_code(
    client: Client, path: str, code: int
) -> None:
    status, body, headers = await client.get(f"/api/v3/{path}")
    assert (status, body["code"], sorted(body)) == (400, code, ["code", "msg"])
    assert headers["X-MBX-USED-WEIGHT-1M"] == headers["X-MBX-USED-WEIGHT"] != "0"


async def test_an_unknown_path_is_404_empty_and_html_only_for_a_browser(client: Client) -> None:
    status, body, headers = await client.get("/api/v3/avgPrice?symbol=BTCUSDT")
    assert (status, body) == (404, "")
    assert "X-MBX-USED-WEIGHT-1M" in headers
    status, body, _ = await client.get("/api/v1/klines", Accept="text/html,*/*")
    assert (status, body[:6]) == (404, "<html>")


async def test_answers_are_compressed_for_those_who_accept_it(client: Client) -> None:
    path = "/api/v3/klines?symbol=BTCUSDT&interval=1m"
    _, plain, headers = await client.get(path, **{"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in headers
    _, packed, headers = await client.get(path, **{"Accept-Encoding": "gzip, deflate, br"})
    assert headers["Content-Encoding"] == "gzip"
    assert plain == packed
