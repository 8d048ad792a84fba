from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadertask_contract.events import Event, EventStatus, encode_event
from loadertask_contract.termination import MAX_TERMINATION_BYTES, encode_termination
from loadertask_worker.errors import (
    BannedError,
    ConfigurationError,
    DeliveryUnknownError,
    FencedError,
    SinkRejectedError,
    SourceUnavailableError,
)
from loadertask_worker.inputs import (
    HeartbeatDue,
    Input,
    LagMeasured,
    LoadEnded,
    LoadFailed,
    LoadStarted,
    Pinged,
    RecordsCommitted,
    StopCommanded,
    Terminated,
    Told,
    Waiting,
)
from loadertask_worker.lifecycle import CRASHED, Identity, Lifecycle, Wish, advance

WHO = Identity("wf-1", "BTCUSDT", "api_candles_1m", "loader-producer__1")
START = LoadStarted(
    "Loading 1440 candles", 1440, "rest", ("INTERVAL differs",), delivery="at_least_once"
)
EARLIER = datetime(2023, 1, 1, tzinfo=UTC)
THROUGH = datetime(2023, 1, 1, 16, 40, tzinfo=UTC)
SOME = RecordsCommitted(1000, THROUGH)
BAN = datetime(2024, 1, 2, tzinfo=UTC)


def live(*inputs: Input) -> tuple[Lifecycle, list[Event]]:
    """Feed inputs one second apart from 100 on."""
    state = Lifecycle(WHO, started_s=100.0)
    events: list[Event] = []
    for second, given_ in enumerate(inputs, 100):
        state, sent = advance(state, given_, float(second))
        events += sent
    return state, events


def statuses(events: list[Event]) -> list[str]:
    return [event.payload.status.value for event in events]


@pytest.mark.parametrize(
    ("inputs", "sent", "exit_code", "reason"),
    [
        ((START, SOME, LoadEnded(complete=True)), ["started", "finished"], 0, None),
        ((START, StopCommanded(), LoadEnded(complete=False)), ["started", "interrupted"], 0, None),
        ((StopCommanded(), START, LoadEnded(complete=False)), ["started", "interrupted"], 0, None),
        (
            (START, Terminated(), LoadEnded(complete=False)),
            ["started", "loading"],
            75,
            "Terminated",
        ),
        (
            (START, Terminated(), StopCommanded(), LoadEnded(complete=False)),
            ["started", "interrupted"],
            0,
            None,
        ),
        (
            (START, StopCommanded(), Terminated(), LoadEnded(complete=False)),
            ["started", "interrupted"],
            0,
            None,
        ),
        ((START, StopCommanded(), LoadEnded(complete=True)), ["started", "finished"], 0, None),
        ((START, Terminated(), LoadEnded(complete=True)), ["started", "finished"], 0, None),
        (
            (START, LoadFailed(SourceUnavailableError("HTTP 500"))),
            ["started", "error"],
            75,
            "VenueUnavailable",
        ),
        (
            (START, StopCommanded(), LoadFailed(SourceUnavailableError("HTTP 500"))),
            ["started", "interrupted"],
            0,
            "VenueUnavailable",
        ),
        (
            (START, StopCommanded(), LoadFailed(DeliveryUnknownError(7, "no answer"))),
            ["started", "interrupted"],
            0,
            "DeliveryUnknown",
        ),
        (
            (START, StopCommanded(), LoadFailed(BannedError(BAN))),
            ["started", "interrupted"],
            0,
            "Banned",
        ),
        (
            (START, StopCommanded(), LoadFailed(SinkRejectedError("t", "too large"))),
            ["started", "error"],
            78,
            "RefusedByKafka",
        ),
        (
            (START, Terminated(), LoadFailed(DeliveryUnknownError(7, "no answer"))),
            ["started", "loading"],
            75,
            "DeliveryUnknown",
        ),
        ((START, Terminated(), LoadFailed(BannedError(BAN))), ["started", "loading"], 69, "Banned"),
        (
            (START, Terminated(), LoadFailed(SinkRejectedError("t", "too large"))),
            ["started", "error"],
            78,
            "RefusedByKafka",
        ),
        (
            (LoadFailed(ConfigurationError.of("CA_PATH", "is odd")),),
            ["error"],
            78,
            "BadConfiguration",
        ),
        ((START, LoadFailed(BannedError(BAN))), ["started", "error"], 69, "Banned"),
        ((START, LoadFailed(KeyError("x"))), ["started", "error"], CRASHED, "Crashed"),
    ],
)
def test_a_life_ends_with_one_word_and_one_code(
    inputs: tuple[Input, ...], sent: list[str], exit_code: int, reason: str | None
) -> None:
    state, events = live(*inputs)
    assert statuses(events) == sent
    assert (state.exit_code, state.final) == (exit_code, events[-1])
    assert events[-1].progress.reason == reason


