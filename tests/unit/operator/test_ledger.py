from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadertask_operator.ledger import OffsetLedger


def test_nothing_after_an_unsettled_event_is_committable():
    ledger = OffsetLedger()
    for offset, claims in ((5, 0), (6, 1), (7, 0), (8, 1)):
        assert ledger.receive(0, offset, claims)
    assert ledger.committable() == {0: 6}
    ledger.settle(0, 8)
    assert ledger.committable() == {0: 6}
    ledger.settle(0, 6)
    assert ledger.committable() == {0: 9}


def test_an_event_of_two_tasks_needs_both():
    ledger = OffsetLedger()
    ledger.receive(0, 0, 2)
    ledger.settle(0, 0)
    assert ledger.committable() == {0: 0}
    ledger.settle(0, 0)
    assert ledger.committable() == {0: 1}


def test_what_was_received_before_is_not_taken_again():
    ledger = OffsetLedger()
    assert ledger.receive(1, 3, 1)
    assert not ledger.receive(1, 3, 1)
    assert not ledger.receive(1, 2, 1)
    assert ledger.next_offset(1) == 4
    assert ledger.next_offset(0) is None


@given(st.lists(st.booleans(), max_size=30), st.data())
def test_the_committable_offset_is_always_the_lowest_unsettled(interesting, data):
    ledger = OffsetLedger()
    for offset, is_ours in enumerate(interesting):
        ledger.receive(0, offset, int(is_ours))
    unsettled = {offset for offset, is_ours in enumerate(interesting) if is_ours}
    for offset in data.draw(st.permutations(sorted(unsettled))):
        assert ledger.committable()[0] == min(unsettled)
        ledger.settle(0, offset)
        unsettled.discard(offset)
    if interesting:
        assert ledger.committable() == {0: len(interesting)}
