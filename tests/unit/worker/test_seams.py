from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadertask_worker.seams import (
    ANYWHERE,
    CANCELLED,
    Hole,
    OutOfOrderError,
    Rows,
    Seam,
    every_position,
)

STEP = 60


def grid(position: int) -> int:
    return -(-position // STEP) * STEP


def rows(*positions: int) -> Rows:
    return Rows([*positions], [*positions], [str(position).encode() for position in positions])


def walked(seam: Seam, given_rows: Rows) -> list[tuple[int, ...] | Hole]:
    return [
        tuple(piece.positions) if isinstance(piece, Rows) else piece
        for piece in seam.fit(given_rows)
    ]


def test_dense_rows_pass_as_they_are() -> None:
    seam = Seam(0, grid, STEP)
    assert walked(seam, rows(0, 60, 120)) == [(0, 60, 120)]
    assert walked(seam, rows(180)) == [(180,)]


def test_a_hole_before_between_and_after_rows_is_seen_at_the_next_row() -> None:
    seam = Seam(0, grid, STEP)
    assert walked(seam, rows(60, 240)) == [Hole(0, 60), (60,), Hole(61, 240), (240,)]
    assert walked(seam, rows(300, 420)) == [(300,), Hole(301, 420), (420,)]


def test_a_row_off_the_grid_is_refused_before_it_is_passed() -> None:
    seam = Seam(0, grid, STEP)
    with pytest.raises(OutOfOrderError, match="100 is not on the grid"):
        walked(seam, rows(0, 60, 100, 160))
    assert (seam.floor, seam.due) == (61, 120)


def test_a_seam_that_is_not_sure_takes_earlier_rows_to_begin_with() -> None:
    seam = Seam(120, grid, STEP, is_sure=False)
    assert walked(seam, rows(0, 60)) == [(0, 60)]
    with pytest.raises(OutOfOrderError, match="was due"):
        walked(seam, rows(60))


def test_what_was_reached_by_other_means_is_not_due_again() -> None:
    seam = Seam(0, grid, STEP)
    seam.reach(130)
    assert walked(seam, rows(180)) == [(180,)]
    seam.reach(100)
    assert seam.floor == 181


@pytest.mark.parametrize("positions", [(0, 60, 60), (0, 120, 60), (0, -60)])
def test_rows_that_repeat_or_go_backwards_are_refused_where_they_do(
    positions: tuple[int, ...],
) -> None:
    seam = Seam(0, grid, STEP)
    with pytest.raises(OutOfOrderError, match="was due"):
        walked(seam, rows(*positions))
    assert seam.floor == max(positions[:2]) + 1


@given(st.sets(st.integers(0, 300), max_size=40), st.integers(0, 40), st.integers(1, 3))
def test_rows_and_holes_cover_everything_once_whatever_is_missing(
    present: set[int], split: int, step: int
) -> None:
    positions = sorted(position * step for position in present)
    seam, covered, floor = Seam(0, lambda p: -(-p // step) * step, step), [], 0
    for piece in [*seam.fit(rows(*positions[:split])), *seam.fit(rows(*positions[split:]))]:
        if isinstance(piece, Hole):
            assert floor <= piece.start < piece.end
            assert not {*positions} & set(range(piece.start, piece.end))
        else:
            covered += piece.positions
            floor = piece.positions[-1] + 1
    assert covered == positions
    assert seam.floor == (positions[-1] + 1 if positions else 0)


def test_what_the_venue_has_taken_back_is_not_published_and_leaves_no_hole() -> None:
    taken_back = Rows([1, 2, 3], [10, 11, 12], [b"1", CANCELLED, b"3"])
    assert [*Seam(1, every_position, 1).fit(taken_back)] == [taken_back]
    assert taken_back.published() == Rows([1, 3], [10, 12], [b"1", b"3"])
    assert rows(1).published() == rows(1)


def test_an_open_beginning_is_the_first_row_or_what_follows_one_from_before() -> None:
    seam = Seam(ANYWHERE, every_position, 1, is_sure=False)
    assert seam.is_open
    assert walked(seam, rows(7, 8, 10)) == [(7, 8), Hole(9, 10), (10,)]
    assert not seam.is_open

    seam = Seam(ANYWHERE, every_position, 1, is_sure=False)
    seam.skip(5)
    seam.skip(6)
    assert walked(seam, rows(9)) == [Hole(7, 9), (9,)]
    seam.skip(20)
    assert walked(seam, rows(10)) == [(10,)]
