"""The replay's trades over real HTTP: paging by id and by time, caps, weights and refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from operator import ne
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from loadertask_contract.intervals import DAY_MS, MINUTE_MS
from loadertask_devstack.venue.candles import parse_units
from loadertask_devstack.venue.outages import moment_ms
from loadertask_devstack.venue.server import RunningVenue, running_venue

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW_MS = moment_ms("2026-11-21T13:37:42.5")
MAY_MS = moment_ms("2024-05-05T10:00")
SYMBOL = "symbol=ETHUSDT"


class Client:
    """A client that decodes what it gets and remembers nothing."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def get(self, path: str, **headers: str) -> tuple[int, Any, Any]:
        async with self.session.get(f"/api/v3/{path}", headers=headers) as response:
            return response.status, await response.json(), response.headers

    async def rows(self, path: str, **headers: str) -> list[Any]:
        status, rows, _ = await self.get(path, **headers)
        assert status == 200, rows
        return list(rows)

    async def control(self, path: str, body: object) -> None:
        async with self.session.put(f"/_replay/{path}", json=body) as response:
            assert response.status == 200, await response.text()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def venue() -> AsyncIterator[RunningVenue]:
    async with running_venue(clock_ms=lambda: NOW_MS) as venue:
        yield venue


@pytest_asyncio.fixture(loop_scope="module")
async def client(venue: RunningVenue) -> AsyncIterator[Client]:
    venue.state.forgive()
    venue.state.audit.clear()
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(venue.url, timeout=timeout) as session:
        yield Client(session)


async def test_rows_have_the_venues_keys_and_types(client: Client) -> None:
    (agg,) = await client.rows(f"aggTrades?{SYMBOL}&limit=1")
    assert list(agg) == ["a", "p", "q", "f", "l", "T", "m", "M"]
    for endpoint in ("trades", "historicalTrades"):
        (trade,) = await client.rows(f"{endpoint}?{SYMBOL}&limit=1")
        assert list(trade) == [
            "id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch",
        ]  # fmt: skip
    kinds = [type(value) for value in agg.values()]
    assert kinds == [int, str, str, int, int, int, bool, bool]
    assert len(agg["p"].partition(".")[2]) == len(agg["q"].partition(".")[2]) == 8


async def test_without_a_selector_the_newest_rows_come_oldest_first(client: Client) -> None:
    rows = await client.rows(f"aggTrades?{SYMBOL}")
    assert len(rows) == 500
    assert NOW_MS - 2 * MINUTE_MS < rows[-1]["T"] <= NOW_MS
    assert [b["a"] - a["a"] for a, b in pairwise(rows)] == [1] * 499
    assert await client.rows(f"trades?{SYMBOL}") == await client.rows(f"historicalTrades?{SYMBOL}")


async def test_from_id_is_inclusive_and_pages_join_without_a_hole(client: Client) -> None:
    (first,) = await client.rows(f"aggTrades?{SYMBOL}&startTime={MAY_MS}&limit=1")
    one = await client.rows(f"aggTrades?{SYMBOL}&fromId={first['a']}&limit=1000")
    two = await client.rows(f"aggTrades?{SYMBOL}&fromId={one[-1]['a'] + 1}&limit=1000")
    assert one[0] == first
    assert [row["a"] for row in one + two] == list(range(first["a"], first["a"] + 2000))
    assert all(b["f"] == a["l"] + 1 for a, b in pairwise(one + two))
    raw = await client.rows(f"historicalTrades?{SYMBOL}&fromId={first['f']}&limit=1000")
    assert [row["id"] for row in raw] == list(range(first["f"], first["f"] + 1000))


async def test_times_are_inclusive_at_both_ends_and_the_oldest_come_first(client: Client) -> None:
    rows = await client.rows(f"aggTrades?{SYMBOL}&startTime={MAY_MS}&limit=1000")
    start_ms, end_ms = rows[10]["T"], rows[700]["T"]
    window = f"aggTrades?{SYMBOL}&startTime={start_ms}&endTime={end_ms}"
    expected = [row for row in rows if start_ms <= row["T"] <= end_ms]
    assert await client.rows(f"{window}&limit=1000") == expected
    assert await client.rows(f"{window}&limit=7") == expected[:7]
    newest = await client.rows(f"aggTrades?{SYMBOL}&endTime={end_ms}&limit=7")
    assert newest == expected[-7:]


