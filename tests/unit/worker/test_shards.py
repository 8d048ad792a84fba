from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from loadertask_contract.intervals import Interval, count_opens, open_at_or_after
from loadertask_worker.shards import Slice, shard_slice

DAY_MS = 86_400_000

_starts = st.integers(1_500_000_000_000, 1_700_000_000_000)
_spans = st.integers(1, 2_000 * DAY_MS)
_counts = st.integers(1, 64)
_intervals = st.sampled_from([None, *Interval])


@given(_starts, _spans, _counts, _intervals)
def test_the_slices_cover_the_range_once(
    start_ms: int, span_ms: int, count: int, interval: Interval | None
) -> None:
    whole = Slice(start_ms, start_ms + span_ms)
    slices = [shard_slice(whole, index, count, interval) for index in range(count)]
    assert slices[0].start_ms == whole.start_ms
    assert slices[-1].end_ms == whole.end_ms
    assert all(earlier.end_ms == later.start_ms for earlier, later in pairwise(slices))
    assert all(each.start_ms <= each.end_ms for each in slices)


@given(_starts, _spans, _counts, st.sampled_from(Interval))
def test_every_candle_belongs_to_one_slice_that_begins_on_the_grid(
    start_ms: int, span_ms: int, count: int, interval: Interval
) -> None:
    whole = Slice(start_ms, start_ms + span_ms)
    slices = [shard_slice(whole, index, count, interval) for index in range(count)]
    candles = [count_opens(interval, each.start_ms, each.end_ms) for each in slices]
    assert sum(candles) == count_opens(interval, whole.start_ms, whole.end_ms)
    for each in slices[1:]:
        assert each.start_ms in {open_at_or_after(interval, each.start_ms), whole.end_ms}


@given(_starts, st.integers(10, 2_000), st.integers(2, 10))
def test_the_slices_are_even(start_ms: int, days: int, count: int) -> None:
    whole = Slice(start_ms, start_ms + days * DAY_MS)
    slices = [shard_slice(whole, index, count, Interval.HOUR_1) for index in range(count)]
    sizes = [each.end_ms - each.start_ms for each in slices]
    assert max(sizes) - min(sizes) <= 2 * 3_600_000


def test_more_shards_than_candles_leave_some_without_any() -> None:
    whole = Slice(0, 2 * DAY_MS)
    slices = [shard_slice(whole, index, 5, Interval.DAY_1) for index in range(5)]
    assert [(each.end_ms - each.start_ms) // DAY_MS for each in slices] == [1, 0, 1, 0, 0]
