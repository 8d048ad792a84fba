"""Rows of the venue's klines, as candle records: bytes in, bytes out, every digit as it came.

A page in the venue's usual spelling is read by one regular expression, which checks every value
on the way; any other JSON goes the slow way, which also finds the words for what is wrong.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadertask_contract.records import CANDLE_FIELDS, candle_template
from loadertask_worker.errors import ProtocolViolatedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadertask_contract.intervals import Interval

ROW_LENGTH = 12

# JSON's number without sign or exponent: the venue sends neither for prices, volumes and times.
# The lengths only bound what a broken answer can make us keep; possessive, since no number can
# end earlier than its digits do.
_INTEGER = rb"(?:0|[1-9][0-9]{0,18}+)"
_DECIMAL = rb"(?:0|[1-9][0-9]{0,38}+)(?:\.[0-9]{1,38}+)?+"
_TIMES_AND_COUNTS = (0, 6, 8)
_CELLS = [
    rb"(%s)" % _INTEGER if index in _TIMES_AND_COUNTS else rb'"(%s)"' % _DECIMAL
    for index in range(len(CANDLE_FIELDS))
]
# A row with the bracket or comma before it. The last value is unused and always "0".
_ROW = re.compile(rb'[\[,]\[%s,"0"\]' % b",".join(_CELLS))
_ROW_WITHOUT_VALUES = b',[,"","","","","",,"",,"","","0"]'
_INTEGER_TEXT = re.compile(_INTEGER.decode())
_DECIMAL_TEXT = re.compile(_DECIMAL.decode())


@dataclass(frozen=True, slots=True)
class KlinePage:
    """Open times (epoch ms) and records of one answer, in its order."""

    opens: Sequence[int]
    records: Sequence[bytes]


class KlineParser:
    """Turns answers into records of one symbol and interval."""

    def __init__(self, symbol: str, interval: Interval) -> None:
        self._template = candle_template(symbol, interval).encode()
        self._template_size = len(self._template % ((b"",) * len(CANDLE_FIELDS)))

    def parse(self, body: bytes) -> KlinePage:
        """Read one answer.

        Raises:
            SourceUnavailableError: the answer is not JSON (cut short, a page of HTML).
            ProtocolViolatedError: it is JSON, and not rows of plain numbers.

        """
        page = self._page(_ROW.findall(body))
        return page if self._is_whole(body, page) else self._page(_any_rows(body))

    def _page(self, rows: list[tuple[bytes, ...]]) -> KlinePage:
        template = self._template
        return KlinePage([int(row[0]) for row in rows], [template % row for row in rows])

    def _is_whole(self, body: bytes, page: KlinePage) -> bool:
        """Whether the rows found are all there is: their bytes add up to the body's.

        Each row was matched with what stands before it, so only the first may follow a bracket.
        """
        values_size = sum(map(len, page.records)) - len(page.records) * self._template_size
        rows_size = values_size + len(page.records) * len(_ROW_WITHOUT_VALUES)
        return (
            rows_size + len(b"]") == len(body)
            and body.startswith(b"[[")
            and body.endswith(b"]]")
            and body.count(b"[[") == 1
        )


def _any_rows(body: bytes) -> list[tuple[bytes, ...]]:
    try:
        # Numbers stay text: an int of the venue keeps its digits, and nothing becomes a float.
        page = json.loads(body, parse_int=_Number, parse_float=_Number, parse_constant=_Number)
    except (ValueError, RecursionError) as error:
        raise SourceUnavailableError(f"the answer is not JSON: {_excerpt(body)}") from error
    if not isinstance(page, list):
        raise ProtocolViolatedError(f"not a list of klines: {_excerpt(body)}")
    return [_row(number, row) for number, row in enumerate(page)]


class _Number(str):
    """A number of a JSON text, as spelled there."""

    __slots__ = ()


def _row(number: int, row: Any) -> tuple[bytes, ...]:
    if not isinstance(row, list) or len(row) != ROW_LENGTH:
        raise ProtocolViolatedError(f"row {number} is not a list of {ROW_LENGTH} values")
    return tuple(
        _cell(number, field, row[index], is_integer=index in _TIMES_AND_COUNTS)
        for index, field in enumerate(CANDLE_FIELDS)
    )


def _cell(number: int, field: str, value: Any, *, is_integer: bool) -> bytes:
    kind, pattern = (_Number, _INTEGER_TEXT) if is_integer else (str, _DECIMAL_TEXT)
    right_kind = isinstance(value, kind) and (is_integer or not isinstance(value, _Number))
    if not right_kind or not pattern.fullmatch(value):
        wanted = "an integer" if is_integer else "a plain decimal number in a string"
        shown = str(value)[:60]
        raise ProtocolViolatedError(f"row {number}: {field} is {shown!r}, not {wanted}")
    return str(value).encode()


def _excerpt(body: bytes) -> str:
    return repr(body[:80].decode("utf-8", "replace"))
