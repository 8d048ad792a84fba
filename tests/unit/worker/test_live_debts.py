from __future__ import annotations

from loadertask_worker.live.debts import Debts
from loadertask_worker.live.updates import CLOSED, LATE, SOURCE_REST, Release, Span, resume_header


def release(position: int) -> Release:
    return Release(b"%d" % position, position, position * 1000, CLOSED)


def test_nothing_owed_changes_nothing() -> None:
    debts = Debts()
    assert debts.first is None
    assert debts.resume_at(7) == 7
    assert debts.placed(release(7)) == release(7)


def test_a_record_that_overtakes_a_hole_says_that_a_load_goes_on_at_it() -> None:
    debts = Debts()
    debts.owe(Span(3, 5))
    assert debts.resume_at(7) == 3
    assert debts.placed(release(7)) == Release(b"7", 3, 7000, (*CLOSED, resume_header(3)))


def test_a_debt_is_paid_in_parts_and_each_says_what_is_owed_still() -> None:
    debts = Debts()
    debts.owe(Span(3, 6))
    debts.owe(Span(8, 9))
    headers = (*CLOSED, *SOURCE_REST, *LATE)

    paid = debts.pay(5, [release(each) for each in (2, 3, 4, 5)], 12)
    assert paid == [
        Release(b"3", 3, 3000, headers),
        Release(b"4", 4, 4000, (*headers, resume_header(5))),
    ]
    assert debts.first == Span(5, 6)

    assert debts.pay(20, [], 12) == []
    assert debts.first == Span(8, 9)
    assert debts.pay(9, [release(8)], 12)[0].headers == (*headers, resume_header(12))
    assert debts.first is None


def test_holes_that_touch_are_one() -> None:
    debts = Debts()
    debts.owe(Span(3, 5))
    debts.owe(Span(5, 6))
    assert debts.first == Span(3, 6)
