"""Progress of trades, which nobody can count in advance: by time, and said to be so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.operator.test_decide import look, producer, started
from tests.unit.operator.worlds import NOW, after, make_event, make_job, make_task, received

from loadertask_operator.decide import decide
from loadertask_operator.observed import Observed
from loadertask_operator.situation import Rules

TRADES = {"type": "api_trades"}
DAY = datetime(2023, 1, 1, tzinfo=UTC)


def hours(count: float) -> datetime:
    return DAY + timedelta(hours=count)


def told(task, *events):
    """The status after ``events`` of its worker, one second apart."""
    found = tuple(received(event, 5 + number, after(number)) for number, event in enumerate(events))
    observed = Observed(task, job=make_job(), events=found)
    return decide(observed, Rules(), after(len(events))).status


def loading(task, through, written=0, status="loading", shard=None, **progress):
    sender = producer(task) if shard is None else f"{producer(task)}-{shard}"
    return make_event(status, sender, written=written, loaded_through=through, **progress)


@pytest.mark.parametrize(
    ("through", "percent"),
    [
        (hours(0), 0),
        (hours(6), 25),
        (hours(23.99), 99),
        (hours(24), 100),
        # What a worker may say by mistake.
        (hours(-5), 0),
        (hours(99), 100),
    ],
)
def test_the_percentage_of_trades_is_the_part_of_the_time_that_is_loaded(through, percent):
    task = started(**TRADES)
    progress = told(task, loading(task, through, 12_000)).progress
    assert (progress.percent, progress.display) == (percent, f"{percent}% of time, 12k records")


def test_before_the_first_data_time_is_known_no_percentage_is_claimed():
    task = started(**TRADES)
    progress = told(task, loading(task, None, status="started")).progress
    assert (progress.percent, progress.display) == (None, "0 records")


def test_a_finished_load_is_whole_though_its_last_trade_lies_before_the_end_of_its_time():
    task = started(**TRADES)
    status = told(task, loading(task, hours(23), 7), loading(task, hours(23), 7, "finished"))
    assert (status.progress.percent, status.progress.display) == (100, "100% of time, 7 records")


def test_the_percentage_never_shrinks_and_outlives_a_retry():
    task = started(**TRADES)
    status = told(task, loading(task, hours(12), 9), loading(task, hours(6), 9))
    assert status.progress.percent == 50
    failed = look(make_task(status, **TRADES), "failed", None, "error", 60, written=9)
    assert (failed.status.phase, failed.status.progress.percent) == ("Retrying", 50)
    assert failed.status.progress.display == "50% of time, 9 records"


def test_the_parts_of_the_shards_are_added_each_in_its_own_slice():
    task = started(parallelism=4, **TRADES)
    events = [
        loading(task, hours(3), 5, shard=0),
        loading(task, hours(9), 5, shard=1),
        loading(task, hours(13), 5, "finished", shard=2),
    ]
    progress = told(task, *events).progress
    # 3 + 3 + 6 + 0 of 24 hours, while everything is there up to the third hour only.
    assert (progress.percent, progress.display) == (50, "50% of time, 15 records")
    assert progress.loaded_through == hours(3)


def test_candles_keep_the_percentage_of_their_records():
    task = started()
    first = loading(task, hours(23), 720, done=720, total=1440)
    progress = told(task, first, loading(task, hours(23), 720)).progress
    assert progress.percent == 50
    assert "of time" not in progress.display


def test_events_of_others_and_repeated_ones_cover_nothing():
    task = started(**TRADES)
    other = make_event("loading", "sink__1", loaded_through=hours(20))
    assert told(task, other).progress is None
    once = told(task, loading(task, hours(6), 3))
    again = received(loading(task, hours(6), 3), 5, NOW)
    repeated = decide(Observed(make_task(once, **TRADES), events=(again,)), Rules(), after(1))
    assert repeated.status.progress == once.progress
