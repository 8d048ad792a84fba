"""Rows from several sources, joined into one sequence without gap or repetition. Pure.

Positions order the rows: of candles the open time (epoch ms), of trades the id. Both are dense but
for what the venue itself never had, so whatever a source leaves out is seen at the next row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CANCELLED = b""
"""The record of a row that the venue has taken back: it has a position and is not published."""

ANYWHERE = 2**62
"""A floor beyond all positions: the row that comes first is the first, whichever it is."""


def every_position(position: int) -> int:
    """The grid of ids: none is left out."""
    return position


class OutOfOrderError(Exception):
    """Rows that go backwards, repeat or stand where none can.

    Whoever knows their source says what that means.
    """


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one source in its order: where each stands, its time (epoch ms) and its record."""

    positions: list[int]
    times_ms: list[int]
    records: list[bytes]

    def __len__(self) -> int:
        return len(self.positions)

    def part(self, start: int, stop: int) -> Rows:
        """The rows from index ``start`` to before ``stop``."""
        return Rows(self.positions[start:stop], self.times_ms[start:stop], self.records[start:stop])

    def published(self) -> Rows:
        """The rows without those that the venue has taken back."""
        if CANCELLED not in self.records:
            return self
        kept = [index for index, record in enumerate(self.records) if record != CANCELLED]
        return Rows(
            [self.positions[index] for index in kept],
            [self.times_ms[index] for index in kept],
            [self.records[index] for index in kept],
        )


@dataclass(frozen=True, slots=True)
class Hole:
    """Positions in [start, end) that a source skipped: the venue is asked what is there."""

    start: int
    end: int


class Seam:
    """Where the sequence has got to.

    ``floor`` is the lowest position that may come next, ``due`` the highest at which the next row
    leaves no hole: they differ where positions are times on a grid.
    """

    def __init__(
        self, floor: int, grid: Callable[[int], int], step: int, *, is_sure: bool = True
    ) -> None:
        """A sequence that has got nowhere yet.

        Args:
            floor: where it begins.
            grid: the first position at or after another one that a row can have.
            step: between two such positions.
            is_sure: nothing before ``floor`` is wanted, even if a source has it.

        """
        self.floor, self.due = floor, grid(floor)
        self.grid, self._step, self.is_sure = grid, step, is_sure
        # Nobody knows yet where to begin.
        self.is_open = floor == ANYWHERE

    def begin(self, floor: int) -> None:
        """Begin where it was open."""
        self.floor, self.due, self.is_open = floor, self.grid(floor), False

    def skip(self, last: int) -> None:
        """A row from before the beginning: where that is open, it is what follows."""
        if self.is_open:
            self.floor, self.due = last + 1, self.grid(last + 1)

    @property
    def lowest(self) -> int:
        """The lowest position that is wanted."""
        return self.floor if self.is_sure else 0

    def fit(self, rows: Rows) -> Iterator[Rows | Hole]:
        """Rows and the holes before and between them, in order; the seam moves past each.

        Raises:
            OutOfOrderError: a row below the floor, or off the grid: candles of the outages of 2017
                and 2018 are, and REST says which. What came before it has been given.

        """
        positions, start = rows.positions, 0
        while start < len(positions):
            first = positions[start]
            if first < self.floor and self.is_sure:
                raise OutOfOrderError(f"{first} comes where at least {self.floor} was due")
            if self.grid(first) != first:
                raise OutOfOrderError(f"{first} is not on the grid")
            if first > self.due:
                yield Hole(self.floor, first)
            stop = start + self._dense_length(positions, start)
            self.pass_by(positions[stop - 1])
            yield rows.part(start, stop)
            start = stop

    def pass_by(self, last: int) -> None:
        """Everything up to ``last`` is there, and it is a row."""
        self.floor, self.due = last + 1, last + self._step
        self.is_sure, self.is_open = True, False

    def reach(self, position: int) -> None:
        """Everything before ``position`` is there, as far as there is anything."""
        if position >= self.floor:
            self.floor, self.due = position, self.grid(position)
            self.is_sure, self.is_open = True, False

    def _dense_length(self, positions: list[int], start: int) -> int:
        """How many rows from ``start`` on follow each other with one step between them."""
        first, step = positions[start], self._step
        count = len(positions) - start
        expected = list(range(first, first + count * step, step))
        if positions[start:] == expected:
            return count
        found = zip(positions[start:], expected, strict=True)
        return next(index for index, (position, due) in enumerate(found) if position != due)
