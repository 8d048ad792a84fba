"""Rows of the venue's trades, as trade records: bytes in, bytes out, every digit as it came.

Aggregate trades (aggTrades) and raw ones (trades, historicalTrades) differ in names and columns;
the order of the columns is the same in an answer and in a file of the archive. A page in the
venue's usual spelling is read by one regular expression, any other JSON goes the slow way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadertask_contract.environment import Trades
from loadertask_contract.records import TRADE_FIELDS, trade_template
from loadertask_worker.binance.cells import (
    DECIMAL,
    FILE_TIME,
    INTEGER,
    MS_TIME,
    Number,
    bool_cell,
    decimal_cell,
    integer_cell,
    json_list,
    time_cell,
)
from loadertask_worker.errors import ProtocolViolatedError
from loadertask_worker.seams import CANCELLED, Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# A cancelled duplicate has no trades: p=q="0", f=l=-1 (binance-spot-api-docs, 2022-04-12).
NO_TRADE = b"-1"
_TRADE_ID = rb"(?:%s|%s)" % (NO_TRADE, INTEGER)


def _trade_id_cell(row: int, field: str, value: Any) -> bytes:
    if isinstance(value, Number) and value == NO_TRADE.decode():
        return NO_TRADE
    return integer_cell(row, field, value)


@dataclass(frozen=True, slots=True)
class _Cell:
    """A kind of value: its text in an answer (with quotes where it is a string) and in a file."""

    pattern: bytes
    read: Callable[[int, str, Any], bytes]
    in_file: bytes
    is_quoted: bool = False


_WHOLE = _Cell(INTEGER, integer_cell, INTEGER)
_TIME = _Cell(MS_TIME, time_cell, FILE_TIME)
_NUMBER = _Cell(DECIMAL, decimal_cell, DECIMAL, is_quoted=True)
_FLAG = _Cell(rb"(?:true|false)", bool_cell, rb"(?:True|False|true|false)")
_TRADE = _Cell(_TRADE_ID, _trade_id_cell, _TRADE_ID)


@dataclass(frozen=True)
class TradeShape:
    """The venue's names of a trade's values, in its order, and which of them a record takes."""

    columns: tuple[tuple[str, _Cell], ...]
    taken: tuple[int, ...]
    first_trade: int | None = None

    @property
    def time(self) -> int:
        """The index of the time."""
        return self.taken[TRADE_FIELDS.index("timestamp")]

    @property
    def indices(self) -> range:
        """Of all columns."""
        return range(len(self.columns))

    @property
    def file_cells(self) -> list[bytes]:
        """The patterns of all values in a file of the archive."""
        return [cell.in_file for _, cell in self.columns]


SHAPES = {
    Trades.AGGREGATE: TradeShape(
        (("a", _WHOLE), ("p", _NUMBER), ("q", _NUMBER), ("f", _TRADE), ("l", _TRADE),
         ("T", _TIME), ("m", _FLAG), ("M", _FLAG)),
        taken=(0, 1, 2, 5, 6), first_trade=3,
    ),
    Trades.RAW: TradeShape(
        (("id", _WHOLE), ("price", _NUMBER), ("qty", _NUMBER), ("quoteQty", _NUMBER),
         ("time", _TIME), ("isBuyerMaker", _FLAG), ("isBestMatch", _FLAG)),
        taken=(0, 1, 2, 4, 5),
    ),
}  # fmt: skip


class TradeParser:
    """Turns answers into records of one symbol."""

    def __init__(self, symbol: str, kind: Trades) -> None:
        self._shape = SHAPES[kind]
        columns = self._shape.columns
        self._template = row_template(symbol, self._shape)
        names = [f'"{name}":'.encode() for name, _ in columns]
        cells = [
            # The quotes around a decimal belong to the spelling, not to the value.
            (rb'%s"(%s)"' if cell.is_quoted else rb"%s(%s)") % (name, cell.pattern)
            for name, (_, cell) in zip(names, columns, strict=True)
        ]
        self._row = re.compile(rb"[\[,]\{%s\}" % b",".join(cells))
        quotes = 2 * sum(cell.is_quoted for _, cell in columns)
        self._frame_size = len(b"[{}") + sum(map(len, names)) + len(columns) - 1 + quotes

    def parse(self, body: bytes) -> Rows:
        """Read one answer.

        Raises:
            SourceUnavailableError: the answer is not JSON (cut short, a page of HTML).
            ProtocolViolatedError: it is JSON, and not trades of plain numbers.

        """
        rows = self._row.findall(body)
        if not self._is_whole(body, rows):
            rows = self._any_rows(body)
        return rows_of(rows, self._shape, self._template)

    def _is_whole(self, body: bytes, rows: list[tuple[bytes, ...]]) -> bool:
        """Whether the rows found are all there is: their bytes add up to the body's.

        Each row was matched with what stands before it, so only the first may follow a bracket.
        """
        size = sum(sum(map(len, row)) for row in rows) + len(rows) * self._frame_size
        return (
            size + len(b"]") == len(body)
            and body.startswith(b"[{")
            and body.endswith(b"}]")
            and body.count(b"[{") == 1
        )

    def _any_rows(self, body: bytes) -> list[tuple[bytes, ...]]:
        return [self._any_row(number, row) for number, row in enumerate(json_list(body, "trades"))]

    def _any_row(self, number: int, row: Any) -> tuple[bytes, ...]:
        if not isinstance(row, dict):
            raise ProtocolViolatedError(f"row {number} is not a trade")
        return tuple(cell.read(number, name, row.get(name)) for name, cell in self._shape.columns)


def row_template(symbol: str, shape: TradeShape, time: bytes = b"%b") -> bytes:
    """A ``%`` template that turns all values of a row into a record and leaves out what it may.

    ``time`` is the place of the time: ``%.13b`` shows microseconds as milliseconds.
    """
    *names, tail = trade_template(symbol).encode().split(b"%s")
    taken = dict(zip(shape.taken, names, strict=True))
    cells = [taken[index] + b"%b" if index in taken else b"%.0b" for index in shape.indices]
    cells[shape.time] = taken[shape.time] + time
    return b"".join(cells) + tail


def rows_of(
    rows: Sequence[tuple[bytes, ...]], shape: TradeShape, template: bytes, time_digits: int = 19
) -> Rows:
    """Positions, times and records of rows; cancelled ones keep their position alone."""
    time, first = shape.time, shape.first_trade
    records = [template % row for row in rows]
    if first is not None:
        for index, row in enumerate(rows):
            if row[first] == NO_TRADE:
                records[index] = CANCELLED
    times_ms = [int(row[time][:time_digits]) for row in rows]
    return Rows([int(row[0]) for row in rows], times_ms, records)
