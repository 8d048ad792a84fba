"""Tables of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with an empty line after it; a bar inside a cell does not end the cell."""
    lines = [_line(head), "|".join(["", *("---" for _ in head), ""])]
    return "\n".join([*lines, *map(_line, rows), ""])


def code(value: object) -> str:
    """``value`` as code; nothing stays nothing."""
    return f"`{value}`" if str(value) else ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', '&#124;') for cell in cells)} |"
