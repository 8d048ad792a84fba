"""The replay's order book over REST and streams, joined as a client must join them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from tests.integration.venue_stream_client import StreamVenue, stream_venue

DEPTH = "/api/v3/depth?symbol=BTCUSDT"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replay() -> AsyncIterator[StreamVenue]:
    async with stream_venue() as venue:
        yield venue


@pytest_asyncio.fixture(loop_scope="module")
async def venue(replay: StreamVenue) -> StreamVenue:
    """The module's replay as if it were new: starting one costs more than most tests."""
    await replay.as_new()
    return replay


def applied(snapshot: Any, events: list[Any]) -> tuple[int, dict[str, str], dict[str, str]]:
    """The local book by the venue's own procedure; fails where an event is missing."""
    last, bids, asks = snapshot["lastUpdateId"], dict(snapshot["bids"]), dict(snapshot["asks"])
    for event in events:
        if event["u"] <= last:
            continue
        assert event["U"] <= last + 1
        for side, changes in ((bids, event["b"]), (asks, event["a"])):
            for price, amount in changes:
                if float(amount):
                    side[price] = amount
                else:
                    side.pop(price, None)
        last = event["u"]
    return last, bids, asks


async def test_the_stream_applied_to_a_snapshot_gives_the_later_snapshot(
    venue: StreamVenue,
) -> None:
    async with venue.stream("/ws/btcusdt@depth@100ms") as stream:
        events = await stream.take(2)
        snapshot = await venue.get(f"{DEPTH}&limit=5000")
        while events[-1]["u"] <= snapshot["lastUpdateId"] + 400:
            events.append(await stream.next())
        await venue.control("PUT", "clock", {"now_ms": events[-1]["E"], "rate": 0})
        later = await venue.get(f"{DEPTH}&limit=5000")
    assert events[0]["U"] <= snapshot["lastUpdateId"]
    last, bids, asks = applied(snapshot, events)
    assert last == later["lastUpdateId"]
    # Both snapshots end at 5000 levels; what lies beyond is unknown to the client.
    for side, levels, best_first in ((bids, later["bids"], True), (asks, later["asks"], False)):
        ours = sorted(side.items(), key=lambda level: float(level[0]), reverse=best_first)
        assert ours[:4900] == [tuple(level) for level in levels[:4900]]


async def test_update_ids_follow_without_a_gap_and_unknown_levels_are_removed(
    venue: StreamVenue,
) -> None:
    async with venue.stream("/stream?streams=btcusdt@depth@100ms/btcusdt@depth") as stream:
        messages = await stream.take(25)
    for name in ("btcusdt@depth@100ms", "btcusdt@depth"):
        events = [m["data"] for m in messages if m["stream"] == name]
        assert len(events) >= 2
        for before, after in itertools.pairwise(events):
            assert after["U"] == before["u"] + 1
    assert any(amount == "0.00000000" for m in messages for _, amount in m["data"]["b"])


@pytest.mark.parametrize(
    ("limit", "weight", "levels"),
    [("", 5, 100), ("&limit=101", 25, 101), ("&limit=1000", 50, 1000), ("&limit=9999", 250, 5000)],
)
async def test_a_snapshot_costs_by_its_levels_and_has_at_most_5000(
    venue: StreamVenue, limit: str, weight: int, levels: int
) -> None:
    async with venue.session.get(f"{DEPTH}{limit}") as response:
        snapshot = await response.json()
        assert response.headers["X-MBX-USED-WEIGHT-1M"] == str(weight)
    assert len(snapshot["bids"]) == len(snapshot["asks"]) == levels
    assert list(snapshot) == ["lastUpdateId", "bids", "asks"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", -1102), ("symbol=NOSUCH", -1121), ("symbol=BTCUSDT&limit=x", -1100),
        ("symbol=BTCUSDT&symbolStatus=BREAK", -1220), ("symbol=BTCUSDT&depth=1", -1104),
    ],
)  # fmt: skip
async def test_a_wrong_query_is_refused_by_its_code(
    venue: StreamVenue, query: str, code: int
) -> None:
    async with venue.session.get(f"/api/v3/depth?{query}") as response:
        assert (response.status, (await response.json())["code"]) == (400, code)


async def test_a_snapshot_can_be_older_than_the_first_event(venue: StreamVenue) -> None:
    await venue.control("PUT", "rest_lag", {"lag_ms": 60_000})
    async with venue.stream("/ws/btcusdt@depth@100ms") as stream:
        first = await stream.next()
        snapshot = await venue.get(DEPTH)
        assert snapshot["lastUpdateId"] < first["U"] - 1
        await venue.control("PUT", "rest_lag", {"lag_ms": 0})
        assert (await venue.get(DEPTH))["lastUpdateId"] >= first["U"]


async def test_partial_depth_and_best_prices_carry_no_event_name_and_no_time(
    venue: StreamVenue,
) -> None:
    names = "btcusdt@depth5@100ms/btcusdt@bookTicker"
    async with venue.stream(f"/stream?streams={names}") as stream:
        messages = await stream.until(lambda m: m["stream"].endswith("bookTicker"))
        messages += await stream.until(lambda m: "depth5" in m["stream"])
    ticker = next(m["data"] for m in messages if "bookTicker" in m["stream"])
    partial = next(m["data"] for m in messages if "depth5" in m["stream"])
    assert list(ticker) == ["u", "s", "b", "B", "a", "A"]
    assert list(partial) == ["lastUpdateId", "bids", "asks"]
    assert len(partial["bids"]) == len(partial["asks"]) == 5