async def test_a_window_of_more_than_an_hour_is_served(client: Client) -> None:
    rows = await client.rows(f"aggTrades?{SYMBOL}&startTime=0&endTime={NOW_MS}&limit=2")
    assert [row["a"] for row in rows] == [0, 1]
    assert rows[0]["f"] == 0


@pytest.mark.parametrize(
    "query",
    [f"startTime={NOW_MS + 5000}", f"startTime={MAY_MS}&endTime={MAY_MS - 1}",
     "fromId=9000000000000000", f"endTime={moment_ms('2017-08-17')}"],
)  # fmt: skip
async def test_a_window_without_trades_is_an_empty_page(client: Client, query: str) -> None:
    assert await client.rows(f"aggTrades?{SYMBOL}&{query}") == []


async def test_a_limit_over_the_cap_is_capped_silently(client: Client) -> None:
    for endpoint in ("aggTrades", "trades", "historicalTrades"):
        assert len(await client.rows(f"{endpoint}?{SYMBOL}&limit=5000")) == 1000


async def test_microseconds_come_by_header_and_are_accepted_in_times(client: Client) -> None:
    query = f"aggTrades?{SYMBOL}&startTime={MAY_MS}000&limit=3"
    rows = await client.rows(query, **{"X-MBX-TIME-UNIT": "MICROSECOND"})
    plain = await client.rows(f"aggTrades?{SYMBOL}&startTime={MAY_MS}&limit=3")
    assert [row["T"] for row in rows] == [row["T"] * 1000 for row in plain]


async def test_the_trades_of_a_minute_rebuild_the_served_candle(client: Client) -> None:
    ends = f"startTime={MAY_MS}&endTime={MAY_MS + MINUTE_MS - 1}&limit=1000"
    (candle,) = await client.rows(f"klines?{SYMBOL}&interval=1m&{ends}")
    rows = await client.rows(f"aggTrades?{SYMBOL}&{ends}")
    prices = [parse_units(row["p"]) for row in rows]
    ohlc = [prices[0], max(prices), min(prices), prices[-1]]
    assert ohlc == [parse_units(price) for price in candle[1:5]]
    assert sum(parse_units(row["q"]) for row in rows) == parse_units(candle[5])
    assert rows[-1]["l"] - rows[0]["f"] + 1 == candle[8]
    taken = sum(parse_units(row["q"]) for row in rows if not row["m"])
    assert taken == parse_units(candle[9])


async def test_an_id_older_than_the_kept_history_gives_the_oldest_kept_row(client: Client) -> None:
    await client.control("retention", {"days": 30})
    for endpoint, key, time in (("aggTrades", "a", "T"), ("historicalTrades", "id", "time")):
        rows = await client.rows(f"{endpoint}?{SYMBOL}&fromId=1&limit=2")
        assert rows[0][key] > 1
        assert 0 <= rows[0][time] - (NOW_MS - 30 * DAY_MS) < MINUTE_MS
    (first,) = await client.rows(f"aggTrades?{SYMBOL}&startTime=0&limit=1")
    assert first["T"] >= NOW_MS - 30 * DAY_MS
    await client.control("retention", {"days": None})


async def test_a_cancelled_row_keeps_its_id_and_says_nothing(client: Client) -> None:
    (before,) = await client.rows(f"aggTrades?{SYMBOL}&startTime={MAY_MS}&limit=1")
    cancelled = [before["a"] + 2, before["a"] + 3]
    await client.control("cancelled", {"ETHUSDT": cancelled})
    rows = await client.rows(f"aggTrades?{SYMBOL}&fromId={before['a']}&limit=6")
    assert [row["a"] for row in rows] == list(range(before["a"], before["a"] + 6))
    empty = [
        row["a"] for row in rows if (row["p"], row["q"], row["f"], row["l"]) == ("0", "0", -1, -1)
    ]
    assert empty == cancelled
    assert rows[4]["f"] == rows[1]["l"] + 1
    assert await client.rows(f"aggTrades?{SYMBOL}&fromId={cancelled[1]}&limit=3") == rows[3:]
    assert await client.rows(f"aggTrades?{SYMBOL}&startTime={MAY_MS}&limit=6") == rows
    await client.control("cancelled", {})


