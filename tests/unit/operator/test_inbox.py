from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.operator.worlds import NOW, make_event, make_task

from loadertask_contract.events import encode_event
from loadertask_operator.inbox import Inbox, Record
from loadertask_operator.metrics import Metrics
from loadertask_operator.schema import TaskKey
from loadertask_operator.store import Store

KEY = TaskKey("loads", "btc")
VALUE = encode_event(make_event("loading", "p")).value


def make_inbox():
    store, woken, metrics = Store(), [], Metrics()
    store.remember_task(make_task())
    return Inbox(store, metrics, woken.append), woken, metrics


def record(value=VALUE, offset=0, time=NOW, headers=()):
    return Record(0, offset, value, headers, time)


def test_an_event_of_a_task_wakes_it_and_waits_until_it_is_settled():
    inbox, woken, _ = make_inbox()
    inbox.receive(record(), NOW)
    assert woken == [KEY]
    events = inbox.pending(KEY)
    assert inbox.ledger.committable() == {0: 0}
    inbox.settle(KEY, events)
    inbox.settle(KEY, events)
    assert inbox.pending(KEY) == ()
    assert inbox.ledger.committable() == {0: 1}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"\xff", "not_json"),
        (b"x" * 1_000_000, "too_large"),
        (b"[" * 60_000, "not_json"),
        (b"[]", "not_an_object"),
        (b'{"status":"dancing"}', "not_an_event"),
        (b'{"status":"finished","queue_id":"stranger"}', "unknown_queue"),
    ],
)
def test_what_is_not_ours_is_counted_and_passed_over(value, reason):
    inbox, woken, metrics = make_inbox()
    inbox.receive(record(value), NOW)
    assert woken == []
    assert inbox.ledger.committable() == {0: 1}
    assert f'loadertask_events_discarded_total{{reason="{reason}"}} 1.0' in metrics.text().decode()


@pytest.mark.parametrize(("away", "trusted"), [(3600, True), (-3600, True), (90_000, False)])
def test_the_time_of_a_record_is_trusted_within_a_day(away, trusted):
    inbox, _, _ = make_inbox()
    time = NOW + timedelta(seconds=away)
    inbox.receive(record(time=time), NOW)
    assert inbox.pending(KEY)[0].time == (time if trusted else NOW)


def test_only_what_comes_after_all_has_been_read_was_sent_just_now():
    inbox, _, _ = make_inbox()
    for offset, has_caught_up in enumerate([None, True, False]):
        if has_caught_up is not None:
            inbox.note_reader(has_caught_up)
        inbox.receive(record(offset=offset, time=NOW - timedelta(hours=1)), NOW)
    events = inbox.pending(KEY)
    assert [event.is_old for event in events] == [True, False, True]
    assert {event.received_at for event in events} == {NOW}


def test_a_record_read_twice_is_kept_once():
    inbox, woken, _ = make_inbox()
    inbox.receive(record(), NOW)
    inbox.receive(record(), NOW)
    assert len(inbox.pending(KEY)) == len(woken) == 1


def test_events_that_came_after_the_fold_stay():
    inbox, _, _ = make_inbox()
    inbox.receive(record(offset=0), NOW)
    first = inbox.pending(KEY)
    inbox.receive(record(offset=1), NOW)
    inbox.settle(KEY, first)
    assert [event.offset for event in inbox.pending(KEY)] == [1]
    assert inbox.ledger.committable() == {0: 1}
    inbox.drop(KEY)
    assert inbox.ledger.committable() == {0: 2}


def test_more_progress_waits_for_the_look_that_is_due_and_anything_else_wakes():
    inbox, woken, _ = make_inbox()
    for offset in range(3):
        inbox.receive(record(offset=offset), NOW)
    assert woken == [KEY]
    for offset, (status, producer) in enumerate([("loading", "q"), ("finished", "q")], start=3):
        inbox.receive(record(encode_event(make_event(status, producer)).value, offset), NOW)
        assert len(woken) == offset - 1
    assert len(inbox.pending(KEY)) == 5


def test_progress_that_came_during_a_look_has_the_task_looked_at_again():
    inbox, woken, _ = make_inbox()
    inbox.receive(record(offset=0), NOW)
    seen = inbox.pending(KEY)
    inbox.receive(record(offset=1), NOW)
    assert woken == [KEY]
    inbox.settle(KEY, seen)
    assert woken == [KEY, KEY]
