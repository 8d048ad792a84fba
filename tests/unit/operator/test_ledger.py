from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadertask_operator.ledger import OffsetLedger


def test_nothing_after_an_unsettled_event_is_committable():
    ledger = OffsetLedger()
    receipts = [ledger.receive(0, *event) for event in ((5, 0), (6, 1), (7, 0), (8, 1))]
    assert ledger.committable() == {0: 6}
    ledger.settle(receipts[3])
    assert ledger.committable() == {0: 6}
    ledger.settle(receipts[1])
    assert ledger.committable() == {0: 9}


def test_an_event_of_two_tasks_needs_both():
    ledger = OffsetLedger()
    receipt = ledger.receive(0, 0, 2)
    ledger.settle(receipt)
    assert ledger.committable() == {0: 0}
    ledger.settle(receipt)
    assert ledger.committable() == {0: 1}


def test_what_was_received_before_is_not_taken_again():
    ledger = OffsetLedger()
    assert ledger.receive(1, 3, 1)
    assert not ledger.receive(1, 3, 1)
    assert not ledger.receive(1, 2, 1)
    assert ledger.next_offset(1) == 4
    assert ledger.next_offset(0) is None


def test_a_log_that_begins_anew_is_received_again_whatever_is_still_unsettled_of_the_old():
    ledger = OffsetLedger()
    old = ledger.receive(0, 500, 1)
    ledger.receive(1, 7, 0)
    ledger.restart(0)
    assert ledger.next_offset(0) is None
    for offset in range(500):
        assert ledger.receive(0, offset, 0)
    ledger.receive(0, 500, 1)
    ledger.settle(old)
    assert ledger.committable() == {0: 500, 1: 8}


@given(st.lists(st.booleans(), max_size=30), st.data())
def test_the_committable_offset_is_always_the_lowest_unsettled(interesting, data):
    ledger = OffsetLedger()
    receipts = [
        ledger.receive(0, offset, int(is_ours)) for offset, is_ours in enumerate(interesting)
    ]
    unsettled = {offset for offset, is_ours in enumerate(interesting) if is_ours}
    for offset in data.draw(st.permutations(sorted(unsettled))):
        assert ledger.committable()[0] == min(unsettled)
        ledger.settle(receipts[offset])
        unsettled.discard(offset)
    if interesting:
        assert ledger.committable() == {0: len(interesting)}