async def test_weights_are_those_of_the_documentation(client: Client) -> None:
    used = 0
    for endpoint, weight in (("aggTrades", 4), ("trades", 25), ("historicalTrades", 25)):
        _, _, headers = await client.get(f"{endpoint}?{SYMBOL}&limit=1")
        used += weight
        assert headers["X-MBX-USED-WEIGHT-1M"] == str(used)
        assert headers["X-Replay-Source"] == "synthetic"
    async with client.session.get("/_replay/audit") as response:
        (minute,) = (await response.json())["weight_per_minute"]
    assert minute["weight"] == used


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("aggTrades?symbol=ETHUSDT&limit=abc", -1100),
        ("aggTrades?symbol=ethusdt", -1100),
        ("trades?symbol=ETHUSDT&symbol=ETHUSDT", -1101),
        ("aggTrades", -1102),
        ("trades?symbol=ETHUSDT&fromId=5", -1104),
        ("historicalTrades?symbol=ETHUSDT&startTime=5", -1104),
        ("aggTrades?symbol=ETHUSDT&fromId=", -1105),
        ("aggTrades?symbol=NOSUCH", -1121),
        ("aggTrades?symbol=ETHUSDT&fromId=5&startTime=5", -1128),
        ("aggTrades?symbol=ETHUSDT&fromId=5&endTime=5", -1128),
        ("aggTrades?symbol=ETHUSDT&limit=0", -1130),
    ],
)
async def test_a_bad_request_is_400_with_the_venues_code_and_is_charged(
    client: Client, path: str, code: int
) -> None:
    status, body, headers = await client.get(path)
    assert (status, body["code"]) == (400, code)
    assert headers["X-MBX-USED-WEIGHT-1M"] != "0"


async def test_a_delisted_symbol_has_history_and_no_new_trades(client: Client) -> None:
    (last,) = await client.rows("aggTrades?symbol=BREAKUSDT&limit=1")
    assert last["T"] < moment_ms("2022-11-28T03:00")
    assert await client.rows(f"aggTrades?symbol=BREAKUSDT&startTime={last['T'] + 1}") == []


@pytest.mark.parametrize(
    ("kind", "differs"),
    [
        ("rows_missing", lambda rows, whole: rows == whole[:5]),
        ("rows_doubled", lambda rows, whole: len(rows) == 11 and rows[5] == rows[6]),
        ("rows_unordered", lambda rows, whole: rows[5:7] == whole[6:4:-1]),
        ("rows_changed", lambda rows, whole: sum(map(ne, rows, whole)) == 1),
        ("rows_not_numbers", lambda rows, whole: "x" in str(rows[5])),
        ("rows_off_grid", lambda rows, whole: sum(map(ne, rows, whole)) == 1),
        ("rows_wrong_unit", lambda rows, whole: all(map(ne, rows, whole))),
    ],
)
async def test_rows_of_a_page_can_lie_with_a_good_status(
    client: Client, kind: str, differs: Any
) -> None:
    candles = f"klines?{SYMBOL}&interval=1m&startTime={MAY_MS}&limit=10"
    for path in (candles, f"aggTrades?{SYMBOL}&startTime={MAY_MS}&limit=10"):
        whole = await client.rows(path)
        rule = {"fault": {"kind": kind}, "times": 1}
        async with client.session.post("/_replay/faults", json=[rule]) as response:
            assert response.status == 200
        assert differs(await client.rows(path), whole)
        assert await client.rows(path) == whole


async def test_html_can_come_with_200(client: Client) -> None:
    rule = {"fault": {"kind": "html200"}, "times": 1}
    async with client.session.post("/_replay/faults", json=[rule]) as response:
        assert response.status == 200
    async with client.session.get(f"/api/v3/aggTrades?{SYMBOL}") as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "text/html")
