from __future__ import annotations

from loadertask_operator.vitals import Vitals


def test_a_part_that_does_not_go_round_is_named_with_its_silence():
    now_s = 0.0
    vitals = Vitals(lambda: now_s)
    beat = vitals.expect("the reader", 10)
    vitals.expect("the sweep", 100)
    now_s = 10
    assert vitals.problem() is None
    now_s = 11
    assert vitals.problem() == "the reader has not gone round for 11 s"
    beat()
    assert vitals.problem() is None


def test_a_part_that_has_done_its_work_is_not_missed():
    now_s = 0.0
    vitals = Vitals(lambda: now_s)
    vitals.expect("the election", 1)
    vitals.dismiss("the election")
    now_s = 9
    assert vitals.problem() is None
