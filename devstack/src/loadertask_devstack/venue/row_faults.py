"""Damage to rows, of REST pages and of archive files alike: what a client must find by itself.

A row is a list of fields or an object. Pure; the answer's form stays valid, only its content lies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from loadertask_devstack.venue.faults import Fault, FaultKind

Row = list[Any] | dict[str, Any]
_TIME_KEYS = ("T", "time")
_PRICE_KEYS = ("p", "price")
_FIRST_MICROSECONDS = 10**14
_OFF_GRID_MS = 7


def damaged_json(text: str, fault: Fault) -> str:
    """A JSON page with the fault in its rows; a body that is no page stays as it is."""
    rows = json.loads(text)
    if not isinstance(rows, list):
        return text
    return json.dumps(damaged(rows, fault), separators=(",", ":"))


def damaged_lines(lines: Sequence[str], fault: Fault) -> list[str]:
    """CSV lines with the fault in them."""
    rows: list[Row] = [list(line.split(",")) for line in lines]
    return [",".join(map(str, row)) for row in damaged(rows, fault)]


def damaged(rows: list[Row], fault: Fault) -> list[Row]:
    """The rows with the fault; ``rows`` of them where it says so, half of them or one otherwise."""
    half, few = len(rows) // 2, fault.rows or 1
    match fault.kind:
        case FaultKind.ROWS_MISSING:
            return rows[: len(rows) - (fault.rows or half)]
        case FaultKind.ROWS_DOUBLED:
            return rows[: half + few] + rows[half:]
        case FaultKind.ROWS_UNORDERED:
            return rows[:half] + rows[half : half + few + 1][::-1] + rows[half + few + 1 :]
        case FaultKind.ROWS_CHANGED:
            return _each(rows, half, few, _changed)
        case FaultKind.ROWS_NOT_NUMBERS:
            return _each(rows, half, few, _not_a_number)
        case FaultKind.ROWS_OFF_GRID:
            return _each(rows, half, few, lambda row: _shifted(row, _OFF_GRID_MS))
        case FaultKind.ROWS_WRONG_UNIT:
            return _each(rows, 0, len(rows), _other_unit)
        case _:
            return rows


def _each(rows: list[Row], first: int, count: int, change: Callable[[Row], Row]) -> list[Row]:
    return [
        change(row) if first <= index < first + count else row for index, row in enumerate(rows)
    ]


def _changed(row: Row) -> Row:
    """A row that says something else and is as good as before: another price by one unit."""
    return _with_price(row, lambda text: text[:-1] + str((int(text[-1]) + 1) % 10))


def _not_a_number(row: Row) -> Row:
    return _with_price(row, lambda text: f"{text[:2]}x")


def _with_price(row: Row, change: Callable[[str], str]) -> Row:
    if isinstance(row, dict):
        return row | {key: change(str(row[key])) for key in _PRICE_KEYS if key in row}
    place = 4 if len(row) == _CANDLE_FIELDS else 1
    return [*row[:place], change(str(row[place])), *row[place + 1 :]]


def _shifted(row: Row, by_ms: int) -> Row:
    return _with_times(row, lambda time: time + _in_unit(time, by_ms))


def _other_unit(row: Row) -> Row:
    return _with_times(
        row, lambda time: time // 1000 if time >= _FIRST_MICROSECONDS else time * 1000
    )


def _with_times(row: Row, change: Callable[[int], int]) -> Row:
    if isinstance(row, dict):
        return row | {key: change(row[key]) for key in _TIME_KEYS if key in row}
    places = _TIME_PLACES[len(row)]
    return [
        type(field)(change(int(field))) if place in places else field
        for place, field in enumerate(row)
    ]


def _in_unit(time: int, by_ms: int) -> int:
    return by_ms * 1000 if time >= _FIRST_MICROSECONDS else by_ms


_CANDLE_FIELDS = 12
# Candles, aggregate trades and trades are told by the number of their fields.
_TIME_PLACES = {_CANDLE_FIELDS: (0, 6), 8: (5,), 7: (4,)}
