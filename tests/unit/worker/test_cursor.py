from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadertask_worker.cursor import Cursor, Note, Place, advanced, encode_note, parse_note

OFFSET_METADATA_MAX_BYTES = 4_096  # offset.metadata.max.bytes, the brokers' default
HERE = Cursor(1_704_110_400_000, 1_704_110_400_000, 720)

_numbers = st.integers(min_value=0, max_value=2**63)
_cursors = st.none() | st.builds(Cursor, _numbers, _numbers, _numbers)


@given(st.builds(Note, st.text(max_size=200), _cursors, st.booleans()))
def test_a_note_is_read_as_it_was_written(note: Note) -> None:
    found = parse_note(encode_note(note))
    assert found is not None
    assert (found.cursor, found.is_exact) == (note.cursor, note.is_exact)
    assert found.is_of(note.load_name)


@given(st.text(min_size=1, max_size=6_000), _cursors)
def test_a_note_fits_into_the_metadata_of_an_offset_whatever_the_load_is_called(
    name: str, cursor: Cursor | None
) -> None:
    note = Note(name * 10, cursor, is_exact=True)
    assert len(encode_note(note).encode()) <= OFFSET_METADATA_MAX_BYTES
    found = parse_note(encode_note(note))
    assert found is not None
    assert found.is_of(name * 10)
    assert not found.is_of(name * 10 + "x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "7",
        "[]",
        "{}",
        "not json",
        "[" * 100_000,
        json.dumps({"version": 2, "load": "x", "is_exact": True}),
        json.dumps({"version": 1, "load": "x"}),
        json.dumps({"version": 1, "load": "x", "is_exact": True, "position": 1}),
        json.dumps(
            {"version": 1, "load": "x", "is_exact": True}
            | {"position": "1", "through_ms": 2, "records": 3}
        ),
    ],
)
def test_what_others_left_there_is_no_note(text: str) -> None:
    assert parse_note(text) is None


@pytest.mark.parametrize(
    ("cursor", "place", "moved"),
    [
        (None, None, None),
        (HERE, None, HERE),
        (None, Place(7, 8, 7), Cursor(8, 7, 1)),
        (Cursor(8, 7, 1), Place(8, 9, 9), Cursor(9, 9, 2)),
        (Cursor(8, 7, 1), Place(8, 9, 3), Cursor(9, 7, 2)),
        (Cursor(8, 7, 1), Place(7, 8, 7), Cursor(8, 7, 1)),  # a repetition
        (Cursor(8, 7, 1), Place(2, 3, 2), Cursor(8, 7, 1)),
        (Cursor(8, 7, 1), Place(8, 8, 8), Cursor(8, 7, 2)),  # a candle that grows
        (Cursor(8, 7, 1), Place(12, 8, 9), Cursor(8, 7, 2)),  # behind what is owed
        (Cursor(8, 7, 1), Place(8, 2, 9), Cursor(2, 9, 2)),  # a book that is counted anew
    ],
)
def test_a_record_of_the_topic_moves_the_cursor_forward_unless_it_leads_back(
    cursor: Cursor | None, place: Place | None, moved: Cursor | None
) -> None:
    assert advanced(cursor, place) == moved
