from __future__ import annotations

from loadertask_contract.records import RecordHeaders
from loadertask_worker.live import updates


def test_the_headers_of_live_records_are_those_of_the_contract() -> None:
    marks = [each for each in vars(updates).values() if isinstance(each, tuple)]
    names = {name for mark in marks for name, _ in mark} | {updates.RESUME}
    assert names == set(RecordHeaders.model_fields)


def test_where_to_go_on_is_read_as_it_was_written() -> None:
    assert updates.resume_of((*updates.LATE, updates.resume_header(17))) == 17
    assert updates.resume_of(updates.LATE) is None
    assert updates.resume_of((("resume", b"x"),)) is None
