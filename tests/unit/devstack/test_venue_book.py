"""The replay's order book: snapshots and changes agree at every moment."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadertask_devstack.venue.book import STEP_MS, Book, Changes, Snapshot

TICK = 1_000_000  # 0.01
START = 30_000 * 10**8
NOW_MS = 1_790_000_000_000
MORE_THAN_ALL = 100_000


def wandering(time_ms: int) -> int:
    """A price that jumps each second, up to 3 %, and sometimes stands."""
    second = time_ms // 1000
    return START + (second * 7919 % 61 - 30) * START // 1000 * (second % 5 != 0)


def book(seed: int = 7) -> Book:
    return Book(START, TICK, 1000, wandering, seed)


class LocalBook:
    """What a client keeps."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.bids, self.asks = dict(snapshot.bids), dict(snapshot.asks)
        self.last_update = snapshot.last_update

    def apply(self, changes: Changes) -> None:
        for side, levels in ((self.bids, changes.bids), (self.asks, changes.asks)):
            for price, amount in levels:
                if amount:
                    side[price] = amount
                else:
                    side.pop(price, None)
        self.last_update = changes.last_update

    def snapshot(self) -> Snapshot:
        bids = sorted(self.bids.items(), reverse=True)
        return Snapshot(self.last_update, bids, sorted(self.asks.items()))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([100, 1000]), st.integers(0, 2**64 - 1))
def test_a_snapshot_with_all_changes_since_is_the_later_snapshot(
    shift_ms: int, every_ms: int, seed: int
) -> None:
    coarse_tick = START // 500  # few levels, that all of them can be compared often
    of = Book(START, coarse_tick, 1000, wandering, seed)
    taken_ms = NOW_MS + shift_ms
    local = LocalBook(of.snapshot(taken_ms, MORE_THAN_ALL))
    # The first change covers the moment of the snapshot, as at the venue.
    first_ms = taken_ms // every_ms * every_ms
    for time_ms in range(first_ms, first_ms + 4000, every_ms):
        changes = of.changes(time_ms, time_ms + every_ms)
        assert changes.first_update <= local.last_update + 1
        local.apply(changes)
        assert local.snapshot() == of.snapshot(time_ms + every_ms, MORE_THAN_ALL)


def test_changes_follow_one_another_without_a_gap_in_their_ids() -> None:
    of = book()
    changes = [of.changes(t, t + 100) for t in range(NOW_MS, NOW_MS + 2000, 100)]
    for before, after in itertools.pairwise(changes):
        assert after.first_update == before.last_update + 1


def test_a_second_of_changes_has_the_ids_and_levels_of_its_tenths() -> None:
    of = book()
    tenths = [of.changes(t, t + 100) for t in range(NOW_MS, NOW_MS + 1000, 100)]
    second = of.changes(NOW_MS, NOW_MS + 1000)
    assert second.first_update == tenths[0].first_update
    assert second.last_update == tenths[-1].last_update
    assert {price for price, _ in second.bids} >= {p for tenth in tenths for p, _ in tenth.bids}


def test_both_sides_are_sorted_from_the_best_price_and_do_not_cross() -> None:
    snapshot = book().snapshot(NOW_MS, 5000)
    assert [price for price, _ in snapshot.bids] == sorted(dict(snapshot.bids), reverse=True)
    assert [price for price, _ in snapshot.asks] == sorted(dict(snapshot.asks))
    assert snapshot.bids[0][0] < snapshot.asks[0][0]
    assert all(amount > 0 for _, amount in (*snapshot.bids, *snapshot.asks))


def test_there_are_more_levels_than_the_largest_snapshot_shows() -> None:
    of = book()
    assert [len(side) for side in of.snapshot(NOW_MS, 5000)[1:]] == [5000, 5000]
    assert all(len(side) > 5000 for side in of.snapshot(NOW_MS, MORE_THAN_ALL)[1:])
    assert of.snapshot(NOW_MS, 5000).bids[:10] == of.snapshot(NOW_MS, 10).bids


def test_levels_are_removed_and_some_that_were_never_there() -> None:
    of = book()
    known = dict(of.snapshot(NOW_MS, MORE_THAN_ALL).bids)
    removed = [p for p, amount in of.changes(NOW_MS, NOW_MS + 1000).bids if amount == 0]
    assert any(price in known for price in removed)
    assert any(price not in known for price in removed)


def test_the_same_moment_has_the_same_book_in_every_replay_of_a_seed() -> None:
    assert book().snapshot(NOW_MS, 50) == book().snapshot(NOW_MS, 50)
    assert book().snapshot(NOW_MS, 50) != book(8).snapshot(NOW_MS, 50)


@pytest.mark.parametrize("price", [1, START * 10])
def test_a_price_off_the_book_has_still_two_sides(price: int) -> None:
    snapshot = Book(START, TICK, 1000, lambda _: price, 7).snapshot(NOW_MS, 5)
    assert snapshot.bids
    assert snapshot.asks


def test_ids_grow_with_time_within_an_event() -> None:
    of = book()
    ids = [of.snapshot(NOW_MS + STEP_MS * n, 1).last_update for n in range(6)]
    changes = of.changes(NOW_MS, NOW_MS + 100)
    assert ids == sorted(set(ids))
    assert changes.first_update <= ids[2] <= changes.last_update
