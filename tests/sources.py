"""Recorded data as the tests see it: read from the source itself, not through the product."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

from loadertask_devstack.venue.candles import units_text
from loadertask_devstack.venue.recordings import committed_recordings

CHECKOUT = Path(__file__).resolve().parents[1]
SHARED_DATA = CHECKOUT.parent / "shared" / "data"
COMMITTED_RANGE = "2020-01-01:2020-01-02"
_WHOLE_NUMBERS = (0, 6, 8)  # open time, close time, number of trades
_FIRST_COMMITTED_DAY = 18262  # 2020-01-01 in days since the epoch


def recorded_day() -> tuple[str, list[tuple[str, ...]]]:
    """A recorded day of BTCUSDT one-minute candles: its time range, and its rows as text.

    2023-01-01 from the recorded data beside the checkout when it is there, else 2020-01-01 from
    the repository (`tests/unit/devstack` compares that one with the file it was made from).
    """
    archive = SHARED_DATA / "archive" / "BTCUSDT-1m-2023-01-01.zip"
    if archive.exists():
        return "2023-01-01:2023-01-02", _archive_rows(archive)
    return COMMITTED_RANGE, _committed_rows()


def _archive_rows(archive: Path) -> list[tuple[str, ...]]:
    with zipfile.ZipFile(archive) as opened:
        text = opened.read(opened.namelist()[0]).decode()
    return [tuple(row[:11]) for row in csv.reader(io.StringIO(text))]


def _committed_rows() -> list[tuple[str, ...]]:
    (recording,) = (r for r in committed_recordings() if r.symbol == "BTCUSDT")
    return [
        tuple(str(v) if i in _WHOLE_NUMBERS else units_text(v) for i, v in enumerate(candle))
        for candle in recording.candles(_FIRST_COMMITTED_DAY)
    ]
