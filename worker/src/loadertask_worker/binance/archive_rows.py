"""Files of the venue's archive, from the zip to records, a bounded piece at a time. Pure.

A file is one CSV without header (sniffed anyway) under the name of the zip; its times are
milliseconds, from 2025 on mostly microseconds: told by their magnitude. A piece is checked as a
whole by one regular expression and turned into records by one template, so that the digits of the
file are the digits of the records.
"""

from __future__ import annotations

import lzma
import re
import struct
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Protocol

from loadertask_contract.records import CANDLE_FIELDS, candle_template
from loadertask_worker.binance.cells import DECIMAL, FILE_TIME, INTEGER, MS_DIGITS
from loadertask_worker.binance.trades import SHAPES, row_template, rows_of
from loadertask_worker.seams import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadertask_contract.environment import Trades
    from loadertask_contract.intervals import Interval

# Some 1500 candles: they fit into the processor's cache while they are taken apart.
PIECE_BYTES = 256 * 1024
# The longest row of the venue is some 200 bytes.
_LONGEST_LINE_BYTES = 4_096
# What zipfile and the decompressors raise for damaged bytes: seen by changing each byte of a file.
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, OSError, OverflowError, RuntimeError, ValueError,
)  # fmt: skip


class ArchiveFileError(Exception):
    """A file that cannot be used: says why. It never ends a load, REST stands in for the file."""


class ArchiveLostError(ArchiveFileError):
    """None of its files can be had any more: the archive gives no answer."""


class RowReader(Protocol):
    """Turns whole lines of a file into rows."""

    def rows(self, lines: bytes) -> Rows:
        """Read lines, each with its end.

        Raises:
            ArchiveFileError: a line that is no row.

        """


class CandleReader:
    """Lines of klines files of one symbol and interval."""

    def __init__(self, symbol: str, interval: Interval) -> None:
        cells = [DECIMAL] * len(CANDLE_FIELDS)
        for time in ("open_time", "close_time"):
            cells[CANDLE_FIELDS.index(time)] = FILE_TIME
        cells[CANDLE_FIELDS.index("number_of_trades")] = INTEGER
        self._lines = _lines_of([*cells, DECIMAL])
        # %.13b keeps the milliseconds of a time in microseconds; the last column is unused.
        *names, tail = candle_template(symbol, interval).encode().split(b"%s")
        places = [b"%.13b" if cell is FILE_TIME else b"%b" for cell in cells]
        template = b"".join(b"".join(pair) for pair in zip(names, places, strict=True))
        self._template, self._width = template + b"%.0b" + tail, len(cells) + 1

    def rows(self, lines: bytes) -> Rows:
        """Read lines; see ``RowReader``."""
        _check(self._lines, lines)
        template, rows = self._template, _split(lines, self._width)
        opens = [int(row[0][:MS_DIGITS]) for row in rows]
        return Rows(opens, opens, [template % row for row in rows])


class TradeReader:
    """Lines of aggTrades or trades files of one symbol."""

    def __init__(self, symbol: str, kind: Trades) -> None:
        self._shape = shape = SHAPES[kind]
        self._lines = _lines_of(shape.file_cells)
        self._template = row_template(symbol, shape, time=b"%.13b")

    def rows(self, lines: bytes) -> Rows:
        """Read lines; see ``RowReader``."""
        _check(self._lines, lines)
        spelled = lines.replace(b"True", b"true").replace(b"False", b"false")
        rows = _split(spelled, len(self._shape.columns))
        return rows_of(rows, self._shape, self._template, MS_DIGITS)


def pieces(file: IO[bytes], stem: str) -> Iterator[bytes]:
    """The lines of the CSV ``stem`` in a zip, some hundred kilobytes at a time.

    Raises:
        ArchiveFileError: no zip, damaged, or not that CSV in it.

    """
    try:
        with zipfile.ZipFile(file) as opened, opened.open(_only_member(opened, stem)) as csv:
            yield from _whole_lines(csv)
    except _DAMAGED as error:
        raise ArchiveFileError(f"no sound zip: {error}") from error


def _only_member(opened: zipfile.ZipFile, stem: str) -> str:
    names = opened.namelist()
    if names != [f"{stem}.csv"]:
        raise ArchiveFileError(f"holds {', '.join(names)[:200] or 'nothing'}, not {stem}.csv")
    return names[0]


def _whole_lines(csv: IO[bytes]) -> Iterator[bytes]:
    begun, is_first = b"", True
    while chunk := csv.read(PIECE_BYTES):
        end = chunk.rfind(b"\n") + 1
        lines, begun = begun + chunk[:end], (chunk[end:] if end else begun + chunk)
        if len(begun) > _LONGEST_LINE_BYTES:
            raise ArchiveFileError(f"a line of more than {_LONGEST_LINE_BYTES} bytes")
        if end:
            if is_first:
                lines, is_first = _without_header(lines), False
            yield lines
    if begun:
        yield _without_header(begun + b"\n") if is_first else begun + b"\n"


def _without_header(lines: bytes) -> bytes:
    return lines if lines[:1].isdigit() else lines[lines.find(b"\n") + 1 :]


def _lines_of(cells: list[bytes]) -> re.Pattern[bytes]:
    return re.compile(rb"(?:%s\r?+\n)*+" % b",".join(cells))


def _split(lines: bytes, width: int) -> list[tuple[bytes, ...]]:
    """The cells of checked lines, by rows: taken apart at one go, which is twice as fast."""
    cells = iter(lines.replace(b"\r", b"").replace(b"\n", b",").split(b","))
    return list(zip(*[cells] * width, strict=False))  # an empty cell follows the last row


def _check(pattern: re.Pattern[bytes], lines: bytes) -> None:
    found = pattern.match(lines)
    end = found.end() if found else 0
    if end != len(lines):
        line = lines[end : end + 120].split(b"\n")[0].decode("utf-8", "replace")
        raise ArchiveFileError(f"no row of numbers: {line!r}")
