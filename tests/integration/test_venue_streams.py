"""The replay's streams as a client sees them: connection, candles, trades."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import websockets
from tests.integration.venue_stream_client import StreamVenue, stream_venue

from loadertask_devstack.venue.outages import moment_ms

BUSY = "busyusdt@trade"
MINUTE_MS = 60_000
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


async def test_raw_and_combined_addresses_and_late_subscriptions_say_the_same(
    venue: StreamVenue,
) -> None:
    addresses = (f"/ws/{BUSY}", "/ws", f"/stream?streams={BUSY}", "/stream")
    async with (
        venue.stream(addresses[0]) as raw, venue.stream(addresses[1]) as late_raw,
        venue.stream(addresses[2]) as combined, venue.stream(addresses[3]) as late_combined,
    ):  # fmt: skip
        for late in (late_raw, late_combined):
            assert await late.ask("SUBSCRIBE", BUSY, identity="x1") == {
                "result": None, "id": "x1",
            }  # fmt: skip
        enveloped = [await one.next() for one in (combined, late_combined)]
        assert {message["stream"] for message in enveloped} == {BUSY}
        last_id = max(message["data"]["t"] for message in enveloped)
        texts = [(await one.until(lambda m: m["t"] == last_id + 5))[-1] for one in (raw, late_raw)]
        assert texts[0] == texts[1]
        assert texts[0]["e"] == "trade"


async def test_the_envelope_can_be_switched_while_data_flow(venue: StreamVenue) -> None:
    async with venue.stream(f"/ws/{BUSY}") as stream:
        assert "stream" not in await stream.next()
        assert (await stream.ask("GET_PROPERTY", "combined"))["result"] is False
        assert (await stream.ask("SET_PROPERTY", "combined", True))["result"] is None
        assert (await stream.next())["stream"] == BUSY
        assert (await stream.ask("GET_PROPERTY", "combined"))["result"] is True


async def test_a_repeated_subscription_is_harmless_and_an_ended_one_silent(
    venue: StreamVenue,
) -> None:
    async with venue.stream("/ws") as stream:
        await stream.ask("SUBSCRIBE", BUSY)
        await stream.ask("SUBSCRIBE", BUSY, "btcusdt@depth")
        listed = await stream.ask("LIST_SUBSCRIPTIONS")
        assert listed["result"] == [BUSY, "btcusdt@depth"]
        ids = [message["t"] for message in await stream.take(50)]
        assert ids == list(range(ids[0], ids[0] + 50))
        await stream.ask("UNSUBSCRIBE", BUSY, "btcusdt@depth")
        assert (await stream.ask("LIST_SUBSCRIPTIONS"))["result"] == []


async def test_data_may_come_before_the_answer(venue: StreamVenue) -> None:
    await venue.rules(ack_delay_s=0.5)
    async with venue.stream("/ws") as stream:
        await stream.socket.send(f'{{"method":"SUBSCRIBE","params":["{BUSY}"],"id":1}}')
        seen = await stream.until(lambda message: "result" in message)
        assert len(seen) > 1


async def test_streams_that_do_not_exist_are_acknowledged_and_silent(venue: StreamVenue) -> None:
    silent = ["BTCUSDT@trade", "nosuch@trade", "breakusdt@trade"]
    async with venue.stream("/ws/BUSYUSDT@trade") as stream:
        assert (await stream.ask("SUBSCRIBE", *silent))["result"] is None
        await stream.ask("SUBSCRIBE", BUSY)
        assert {message["s"] for message in await stream.take(100)} == {"BUSYUSDT"}
        (connection,) = await venue.connections()
        assert list(connection["sent"]) == [BUSY]


async def test_a_malformed_name_is_an_error_and_the_end(venue: StreamVenue) -> None:
    async with venue.stream("/ws") as stream, venue.stream("/ws/btcusdt") as other:
        assert (await stream.ask("SUBSCRIBE", "btcusdt"))["error"]["code"] == 2
        assert (await stream.end())[0] == 1000
        code, (error,) = await other.end()
        assert (code, error["error"]["code"]) == (1000, 2)


async def test_more_than_five_messages_a_second_end_with_1008(venue: StreamVenue) -> None:
    async with venue.stream("/ws") as stream:
        # A machine that stands still in between leaves six of them in one of two seconds.
        for identity in range(11):
            await stream.socket.send(f'{{"method":"LIST_SUBSCRIPTIONS","id":{identity}}}')
        code, answers = await stream.end()
        assert code == 1008
        assert 5 <= len(answers) <= 10


async def test_stream_1025_is_refused_and_the_rest_goes_on(venue: StreamVenue) -> None:
    names = [f"s{number}@trade" for number in range(1024)]
    async with venue.stream("/ws") as stream:
        assert (await stream.ask("SUBSCRIBE", *names))["result"] is None
        assert "error" in await stream.ask("SUBSCRIBE", BUSY)
        assert len((await stream.ask("LIST_SUBSCRIPTIONS"))["result"]) == 1024


async def test_one_attempt_too_many_within_five_minutes_is_refused(venue: StreamVenue) -> None:
    await venue.rules(connects_per_five_minutes=2)
    await venue.control("PUT", "clock", {"rate": 0})  # they are counted from 12:00, 12:05 …
    async with venue.stream("/ws"), venue.stream("/ws"):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with venue.stream("/ws"):
                pass
    assert refused.value.response.status_code == 429
    await venue.control("DELETE", "streams")
    async with venue.stream("/ws") as stream:
        assert (await stream.ask("LIST_SUBSCRIPTIONS"))["result"] == []


async def test_closed_candles_are_those_of_rest_and_come_once_between_updates(
    venue: StreamVenue,
) -> None:
    stream = "busyusdt@kline_1m"
    await venue.control("PUT", "clock", {"rate": 120})
    async with venue.stream(f"/ws/{stream}") as listener:
        frames: list[Any] = []
        while sum(frame["k"]["x"] for frame in frames) < 4:
            frames.append(await listener.next())
    closed = [frame["k"] for frame in frames if frame["k"]["x"]]
    opens = [candle["t"] for candle in closed]
    assert opens == list(range(opens[0], opens[0] + 4 * MINUTE_MS, MINUTE_MS))
    window = f"startTime={opens[0]}&endTime={opens[-1]}"
    rows = await venue.get(f"/api/v3/klines?symbol=BUSYUSDT&interval=1m&{window}")
    assert [[k[f] for f in "tohlcvTqnVQ"] for k in closed] == [row[:11] for row in rows]
    updates = [frame["E"] for frame in frames if not frame["k"]["x"]]
    assert len(updates) > 60
    assert all(after - before >= 2000 for before, after in itertools.pairwise(updates))
    by_open = [frame["k"]["t"] for frame in frames]
    assert by_open == sorted(by_open)
    for frame in frames:
        if frame["k"]["x"]:
            assert 0 < frame["E"] - frame["k"]["T"] <= 50


async def test_seconds_without_a_trade_close_with_ids_of_minus_one(venue: StreamVenue) -> None:
    async with venue.stream("/ws/quietusdt@kline_1s") as stream:
        seen = await stream.until(lambda m: m["k"]["x"] and m["k"]["n"] == 0)
    assert (seen[-1]["k"]["f"], seen[-1]["k"]["L"]) == (-1, -1)


async def test_the_ids_of_a_candle_are_those_of_its_trades(venue: StreamVenue) -> None:
    start_ms = moment_ms("2026-11-20T10:00")
    frames = await venue.events("btcusdt@kline_1m", start_ms, start_ms + 3 * MINUTE_MS)
    trades = await venue.events("btcusdt@trade", start_ms, start_ms + 3 * MINUTE_MS)
    first, second = [frame["k"] for frame in frames if frame["k"]["x"]][-2:]
    ids = [trade["t"] for trade in trades if second["t"] <= trade["T"] <= second["T"]]
    assert (second["f"], second["L"], second["n"]) == (ids[0], ids[-1], len(ids))
    assert second["f"] == first["L"] + 1


async def test_a_quiet_pair_can_keep_its_closing_frame_back_until_the_next_trade(
    venue: StreamVenue,
) -> None:
    start_ms = moment_ms("2026-11-20T10:00")
    window = start_ms, start_ms + 20 * MINUTE_MS
    closed = [f for f in await venue.events("quietusdt@kline_1m", *window) if f["k"]["x"]]
    await venue.control("PUT", "streams/rules", {"quiet_closes": False})
    late = [f for f in await venue.events("quietusdt@kline_1m", *window) if f["k"]["x"]]
    traded = [frame["k"]["t"] for frame in closed if frame["k"]["n"]]
    assert 5 < len(traded) < len(closed) - 5
    assert set(traded[:-1]) <= {frame["k"]["t"] for frame in late}
    assert all(frame["k"]["n"] for frame in late)
    assert max(frame["E"] - frame["k"]["T"] for frame in late) > MINUTE_MS


async def test_trades_of_a_busy_stream_have_the_ids_of_rest_and_come_in_time(
    venue: StreamVenue,
) -> None:
    async with venue.stream(f"/ws/{BUSY}") as stream:
        trades = await stream.take(2000)
    ids = [trade["t"] for trade in trades]
    assert ids == list(range(ids[0], ids[0] + 2000))
    window = trades[0]["E"], trades[-1]["E"] + 1
    told = await venue.events(BUSY, *window)
    assert [trade for trade in told if ids[0] <= trade["t"] <= ids[-1]] == trades
    assert 1500 < 2000 * 1000 / (window[1] - window[0]) < 2500


async def test_aggregate_trades_cover_the_ids_of_the_trades(venue: StreamVenue) -> None:
    async with venue.stream("/ws/busyusdt@aggTrade") as stream:
        aggregates = await stream.take(200)
    for before, after in itertools.pairwise(aggregates):
        assert (after["a"], after["f"]) == (before["a"] + 1, before["l"] + 1)


async def test_microseconds_are_written_where_the_address_asks_for_them(
    venue: StreamVenue,
) -> None:
    names = f"{BUSY}/busyusdt@kline_1s"
    async with venue.stream(f"/stream?streams={names}&timeUnit=MICROSECOND") as stream:
        trade = (await stream.until(lambda m: m["data"]["e"] == "trade"))[-1]["data"]
        kline = (await stream.until(lambda m: m["data"]["e"] == "kline"))[-1]["data"]
    assert len(str(trade["E"])) == len(str(trade["T"])) == len(str(kline["E"])) == 16
    assert kline["k"]["T"] == kline["k"]["t"] + 999_999


async def test_candles_of_plus_eight_open_at_16_oclock_utc_in_true_time(
    venue: StreamVenue,
) -> None:
    start_ms = moment_ms("2026-11-19T15:59:50")
    events = await venue.events("btcusdt@kline_1d@%2B08:00", start_ms, start_ms + 20_000)
    (closed,) = (event["k"] for event in events if event["k"]["x"])
    assert closed["t"] == moment_ms("2026-11-18T16:00")
    assert closed["T"] == moment_ms("2026-11-19T16:00") - 1


async def test_after_a_reconnection_nothing_is_replayed(venue: StreamVenue) -> None:
    await venue.control("PUT", "clock", {"rate": 0})
    async with venue.stream(f"/ws/{BUSY}"):
        now_ms = (await venue.control("GET", "streams"))["now_ms"]
    await venue.control("PUT", "clock", {"now_ms": now_ms + 60_000, "rate": 1})
    async with venue.stream(f"/ws/{BUSY}") as stream:
        assert (await stream.next())["E"] > now_ms + 60_000
