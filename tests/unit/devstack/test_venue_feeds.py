"""What the replay's streams say: a function of time alone, in the venue's own spelling."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadertask_devstack.venue.outages import Outage, moment_ms
from loadertask_devstack.venue.state import VenueSettings, VenueState
from loadertask_devstack.venue.streams.feeds import Event, Feed
from loadertask_devstack.venue.streams.payloads import MICROSECONDS, MILLISECONDS
from loadertask_devstack.venue.streams.rules import StreamRules
from loadertask_devstack.venue.streams.sources import feed_of

STATE = VenueState(VenueSettings())
NOW_MS = moment_ms("2026-11-20T10:00")
NAMES = [
    "ethusdt@kline_1s", "ethusdt@kline_1m", "ethusdt@kline_1h", "quietusdt@kline_1m",
    "ethusdt@trade", "ethusdt@aggTrade", "ethusdt@depth", "ethusdt@depth@100ms",
    "ethusdt@depth5", "ethusdt@bookTicker",
]  # fmt: skip


def feed(name: str, state: VenueState = STATE, **rules: Any) -> Feed:
    found = feed_of(state, lambda: StreamRules(**rules), name)
    assert found is not None
    return found


def decoded(events: list[Event]) -> list[Any]:
    return [json.loads(event.text) for event in events]


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(NAMES), st.integers(0, 3_600_000), st.lists(st.integers(0, 9000), max_size=4),
    st.booleans(),
)  # fmt: skip
def test_the_parts_of_a_stretch_of_time_say_together_what_the_whole_says(
    name: str, shift_ms: int, cuts_ms: list[int], quiet_closes: bool
) -> None:
    of, start_ms = feed(name, quiet_closes=quiet_closes), NOW_MS + shift_ms
    ends = [start_ms + cut_ms for cut_ms in (*sorted(cuts_ms), 9000)]
    parts: list[Event] = []
    for after_ms, until_ms in zip([start_ms, *ends], ends, strict=False):
        parts += of.events(after_ms, until_ms, MILLISECONDS)
    assert parts == of.events(start_ms, start_ms + 9000, MILLISECONDS)
    assert all(start_ms < event.time_ms <= start_ms + 9000 for event in parts)
    times = [event.time_ms for event in parts]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("ethusdt@kline_1m", "e E s k"),
        ("ethusdt@trade", "e E s t p q T m M"),
        ("ethusdt@aggTrade", "e E s a p q f l T m M"),
        ("ethusdt@depth", "e E s U u b a"),
        ("ethusdt@depth5", "lastUpdateId bids asks"),
        ("ethusdt@bookTicker", "u s b B a A"),
    ],
)
def test_fields_have_the_order_and_the_event_time_of_the_venue(name: str, keys: str) -> None:
    events = feed(name).events(NOW_MS, NOW_MS + 130_000, MILLISECONDS)
    for event, body in zip(events, decoded(events), strict=True):
        assert " ".join(body) == keys
        assert body.get("E", event.time_ms) == event.time_ms
    assert events


def test_a_candle_has_the_fields_of_recorded_frames() -> None:
    (first, *_) = decoded(feed("ethusdt@kline_1m").events(NOW_MS, NOW_MS + 130_000, MILLISECONDS))
    assert " ".join(first["k"]) == "t T s i f L o c h l v n x q V Q B"
    kinds = {name: type(value).__name__ for name, value in first["k"].items()}
    assert {name for name, kind in kinds.items() if kind == "int"} == set("tTfLn")
    assert kinds["x"] == "bool"


def test_microseconds_change_times_and_nothing_else() -> None:
    window = NOW_MS, NOW_MS + 130_000
    ours = feed("ethusdt@kline_1m")
    plain, fine = (decoded(ours.events(*window, unit)) for unit in (MILLISECONDS, MICROSECONDS))
    assert fine
    for before, after in zip(plain, fine, strict=True):
        assert after["E"] == before["E"] * 1000
        assert (after["k"]["t"], after["k"]["T"]) == (
            before["k"]["t"] * 1000, before["k"]["T"] * 1000 + 999,
        )  # fmt: skip
        assert {**after["k"], "t": 0, "T": 0} == {**before["k"], "t": 0, "T": 0}


def test_an_outage_is_silent_and_trade_ids_go_on_behind_it() -> None:
    state = VenueState(VenueSettings())
    outage = Outage(NOW_MS + 120_000, NOW_MS + 240_000)
    state.set_extra_outages([outage])
    trades = feed("ethusdt@trade", state).events(NOW_MS, NOW_MS + 480_000, MILLISECONDS)
    ids = [body["t"] for body in decoded(trades)]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    candles = feed("ethusdt@kline_1m", state).events(NOW_MS, NOW_MS + 480_000, MILLISECONDS)
    for events in (trades, candles):
        assert not [e for e in events if outage.start_ms + 100 < e.time_ms < outage.end_ms]
    closed = [body["k"]["t"] for body in decoded(candles) if body["k"]["x"]]
    assert set(closed).isdisjoint(range(outage.start_ms, outage.end_ms))
