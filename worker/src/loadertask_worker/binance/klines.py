"""Rows of the venue's klines, as candle records: bytes in, bytes out, every digit as it came.

A page in the venue's usual spelling is read by one regular expression, which checks every value
on the way; any other JSON goes the slow way, which also finds the words for what is wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadertask_contract.records import CANDLE_FIELDS, candle_template
from loadertask_worker.binance.cells import (
    DECIMAL,
    INTEGER,
    decimal_cell,
    integer_cell,
    json_list,
)
from loadertask_worker.errors import ProtocolViolatedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadertask_contract.intervals import Interval

ROW_LENGTH = 12

_TIMES_AND_COUNTS = (0, 6, 8)
_CELLS = [
    rb"(%s)" % INTEGER if index in _TIMES_AND_COUNTS else rb'"(%s)"' % DECIMAL
    for index in range(len(CANDLE_FIELDS))
]
# A row with the bracket or comma before it. The last value is unused and always "0".
_ROW = re.compile(rb'[\[,]\[%s,"0"\]' % b",".join(_CELLS))
_ROW_WITHOUT_VALUES = b',[,"","","","","",,"",,"","","0"]'


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
    return [_row(number, row) for number, row in enumerate(json_list(body, "klines"))]


def _row(number: int, row: Any) -> tuple[bytes, ...]:
    if not isinstance(row, list) or len(row) != ROW_LENGTH:
        raise ProtocolViolatedError(f"row {number} is not a list of {ROW_LENGTH} values")
    return tuple(
        (integer_cell if index in _TIMES_AND_COUNTS else decimal_cell)(number, field, row[index])
        for index, field in enumerate(CANDLE_FIELDS)
    )
