"""Candles in order: whatever frames are lost, every candle is closed once and in its turn."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from loadertask_contract.intervals import Interval
from loadertask_worker.live.candles import CandleSequence
from loadertask_worker.live.updates import (
    CLOSED,
    LATE,
    OPEN,
    RESUME,
    SOURCE_REST,
    CandleUpdate,
    HoldBounds,
    Release,
    resume_of,
)

MINUTE = 60_000
PATIENT = HoldBounds(longest_ms=30_000, most_records=1_000)
FROM_REST = (*CLOSED, *SOURCE_REST)
FROM_REST_LATE = (*CLOSED, *SOURCE_REST, *LATE)


def update(minute: int, second: int, *, closed: bool = False) -> CandleUpdate:
    return CandleUpdate(
        event_ms=minute * MINUTE + second * 1000,
        open_ms=minute * MINUTE,
        is_closed=closed,
        trade_count=second,
        record=b"%d.%d" % (minute, second),
    )


def closing(minute: int) -> CandleUpdate:
    return update(minute, 60, closed=True)


@dataclass
class Run:
    """A sequence, everything it released, and a venue whose REST shows ``rows`` (minutes)."""

    sequence: CandleSequence
    rows: set[int] = field(default_factory=set)
    released: list[Release] = field(default_factory=list)
    now_ms: int = 0

    def take(self, *updates: CandleUpdate) -> list[str]:
        before = len(self.released)
        for each in updates:
            self.now_ms = max(self.now_ms, each.event_ms)
            self.released += self.sequence.take(each, self.now_ms)
        return shown(self.released[before:])

    def ask(self, seconds: int = 0) -> list[str]:
        """What REST releases ``seconds`` later; nothing where nothing is asked."""
        self.now_ms += seconds * 1000
        span = self.sequence.wanted(self.now_ms)
        if span is None:
            return []
        rows = [
            (minute * MINUTE, b"%d.rest" % minute)
            for minute in sorted(self.rows)
            if span.start <= minute * MINUTE < span.end
        ]
        released = list(self.sequence.fill(span, rows, self.now_ms))
        self.released += released
        return shown(released)


def shown(released: list[Release]) -> list[str]:
    marks = {OPEN: "", CLOSED: "!", FROM_REST: "!", FROM_REST_LATE: "! late"}
    return [
        each.record.decode() + marks[tuple(h for h in each.headers if h[0] != RESUME)]
        for each in released
    ]


def begun(
    minute: int | None = None, bounds: HoldBounds = PATIENT, *, closed_only: bool = False
) -> Run:
    start_ms = None if minute is None else minute * MINUTE
    return Run(CandleSequence(Interval.MINUTE_1, start_ms, bounds, closed_only=closed_only))


def test_every_update_is_published_and_says_whether_the_candle_is_closed() -> None:
    run = begun()

    came_out = run.take(update(1, 10), update(1, 20), closing(1), update(2, 5))

    assert came_out == ["1.10", "1.20", "1.60!", "2.5"]
    assert run.sequence.position == 2 * MINUTE


def test_final_candles_alone_are_published_where_that_is_asked() -> None:
    run = begun(closed_only=True)

    assert run.take(update(1, 10), closing(1), update(2, 5), closing(2)) == ["1.60!", "2.60!"]


def test_what_a_second_connection_repeats_is_left_out() -> None:
    run = begun()
    run.take(update(1, 10), update(1, 20))

    assert run.take(update(1, 10), update(1, 20), update(1, 30), closing(1), closing(1)) == [
        "1.30",
        "1.60!",
    ]
    assert run.sequence.repeated == 3


def test_candles_missed_are_fetched_before_newer_updates_go_on() -> None:
    run = begun()
    run.take(update(1, 10))
    run.rows = {1, 2, 3, 4}

    assert run.take(update(4, 5)) == []
    assert run.sequence.position == MINUTE
    assert run.ask() == ["1.rest!", "2.rest!", "3.rest!", "4.5"]
    assert run.sequence.position == 4 * MINUTE


def test_a_candle_that_closed_just_now_is_asked_for_once_it_is_settled() -> None:
    run = begun()
    run.take(update(1, 10))
    run.take(update(2, 0))
    run.rows = {1, 2}

    assert run.ask() == []
    assert run.ask(seconds=3) == ["1.rest!", "2.0"]


def test_a_closing_frame_that_never_comes_is_replaced_by_rest() -> None:
    run = begun()
    run.take(update(1, 10))
    run.rows = {1, 2}

    assert run.ask(seconds=52) == [], "two seconds after the close it may still come"
    assert run.ask(seconds=5) == ["1.rest!"]
    assert run.take(closing(1)) == []


def test_a_row_that_rest_does_not_show_yet_is_asked_for_again() -> None:
    run = begun()
    run.take(update(1, 10))

    assert run.ask(seconds=56) == []
    run.rows = {1, 2}
    assert run.ask() == [], "not at once"
    assert run.ask(seconds=2) == ["1.rest!"]


def test_a_row_without_a_later_one_is_final_only_long_after_its_close() -> None:
    run = begun()
    run.take(update(1, 10))
    run.rows = {1}

    assert run.ask(seconds=70) == []
    assert run.ask(seconds=10) == ["1.rest!"]


def test_an_outage_leaves_no_candle_and_no_hole() -> None:
    run = begun()
    run.take(closing(1))
    run.rows = {1, 5}

    assert run.take(update(5, 10)) == []
    assert run.ask() == ["5.10"]


def test_nothing_is_taken_for_absent_while_rest_shows_nothing_later() -> None:
    run = begun()
    run.take(closing(1))
    for _ in range(5):
        run.ask(seconds=60)
    assert run.sequence.position == 2 * MINUTE


def test_a_closing_frame_that_waits_is_better_than_a_row() -> None:
    run = begun(bounds=HoldBounds(longest_ms=5 * MINUTE))
    run.take(closing(1))
    run.rows = {2, 3}
    run.take(update(3, 10), closing(3))

    assert run.ask(seconds=3) == ["2.rest!", "3.10", "3.60!"]


def test_over_the_bound_newer_updates_go_on_and_the_candle_comes_late() -> None:
    run = begun()
    run.take(update(1, 10), update(3, 0))
    run.now_ms += PATIENT.longest_ms + 1

    assert shown(list(run.sequence.expire(run.now_ms))) == ["3.0"]
    assert run.sequence.position == MINUTE, "a load that ends now must fetch the candles again"
    run.rows = {1, 2, 3}
    assert run.ask() == ["1.rest! late", "2.rest! late"]
    assert run.sequence.position == 3 * MINUTE


MINUTES = st.lists(
    st.tuples(st.sampled_from(["frames", "no close", "nothing", "twice", "outage"]), st.booleans()),
    max_size=25,
)


@given(MINUTES, st.booleans())
def test_every_candle_is_closed_once_whatever_frames_are_lost(
    minutes: list[tuple[str, bool]], closed_only: bool
) -> None:
    run = begun(10, closed_only=closed_only)
    existing = set()
    for minute, (what, asks) in enumerate(minutes, start=10):
        run.now_ms = max(run.now_ms, minute * MINUTE)
        if what != "outage":
            existing.add(minute)
        run.rows = set(existing)
        frames = [update(minute, 10), update(minute, 40)]
        if what == "frames":
            run.take(*frames, closing(minute))
        elif what == "twice":
            run.take(*frames, *frames, closing(minute), *frames, closing(minute))
        elif what == "no close":
            run.take(*frames)
        if asks:
            run.now_ms = (minute + 1) * MINUTE
            run.ask(seconds=7)
        run.released += run.sequence.expire(run.now_ms)
    last = 10 + len(minutes)
    existing.add(last)
    run.rows = set(existing)
    run.take(closing(last))
    for _ in range(len(minutes) + 4):
        run.ask(seconds=40)

    closed = [each for each in run.released if CLOSED[0] in each.headers]
    assert sorted(minutes_of(closed)) == sorted(existing)
    assert [each for each in run.released if OPEN[0] in each.headers] == [] or not closed_only
    in_turn = minutes_of([each for each in closed if LATE[0] not in each.headers])
    assert in_turn == sorted(in_turn)
    assert_topic_resumable(run.released, existing)


def assert_topic_resumable(released: list[Release], existing: set[int]) -> None:
    """Whatever the topic ends with, its records say where to go on without a hole."""
    closed: set[int] = set()
    goes_on_at = 0
    for release in released:
        (minute,) = minutes_of([release])
        is_closed = CLOSED[0] in release.headers
        closed |= {minute} if is_closed else set()
        default = (minute + is_closed) * MINUTE
        goes_on_at = max(goes_on_at, resume_of(release.headers) or default)
        assert {each for each in existing if each * MINUTE < goes_on_at} <= closed


def minutes_of(released: list[Release]) -> list[int]:
    return [int(each.record.split(b".")[0]) for each in released]
