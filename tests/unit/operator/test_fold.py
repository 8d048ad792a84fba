from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.operator.worlds import NOW, after, make_event, received

from loadertask_operator.fold import fold
from loadertask_operator.status import CurrentAttempt, Status, parse_status, render_status

OURS = "loader-producer__abc123"
STATUS = Status(
    queue_id="btc-11112222",
    current_attempt=CurrentAttempt(number=1, job_name="btc-1", producer_id=OURS),
)


def test_an_event_of_our_worker_moves_the_status():
    event = make_event("loading", OURS, written=5, done=42, total=100, records_per_second=2)
    status = fold(STATUS, [received(event, 3)])
    assert status.records_written == 5
    assert status.progress.percent == 42
    assert status.progress.display == "42% 42/100 eta 29s"
    assert status.progress.estimated_completion_time == after(29)
    assert (status.telemetry.partition, status.telemetry.offset) == (0, 3)
    assert status.last_event.producer == OURS


@pytest.mark.parametrize(
    ("progress", "written", "display"),
    [
        ({"done": 220_500, "total": 527_040, "records_per_second": 700}, 0, "41% 220k/527k eta 7m"),
        ({"done": 12_000_000, "total": 12_000_000}, 0, "100% 12M/12M"),
        ({"done": 5, "total": 0}, 7, "7 records"),
        ({"done": 9, "total": 5}, 0, "100% 9/5"),
        ({"lag_ms": 400}, 0, "live, lag 0s"),
        ({"lag_ms": 9_000_000}, 0, "live, lag 2h"),
        ({"lag_ms": -50}, 0, "live, lag 0s"),
        ({}, 1440, "1440 records"),
        ({"done": 0, "total": 10**15, "records_per_second": 1}, 0, "0% 0/1000T"),
    ],
)
def test_progress_is_shown_for_the_eye(progress, written, display):
    event = make_event("loading", OURS, written=written, **progress)
    assert fold(STATUS, [received(event)]).progress.display == display


def test_events_of_others_and_events_after_the_last_word_are_only_counted():
    events = [
        received(make_event("finished", "sink__1"), 1),
        received(make_event("error", OURS, written=1), 2),
        received(make_event("finished", OURS, written=9), 3),
    ]
    status = fold(STATUS, events)
    assert status.last_event.status == "error"
    assert status.records_written == 1
    assert (status.telemetry.events_applied, status.telemetry.events_discarded) == (1, 2)
    assert status.telemetry.offset == 2


def test_offsets_that_begin_anew_are_no_replay_when_the_events_are_younger():
    status = fold(STATUS, [received(make_event("loading", OURS, written=1), 500, after(0.9))])
    replay = received(make_event("loading", OURS, written=1), 500, after(0.9))
    assert fold(status, [replay]) == status
    anew = received(make_event("finished", OURS, written=2), 0, after(5))
    status = fold(status, [anew])
    assert status.last_event.status == "finished"
    assert status.telemetry.offset == 0


def test_an_event_of_our_producer_for_another_queue_is_not_ours():
    event = make_event("finished", OURS)
    other = Status(queue_id="another", current_attempt=STATUS.current_attempt)
    assert fold(other, [received(event)]).last_event is None


def test_an_event_without_queue_id_is_ours_by_its_producer():
    event = make_event("loading", OURS)
    nameless = type(event)(event.payload.model_copy(update={"queue_id": None}), event.progress)
    assert fold(STATUS, [received(nameless)]).telemetry.events_applied == 1


def test_numbers_beyond_the_api_are_cut_to_it():
    event = make_event("loading", OURS, done=1, total=2, records_per_second=2**70)
    status = fold(STATUS, [received(event)])
    assert status.progress.records_per_second == 2**63 - 1


def test_a_long_or_unencodable_message_is_cut_to_a_kibibyte():
    status = fold(STATUS, [received(make_event("loading", OURS, message="\ud800ä" * 900))])
    assert len(status.last_event.message.encode()) <= 1024


_events = st.lists(
    st.builds(
        lambda status, producer, written: make_event(status, producer, written=written),
        st.sampled_from(["started", "loading", "interrupted", "error", "finished"]),
        st.sampled_from([OURS, "other__1"]),
        st.integers(0, 10_000),
    ),
    max_size=12,
).map(lambda events: [received(event, offset, NOW) for offset, event in enumerate(events)])


@given(_events, st.data())
def test_a_replay_from_any_applied_point_gives_the_same_status_but_for_the_discards(events, data):
    once = fold(STATUS, events)
    begin = data.draw(st.integers(0, len(events)))
    again = fold(once, events[begin:])
    assert again.records_written == once.records_written
    assert again.last_event == once.last_event
    before, after_ = once.telemetry, again.telemetry
    assert (before and before.events_applied) == (after_ and after_.events_applied)


@given(_events)
def test_what_is_folded_is_stored_and_read_without_a_change(events):
    status = fold(STATUS, events)
    assert parse_status(render_status(status)) == status


@pytest.mark.parametrize(
    ("status", "said", "kept"),
    [
        ("error", "UnknownSymbol", "UnknownSymbol"),
        ("error", "not one word", None),
        ("error", "", None),
        ("loading", "Patience", None),
    ],
)
def test_the_reason_of_an_error_is_kept_when_it_is_one_word(status, said, kept):
    event = make_event(status, OURS, reason=said)
    assert fold(STATUS, [received(event)]).last_event.reason == kept
