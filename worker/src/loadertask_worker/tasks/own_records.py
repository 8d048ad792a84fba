"""Records of ours as they lie in a topic: whether one is, and which. Pure.

Only our own spelling counts, for others may write candles and trades into the same topic.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loadertask_contract.records import (
    CANDLE_FIELDS,
    TRADE_FIELDS,
    candle_template,
    trade_template,
)

if TYPE_CHECKING:
    from loadertask_contract.intervals import Interval


def candle_pattern(symbol: str, interval: Interval) -> re.Pattern[bytes]:
    """A whole candle record; its group is the open time (epoch ms)."""
    cells = dict.fromkeys(CANDLE_FIELDS, "[0-9.]+") | {"open_time": "([0-9]{1,15})"}
    return _pattern(candle_template(symbol, interval), list(cells.values()))


def trade_pattern(symbol: str) -> re.Pattern[bytes]:
    """A whole trade record; its groups are the id and the time (epoch ms)."""
    cells = dict.fromkeys(TRADE_FIELDS, "[0-9.]+")
    cells |= {"trade_id": "([0-9]{1,19})", "timestamp": "([0-9]{1,15})"}
    cells["is_buyer_maker"] = "(?:true|false)"
    return _pattern(trade_template(symbol), list(cells.values()))


def _pattern(template: str, cells: list[str]) -> re.Pattern[bytes]:
    """What a ``%`` template makes of values that match ``cells``, in their order."""
    *names, tail = (re.escape(text % ()) for text in template.split("%s"))
    pairs = zip(names, cells, strict=True)
    return re.compile(("".join(name + cell for name, cell in pairs) + tail).encode())
