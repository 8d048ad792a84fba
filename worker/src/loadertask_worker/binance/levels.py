"""The levels of an order book: published as received, so every value must be a number. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from loadertask_worker.binance.cells import DECIMAL
from loadertask_worker.errors import ProtocolViolatedError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PRICE_AND_QUANTITY = 2
_DECIMAL_TEXT = re.compile(DECIMAL.decode())


def check_levels(book: Mapping[str, Any], *sides: str) -> None:
    """Refuse anything but lists of [price, quantity].

    Raises:
        ProtocolViolatedError: naming the first that is wrong.

    """
    for side in sides:
        levels = book.get(side)
        if not isinstance(levels, list):
            raise ProtocolViolatedError(f"an order book without {side}")
        for level in levels:
            if not isinstance(level, list) or len(level) != _PRICE_AND_QUANTITY:
                raise ProtocolViolatedError(f"{str(level)[:60]!r} is no level of an order book")
            for value in level:
                if not isinstance(value, str) or not _DECIMAL_TEXT.fullmatch(value):
                    raise ProtocolViolatedError(f"{str(value)[:60]!r} is not a plain number")
