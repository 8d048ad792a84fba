from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadertask_worker.patience import Patience, answer_bound_s


def test_without_patience_the_first_failure_is_the_last() -> None:
    assert Patience(0).delay_after_failure(0.1, 0.5) is None


def test_waits_grow_and_stay_bounded() -> None:
    patience = Patience(3_600)
    delays = [patience.delay_after_failure(0, 0.999) for _ in range(12)]
    assert None not in delays
    assert delays[0] is not None
    assert delays[0] <= 0.1
    assert delays == sorted(delays, key=lambda each: each or 0)
    assert all(each is not None and each <= 5 for each in delays)


@given(
    st.floats(0.1, 100),
    st.lists(st.tuples(st.floats(0, 10), st.floats(0, 0.999)), min_size=1, max_size=300),
)
def test_time_lost_never_exceeds_the_limit_by_more_than_the_last_try(
    limit_s: float, failures: list[tuple[float, float]]
) -> None:
    patience, lost_s = Patience(limit_s), 0.0
    for took_s, jitter in failures:
        lost_s += took_s
        delay_s = patience.delay_after_failure(took_s, jitter)
        if delay_s is None:
            assert lost_s > limit_s * 0.999 - 0.05
            return
        assert delay_s >= 0.05, "a wait that is said to take 0.0 s is none"
        lost_s += delay_s
        assert lost_s <= limit_s * 1.001


def test_without_patience_an_answer_still_has_the_time_to_come() -> None:
    assert [answer_bound_s(patience_s) for patience_s in (0, 0.5, 1, 60)] == [1, 1, 1, 60]