def test_started_tells_plan_warnings_and_delivery() -> None:
    _, (event,) = live(START)
    assert event.payload.message == (
        "Loading 1440 candles; delivery at_least_once; INTERVAL differs"
    )
    assert (event.progress.total, event.progress.done) == (1440, 0)
    assert (event.progress.delivery, event.progress.source) == ("at_least_once", "rest")
    assert (event.payload.finished, event.payload.timestamp) == (False, 100.0)


def test_a_heartbeat_tells_progress_and_the_rate_since_the_last_one() -> None:
    _, events = live(START, SOME, HeartbeatDue(), HeartbeatDue())
    first, second = events[1:]
    assert first.payload.records_written == first.progress.done == 1000
    assert first.payload.message == "Loaded and published 1000 records"
    assert first.progress.loaded_through == THROUGH
    assert (first.progress.records_per_second, second.progress.records_per_second) == (500, 0)


def test_records_of_earlier_attempts_count_but_are_not_of_this_attempts_rate() -> None:
    earlier = replace(START, records=500, loaded_through=EARLIER)
    _, events = live(earlier, SOME, HeartbeatDue(), LoadEnded(complete=True))
    assert [event.payload.records_written for event in events] == [500, 1500, 1500]
    assert events[0].progress.loaded_through == EARLIER
    assert events[1].progress.records_per_second == 500


def test_what_a_task_tells_is_the_message_of_a_loading_event() -> None:
    _, events = live(START, SOME, Told("2020-01-01 comes from REST"), HeartbeatDue())
    told = events[1].payload
    assert (told.status, told.message) == (EventStatus.LOADING, "2020-01-01 comes from REST")
    assert (told.records_written, told.finished) == (1000, False)
    assert events[2].progress.records_per_second == 333


WAIT = Waiting("the venue limits the rate of requests (HTTP 403); waiting", 2.0)


def test_a_wait_is_in_the_reports_until_it_is_over() -> None:
    beat = HeartbeatDue()
    _, events = live(START, SOME, WAIT, beat, beat, LoadEnded(complete=True))
    assert [event.payload.message for event in events[1:]] == [
        "Loaded and published 1000 records; the venue limits the rate of requests (HTTP 403);"
        " waiting until 1970-01-01T00:01:44Z",
        "Loaded and published 1000 records",
        "Loaded and published 1000 records; 1440 were expected, the venue has no more",
    ]


def test_a_wait_may_be_replaced_and_end_early() -> None:
    longer, over = Waiting("no answer; trying again", 60), Waiting("", 0)
    _, events = live(START, WAIT, longer, Pinged(), over, HeartbeatDue())
    assert [event.payload.message for event in events[1:]] == [
        "Loaded and published 0 records; no answer; trying again until 1970-01-01T00:02:42Z",
        "Loaded and published 0 records",
    ]


def test_the_lag_is_told_with_the_next_report() -> None:
    _, events = live(START, LagMeasured(40), LagMeasured(-3), HeartbeatDue())
    assert [event.progress.lag_ms for event in events] == [None, -3]


def test_a_ping_is_answered_without_a_change_of_state() -> None:
    state, events = live(START, Pinged())
    assert statuses(events) == ["started", "loading"]
    assert state.wish is Wish.NONE


@pytest.mark.parametrize("wish", [HeartbeatDue(), StopCommanded(), Terminated()])
def test_a_worker_that_was_replaced_says_nothing_more_in_queue_events(wish: Input) -> None:
    state, events = live(START, SOME, wish, LoadFailed(FencedError("wf-1-0")))
    assert not any(event.payload.status.is_terminal for event in events)
    assert state.exit_code == 75
    assert state.final is not None
    assert state.final not in events
    assert state.final.payload.status is EventStatus.LOADING
    assert state.final.progress.reason == "Fenced"


def test_a_search_for_the_place_to_go_on_is_told_while_it_lasts() -> None:
    _, events = live(HeartbeatDue(), START)
    assert statuses(events) == ["loading", "started"]
    assert events[0].payload.message == "Looking for where to go on"


