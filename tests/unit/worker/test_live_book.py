"""The order book's changes: each continues the one before, or a gap record says otherwise."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from loadertask_worker.binance.rest import BinanceRest
from loadertask_worker.cursor import Cursor
from loadertask_worker.live.book import BookSequence
from loadertask_worker.live.updates import (
    KIND_GAP,
    KIND_SNAPSHOT,
    BookUpdate,
    HoldBounds,
    Release,
)
from loadertask_worker.tasks.ws_orderbook import LiveBook

PATIENT = HoldBounds(longest_ms=10_000, most_records=1_000)


def change(first_id: int, last_id: int) -> BookUpdate:
    return BookUpdate(first_id * 10, first_id, last_id, b"%d-%d" % (first_id, last_id))


def shown(released: list[Release]) -> list[str]:
    kinds = {KIND_GAP: "gap", KIND_SNAPSHOT: "snapshot"}
    return [kinds.get(each.headers, each.record.decode()) for each in released]


@dataclass
class Run:
    sequence: BookSequence
    released: list[Release] = field(default_factory=list)
    now_ms: int = 0

    def take(self, *spans: tuple[int, int]) -> list[str]:
        before = len(self.released)
        for first_id, last_id in spans:
            self.released += self.sequence.take(change(first_id, last_id), self.now_ms)
        return shown(self.released[before:])

    def snapshot(self, last_id: int) -> list[str]:
        released = list(self.sequence.fill(last_id, b"snapshot %d" % last_id, self.now_ms))
        self.released += released
        return shown(released)


def begun(next_id: int | None = None, bounds: HoldBounds = PATIENT) -> Run:
    return Run(BookSequence("BTCUSDT", next_id, bounds))


def test_a_snapshot_comes_first_and_the_changes_it_contains_are_left_out() -> None:
    run = begun()

    assert run.take((1, 3), (4, 6), (7, 9)) == []
    assert run.sequence.wanted(0)
    assert run.snapshot(5) == ["snapshot", "4-6", "7-9"]
    assert run.take((10, 10)) == ["10-10"]
    assert run.sequence.position == 11
    assert not run.sequence.wanted(0)


def test_a_snapshot_older_than_the_first_change_is_asked_for_again() -> None:
    run = begun()
    run.take((10, 12))

    assert run.snapshot(8) == []
    assert not run.sequence.wanted(0)
    assert run.sequence.wanted(10_000)
    assert run.snapshot(9) == ["snapshot", "10-12"]


def test_a_loss_makes_a_gap_record_and_a_new_snapshot() -> None:
    run = begun()
    run.take((1, 3))
    run.snapshot(3)

    assert run.take((8, 9)) == ["gap"]
    gap = run.released[-1]
    assert json.loads(gap.record) == {
        "symbol": "BTCUSDT",
        "expected_update_id": 4,
        "got_update_id": 8,
        "last_event_time": 0,
        "got_event_time": 80,
    }
    assert run.snapshot(6) == [], "it does not reach the changes that are known"
    assert run.snapshot(8) == ["snapshot", "8-9"]


def test_changes_of_a_second_connection_are_left_out() -> None:
    run = begun()
    run.take((1, 3))
    run.snapshot(3)

    assert run.take((4, 5), (1, 3), (4, 5), (6, 7)) == ["4-5", "6-7"]
    assert run.sequence.repeated == 2


def test_after_a_restart_the_changes_missed_are_a_gap() -> None:
    run = begun(next_id=50)

    assert run.take((60, 61)) == ["gap"]
    assert run.snapshot(61) == ["snapshot"]
    assert run.take((62, 62)) == ["62-62"]


def test_over_the_bound_changes_go_on_without_a_snapshot() -> None:
    run = begun()
    run.take((1, 3), (4, 5))
    run.now_ms = PATIENT.longest_ms + 1

    assert shown(list(run.sequence.expire(run.now_ms))) == ["1-3", "4-5"]
    assert run.sequence.owes
    run.take((6, 7))
    assert run.snapshot(4) == [], "changes after it are in the topic before it"
    assert run.snapshot(6) == ["snapshot", "6-7"]


def test_a_venue_that_counts_anew_is_a_gap() -> None:
    run = begun()
    run.take((100, 100))
    run.snapshot(100)

    assert run.take((5, 6)) == []
    run.sequence.begin_anew()
    assert run.take((7, 8)) == ["gap"]
    assert run.snapshot(8) == ["snapshot"]
    assert run.take((9, 9)) == ["9-9"]


def test_a_venue_that_counted_anew_while_nobody_listened_is_a_gap() -> None:
    book = LiveBook(cast(BinanceRest, None), "BTCUSDT", Cursor(7_000_000_000, 0, 10))
    run = Run(book.sequence)

    assert run.take((5, 6)) == []
    book.went_backwards((6,))
    assert run.take((7, 8)) == ["gap"]
    gap = json.loads(run.released[-1].record)
    assert (gap["expected_update_id"], gap["got_update_id"]) == (7_000_000_000, 7)
    assert run.snapshot(8) == ["snapshot"]
    assert run.take((9, 9)) == ["9-9"]
    assert run.sequence.position == 10


def test_a_database_that_lags_is_no_venue_that_counts_anew() -> None:
    book = LiveBook(cast(BinanceRest, None), "BTCUSDT", Cursor(7_000_000_000, 0, 10))
    run = Run(book.sequence)

    book.went_backwards((6_999_995_000,))
    assert run.take((5, 6)) == []
    assert run.take((7_000_000_000, 7_000_000_001)) == []
    assert run.snapshot(7_000_000_001) == ["snapshot"]


EVENTS = st.lists(
    st.tuples(st.sampled_from(["next", "drop", "again", "snapshot", "old snapshot", "wait"]),
              st.integers(1, 4)),
    max_size=60,
)  # fmt: skip


@given(EVENTS, st.sampled_from([PATIENT, HoldBounds(longest_ms=3, most_records=4)]))
def test_every_change_continues_what_stands_before_it_or_a_gap_does(
    events: list[tuple[str, int]], bounds: HoldBounds
) -> None:
    run = begun(bounds=bounds)
    venue_id = 1
    for what, count in events:
        run.now_ms += 1
        if what == "next":
            run.take((venue_id, venue_id + count - 1))
            venue_id += count
        elif what == "drop":
            venue_id += count
        elif what == "again" and venue_id > count:
            run.take((venue_id - count, venue_id - 1))
        elif what == "wait":
            run.now_ms += count
            run.released += run.sequence.expire(run.now_ms)
        elif run.sequence.wanted(run.now_ms):
            run.snapshot(venue_id - 1 - (count if what == "old snapshot" else 0))

    book_id = None  # the last change that a reader of the topic has
    for release in run.released:
        if release.headers == KIND_GAP:
            gap = json.loads(release.record)
            assert book_id is None or book_id + 1 == gap["expected_update_id"]
            book_id = gap["got_update_id"] - 1
        elif release.headers == KIND_SNAPSHOT:
            last_id = int(release.record.split()[1])
            assert book_id is None or last_id >= book_id
            book_id = last_id
        else:
            first_id, last_id = map(int, release.record.split(b"-"))
            assert book_id is None or first_id <= book_id + 1 <= last_id
            book_id = last_id
