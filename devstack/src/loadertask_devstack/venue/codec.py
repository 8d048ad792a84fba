"""Our own compact form of recorded minutes: columns of small differences, compressed.

``decode(encode(candles)) == candles`` for every digit. One JSON line says what it is and how many
rows follow; each further line is one column of integers. Pure.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Sequence

from loadertask_contract.intervals import MINUTE_MS
from loadertask_devstack.venue.candles import UNITS_PER_ONE, Candle

_FORMAT = "candles/1"
# Columns keep this many units apart: recorded prices and amounts rarely use all eight decimals.
_Row = tuple[int, ...]


class UnreadableRecordingError(ValueError):
    """The bytes are not a recording of ours."""


def encode(candles: Sequence[Candle]) -> bytes:
    """The compact form of minutes in ascending order."""
    rows = list(_differences(candles))
    head = json.dumps({"format": _FORMAT, "rows": len(rows)})
    columns = (" ".join(str(number) for number in column) for column in zip(*rows, strict=True))
    text = "\n".join((head, *columns))
    return lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)


def decode(packed: bytes) -> list[Candle]:
    """The minutes of a compact form.

    Raises:
        UnreadableRecordingError: truncated, of another format, or not what its head says.

    """
    try:
        head, *lines = lzma.decompress(packed).decode().split("\n")
        described = json.loads(head)
        rows = list(zip(*([int(word) for word in line.split()] for line in lines), strict=True))
        is_ours = described["format"] == _FORMAT and described["rows"] == len(rows)
    except (lzma.LZMAError, ValueError, KeyError, TypeError) as error:
        raise UnreadableRecordingError(f"not a recording of {_FORMAT}: {error}") from error
    if not is_ours:
        raise UnreadableRecordingError(f"not a whole recording of {_FORMAT}: {head[:80]}")
    return list(_candles(rows))


def _differences(candles: Sequence[Candle]) -> Iterable[_Row]:
    time_ms, price = 0, 0
    for c in candles:
        yield (
            c.open_time_ms - time_ms,
            c.close_time_ms - c.open_time_ms - MINUTE_MS + 1,
            c.open - price,
            c.close - c.open,
            c.high - max(c.open, c.close),
            min(c.open, c.close) - c.low,
            c.volume,
            c.quote_volume - _quote(c.volume, c.open, c.close),
            c.trade_count,
            c.volume - c.taker_volume,
            c.taker_quote_volume - _quote(c.taker_volume, c.open, c.close),
        )
        time_ms, price = c.open_time_ms + MINUTE_MS, c.close


def _candles(rows: Iterable[_Row]) -> Iterable[Candle]:
    time_ms, price = 0, 0
    for gap, late, jump, rise, above, below, volume, quote, trades, maker, taker_quote in rows:
        opened_ms, opened = time_ms + gap, price + jump
        close = opened + rise
        taker = volume - maker
        yield Candle(
            opened_ms,
            opened,
            max(opened, close) + above,
            min(opened, close) - below,
            close,
            volume,
            opened_ms + late + MINUTE_MS - 1,
            quote + _quote(volume, opened, close),
            trades,
            taker,
            taker_quote + _quote(taker, opened, close),
        )
        time_ms, price = opened_ms + MINUTE_MS, close


def _quote(volume: int, opened: int, close: int) -> int:
    return volume * (opened + close) // (2 * UNITS_PER_ONE)