def test_a_ban_tells_its_end() -> None:
    _, events = live(START, LoadFailed(BannedError(BAN)))
    assert events[-1].progress.banned_until == BAN


def test_a_message_of_any_length_is_cut_to_what_readers_take() -> None:
    state, (event,) = live(LoadFailed(SourceUnavailableError("x" * 100_000)))
    assert len(event.payload.message) <= 4_000
    assert state.final is not None
    assert len(encode_termination(state.final)) <= MAX_TERMINATION_BYTES


def test_a_stop_that_could_not_commit_says_how_much_is_unknown() -> None:
    _, events = live(START, SOME, StopCommanded(), LoadFailed(DeliveryUnknownError(7, "silence")))
    assert events[-1].payload.message == (
        "Stopped after 1000 records; 7 records were not acknowledged by Kafka: silence"
    )


def test_what_is_no_text_in_an_error_does_not_silence_the_last_word() -> None:
    state, (event,) = live(LoadFailed(SourceUnavailableError("bad \ud800 text")))
    assert event.payload.message.endswith("bad ? text")
    assert state.final is not None
    assert b"bad ? text" in encode_termination(state.final)
    assert b"bad ? text" in encode_event(event).value


_inputs = st.lists(
    st.sampled_from(
        [
            START,
            SOME,
            LagMeasured(40),
            Told("something"),
            WAIT,
            HeartbeatDue(),
            Pinged(),
            StopCommanded(),
            Terminated(),
            LoadEnded(complete=True),
            LoadEnded(complete=False),
            LoadFailed(SourceUnavailableError("x")),
            LoadFailed(ValueError("bug")),
        ]
    ),
    max_size=12,
)


@given(_inputs)
def test_whatever_happens_the_last_word_is_said_at_most_once(inputs: list[Input]) -> None:
    state, events = live(*inputs)
    terminal = [event for event in events if event.payload.status.is_terminal]
    assert len(terminal) <= 1
    assert all(event.payload.finished is event.payload.status.is_terminal for event in events)
    if state.has_ended:
        assert events[-1] is state.final
    if terminal:
        assert events[-1] is terminal[0]
    ends = any(isinstance(each, LoadEnded | LoadFailed) for each in inputs)
    assert state.has_ended is ends
    if state.exit_code == 0:
        assert events[-1].payload.status in (EventStatus.FINISHED, EventStatus.INTERRUPTED)


@given(_inputs)
def test_counters_never_fall(inputs: list[Input]) -> None:
    _, events = live(*inputs)
    counts = [event.payload.records_written for event in events]
    assert counts == sorted(counts)


@pytest.mark.parametrize(
    ("committed", "message"),
    [
        (1440, "Loaded and published 1440 records"),
        (1360, "Loaded and published 1360 records; 1440 were expected, the venue has no more"),
        (0, "Loaded and published 0 records; 1440 were expected, the venue has no more"),
    ],
)
def test_an_outage_of_the_venue_is_told_at_the_end(committed: int, message: str) -> None:
    inputs = (START, RecordsCommitted(committed, THROUGH), LoadEnded(complete=True))
    _, events = live(*inputs)
    assert events[-1].payload.message == message


@pytest.mark.parametrize("earlier", [0, 7])
def test_why_nothing_was_to_be_loaded_is_told_at_the_end(earlier: int) -> None:
    plan = replace(START, plan="No 1d candle opens in it", total=0, records=earlier)
    _, events = live(plan, LoadEnded(complete=True))
    why = "" if earlier else ". No 1d candle opens in it"
    assert events[-1].payload.message == f"Loaded and published {earlier} records{why}"


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        (0, "Loaded and published 1000 records"),
        (2, "Loaded and published 1000 records; gap 0; gap 1"),
        (5, "Loaded and published 1000 records; gap 0; gap 1; gap 2; 2 more gaps"),
    ],
)
def test_what_nobody_has_of_a_load_without_a_total_is_told_and_said_again_at_its_end(
    gaps: int, said: str
) -> None:
    trades = replace(START, total=None)
    told = [Told(f"gap {number}", is_gap=True) for number in range(gaps)]
    _, events = live(trades, Told("no gap"), *told, SOME, LoadEnded(complete=True))
    messages = [event.payload.message for event in events]
    assert messages[2:] == [*(each.text for each in told), said]
