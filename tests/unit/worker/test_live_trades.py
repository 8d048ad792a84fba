"""Trades in order: whatever is dropped, doubled or late, every id comes out once."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from loadertask_worker.live.trades import TradeSequence
from loadertask_worker.live.updates import (
    LATE,
    SOURCE_REST,
    HoldBounds,
    Release,
    Span,
    TradeUpdate,
    resume_of,
)

PATIENT = HoldBounds(longest_ms=10_000, most_records=1_000)


def trade(trade_id: int) -> TradeUpdate:
    return TradeUpdate(
        event_ms=trade_id * 10, trade_id=trade_id, time_ms=trade_id * 10 - 1,
        record=b"%d" % trade_id,
    )  # fmt: skip


def trades(span: Span) -> list[TradeUpdate]:
    return [trade(trade_id) for trade_id in range(span.start, span.end)]


def ids(released: list[Release]) -> list[int]:
    return [int(release.record) for release in released]


@dataclass
class Run:
    """A sequence and everything it released."""

    sequence: TradeSequence
    released: list[Release] = field(default_factory=list)
    now_ms: int = 0

    def take(self, *trade_ids: int) -> list[int]:
        before = len(self.released)
        for trade_id in trade_ids:
            self.released += self.sequence.take(trade(trade_id), self.now_ms)
        return ids(self.released[before:])

    def answer(self, *, missing: tuple[int, ...] = ()) -> list[Release]:
        """What REST's answer to the present question releases."""
        span = self.sequence.wanted(self.now_ms)
        assert span is not None
        rows = [each for each in trades(span) if each.trade_id not in missing]
        released = list(self.sequence.fill(span, rows, self.now_ms))
        self.released += released
        return released


def begun(next_id: int | None = None, bounds: HoldBounds = PATIENT) -> Run:
    return Run(TradeSequence(next_id, 0, bounds))


def test_without_a_cursor_the_first_trade_begins() -> None:
    run = begun()

    assert run.sequence.position is None
    assert run.take(7, 8) == [7, 8]
    assert (run.sequence.position, run.sequence.through_ms) == (9, 79)


def test_a_hole_holds_newer_trades_until_rest_has_filled_it() -> None:
    run = begun(5)
    run.take(5)

    assert run.take(8, 9) == []
    assert run.sequence.position == 6
    released = run.answer()

    assert ids(released) == [6, 7, 8, 9]
    assert [each.headers for each in released] == [SOURCE_REST, SOURCE_REST, (), ()]
    assert run.sequence.wanted(0) is None


def test_a_hole_may_be_filled_by_the_other_connection() -> None:
    run = begun(5)

    assert run.take(6, 7, 5) == [5, 6, 7]
    assert {each.headers for each in run.released} == {()}


def test_repetitions_and_ids_going_backwards_are_left_out() -> None:
    run = begun(5)

    assert run.take(5, 5, 4, 6, 1, 6) == [5, 6]
    assert run.sequence.repeated == 4


def test_part_of_an_answer_releases_that_part() -> None:
    run = begun(5)
    run.take(9)

    released = list(run.sequence.fill(Span(5, 7), trades(Span(5, 7)), 0))

    assert ids(released) == [5, 6]
    assert run.sequence.wanted(0) == Span(7, 9)


def test_ids_that_the_venue_does_not_have_are_no_hole() -> None:
    run = begun(5)
    run.take(8)

    assert ids(run.answer(missing=(5, 6))) == [7, 8]


def test_an_answer_without_trades_is_not_asked_for_again_at_once() -> None:
    run = begun(5)
    run.take(8)

    run.sequence.fill(Span(5, 5), [], 100)

    assert run.sequence.wanted(100) is None
    assert run.sequence.wanted(10_000) == Span(5, 8)


def test_over_the_bound_newer_trades_go_on_and_the_older_come_late() -> None:
    run = begun(5)
    run.take(5, 8, 9)
    run.now_ms = PATIENT.longest_ms + 1

    went_on = list(run.sequence.expire(run.now_ms))
    assert ids(went_on) == [8, 9]
    assert run.sequence.position == 6, "a load that ends now must fetch the hole again"
    assert {each.position for each in went_on} == {6}
    assert {resume_of(each.headers) for each in went_on} == {6}
    late = run.answer()

    assert ids(late) == [6, 7]
    assert [each.headers for each in late] == [
        (*SOURCE_REST, *LATE),
        (*SOURCE_REST, *LATE, ("resume", b"10")),
    ]
    assert run.sequence.position == 10
    assert not run.sequence.owes


def test_the_count_of_waiting_trades_is_bounded() -> None:
    run = begun(1, HoldBounds(most_records=10))

    assert run.take(*range(3, 13)) == []
    assert run.take(13) == list(range(3, 14))
    assert run.sequence.held_bytes == 0


def test_a_late_hole_is_paid_page_by_page() -> None:
    run = begun(0, HoldBounds(longest_ms=0))
    run.take(5)
    run.now_ms = 10
    run.sequence.expire(10)

    assert ids(list(run.sequence.fill(Span(0, 2), trades(Span(0, 2)), 10))) == [0, 1]
    assert run.sequence.position == 2
    assert ids(run.answer()) == [2, 3, 4]
    assert run.sequence.position == 6


ARRIVALS = st.lists(
    st.tuples(st.sampled_from(["next", "drop", "again", "swap", "answer", "wait"]),
              st.integers(1, 6)),
    max_size=60,
)  # fmt: skip


@given(ARRIVALS, st.sampled_from([PATIENT, HoldBounds(longest_ms=3, most_records=4)]))
def test_every_trade_comes_out_once_whatever_happens_on_the_way(
    arrivals: list[tuple[str, int]], bounds: HoldBounds
) -> None:
    run = begun(100, bounds)
    venue_id = 100
    for what, count in arrivals:
        run.now_ms += 1
        if what == "next":
            run.take(*range(venue_id, venue_id + count))
            venue_id += count
        elif what == "drop":
            venue_id += count
        elif what == "again":
            run.take(*range(max(100, venue_id - count), venue_id))
        elif what == "swap":
            run.take(*reversed(range(venue_id, venue_id + count)))
            venue_id += count
        elif what == "wait":
            run.now_ms += count
            run.released += run.sequence.expire(run.now_ms)
        elif run.sequence.wanted(run.now_ms):
            run.answer()
        assert_resumable(run)
    run.take(venue_id)
    run.now_ms += 1_000
    while run.sequence.wanted(run.now_ms):
        run.answer()

    came_out = ids(run.released)
    assert sorted(came_out) == list(range(100, venue_id + 1))
    in_order = [int(each.record) for each in run.released if LATE[0] not in each.headers]
    assert in_order == sorted(in_order)
    assert run.sequence.position == venue_id + 1
    assert_topic_resumable(run.released)


def assert_topic_resumable(released: list[Release]) -> None:
    """Whatever the topic ends with, its records say where to go on without a hole."""
    out: set[int] = set()
    goes_on_at = 0
    for release in released:
        trade_id = int(release.record)
        out.add(trade_id)
        goes_on_at = max(goes_on_at, resume_of(release.headers) or trade_id + 1)
        assert set(range(100, goes_on_at)) <= out
    assert goes_on_at == max(out) + 1


def assert_resumable(run: Run) -> None:
    """Everything before the position is out: a load that goes on there leaves no hole."""
    position = run.sequence.position
    assert position is not None
    assert set(range(100, position)) <= set(ids(run.released))
