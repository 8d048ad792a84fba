from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.operator.worlds import NOW, make_event, make_task

from loadertask_contract.events import encode_event
from loadertask_operator import inbox as inbox_module
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


def say(inbox, *statuses, producer="p", partition=0):
    """One record for each status, behind what ``partition`` holds already."""
    begin = inbox.ledger.next_offset(partition) or 0
    for offset, status in enumerate(statuses, start=begin):
        value = encode_event(make_event(status, producer, written=offset)).value
        inbox.receive(Record(partition, offset, value, (), NOW), NOW)


def waiting(inbox):
    return [(e.event.payload.status.value, e.partition, e.offset) for e in inbox.pending(KEY)]


def test_of_a_task_whose_status_cannot_be_written_the_latest_progress_is_kept():
    inbox, _, metrics = make_inbox()
    say(inbox, "started", *["loading"] * 150, "error")
    say(inbox, *["loading"] * 50, producer="q")
    say(inbox, "loading", partition=1)
    inbox.relieve(KEY)
    assert waiting(inbox) == [
        ("started", 0, 0),
        ("loading", 0, 150),
        ("error", 0, 151),
        ("loading", 0, 201),
        ("loading", 1, 0),
    ]
    assert len(inbox) == 5
    told = metrics.text().decode()
    assert 'loadertask_events_discarded_total{reason="given_up"} 198.0' in told


def test_what_is_given_up_holds_no_offset_and_what_is_kept_does():
    inbox, _, _ = make_inbox()
    say(inbox, *["loading"] * 150)
    inbox.relieve(KEY)
    assert inbox.ledger.committable() == {0: 149}
    say(inbox, "finished")
    inbox.settle(KEY, inbox.pending(KEY))
    assert inbox.ledger.committable() == {0: 151}
    assert len(inbox) == 0


def test_an_event_that_another_task_still_needs_holds_its_offset():
    store, metrics = Store(), Metrics()
    other = TaskKey("loads", "other")
    for name in ("btc", "other"):
        store.remember_task(replace(make_task(queueId="q"), name=name, uid=name))
    inbox = Inbox(store, metrics, lambda key: None)
    value = VALUE.replace(b"btc-11112222", b"q")
    for offset in range(150):
        inbox.receive(record(value, offset), NOW)
    inbox.relieve(KEY)
    assert (len(inbox.pending(KEY)), len(inbox.pending(other))) == (1, 150)
    assert inbox.ledger.committable() == {0: 0}
    inbox.drop(other)
    assert inbox.ledger.committable() == {0: 149}


def test_a_few_events_wait_in_full_unless_all_tasks_together_have_too_many(monkeypatch):
    inbox, _, _ = make_inbox()
    say(inbox, *["loading"] * 50)
    inbox.relieve(KEY)
    assert len(inbox) == 50
    monkeypatch.setattr(inbox_module, "_CROWDED", 40)
    inbox.relieve(KEY)
    assert waiting(inbox) == [("loading", 0, 49)]


def test_no_task_holds_more_than_its_share_whatever_is_said():
    inbox, _, _ = make_inbox()
    say(inbox, *["started"] * 5000, *["loading"] * 5000)
    assert len(inbox) <= 1000
    assert inbox.pending(KEY)[-1].offset == 9999
    assert inbox.ledger.committable()[0] == inbox.pending(KEY)[0].offset


def test_a_look_that_was_under_way_settles_what_was_given_up_no_second_time():
    inbox, _, _ = make_inbox()
    say(inbox, *["loading"] * 150)
    seen = inbox.pending(KEY)
    inbox.relieve(KEY)
    say(inbox, "loading")
    inbox.settle(KEY, seen)
    assert waiting(inbox) == [("loading", 0, 150)]
    assert len(inbox) == 1
    assert inbox.ledger.committable() == {0: 150}
