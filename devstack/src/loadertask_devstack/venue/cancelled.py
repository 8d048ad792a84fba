"""Cancelled aggregate trades: rows that keep an id and say nothing (price 0, amount 0, ids -1).

The venue marked duplicates so in 2022 instead of removing them. Inserting some shifts the ids
behind them, which stay without a hole. Pure.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable


class CancelledIds:
    """The ids of one symbol's cancelled rows, in the numbering that clients see."""

    def __init__(self, ids: Iterable[int]) -> None:
        self._ids = sorted(set(ids))
        # The number that the following true row would have without any cancelled ones.
        self._places = [id_ - index for index, id_ in enumerate(self._ids)]

    def __contains__(self, id_: object) -> bool:
        """Whether the row with this id is cancelled."""
        return isinstance(id_, int) and self._ids[bisect_left(self._ids, id_) :][:1] == [id_]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._ids)

    def tape_id(self, id_: int) -> int:
        """The number on the tape of the row with this id, of the next true one if cancelled."""
        return id_ - bisect_left(self._ids, id_)

    def shown_id(self, tape_id: int) -> int:
        """The id of a true row, or of a cancelled one that stands directly before it."""
        return tape_id + bisect_left(self._places, tape_id)

    def row_id(self, tape_id: int) -> int:
        """The id that a client sees for a true row."""
        return tape_id + bisect_right(self._places, tape_id)
